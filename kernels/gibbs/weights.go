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

// RowBlock returns a number of rows that PackBoth takes together.
func (k *Kernel) RowBlock() int { return k.path.rowBlock() }

// PackBoth fills both directions of a layer from rows [row0, row1) of its
// weight matrix, which are inputs of up and units of down: row i is
// src[(i−row0)·stride:], and
//
//	for i in [row0, row1), a in [0, columns of the matrix):
//	    the weights from input i of up to unit a, and from input a of down to unit i, become W_ia
//	    rows[i] −= W_ia,  columns[a] −= W_ia
//
// row0 is a multiple of RowBlock and row1 one too or the number of rows. Calls
// for different rows may run side by side, with columns of their own. When all
// rows are packed, SetBias makes the weights ready for use.
func (k *Kernel) PackBoth(up, down *Weights, src []int32, stride, row0, row1 int, rows, columns []int32) {
	if up.path != k.path || down.path != k.path {
		panic("gibbs: weights belong to another path")
	}
	if up.in != down.out || up.out != down.in {
		panic(fmt.Sprintf("gibbs: %d×%d weights up and %d×%d down", up.in, up.out, down.in, down.out))
	}
	block := k.path.rowBlock()
	if row0 < 0 || row0 > row1 || row1 > up.in || row0%block != 0 || (row1%block != 0 && row1 != up.in) {
		panic(fmt.Sprintf("gibbs: rows [%d, %d) of %d do not lie at multiples of %d", row0, row1, up.in, block))
	}
	if len(rows) < row1 || len(columns) < up.out {
		panic(fmt.Sprintf("gibbs: %d row sums and %d column sums of %d×%d weights", len(rows), len(columns), up.in, up.out))
	}
	checkDst(src, stride, row1-row0, up.out)
	if row0 < row1 {
		k.path.packBoth(up, down, src, stride, row0, row1, rows, columns)
	}
}

// SetBias sets the biases of weights that PackBoth has filled; sums are minus
// the sums of each unit's weights.
func (k *Kernel) SetBias(w *Weights, bias, sums []int32) {
	if w.path != k.path {
		panic("gibbs: weights belong to another path")
	}
	if len(bias) != w.out || len(sums) != w.out {
		panic(fmt.Sprintf("gibbs: %d biases and %d sums for %d units", len(bias), len(sums), w.out))
	}
	k.path.setBias(w, bias, sums)
}

// setBias is SetBias where tables hold sums over the bits that are set.
func (w *Weights) setBias(bias, sums []int32) {
	for u, b := range bias {
		w.offset[u] = b + sums[u]
	}
}
