package experiment

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"kadanoff/backend"
	"kadanoff/cmd/internal/document"
	"kadanoff/exact"
	"kadanoff/model/ising"
	"kadanoff/model/npy"
	"kadanoff/model/rbm"
	"kadanoff/model/rg"
	"kadanoff/model/stats"
	"kadanoff/spin"
	"kadanoff/train"
)

// Ring is the settings of the experiment in one dimension.
type Ring struct {
	Size    int       `json:"size"`
	Hidden  int       `json:"hidden"`
	K       couplings `json:"k"`       // that machines are trained at and flows start from
	Samples int       `json:"samples"` // exact configurations that a machine is trained on
	Fresh   int       `json:"fresh"`   // exact configurations that flow from each start

	Rate     float64 `json:"rate"`
	Momentum float64 `json:"momentum"`
	Epochs   int     `json:"epochs"`
	Machines int     `json:"machines"` // of each kind, each with configurations of its own

	FlowSteps int    `json:"flow-steps"`
	Seed      uint64 `json:"seed"`
}

// couplings is a list of numbers, the value of a flag.
type couplings []float64

// String returns the numbers with commas between.
func (l couplings) String() string {
	text := ""
	for i, x := range l {
		if i > 0 {
			text += ","
		}
		text += strconv.FormatFloat(x, 'g', -1, 64)
	}
	return text
}

// NewRing returns the settings that the command's flags begin with.
func NewRing(quick bool) Ring {
	s := Ring{
		Size: 8, Hidden: 4, K: couplings{0.25, 0.5, 1, 1.5}, Samples: 20000, Fresh: 2000,
		Rate: 0.3, Momentum: 0.9, Epochs: 2000, Machines: 5, FlowSteps: 12, Seed: 1,
	}
	if quick {
		s.K, s.Samples, s.Fresh, s.Epochs, s.Machines, s.FlowSteps = couplings{0.5, 1}, 5000, 500, 500, 3, 8
	}
	return s
}

// maxRingUnits bounds the states that exact flows go through.
const maxRingUnits = 20

// Check reports what is wrong, naming the flag.
func (s *Ring) Check() error {
	bad := func(flag string, v any, want string) error { return fmt.Errorf("--%s %v: want %s", flag, v, want) }
	switch {
	case s.Size < 4 || s.Size%2 != 0 || s.Size > maxRingUnits-1:
		return bad("size", s.Size, fmt.Sprintf("an even number of spins from 4 to %d", maxRingUnits-2))
	case s.Hidden < 1 || s.Size+s.Hidden > maxRingUnits:
		return bad("hidden", s.Hidden, fmt.Sprintf("at least 1, and at most %d units in all", maxRingUnits))
	case len(s.K) == 0 || len(s.K) > 64:
		return bad("k", s.K, "1 to 64 couplings")
	case s.Machines < 2 || s.Machines > 1000:
		return bad("machines", s.Machines, "2 to 1000: errors come from their differences")
	case s.Samples < 2 || s.Samples > 1<<24/s.Machines/len(s.K):
		return bad("samples", s.Samples, "at least 2, and at most 2²⁴ for all machines")
	case s.Fresh < 2 || s.Fresh > 1<<20/len(s.K):
		return bad("fresh", s.Fresh, "at least 2, and at most 2²⁰ for all starts")
	case s.FlowSteps < 1 || s.FlowSteps > 1000:
		return bad("flow-steps", s.FlowSteps, "1 to 1000")
	}
	for i, k := range s.K {
		if !(k > 0 && k <= 10) || slices.Contains(s.K[:i], k) {
			return bad("k", s.K, "different couplings above 0 and at most 10")
		}
	}
	c := s.training(ringMachine{kind: full})
	return c.Check()
}

// The kinds of machine.
const (
	full    = "full"    // all weights free
	tied    = "tied"    // one weight, trained
	uniform = "uniform" // one weight, the root W(K)
)

// ringMachine is one machine: its coupling, kind and number.
type ringMachine struct {
	at     int // index of K
	kind   string
	number int
}

func (s *Ring) name(m ringMachine) string {
	return fmt.Sprintf("K%s-%s-%d", strconv.FormatFloat(s.K[m.at], 'g', -1, 64), m.kind, m.number+1)
}

// machines lists the machines of some kinds, one uniform one for each coupling.
func (s *Ring) machines(kinds ...string) []ringMachine {
	var out []ringMachine
	for at := range s.K {
		for _, kind := range kinds {
			for n := range s.Machines {
				if kind != uniform || n == 0 {
					out = append(out, ringMachine{at, kind, n})
				}
			}
		}
	}
	return out
}

// training returns how a machine is trained: down the exact gradient.
func (s *Ring) training(m ringMachine) train.Config {
	t := train.Default()
	t.Hidden, t.Algorithm, t.ExactGradient, t.Tied, t.InitWidth = s.Hidden, "cd", true, m.kind == tied, 0.1
	t.Rate, t.Momentum, t.Epochs, t.Batch = s.Rate, s.Momentum, s.Epochs, s.Samples
	if len(s.K) > m.at {
		t.Seed = seedOf(s.Seed, "machine "+s.name(m))
	}
	return t
}

