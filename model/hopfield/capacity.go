package hopfield

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"kadanoff/backend"
)

// Retrieved is the overlap from which a pattern counts as kept: at Hebb's
// capacity overlaps jump from 0.97 to about 0.35.
const Retrieved = 0.9

// Experiment measures how well random patterns are kept at one size and load.
type Experiment struct {
	Units, Patterns int
	Nets            int    // independent sets of patterns, at least 2 for errors
	PseudoInverse   bool   // the rule by which they are stored; Hebb otherwise
	Flips           int    // units turned over in each probe; 0 asks whether patterns stay
	MaxSweeps       int    // as in RecallOptions
	Seed            uint64 // of patterns and probes
	Dynamics        Dynamics
}

// Measured is a mean over independent networks with its standard error.
type Measured struct{ Mean, Error float64 }

// Kept is what an Experiment has found. Every pattern of every network is
// probed.
type Kept struct {
	Load      float64  // patterns for each unit
	Overlap   Measured // of the final state with the pattern
	Retrieved Measured // fraction of patterns with overlap of at least Retrieved
	Settled   Measured // fraction of probes that have come to rest
	Sweeps    Measured // updates of every unit until then
}

// Run carries out the experiment.
func (e Experiment) Run(ctx context.Context, b backend.Backend) (*Kept, error) {
	if e.Units < 1 || e.Patterns < 1 || e.Nets < 2 {
		return nil, fmt.Errorf("%d networks of %d units with %d patterns, want at least 2, 1 and 1", e.Nets, e.Units, e.Patterns)
	}
	var overlap, retrieved, settled, sweeps sample
	for k := range e.Nets {
		rng := rand.New(rand.NewPCG(e.Seed, uint64(k)))
		p := Random(rng, e.Units, e.Patterns)
		probes, err := p.Corrupt(rng, e.Flips)
		if err != nil {
			return nil, err
		}
		n, err := e.learn(p)
		if err != nil {
			return nil, err
		}
		r, err := n.Recall(ctx, b, probes.Batch(), RecallOptions{Dynamics: e.Dynamics, MaxSweeps: e.MaxSweeps})
		if err != nil {
			return nil, err
		}
		var m, kept, rest, updates float64
		for c, x := range p.Overlaps(r.States) {
			m += x
			if x >= Retrieved {
				kept++
			}
			if r.Settled[c] {
				rest++
			}
			updates += float64(r.Sweeps[c])
		}
		count := float64(e.Patterns)
		overlap.add(m / count)
		retrieved.add(kept / count)
		settled.add(rest / count)
		sweeps.add(updates / count)
	}
	return &Kept{
		Load: float64(e.Patterns) / float64(e.Units), Overlap: overlap.measured(),
		Retrieved: retrieved.measured(), Settled: settled.measured(), Sweeps: sweeps.measured(),
	}, nil
}

func (e Experiment) learn(p Patterns) (*Net, error) {
	if e.PseudoInverse {
		return PseudoInverse(p)
	}
	return Hebb(p, 1/float64(e.Units))
}

// Crossing estimates the capacity from the fractions retrieved at two sizes:
// below the capacity the larger network keeps more, above it fewer, so the
// curves cross near it, however they are rounded off by their finite sizes.
// It returns the zero of the line that fits the difference, weighted by its
// errors, over all loads, which should lie close around it; both sizes must
// have been measured at the same loads, up to a thousandth.
func Crossing(small, large []*Kept) (Measured, error) {
	if len(small) != len(large) || len(small) < 2 {
		return Measured{}, fmt.Errorf("%d and %d loads, want the same ones, at least two", len(small), len(large))
	}
	// Difference = a + b (load − centre), centre chosen to make a and b
	// independent.
	var weight, centre float64
	w, x, y := make([]float64, len(small)), make([]float64, len(small)), make([]float64, len(small))
	for i := range small {
		if math.Abs(small[i].Load-large[i].Load) > 1e-3 {
			return Measured{}, fmt.Errorf("loads %.4g and %.4g, want the same ones", small[i].Load, large[i].Load)
		}
		v := small[i].Retrieved.Error*small[i].Retrieved.Error + large[i].Retrieved.Error*large[i].Retrieved.Error
		if !(v > 0) {
			return Measured{}, fmt.Errorf("load %.4g: no error of the fractions retrieved, want a load nearer to the capacity", small[i].Load)
		}
		w[i], x[i], y[i] = 1/v, (small[i].Load+large[i].Load)/2, large[i].Retrieved.Mean-small[i].Retrieved.Mean
		weight += w[i]
		centre += float64(w[i] * x[i])
	}
	centre /= weight
	var a, b, spread float64
	for i := range w {
		d := x[i] - centre
		a += float64(w[i] * y[i])
		b += float64(w[i] * d * y[i])
		spread += float64(w[i] * d * d)
	}
	if !(spread > 0) {
		return Measured{}, fmt.Errorf("all loads are %.4g, want at least two", centre)
	}
	a, b = a/weight, b/spread
	errA, errB := 1/math.Sqrt(weight), 1/math.Sqrt(spread)
	if !(b < -2*errB) {
		return Measured{}, fmt.Errorf("the difference between the sizes changes by %.3g ± %.3g with the load, want a fall: loads further apart, or more networks", b, errB)
	}
	zero := -a / b
	return Measured{centre + zero, math.Hypot(errA, zero*errB) / math.Abs(b)}, nil
}

// sample collects one number of each network.
type sample []float64

func (s *sample) add(x float64) { *s = append(*s, x) }

func (s sample) measured() Measured {
	n := float64(len(s))
	mean, square := 0., 0.
	for _, x := range s {
		mean += x
	}
	mean /= n
	for _, x := range s {
		square += float64((x - mean) * (x - mean))
	}
	return Measured{mean, math.Sqrt(square / (n - 1) / n)}
}
