package thermometer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Training says how a thermometer is trained: stochastic gradient descent on
// the cross entropy of the softmax, or on the mean square of the error in
// regression, averaged over a batch.
type Training struct {
	Rate   float64
	Batch  int // rows left over at the end of an epoch wait for the next one's order
	Epochs int
	Seed   uint64 // of the order of the rows
	// Progress, if not nil, is called after each epoch with the mean loss over
	// its batches.
	Progress func(epoch int, loss float64)
}

// ErrDiverged says that training has left the finite numbers.
var ErrDiverged = errors.New("training diverged: want a smaller rate")

// parts is how many pieces a batch is cut into, each a graph of its own, which
// run at the same time: gorgonia works on one operation after the other, and
// only its matrix products on several cores. The pieces do not depend on the
// number of cores, and their gradients are added in order.
const parts = 2

// Train trains the thermometer on a set, on as many as parts cores. The same
// arguments give the same network with any number of threads. Products of
// matrices are those of tensor.Use, gonum's unless a program has others; gonum
// may order their sums otherwise on another architecture.
func (th *Thermometer) Train(ctx context.Context, s *Set, t Training) error {
	if err := s.check(th); err != nil {
		return err
	}
	switch {
	case !(t.Rate > 0) || math.IsInf(t.Rate, 0):
		return fmt.Errorf("rate %v: want a finite number above 0", t.Rate)
	case t.Batch < 1 || t.Batch > len(s.Class):
		return fmt.Errorf("batches of %d: want 1 to %d, the number of configurations", t.Batch, len(s.Class))
	case t.Epochs < 0:
		return fmt.Errorf("%d epochs: want 0 or more", t.Epochs)
	}
	n := min(parts, t.Batch)
	pieces := make([]*graph, n)
	for k := range pieces {
		g, err := th.graph((k+1)*t.Batch/n-k*t.Batch/n, t.Batch)
		if err != nil {
			return fmt.Errorf("building the network: %w", err)
		}
		defer g.vm.Close()
		pieces[k] = g
	}
	rng := rand.New(rand.NewPCG(t.Seed, 1))
	for epoch := range t.Epochs {
		order := rng.Perm(len(s.Class))
		sum, batches := 0., len(order)/t.Batch
		for b := range batches {
			if err := ctx.Err(); err != nil {
				return err
			}
			loss, err := th.gradient(pieces, s, order[b*t.Batch:(b+1)*t.Batch])
			if err != nil {
				return fmt.Errorf("epoch %d: %w", epoch+1, err)
			}
			if math.IsNaN(loss) || math.IsInf(loss, 0) {
				return ErrDiverged
			}
			sum += loss
			if err := th.step(pieces, float32(t.Rate)); err != nil {
				return fmt.Errorf("epoch %d: %w", epoch+1, err)
			}
		}
		if t.Progress != nil {
			t.Progress(epoch+1, sum/float64(batches))
		}
	}
	return nil
}

