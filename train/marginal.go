package train

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"kadanoff/backend"
	"kadanoff/model/boltzmann"
	"kadanoff/spin"
)

// maxSummed is the most units, coupled to each other, that are summed out of a
// configuration of the others.
const maxSummed = 16

// marginal gives free energies of one layer of a network of one or two layers,
// whose units may be coupled inside.
type marginal struct {
	q      *spin.Network
	rbm    *spin.Network    // both layers, without couplings inside
	inside [2]*spin.Network // each layer with those alone, and no biases; nil for none
}

func newMarginal(q *spin.Network) *marginal {
	m := &marginal{q: q, rbm: &spin.Network{Net: spin.Net[int32]{Layers: q.Layers, Bias: q.Bias}, Frac: q.Frac}}
	for _, b := range q.Blocks {
		if b.A != b.B {
			m.rbm.Blocks = append(m.rbm.Blocks, b)
			continue
		}
		n := q.Layers[b.A]
		layer := b.A
		b.A, b.B = 0, 0
		m.inside[layer] = &spin.Network{
			Net:  spin.Net[int32]{Layers: []int{n}, Bias: make([]int32, n), Blocks: []spin.Block[int32]{b}},
			Frac: q.Frac,
		}
	}
	return m
}

// sums reports whether the layer that is not given can be summed out.
func (m *marginal) sums(given int) bool {
	return len(m.q.Layers) == 1 || m.inside[1-given] == nil || m.q.Layers[1-given] <= maxSummed
}

// rowTerms is the number of states of hidden units that one configuration costs:
// 1 where they are not coupled to each other.
func (m *marginal) rowTerms() int {
	if len(m.q.Layers) == 1 || m.inside[1] == nil {
		return 1
	}
	return 1 << m.q.Layers[1]
}

// cheapest returns the layer over whose states to sum for ln Z, and how many
// terms that has: +Inf if there are too many units.
func (m *marginal) cheapest() (given int, terms float64) {
	terms = math.Inf(1)
	for layer, n := range m.q.Layers {
		if n > MaxExactUnits || !m.sums(layer) {
			continue
		}
		each := 1.0
		if len(m.q.Layers) == 2 {
			each = float64(m.q.Layers[1-layer])
			if m.inside[1-layer] != nil {
				each = math.Ldexp(1, m.q.Layers[1-layer])
			}
		}
		if t := math.Ldexp(each, n); t < terms {
			given, terms = layer, t
		}
	}
	return given, terms
}

// ExactTerms is the number of terms that ExactLogZ adds up: ln 2cosh where a
// layer is summed out in closed form, states of all units otherwise. It is +Inf
// for networks that are too large.
func ExactTerms(q *spin.Network) float64 {
	_, terms := newMarginal(q).cheapest()
	return terms
}

// WantExact says of a network that is too large for ExactLogZ what would not be.
func WantExact(q *spin.Network) string {
	m := newMarginal(q)
	if m.inside == [2]*spin.Network{} && len(q.Layers) == 2 {
		return fmt.Sprintf("the smaller layer has %d units, want at most %d", min(q.Layers[0], q.Layers[1]), MaxExactUnits)
	}
	return fmt.Sprintf("layers of %v units with couplings inside, want one of at most %d and the other without such couplings or of at most %d",
		q.Layers, MaxExactUnits, maxSummed)
}

// SumsHidden reports whether the free energy of visible units can be told: hidden
// units are not coupled to each other, or are few.
func SumsHidden(q *spin.Network) bool { return newMarginal(q).sums(0) }

// free writes F of each chain's states of a layer, the other summed out: minus
// the logarithm of the unnormalised marginal.
func (m *marginal) free(ctx context.Context, be backend.Backend, given int, states *spin.Batch, f []float64) error {
	switch {
	case len(m.q.Layers) == 1:
		return addEnergies(ctx, be, m.q, states, f, true)
	case m.inside[1-given] != nil:
		if err := m.count(ctx, given, states, f); err != nil {
			return err
		}
	default:
		job := backend.FreeEnergyJob{Network: m.rbm, Summed: 1 - given, States: states}
		if err := be.FreeEnergy(ctx, job, f); err != nil {
			return err
		}
	}
	if in := m.inside[given]; in != nil {
		return addEnergies(ctx, be, in, states, f, false)
	}
	return nil
}

