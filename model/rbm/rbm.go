// Package rbm is the restricted Boltzmann machine on ±1 units: its parameters
// and, in scalar float64, its physics. These are definitions, one sum after
// another; jobs of any size run on a backend.
//
// Equation numbers are those of the thesis that the project grew from.
package rbm

import (
	"fmt"
	"math"
)

// RBM is a restricted Boltzmann machine with the Hamiltonian (eq 25)
//
//	H(v, h) = −(Σ_ia W_ia v_i h_a + Σ_i b_i v_i + Σ_a c_a h_a)
//
// and p(v, h) = e^(−H)/Z (eq 26).
type RBM struct {
	Visible, Hidden int
	W               []float32 // [visible][hidden], row-major
	B               []float32 // [visible]
	C               []float32 // [hidden]
}

// New returns a machine whose weights and biases are all 0. Both layers must
// have at least one unit.
func New(visible, hidden int) *RBM {
	if visible < 1 || hidden < 1 {
		panic(fmt.Sprintf("rbm: layers of %d and %d units", visible, hidden))
	}
	return &RBM{
		Visible: visible, Hidden: hidden,
		W: make([]float32, visible*hidden), B: make([]float32, visible), C: make([]float32, hidden),
	}
}

// Validate returns an error, naming what is wrong, unless both layers have
// units, every length fits and every weight and bias is finite.
func (m *RBM) Validate() error {
	if m.Visible < 1 || m.Hidden < 1 {
		return fmt.Errorf("layers of %d visible and %d hidden units, want at least one each", m.Visible, m.Hidden)
	}
	if len(m.W) != m.Visible*m.Hidden || len(m.B) != m.Visible || len(m.C) != m.Hidden {
		return fmt.Errorf("%d weights and %d, %d biases for %d visible and %d hidden units", len(m.W), len(m.B), len(m.C), m.Visible, m.Hidden)
	}
	for i, w := range m.W {
		if !finite(w) {
			return fmt.Errorf("W[%d, %d] is %v, want a finite weight", i/m.Hidden, i%m.Hidden, w)
		}
	}
	for i, b := range m.B {
		if !finite(b) {
			return fmt.Errorf("b[%d] is %v, want a finite bias", i, b)
		}
	}
	for a, c := range m.C {
		if !finite(c) {
			return fmt.Errorf("c[%d] is %v, want a finite bias", a, c)
		}
	}
	return nil
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// Weight returns W_ia.
func (m *RBM) Weight(i, a int) float64 { return float64(m.W[i*m.Hidden+a]) }

// Energy returns H(v, h), eq (25), for spins of ±1.
func (m *RBM) Energy(v, h []int8) float64 {
	m.check(v, m.Visible, "visible")
	m.check(h, m.Hidden, "hidden")
	sum := 0.
	for i := range v {
		for a := range h {
			sum += float64(m.Weight(i, a) * float64(v[i]) * float64(h[a]))
		}
	}
	for i := range v {
		sum += float64(float64(m.B[i]) * float64(v[i]))
	}
	for a := range h {
		sum += float64(float64(m.C[a]) * float64(h[a]))
	}
	return -sum
}

// HiddenField returns Σ_i W_ia v_i + c_a.
func (m *RBM) HiddenField(v []int8, a int) float64 {
	m.check(v, m.Visible, "visible")
	sum := 0.
	for i := range v {
		sum += float64(m.Weight(i, a) * float64(v[i]))
	}
	return sum + float64(m.C[a])
}

// VisibleField returns Σ_a W_ia h_a + b_i.
func (m *RBM) VisibleField(h []int8, i int) float64 {
	m.check(h, m.Hidden, "hidden")
	sum := 0.
	for a := range h {
		sum += float64(m.Weight(i, a) * float64(h[a]))
	}
	return sum + float64(m.B[i])
}

// HiddenProbability returns p(h_a = +1 | v), eq (30).
func (m *RBM) HiddenProbability(v []int8, a int) float64 { return up(m.HiddenField(v, a)) }

// VisibleProbability returns p(v_i = +1 | h), eq (30).
func (m *RBM) VisibleProbability(h []int8, i int) float64 { return up(m.VisibleField(h, i)) }

// up is the probability of +1 in a field, eq (30).
func up(field float64) float64 { return 1 / (1 + math.Exp(-2*field)) }

// HiddenMean returns ⟨h_a⟩ given v, eq (32).
func (m *RBM) HiddenMean(v []int8, a int) float64 { return math.Tanh(m.HiddenField(v, a)) }

// VisibleMean returns ⟨v_i⟩ given h, eq (33).
func (m *RBM) VisibleMean(h []int8, i int) float64 { return math.Tanh(m.VisibleField(h, i)) }

// HiddenConditional returns p(h | v) = Π_a p(h_a | v), eq (28).
func (m *RBM) HiddenConditional(h, v []int8) float64 {
	m.check(h, m.Hidden, "hidden")
	p := 1.
	for a := range h {
		p *= up(float64(h[a]) * m.HiddenField(v, a))
	}
	return p
}

// VisibleConditional returns p(v | h) = Π_i p(v_i | h), eq (29).
func (m *RBM) VisibleConditional(v, h []int8) float64 {
	m.check(v, m.Visible, "visible")
	p := 1.
	for i := range v {
		p *= up(float64(v[i]) * m.VisibleField(h, i))
	}
	return p
}

// FreeEnergy returns F(v) = −ln Σ_h e^(−H(v, h)), the logarithm of the sum of
// eq (27) carried out:
//
//	F(v) = −Σ_i b_i v_i − Σ_a ln 2cosh(Σ_i W_ia v_i + c_a)
func (m *RBM) FreeEnergy(v []int8) float64 {
	m.check(v, m.Visible, "visible")
	sum := 0.
	for i := range v {
		sum += float64(float64(m.B[i]) * float64(v[i]))
	}
	for a := range m.Hidden {
		sum += lnTwoCosh(m.HiddenField(v, a))
	}
	return -sum
}

// HiddenFreeEnergy returns −ln Σ_v e^(−H(v, h)), as FreeEnergy with the layers
// exchanged.
func (m *RBM) HiddenFreeEnergy(h []int8) float64 {
	m.check(h, m.Hidden, "hidden")
	sum := 0.
	for a := range h {
		sum += float64(float64(m.C[a]) * float64(h[a]))
	}
	for i := range m.Visible {
		sum += lnTwoCosh(m.VisibleField(h, i))
	}
	return -sum
}

// LogMarginal returns ln p(v), eq (27), given ln Z.
func (m *RBM) LogMarginal(v []int8, logZ float64) float64 { return -m.FreeEnergy(v) - logZ }

// lnTwoCosh returns ln(2 cosh x) for any finite x.
func lnTwoCosh(x float64) float64 {
	x = math.Abs(x)
	return x + math.Log1p(math.Exp(-2*x))
}

func (m *RBM) check(s []int8, want int, layer string) {
	if len(s) != want {
		panic(fmt.Sprintf("rbm: %d spins for %d %s units", len(s), want, layer))
	}
}
