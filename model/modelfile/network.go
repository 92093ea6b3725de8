package modelfile

import (
	"fmt"
	"math"
	"slices"

	"kadanoff/model/safetensors"
)

// Network holds the parameters of a Boltzmann machine or Hopfield net of N
// units, in the units of its file:
//
//	−E(s) = Σ_{i<j} J_ij s_i s_j + Σ_i h_i s_i
//
// Couplings are dense, J, or a list of pairs.
type Network struct {
	Units Units
	N     int

	// J is [N][N], row-major, symmetric, with 0 on the diagonal; nil when
	// couplings are listed.
	J []float32

	// Row, Col and Value list the couplings, each pair once, Row < Col, in the
	// order of (Row, Col).
	Row, Col []int32
	Value    []float32

	H       []float32 // [N]
	Visible []int32   // indices of the visible units, ascending
}

// Convert returns the same network with its parameters in other units. With
// x = (1+s)/2 in {0,1}:
//
//	J = J₀₁/4,  h_i = h₀₁_i/2 + Σ_j J₀₁_ij/4
//	ln Z₀₁ = ln Z + Σ_{i<j} J₀₁/4 + Σ h₀₁/2
//
// and the other way round
//
//	J₀₁ = 4J,  h₀₁_i = 2(h_i − Σ_j J_ij)
//	ln Z = ln Z₀₁ + Σ_{i<j} J − Σ h
//
// Sums are in float64, in the order of the indices. Couplings that float32
// cannot hold afterwards are an error. The result shares nothing with m.
func (m *Network) Convert(to Units) (*Network, Conversion, error) {
	out := &Network{
		Units: to, N: m.N, J: slices.Clone(m.J), Row: slices.Clone(m.Row), Col: slices.Clone(m.Col),
		Value: slices.Clone(m.Value), H: slices.Clone(m.H), Visible: slices.Clone(m.Visible),
	}
	if to == m.Units {
		return out, Conversion{}, nil
	}
	scale := 0.25
	if to == Binary {
		scale = 4
	}
	sums := make([]float64, m.N)
	total := 0.
	for i := range m.N {
		for j := range m.N {
			if m.J == nil {
				break
			}
			w := float64(m.J[i*m.N+j])
			sums[i] += w
			if i < j {
				total += w
			}
			out.J[i*m.N+j] = float32(w * scale)
		}
	}
	for k, v := range m.Value {
		w := float64(v)
		sums[m.Row[k]] += w
		sums[m.Col[k]] += w
		total += w
		out.Value[k] = float32(w * scale)
	}
	var conv Conversion
	if to == Spin {
		conv.Constant = total/4 + sum(m.H)/2
	} else {
		conv.Constant = total - sum(m.H)
	}
	conv.Rounding = convertBiases(out.H, sums, to)
	if err := out.validate(); err != nil {
		return nil, Conversion{}, fmt.Errorf("in units %s: %w", to, err)
	}
	return out, conv, nil
}

// Scaled returns the network with every parameter multiplied by a factor: at the
// temperature factor it is what m is at 1. An error says that a parameter leaves
// the range of float32.
func (m *Network) Scaled(factor float64) (*Network, error) {
	out := *m
	for _, list := range []*[]float32{&out.J, &out.Value, &out.H} {
		scaled, err := scale(*list, factor)
		if err != nil {
			return nil, err
		}
		*list = scaled
	}
	return &out, nil
}

func readNetwork(src source, units Units) (*Network, error) {
	m := &Network{Units: units, N: -1}
	if src.has("J") {
		list, shape, err := src.floats("J", 2, false)
		if err != nil {
			return nil, err
		}
		if shape[0] != shape[1] {
			return nil, fmt.Errorf("J has shape %v, want as many rows as columns", shape)
		}
		m.J, m.N = list, shape[0]
	}
	switch {
	case src.has("h"):
		list, shape, err := src.floats("h", 1, false)
		if err != nil {
			return nil, err
		}
		if m.N >= 0 && shape[0] != m.N {
			return nil, fmt.Errorf("h has %d fields, but J has %d units", shape[0], m.N)
		}
		m.H, m.N = list, shape[0]
	case m.J != nil:
		m.H = make([]float32, m.N)
	default:
		return nil, fmt.Errorf("no h: with row, col and value it says how many units there are")
	}
	if m.J == nil {
		if err := m.readPairs(src); err != nil {
			return nil, err
		}
	}
	if err := m.readVisible(src); err != nil {
		return nil, err
	}
	return m, m.validate()
}

func (m *Network) readPairs(src source) error {
	value, shape, err := src.floats("value", 1, false)
	if err != nil {
		return err
	}
	m.Value = value
	for _, x := range []struct {
		name string
		to   *[]int32
	}{{"row", &m.Row}, {"col", &m.Col}} {
		list, s, _, err := src.integers(x.name)
		if err != nil {
			return err
		}
		if !slices.Equal(s, shape) {
			return fmt.Errorf("%s has shape %s, but value has %v", x.name, shapeText(s), shape)
		}
		if *x.to, err = m.indices(x.name, list); err != nil {
			return err
		}
	}
	m.orderPairs()
	return nil
}

// indices checks that every number names a unit.
func (m *Network) indices(name string, list []int64) ([]int32, error) {
	out := make([]int32, len(list))
	for k, i := range list {
		if i < 0 || i >= int64(m.N) || i > math.MaxInt32 {
			return nil, fmt.Errorf("%s[%d] is %d, want a unit from 0 to %d", name, k, i, m.N-1)
		}
		out[k] = int32(i)
	}
	return out, nil
}

