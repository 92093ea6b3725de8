// Package lattice sweeps the two-dimensional Ising model on the square lattice
// with the checkerboard order, 512 spins to a word.
//
// # Words
//
// A word is 512 bits, kept as eight uint64 lanes; bit b stands for the b-th of
// 512 tiles, rectangles of w×h sites (w, h even) that lie side by side in one
// lattice, belong to different replicas, or both (Geometry chooses). Word
// (x, y) holds site (x, y) of every tile. All four neighbours of a word's
// sites are therefore whole words, and a bit is moved only into the halo that
// surrounds a tile. A colour c of the checkerboard keeps its words row by row:
// word i of row y is x = 2i + ((y+c) mod 2).
//
// # The definition of an update
//
// A spin with n antiparallel neighbours flips when a uniform 64-bit number U
// is below a threshold, p rounded to 64 bits:
//
//	Metropolis: p = 1 for n ≥ 2, e^{−4/T} for n = 1, e^{−8/T} for n = 0
//	heat bath:  p = 1/(1 + e^{(8−4n)/T})
//
// so p is right to 2⁻⁶⁴. For heat bath with n ≥ 3 the spin flips when U is not
// below the threshold of 4 − n, and with n = 2 when U's first bit is 0.
//
// U is made of bit planes of random words. Rows are cut into groups of at
// most eight consecutive words, as even as possible. Each word of a group
// draws eight planes of its own, the first eight bits of U, the least
// significant first; then the group draws eight more, the next eight bits,
// again the least significant first. In each of the 512 bit positions these
// belong to the first word of the group whose eight bits of U equal the
// threshold's there. What is then still undecided (the spin was not the first
// of its group in that position, or all sixteen bits were equal) takes the
// rest of its U, 56 or 48 bits, from the high bits of a Philox block of its
// own (Rest). So every spin has its own 64 bits, whatever its neighbours,
// the other replicas and the order of the work; a group of eight words always
// draws exactly 72 words, nine to each.
//
// # The generator
//
// The planes come from xoshiro256++ (D. Blackman, S. Vigna, ACM Trans. Math.
// Softw. 47 (2021) 36), one generator in each of the eight 64-bit lanes,
// seeded by Philox4x32-10 for each block of rows and sweep (Seed). Colour 0 of
// the block draws first, then colour 1, rows and words upward. Chosen over the
// alternatives because
//
//   - it is nine vector instructions for 512 bits (AVX-512), two thirds of
//     which share ports with nothing else the sweep does; Philox itself needs
//     more than three times as many and would halve the speed;
//   - it needs 64-bit adds, shifts and exclusive or only, so it runs on every
//     CPU and, one lane a thread, on a GPU. AES rounds (ARS-5) are as fast
//     where VAES is, but are table look-ups in plain Go and on a GPU;
//   - seeding it anew for every sweep leaves no state behind: a checkpoint
//     holds spins, temperatures and the number of the sweep. Seeds cost one to
//     three percent;
//   - the number of draws is fixed, so which planes a spin sees does not
//     depend on threads, on how replicas are split or on other spins.
//
// 2²⁵⁶ states against blocks of a few thousand draws make overlaps of streams
// impossible in practice. Its tests are in docs/kernels/lattice.md.
package lattice

import (
	"math"
	"math/big"

	"kadanoff/kernels/isa"
)

// Shape of words and groups.
const (
	Lanes        = 8   // uint64 lanes of a word
	Bits         = 512 // bits of a word
	OwnPlanes    = 8   // planes each word draws
	SharedPlanes = 8   // planes each group draws after them
	GroupWords   = 8   // most words in a group
	Planes       = OwnPlanes + SharedPlanes
	Depth        = 24 // planes of a bit-sliced counter: counts below 2²⁴
)

// Algorithm is a rule for one spin.
type Algorithm uint8

// The algorithms.
const (
	Metropolis Algorithm = iota
	HeatBath
)

// Thresholds returns ⌊2⁶⁴·p⌋ for one and for no antiparallel neighbour at
// temperature t ≥ 0, with J = k_B = 1: Metropolis e^{−4/T} and e^{−8/T}, heat
// bath 1/(1+e^{4/T}) and 1/(1+e^{8/T}). A p of 1 becomes 2⁶⁴ − 1. T = 0 is the
// limit, both zero. The result rests on integer arithmetic alone, so it is the
// same on every machine.
func Thresholds(a Algorithm, t float64) (one, none uint64) {
	if t < 0 || math.IsNaN(t) {
		panic("lattice: negative temperature")
	}
	return threshold(a, 4, t), threshold(a, 8, t)
}

// precision is the number of bits thresholds are computed with; the last of 64
// is then wrong with probability 2⁻⁹⁶.
const precision = 192

func threshold(a Algorithm, d int64, t float64) uint64 {
	if t == 0 {
		return 0
	}
	x := new(big.Float).SetPrec(precision).SetInt64(d)
	x.Quo(x, new(big.Float).SetPrec(precision).SetFloat64(t))
	p := exp(x)
	if a == HeatBath {
		p.Quo(p, new(big.Float).SetPrec(precision).Add(big.NewFloat(1), p))
	}
	p.SetMantExp(p, 64)
	u, acc := p.Uint64()
	if acc == big.Below && u == math.MaxUint64 || p.Cmp(new(big.Float).SetUint64(math.MaxUint64)) > 0 {
		return math.MaxUint64
	}
	return u
}

