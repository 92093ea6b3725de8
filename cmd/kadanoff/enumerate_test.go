package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// torusFile holds the couplings of the 4×4 torus.
func torusFile(t *testing.T) string {
	var b strings.Builder
	for i := range 16 {
		x, y := i%4, i/4
		fmt.Fprintf(&b, "%d %d 1\n%d %d 1\n", i, y*4+(x+1)%4, i, (y+1)%4*4+x)
	}
	return writeFile(t, "torus.txt", b.String())
}

type enumerated struct {
	Spins         int
	States        uint64
	Method        string
	GroundEnergy  json.Number `json:"ground_energy"`
	GroundStates  uint64      `json:"ground_states"`
	LogZ          any         `json:"log_z"`
	MeanEnergy    *float64    `json:"mean_energy"`
	SpecificHeat  *float64    `json:"specific_heat"`
	Magnetization []float64
	Correlations  [][]float64
	Thermal       []struct {
		Beta float64
		LogZ float64 `json:"log_z"`
	}
	Lowest []struct {
		Energy json.Number
		Spins  string
	}
	Histogram map[string]uint64
	Joint     []struct {
		Energy        json.Number
		Magnetization int
		Count         uint64
	}
	Rounding *struct {
		EnergyError float64 `json:"energy_error"`
	}
}

func TestEnumerateTorus(t *testing.T) {
	f := torusFile(t)
	var e enumerated
	runJSON(t, &e, "enumerate", f, "--beta", "0.4", "--lowest", "3", "--histogram", "--joint", "--moments")
	if e.Spins != 16 || e.States != 65536 || e.Method != "exhaustive" || e.GroundEnergy != "-32" || e.GroundStates != 2 || e.Histogram["-32"] != 2 || e.Histogram["0"] != 20524 || len(e.Histogram) != 15 {
		t.Errorf("%+v", e)
	}
	// 2^16 states by the density of states
	z, u := 0.0, 0.0
	for text, n := range e.Histogram {
		x, _ := json.Number(text).Int64()
		w := float64(n) * math.Exp(-0.4*float64(x))
		z += w
		u += w * float64(x)
	}
	near(t, "log Z", e.LogZ.(float64), math.Log(z), 1e-14)
	near(t, "mean energy", *e.MeanEnergy, u/z, 1e-13)
	near(t, "energy from correlations", -32*e.Correlations[0][1], u/z, 1e-13)
	if len(e.Magnetization) != 16 || math.Abs(e.Magnetization[3]) > 1e-14 {
		t.Errorf("magnetization %v", e.Magnetization)
	}
	want := []string{"----------------", "++++++++++++++++", "+---------------"}
	for i, s := range e.Lowest {
		if s.Spins != want[i] {
			t.Errorf("state %d: %s, want %s", i, s.Spins, want[i])
		}
	}
	for _, b := range e.Joint {
		if b.Energy == "-32" && (b.Count != 1 || b.Magnetization*b.Magnetization != 256) {
			t.Errorf("joint bin %+v", b)
		}
	}

	if code, stdout, _ := run("enumerate", f, "--histogram", "--format", "csv"); code != 0 || !strings.HasPrefix(stdout, "spins,states,method,ground_energy,ground_states,energy,count\n16,65536,exhaustive,-32,2,-32,2\n") {
		t.Errorf("histogram as CSV: exit %d, %.200s", code, stdout)
	}

	var list enumerated
	runJSON(t, &list, "enumerate", f, "--beta", "1,0.4,0")
	if z := list.LogZ.([]any); len(z) != 3 || len(list.Thermal) != 3 || list.Thermal[1].Beta != 0.4 || z[1] != list.Thermal[1].LogZ || list.Histogram != nil {
		t.Errorf("three betas: %+v", list)
	}
	near(t, "log Z at beta 0", list.Thermal[2].LogZ, 16*math.Ln2, 1e-15)
}

