package modelfile

import (
	"context"
	"fmt"
	"math"
	"slices"

	"kadanoff/model/rbm"
	"kadanoff/model/safetensors"
)

// RBM holds the parameters of a restricted Boltzmann machine in the units of
// its file:
//
//	−E(v, h) = Σ_ia W_ia v_i h_a + Σ_i b_i v_i + Σ_a c_a h_a
//
// with v and h in ±1 or in {0,1}.
type RBM struct {
	Units           Units
	Visible, Hidden int
	W               []float32 // [visible][hidden], row-major
	B               []float32 // [visible]
	C               []float32 // [hidden]
}

// Conversion is what comes with a change of units.
type Conversion struct {
	// Constant is ln Z of the model before the conversion less ln Z after it.
	// Both give each configuration the same probability.
	Constant float64

	// Rounding is the sum of what rounding moved the biases by. It bounds the
	// change of any energy, and of ln Z.
	Rounding float64
}

// FromSpin returns the machine of ±1 units m with its parameters in units u.
// The conversion is from m to the result.
func FromSpin(m *rbm.RBM, u Units) (*RBM, Conversion, error) {
	f := &RBM{Units: Spin, Visible: m.Visible, Hidden: m.Hidden, W: m.W, B: m.B, C: m.C}
	return f.Convert(u)
}

// Spin returns the machine of ±1 units, which shares the memory of m if that is
// one already. The conversion is from m to the result: ln Z in the units of m is
// that of the result plus its Constant.
func (m *RBM) Spin() (*rbm.RBM, Conversion, error) { return m.SpinContext(context.Background()) }

// SpinContext is Spin that returns the context's error soon after ctx ends.
func (m *RBM) SpinContext(ctx context.Context) (*rbm.RBM, Conversion, error) {
	s, conv := m, Conversion{}
	if m.Units != Spin {
		var err error
		if s, conv, err = m.convert(ctx, Spin); err != nil {
			return nil, conv, err
		}
	}
	return &rbm.RBM{Visible: s.Visible, Hidden: s.Hidden, W: s.W, B: s.B, C: s.C}, conv, nil
}

// Convert returns the same machine with its parameters in other units. With
// x = (1+v)/2 in {0,1}:
//
//	W = W₀₁/4,  b = b₀₁/2 + Σ_a W₀₁/4,  c = c₀₁/2 + Σ_i W₀₁/4
//	ln Z₀₁ = ln Z + ΣW₀₁/4 + Σb₀₁/2 + Σc₀₁/2
//
// and the other way round
//
//	W₀₁ = 4W,  b₀₁ = 2(b − Σ_a W),  c₀₁ = 2(c − Σ_i W)
//	ln Z = ln Z₀₁ + ΣW − Σb − Σc
//
// Sums are in float64, in the order of the indices. Weights that float32 cannot
// hold afterwards are an error. The result shares nothing with m.
func (m *RBM) Convert(to Units) (*RBM, Conversion, error) {
	if to == m.Units {
		return &RBM{
			Units: to, Visible: m.Visible, Hidden: m.Hidden,
			W: slices.Clone(m.W), B: slices.Clone(m.B), C: slices.Clone(m.C),
		}, Conversion{}, nil
	}
	return m.convert(context.Background(), to)
}

