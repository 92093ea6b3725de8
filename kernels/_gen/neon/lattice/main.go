// Command lattice writes the NEON path of package kernels/lattice.
package main

import . "kadanoff/kernels/_gen/neon"

var a = New()

// Byte offsets of the fields of lattice.updateFrame and lattice.countFrame.
const (
	fSpins = 8 * iota
	fOther
	fMask
	fPlanes
	fState
	fScratch
	fLog
	fStride
	fRows
	fGroups
	fBase
	fRem
	fSide
	fEntries
)

const (
	cSpins = 8 * iota
	cOther
	cMask
	cTotal
	cStride
	cRows
	cWords
	cSide
)

// Shape of the planes and the counters (lattice.Planes, lattice.Depth).
const (
	ownPlanes    = 8
	sharedPlanes = 8
	depth        = 24
	small        = 8                // planes of a counter in registers
	flush        = (1<<small)/4 - 1 // words it holds at 4 bonds a word
	word         = 64               // bytes of a lattice word
)

// A vec is four lanes in two registers.
type vec [2]V

func at(first V) vec { return vec{first, first + 1} }

// both does something to both registers.
func both(f func(h int)) {
	for h := range 2 {
		f(h)
	}
}

func op3(name string, d, n, m vec) {
	both(func(h int) { a.Op3(name, B16, d[h], n[h], m[h]) })
}

func load(d vec, base R, off int)  { a.LoadPair(d[0], d[1], base, off) }
func store(d vec, base R, off int) { a.StorePair(d[0], d[1], base, off) }

// The registers of update.
var (
	state                  = [4]vec{at(0), at(2), at(4), at(6)}
	less, open, sel        = at(8), at(10), at(12)
	sure, two              = at(14), at(16)
	anyOpen, anySel, again = at(18), at(20), at(22)
	r                      = at(24)
	p, d, t                = at(26), at(28), at(30)
)

// add3 adds three bits in each position: the sum in b, the carry in t.
func add3(x, b, c, t V) {
	a.Eor(t, x, b)
	a.Eor(b, t, c)
	a.Op3("bsl", B16, t, c, x) // where x and b differ c decides
}

// rotate turns lanes to the left by k, with memory in t.
func rotate(k int, x, t vec) {
	both(func(h int) { a.Shift("ushr", D2, t[h], x[h], 64-k) })
	both(func(h int) { a.Shift("sli", D2, t[h], x[h], k) })
}

// next puts the next output of xoshiro256++ into r and steps the state; p and
// t are used.
func next() {
	s := &state
	both(func(h int) { a.Add(D2, p[h], s[0][h], s[3][h]) })
	rotate(23, p, r)
	both(func(h int) { a.Shift("shl", D2, t[h], s[1][h], 17) })
	both(func(h int) { a.Add(D2, r[h], r[h], s[0][h]) })
	op3("eor", s[2], s[2], s[0])
	op3("eor", p, s[3], s[1])
	op3("eor", s[1], s[1], s[2])
	op3("eor", s[0], s[0], p)
	op3("eor", s[2], s[2], t)
	rotate(45, p, s[3])
}

// plane adds bit plane i (in the order in which planes are drawn) to the
// comparison U < p: less keeps the result of the less significant planes,
// open the lanes that are equal so far.
func plane(i int, planes R, sel, less, open vec) {
	next()
	both(func(h int) {
		a.Load(p[h], planes, i*2*word+16*h)
		a.Load(d[h], planes, i*2*word+word+16*h)
	})
	op3("and", d, d, sel)
	op3("eor", p, p, d)
	op3("eor", d, p, r)
	op3("bic", open, open, d)
	op3("bit", less, p, d)
}

// jumpIfZero jumps when no bit of v is set, with memory in t.
func jumpIfZero(v, t vec, g R, label string) {
	a.Orr(t[0], v[0], v[1])
	a.Across("umaxv", S4, t[0], t[0])
	a.Umov(S4, g, t[0], 0)
	a.I("CBZ %s, %s", g, label)
}

func zero(v vec) { both(func(h int) { a.Zero(v[h]) }) }