func TestEnumerateDecimals(t *testing.T) {
	f := writeFile(t, "c.txt", "0 1 0.1\n1 2 -0.25 # frustrated\n0 2 0.1\n0 0 0.05\n")
	var e enumerated
	runJSON(t, &e, "enumerate", f, "--lowest", "8")
	// by hand: E = −0.1ab + 0.25bc − 0.1ac − 0.05a
	if e.GroundEnergy != "-0.3" || e.GroundStates != 2 || e.Lowest[0].Spins != "++-" || e.Lowest[1].Spins != "+-+" || e.Lowest[2].Energy != "-0.2" {
		t.Errorf("%+v", e)
	}
	runJSON(t, &e, "enumerate", f, "--convention", "dwave")
	if e.GroundEnergy != "-0.5" {
		t.Errorf("dwave signs: %+v", e)
	}
	g := writeFile(t, "G", "3 3\n1 2 1\n2 3 1\n1 3 2\n")
	runJSON(t, &e, "enumerate", g, "--input", "gset")
	if e.GroundEnergy != "-2" { // the largest cut, 3 of 4
		t.Errorf("gset: %+v", e)
	}
	code, stdout, stderr := run("enumerate", writeFile(t, "r.txt", "0 1 0.333333333333\n0 1 1\n1 1 0.1\n"), "--format", "json")
	var r enumerated
	if err := json.Unmarshal([]byte(stdout), &r); code != 0 || err != nil || r.Rounding == nil || !strings.Contains(stderr, "r.txt:2: pair 0 1 was on line 1") || !strings.Contains(stderr, "rounded") {
		t.Errorf("rounded couplings: exit %d, %s%s", code, stdout, stderr)
	}
}

func TestEnumerateShards(t *testing.T) {
	var b strings.Builder
	for i := range 18 {
		for j := range i {
			fmt.Fprintf(&b, "%d %d %d\n", i, j, (i*j*7+i)%5-2)
		}
	}
	f := writeFile(t, "c.txt", b.String())
	for _, flags := range [][]string{{"--beta", "0.3", "--lowest", "5"}, {"--beta", "0.3,1", "--moments", "--joint"}, {"--histogram"}} {
		whole := filepath.Join(t.TempDir(), "whole.json")
		args := append([]string{"enumerate", f}, flags...)
		if code, _, stderr := run(append(args, "--out", whole)...); code != 0 {
			t.Fatal(stderr)
		}
		want, _ := os.ReadFile(whole)
		var files []string
		for _, s := range []string{"2/3", "1/3", "3/3"} {
			p := filepath.Join(t.TempDir(), "part.json")
			if code, _, stderr := run(append(args, "--shard", s, "--out", p, "--isa", "generic", "--threads", "1")...); code != 0 {
				t.Fatal(stderr)
			}
			files = append(files, p)
		}
		code, got, stderr := run(append([]string{"merge", "--format", "json"}, files...)...)
		if code != 0 || got != string(want) {
			t.Errorf("%v in shards: exit %d, %s%.300s\nwant %.300s", flags, code, stderr, got, want)
		}
		badUse(t, "merge "+files[0]+" "+files[1], "shard is missing")
		badUse(t, "merge "+files[0]+" "+files[0]+" "+files[1]+" "+files[2], "there twice")
		badUse(t, "merge "+files[0]+" "+whole, "not a part")
	}
	badUse(t, "merge", "files")
	badUse(t, "merge nosuch.json", "nosuch.json")
	badUse(t, "merge "+writeFile(t, "x", `{"kind":"enumerate","part":{}}`), "x")
	badUse(t, "merge "+writeFile(t, "x", `{"kind":"enumerate","scale":{"Exact":true,"Grain":1,"Exp10":-999999999},"job":{"field":[1],"coupling":[0]},"part":{"last":1}}`), "x")
}

