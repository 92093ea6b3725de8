// Command lattice generates the AVX2 and AVX-512 paths of kernels/lattice.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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
)

// width is a vector length.
type width struct {
	suffix string
	zmm    bool
}

// bytes is the length of a vector, word that of a lattice word in memory.
func (w width) bytes() int {
	if w.zmm {
		return 64
	}
	return 32
}

const word = 64

func (w width) vec() reg.VecVirtual {
	if w.zmm {
		return ZMM()
	}
	return YMM()
}

func (w width) load(from, to Op) {
	if w.zmm {
		VMOVDQU64(from, to)
	} else {
		VMOVDQU(from, to)
	}
}
func (w width) store(from, to Op) { w.load(from, to) }

func (w width) move(from, to Op) {
	if w.zmm {
		VMOVDQA64(from, to)
	} else {
		VMOVDQA(from, to)
	}
}

func (w width) zero(r Op) {
	if w.zmm {
		VPXORQ(r, r, r)
	} else {
		VPXOR(r, r, r)
	}
}

// The bitwise operations, dst = a op b with a allowed in memory.
func (w width) xor(a, b, dst Op) {
	if w.zmm {
		VPXORQ(a, b, dst)
	} else {
		VPXOR(a, b, dst)
	}
}

func (w width) and(a, b, dst Op) {
	if w.zmm {
		VPANDQ(a, b, dst)
	} else {
		VPAND(a, b, dst)
	}
}

func (w width) or(a, b, dst Op) {
	if w.zmm {
		VPORQ(a, b, dst)
	} else {
		VPOR(a, b, dst)
	}
}

// andn is dst = a &^ b.
func (w width) andn(a, b, dst Op) {
	if w.zmm {
		VPANDNQ(a, b, dst)
	} else {
		VPANDN(a, b, dst)
	}
}

// add3 turns a, b, c into a sum and a carry: sum = a^b^c in a fresh register,
// the majority in a.
func (w width) add3(a, b, c Op) (sum, carry reg.VecVirtual) {
	sum, carry = w.vec(), w.vec()
	if w.zmm {
		w.move(a, sum)
		w.move(a, carry)
		VPTERNLOGQ(U8(0x96), c, b, sum)
		VPTERNLOGQ(U8(0xE8), c, b, carry)
		return sum, carry
	}
	t := w.vec()
	w.xor(a, b, t)
	w.and(a, b, carry)
	w.xor(t, c, sum)
	w.and(t, c, t)
	w.or(t, carry, carry)
	return sum, carry
}

// xoshiro is eight (or four) lanes of xoshiro256++.
type xoshiro struct {
	w width
	s [4]reg.VecVirtual
}

func (x xoshiro) rotate(k uint64, a, dst Op) {
	if x.w.zmm {
		VPROLQ(U8(k), a, dst)
		return
	}
	t := x.w.vec()
	VPSRLQ(U8(64-k), a, t)
	VPSLLQ(U8(k), a, dst)
	x.w.or(t, dst, dst)
}

// next puts the next output into r and steps the state.
func (x xoshiro) next(r Op) {
	w, s := x.w, x.s
	t := w.vec()
	VPADDQ(s[0], s[3], r)
	x.rotate(23, r, r)
	VPADDQ(s[0], r, r)
	VPSLLQ(U8(17), s[1], t)
	w.xor(s[1], s[3], s[3])
	if w.zmm {
		VPTERNLOGQ(U8(0x96), s[0], s[2], s[1])
		VPTERNLOGQ(U8(0x96), t, s[0], s[2])
	} else {
		w.xor(s[0], s[2], s[2])
		w.xor(s[2], s[1], s[1])
		w.xor(t, s[2], s[2])
	}
	w.xor(s[3], s[0], s[0])
	x.rotate(45, s[3], s[3])
}

