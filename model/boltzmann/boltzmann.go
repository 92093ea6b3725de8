// Package boltzmann is the Boltzmann machine: a network of ±1 units on any
// graph, updated at a temperature. Small machines are counted state by state,
// which gives exact distributions, divergences and transition matrices; larger
// ones are sampled and annealed on a backend. Package train fits them to data.
//
// Equation numbers are those of the thesis that the project grew from.
package boltzmann

import (
	"fmt"
	"math"

	"kadanoff/spin"
)

// Machine is a Boltzmann machine of N units, the first Visible of them visible
// and the others hidden, with the energy of eq (12),
//
//	E = −Σ_{i<j} J_ij x_i x_j − Σ_i H_i x_i.
type Machine struct {
	N, Visible int
	J          []float32 // [N][N], symmetric, 0 on the diagonal
	H          []float32 // [N]
}

// New returns a machine without couplings and fields. There must be a visible
// unit, and no fewer units than visible ones.
func New(units, visible int) *Machine {
	if visible < 1 || visible > units {
		panic(fmt.Sprintf("boltzmann: %d units, %d visible", units, visible))
	}
	return &Machine{N: units, Visible: visible, J: make([]float32, units*units), H: make([]float32, units)}
}

// Couple sets J_ij and J_ji. i and j must differ.
func (m *Machine) Couple(i, j int, x float32) {
	if i == j {
		panic(fmt.Sprintf("boltzmann: unit %d coupled to itself", i))
	}
	m.J[i*m.N+j], m.J[j*m.N+i] = x, x
}

// Validate returns an error, naming what is wrong, unless lengths fit, every
// number is finite, J is symmetric and no unit is coupled to itself.
func (m *Machine) Validate() error {
	if m.N < 1 || m.Visible < 1 || m.Visible > m.N {
		return fmt.Errorf("%d units, %d visible: want at least one visible unit and no more than there are", m.N, m.Visible)
	}
	if len(m.J) != m.N*m.N || len(m.H) != m.N {
		return fmt.Errorf("%d couplings and %d fields for %d units", len(m.J), len(m.H), m.N)
	}
	_, err := m.Network()
	return err
}

// Energy returns E of a state (eq 12).
func (m *Machine) Energy(x []int8) float64 {
	m.check(x)
	e := 0.
	for i := range x {
		for j := range i {
			e -= float64(float64(m.J[i*m.N+j]) * float64(x[i]) * float64(x[j]))
		}
		e -= float64(float64(m.H[i]) * float64(x[i]))
	}
	return e
}

// Activation returns a_i = H_i + Σ_j J_ij x_j; the energy of x_i = −1 is 2a_i
// above that of x_i = +1 (eqs 14, 15).
func (m *Machine) Activation(x []int8, i int) float64 {
	m.check(x)
	a := float64(m.H[i])
	for j := range x {
		a += float64(float64(m.J[i*m.N+j]) * float64(x[j]))
	}
	return a
}

// Probability returns p(x_i = +1) = σ(2a_i/T) of an update of unit i (eq 17).
// T = 0 is the limit: 1, 0, or ½ at a = 0. T must not be negative.
func (m *Machine) Probability(x []int8, i int, t float64) float64 {
	a := m.Activation(x, i)
	if t == 0 {
		switch {
		case a > 0:
			return 1
		case a < 0:
			return 0
		}
		return 0.5
	}
	return 1 / (1 + math.Exp(-2*a/t))
}

func (m *Machine) check(x []int8) {
	if len(x) != m.N {
		panic(fmt.Sprintf("boltzmann: state of %d units for a machine of %d", len(x), m.N))
	}
}

// Net returns the machine as a network of a visible and, if there are any, a
// hidden layer. Couplings that are 0 are left out, so that a greedy colouring
// finds what can be updated together.
func (m *Machine) Net() *spin.Net[float32] {
	n := &spin.Net[float32]{Layers: []int{m.Visible}, Bias: append([]float32(nil), m.H...)}
	if m.Visible < m.N {
		n.Layers = append(n.Layers, m.N-m.Visible)
	}
	for a := range n.Layers {
		for b := a; b < len(n.Layers); b++ {
			block := spin.Block[float32]{A: a, B: b, RowPtr: []int{0}}
			fa, fb := n.First(a), n.First(b)
			for i := range n.Layers[a] {
				for j := range n.Layers[b] {
					if w := m.J[(fa+i)*m.N+fb+j]; w != 0 {
						block.Col, block.W = append(block.Col, int32(j)), append(block.W, w)
					}
				}
				block.RowPtr = append(block.RowPtr, len(block.W))
			}
			if len(block.W) > 0 {
				n.Blocks = append(n.Blocks, block)
			}
		}
	}
	return n
}

// Network returns the machine in the fixed point of jobs.
func (m *Machine) Network() (*spin.Network, error) {
	for i := range m.N {
		for j := range i {
			if x, y := m.J[i*m.N+j], m.J[j*m.N+i]; x != y {
				return nil, fmt.Errorf("coupling of units %d and %d is %v one way and %v the other, want the same finite number", j, i, y, x)
			}
		}
	}
	return spin.Quantize(m.Net())
}
