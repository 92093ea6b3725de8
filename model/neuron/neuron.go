// Package neuron is the single sigmoid neuron: its activity, its log loss as
// the likelihood of a training set, the gradient by hand and by automatic
// differentiation, and learning by gradient descent.
//
// Equation numbers are those of the thesis that the project grew from.
package neuron

import (
	"errors"
	"fmt"
	"math"
)

// Neuron is a unit with inputs x_i, weights w_i and a bias, the weight of an
// input that is always 1.
type Neuron struct {
	W    []float64 // [inputs]
	Bias float64
}

// New returns a neuron whose weights and bias are 0. It panics if there is no
// input.
func New(inputs int) *Neuron {
	if inputs < 1 {
		panic(fmt.Sprintf("neuron: %d inputs", inputs))
	}
	return &Neuron{W: make([]float64, inputs)}
}

// Activation returns a = Σ_i w_i x_i + bias (eq 1). x must have an entry for
// each weight.
func (n *Neuron) Activation(x []float64) float64 {
	if len(x) != len(n.W) {
		panic(fmt.Sprintf("neuron: %d inputs for %d weights", len(x), len(n.W)))
	}
	a := n.Bias
	for i, w := range n.W {
		a += float64(w * x[i])
	}
	return a
}

// Activity returns y = σ(a), the probability that the target is 1 (eqs 2
// and 4).
func (n *Neuron) Activity(x []float64) float64 { return Sigmoid(n.Activation(x)) }

// Sigmoid returns σ(a) = 1/(1 + e^(−a)) (eq 2). No a overflows.
func Sigmoid(a float64) float64 {
	if a < 0 {
		e := math.Exp(a)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-a))
}

// softplus is ln(1 + e^a) = −ln σ(−a).
func softplus(a float64) float64 { return math.Max(a, 0) + math.Log1p(math.Exp(-math.Abs(a))) }

// Set is a training set.
type Set struct {
	Inputs int
	X      []float64 // [samples][Inputs], row-major
	T      []float64 // [samples], targets of 0 or 1
}

// Samples returns the number of samples.
func (s *Set) Samples() int { return len(s.T) }

// Row returns the inputs of a sample.
func (s *Set) Row(i int) []float64 { return s.X[i*s.Inputs : (i+1)*s.Inputs] }

// Check returns an error, naming what is wrong, unless there are samples, the
// lengths fit, inputs are finite and targets 0 or 1.
func (s *Set) Check() error {
	if s.Inputs < 1 || len(s.T) == 0 {
		return fmt.Errorf("%d samples of %d inputs, want at least one of each", len(s.T), s.Inputs)
	}
	if len(s.X)/s.Inputs != len(s.T) || len(s.X)%s.Inputs != 0 {
		return fmt.Errorf("%d numbers for %d samples of %d inputs", len(s.X), len(s.T), s.Inputs)
	}
	for i, x := range s.X {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("sample %d: input %d is %v, want a finite number", i/s.Inputs, i%s.Inputs, x)
		}
	}
	for i, t := range s.T {
		if t != 0 && t != 1 {
			return fmt.Errorf("sample %d: target %v, want 0 or 1", i, t)
		}
	}
	return nil
}

// Loss returns the log loss (eq 3)
//
//	G = −Σ_n [t ln y + (1 − t) ln(1 − y)].
//
// e^(−G) is the likelihood of the targets (eqs 7–9). It stays finite and
// accurate where y rounds to 0 or 1.
func (n *Neuron) Loss(s *Set) float64 {
	g := 0.
	for i, t := range s.T {
		a := n.Activation(s.Row(i))
		if t == 1 {
			a = -a
		}
		g += softplus(a)
	}
	return g
}

// Gradient writes ∂G/∂w_i = −Σ_n (t − y) x_i (eq 10) to dst, one entry for
// each weight, and returns ∂G/∂bias.
func (n *Neuron) Gradient(dst []float64, s *Set) (bias float64) {
	if len(dst) != len(n.W) {
		panic(fmt.Sprintf("neuron: gradient of %d entries for %d weights", len(dst), len(n.W)))
	}
	clear(dst)
	for i, t := range s.T {
		x := s.Row(i)
		d := n.Activity(x) - t
		for j := range dst {
			dst[j] += float64(d * x[j])
		}
		bias += d
	}
	return bias
}

// LogPosterior returns ln P(w|D) of Bayes' theorem (eq 5) up to the constant
// ln P(D), for a Gaussian prior of the weights, P(w) ∝ e^(−decay·Σw²/2), and a
// flat one of the bias: weight decay is that prior. decay must not be
// negative.
func (n *Neuron) LogPosterior(s *Set, decay float64) float64 {
	return -n.Loss(s) - n.penalty(decay)
}

func (n *Neuron) penalty(decay float64) float64 {
	sum := 0.
	for _, w := range n.W {
		sum += float64(w * w)
	}
	return decay / 2 * sum
}

// Accuracy returns the fraction of samples whose target is the more probable
// one; y = 1/2 counts as 1.
func (n *Neuron) Accuracy(s *Set) float64 {
	right := 0
	for i, t := range s.T {
		if (n.Activation(s.Row(i)) >= 0) == (t == 1) {
			right++
		}
	}
	return float64(right) / float64(len(s.T))
}

// Learning says how a neuron learns.
type Learning struct {
	Rate  float64 // η of w ← w − η ∂G/∂w, the gradient summed over all samples
	Decay float64 // of the weights' prior, as in LogPosterior
	Steps int
}

// Check reports what is wrong.
func (l Learning) Check() error {
	if !(l.Rate > 0) || math.IsInf(l.Rate, 0) {
		return fmt.Errorf("rate %v: want a finite number above 0", l.Rate)
	}
	if !(l.Decay >= 0) || math.IsInf(l.Decay, 0) {
		return fmt.Errorf("decay %v: want a finite number of 0 or more", l.Decay)
	}
	if l.Steps < 0 {
		return fmt.Errorf("%d steps: want 0 or more", l.Steps)
	}
	return nil
}

// ErrDiverged says that learning has left the finite numbers.
var ErrDiverged = errors.New("learning diverged: want a smaller rate")

// Learn takes steps of gradient descent on −ln P(w|D) and calls each, if not
// nil, with the number of steps taken and the loss G, before the first step
// and after every one. The set must have as many inputs as the neuron.
func (n *Neuron) Learn(s *Set, l Learning, each func(step int, loss float64)) error {
	if err := l.Check(); err != nil {
		return err
	}
	if err := s.Check(); err != nil {
		return err
	}
	if s.Inputs != len(n.W) {
		return fmt.Errorf("samples of %d inputs for a neuron of %d", s.Inputs, len(n.W))
	}
	g := make([]float64, len(n.W))
	for step := 0; ; step++ {
		if loss := n.Loss(s); math.IsNaN(loss) || math.IsInf(loss, 0) {
			return ErrDiverged
		} else if each != nil {
			each(step, loss)
		}
		if step == l.Steps {
			return nil
		}
		bias := n.Gradient(g, s)
		for i, w := range n.W {
			n.W[i] = w - float64(l.Rate*(g[i]+float64(l.Decay*w)))
		}
		n.Bias -= float64(l.Rate * bias)
	}
}