// addEnergies adds the energies of states to f, or writes them there.
func addEnergies(ctx context.Context, be backend.Backend, q *spin.Network, states *spin.Batch, f []float64, write bool) error {
	e := make([]int64, len(f))
	if err := be.Energy(ctx, backend.EnergyJob{Network: q, States: states}, e); err != nil {
		return err
	}
	for c, x := range e {
		y := math.Ldexp(float64(x), -int(q.Frac))
		if !write {
			y += f[c]
		}
		f[c] = y
	}
	return nil
}

// count writes −b·s − ln Σ_t e^(t·(c + W s) + Σ_{a<b} L_ab t_a t_b) of each chain
// s, adding up all states t of the other layer. Energies are exact integers; the
// states come in the order of a Gray code, so that each differs from the one
// before by one unit.
func (m *marginal) count(ctx context.Context, given int, states *spin.Batch, f []float64) error {
	other := 1 - given
	n, units := m.q.Layers[other], m.q.Layers[given]
	first, firstOther := m.q.First(given), m.q.First(other)
	scale := func(e int64) float64 { return math.Ldexp(float64(e), -int(m.q.Frac)) }
	// Couplings as [unit of the given layer][unit of the other].
	w := make([]int64, units*n)
	for _, b := range m.rbm.Blocks {
		b.Each(m.q.Layers[b.B], func(i, j int, x int32) {
			if b.A != given {
				i, j = j, i
			}
			w[i*n+j] = int64(x)
		})
	}
	inside := make([]int64, n*n)
	m.inside[other].Blocks[0].Each(n, func(i, j int, x int32) { inside[i*n+j] = int64(x) })
	field, local, t := make([]int64, n), make([]int64, n), make([]int64, n)
	for c := range states.Chains {
		if err := ctx.Err(); err != nil {
			return err
		}
		for a := range n {
			field[a] = int64(m.q.Bias[firstOther+a])
		}
		base := int64(0)
		for i := range units {
			s := int64(states.Spin(i, c))
			base += s * int64(m.q.Bias[first+i])
			for a, x := range w[i*n : (i+1)*n] {
				field[a] += s * x
			}
		}
		// All units −1: local is the field with the couplings inside.
		minus := int64(0) // minus the energy
		for a := range n {
			t[a], local[a] = -1, field[a]
			minus -= field[a]
			for b := range n {
				local[a] -= inside[a*n+b]
				if b < a {
					minus += inside[a*n+b]
				}
			}
		}
		var z logSum
		for state := range uint64(1) << n {
			if state > 0 {
				a := bits.TrailingZeros64(state)
				minus -= 2 * t[a] * local[a]
				t[a] = -t[a]
				for b, x := range inside[a*n : (a+1)*n] {
					local[b] += 2 * t[a] * x
				}
			}
			z.add(scale(minus))
		}
		f[c] = -scale(base) - z.value()
	}
	return nil
}

// DenseNet returns a machine as a network of a visible and, if there are any, a
// hidden layer with dense blocks: the one between the layers always, those inside
// where there is a coupling.
func DenseNet(m *boltzmann.Machine) *spin.Net[float32] {
	n := &spin.Net[float32]{Layers: []int{m.Visible}, Bias: append([]float32(nil), m.H...)}
	if m.Visible < m.N {
		n.Layers = append(n.Layers, m.N-m.Visible)
	}
	block := func(a, b int) {
		fa, fb, out := n.First(a), n.First(b), spin.Block[float32]{A: a, B: b}
		any := a != b
		for i := range n.Layers[a] {
			for j := range n.Layers[b] {
				x := m.J[(fa+i)*m.N+fb+j]
				any = any || x != 0
				out.W = append(out.W, x)
			}
		}
		if any {
			n.Blocks = append(n.Blocks, out)
		}
	}
	if len(n.Layers) == 2 {
		block(0, 1)
	}
	for a := range n.Layers {
		block(a, a)
	}
	return n
}
