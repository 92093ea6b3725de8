package modelfile

import (
	"fmt"
	"math"
	"slices"

	"kadanoff/model/boltzmann"
	"kadanoff/model/hopfield"
	"kadanoff/spin"
)

// MaxDense is the most units whose couplings Machine and Hopfield spread into a
// matrix: a short file with a list of couplings can name many more.
const MaxDense = 1 << 13

// FromMachine returns a Boltzmann machine with its parameters in units u. The
// conversion is from m to the result.
func FromMachine(m *boltzmann.Machine, u Units) (*Network, Conversion, error) {
	n := &Network{Units: Spin, N: m.N, J: m.J, H: m.H}
	for i := range m.Visible {
		n.Visible = append(n.Visible, int32(i))
	}
	if err := n.validate(); err != nil {
		return nil, Conversion{}, err
	}
	return n.Convert(u)
}

// FromNet returns a network of one or two layers, the first of them visible, in
// units of ±1.
func FromNet(net *spin.Net[float32]) (*Network, error) {
	n := net.Units()
	out := &Network{Units: Spin, N: n, J: make([]float32, n*n), H: slices.Clone(net.Bias)}
	for k := range net.Blocks {
		b := &net.Blocks[k]
		fa, fb := net.First(b.A), net.First(b.B)
		b.Each(net.Layers[b.B], func(i, j int, w float32) {
			out.J[(fa+i)*n+fb+j], out.J[(fb+j)*n+fa+i] = w, w
		})
	}
	for i := range net.Layers[0] {
		out.Visible = append(out.Visible, int32(i))
	}
	return out, out.validate()
}

// Machine returns the Boltzmann machine of ±1 units: its visible units first,
// then the hidden ones, each in the order of the file. The conversion is from m
// to the result.
func (m *Network) Machine() (*boltzmann.Machine, Conversion, error) {
	s, conv, err := m.dense()
	if err != nil {
		return nil, conv, err
	}
	order := append([]int32(nil), s.Visible...)
	for i := range int32(s.N) {
		if _, visible := slices.BinarySearch(s.Visible, i); !visible {
			order = append(order, i)
		}
	}
	out := boltzmann.New(s.N, len(s.Visible))
	for to, from := range order {
		out.H[to] = s.H[from]
		for at, j := range order {
			out.J[to*s.N+at] = s.J[int(from)*s.N+int(j)]
		}
	}
	return out, conv, out.Validate()
}

// FromHopfield returns a Hopfield network of ±1 units, all of them visible.
// Couplings and biases are rounded to float32.
func FromHopfield(n *hopfield.Net) (*Network, error) {
	out := &Network{Units: Spin, N: n.N, J: make([]float32, len(n.W)), H: make([]float32, n.N)}
	for i, w := range n.W {
		out.J[i] = float32(float64(w) * n.Scale)
	}
	for i, b := range n.Bias {
		out.H[i] = float32(float64(b) * n.Scale)
		out.Visible = append(out.Visible, int32(i))
	}
	return out, out.validate()
}

// Hopfield returns the Hopfield network of ±1 units. Its fields decide by their
// sign, and at 0, so couplings that are whole multiples of 1/N as far as float32
// can tell, which Hebb's rule gives, are taken as exactly that; others are
// rounded to 30 bits. The conversion is from m to the result.
func (m *Network) Hopfield() (*hopfield.Net, Conversion, error) {
	s, conv, err := m.dense()
	if err != nil {
		return nil, conv, err
	}
	n := &hopfield.Net{N: s.N, W: make([]int32, len(s.J)), Bias: make([]int32, s.N), Scale: 1 / float64(s.N)}
	if multiples(n.W, s.J, n.Scale) && multiples(n.Bias, s.H, n.Scale) && n.Check() == nil {
		return n, conv, nil
	}
	w, b := make([]float64, len(s.J)), make([]float64, s.N)
	for i, x := range s.J {
		w[i] = float64(x)
	}
	for i, x := range s.H {
		b[i] = float64(x)
	}
	n, err = hopfield.New(w, b, s.N)
	return n, conv, err
}

// multiples writes x/scale, and reports whether all are whole numbers that give
// x again.
func multiples(dst []int32, x []float32, scale float64) bool {
	for i, v := range x {
		k := math.RoundToEven(float64(v) / scale)
		if math.Abs(k) >= 1<<30 || float32(k*scale) != v {
			return false
		}
		dst[i] = int32(k)
	}
	return true
}

// dense returns the network in units of ±1 with J as a matrix.
func (m *Network) dense() (*Network, Conversion, error) {
	if m.N > MaxDense {
		return nil, Conversion{}, fmt.Errorf("%d units, want at most %d", m.N, MaxDense)
	}
	s, conv, err := m.Convert(Spin)
	if err != nil || s.J != nil {
		return s, conv, err
	}
	s.J = make([]float32, s.N*s.N)
	for k, x := range s.Value {
		i, j := int(s.Row[k]), int(s.Col[k])
		s.J[i*s.N+j], s.J[j*s.N+i] = x, x
	}
	s.Row, s.Col, s.Value = nil, nil, nil
	return s, conv, nil
}