// update writes the sweep over rows of one colour.
func update(name string, heatBath bool) {
	a.Func(name+"NEON", "func(f *byte)", name+"NEON sweeps rows of one colour in four lanes; f is an updateFrame.")
	const f, spins, other, planes, stride, side, up, mask, group, size, n, scr, back, ptr, log, g = R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), R(8), R(9), R(10), R(11), R(12), R(13), R(14), R(15)
	const above, below, beside = R(15), R(16), R(17)
	a.Arg("f", f)
	field := func(off int, r R) { a.I("MOVD %d(%s), %s", off, f, r) }
	field(fSpins, spins)
	field(fOther, other)
	field(fPlanes, planes)
	field(fStride, stride)
	field(fSide, side)
	a.I("NEG %s, %s", stride, up)
	field(fState, g)
	for i := range state {
		load(state[i], g, i*word)
	}

	a.Label("row")
	field(fMask, mask)
	a.I("MOVD ZR, %s", group)

	a.Label("group")
	zero(anyOpen)
	zero(anySel)
	zero(again)
	field(fBase, size)
	field(fRem, g)
	a.I("CMP %s, %s", g, group)
	a.I("BGE even")
	a.I("ADD $1, %s", size)
	a.Label("even")
	a.I("MOVD %s, %s", size, n)
	field(fScratch, scr)

	a.Label("word")
	for _, x := range []struct{ by, to R }{{up, above}, {stride, below}, {side, beside}} {
		a.I("ADD %s, %s, %s", x.by, other, x.to)
	}
	both(func(h int) {
		// sum + 2·carry + d antiparallel neighbours
		const s, a0, sum, c, d, carry V = 26, 27, 28, 29, 30, 31
		a.Load(s, spins, 16*h)
		for _, x := range []struct {
			from R
			v    V
		}{{above, a0}, {below, sum}, {other, c}, {beside, d}} {
			a.Load(x.v, x.from, 16*h)
			a.Eor(x.v, x.v, s)
		}
		add3(a0, sum, c, carry)
		a.Load(s, mask, 16*h)
		if heatBath {
			// two: n = 2; sure: n ≥ 3; sel: n odd.
			a.Eor(sel[h], d, sum)
			a.Eor(two[h], sum, carry)
			a.Bic(two[h], two[h], sel[h])
			a.Orr(sure[h], sum, d)
			a.And(sure[h], sure[h], carry)
			a.Bic(open[h], s, two[h])
		} else {
			// sure: n ≥ 2; sel: n = 1 where not sure.
			a.And(sure[h], sum, d)
			a.Orr(sure[h], sure[h], carry)
			a.Orr(sel[h], sum, d)
			a.Bic(open[h], s, sure[h])
		}
	})
	zero(less)
	for i := range ownPlanes {
		plane(i, planes, sel, less, open)
	}
	if heatBath {
		// n = 2 flips when the first bit of U is 0, n ≥ 3 when U is not below.
		op3("eor", less, less, sure)
		both(func(h int) { a.Op2("mvn", B16, r[h], r[h]) })
		op3("bit", less, r, two)
	} else {
		op3("orr", less, less, sure)
	}
	load(p, mask, 0)
	load(d, spins, 0)
	op3("and", less, less, p)
	op3("eor", less, less, d)
	store(less, spins, 0)
	op3("and", p, open, anyOpen)
	store(p, scr, word)
	op3("orr", again, again, p)
	op3("bic", p, open, anyOpen)
	store(p, scr, 0)
	op3("orr", anyOpen, anyOpen, open)
	op3("and", p, p, sel)
	op3("orr", anySel, anySel, p)
	for _, x := range []R{spins, other, mask} {
		a.I("ADD $%d, %s", word, x)
	}
	a.I("ADD $%d, %s", 2*word, scr)
	a.Down(n, 1, "word")

	// The planes that the group shares.
	zero(less)
	for i := range sharedPlanes {
		plane(ownPlanes+i, planes, anySel, less, anyOpen)
	}
	a.I("MOVD %s, %s", size, n)
	a.I("SUB %s<<6, %s, %s", size, spins, back)
	field(fScratch, scr)
	a.I("MOVD %s, %s", back, ptr)
	a.Label("apply")
	load(p, scr, 0)
	load(d, ptr, 0)
	op3("and", p, p, less)
	op3("eor", d, d, p)
	store(d, ptr, 0)
	a.I("ADD $%d, %s", word, ptr)
	a.I("ADD $%d, %s", 2*word, scr)
	a.Down(n, 1, "apply")

	op3("orr", again, again, anyOpen)
	jumpIfZero(again, t, g, "settled")
	field(fScratch, scr)
	a.I("MOVD %s, %s", size, n)
	field(fLog, log)
	a.Label("leftover")
	// enter appends p to the log: the word's byte offset and the flag, the bits.
	enter := func(flag int, none string) {
		jumpIfZero(p, t, g, none)
		a.I("MOVD %d(%s), %s", fSpins, f, g)
		a.I("SUB %s, %s, %s", g, back, g)
		if flag != 0 {
			a.I("ADD $%d, %s", flag, g)
		}
		a.I("MOVD.P %s, 8(%s)", g, log)
		both(func(h int) { a.Store(p[h], log, 16*h) })
		a.I("ADD $32, %s", log)
		a.I("MOVD %d(%s), %s", fEntries, f, g)
		a.I("ADD $1, %s", g)
		a.I("MOVD %s, %d(%s)", g, fEntries, f)
		a.Label(none)
	}
	load(p, scr, 0)
	op3("and", p, p, anyOpen)
	enter(0, "equal")
	load(p, scr, word)
	enter(1, "later")
	a.I("ADD $%d, %s", word, back)
	a.I("ADD $%d, %s", 2*word, scr)
	a.Down(n, 1, "leftover")
	a.I("MOVD %s, %d(%s)", log, fLog, f)

	a.Label("settled")
	a.I("ADD $1, %s", group)
	field(fGroups, g)
	a.I("CMP %s, %s", g, group)
	a.I("BLT group")

	// The next row: mask went up by the row's words.
	field(fMask, g)
	a.I("SUB %s, %s, %s", g, mask, g)
	for _, x := range []R{spins, other} {
		a.I("SUB %s, %s", g, x)
		a.I("ADD %s, %s", stride, x)
	}
	a.I("NEG %s, %s", side, side)
	field(fRows, g)
	a.I("SUB $1, %s", g)
	a.I("MOVD %s, %d(%s)", g, fRows, f)
	a.I("CBNZ %s, row", g)

	field(fState, g)
	for i := range state {
		store(state[i], g, i*word)
	}
	a.End()
}