// exp returns e^{−x} for x ≥ 0: the Taylor series at x/2ᵏ < 1/4 and k
// squarings, zero beyond x = 64.
func exp(x *big.Float) *big.Float {
	one := new(big.Float).SetPrec(precision).SetInt64(1)
	if x.Cmp(big.NewFloat(64)) > 0 {
		return new(big.Float).SetPrec(precision)
	}
	y := new(big.Float).SetPrec(precision).Neg(x)
	k := 0
	if y.Sign() != 0 {
		k = max(0, y.MantExp(nil)+2)
		y.SetMantExp(y, -k)
	}
	sum, term := new(big.Float).Copy(one), new(big.Float).Copy(one)
	for i := int64(1); i < 80; i++ {
		term.Mul(term, y)
		term.Quo(term, new(big.Float).SetPrec(precision).SetInt64(i))
		sum.Add(sum, term)
	}
	for range k {
		sum.Mul(sum, sum)
	}
	return sum
}

// SetPlanes writes the thresholds of one bit position into planes, which has
// Planes·2·Lanes words: for each plane in the order in which it is drawn, the
// bit of the threshold none and the exclusive or of the bits of both.
func SetPlanes(planes []uint64, bit int, one, none uint64) {
	lane, shift := bit/64, bit%64
	for i := range Planes {
		k := 63 - drawn(i)
		set(&planes[2*i*Lanes+lane], shift, none>>k&1)
		set(&planes[(2*i+1)*Lanes+lane], shift, (one^none)>>k&1)
	}
}

// drawn returns which bit of U, 0 the most significant, the i-th plane holds.
func drawn(i int) int {
	if i < OwnPlanes {
		return OwnPlanes - 1 - i
	}
	return OwnPlanes + Planes - 1 - i
}

func set(w *uint64, shift int, v uint64) { *w = *w&^(1<<shift) | v<<shift }

// Update is the work on rows of one colour. Word j of row r is
// Spins[Start+r·Stride+8j:][:8]; its neighbours in Other are the words at the
// same place, one Stride above and below, and one word (8) to the right in
// rows with Right set or to the left in the others, which alternate.
type Update struct {
	Spins, Other []uint64
	Start        int      // index of the first row's first word
	Stride       int      // uint64 from row to row
	Rows, Words  int      // rows, words in each
	Right        bool     // the first row's fourth neighbour is on the right
	Mask         []uint64 // Words·8: bits that may flip, the same for all rows
	Planes       []uint64 // as SetPlanes writes them
	State        []uint64 // 4·8: the generator's state, advanced
	Log          []uint64 // undecided spins; at least LogSize(Rows·Words)
}

// LogSize returns how long the log of that many words must be.
func LogSize(words int) int { return 4 * Lanes * words }

// Count is a measurement of rows of colour 0, laid out as in Update. For each
// bit position, Total[0:24·8] is a counter of antiparallel bonds between
// colours and Total[24·8:] one of up spins of both colours, bit-sliced: plane
// k has weight 2ᵏ.
type Count struct {
	Spins, Other  []uint64
	Start, Stride int
	Rows, Words   int
	Right         bool
	Mask          []uint64
	Total         []uint64 // 2·Depth·8, added to
}

// Kernel is one path through the package.
type Kernel struct {
	Level isa.Level
	Lanes int // uint64 in an entry of the log

	update [2]func(*Update) int
	count  func(*Count)
}

// Update runs the algorithm on u and returns the number of entries in u.Log:
// each is twice the index into Spins of Lanes uint64, plus 1 if only the first
// eight bits of U are known and 0 if sixteen are, followed by the bits that are
// still undecided; they have been left as if U were not below the threshold.
// It panics if a slice is too short.
func (k *Kernel) Update(a Algorithm, u *Update) int {
	end := u.Start + (u.Rows-1)*u.Stride + u.Words*Lanes
	switch {
	case u.Rows < 1 || u.Words < 1 || u.Stride < u.Words*Lanes:
		panic("lattice: no rows or words, or rows that overlap")
	case u.Start < u.Stride+Lanes || end+u.Stride > len(u.Other) || end+Lanes > len(u.Other) || end > len(u.Spins):
		panic("lattice: rows without neighbours")
	case len(u.Mask) < u.Words*Lanes || len(u.Planes) < Planes*2*Lanes || len(u.State) < 4*Lanes:
		panic("lattice: mask, planes or state too short")
	case len(u.Log) < LogSize(u.Rows*u.Words):
		panic("lattice: log too short")
	}
	return k.update[a](u)
}

// Count adds the counts of c to its totals. It panics if a slice is too short.
func (k *Kernel) Count(c *Count) {
	end := c.Start + (c.Rows-1)*c.Stride + c.Words*Lanes
	switch {
	case c.Rows < 1 || c.Words < 1 || c.Stride < c.Words*Lanes:
		panic("lattice: no rows or words, or rows that overlap")
	case c.Start < c.Stride+Lanes || end+c.Stride > len(c.Other) || end+Lanes > len(c.Other) || end > len(c.Spins):
		panic("lattice: rows without neighbours")
	case len(c.Mask) < c.Words*Lanes || len(c.Total) < 2*Depth*Lanes:
		panic("lattice: mask or totals too short")
	}
	k.count(c)
}

// For returns the best path at or below a level. Levels without one of their
// own fall back to plain Go.
func For(l isa.Level) *Kernel {
	best := &kernels[0]
	for i := range kernels {
		k := &kernels[i]
		if k.Level <= l && isa.Has(k.Level) {
			best = k
		}
	}
	return best
}

// groups returns how many groups a row of words has, the size of the smaller
// ones and how many at the front have one word more.
func groups(words int) (n, base, rem int) {
	n = (words + GroupWords - 1) / GroupWords
	return n, words / n, words % n
}