// plane adds bit plane i (in the order in which planes are drawn) to the
// comparison U < p: less keeps the result of the less significant planes,
// open the lanes that are equal so far.
func (x xoshiro) plane(i int, planes, sel, less, open, r Op) {
	w := x.w
	x.next(r)
	p := w.vec()
	high := Mem{Base: planes.(reg.Register), Disp: i * 2 * word}
	diff := Mem{Base: planes.(reg.Register), Disp: i*2*word + word}
	if w.zmm {
		w.load(high, p)
		VPTERNLOGQ(U8(0x78), diff, sel, p)
		VPTERNLOGQ(U8(0xD4), r, p, less)
		VPTERNLOGQ(U8(0x90), r, p, open)
		return
	}
	d := w.vec()
	w.and(diff, sel, p)
	w.xor(high, p, p)
	w.xor(r, p, d)
	w.andn(open, d, open)
	w.xor(less, p, p)
	w.and(d, p, p)
	w.xor(p, less, less)
}

// jumpIfZero jumps when v has no bit set.
func (w width) jumpIfZero(v Op, label string) {
	if w.zmm {
		k := K()
		VPTESTMQ(v, v, k)
		KORTESTB(k, k)
	} else {
		VPTEST(v, v)
	}
	JEQ(LabelRef(label))
}

