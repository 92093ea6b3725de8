// Package hopfield is the Hopfield network: a memory of ±1 patterns in the
// minima of an energy. Couplings are integers with one common scale, so that
// energies and activations are exact and ties are ties.
//
// Equation numbers are those of the thesis that the project grew from.
package hopfield

import (
	"fmt"
	"math"

	"kadanoff/spin"
)

// Net is a network of N units that all hear each other, with energy
//
//	E = −Σ_i b_i x_i − Σ_{i<j} w_ij x_i x_j  (eq 12),  w = Scale·W, b = Scale·Bias.
//
// W is symmetric with a zero diagonal, and 2(|Bias_i| + Σ_j |W_ij|) + 1 is
// below 2³¹ for every unit: New and the learning rules see to it.
type Net struct {
	N     int
	W     []int32 // [N][N]
	Bias  []int32 // [N]
	Scale float64 // of one unit of W and Bias
}

// New returns the network with real couplings w of shape [N][N] and biases of
// length N, nil for none. They are rounded to 30 bits for the largest sum
// |b| + Σ|w| of a unit. Couplings that are not finite, that differ between
// their two directions, or of a unit with itself are errors.
func New(w, bias []float64, n int) (*Net, error) {
	if bias == nil {
		bias = make([]float64, n)
	}
	if n < 1 || len(w) != n*n || len(bias) != n {
		return nil, fmt.Errorf("%d couplings and %d biases for %d units, want at least one unit, N×N and N", len(w), len(bias), n)
	}
	most := 0.
	for i := range n {
		sum := math.Abs(bias[i])
		for j := range n {
			switch x := w[i*n+j]; {
			case i == j && x != 0:
				return nil, fmt.Errorf("unit %d is coupled to itself with %v, want 0", i, x)
			case x != w[j*n+i]: // NaN too
				return nil, fmt.Errorf("coupling of units %d and %d is %v one way and %v the other", i, j, x, w[j*n+i])
			default:
				sum += math.Abs(x)
			}
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return nil, fmt.Errorf("unit %d has couplings or a bias that are not finite", i)
		}
		most = max(most, sum)
	}
	shift := 0
	if most > 0 {
		// Rounding adds at most half to each of n+1 terms.
		_, e := math.Frexp(most / (1<<30 - float64(n) - 2))
		shift = -e
	}
	out := &Net{N: n, W: make([]int32, n*n), Bias: make([]int32, n), Scale: math.Ldexp(1, -shift)}
	for i, x := range w {
		out.W[i] = int32(math.RoundToEven(math.Ldexp(x, shift)))
	}
	for i, x := range bias {
		out.Bias[i] = int32(math.RoundToEven(math.Ldexp(x, shift)))
	}
	return out, out.Check()
}

// Check reports a unit whose doubled field could overflow.
func (n *Net) Check() error {
	for i := range n.N {
		sum := int64(n.Bias[i])
		sum = max(sum, -sum)
		for _, w := range n.W[i*n.N : (i+1)*n.N] {
			sum += max(int64(w), -int64(w))
		}
		if 2*sum+1 >= 1<<31 {
			return fmt.Errorf("unit %d has |b| + Σ|w| = %d times the scale, want below 2³⁰", i, sum)
		}
	}
	return nil
}

// IntegerEnergy returns E/Scale (eq 12), exactly.
func (n *Net) IntegerEnergy(x []int8) int64 {
	n.checkState(x)
	pairs, e := int64(0), int64(0)
	for i := range x {
		a := int64(0)
		for j, w := range n.W[i*n.N : (i+1)*n.N] {
			a += int64(w) * int64(x[j])
		}
		pairs += a * int64(x[i])
		e -= int64(n.Bias[i]) * int64(x[i])
	}
	return e - pairs/2
}

// Energy returns E (eq 12).
func (n *Net) Energy(x []int8) float64 { return float64(n.IntegerEnergy(x)) * n.Scale }

// Activation returns (b_i + Σ_j w_ij x_j)/Scale (eqs 11 and 14), exactly. The
// energy of x_i = −1 is 2·Scale times that above the energy of x_i = +1
// (eq 15).
func (n *Net) Activation(x []int8, i int) int64 {
	n.checkState(x)
	a := int64(n.Bias[i])
	for j, w := range n.W[i*n.N : (i+1)*n.N] {
		a += int64(w) * int64(x[j])
	}
	return a
}

// Threshold returns the state that unit i takes (eq 13): +1 at a ≥ 0.
func (n *Net) Threshold(x []int8, i int) int8 {
	if n.Activation(x, i) >= 0 {
		return 1
	}
	return -1
}

// Fixed reports whether no unit would change, one at a time or all at once.
func (n *Net) Fixed(x []int8) bool {
	for i := range x {
		if n.Threshold(x, i) != x[i] {
			return false
		}
	}
	return true
}

func (n *Net) checkState(x []int8) {
	if len(x) != n.N {
		panic(fmt.Sprintf("hopfield: state of %d units for a network of %d", len(x), n.N))
	}
}

// Network returns the couplings and biases as a job of one layer, which takes
// a copy. Energies of that job are those of IntegerEnergy.
func (n *Net) Network() *spin.Network {
	return &spin.Network{Frac: spin.MinFrac, Net: spin.Net[int32]{
		Layers: []int{n.N}, Bias: append([]int32(nil), n.Bias...),
		Blocks: []spin.Block[int32]{{W: append([]int32(nil), n.W...)}},
	}}
}

// thresholdNetwork is a job whose field is 2a + 1. Its sign is that of a, and
// + at a = 0, so at T = 0, where the sampler takes the sign of the field and
// tosses a coin for zero only, it does what eq (13) says and draws nothing.
//
// Synchronous update has a second layer with a copy of all units: a sweep
// makes it from the first and then the first from it.
func (n *Net) thresholdNetwork(d Dynamics) *spin.Network {
	q := n.Network()
	for i, w := range q.Blocks[0].W {
		q.Blocks[0].W[i] = 2 * w
	}
	for i, b := range q.Bias {
		q.Bias[i] = 2*b + 1
	}
	if d == Synchronous {
		q.Layers = []int{n.N, n.N}
		q.Bias = append(q.Bias, q.Bias...)
		q.Blocks[0].B = 1
	}
	return q
}
