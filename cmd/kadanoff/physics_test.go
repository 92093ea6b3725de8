package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"kadanoff/exact"
)

func near(t *testing.T, name string, got, want, limit float64) {
	t.Helper()
	if !(math.Abs(got-want) <= limit*math.Abs(want)) {
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

type solved struct {
	Visible, Hidden int
	Lattice         string
	K, T            *float64
	TMin            *float64 `json:"t_min"`
	TMax            *float64 `json:"t_max"`
	W               float64
	Residual        *float64
}

func TestSolve(t *testing.T) {
	var rows []solved
	runJSON(t, &rows, "solve", "--visible", "8", "--hidden", "4", "--k", "0.5,1,-2,0")
	if len(rows) != 4 || *rows[1].K != 1 || rows[0].Visible != 8 || rows[0].Hidden != 4 || rows[1].Residual == nil || rows[0].Lattice != "" {
		t.Fatalf("rows %+v", rows)
	}
	near(t, "W at K = 1/2", rows[0].W, 0.188733321732339617858, 1e-15)
	near(t, "W at K = 1", rows[1].W, 0.306308329811523071085, 1e-15)
	if rows[2].W != 0 || rows[3].W != 0 {
		t.Errorf("W at K ≤ 0: %v and %v", rows[2].W, rows[3].W)
	}

	rows = nil
	runJSON(t, &rows, "solve", "--visible", "8", "--hidden", "4", "--t", "2")
	near(t, "W at T = 2", rows[0].W, 0.188733321732339617858, 1e-15)
	if *rows[0].K != 0.5 || *rows[0].T != 2 {
		t.Errorf("T = 2: %+v", rows[0])
	}

	rows = nil
	runJSON(t, &rows, "solve", "--visible", "8", "--hidden", "4", "--t-min", "0", "--t-max", "1")
	near(t, "W for T up to 1", rows[0].W, 0.48367990129887157497, 1e-15)
	if rows[0].K != nil || *rows[0].TMin != 0 || *rows[0].TMax != 1 {
		t.Errorf("range: %+v", rows[0])
	}

	rows = nil
	runJSON(t, &rows, "solve", "--hidden", "4", "--lattice", "torus:4", "--t", "3")
	near(t, "W of the 4×4 torus at T = 3", rows[0].W, 0.19412358972311965733, 1e-15)
	if rows[0].Visible != 16 || rows[0].Lattice != "torus:4" {
		t.Errorf("torus: %+v", rows[0])
	}

	rows = nil
	runJSON(t, &rows, "solve", "--visible", "8", "--hidden", "4", "--k-min", "0.5", "--k-max", "2", "--points", "4")
	for i, k := range []float64{0.5, 1, 1.5, 2} {
		if len(rows) != 4 || *rows[i].K != k {
			t.Fatalf("grid %+v", rows)
		}
	}
	near(t, "W at K = 2", rows[3].W, 0.739258041354178245815, 1e-15)
	rows = nil
	runJSON(t, &rows, "solve", "--visible", "8", "--hidden", "4", "--k-min", "0.01", "--k-max", "1", "--points", "3", "--log")
	near(t, "middle of a logarithmic grid", *rows[1].K, 0.1, 1e-14)
}

// Rows that a backend solves and rows that big floats solve agree to 1e-13, on
// every backend.
func TestSolveRoutesAgree(t *testing.T) {
	for _, line := range []string{
		"solve --visible 64 --hidden 16 --k 1e-8,1e-3,0.02,0.1,1,3,50,700",
		"solve --visible 8 --hidden 4 --k 1e-300,1e-30,1e-9,800,1e6",
		"solve --visible 9 --hidden 5 --t 0.002,0.5,2,1e5,1e12",
		"solve --visible 8 --hidden 4 --t-min 0.001 --t-max 0.004",
		"solve --visible 8 --hidden 4 --t-min 1e6 --t-max 1e9",
		"solve --hidden 8 --lattice torus:4 --t 0.5,1,2.269,6",
		"solve --hidden 8 --lattice torus:4 --t-min 0 --t-max 6",
		"solve --visible 256 --hidden 1024 --t-min 0.2 --t-max 3",
	} {
		for _, name := range []string{"cpu", "ref"} {
			var rows []solved
			runJSON(t, &rows, append(strings.Fields(line), "--backend", name)...)
			for _, r := range rows {
				var d *exact.Density
				var m *exact.Marginal
				var err error
				if r.Lattice == "" {
					d, err = exact.RingDensity(r.Visible)
				} else {
					d, err = exact.TorusDensity(4)
				}
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case r.TMin != nil:
					m, err = d.Over(*r.TMin, *r.TMax)
				case r.T != nil:
					m, err = d.AtTemperature(*r.T)
				default:
					m, err = d.At(*r.K)
				}
				if err != nil {
					t.Fatal(err)
				}
				root, err := m.Solve(r.Hidden)
				if err != nil {
					t.Fatal(err)
				}
				near(t, line+" on "+name, r.W, root.W, 1e-13)
			}
		}
	}
}

// Parts of a job, merged in any order, are the whole job.
func TestSolveShards(t *testing.T) {
	dir := t.TempDir()
	job := strings.Fields("solve --visible 8 --hidden 4 --k-min 0.1 --k-max 3 --points 7 --format json")
	_, whole, _ := run(job...)
	var files []string
	for _, part := range []string{"2/3", "0/3", "1/3"} {
		file := filepath.Join(dir, strings.ReplaceAll(part, "/", "-")+".json")
		if code, _, stderr := run(append(job, "--shard", part, "--out", file)...); code != 0 {
			t.Fatalf("part %s: exit %d: %s", part, code, stderr)
		}
		files = append(files, file)
	}
	code, merged, stderr := run(append([]string{"merge", "--format", "json"}, files...)...)
	if code != 0 || merged != whole {
		t.Errorf("merged (exit %d, %s):\n%s\nwhole:\n%s", code, stderr, merged, whole)
	}
	other := filepath.Join(dir, "other.json")
	run("solve", "--visible", "8", "--hidden", "4", "--k", "1,2,3", "--shard", "0/3", "--out", other)
	badUse(t, "merge "+files[0]+" "+files[1], "3 parts")
	badUse(t, "merge "+files[0]+" "+files[1]+" "+files[0], "twice")
	badUse(t, "merge "+files[0]+" "+other+" "+files[2], "another job")
	badUse(t, "solve --visible 8 --hidden 4 --k 1,2 --shard 0/3", "--shard")
}

// The order of the rows and their bits do not depend on threads.
func TestSolveThreads(t *testing.T) {
	args := []string{"solve", "--visible", "9", "--hidden", "3", "--k-min", "0.1", "--k-max", "3", "--points", "23", "--format", "csv", "--threads"}
	_, one, _ := run(append(args, "1")...)
	_, five, _ := run(append(args, "5")...)
	if one != five || strings.Count(one, "\n") != 24 {
		t.Errorf("one thread:\n%s\nfive:\n%s", one, five)
	}
}

func TestBadSolve(t *testing.T) {
	for _, c := range []struct{ line, word string }{
		{"--hidden 4 --k 1", "--visible"},
		{"--visible 8 --k 1", "--hidden"},
		{"--visible 8 --hidden 4", "--k"},
		{"--visible 0 --hidden 4 --k 1", "--visible 0"},
		{"--visible -3 --hidden 4 --k 1", "--visible -3"},
		{"--visible 1 --hidden 4 --k 1", "--visible 1"},
		{"--visible 1000000 --hidden 4 --k 1", "--visible 1000000"},
		{"--visible 8 --hidden 0 --k 1", "--hidden 0"},
		{"--visible 8 --hidden -1 --k 1", "--hidden -1"},
		{"--visible 8 --hidden 100000000 --k 1", "--hidden 100000000"},
		{"--visible 99999999999999999999 --hidden 1 --k 1", "--visible"},
		{"--visible 8.5 --hidden 1 --k 1", "--visible"},
		{"--visible 8 --hidden 4 --k x", "--k"},
		{"--visible 8 --hidden 4 --k nan", "--k"},
		{"--visible 8 --hidden 4 --k inf", "--k"},
		{"--visible 8 --hidden 4 --k 1,,2", "--k"},
		{"--visible 8 --hidden 4 --k 1e300", "K"},
		{"--visible 8 --hidden 4 --t 0", "--t 0"},
		{"--visible 8 --hidden 4 --t -1", "--t -1"},
		{"--visible 8 --hidden 4 --k 1 --t 1", "one of"},
		{"--visible 8 --hidden 4 --k 1 --log", "--log"},
		{"--visible 8 --hidden 4 --k-min 1 --k-max 2", "--points"},
		{"--visible 8 --hidden 4 --k-min 2 --k-max 1 --points 5", "--k-max"},
		{"--visible 8 --hidden 4 --k-min 1 --k-max 1 --points 5", "--k-max"},
		{"--visible 8 --hidden 4 --k-min nan --k-max 1 --points 5", "--k-min"},
		{"--visible 8 --hidden 4 --k-min 0 --k-max 1 --points 5 --log", "--k-min"},
		{"--visible 8 --hidden 4 --k-min 0 --k-max 1 --points 1", "--points"},
		{"--visible 8 --hidden 4 --k-min 0 --k-max 1 --points 999999999999", "--points"},
		{"--visible 8 --hidden 4 --t-min 0", "--t-max"},
		{"--visible 8 --hidden 4 --t-min 0 --t-max 0", "--t-max 0"},
		{"--visible 8 --hidden 4 --t-min 2 --t-max 1", "--t-max 1"},
		{"--visible 8 --hidden 4 --t-min 1 --t-max 1", "--t-max 1"},
		{"--visible 8 --hidden 4 --t-min -1 --t-max 1", "--t-min -1"},
		{"--visible 8 --hidden 4 --t-min nan --t-max 1", "--t-min"},
		{"--visible 8 --hidden 4 --t-min 0 --t-max inf", "emperature"},
		{"--visible 8 --hidden 4 --k 1 --lattice cube", "cube"},
		{"--hidden 4 --k 1 --lattice torus:", "torus:"},
		{"--hidden 4 --k 1 --lattice torus:9", "torus:9"},
		{"--hidden 4 --k 1 --lattice torus:-2", "torus:-2"},
		{"--visible 8 --hidden 4 --k 1 --lattice torus:4", "--visible 8"},
	} {
		badUse(t, "solve "+c.line, c.word)
	}
}

func TestRG(t *testing.T) {
	var rows []struct {
		Step  int
		K, K0 float64
	}
	runJSON(t, &rows, "rg", "--k", "1", "--steps", "2")
	if len(rows) != 3 || rows[0].K != 1 || rows[2].Step != 2 {
		t.Fatalf("rows %+v", rows)
	}
	near(t, "K″", rows[2].K, 0.350061138945252563282, 1e-14)
	near(t, "K0″", rows[2].K0, 3.75450542798295292247, 1e-14)
	for _, c := range []struct{ line, word string }{
		{"rg", "--k"}, {"rg --k nan", "--k"}, {"rg --k inf", "--k"}, {"rg --k 1 --k0 nan", "--k0"},
		{"rg --k 1 --steps -1", "--steps"}, {"rg --k 1 --steps 1000000000", "--steps"}, {"rg --k 1 extra", "extra"},
	} {
		badUse(t, c.line, c.word)
	}
}

func TestUniformFlow(t *testing.T) {
	type result struct {
		CriticalW  float64 `json:"critical_w"`
		FixedPoint float64 `json:"fixed_point"`
		Multiplier float64
		Flow       []struct {
			Step int
			M    float64
		}
	}
	var r result
	runJSON(t, &r, "flow", "--visible", "8", "--hidden", "4", "--w", "0.3", "--m0", "0.25", "--steps", "2")
	near(t, "critical W", r.CriticalW, 1/math.Sqrt(32), 1e-15)
	near(t, "m*", r.FixedPoint, 0.8190160465229120231147, 1e-14)
	near(t, "multiplier", r.Multiplier, 0.071568458118350084116, 1e-13)
	near(t, "m after 2 steps", r.Flow[2].M, 0.7827811285831117092, 1e-14)
	runJSON(t, &r, "flow", "--visible", "8", "--hidden", "4", "--w", "0.3", "--m0", "-0.25", "--steps", "0")
	near(t, "-m*", r.FixedPoint, -0.8190160465229120231147, 1e-14)
	runJSON(t, &r, "flow", "--visible", "8", "--hidden", "4", "--w", "0.3", "--m0", "0")
	if r.FixedPoint != 0 || r.Flow[20].M != 0 {
		t.Errorf("V = 0 does not stay 0: %+v", r)
	}
	runJSON(t, &r, "flow", "--visible", "8", "--hidden", "4", "--w", "inf", "--m0", "0.125")
	if r.FixedPoint != 1 || r.Flow[1].M != 1 {
		t.Errorf("W = ∞: %+v", r)
	}
	for _, c := range []struct{ line, word string }{
		{"flow --visible 8 --hidden 4", "--w"}, {"flow --visible 0 --hidden 4 --w 1", "0 visible"},
		{"flow --visible 8 --hidden -4 --w 1", "-4 hidden"}, {"flow --visible 8 --hidden 4 --w nan", "W"},
		{"flow --visible 8 --hidden 4 --w 1 --m0 1.5", "--m0"}, {"flow --visible 8 --hidden 4 --w 1 --m0 nan", "--m0"},
		{"flow --visible 8 --hidden 4 --w 1 --steps -1", "--steps"},
	} {
		badUse(t, c.line, c.word)
	}
}

func TestExact(t *testing.T) {
	type result struct {
		LogZ         *float64 `json:"log_z"`
		Energy       float64
		SpecificHeat float64  `json:"specific_heat"`
		Abs          *float64 `json:"abs_magnetization"`
	}
	get := func(args ...string) (r result) {
		runJSON(t, &r, append([]string{"exact"}, args...)...)
		return r
	}
	r := get("torus", "--size", "4", "--t", "2")
	near(t, "ln Z", *r.LogZ, 17.10536711873158330793, 1e-15)
	near(t, "energy", r.Energy, -1.75538028877743524834, 1e-15)
	near(t, "specific heat", r.SpecificHeat, 0.605532657210055053984, 1e-15)
	near(t, "|m|", *r.Abs, 0.918943267401972055322, 1e-15)
	if r := get("torus", "--size", "16", "--t", "2"); r.Abs != nil {
		t.Errorf("|m| of 16×16 is not exact and is given: %v", *r.Abs)
	}
	r = get("ring", "--size", "8", "--t", "1")
	near(t, "energy of the ring", r.Energy, -0.817662875434489300103959609610, 1e-15)
	if r := get("ring", "--size", "100000", "--t", "1"); r.Abs != nil {
		t.Errorf("|m| of a ring of 100000 is given: %v", *r.Abs)
	}
	r = get("square", "--t", "2")
	near(t, "spontaneous magnetisation", *r.Abs, 0.911319377877496, 1e-12)
	if r.LogZ != nil {
		t.Errorf("the infinite lattice has ln Z = %v", *r.LogZ)
	}
	for _, c := range []struct{ line, word string }{
		{"exact", "ring"}, {"exact cube", "cube"}, {"exact ring --t 1", "--size"}, {"exact ring --size 8", "--t"},
		{"exact ring --size 0 --t 1", "--size 0"}, {"exact ring --size -8 --t 1", "--size -8"},
		{"exact ring --size 8 --t 0", "--t 0"}, {"exact ring --size 8 --t nan", "--t"}, {"exact ring --size 8 --t -2", "--t -2"},
		{"exact torus --size 0 --t 1", "0"}, {"exact torus --size 100000 --t 1", "100000"}, {"exact torus --size 8 --t 0", "T"},
		{"exact torus --size 8 --t inf", "T"}, {"exact square --t 0", "T"}, {"exact square", "--t"},
	} {
		badUse(t, c.line, c.word)
	}
}

func TestBadReproduce(t *testing.T) {
	badUse(t, "reproduce", "--out")
	badUse(t, "reproduce --out /dev/null", "/dev/null")
	badUse(t, "reproduce --out /dev/null/x", "/dev/null/x")
}