// gradient leaves the gradient of a batch in the pieces, in parts that add up
// to it, and returns the loss.
func (th *Thermometer) gradient(pieces []*graph, s *Set, rows []int) (float64, error) {
	failed := make([]error, len(pieces))
	var wg sync.WaitGroup
	for k, g := range pieces {
		wg.Go(func() {
			g.fill(th, s, rows[k*len(rows)/len(pieces):(k+1)*len(rows)/len(pieces)])
			failed[k] = g.vm.RunAll()
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return 0, err
	}
	loss := 0.
	for _, g := range pieces {
		loss += float64(g.loss.Value().Data().(float32))
	}
	return loss, nil
}

// step moves all parameters against the gradient and makes the pieces ready
// for the next batch.
func (th *Thermometer) step(pieces []*graph, rate float32) error {
	for k := range pieces[0].learnt {
		l := th.Layers[k/2]
		parameters := [][]float32{l.W, l.B}[k%2]
		gradients := make([][]float32, len(pieces))
		for i, g := range pieces {
			grad, err := g.learnt[k].Grad()
			if err != nil {
				return err
			}
			gradients[i] = grad.Data().([]float32)
		}
		descend(parameters, gradients, rate)
	}
	for _, g := range pieces {
		g.vm.Reset()
	}
	return nil
}

// descend takes rate·Σ gradients off the parameters and sets the gradients to
// 0, to which the next batch adds.
func descend(parameters []float32, gradients [][]float32, rate float32) {
	sum := gradients[0]
	for _, g := range gradients[1:] {
		for i, x := range g {
			sum[i] += x
		}
		clear(g)
	}
	for i, x := range sum {
		parameters[i] -= float32(rate * x)
	}
	clear(sum)
}

// graph is the network for a piece of a batch. Its parameters are the memory of
// the thermometer's layers.
type graph struct {
	vm     gorgonia.VM
	x, y   []float32 // [rows][inputs], [rows][outputs]
	loss   *gorgonia.Node
	learnt gorgonia.Nodes
}

// fill copies rows of a set to the piece.
func (g *graph) fill(th *Thermometer, s *Set, rows []int) {
	clear(g.y)
	outputs := len(g.y) / len(rows)
	for r, row := range rows {
		for i, v := range s.X[row*s.Inputs : (row+1)*s.Inputs] {
			g.x[r*s.Inputs+i] = float32(v)
		}
		if th.Regression {
			g.y[r] = float32(th.Temperatures[s.Class[row]])
		} else {
			g.y[r*outputs+s.Class[row]] = 1
		}
	}
}

// graph builds the loss of rows out of a batch of B,
//
//	softmax:     (1/B) Σ_rows [ln Σ_k e^(a_k) − Σ_k y_k a_k]
//	regression:  (1/B) Σ_rows (a − y)²
//
// and its gradient with respect to all weights and biases.
func (th *Thermometer) graph(rows, batch int) (*graph, error) {
	out := new(graph)
	graph := gorgonia.NewGraph()
	matrix := func(name string, rows, cols int, backing []float32) *gorgonia.Node {
		return gorgonia.NewMatrix(graph, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(backing))))
	}
	var failed error // the first error; nothing is built after it
	unary := func(f func(a *gorgonia.Node) (*gorgonia.Node, error), a *gorgonia.Node) (n *gorgonia.Node) {
		if failed == nil {
			n, failed = f(a)
		}
		return n
	}
	binary := func(f func(a, b *gorgonia.Node) (*gorgonia.Node, error), a, b *gorgonia.Node) (n *gorgonia.Node) {
		if failed == nil {
			n, failed = f(a, b)
		}
		return n
	}
	total := func(n *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Sum(n) }
	ofRows := func(n *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Sum(n, 1) }

	outputs := th.Layers[len(th.Layers)-1].Out
	out.x, out.y = make([]float32, rows*th.Inputs()), make([]float32, rows*outputs)
	ones := make([]float32, rows)
	for i := range ones {
		ones[i] = 1
	}
	one := matrix("ones", rows, 1, ones)
	a, y := matrix("x", rows, th.Inputs(), out.x), matrix("y", rows, outputs, out.y)
	for k, l := range th.Layers {
		w, b := matrix(fmt.Sprint("W", k), l.In, l.Out, l.W), matrix(fmt.Sprint("B", k), 1, l.Out, l.B)
		out.learnt = append(out.learnt, w, b)
		a = binary(gorgonia.Add, binary(gorgonia.Mul, a, w), binary(gorgonia.Mul, one, b))
		if k < len(th.Layers)-1 {
			a = unary(gorgonia.Tanh, a)
		}
	}
	var sum *gorgonia.Node
	if th.Regression {
		sum = unary(total, unary(gorgonia.Square, binary(gorgonia.Sub, a, y)))
	} else {
		logs := unary(total, unary(gorgonia.Log, unary(ofRows, unary(gorgonia.Exp, a))))
		sum = binary(gorgonia.Sub, logs, unary(total, binary(gorgonia.HadamardProd, y, a)))
	}
	out.loss = binary(gorgonia.Div, sum, gorgonia.NewConstant(float32(batch)))
	if failed != nil {
		return nil, failed
	}
	if _, err := gorgonia.Grad(out.loss, out.learnt...); err != nil {
		return nil, err
	}
	out.vm = gorgonia.NewTapeMachine(graph, gorgonia.BindDualValues(out.learnt...))
	return out, nil
}
