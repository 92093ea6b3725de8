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
