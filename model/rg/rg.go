// Package rg is the renormalization group of the thesis: decimation of the
// one-dimensional Ising ring, in couplings and in sampled configurations, and
// the flow of configurations through a restricted Boltzmann machine, which
// resembles it.
package rg

import "math"

// Point is a point of the decimation flow: nearest-neighbour coupling K and
// constant K0 of exp(Σ K s s′ + K0) per bond.
type Point struct {
	Step int
	K    float64
	K0   float64
}

// Decimate returns the coupling of a ring from which every second spin has
// been summed out (eq 48): tanh K′ = tanh²K, so K′ = ½ ln cosh 2K. K and −K
// give the same K′ ≥ 0; 0 and +∞ are the fixed points, unstable at ∞. The ring
// must have an even number of spins.
func Decimate(k float64) float64 {
	a := math.Abs(k)
	if a < 0.5 {
		s := math.Sinh(a)
		return 0.5 * math.Log1p(2*s*s)
	}
	return a + 0.5*(math.Log1p(math.Exp(-4*a))-math.Ln2)
}

// DecimateConstant returns the constant that goes with Decimate (eq 49):
// K0′ = 2K0 + ln 2 + K′. With it Z is kept:
// Z_M(K) e^{M K0} = Z_{M/2}(K′) e^{(M/2) K0′}.
func DecimateConstant(k, k0 float64) float64 {
	return math.FMA(2, k0, math.Ln2) + Decimate(k)
}

// DecimateAll writes Decimate of each coupling of src to dst, which must be as
// long and may be the same slice.
func DecimateAll(dst, src []float64) {
	if len(dst) != len(src) {
		panic("rg: slices of different lengths")
	}
	for i, k := range src {
		dst[i] = Decimate(k)
	}
}

// Flow returns the points from (k, k0) through the given number of decimations.
func Flow(k, k0 float64, steps int) []Point {
	flow := make([]Point, 0, steps+1)
	flow = append(flow, Point{0, k, k0})
	for n := 1; n <= steps; n++ {
		k, k0 = Decimate(k), DecimateConstant(k, k0)
		flow = append(flow, Point{n, k, k0})
	}
	return flow
}

// CorrelationLength returns ξ = −1/ln tanh|K| of the infinite chain, in
// lattice spacings: each decimation halves it.
func CorrelationLength(k float64) float64 {
	a := math.Abs(k)
	if a < 0.5 {
		return -1 / math.Log(math.Tanh(a))
	}
	return -1 / math.Log1p(-2/(math.Exp(2*a)+1))
}
