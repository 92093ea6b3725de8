package bench

import (
	"context"

	"kadanoff/model/hopfield"
	"kadanoff/spin"
)

// hopfieldRecall follows every state of a network with two orthogonal patterns
// on eight units, where fields are often 0, by Hopfield's rule: +1 at a ≥ 0.
// Its fixed points are the patterns and their opposites. The rule draws
// nothing, so every state must end where the definition ends, one unit after
// another and all at once.
func hopfieldRecall(ctx context.Context, t *Target) ([]Result, error) {
	const units, states, sweeps = 8, 1 << 8, 20
	n, err := hopfield.Hebb(hopfield.Patterns{N: units, X: []int8{
		1, 1, 1, 1, -1, -1, -1, -1,
		1, -1, 1, -1, 1, -1, 1, -1,
	}}, 1)
	if err != nil {
		return nil, err
	}
	probes := spin.NewBatch(units, states)
	for s := range states {
		for i := range units {
			probes.Set(i, s, s>>i&1 != 0)
		}
	}
	x, next, end := make([]int8, units), make([]int8, units), make([]int8, units)
	var results []Result
	for _, d := range []struct {
		name     string
		dynamics hopfield.Dynamics
	}{{"asynchronous", hopfield.Asynchronous}, {"synchronous", hopfield.Synchronous}} {
		r, err := n.Recall(ctx, t.Backend, probes, hopfield.RecallOptions{Dynamics: d.dynamics, MaxSweeps: sweeps})
		if err != nil {
			return nil, err
		}
		elsewhere := 0
		fixed := map[[units]int8]bool{}
		for s := range states {
			probes.PutInt8(x, s)
			for range sweeps {
				copy(next, x)
				for i := range next {
					if d.dynamics == hopfield.Synchronous {
						next[i] = n.Threshold(x, i)
					} else {
						next[i] = n.Threshold(next, i)
					}
				}
				x, next = next, x
			}
			r.States.PutInt8(end, s)
			if [units]int8(end) != [units]int8(x) {
				elsewhere++
			}
			if r.Settled[s] {
				fixed[[units]int8(end)] = true
			}
		}
		results = append(results,
			Result{Name: "gibbs/hopfield/" + d.name, Measured: float64(elsewhere), Unit: "states that end elsewhere"},
			Result{Name: "gibbs/hopfield/" + d.name + "-fixed-points", Exact: 4, Measured: float64(len(fixed))})
	}
	return results, nil
}
