package lattice

import "kadanoff/kernels/isa"

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
