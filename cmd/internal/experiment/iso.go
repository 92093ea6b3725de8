package experiment

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"kadanoff/backend"
	"kadanoff/cmd/internal/document"
	"kadanoff/exact"
	"kadanoff/model/modelfile"
	"kadanoff/train"
)

// Iso is the settings of the experiment in two dimensions.
type Iso struct {
	Lattice      int     `json:"lattice"`
	Temperatures int     `json:"temperatures"` // of the training set, from 0 to TMax in equal steps
	TMax         float64 `json:"t-max"`
	Samples      int     `json:"samples"` // configurations at each temperature
	Sweeps       int     `json:"sweeps"`  // of Metropolis before a configuration is taken
	Fresh        int     `json:"fresh"`   // configurations at each temperature that no network has seen

	Hidden    list    `json:"hidden"` // sizes of the machines
	Algorithm string  `json:"algorithm"`
	Rate      float64 `json:"rate"`       // of ±1 units; {0,1} units have 16 times as much
	InitWidth float64 `json:"init-width"` // of ±1 weights
	Epochs    int     `json:"epochs"`
	Machines  int     `json:"machines"` // of each kind, from different seeds

	Thermometer       list `json:"thermometer"` // its hidden layers
	ThermometerEpochs int  `json:"thermometer-epochs"`

	FlowSteps int    `json:"flow-steps"`
	Seed      uint64 `json:"seed"`
}

// NewIso returns the settings that the command's flags begin with. The hidden
// sizes of a lattice of side L are near those published for L = 10.
func NewIso(lattice int, quick bool) Iso {
	s := Iso{
		Lattice: lattice, Temperatures: 25, TMax: 6, Samples: 1000, Sweeps: 1000, Fresh: 200,
		Algorithm: "cd", Rate: 0.01, InitWidth: 0.01, Epochs: 400, Machines: 3,
		Thermometer: list{512, 256, 64}, ThermometerEpochs: 10, FlowSteps: 200, Seed: 1,
	}
	ratios := []float64{0.4, 0.8, 1, 1.5, 2}
	if quick {
		s.Samples, s.Sweeps, s.Fresh, s.Rate, s.Epochs, s.Machines = 400, 500, 50, 0.05, 80, 2
		s.Thermometer, s.ThermometerEpochs, s.FlowSteps = list{128, 64}, 15, 60
		ratios = []float64{0.8, 1, 1.5}
	}
	for _, r := range ratios {
		s.Hidden = append(s.Hidden, max(1, int(math.Round(float64(r*float64(lattice))*float64(r*float64(lattice))))))
	}
	s.Hidden = slices.Compact(s.Hidden)
	return s
}

// Limits of the experiment.
const (
	maxLattice = 16 // the exact theory takes 256 visible units
	maxSpins   = 1 << 28
)

// Check reports what is wrong, naming the flag.
func (s *Iso) Check() error {
	bad := func(flag string, v any, want string) error { return fmt.Errorf("--%s %v: want %s", flag, v, want) }
	switch {
	case s.Lattice < 4 || s.Lattice > maxLattice || s.Lattice%2 != 0:
		return bad("lattice", s.Lattice, fmt.Sprintf("an even side from 4 to %d", maxLattice))
	case s.Temperatures < 3 || s.Temperatures > 1000:
		return bad("temperatures", s.Temperatures, "3 to 1000")
	case !(s.TMax > exact.TcSquare) || s.TMax > 1000:
		return bad("t-max", s.TMax, "above the critical temperature, 2.27, and at most 1000")
	case s.Samples < 2:
		return bad("samples", s.Samples, "at least 2")
	case s.Sweeps < 0 || s.Sweeps > 1e9:
		return bad("sweeps", s.Sweeps, "0 to 10⁹")
	case s.Fresh < 2:
		return bad("fresh", s.Fresh, "at least 2")
	case len(s.Hidden) == 0 || slices.Max(s.Hidden) > backend.MaxRootsHidden:
		return bad("hidden", s.Hidden, fmt.Sprintf("sizes from 1 to %d", backend.MaxRootsHidden))
	case s.Machines < 1 || s.Machines > 1000:
		return bad("machines", s.Machines, "1 to 1000")
	case len(s.Thermometer) == 0 || len(s.Thermometer) > 16 || slices.Max(s.Thermometer) > 1<<14:
		return bad("thermometer", s.Thermometer, "1 to 16 layers of at most 16384 units")
	case s.ThermometerEpochs < 1:
		return bad("thermometer-epochs", s.ThermometerEpochs, "at least 1")
	case s.FlowSteps < 1 || s.FlowSteps > 1e6:
		return bad("flow-steps", s.FlowSteps, "1 to 1000000")
	}
	sites := s.Lattice * s.Lattice
	for _, c := range []struct {
		flag string
		n    int
	}{{"samples", s.Samples}, {"fresh", s.Fresh}} {
		if c.n > maxSpins/sites/s.Temperatures {
			return bad(c.flag, c.n, fmt.Sprintf("at most 2²⁸ spins, %d configurations at each of %d temperatures", maxSpins/sites/s.Temperatures, s.Temperatures))
		}
	}
	c := s.training(cell{hidden: 1, units: modelfile.Spin}, 0)
	return c.Check()
}