// update generates the sweep over rows of one colour.
func (w width) update(name string, heatBath bool) {
	TEXT(name, NOSPLIT, "func(f *byte)")
	Pragma("noescape")
	f := Load(Param("f"), GP64())
	field := func(off int) reg.GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: f, Disp: off}, r)
		return r
	}
	spins, other := field(fSpins), field(fOther)
	planes, stride, side := field(fPlanes), field(fStride), field(fSide)
	up := GP64()
	MOVQ(stride, up)
	NEGQ(up)
	x := xoshiro{w: w}
	state := field(fState)
	for i := range x.s {
		x.s[i] = w.vec()
		w.load(Mem{Base: state, Disp: i * word}, x.s[i])
	}

	Label("row")
	mask, group := field(fMask), GP64()
	XORQ(group, group)

	Label("group")
	any, anySel, again := w.vec(), w.vec(), w.vec()
	w.zero(any)
	w.zero(anySel)
	w.zero(again)
	size, rem := field(fBase), field(fRem)
	CMPQ(group, rem)
	JGE(LabelRef("even"))
	INCQ(size)
	Label("even")
	n, scr := GP64(), GP64()
	MOVQ(size, n)
	MOVQ(Mem{Base: f, Disp: fScratch}, scr)

	Label("word")
	s, a, b, c, d := w.vec(), w.vec(), w.vec(), w.vec(), w.vec()
	w.load(Mem{Base: spins}, s)
	w.xor(Mem{Base: other, Index: up, Scale: 1}, s, a)
	w.xor(Mem{Base: other, Index: stride, Scale: 1}, s, b)
	w.xor(Mem{Base: other}, s, c)
	w.xor(Mem{Base: other, Index: side, Scale: 1}, s, d)
	sum, carry := w.add3(a, b, c)
	// n = sum + 2·carry + d antiparallel neighbours.
	sel, open, less, r := w.vec(), w.vec(), w.vec(), w.vec()
	sure, two := w.vec(), w.vec()
	if heatBath {
		// two: n = 2; sure: n ≥ 3; sel: n odd.
		w.xor(d, sum, sel)
		w.xor(sum, carry, two)
		w.andn(two, sel, two)
		w.or(sum, d, sure)
		w.and(carry, sure, sure)
		w.andn(Mem{Base: mask}, two, open)
	} else {
		// sure: n ≥ 2; sel: n = 1 where not sure.
		w.and(sum, d, sure)
		w.or(carry, sure, sure)
		w.or(sum, d, sel)
		w.andn(Mem{Base: mask}, sure, open)
	}
	w.zero(less)
	for i := range ownPlanes {
		x.plane(i, planes, sel, less, open, r)
	}
	if heatBath {
		// n = 2 flips when the first bit of U is 0, n ≥ 3 when U is not below.
		w.xor(sure, less, less)
		w.andn(less, two, less)
		w.andn(two, r, two)
		w.or(two, less, less)
	} else {
		w.or(sure, less, less)
	}
	w.and(Mem{Base: mask}, less, less)
	w.xor(Mem{Base: spins}, less, less)
	w.store(less, Mem{Base: spins})
	second := w.vec()
	w.and(any, open, second)
	w.store(second, Mem{Base: scr, Disp: word})
	w.or(second, again, again)
	w.andn(open, any, second)
	w.store(second, Mem{Base: scr})
	w.or(open, any, any)
	w.and(sel, second, second)
	w.or(second, anySel, anySel)
	ADDQ(U32(word), spins)
	ADDQ(U32(word), other)
	ADDQ(U32(word), mask)
	ADDQ(U32(2*word), scr)
	DECQ(n)
	JNZ(LabelRef("word"))

	// The planes that the group shares.
	tail, t := w.vec(), w.vec()
	w.zero(tail)
	for i := range sharedPlanes {
		x.plane(ownPlanes+i, planes, anySel, tail, any, t)
	}
	back := GP64()
	MOVQ(size, n)
	MOVQ(size, back)
	SHLQ(U8(6), back)
	NEGQ(back)
	ADDQ(spins, back)
	MOVQ(Mem{Base: f, Disp: fScratch}, scr)
	ptr := GP64()
	MOVQ(back, ptr)
	Label("apply")
	v := w.vec()
	w.and(Mem{Base: scr}, tail, v)
	w.xor(Mem{Base: ptr}, v, v)
	w.store(v, Mem{Base: ptr})
	ADDQ(U32(word), ptr)
	ADDQ(U32(2*word), scr)
	DECQ(n)
	JNZ(LabelRef("apply"))

	w.or(any, again, again)
	w.jumpIfZero(again, "settled")
	MOVQ(Mem{Base: f, Disp: fScratch}, scr)
	MOVQ(size, n)
	log := field(fLog)
	Label("leftover")
	u := w.vec()
	// enter appends u to the log: the word's byte offset and the flag, the bits.
	enter := func(flag uint64, none string) {
		w.jumpIfZero(u, none)
		w.store(u, Mem{Base: log, Disp: 8})
		at := GP64()
		LEAQ(Mem{Base: back, Disp: int(flag)}, at)
		SUBQ(Mem{Base: f, Disp: fSpins}, at)
		MOVQ(at, Mem{Base: log})
		ADDQ(U32(8+w.bytes()), log)
		INCQ(Mem{Base: f, Disp: fEntries})
		Label(none)
	}
	w.and(Mem{Base: scr}, any, u)
	enter(0, "equal")
	w.load(Mem{Base: scr, Disp: word}, u)
	enter(1, "later")
	ADDQ(U32(word), back)
	ADDQ(U32(2*word), scr)
	DECQ(n)
	JNZ(LabelRef("leftover"))
	MOVQ(log, Mem{Base: f, Disp: fLog})

	Label("settled")
	INCQ(group)
	CMPQ(group, Mem{Base: f, Disp: fGroups})
	JLT(LabelRef("group"))

	// The next row: MASK advanced by the row's words.
	words := GP64()
	MOVQ(mask, words)
	SUBQ(Mem{Base: f, Disp: fMask}, words)
	SUBQ(words, spins)
	SUBQ(words, other)
	ADDQ(stride, spins)
	ADDQ(stride, other)
	NEGQ(side)
	DECQ(Mem{Base: f, Disp: fRows})
	JNZ(LabelRef("row"))

	MOVQ(Mem{Base: f, Disp: fState}, state)
	for i := range x.s {
		w.store(x.s[i], Mem{Base: state, Disp: i * word})
	}
	VZEROUPPER()
	RET()
}