// convert returns the machine in the units that are not its own.
func (m *RBM) convert(ctx context.Context, to Units) (*RBM, Conversion, error) {
	out := &RBM{
		Units: to, Visible: m.Visible, Hidden: m.Hidden,
		W: make([]float32, len(m.W)), B: slices.Clone(m.B), C: slices.Clone(m.C),
	}
	scale := 0.25
	if to == Binary {
		scale = 4
	}
	rows, columns := make([]float64, m.Visible), make([]float64, m.Hidden)
	total := 0.
	finite := true
	for i := range m.Visible {
		if i*m.Hidden>>16 != (i-1)*m.Hidden>>16 && ctx.Err() != nil {
			return nil, Conversion{}, ctx.Err()
		}
		dst := out.W[i*m.Hidden:][:m.Hidden]
		for a, x := range m.W[i*m.Hidden:][:m.Hidden] {
			w := float64(x)
			rows[i] += w
			columns[a] += w
			total += w
			y := float32(w * scale)
			finite = finite && y-y == 0
			dst[a] = y
		}
	}
	var conv Conversion
	if to == Spin {
		conv.Constant = total/4 + sum(m.B)/2 + sum(m.C)/2
	} else {
		conv.Constant = total - sum(m.B) - sum(m.C)
	}
	conv.Rounding += convertBiases(out.B, rows, to)
	conv.Rounding += convertBiases(out.C, columns, to)
	for _, x := range append(slices.Clone(out.B), out.C...) {
		finite = finite && x-x == 0
	}
	if !finite {
		return nil, Conversion{}, fmt.Errorf("in units %s: %w", to, out.validate())
	}
	return out, conv, nil
}

// Scaled returns the model with every parameter multiplied by a factor: at the
// temperature factor it is what m is at 1. An error says that a parameter
// leaves the range of float32.
func (m *RBM) Scaled(factor float64) (*RBM, error) {
	out := *m
	for _, list := range []*[]float32{&out.W, &out.B, &out.C} {
		scaled, err := scale(*list, factor)
		if err != nil {
			return nil, err
		}
		*list = scaled
	}
	return &out, nil
}

// scale returns numbers times a factor; nil stays nil.
func scale(list []float32, factor float64) ([]float32, error) {
	if list == nil {
		return nil, nil
	}
	scaled := make([]float32, len(list))
	for i, x := range list {
		y, ok := narrow(float64(x) * factor)
		if !ok {
			return nil, fmt.Errorf("parameter %v times %v is beyond float32", x, factor)
		}
		scaled[i] = y
	}
	return scaled, nil
}

// convertBiases converts biases in place, given each unit's sum of weights
// before the conversion, and returns the sum of the rounding errors.
func convertBiases(biases []float32, sums []float64, to Units) float64 {
	rounding := 0.
	for i, b := range biases {
		exact := float64(b)/2 + sums[i]/4
		if to == Binary {
			exact = 2 * (float64(b) - sums[i])
		}
		biases[i] = float32(exact)
		rounding += math.Abs(float64(biases[i]) - exact)
	}
	return rounding
}

func sum(list []float32) float64 {
	s := 0.
	for _, x := range list {
		s += float64(x)
	}
	return s
}

func (m *RBM) validate() error {
	return (&rbm.RBM{Visible: m.Visible, Hidden: m.Hidden, W: m.W, B: m.B, C: m.C}).Validate()
}

// readRBM reads weights and the biases of both layers under the given names.
func readRBM(src source, units Units, names [3]string, transposed bool) (*RBM, error) {
	w, shape, err := src.floats(names[0], 2, transposed)
	if err != nil {
		return nil, err
	}
	m := &RBM{Units: units, Visible: shape[0], Hidden: shape[1], W: w}
	if m.Visible == 0 || m.Hidden == 0 {
		return nil, fmt.Errorf("%s leaves %d visible and %d hidden units, want at least one each", names[0], m.Visible, m.Hidden)
	}
	for k, b := range []struct {
		to    *[]float32
		units int
		layer string
	}{{&m.B, m.Visible, "visible"}, {&m.C, m.Hidden, "hidden"}} {
		list, shape, err := src.floats(names[k+1], 1, false)
		if err != nil {
			return nil, err
		}
		if shape[0] != b.units {
			return nil, fmt.Errorf("%s has %d biases, but %s has %d %s units", names[k+1], shape[0], names[0], b.units, b.layer)
		}
		*b.to = list
	}
	return m, nil // every number is finite, the shapes fit
}

func (m *RBM) tensors() ([]safetensors.Data, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	return []safetensors.Data{
		safetensors.Of("W", m.W, m.Visible, m.Hidden),
		safetensors.Of("b", m.B, m.Visible),
		safetensors.Of("c", m.C, m.Hidden),
	}, nil
}
