package experiment

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/cpu"
	"kadanoff/exact"
	"kadanoff/model/modelfile"
	"kadanoff/model/rbm"
	"kadanoff/model/rg"
)

func TestIsoChecks(t *testing.T) {
	for _, s := range []Iso{NewIso(10, false), NewIso(10, true), NewIso(4, true), NewIso(16, false), small()} {
		if err := s.Check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if s := NewIso(10, false); !slices.Equal(s.Hidden, list{16, 64, 100, 225, 400}) {
		t.Errorf("hidden sizes %v", s.Hidden)
	}
	for flag, change := range map[string]func(s *Iso){
		"--lattice 5":       func(s *Iso) { s.Lattice = 5 },
		"--lattice 18":      func(s *Iso) { s.Lattice = 18 },
		"--temperatures 2":  func(s *Iso) { s.Temperatures = 2 },
		"--t-max 2":         func(s *Iso) { s.TMax = 2 },
		"--t-max NaN":       func(s *Iso) { s.TMax = math.NaN() },
		"--samples 1:":      func(s *Iso) { s.Samples = 1 },
		"--samples 1000000": func(s *Iso) { s.Samples = 1e9 },
		"--sweeps -1":       func(s *Iso) { s.Sweeps = -1 },
		"--fresh 1":         func(s *Iso) { s.Fresh = 1 },
		"--hidden 2000":     func(s *Iso) { s.Hidden = list{2000} },
		"--hidden :":        func(s *Iso) { s.Hidden = nil },
		"--machines 0":      func(s *Iso) { s.Machines = 0 },
		"--thermometer :":   func(s *Iso) { s.Thermometer = nil },
		"--thermometer-ep":  func(s *Iso) { s.ThermometerEpochs = 0 },
		"--flow-steps 0":    func(s *Iso) { s.FlowSteps = 0 },
		"--algorithm x":     func(s *Iso) { s.Algorithm = "x" },
		"--rate 0":          func(s *Iso) { s.Rate = 0 },
		"--epochs 0":        func(s *Iso) { s.Epochs = 0 },
		"--init-width -1":   func(s *Iso) { s.InitWidth = -1 },
	} {
		s := NewIso(10, false)
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), flag) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want one line that says %q", err, flag)
		}
	}
}

// The published grid gives the published sets; each kind of machine is there
// once.
func TestSets(t *testing.T) {
	s := NewIso(10, false)
	sets := s.sets()
	for i, want := range []struct {
		name, says string
		n          int
	}{{"all", "T = 0 … 6", 25}, {"cold", "T = 0 … 2", 9}, {"hot", "T = 4 … 6", 9}, {"cut", "all but T = 2.25", 24}} {
		if sets[i].name != want.name || s.says(sets[i]) != want.says || len(sets[i].index) != want.n {
			t.Errorf("set %d: %s, %s, %d temperatures", i, sets[i].name, s.says(sets[i]), len(sets[i].index))
		}
	}
	var names []string
	for _, c := range s.cells() {
		names = append(names, c.String())
	}
	if want := "all-spin-16 all-spin-64 all-spin-100 all-spin-225 all-spin-400 cold-spin-100 hot-spin-100 cut-spin-100 all-binary-100 cold-binary-100 hot-binary-100 cut-binary-100"; strings.Join(names, " ") != want {
		t.Errorf("machines %v", names)
	}
	// A grid without enough hot temperatures has no hot set.
	s.TMax = 3
	if names := s.sets(); len(names) != 3 || names[2].name != "cut" {
		t.Errorf("sets up to T = 3: %v", names)
	}
	s.TMax, s.Temperatures = 6, 4
	if got := s.starts(); !slices.Equal(got, []int{0, 1, 2, 3}) {
		t.Errorf("starts %v", got)
	}
}

func TestRecorded(t *testing.T) {
	for steps, want := range map[int][]int{1: {0, 1}, 2: {0, 1, 2}, 5: {0, 1, 2, 3, 5}, 20: {0, 1, 2, 3, 4, 6, 9, 13, 20}} {
		if got := recorded(steps); !slices.Equal(got, want) {
			t.Errorf("%d steps: %v, want %v", steps, got, want)
		}
	}
	for steps := 1; steps < 500; steps++ {
		if got := recorded(steps); !slices.IsSorted(got) || len(slices.Compact(got)) != len(got) || got[1] != 1 || got[len(got)-1] != steps {
			t.Errorf("%d steps: %v", steps, got)
		}
	}
}