// count generates the bit-sliced counters of bonds and spins.
func (w width) count(name string) {
	TEXT(name, NOSPLIT, "func(f *byte)")
	Pragma("noescape")
	f := Load(Param("f"), GP64())
	field := func(off int) reg.GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: f, Disp: off}, r)
		return r
	}
	spins, other := field(cSpins), field(cOther)
	stride, side, total := field(cStride), field(cSide), field(cTotal)
	up := GP64()
	MOVQ(stride, up)
	NEGQ(up)
	var bonds, ups [small]reg.VecVirtual
	for i := range small {
		bonds[i] = w.vec()
		w.zero(bonds[i])
	}
	if w.zmm {
		for i := range small {
			ups[i] = w.vec()
			w.zero(ups[i])
		}
	}
	left := GP64()
	MOVQ(U32(flush), left)

	// ripple adds carry into planes from..small−1 of a counter.
	ripple := func(counter []reg.VecVirtual, carry reg.VecVirtual) {
		for _, p := range counter {
			t := w.vec()
			w.and(carry, p, t)
			w.xor(carry, p, p)
			carry = t
		}
	}
	// spill adds a small counter to the counter in memory and clears it.
	spill := func(counter [small]reg.VecVirtual, disp int) {
		carry := w.vec()
		w.zero(carry)
		for i := range depth {
			m := Mem{Base: total, Disp: disp + i*word}
			if i < small {
				p := w.vec()
				w.load(m, p)
				s, c := w.add3(counter[i], p, carry)
				w.store(s, m)
				w.zero(counter[i])
				carry = c
				continue
			}
			p, t := w.vec(), w.vec()
			w.load(m, p)
			w.and(carry, p, t)
			w.xor(carry, p, p)
			w.store(p, m)
			carry = t
		}
	}

	// bond adds the antiparallel bonds of a word, spin the up spins of the
	// word and its neighbour of the other colour.
	bond := func(mask reg.Register) {
		s, a, b, c, d := w.vec(), w.vec(), w.vec(), w.vec(), w.vec()
		w.load(Mem{Base: spins}, s)
		for _, e := range []struct {
			m Mem
			v Op
		}{
			{Mem{Base: other, Index: up, Scale: 1}, a},
			{Mem{Base: other, Index: stride, Scale: 1}, b},
			{Mem{Base: other}, c},
			{Mem{Base: other, Index: side, Scale: 1}, d},
		} {
			w.xor(e.m, s, e.v)
			w.and(Mem{Base: mask}, e.v, e.v)
		}
		s1, c1 := w.add3(a, b, c)
		s2, c2 := w.add3(bonds[0], s1, d)
		w.move(s2, bonds[0])
		s4, c4 := w.add3(bonds[1], c1, c2)
		w.move(s4, bonds[1])
		ripple(bonds[2:], c4)
	}
	spin := func(mask reg.Register, counter []reg.VecVirtual) {
		s, o := w.vec(), w.vec()
		w.load(Mem{Base: mask}, s)
		w.and(Mem{Base: other}, s, o)
		w.and(Mem{Base: spins}, s, s)
		s1, c1 := w.add3(counter[0], s, o)
		w.move(s1, counter[0])
		ripple(counter[1:], c1)
	}

	// pass walks the rows once with the given work for each word.
	pass := func(tag string, work func(mask reg.Register), end func()) {
		rows := field(cRows)
		Label("row" + tag)
		mask, n := field(cMask), field(cWords)
		Label("word" + tag)
		work(mask)
		ADDQ(U32(word), spins)
		ADDQ(U32(word), other)
		ADDQ(U32(word), mask)
		DECQ(left)
		JNZ(LabelRef("held" + tag))
		end()
		MOVQ(U32(flush), left)
		Label("held" + tag)
		DECQ(n)
		JNZ(LabelRef("word" + tag))
		SUBQ(Mem{Base: f, Disp: cMask}, mask)
		SUBQ(mask, spins)
		SUBQ(mask, other)
		ADDQ(stride, spins)
		ADDQ(stride, other)
		NEGQ(side)
		DECQ(rows)
		JNZ(LabelRef("row" + tag))
		end()
	}
	if w.zmm {
		pass("", func(mask reg.Register) {
			bond(mask)
			spin(mask, ups[:])
		}, func() {
			spill(bonds, 0)
			spill(ups, depth*word)
		})
	} else {
		// Sixteen registers hold one counter at a time.
		pass("bonds", bond, func() { spill(bonds, 0) })
		MOVQ(Mem{Base: f, Disp: cSpins}, spins)
		MOVQ(Mem{Base: f, Disp: cOther}, other)
		MOVQ(U32(flush), left)
		pass("spins", func(mask reg.Register) { spin(mask, bonds[:]) }, func() { spill(bonds, depth*word) })
	}
	VZEROUPPER()
	RET()
}

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, w := range []width{{"AVX2", false}, {"AVX512", true}} {
		w.update("metropolis"+w.suffix, false)
		w.update("heatBath"+w.suffix, true)
		w.count("count" + w.suffix)
	}
	Generate()
}