// ring is an experiment being carried out.
type ring struct {
	Ring
	Options
	*store
	rings, fresh []int8 // [K][machine][configuration][spin], [K][configuration][spin]
}

// RunRing carries out the experiment, from where the folder leaves it, and
// returns its page and tables, which it does not write, with a summary.
func RunRing(ctx context.Context, s Ring, o Options) (*document.Document, *RingSummary, error) {
	if err := s.Check(); err != nil {
		return nil, nil, err
	}
	kept, err := openStore(o.Dir, "ring", &s, o.Log)
	if err != nil {
		return nil, nil, err
	}
	e := &ring{Ring: s, Options: o, store: kept}
	if err := carryOut(ctx, e.draw, e.train, e.flows); err != nil {
		return nil, nil, err
	}
	return e.report(ctx)
}

// draw draws the configurations from their exact distribution.
func (e *ring) draw(ctx context.Context) error {
	for _, part := range []struct {
		name  string
		count int
		to    *[]int8
	}{{"rings", e.Machines * e.Samples, &e.rings}, {"fresh", e.Fresh, &e.fresh}} {
		file := part.name + ".npy"
		n := len(e.K) * part.count
		*part.to = make([]int8, n*e.Size)
		for at, k := range e.K {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := ising.SampleRing((*part.to)[at*part.count*e.Size:(at+1)*part.count*e.Size], e.Size, k, seedOf(e.Seed, part.name+" "+strconv.Itoa(at)), 0); err != nil {
				return err
			}
		}
		if err := e.step(part.name, []string{file}, func() error {
			e.log("%s: %d of %d spins", part.name, n, e.Size)
			return npy.WriteFile(e.path(file), *part.to, n, e.Size)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (e *ring) modelPath(m ringMachine) string {
	return "machines/" + e.name(m) + "/model.safetensors"
}

// train trains the machines that are trained.
func (e *ring) train(ctx context.Context) error {
	list := e.machines(full, tied)
	return e.each(ctx, len(list), func(ctx context.Context, be backend.Backend, i int) error {
		m := list[i]
		name := e.name(m)
		return e.step("train-"+name, []string{e.modelPath(m)}, func() error {
			began := time.Now()
			size := e.Samples * e.Size
			// Machines of both kinds are trained on the same configurations.
			at := (m.at*e.Machines + m.number) * size
			source, err := pack(e.rings[at:at+size], e.Size)
			if err != nil {
				return err
			}
			if _, err := train.Run(ctx, be, e.training(m), source, train.Options{
				Dir: filepath.Dir(e.path(e.modelPath(m))), Resume: true, Name: name, CheckpointTime: time.Minute, Keep: 1,
			}); err != nil {
				return fmt.Errorf("training %s: %w", name, err)
			}
			e.log("machine %s: trained (%v)", name, took(began))
			return nil
		})
	})
}

// ringFile is what a machine's flow leaves.
type ringFile struct {
	Weight     number `json:"weight"`     // mean of all weights
	Spread     number `json:"spread"`     // standard deviation of |W_ia| over its mean
	Divergence number `json:"divergence"` // of the machine from the ring it was trained on, in nats
	// End is the coupling that the machine's own distribution has between
	// neighbours, where the sampled flow goes from any start.
	End number `json:"end"`
	// MeanField is |m| at the end of the mean-field flow, the mean over the
	// configurations of all starts.
	MeanField estimate    `json:"mean_field"`
	Starts    []ringStart `json:"starts"`
}

type ringStart struct {
	K      number      `json:"k"`
	Points []ringPoint `json:"points"`
}

// ringPoint is the coupling after a step of the sampled flow: exactly, for all
// states at once, and in samples.
type ringPoint struct {
	Exact   number   `json:"exact"`
	Sampled estimate `json:"sampled"`
}

func (e *ring) flowPath(m ringMachine) string { return "flows/" + e.name(m) + ".json" }

// machine returns a machine, trained or from the root W(K).
func (e *ring) machine(ctx context.Context, be backend.Backend, m ringMachine) (*spin.Network, *rbm.RBM, error) {
	if m.kind != uniform {
		return load(e.path(e.modelPath(m)), e.Size, e.Hidden)
	}
	w, err := rg.Match(ctx, be, e.Size, e.Hidden, e.K[m.at:m.at+1])
	if err != nil {
		return nil, nil, err
	}
	r := rbm.New(e.Size, e.Hidden)
	for i := range r.W {
		r.W[i] = float32(w[0])
	}
	q, err := quantize(r)
	return q, r, err
}

// flows sends configurations through all machines.
func (e *ring) flows(ctx context.Context) error {
	list := e.machines(full, tied, uniform)
	return e.each(ctx, len(list), func(ctx context.Context, be backend.Backend, i int) error {
		m := list[i]
		return e.step("flow-"+e.name(m), []string{e.flowPath(m)}, func() error {
			network, r, err := e.machine(ctx, be, m)
			if err != nil {
				return err
			}
			out, err := e.flow(ctx, be, m, network, r)
			if err != nil {
				return fmt.Errorf("flow through %s: %w", e.name(m), err)
			}
			e.log("machine %s: flow ends at K = %.4f", e.name(m), float64(out.End))
			return e.put(e.flowPath(m), out)
		})
	})
}

func (e *ring) flow(ctx context.Context, be backend.Backend, m ringMachine, network *spin.Network, r *rbm.RBM) (*ringFile, error) {
	out := new(ringFile)
	machine := Exact(r)
	out.Weight, out.Spread = weights(machine.W)
	q, err := exact.RingStates(e.Size, e.K[m.at])
	if err != nil {
		return nil, err
	}
	kl, _, err := machine.Divergence(q)
	if err != nil {
		return nil, err
	}
	own, err := machine.VisibleDistribution()
	if err != nil {
		return nil, err
	}
	out.Divergence, out.End = number(kl), number(rg.CouplingOf(neighbours(own, e.Size), e.Size))

	chains := len(e.K) * e.Fresh
	x := make([]float64, chains*e.Size)
	fill := func() {
		for i, s := range e.fresh {
			x[i] = float64(s)
		}
	}
	fill()
	next, closing, err := stepper(be, network, sampled, seedOf(e.Seed, "flow "+e.name(m)), x)
	if err != nil {
		return nil, err
	}
	defer closing()
	distributions := make([][]float64, len(e.K))
	for k, coupling := range e.K {
		out.Starts = append(out.Starts, ringStart{K: number(coupling)})
		if distributions[k], err = exact.RingStates(e.Size, coupling); err != nil {
			return nil, err
		}
	}
	walls := make([]float64, chains)
	for step := range e.FlowSteps + 1 {
		if step > 0 {
			if err := next(ctx); err != nil {
				return nil, err
			}
			for k, p := range distributions {
				distributions[k] = half(machine.Transpose(), half(machine, p))
			}
		}
		for c := range walls {
			walls[c] = 0
			row := x[c*e.Size : (c+1)*e.Size]
			for i, v := range row {
				walls[c] += v * row[(i+1)%e.Size] / float64(e.Size)
			}
		}
		for k := range e.K {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			part := walls[k*e.Fresh : (k+1)*e.Fresh]
			b, err := stats.Bootstrap([]int{e.Fresh}, bootstraps, seedOf(e.Seed, fmt.Sprintf("bootstrap %s %d %d", e.name(m), k, step)), func(draws [][]int) float64 {
				sum := 0.
				for _, i := range draws[0] {
					sum += part[i]
				}
				return rg.CouplingOf(sum/float64(e.Fresh), e.Size)
			})
			if err != nil {
				return nil, err
			}
			out.Starts[k].Points = append(out.Starts[k].Points, ringPoint{
				Exact:   number(rg.CouplingOf(neighbours(distributions[k], e.Size), e.Size)),
				Sampled: estimate{number(b.Value), number(b.Error)},
			})
		}
	}

	fill()
	if err := be.Means(ctx, backend.MeansJob{Network: network, Chains: chains, Steps: meanFieldSteps, Visible: x}); err != nil {
		return nil, err
	}
	m2 := make([]float64, chains)
	for c := range m2 {
		for _, v := range x[c*e.Size : (c+1)*e.Size] {
			m2[c] += v / float64(e.Size)
		}
		m2[c] = math.Abs(m2[c])
	}
	out.MeanField = average(m2)
	return out, nil
}

// meanFieldSteps takes the mean-field flow to its fixed point.
const meanFieldSteps = 500

// weights returns the mean of weights and the standard deviation of their
// absolute values over their mean.
func weights(w []float64) (mean, spread number) {
	var sum, abs, square float64
	for _, x := range w {
		sum, abs, square = sum+x, abs+math.Abs(x), square+float64(x*x)
	}
	n := float64(len(w))
	variance := math.Max(0, square/n-float64(abs/n)*(abs/n))
	return number(sum / n), number(math.Sqrt(variance) / (abs / n))
}

// neighbours returns the mean correlation of neighbours on a ring under a
// distribution over its states; bit i of a state is spin i.
func neighbours(p []float64, size int) float64 {
	sum := 0.
	for state, q := range p {
		turned := state>>1 | state&1<<(size-1)
		sum += float64(q * float64(size-2*bits.OnesCount(uint(state^turned))))
	}
	return sum / float64(size)
}

// half takes a distribution over the visible states of a machine to that over
// its hidden states, each unit drawn from its conditional probability.
func half(r exact.RBM, p []float64) []float64 {
	out := make([]float64, 1<<r.Hidden)
	part := make([]float64, 1<<r.Hidden)
	v, up := make([]float64, r.Visible), make([]float64, r.Hidden)
	for state, q := range p {
		for i := range v {
			v[i] = float64(state>>i&1*2 - 1)
		}
		r.HiddenProbabilities(up, v)
		part[0] = q
		for a, u := range up {
			for s := range 1 << a {
				part[s|1<<a] = part[s] * u
				part[s] *= 1 - u
			}
		}
		for s, x := range part {
			out[s] += x
		}
	}
	return out
}
