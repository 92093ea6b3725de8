package gibbs

import "fmt"

// Weights are the packed weights and biases of one direction of a layer, in
// the layout of the path that packed them.
type Weights struct {
	in, out int
	path    path
	inPad   int     // inputs with padding to whole groups
	data    []int32 // layout of the path, zero in the padding
	offset  []int32 // [out]: what the table sums are added to
}

// In returns the number of inputs.
func (w *Weights) In() int { return w.in }

// Out returns the number of output units.
func (w *Weights) Out() int { return w.out }

// Block is a matrix of weights from In inputs to all output units: input i to
// unit u is Src[i·Stride+u], or Src[u·Stride+i] when Transposed.
type Block struct {
	Src        []int32
	Stride     int
	Transposed bool
	In         int
}

func (b *Block) at(i, u int) int32 {
	if b.Transposed {
		return b.Src[u*b.Stride+i]
	}
	return b.Src[i*b.Stride+u]
}

// NewWeights returns weights of in inputs and out units, all zero.
func (k *Kernel) NewWeights(in, out int) *Weights {
	if in < 1 || out < 1 {
		panic(fmt.Sprintf("gibbs: weights of %d inputs and %d units", in, out))
	}
	w := &Weights{in: in, out: out, path: k.path}
	k.path.newWeights(w)
	return w
}

// Pack fills the weights of units [unit0, unit1) from blocks that lie one
// after the other along the inputs, and their biases from bias (nil for zero).
// unit0 is a multiple of UnitBlock and unit1 one too or the number of units,
// so threads can share the work.
func (k *Kernel) Pack(w *Weights, bias []int32, blocks []Block, unit0, unit1 int) {
	if w.path != k.path {
		panic("gibbs: weights belong to another path")
	}
	if unit0 < 0 || unit0 > unit1 || unit1 > w.out || unit0%UnitBlock != 0 || (unit1%UnitBlock != 0 && unit1 != w.out) {
		panic(fmt.Sprintf("gibbs: units [%d, %d) of %d do not lie at multiples of %d", unit0, unit1, w.out, UnitBlock))
	}
	if bias != nil && len(bias) < unit1 {
		panic(fmt.Sprintf("gibbs: %d biases for %d units", len(bias), w.out))
	}
	n := 0
	for i := range blocks {
		b := &blocks[i]
		rows, cols := b.In, unit1
		if b.Transposed {
			rows, cols = cols, rows
		}
		if b.In > 0 && unit1 > unit0 {
			checkDst(b.Src, b.Stride, rows, cols)
		}
		n += b.In
	}
	if n != w.in {
		panic(fmt.Sprintf("gibbs: blocks have %d inputs, weights %d", n, w.in))
	}
	if unit0 < unit1 {
		k.path.pack(w, bias, blocks, unit0, unit1)
	}
}