// grid returns the temperatures of the training set.
func (s *Iso) grid() []float64 {
	t := make([]float64, s.Temperatures)
	for i := range t {
		t[i] = float64(s.TMax*float64(i)) / float64(s.Temperatures-1)
	}
	return t
}

// trainingSet is some of the temperatures of the grid.
type trainingSet struct {
	name  string
	index []int
}

// sets returns the training sets: all temperatures; cold, up to 2; hot, from 4;
// and cut, all but the one nearest to the critical temperature. A set of fewer
// than two temperatures is left out.
func (s *Iso) sets() []trainingSet {
	t := s.grid()
	nearest := 0
	for i, x := range t {
		if math.Abs(x-exact.TcSquare) < math.Abs(t[nearest]-exact.TcSquare) {
			nearest = i
		}
	}
	var out []trainingSet
	for _, c := range []struct {
		name string
		in   func(i int) bool
	}{
		{"all", func(int) bool { return true }},
		{"cold", func(i int) bool { return t[i] <= 2 }},
		{"hot", func(i int) bool { return t[i] >= 4 }},
		{"cut", func(i int) bool { return i != nearest }},
	} {
		set := trainingSet{name: c.name}
		for i := range t {
			if c.in(i) {
				set.index = append(set.index, i)
			}
		}
		if len(set.index) > 1 {
			out = append(out, set)
		}
	}
	return out
}

// says describes a set's temperatures.
func (s *Iso) says(set trainingSet) string {
	t := s.grid()
	if set.name == "cut" {
		for i := range t {
			if !slices.Contains(set.index, i) {
				return "all but T = " + short(t[i])
			}
		}
	}
	return "T = " + short(t[set.index[0]]) + " … " + short(t[set.index[len(set.index)-1]])
}

func short(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

// cell is one kind of machine: what it was trained on, how, and its size.
type cell struct {
	set    trainingSet
	units  modelfile.Units
	hidden int
}

func (c cell) String() string { return fmt.Sprintf("%s-%s-%d", c.set.name, c.units, c.hidden) }

// middle returns the size nearest to that of the visible layer.
func (s *Iso) middle() int {
	best := s.Hidden[0]
	distance := func(n int) int { return max(n-s.Lattice*s.Lattice, s.Lattice*s.Lattice-n) }
	for _, n := range s.Hidden {
		if distance(n) < distance(best) {
			best = n
		}
	}
	return best
}

// cells lists the machines: all sizes on all temperatures, and the size nearest
// to the visible layer's on every set, in both conventions.
func (s *Iso) cells() []cell {
	sets := s.sets()
	var out []cell
	for _, n := range s.Hidden {
		out = append(out, cell{sets[0], modelfile.Spin, n})
	}
	for _, units := range []modelfile.Units{modelfile.Spin, modelfile.Binary} {
		for k, set := range sets {
			if k > 0 || units != modelfile.Spin {
				out = append(out, cell{set, units, s.middle()})
			}
		}
	}
	return out
}

// training returns how a machine is trained.
func (s *Iso) training(c cell, number int) train.Config {
	t := train.Default()
	t.Hidden, t.Units, t.Algorithm, t.Rate, t.Epochs, t.InitWidth = c.hidden, c.units, s.Algorithm, s.Rate, s.Epochs, s.InitWidth
	if c.units == modelfile.Binary {
		// The same step and the same weights of ±1 units.
		t.Rate, t.InitWidth = 16*s.Rate, 4*s.InitWidth
	}
	t.Seed = seedOf(s.Seed, fmt.Sprintf("machine %v-%d", c, number))
	return t
}

// machine is one of the machines of a cell.
type machine struct {
	cell
	number int
}

func (m machine) String() string { return fmt.Sprintf("%v-%d", m.cell, m.number+1) }

func (s *Iso) machines() []machine {
	var out []machine
	for _, c := range s.cells() {
		for k := range s.Machines {
			out = append(out, machine{c, k})
		}
	}
	return out
}

// iso is an experiment being carried out.
type iso struct {
	Iso
	Options
	*store
	configurations, fresh []int8 // [temperature][configuration][site]
}

// RunIso carries out the experiment, from where the folder leaves it, and
// returns its page and tables, which it does not write, with a summary.
func RunIso(ctx context.Context, s Iso, o Options) (*document.Document, *IsoSummary, error) {
	if err := s.Check(); err != nil {
		return nil, nil, err
	}
	kept, err := openStore(o.Dir, "iso", &s, o.Log)
	if err != nil {
		return nil, nil, err
	}
	e := &iso{Iso: s, Options: o, store: kept}
	if err := carryOut(ctx, e.draw, e.thermometer, e.train, e.flows, e.theory); err != nil {
		return nil, nil, err
	}
	return e.report()
}

// took rounds a time for a message.
func took(since time.Time) time.Duration { return time.Since(since).Round(100 * time.Millisecond) }