// Where flows go, and with which error, on readings made up with known means
// and deviations: three starts at T = 1, 2 and 4 drift by +0.3, +0.1 and −0.2 in
// a step, so the line through them falls through zero at 2 + 2/3.
func TestConclude(t *testing.T) {
	const each = 5000
	temperatures, drift := []float64{1, 2, 4}, []float64{0.3, 0.1, -0.2}
	rng := rand.New(rand.NewPCG(3, 9))
	p := &path{}
	readings := [][]float64{{}, {}, {}}
	energy := []float64{}
	for k, x := range temperatures {
		p.Starts = append(p.Starts, start{Temperature: number(x)})
		for range each {
			before := x + 0.7*rng.NormFloat64()
			readings[0] = append(readings[0], before)
			readings[1] = append(readings[1], before+drift[k]+0.5*rng.NormFloat64())
			readings[2] = append(readings[2], 2.5+0.25*float64(k)+0.4*rng.NormFloat64())
			energy = append(energy, -1.4+0.1*rng.NormFloat64())
		}
	}
	table, err := newEnergies(6, 6)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.conclude(readings, energy, table, each, 1); err != nil {
		t.Fatal(err)
	}
	draws := math.Sqrt(each)
	// The zero z = 2 + 2d/(d+e) of drifts d and −e; its derivatives are
	// 2e/(d+e)² = 40/9 with respect to d and 2d/(d+e)² = 20/9 to −e.
	fixed := 0.5 / draws * math.Hypot(40./9, 20./9)
	bath, err := exact.NewTorus(6, table.temperature(-1.4))
	if err != nil {
		t.Fatal(err)
	}
	warm, err := exact.NewTorus(6, table.temperature(-1.4)+0.01)
	if err != nil {
		t.Fatal(err)
	}
	slope := 0.01 / (warm.Energy() - bath.Energy())
	if math.Abs(bath.Energy()+1.4) > 2e-4 {
		t.Errorf("the table's temperature has the energy %v, want -1.4", bath.Energy())
	}
	for name, c := range map[string]struct {
		got         estimate
		want, error float64
	}{
		"end":    {p.End, 2.75, 0.4 / draws / math.Sqrt(3)},
		"memory": {p.Memory, 0.5, 0.4 / draws * math.Sqrt2},
		"energy": {p.EndEnergy, table.temperature(-1.4), 0.1 / draws / math.Sqrt(3) * slope},
		"fixed":  {p.Fixed, 2 + 2./3, fixed},
	} {
		if math.Abs(float64(c.got.Value)-c.want) > 5*c.error {
			t.Errorf("%s is %v ± %v, want %v ± %v", name, c.got.Value, c.got.Error, c.want, c.error)
		}
		if r := float64(c.got.Error) / c.error; math.Abs(r-1) > 5/math.Sqrt(2*bootstraps) {
			t.Errorf("%s has the error %v, want %v", name, c.got.Error, c.error)
		}
	}
	if p.Lost != 0 {
		t.Errorf("%d replicas without a fixed point", p.Lost)
	}
	if x := root([]float64{0, 1, 2}, []float64{1, 0.5, 0.1}); !math.IsNaN(x) {
		t.Errorf("a fixed point at %v where all is heated", x)
	}
}

