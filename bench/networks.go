package bench

import (
	"math"

	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// numbers is a stream of reproducible numbers, the same on every machine and
// not those of any sampler: its counters have a stream of their own.
type numbers struct {
	key philox.Key
	n   uint32
}

// networksStream is the last word of the counters of numbers.
const networksStream = 0xbe2c4

func newNumbers(seed uint64) *numbers { return &numbers{key: philox.NewKey(seed)} }

func (r *numbers) next() uint32 {
	r.n++
	return philox.Block([4]uint32{r.n, 0, 0, networksStream}, r.key)[0]
}

// uniform returns a number in [−scale, scale) with 16 bits.
func (r *numbers) uniform(scale float32) float32 {
	return scale * (float32(r.next()>>16) - 1<<15) / (1 << 15)
}

func (r *numbers) uniforms(n int, scale float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = r.uniform(scale)
	}
	return x
}

// coins returns a batch of fair coins.
func (r *numbers) coins(units, chains int) *spin.Batch {
	b := spin.NewBatch(units, chains)
	for i := range b.Bits {
		b.Bits[i] = uint64(r.next())<<32 | uint64(r.next())
	}
	for u := range units {
		b.Row(u)[b.Words-1] &= b.TailMask()
	}
	return b
}

// rbm returns an RBM with uniform weights within ±w and biases within ±b.
func (r *numbers) rbm(visible, hidden int, w, b float32) *spin.Net[float32] {
	return spin.RBM(visible, hidden, r.uniforms(visible*hidden, w), r.uniforms(visible, b), r.uniforms(hidden, b))
}

// boltzmann returns a Boltzmann machine of two layers with couplings between
// and inside them, uniform within ±w, and biases within ±b.
func (r *numbers) boltzmann(visible, hidden int, w, b float32) *spin.Net[float32] {
	inside := func(n int) []float32 {
		x := make([]float32, n*n)
		for i := range n {
			for j := range i {
				x[i*n+j] = r.uniform(w)
				x[j*n+i] = x[i*n+j]
			}
		}
		return x
	}
	return &spin.Net[float32]{
		Layers: []int{visible, hidden},
		Bias:   r.uniforms(visible+hidden, b),
		Blocks: []spin.Block[float32]{
			{A: 0, B: 1, W: r.uniforms(visible*hidden, w)},
			{A: 0, B: 0, W: inside(visible)},
			{A: 1, B: 1, W: inside(hidden)},
		},
	}
}

// torus returns the l×l Ising model with coupling 1, periodic in both
// directions, as a sparse network of one layer with a field; l is at least 3.
func torus(l int, field float32) *spin.Net[float32] {
	n := &spin.Net[float32]{Layers: []int{l * l}, Bias: make([]float32, l*l)}
	b := spin.Block[float32]{RowPtr: []int{0}}
	for i := range l * l {
		n.Bias[i] = field
		x, y := i%l, i/l
		for j := range l * l {
			dx, dy := (j%l-x+l)%l, (j/l-y+l)%l
			if dy == 0 && (dx == 1 || dx == l-1) || dx == 0 && (dy == 1 || dy == l-1) {
				b.Col, b.W = append(b.Col, int32(j)), append(b.W, 1)
			}
		}
		b.RowPtr = append(b.RowPtr, len(b.W))
	}
	n.Blocks = []spin.Block[float32]{b}
	return n
}

// ring returns n ≥ 3 spins with coupling 1 to both neighbours, as a sparse
// network of one layer.
func ring(n int) *spin.Net[float32] {
	b := spin.Block[float32]{RowPtr: []int{0}}
	for i := range n {
		left, right := (i+n-1)%n, (i+1)%n
		b.Col = append(b.Col, int32(min(left, right)), int32(max(left, right)))
		b.W = append(b.W, 1, 1)
		b.RowPtr = append(b.RowPtr, len(b.W))
	}
	return &spin.Net[float32]{Layers: []int{n}, Bias: make([]float32, n), Blocks: []spin.Block[float32]{b}}
}

// small4x3 returns the RBM of 4 visible and 3 hidden units with weights
// W_ia = (((3i+5a) mod 7)−3)/10, b_i = (i−1)/10 and c_a = (1−a)/5, whose exact
// values are known to 24 digits (testdata/rbm-4x3.json).
func small4x3() *spin.Net[float32] {
	w, b, c := make([]float32, 12), make([]float32, 4), make([]float32, 3)
	for i := range b {
		b[i] = float32(float64(i-1) / 10)
		for a := range c {
			w[i*3+a] = float32(float64((3*i+5*a)%7-3) / 10)
			c[a] = float32(float64(1-a) / 5)
		}
	}
	return spin.RBM(4, 3, w, b, c)
}

// balanced returns an RBM whose visible units come in pairs with opposite
// strong weights, and patterns in which both units of a pair are equal: each
// hidden field is its bias alone, whatever the pattern, and a small error of
// any one weight shows at once. The biases span ±1.5.
func (r *numbers) balanced(pairs, hidden, chains int) (*spin.Net[float32], *spin.Batch) {
	w := make([]float32, 2*pairs*hidden)
	for p := range pairs {
		for a := range hidden {
			x := r.uniform(4)
			x += float32(math.Copysign(8, float64(x)))
			w[2*p*hidden+a], w[(2*p+1)*hidden+a] = x, -x
		}
	}
	c := make([]float32, hidden)
	for a := range c {
		c[a] = 3*float32(a)/float32(max(hidden-1, 1)) - 1.5
	}
	one := r.coins(pairs, chains)
	both := spin.NewBatch(2*pairs, chains)
	for p := range pairs {
		copy(both.Row(2*p), one.Row(p))
		copy(both.Row(2*p+1), one.Row(p))
	}
	return spin.RBM(2*pairs, hidden, w, make([]float32, 2*pairs), c), both
}
