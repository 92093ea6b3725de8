package neuron

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// AutoGradient is Gradient by reverse-mode automatic differentiation of the
// loss as gorgonia evaluates it: an independent check of eq (10). Where
// activations are of order one both agree to rounding.
func (n *Neuron) AutoGradient(dst []float64, s *Set) (bias float64, err error) {
	if err := s.Check(); err != nil {
		return 0, err
	}
	if s.Inputs != len(n.W) || len(dst) != len(n.W) {
		return 0, fmt.Errorf("samples of %d inputs and a gradient of %d entries for %d weights", s.Inputs, len(dst), len(n.W))
	}
	// The bias is the weight of an input that is always 1.
	inputs, rows := s.Inputs+1, s.Samples()
	x := make([]float64, 0, rows*inputs)
	for i := range rows {
		x = append(append(x, s.Row(i)...), 1)
	}
	absent := make([]float64, rows) // 1 − t
	for i, t := range s.T {
		absent[i] = 1 - t
	}
	g := gorgonia.NewGraph()
	vector := func(name string, v []float64) *gorgonia.Node {
		v = append([]float64(nil), v...)
		return gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(len(v)), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v))))
	}
	w := vector("w", append(append([]float64(nil), n.W...), n.Bias))
	matrix := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(rows, inputs), gorgonia.WithName("x"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(rows, inputs), tensor.WithBacking(x))))

	loss, err := autoLoss(matrix, w, vector("t", s.T), vector("1-t", absent))
	if err != nil {
		return 0, err
	}
	if _, err := gorgonia.Grad(loss, w); err != nil {
		return 0, fmt.Errorf("differentiating the loss: %w", err)
	}
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(w))
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		return 0, fmt.Errorf("evaluating the loss: %w", err)
	}
	gradient, err := w.Grad()
	if err != nil {
		return 0, fmt.Errorf("reading the gradient: %w", err)
	}
	all := gradient.Data().([]float64)
	copy(dst, all)
	return all[s.Inputs], nil
}

// autoLoss is eq (3) as a graph: Σ t·ln(1 + e^(−a)) + (1 − t)·ln(1 + e^a).
func autoLoss(x, w, t, absent *gorgonia.Node) (*gorgonia.Node, error) {
	a, err := gorgonia.Mul(x, w)
	if err != nil {
		return nil, err
	}
	minus, err := gorgonia.Neg(a)
	if err != nil {
		return nil, err
	}
	term := func(weight, a *gorgonia.Node) (*gorgonia.Node, error) {
		p, err := gorgonia.Softplus(a)
		if err != nil {
			return nil, err
		}
		return gorgonia.HadamardProd(weight, p)
	}
	one, err := term(t, minus)
	if err != nil {
		return nil, err
	}
	zero, err := term(absent, a)
	if err != nil {
		return nil, err
	}
	sum, err := gorgonia.Add(one, zero)
	if err != nil {
		return nil, err
	}
	return gorgonia.Sum(sum)
}
