// Package roots solves f(W) = g(W) in bulk: which common weight W of a
// restricted Boltzmann machine of M visible and N hidden ±1 units, without
// biases, fits a given distribution of its visible units best, in the sense of
// least Kullback-Leibler divergence. With V the sum of the visible units
//
//	f(W) = E_p[V tanh VW],  p(V) ∝ C(M, (M+V)/2) cosh^N(VW)
//	g(W) = E_q[V tanh VW],  q the given distribution,
//
// and q is that of a ring of M Ising spins at coupling K (then W is a function
// of K, see Table), or any (see Size.Solve). W = 0 solves f = g too, and −W
// with W; what is returned is the positive root, or 0 where there is none.
//
// With D = M tanh MW − V tanh VW ≥ 0 both ⟨D⟩_p = M tanh MW − f and ⟨D⟩_q =
// M tanh MW − g are sums of positive terms that can be computed without loss.
// The root is sought where ln(⟨D⟩_q/⟨D⟩_p) vanishes: f − g itself has no digits
// left in float64 at K = 10.
//
// Problems are the vector lanes. Every lane goes its own way, so neither its
// neighbours nor the vector's width nor the cut of a batch change its bits.
package roots

import (
	"math"

	"kadanoff/kernels/isa"
)

// lanes is the number of problems in a group. Kernels work on whole groups.
const lanes = 8

// A Kernel is one instruction set's pair of inner loops.
type Kernel struct {
	Level isa.Level

	// table evaluates rows for k as horner does and stops before the first
	// group of 8 that has a K outside the table or a result of zero, which is
	// how an interval that is not known yet shows. It returns how many it did.
	// The slices are as long as each other, a multiple of 8.
	table func(w, k, rows []float64, first, count, shift uint64) int

	// solve sets w[i] and slope[i] for distribution first+i of p: newton's
	// root, polished where slope = W·dF/dW asks for it, or 0 and 0 where it
	// found none.
	solve func(s *Size, w, slope []float64, p *Distributions, first int, v *solver)
}

// kernels is the table of paths; an entry is nil where it is not compiled in.
var kernels = map[isa.Level]*Kernel{
	isa.Generic: {isa.Generic, tableGeneric, solveGeneric},
}

// For returns the best kernel at or below the level on this machine.
func For(level isa.Level) *Kernel {
	for _, l := range []isa.Level{isa.NEON, isa.AVX512, isa.AVX2} {
		if k := kernels[l]; k != nil && l <= level && isa.Has(l) {
			return k
		}
	}
	return kernels[isa.Generic]
}

func tableGeneric(w, k, rows []float64, first, count, shift uint64) int {
	for i := 0; i < len(k); i += lanes {
		for l := i; l < i+lanes; l++ {
			j := math.Float64bits(k[l])>>shift - first
			if j >= count {
				return i
			}
			if w[l] = horner(rows[j*rowLen:], k[l], uint(shift)); w[l] == 0 {
				return i
			}
		}
	}
	return len(k)
}