// orderPairs puts each pair as (smaller, larger) and the pairs in order.
func (m *Network) orderPairs() {
	order := make([]int, len(m.Value))
	for k := range order {
		order[k] = k
		if m.Row[k] > m.Col[k] {
			m.Row[k], m.Col[k] = m.Col[k], m.Row[k]
		}
	}
	key := func(k int) int64 { return int64(m.Row[k])<<32 | int64(m.Col[k]) }
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := key(a), key(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	row, col, value := m.Row, m.Col, m.Value
	m.Row, m.Col, m.Value = make([]int32, len(order)), make([]int32, len(order)), make([]float32, len(order))
	for to, from := range order {
		m.Row[to], m.Col[to], m.Value[to] = row[from], col[from], value[from]
	}
}

// readVisible reads the visible units: their indices, a mask of booleans, or a
// single number for how many come first. Without any, all units are visible.
func (m *Network) readVisible(src source) error {
	m.Visible = []int32{}
	if !src.has("visible") {
		for i := range m.N {
			m.Visible = append(m.Visible, int32(i))
		}
		return nil
	}
	list, shape, mask, err := src.integers("visible")
	if err != nil {
		return err
	}
	switch {
	case mask && len(shape) == 1 && shape[0] == m.N:
		for i, x := range list {
			if x == 1 {
				m.Visible = append(m.Visible, int32(i))
			}
		}
	case !mask && len(shape) == 0:
		if list[0] < 0 || list[0] > int64(m.N) {
			return fmt.Errorf("visible is %d, want a number of units from 1 to %d", list[0], m.N)
		}
		for i := range list[0] {
			m.Visible = append(m.Visible, int32(i))
		}
	case !mask && len(shape) == 1:
		if m.Visible, err = m.indices("visible", list); err != nil {
			return err
		}
		slices.Sort(m.Visible)
	default:
		return fmt.Errorf("visible has shape %s, want a list of units, a mask of %d booleans or one number", shapeText(shape), m.N)
	}
	return nil
}

func (m *Network) validate() error {
	if m.N < 1 {
		return fmt.Errorf("no units, want at least one")
	}
	if len(m.H) != m.N || m.J != nil && len(m.J) != m.N*m.N || len(m.Row) != len(m.Value) || len(m.Col) != len(m.Value) || m.J != nil && m.Value != nil {
		return fmt.Errorf("%d fields, %d couplings in J and %d, %d, %d in row, col and value do not fit %d units", len(m.H), len(m.J), len(m.Row), len(m.Col), len(m.Value), m.N)
	}
	for i, x := range m.H {
		if _, ok := narrow(float64(x)); !ok {
			return fmt.Errorf("h[%d] is %v, want a finite field", i, x)
		}
	}
	if m.J != nil {
		if err := m.validateDense(); err != nil {
			return err
		}
	} else if err := m.validatePairs(); err != nil {
		return err
	}
	if len(m.Visible) == 0 {
		return fmt.Errorf("no visible unit, want at least one")
	}
	for k, i := range m.Visible {
		if i < 0 || int(i) >= m.N {
			return fmt.Errorf("visible[%d] is %d, want a unit from 0 to %d", k, i, m.N-1)
		}
		if k > 0 && i <= m.Visible[k-1] {
			return fmt.Errorf("unit %d is visible twice", i)
		}
	}
	return nil
}

func (m *Network) validateDense() error {
	for i := range m.N {
		for j := range i + 1 {
			a, b := m.J[i*m.N+j], m.J[j*m.N+i]
			if _, ok := narrow(float64(a)); !ok {
				return fmt.Errorf("J[%d, %d] is %v, want a finite coupling", i, j, a)
			}
			if i == j && a != 0 {
				return fmt.Errorf("J[%d, %d] is %v, want 0: no unit couples to itself", i, j, a)
			}
			if a != b {
				return fmt.Errorf("J[%d, %d] is %v but J[%d, %d] is %v, want a symmetric matrix", i, j, a, j, i, b)
			}
		}
	}
	return nil
}

func (m *Network) validatePairs() error {
	for k, x := range m.Value {
		i, j := m.Row[k], m.Col[k]
		switch _, finite := narrow(float64(x)); {
		case !finite:
			return fmt.Errorf("the coupling of %d and %d is %v, want a finite one", i, j, x)
		case i < 0 || int(j) >= m.N:
			return fmt.Errorf("a coupling of %d and %d, want units from 0 to %d", i, j, m.N-1)
		case i == j:
			return fmt.Errorf("unit %d couples to itself", i)
		case i > j || k > 0 && (i < m.Row[k-1] || i == m.Row[k-1] && j < m.Col[k-1]):
			return fmt.Errorf("the coupling of %d and %d is out of order", i, j)
		case k > 0 && i == m.Row[k-1] && j == m.Col[k-1]:
			return fmt.Errorf("units %d and %d couple twice", i, j)
		}
	}
	return nil
}

func (m *Network) tensors() ([]safetensors.Data, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	data := []safetensors.Data{
		safetensors.Of("h", m.H, m.N),
		safetensors.Of("visible", m.Visible, len(m.Visible)),
	}
	if m.J != nil {
		return append(data, safetensors.Of("J", m.J, m.N, m.N)), nil
	}
	return append(data,
		safetensors.Of("row", m.Row, len(m.Row)),
		safetensors.Of("col", m.Col, len(m.Col)),
		safetensors.Of("value", m.Value, len(m.Value))), nil
}
