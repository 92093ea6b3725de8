package gibbs

import (
	"fmt"

	"kadanoff/kernels/isa"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// UnitBlock is a granularity of unit ranges that every kernel takes: work on the
// units of one layer may be split between threads at multiples of UnitBlock.
const UnitBlock = 80

// Rows is a ±1 matrix as bit rows: row i is Bits[i·Stride:], one bit a chain,
// 1 for +1.
type Rows struct {
	Bits   []uint64
	Stride int // words from one row to the next
	N      int // number of rows
}

// Row returns row i from its first word on.
func (r Rows) Row(i int) []uint64 { return r.Bits[i*r.Stride:] }

// Mix replaces each field a by spin.Interpolate(a, Base[u], M) before it is
// used, when On is set. M runs from 0 to 2²⁴; a nil Base is zero. Annealed
// importance sampling walks M.
type Mix struct {
	On   bool
	M    uint32
	Base []int32 // [unit]
}

// Rule says how fields become spins.
type Rule struct {
	Frac  uint     // fraction bits of the fields
	Beta  uint64   // β of every chain (spin.Beta), used when Betas is nil
	Betas []uint64 // β of each chain, or nil
	Mix   Mix

	Chains int    // number of chains; bits beyond stay zero
	Chain0 uint32 // global index of chain 0

	Key    philox.Key    // seed
	Stream philox.Stream // use of the random numbers
	Sweep  uint64        // number of the sweep
	Unit   uint32        // number of unit 0 in the network, a multiple of 8
}

func (r *Rule) beta(chain int) uint64 {
	if r.Betas != nil {
		return r.Betas[chain]
	}
	return r.Beta
}

// Step is a half step of dense block Gibbs: the units [Unit0, Unit1) of one
// layer given the layers In, over the words [Word0, Word1) of 64 chains.
type Step struct {
	Rule
	Weights *Weights
	In      []Rows // the layers that are heard, one after the other along the weights' inputs
	Out     Rows   // receives the spins; row u is unit u. Fields and Means leave it alone

	Unit0, Unit1 int // Unit0 a multiple of the kernel's Block, Unit1 one too or the number of units
	Word0, Word1 int

	// Epoch, when not zero, promises that the input rows and the Rule are
	// those of every other call with this Epoch: a Scratch that holds what was
	// made of them for these words uses it again. Cutting a half step into
	// many small calls then costs nothing.
	Epoch uint64
}

// ListStep is a step of sparse block Gibbs: the units of Units, which are not
// coupled to each other, given all others, over the words [Word0, Word1).
// Neighbours are in CSR form over all units: unit u hears rows Col[k] with
// weights W[k], RowPtr[u] ≤ k < RowPtr[u+1].
type ListStep struct {
	Rule
	Units  []int32 // ascending
	RowPtr []int
	Col    []int32
	W      []int32
	Bias   []int32 // [unit]
	State  Rows    // spins of all units, read and written

	Word0, Word1 int
}

// Kernel is one path's set of kernels. Its methods may be called from many
// goroutines, each with a Scratch of its own.
type Kernel struct {
	level isa.Level
	path  path
}

// Level returns the instruction set of the path.
func (k *Kernel) Level() isa.Level { return k.level }

// Block is the granularity of ranges of units of the kernel's half steps and of
// SpinMeans, a divisor of UnitBlock and a multiple of eight.
func (k *Kernel) Block() int { return k.path.block() }

// part is words [w0, w1) of a step's input rows.
type part struct {
	*Step
	w0, w1 int
}

// partWords returns the number of words of all parts.
func partWords(parts []part) int {
	n := 0
	for _, p := range parts {
		n += p.w1 - p.w0
	}
	return n
}

// path is what differs between instruction sets. A slab is the number of
// units whose fields are made before they are used; acc holds the fields of a
// slab over a chunk of words in the path's own order.
type path interface {
	slab() int
	chunk(in int) int // words to treat at a time
	block() int       // Kernel.Block

	newWeights(w *Weights)
	pack(w *Weights, bias []int32, blocks []Block, unit0, unit1 int)
	rowBlock() int
	packBoth(up, down *Weights, src []int32, stride, row0, row1 int, rows, columns []int32)
	setBias(w *Weights, bias, sums []int32)

	// begin makes the indices of the parts' words from their input rows, one
	// part after the other, and prepares for draws of the last.
	begin(sc *Scratch, parts []part)
	// skips reports whether sums and accept find the words from any on, Scratch.skip
	// after the first, in what begin has made.
	skips() bool
	// sums makes the fields of units [u, u1), of one slab, from them.
	sums(w *Weights, sc *Scratch, u, u1, words int)
	// mix interpolates the fields of units [u, u+slab).
	mix(s *Step, sc *Scratch, u, w0, w1 int)
	// accept draws the spins of units [u, u1) from the fields.
	accept(s *Step, sc *Scratch, u, u1, w0, w1 int)
	// store writes the fields of units [u, u1) in natural order, store's
	// transpose with a row for each chain.
	store(dst []int32, stride int, sc *Scratch, u, u1, w0, w1 int)
	storeTransposed(dst []int32, stride, chains int, sc *Scratch, u, u1, w0, w1 int)

	list(s *ListStep, sc *Scratch)
	counts(dst []int32, stride int, a, b Rows, i0, i1, w0, w1, chains int, sc *Scratch)
	// means replaces fields by their means; betas is one value or one for each.
	means(dst []int32, betas []uint64, frac uint)
}

// For returns the best path at or below the level.
func For(level isa.Level) *Kernel {
	best := &kernels[0]
	for i := range kernels {
		if k := &kernels[i]; k.level <= level && isa.Has(k.level) {
			best = k
		}
	}
	return best
}

// Step draws new spins for the units of a half step. It is
//
//	for u in [Unit0, Unit1), c in [64·Word0, min(64·Word1, Chains)):
//	    a = bias[u] + Σ_i W[i][u]·s[i][c]
//	    if Mix.On: a = spin.Interpolate(a, Mix.Base[u], Mix.M)
//	    U = philox.Draw(Key, Stream, Chain0+c, Unit+u, Sweep)
//	    Out[u][c] = spin.Up(a, β[c], Frac, U)
//
// and panics when shapes do not fit.
func (k *Kernel) Step(s *Step, sc *Scratch) {
	s.check()
	checkRows("Out", s.Out, s.Unit1, s.Word1)
	k.each(s, sc, func(u, u1, w0, w1 int) { k.draw(s, sc, u, u1, w0, w1) })
}

// draw makes the spins of units [u, u1) from the fields of a slab.
func (k *Kernel) draw(s *Step, sc *Scratch, u, u1, w0, w1 int) {
	k.path.accept(s, sc, u, u1, w0, w1)
	if w1*64 > s.Chains {
		for ; u < u1; u++ {
			s.Out.Bits[u*s.Out.Stride+w1-1] &= spin.TailMask(s.Chains)
		}
	}
}

// Fields writes the fields that Step would use: dst[u·stride + c] = a for the
// same ranges, zero for bits beyond the last chain of the last word; stride is
// at least 64·Word1.
func (k *Kernel) Fields(dst []int32, stride int, s *Step, sc *Scratch) {
	s.check()
	checkDst(dst, stride, s.Unit1, 64*s.Word1)
	k.each(s, sc, func(u, u1, w0, w1 int) { k.storeFields(dst, stride, s, sc, u, u1, w0, w1) })
}

// storeFields writes the fields of units [u, u1) of a slab.
func (k *Kernel) storeFields(dst []int32, stride int, s *Step, sc *Scratch, u, u1, w0, w1 int) {
	k.path.store(dst, stride, sc, u, u1, w0, w1)
	if w1*64 > s.Chains {
		for ; u < u1; u++ {
			clear(dst[u*stride+s.Chains : u*stride+w1*64])
		}
	}
}

// Means writes the conditional means of the units of a half step with
// spin.MeanBits fraction bits: dst[u·stride + c] = spin.Mean(a, β[c], Frac),
// ranges and padding as in Fields.
func (k *Kernel) Means(dst []int32, stride int, s *Step, sc *Scratch) {
	s.check()
	checkDst(dst, stride, s.Unit1, 64*s.Word1)
	k.each(s, sc, func(u, u1, w0, w1 int) { k.storeMeans(dst, stride, s, sc, u, u1, w0, w1) })
}

// storeMeans writes the means of units [u, u1) from the fields of a slab.
func (k *Kernel) storeMeans(dst []int32, stride int, s *Step, sc *Scratch, u, u1, w0, w1 int) {
	sc.beta[0] = s.Beta
	k.path.store(dst, stride, sc, u, u1, w0, w1)
	c0, c1 := w0*64, min(w1*64, s.Chains)
	for ; u < u1; u++ {
		row := dst[u*stride+c0 : u*stride+w1*64]
		if s.Betas == nil {
			k.path.means(row[:c1-c0], sc.beta[:], s.Frac)
		} else {
			k.path.means(row[:c1-c0], s.Betas[c0:c1], s.Frac)
		}
		clear(row[c1-c0:])
	}
}

// each runs over chunks of words and slabs of units, makes the fields, and
// hands them to use.
func (k *Kernel) each(s *Step, sc *Scratch, use func(u, u1, w0, w1 int)) {
	slab, chunk := k.path.slab(), k.path.chunk(s.Weights.in)
	if s.Weights.path != k.path {
		panic("gibbs: weights were packed by another path")
	}
	for w0 := s.Word0; w0 < s.Word1; w0 += chunk {
		w1 := min(s.Word1, w0+chunk)
		held := indexed{k, s.Epoch, 0, w0, w1}
		sc.skip = 0
		switch {
		case s.Epoch != 0 && held == sc.held:
		case s.Epoch != 0 && k.path.skips() && sc.held.covers(&held):
			sc.skip = w0 - sc.held.w0
		default:
			sc.parts[0] = part{s, w0, w1}
			k.path.begin(sc, sc.parts[:1])
			sc.held = held
		}
		for u := s.Unit0; u < s.Unit1; u += slab {
			u1 := min(s.Unit1, u+slab)
			k.path.sums(s.Weights, sc, u, u1, w1-w0)
			if s.Mix.On {
				k.path.mix(s, sc, u, w0, w1)
			}
			use(u, u1, w0, w1)
		}
	}
}

// List draws new spins for a list of units. It is
//
//	for u in Units, c in [64·Word0, min(64·Word1, Chains)):
//	    a = Bias[u] + Σ_k W[k]·State[Col[k]][c],  RowPtr[u] ≤ k < RowPtr[u+1]
//	    if Mix.On: a = spin.Interpolate(a, Mix.Base[u], Mix.M)
//	    U = philox.Draw(Key, Stream, Chain0+c, Unit+u, Sweep)
//	    State[u][c] = spin.Up(a, β[c], Frac, U)
//
// and panics when shapes do not fit.
func (k *Kernel) List(s *ListStep, sc *Scratch) {
	s.Rule.check(s.Word0, s.Word1, s.State.N)
	checkRows("State", s.State, s.State.N, s.Word1)
	if len(s.RowPtr) != s.State.N+1 || len(s.Bias) != s.State.N || len(s.Col) != len(s.W) {
		panic(fmt.Sprintf("gibbs: list step over %d units has %d row pointers, %d biases, %d columns and %d weights",
			s.State.N, len(s.RowPtr), len(s.Bias), len(s.Col), len(s.W)))
	}
	if s.Word0 == s.Word1 {
		return
	}
	sc.held = indexed{} // the draws of the list replace those of a step
	k.path.list(s, sc)
	if s.Word1*64 > s.Chains {
		m := spin.TailMask(s.Chains)
		for _, u := range s.Units {
			s.State.Bits[int(u)*s.State.Stride+s.Word1-1] &= m
		}
	}
}

func (s *Step) check() {
	w := s.Weights
	s.Rule.check(s.Word0, s.Word1, w.out)
	if b := w.path.block(); s.Unit0 < 0 || s.Unit0 > s.Unit1 || s.Unit1 > w.out || s.Unit0%b != 0 || (s.Unit1%b != 0 && s.Unit1 != w.out) {
		panic(fmt.Sprintf("gibbs: units [%d, %d) of %d do not lie at multiples of %d", s.Unit0, s.Unit1, w.out, b))
	}
	n := 0
	for _, r := range s.In {
		checkRows("In", r, r.N, s.Word1)
		n += r.N
	}
	if n != w.in {
		panic(fmt.Sprintf("gibbs: %d input rows for weights with %d inputs", n, w.in))
	}
}

func (r *Rule) check(word0, word1, units int) {
	if word0 < 0 || word0 > word1 || word1 > (r.Chains+63)/64 {
		panic(fmt.Sprintf("gibbs: words [%d, %d) of %d chains", word0, word1, r.Chains))
	}
	if r.Unit%8 != 0 {
		panic(fmt.Sprintf("gibbs: first unit %d is no multiple of 8", r.Unit))
	}
	if r.Betas != nil && len(r.Betas) < r.Chains {
		panic(fmt.Sprintf("gibbs: %d temperatures for %d chains", len(r.Betas), r.Chains))
	}
	if r.Mix.On && (r.Mix.M > 1<<24 || r.Mix.Base != nil && len(r.Mix.Base) < units) {
		panic(fmt.Sprintf("gibbs: mix %d/2^24 with %d base fields for %d units", r.Mix.M, len(r.Mix.Base), units))
	}
}

func checkRows(name string, r Rows, rows, words int) {
	if rows > r.N || rows > 0 && words > 0 && (words > r.Stride && rows > 1 || (rows-1)*r.Stride+words > len(r.Bits)) {
		panic(fmt.Sprintf("gibbs: %s: %d rows with stride %d in %d words cannot hold %d rows of %d words",
			name, r.N, r.Stride, len(r.Bits), rows, words))
	}
}

func checkDst(dst []int32, stride, rows, n int) {
	if n > stride || rows > 0 && (rows-1)*stride+n > len(dst) {
		panic(fmt.Sprintf("gibbs: %d rows of %d with stride %d in a slice of %d", rows, n, stride, len(dst)))
	}
}
