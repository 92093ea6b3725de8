package rg

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/integrate/quad"

	"kadanoff/backend"
)

// Match returns, for each coupling of rings of visible spins, the weight W(K)
// of the closest uniform RBM with the given number of hidden units (eq 69): the
// Roots job of a backend.
func Match(ctx context.Context, b backend.Backend, visible, hidden int, k []float64) ([]float64, error) {
	w := make([]float64, len(k))
	job := backend.RootsJob{Visible: visible, Hidden: hidden, K: k}
	return w, b.Roots(ctx, job, backend.RootsResult{W: w})
}

// MatchRange returns the weight of the uniform RBM that is closest to rings of
// visible spins over the temperatures from t1 to t0 at once (eqs 64, 78, 79),
// 0 ≤ t1 < t0: t1 = 0 is in the range as its limit.
func MatchRange(ctx context.Context, b backend.Backend, visible, hidden int, t1, t0 float64) (float64, error) {
	weights, err := RangeWeights(visible, t1, t0)
	if err != nil {
		return 0, err
	}
	w := []float64{0}
	job := backend.RootsJob{Visible: visible, Hidden: hidden, Count: 1, Weight: weights}
	err = b.Roots(ctx, job, backend.RootsResult{W: w})
	return w[0], err
}

// RangeWeights returns the probabilities of |V| = M, M−2, … of a ring of M
// spins whose temperature is uniform between t1 and t0, 0 ≤ t1 < t0,
// 0.02 ≤ t0 ≤ 1000 (below, all but the aligned states are out of float64's
// range; above, W feels the rounding of the weights). Relative error about
// 1e-14.
//
// With z = e^{−4/T} a state of 2k walls has the weight z^k/Z̃ beside the aligned
// ones, Z̃ = (1+√z)^M + (1−√z)^M. The integrals over K = 1/T, dT = dK/K², are
// taken by Gauss–Legendre panels; their integrands fall like e^{−4K}.
func RangeWeights(m int, t1, t0 float64) ([]float64, error) {
	if m < 2 || m > backend.MaxRootsVisible {
		return nil, fmt.Errorf("ring of %d spins: want 2 to %d", m, backend.MaxRootsVisible)
	}
	if !(t1 >= 0) || !(t0 > t1) || t0 < 0.02 || t0 > 1000 {
		return nil, fmt.Errorf("temperatures from %v to %v: want 0 ≤ lower < upper, upper from 0.02 to 1000", t1, t0)
	}
	const nodes = 24
	x, weight := make([]float64, nodes), make([]float64, nodes)
	integral := make([]float64, m/2+1) // of z^k/(Z̃ K²)
	first := 1 / t0
	last := first + 12 // beyond it e^{−4K} is below e^{−48} of its start
	if t1 > 0 {
		last = min(last, 1/t1)
	}
	for lo := first; lo < last; {
		hi := min(last, lo+min(lo, 0.25))
		quad.Legendre{}.FixedLocations(x, weight, lo, hi)
		for i, k := range x {
			s := math.Exp(-2 * k)
			z := math.Pow(1+s, float64(m)) + math.Pow(1-s, float64(m))
			term := weight[i] / (z * k * k)
			for q := 1; q < len(integral); q++ {
				term *= s * s
				integral[q] += term
			}
		}
		lo = hi
	}
	p := make([]float64, m/2+1)
	rest := 0.
	for j := 1; j < len(p); j++ {
		// Rings with j down spins and 2k walls: (M/k) C(j−1, k−1) C(M−j−1, k−1).
		n := float64(m)
		if 2*j != m {
			n *= 2
		}
		for k := 1; k <= j; k++ {
			p[j] += float64(n * integral[k])
			n *= float64(j-k) * float64(m-j-k) / (float64(k) * float64(k+1))
		}
		p[j] /= t0 - t1
		rest += p[j]
	}
	p[0] = 1 - rest
	return p, nil
}