func TestEnumerateBranchAndBound(t *testing.T) {
	var b strings.Builder
	for i := range 40 {
		for j := range i {
			fmt.Fprintf(&b, "%d %d %d\n", i, j, (i*i*31+j*j*17+i*j*7)%201-100)
		}
	}
	f := writeFile(t, "c.txt", b.String())
	var e enumerated
	runJSON(t, &e, "enumerate", f, "--branch-and-bound", "--lowest", "2")
	if e.Method != "branch and bound" || e.GroundStates != 2 || len(e.Lowest) != 2 || e.Lowest[0].Energy != e.GroundEnergy {
		t.Errorf("%+v", e)
	}
	var x enumerated
	small := writeFile(t, "c.txt", strings.Join(strings.Split(b.String(), "\n")[:190], "\n")+"\n")
	runJSON(t, &e, "enumerate", small, "--branch-and-bound", "--lowest", "5")
	runJSON(t, &x, "enumerate", small, "--lowest", "5")
	if e.GroundEnergy != x.GroundEnergy || e.GroundStates != x.GroundStates || fmt.Sprint(e.Lowest) != fmt.Sprint(x.Lowest) {
		t.Errorf("branch and bound %+v, exhaustive %+v", e, x)
	}
}

func TestEnumerateBadInput(t *testing.T) {
	good := writeFile(t, "good.txt", "0 1 1\n")
	for _, c := range []struct{ text, flags, want string }{
		{"0 1 x\n", "", "c.txt:1: coupling"},
		{"0 1\n", "", "c.txt:1: 2 values"},
		{"0 1 1\n0 -2 1\n", "", "c.txt:2: \"-2\" is not a spin"},
		{"0 1 3000000000\n1 2 1\n", "", "divided by 2^"},
		{"0 50 1\n", "", "51 spins, want at most"},
		{"2 1\n1 1 1\n", "--input gset", "c.txt:2: vertex 1 is joined to itself"},
		{"0 1 1\n", "--input npy", "c.txt"},
		{"0 1 1\n", "--input mat", "--input"},
		{"0 1 1\n", "--convention other", "--convention"},
		{"0 1 1\n", "--beta -1", "--beta -1"},
		{"0 1 1\n", "--beta x", "--beta"},
		{"0 1 1\n", "--moments", "--moments needs --beta"},
		{"0 1 1\n", "--lowest -1", "--lowest -1"},
		{"0 1 1\n", "--shard 3/2", "--shard"},
		{"0 1 1\n", "--shard 0/9999", "--shard"},
		{"0 1 1\n", "--branch-and-bound --histogram", "--branch-and-bound"},
		{"0 1 1.00001\n0 0 900\n", "--histogram", "a histogram of up to"},
	} {
		badUse(t, "enumerate "+writeFile(t, "c.txt", c.text)+" "+c.flags, c.want)
	}
	badUse(t, "enumerate", "one file")
	badUse(t, "enumerate "+good+" "+good, "one file")
	badUse(t, "enumerate nosuch.txt", "nosuch.txt")
	// 44 spins take too long on the reference backend
	badUse(t, "enumerate --backend ref "+writeFile(t, "c.txt", "0 43 1\n"), "44 spins would take about", "--insist")
}

// The JSON that is written piece by piece is what json.Marshal makes.
func TestEnumerateWritesJSON(t *testing.T) {
	for _, flags := range [][]string{nil, {"--lowest", "3"}, {"--beta", "1"}, {"--beta", "1", "--lowest", "2", "--histogram", "--joint"}} {
		code, stdout, stderr := run(append([]string{"enumerate", torusFile(t), "--format", "json"}, flags...)...)
		var v any
		if err := json.Unmarshal([]byte(stdout), &v); code != 0 || err != nil || strings.Count(stdout, "\n") != 1 || strings.Contains(stdout, ": ") {
			t.Errorf("%v: exit %d, %v: %.200s%s", flags, code, err, stdout, stderr)
		}
	}
	badUse(t, "enumerate "+torusFile(t)+" --lowest 200000", "--format json")
}
