package boltzmann

import (
	"fmt"
	"math"
)

// MaxCounted is the largest number of units whose states are counted one by
// one, and MaxMatrix that of which transitions between all states are.
const (
	MaxCounted = 20
	MaxMatrix  = 10
)

// State writes the spins of a state's number to x: bit i is 1 where unit i
// is +1.
func State(x []int8, number int) {
	for i := range x {
		x[i] = int8(number>>i&1)*2 - 1
	}
}

func (m *Machine) countable(t float64, most int) error {
	if m.N > most {
		return fmt.Errorf("%d units: their states are counted up to %d units", m.N, most)
	}
	if !(t >= 0) || math.IsInf(t, 0) {
		return fmt.Errorf("temperature %v: want 0 or more", t)
	}
	return nil
}

// Distribution returns the Boltzmann distribution (eq 18) over all 2^N states,
// P ∝ e^(−E/T), and ln Z. T = 0 is the limit: the ground states have equal
// shares, and ln Z is −E/T without bound, so NaN.
func (m *Machine) Distribution(t float64) (p []float64, logZ float64, err error) {
	if err := m.countable(t, MaxCounted); err != nil {
		return nil, 0, err
	}
	p = make([]float64, 1<<m.N)
	x := make([]int8, m.N)
	least := math.Inf(1)
	for s := range p {
		State(x, s)
		p[s] = m.Energy(x)
		least = min(least, p[s])
	}
	z := 0.
	for s, e := range p {
		switch {
		case t > 0:
			p[s] = math.Exp((least - e) / t)
		case e == least:
			p[s] = 1
		default:
			p[s] = 0
		}
		z += p[s]
	}
	for s := range p {
		p[s] /= z
	}
	if t == 0 {
		return p, math.NaN(), nil
	}
	return p, math.Log(z) - least/t, nil
}

// Marginal returns the distribution of the visible units (eq 19) of a
// distribution over all states: entry v is for the state number v of the
// visible units alone.
func (m *Machine) Marginal(p []float64) []float64 {
	if len(p) != 1<<m.N {
		panic(fmt.Sprintf("boltzmann: distribution over %d states of %d units", len(p), m.N))
	}
	v := make([]float64, 1<<m.Visible)
	for s, x := range p {
		v[s&(1<<m.Visible-1)] += x
	}
	return v
}

// Moments are means over a distribution.
type Moments struct {
	Mean []float64 // [N] ⟨x_i⟩
	Pair []float64 // [N][N] ⟨x_i x_j⟩, 1 on the diagonal
}

// Moments returns the means over a distribution over all states.
func (m *Machine) Moments(p []float64) Moments {
	out := Moments{make([]float64, m.N), make([]float64, m.N*m.N)}
	x := make([]int8, m.N)
	for s, w := range p {
		State(x, s)
		for i := range x {
			out.Mean[i] += float64(w * float64(x[i]))
			for j := range x {
				out.Pair[i*m.N+j] += float64(w * float64(x[i]*x[j]))
			}
		}
	}
	return out
}

// Clamped returns the distribution over all states when the visible units are
// drawn from the data's distribution and the hidden ones, given them, are in
// equilibrium.
func (m *Machine) Clamped(data []float64, t float64) ([]float64, error) {
	if len(data) != 1<<m.Visible {
		return nil, fmt.Errorf("distribution over %d states of %d visible units", len(data), m.Visible)
	}
	p, _, err := m.Distribution(t)
	if err != nil {
		return nil, err
	}
	v := m.Marginal(p)
	for s := range p {
		if k := s & (1<<m.Visible - 1); v[k] > 0 {
			p[s] *= data[k] / v[k]
		}
	}
	return p, nil
}

// Divergence returns KL of the machine's visible units from the data's
// distribution (eq 22) and its gradient (eq 23): with respect to J_ij it is
// (⟨x_i x_j⟩_model − ⟨x_i x_j⟩_data)/T, with respect to H_i the same of x_i.
// T must be above 0.
func (m *Machine) Divergence(data []float64, t float64) (kl float64, gradient Moments, err error) {
	if !(t > 0) {
		return 0, gradient, fmt.Errorf("temperature %v: want more than 0", t)
	}
	clamped, err := m.Clamped(data, t)
	if err != nil {
		return 0, gradient, err
	}
	free, _, err := m.Distribution(t)
	if err != nil {
		return 0, gradient, err
	}
	for v, q := range m.Marginal(free) {
		if data[v] > 0 {
			kl += float64(data[v] * math.Log(data[v]/q))
		}
	}
	gradient = m.Moments(free)
	other := m.Moments(clamped)
	for i := range gradient.Mean {
		gradient.Mean[i] = (gradient.Mean[i] - other.Mean[i]) / t
	}
	for i := range gradient.Pair {
		gradient.Pair[i] = (gradient.Pair[i] - other.Pair[i]) / t
	}
	return kl, gradient, nil
}

// UnitTransition returns the matrix of probabilities, [from][to] over all
// states, of one update of unit i (eq 17). It obeys detailed balance with the
// Boltzmann distribution.
func (m *Machine) UnitTransition(i int, t float64) ([]float64, error) {
	if err := m.countable(t, MaxMatrix); err != nil {
		return nil, err
	}
	states := 1 << m.N
	p := make([]float64, states*states)
	x := make([]int8, m.N)
	for s := range states {
		State(x, s)
		up := m.Probability(x, i, t)
		p[s*states+(s|1<<i)] += up
		p[s*states+(s&^(1<<i))] += 1 - up
	}
	return p, nil
}

// SweepTransition returns the matrix of one update of each unit in the given
// order. It keeps the Boltzmann distribution, but need not obey detailed
// balance.
func (m *Machine) SweepTransition(order []int, t float64) ([]float64, error) {
	states := 1 << min(m.N, MaxMatrix)
	p := make([]float64, states*states)
	for s := range states {
		p[s*states+s] = 1
	}
	for _, i := range order {
		step, err := m.UnitTransition(i, t)
		if err != nil {
			return nil, err
		}
		next := make([]float64, len(p))
		for s := range states {
			for mid := range states {
				if w := p[s*states+mid]; w > 0 {
					for _, to := range []int{mid | 1<<i, mid &^ (1 << i)} {
						next[s*states+to] += float64(w * step[mid*states+to])
					}
				}
			}
		}
		p = next
	}
	return p, nil
}