// count writes the bit-sliced counters of bonds and spins, in two lanes.
func count() {
	a.Func("countNEON", "func(f *byte)", "countNEON counts antiparallel bonds and up spins in two lanes; f is a countFrame.")
	const f, spins, other, stride, side, total, up, mask, rows, n, left, g R = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	a.Arg("f", f)
	field := func(off int, r R) { a.I("MOVD %d(%s), %s", off, f, r) }
	field(cSpins, spins)
	field(cOther, other)
	field(cStride, stride)
	field(cSide, side)
	field(cTotal, total)
	field(cRows, rows)
	a.I("NEG %s, %s", stride, up)
	const bonds, ups V = 0, small // counters
	for i := range V(2 * small) {
		a.Zero(i)
	}
	a.I("MOVD $%d, %s", flush, left)
	// ripple adds carry into the planes from one to another, with memory in t.
	ripple := func(from, to, carry, t V) {
		for p := from; p < to; p++ {
			a.And(t, carry, p)
			a.Eor(p, p, carry)
			carry, t = t, carry
		}
	}
	// spill adds a small counter to the counter in memory and clears it.
	spill := func(counter V, disp int) {
		carry, t := V(16), V(17)
		const p V = 18
		a.Zero(carry)
		for i := range V(depth) {
			a.Load(p, total, disp+int(i)*word)
			if i < small {
				// counter + p + carry
				add3(counter+i, p, carry, t)
				a.Zero(counter + i)
			} else {
				a.And(t, carry, p)
				a.Eor(p, p, carry)
			}
			a.Store(p, total, disp+int(i)*word)
			carry, t = t, carry
		}
	}
	spills := func() {
		spill(bonds, 0)
		spill(ups, depth*word)
	}

	a.Label("row")
	field(cMask, mask)
	field(cWords, n)
	a.Label("word")
	const s, m, x, b, c, d, c1, c2, c4 V = 16, 17, 18, 19, 20, 21, 22, 23, 24
	a.Load(s, spins, 0)
	a.Load(m, mask, 0)
	a.LoadAt(x, other, up)
	a.LoadAt(b, other, stride)
	a.Load(c, other, 0)
	a.LoadAt(d, other, side)
	a.And(26, c, m) // the neighbour, for the count of spins
	for _, v := range []V{x, b, c, d} {
		a.Eor(v, v, s)
		a.And(v, v, m)
	}
	add3(x, b, c, c1)     // b + 2·c1
	add3(bonds, d, b, c2) // d + 2·c2
	a.Mov(bonds, d)
	add3(bonds+1, c1, c2, c4) // c1 + 2·c4
	a.Mov(bonds+1, c1)
	ripple(bonds+2, bonds+small, c4, x)
	a.And(s, s, m)
	add3(ups, s, 26, c1)
	a.Mov(ups, s)
	ripple(ups+1, ups+small, c1, x)
	for _, x := range []R{spins, other, mask} {
		a.I("ADD $%d, %s", word, x)
	}
	a.I("SUBS $1, %s, %s", left, left)
	a.I("BNE held")
	spills()
	a.I("MOVD $%d, %s", flush, left)
	a.Label("held")
	a.Down(n, 1, "word")
	field(cMask, g)
	a.I("SUB %s, %s, %s", g, mask, g)
	for _, x := range []R{spins, other} {
		a.I("SUB %s, %s", g, x)
		a.I("ADD %s, %s", stride, x)
	}
	a.I("NEG %s, %s", side, side)
	a.Down(rows, 1, "row")
	spills()
	a.End()
}

func main() {
	update("metropolis", false)
	update("heatBath", true)
	count()
	a.Generate()
}