func TestEnergies(t *testing.T) {
	s, err := newEnergies(10, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []float64{0.8, 1.5, 2.2691, 3.7, 6, 11} {
		torus, err := exact.NewTorus(10, x)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.temperature(torus.Energy()); math.Abs(got-x) > 1e-4*x {
			t.Errorf("T = %v comes back as %v", x, got)
		}
	}
	if s.temperature(-2) != 0 || !math.IsNaN(s.temperature(0)) {
		t.Errorf("ends of the table: %v, %v", s.temperature(-2), s.temperature(0))
	}
	if e, m := observe([]float64{1, 1, -1, 1, 1, 1, 1, 1, 1}, 3); e != -10./9 || m != 7./9 {
		t.Errorf("energy %v and |m| %v of one spin turned over", e, m)
	}
}

// One step of the sampled flow of a machine that copies each visible unit to a
// hidden one of its own is the identity, so hidden units are drawn first; the
// mean-field step is its definition.
func TestStepper(t *testing.T) {
	be, err := cpu.New(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	const n, chains = 7, 3
	copying := rbm.New(n, n)
	for i := range n {
		copying.W[i*n+i] = 20
	}
	rng := rand.New(rand.NewPCG(1, 5))
	x := make([]float64, chains*n)
	for i := range x {
		x[i] = float64(2*rng.IntN(2) - 1)
	}
	want := slices.Clone(x)
	q, err := quantize(copying)
	if err != nil {
		t.Fatal(err)
	}
	next, closing, err := stepper(be, q, sampled, 1, x)
	if err != nil {
		t.Fatal(err)
	}
	defer closing()
	for range 3 {
		if err := next(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(x, want) {
		t.Error("a machine that copies has changed configurations")
	}

	other := rbm.New(n, 5)
	for i := range other.W {
		other.W[i] = float32(rng.IntN(64)-32) / 64
	}
	if q, err = quantize(other); err != nil {
		t.Fatal(err)
	}
	next, _, err = stepper(be, q, meanField, 1, x)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for c := range chains {
			row := want[c*n : (c+1)*n]
			rg.Reconstruct(row, row, other)
		}
		if err := next(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range x {
		if math.Abs(x[i]-want[i]) > 1e-12 {
			t.Fatalf("value %d is %v, want %v", i, x[i], want[i])
		}
	}
}

func TestSpectrum(t *testing.T) {
	const m, n, w = 6, 4, 0.25
	weights := make([]float32, m*n)
	for i := range weights {
		weights[i] = w
	}
	values, overlap, err := spectrum(weights, m, n)
	if err != nil || len(values) != m || math.Abs(float64(values[0])-w*w*m*n) > 1e-12 || math.Abs(float64(overlap)-1) > 1e-12 {
		t.Errorf("eigenvalues %v, overlap %v, %v", values, overlap, err)
	}
	for _, x := range values[1:] {
		if math.Abs(float64(x)) > 1e-12 {
			t.Errorf("eigenvalues %v of uniform weights", values)
		}
	}
	diagonal := make([]float32, 9)
	diagonal[0], diagonal[4], diagonal[8] = 1, -3, 2
	if values, overlap, err = spectrum(diagonal, 3, 3); err != nil || math.Abs(float64(values[0])-9) > 1e-12 || math.Abs(float64(values[2])-1) > 1e-12 || math.Abs(float64(overlap)-1./3) > 1e-12 {
		t.Errorf("eigenvalues %v, overlap %v, %v", values, overlap, err)
	}
}

// The uniform weights of the published grid on the 4×4 torus, from counts of
// its states with 40 digits, and from configurations within their errors.
func TestUniformTheory(t *testing.T) {
	s := NewIso(4, true)
	s.Samples, s.Sweeps, s.Hidden = 400, 200, list{4, 8, 16}
	store, err := openStore(t.TempDir(), "iso", &s, func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	e := &iso{Iso: s, Options: options("", 2, nil), store: store}
	for _, step := range []func(context.Context) error{e.draw, e.theory} {
		if err := step(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	var got []uniformTheory
	if err := e.get(theoryFile, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"all 4": 0.209639589427994067, "all 8": 0.125437316351776660, "all 16": 0.0809995150927611389,
		"cold 16": 0.155149176255396607, "hot 16": 0.0578695684524735397, "cut 16": 0.0805035729988999638,
	}
	if len(got) != len(want) {
		t.Errorf("%d machines, want %d", len(got), len(want))
	}
	for _, u := range got {
		w := want[fmt.Sprint(u.Set, " ", u.Hidden)]
		if math.Abs(float64(u.Exact)/w-1) > 1e-13 {
			t.Errorf("%s, N = %d: exact W %v, want %v", u.Set, u.Hidden, u.Exact, w)
		}
		if !(math.Abs(float64(u.W.Value)-w) < 5*float64(u.W.Error)) || !(float64(u.W.Error) < 0.03*w) {
			t.Errorf("%s, N = %d: W %v ± %v, want %v", u.Set, u.Hidden, u.W.Value, u.W.Error, w)
		}
		if order := u.Gain.Value > 1; order != (u.Set != "hot") || (u.Fixed.Value > 0) != order {
			t.Errorf("%s: W²MN %v, m* %v", u.Set, u.Gain.Value, u.Fixed.Value)
		}
	}
}

// {0,1} machines begin with the weights of ±1 machines and make the same steps.
func TestConventions(t *testing.T) {
	s := NewIso(10, false)
	a, b := s.training(cell{hidden: 5, units: modelfile.Spin}, 0), s.training(cell{hidden: 5, units: modelfile.Binary}, 0)
	if b.Rate != 16*a.Rate || b.InitWidth != 4*a.InitWidth || a.Seed == b.Seed {
		t.Errorf("rates %v and %v, widths %v and %v", a.Rate, b.Rate, a.InitWidth, b.InitWidth)
	}
}
