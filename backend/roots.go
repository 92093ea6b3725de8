package backend

import (
	"errors"
	"fmt"
)

// Limits of a RootsJob.
const (
	MaxRootsVisible = 256
	MaxRootsHidden  = 1024
)

// RootsJob asks for the weight W of the uniform RBM (all weights W, no biases)
// of Visible and Hidden ±1 units that is closest, in Kullback-Leibler
// divergence, to each of many distributions of V = Σv: the positive root of
//
//	f(W) = g(W),  f = E_p[V tanh VW], p(V) ∝ C(M, (M+V)/2) cosh^N(VW)
//	              g = E_q[V tanh VW], q the given distribution
//
// (eqs 69 to 74 of the thesis, M = Visible, N = Hidden). The distributions are
// those of Ising rings of M spins at the couplings K, or given as weights.
//
// A result depends on nothing but its own problem. The relative error of W is
// at most 1e-13 for K from 1e-8 to 700, and as much for weights, if their
// rounding is counted as part of the problem.
type RootsJob struct {
	Visible, Hidden int

	// K are couplings of rings. The answer is 0 for K ≤ 0 (W = 0 fits best),
	// +Inf for +Inf and NaN for NaN.
	K []float64

	// Count is the number of distributions given as weights, if there are no K.
	// Weight[j·Count+i] is that of |V| = M − 2j, both signs together, in
	// problem i, j = 0 … ⌊M/2⌋; only ratios count. Low, if not nil, has the same
	// shape and holds the weights' digits beyond float64, each at most 2⁻⁵⁰ of
	// its weight. The answer is 0 where ⟨V²⟩ ≤ M, +Inf where |V| = M is certain,
	// and NaN where the weights are no distribution.
	Count       int
	Weight, Low []float64
}

// RootsResult receives the results of a RootsJob.
type RootsResult struct {
	W []float64
	// Residual, if not nil, receives f(W) − g(W) at the W given, computed with
	// twice the digits: how far W is from the root, not the rounding of f and g.
	// It costs more than W.
	Residual []float64
}

// Problems returns how many problems the job has.
func (j *RootsJob) Problems() int {
	if j.K != nil {
		return len(j.K)
	}
	return j.Count
}

// Values returns the number of values of |V|, M, M−2, … down to 0 or 1.
func (j *RootsJob) Values() int { return j.Visible/2 + 1 }

// Check reports what is wrong with the job.
func (j *RootsJob) Check(dst RootsResult) error {
	if j.Visible < 2 || j.Visible > MaxRootsVisible {
		return fmt.Errorf("%d visible units, want 2 to %d", j.Visible, MaxRootsVisible)
	}
	if j.Hidden < 1 || j.Hidden > MaxRootsHidden {
		return fmt.Errorf("%d hidden units, want 1 to %d", j.Hidden, MaxRootsHidden)
	}
	if j.K != nil && (j.Count != 0 || j.Weight != nil || j.Low != nil) {
		return errors.New("couplings and distributions in one job")
	}
	if j.Count < 0 {
		return fmt.Errorf("%d distributions, want 0 or more", j.Count)
	}
	if j.K == nil {
		if want := j.Count * j.Values(); len(j.Weight) != want || j.Low != nil && len(j.Low) != want {
			return fmt.Errorf("%d weights and %d low parts for %d distributions of %d values", len(j.Weight), len(j.Low), j.Count, j.Values())
		}
	}
	if n := j.Problems(); len(dst.W) != n || dst.Residual != nil && len(dst.Residual) != n {
		return fmt.Errorf("%d roots and %d residuals for %d problems", len(dst.W), len(dst.Residual), n)
	}
	return nil
}
