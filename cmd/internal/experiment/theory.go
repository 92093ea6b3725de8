package experiment

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"kadanoff/backend"
	"kadanoff/exact"
	"kadanoff/model/rg"
)

// uniformTheory is the machine of one weight W for all pairs that comes closest
// to a training set, and where its flow goes (eqs 69, 75–77).
type uniformTheory struct {
	Set      string   `json:"set"`
	Hidden   int      `json:"hidden"`
	W        estimate `json:"w"`
	Critical number   `json:"critical_w"` // 1/√(MN)
	Gain     estimate `json:"w2mn"`       // W²MN: the flow leaves m = 0 above 1
	Fixed    estimate `json:"m"`          // fixed point of the flow
	// Exact is W for infinitely many configurations, where the states of the
	// lattice can be counted.
	Exact number `json:"exact_w"`
}

const theoryFile = "theory.json"

// theory solves for the uniform machines: exactly for the configurations of
// each training set, with the bootstrap error of their being so many.
func (e *iso) theory(ctx context.Context) error {
	return e.step("theory", []string{theoryFile}, func() error {
		be, err := e.Open(e.Threads)
		if err != nil {
			return err
		}
		defer be.Close()
		var out []uniformTheory
		for _, set := range e.sets() {
			weights := e.magnetizations(set)
			for _, n := range e.Hidden {
				if set.name != "all" && n != e.middle() {
					continue
				}
				u, err := e.uniform(ctx, be, set, n, weights)
				if err != nil {
					return fmt.Errorf("uniform machine of %d hidden units for %s: %w", n, set.name, err)
				}
				out = append(out, *u)
			}
		}
		e.log("theory: solved")
		return e.put(theoryFile, out)
	})
}

// magnetizations counts |V| = M, M−2, … in a training set, and in replicas of
// it that are drawn from each temperature's configurations with replacement:
// [|V|][1 + replicas].
func (e *iso) magnetizations(set trainingSet) []float64 {
	sites := e.Lattice * e.Lattice
	counts := make([][]float64, 1+bootstraps)
	for r := range counts {
		counts[r] = make([]float64, sites/2+1)
	}
	rng := rand.New(rand.NewPCG(seedOf(e.Seed, "magnetisations of "+set.name), 0))
	for _, t := range set.index {
		list := make([]int, e.Samples)
		for c := range list {
			v := 0
			for _, s := range e.configurations[(t*e.Samples+c)*sites:][:sites] {
				v += int(s)
			}
			list[c] = (sites - max(v, -v)) / 2
			counts[0][list[c]]++
		}
		for r := 1; r < len(counts); r++ {
			resample(rng, counts[r], list)
		}
	}
	weights := make([]float64, len(counts[0])*len(counts))
	for r, list := range counts {
		for j, n := range list {
			weights[j*len(counts)+r] = n
		}
	}
	return weights
}

// uniform solves for one machine.
func (e *iso) uniform(ctx context.Context, be backend.Backend, set trainingSet, hidden int, weights []float64) (*uniformTheory, error) {
	sites := e.Lattice * e.Lattice
	w := make([]float64, 1+bootstraps)
	job := backend.RootsJob{Visible: sites, Hidden: hidden, Count: len(w), Weight: weights}
	if err := be.Roots(ctx, job, backend.RootsResult{W: w}); err != nil {
		return nil, err
	}
	gain, fixed := make([]float64, len(w)), make([]float64, len(w))
	for i, x := range w {
		f, err := rg.NewUniformFlow(sites, hidden, x)
		if err != nil {
			return nil, err
		}
		gain[i] = float64(x*x) * float64(sites) * float64(hidden)
		fixed[i], _ = f.FixedPoint()
	}
	u := &uniformTheory{
		Set: set.name, Hidden: hidden, Critical: number(rg.CriticalW(sites, hidden)), Exact: number(math.NaN()),
		W: spread(w), Gain: spread(gain), Fixed: spread(fixed),
	}
	if e.Lattice <= exactLattice {
		d, err := exact.TorusDensity(e.Lattice)
		if err != nil {
			return nil, err
		}
		parts, shares := make([]*exact.Marginal, len(set.index)), make([]float64, len(set.index))
		for k, t := range set.index {
			if parts[k], err = d.AtTemperature(e.grid()[t]); err != nil {
				return nil, err
			}
			shares[k] = 1
		}
		mixed, err := exact.Mix(shares, parts...)
		if err != nil {
			return nil, err
		}
		root, err := mixed.Solve(hidden)
		if err != nil {
			return nil, err
		}
		u.Exact = number(root.W)
	}
	return u, nil
}

// exactLattice is the largest side whose states are counted: L = 8 takes too
// long for a step that only compares.
const exactLattice = 6

// spread returns the first of a list with the standard deviation of the rest.
func spread(x []float64) estimate {
	n := float64(len(x) - 1)
	return estimate{number(x[0]), number(float64(average(x[1:]).Error) * math.Sqrt(n))}
}
