package lattice

// Turn moves the bits of a word among its tiles. A word is cut into blocks of
// block bits; within each, bit i of the result is bit (i + step) mod block of
// the source, or (i − step) mod block when reversed. Both are powers of two,
// step at most 32 or equal to block.
type Turn struct {
	step, back uint
	keep       uint64       // bits of the result that come from the plain shift
	next       [Lanes]uint8 // lane that the others come from
	reverse    bool
}

// NewTurn returns the turn of blocks by step.
func NewTurn(block, step int, reverse bool) Turn {
	t := Turn{step: uint(step), back: uint(min(block, 64) - step), reverse: reverse}
	for i := range 64 {
		if within := i % min(block, 64); (!reverse && within < min(block, 64)-step) || (reverse && within >= step) {
			t.keep |= 1 << i
		}
	}
	lanes := max(block/64, 1)
	for l := range t.next {
		d := 1
		if reverse {
			d = lanes - 1
		}
		t.next[l] = uint8(l/lanes*lanes + (l%lanes+d)%lanes)
	}
	return t
}

// Word writes the turned word src to dst; they may not overlap.
func (t *Turn) Word(dst, src []uint64) {
	d, s := (*[Lanes]uint64)(dst), (*[Lanes]uint64)(src)
	// Shifts are below 64 and lanes below 8, which the masks tell the compiler.
	step, back, keep := t.step&63, t.back&63, t.keep
	if t.reverse {
		for l, v := range s {
			d[l] = v<<step&keep | s[t.next[l]&(Lanes-1)]>>back&^keep
		}
		return
	}
	for l, v := range s {
		d[l] = v>>step&keep | s[t.next[l]&(Lanes-1)]<<back&^keep
	}
}

// Tiles is how the bits of a word are tiles of lattices: bit
// (r·Y + v)·X + u is tile (u, v) of the word's r-th replica, Width×Height sites
// except in the last NarrowX columns and NarrowY rows of tiles, which are two
// less.
type Tiles struct {
	X, Y             int
	Width, Height    int
	NarrowX, NarrowY int

	right, left, down, up Turn
	wideX, wideY          [Lanes]uint64
}

// Prepare fills in what follows from the exported fields.
func (t *Tiles) Prepare() {
	t.right, t.left = NewTurn(t.X, 1, false), NewTurn(t.X, 1, true)
	t.down, t.up = NewTurn(t.X*t.Y, t.X, false), NewTurn(t.X*t.Y, t.X, true)
	for bit := range Bits {
		u, v := bit%t.X, bit/t.X%t.Y
		if u < t.X-t.NarrowX {
			t.wideX[bit/64] |= 1 << (bit % 64)
		}
		if v < t.Y-t.NarrowY {
			t.wideY[bit/64] |= 1 << (bit % 64)
		}
	}
}

// Stride returns the distance between rows of a colour: Width/2 words and one
// at either end for the halo.
func (t *Tiles) Stride() int { return (t.Width/2 + 2) * Lanes }

// Start returns the index of word 0 of row y, which may be −1 or Height for
// the halo.
func (t *Tiles) Start(y int) int { return (y+1)*t.Stride() + Lanes }

// Size returns the length of a colour's array.
func (t *Tiles) Size() int { return (t.Height + 2) * t.Stride() }

// Right reports whether the fourth neighbour of the words of a colour's row is
// on the right.
func Right(color, y int) bool { return (y+color)&1 == 1 }

// Masks returns the bits among valid (a word) that are sites in each word of a
// row, for all rows and for the last two.
func (t *Tiles) Masks(valid []uint64) (row, last []uint64) {
	n := t.Width / 2
	row, last = Aligned(n*Lanes), Aligned(n*Lanes)
	for i := range n * Lanes {
		row[i] = valid[i%Lanes]
		if i/Lanes == n-1 {
			row[i] &= t.wideX[i%Lanes]
		}
		last[i] = row[i] & t.wideY[i%Lanes]
	}
	return row, last
}

// Sides fills the halo at the sides of a row after its spins have changed, and
// the columns that narrow tiles do not have: word −1 where x = −1 is read,
// words Width/2 and, in narrow tiles, Width/2 − 1 where x = Width is.
func (t *Tiles) Sides(spins []uint64, color, y int) {
	at, end := t.Start(y), t.Start(y)+t.Width/2*Lanes
	if Right(color, y) { // x = 1, 3, …, Width − 1
		var edge [Lanes]uint64
		copy(edge[:], spins[end-Lanes:end])
		if t.NarrowX > 0 {
			for l, wide := range t.wideX {
				edge[l] = edge[l]&wide | spins[end-2*Lanes+l]&^wide
			}
		}
		t.left.Word(spins[at-Lanes:at], edge[:])
		return
	}
	t.right.Word(spins[end:end+Lanes], spins[at:at+Lanes])
	if t.NarrowX > 0 {
		for l, wide := range t.wideX {
			spins[end-Lanes+l] = spins[end-Lanes+l]&wide | spins[end+l]&^wide
		}
	}
}

// Top fills row −1 of the halo.
func (t *Tiles) Top(spins []uint64) {
	n := t.Width / 2 * Lanes
	to, from := t.Start(-1), t.Start(t.Height-1)
	for i := 0; i < n; i += Lanes {
		if t.NarrowY == 0 {
			t.up.Word(spins[to+i:], spins[from+i:])
			continue
		}
		var edge [Lanes]uint64
		for l, wide := range t.wideY {
			edge[l] = spins[from+i+l]&wide | spins[from+i+l-2*t.Stride()]&^wide
		}
		t.up.Word(spins[to+i:], edge[:])
	}
}

// Bottom fills row Height of the halo, and the rows that low tiles do not have.
func (t *Tiles) Bottom(spins []uint64) {
	n := t.Width / 2 * Lanes
	to, from := t.Start(t.Height), t.Start(0)
	for i := 0; i < n; i += Lanes {
		t.down.Word(spins[to+i:], spins[from+i:])
		if t.NarrowY == 0 {
			continue
		}
		low := spins[to+i-2*t.Stride():][:Lanes]
		for l, wide := range t.wideY {
			low[l] = low[l]&wide | spins[to+i+l]&^wide
		}
	}
}
