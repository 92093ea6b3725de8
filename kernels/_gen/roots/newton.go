package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Two vectors go through every phase together: one alone would wait for its
// own divisions and exponential most of the time.
const vectors = 2

// Offsets of the fields of vectorArgs in roots_amd64.go.
const (
	argW = 8 * iota
	argSlope
	argWeight
	argLow
	argScratch
	argTable
	argGuess
	argStride
	argLowStride
	argGroups
	argHalf
	argN
	argTop
	argOddMask
	argOneIfEven
	argM2
	argN64
	argMean0
	argStates
	argInvStates
	argLimit
)

// Fields of a row of Size.table, one row for each j.
const (
	rowCount = 8 * iota
	rowTwoV
	rowV2
	rowTwoJ
	rowExcess
	rowCountLow
	_
	_
	tableRow
)

// Slots of the scratch memory, each of two vectors, before the records.
const (
	slotW = iota
	slotLo
	slotHi
	slotSlope
	slotActive
	slotOrdinary
	slotTotal
	slotX
	slotD1
	slotXo // x for odd M, 1 for even
	slotD1o
	slotI0
	slotI1
	slotTm
	slotC0
	slotR
	slotSa
	slotSad
	slotSp
	slotSb
	slotSbd
	slotMean
	slots
)

// Fields of a record of the scratch memory, one for each k = 0 … h, each of
// two vectors.
const (
	recX  = iota // x^k
	recD         // 1 − x^k
	recP         // p of j = k, then D of j = k in polish
	recEI        // e/(1+e)
	recI         // 1/(1+e)
	recFields
)

var expCoef = [12]float64{
	1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
	1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
}

type machine struct {
	name string
	size int // bytes of a vector
	args reg.Register
	base reg.Register // scratch
	loop int          // labels made so far
}

func newMachine(name string, size int) *machine { return &machine{name: name, size: size} }

func (m *machine) v() reg.VecVirtual {
	if m.size == 64 {
		return ZMM()
	}
	return YMM()
}

func (m *machine) label(s string) string {
	m.loop++
	return fmt.Sprintf("%s%s%d", s, m.name, m.loop)
}

var constants = map[uint64]Mem{}

// word returns the address of a 64-bit constant.
func word(x uint64) Mem {
	if c, ok := constants[x]; ok {
		return c
	}
	c := GLOBL(fmt.Sprintf("c%016x", x), RODATA|NOPTR)
	DATA(0, U64(x))
	constants[x] = c
	return c
}

// bc broadcasts a 64-bit word of memory.
func (m *machine) bc(a Mem) reg.VecVirtual {
	r := m.v()
	VBROADCASTSD(a, r)
	return r
}

func (m *machine) num(x float64) reg.VecVirtual { return m.bc(word(math.Float64bits(x))) }
func (m *machine) arg(off int) reg.VecVirtual   { return m.bc(Mem{Base: m.args, Disp: off}) }

func (m *machine) slot(i, u int) Mem { return Mem{Base: m.base, Disp: (i*vectors + u) * m.size} }
func (m *machine) rec(p reg.Register, field, u int) Mem {
	return Mem{Base: p, Disp: (field*vectors + u) * m.size}
}
func (m *machine) recSize() int { return recFields * vectors * m.size }

func (m *machine) load(a Mem) reg.VecVirtual {
	r := m.v()
	VMOVUPD(a, r)
	return r
}
func store(r reg.VecVirtual, a Mem) { VMOVUPD(r, a) }

func (m *machine) zero() reg.VecVirtual { return m.num(0) }

// Arithmetic into a new register; b may be memory.
func (m *machine) mul(a reg.VecVirtual, b Op) reg.VecVirtual { r := m.v(); VMULPD(b, a, r); return r }
func (m *machine) add(a reg.VecVirtual, b Op) reg.VecVirtual { r := m.v(); VADDPD(b, a, r); return r }
func (m *machine) sub(a reg.VecVirtual, b Op) reg.VecVirtual { r := m.v(); VSUBPD(b, a, r); return r }
func (m *machine) div(a reg.VecVirtual, b Op) reg.VecVirtual { r := m.v(); VDIVPD(b, a, r); return r }
func (m *machine) and(a reg.VecVirtual, b Op) reg.VecVirtual { r := m.v(); VANDPD(b, a, r); return r }
func (m *machine) or(a reg.VecVirtual, b Op) reg.VecVirtual  { r := m.v(); VORPD(b, a, r); return r }

// Comparisons give all ones or zeros in each lane.
const (
	lt = 0x11 // LT_OQ
	le = 0x12 // LE_OQ
	ge = 0x1d // GE_OQ
	gt = 0x1e // GT_OQ
)

func (m *machine) cmp(a reg.VecVirtual, op uint64, b Op) reg.VecVirtual {
	r := m.v()
	if m.size == 64 {
		k := K()
		VCMPPD(U8(op), b, a, k)
		VPMOVM2Q(k, r)
	} else {
		VCMPPD(U8(op), b, a, r)
	}
	return r
}

// sel returns a where mask is all ones, b elsewhere.
func (m *machine) sel(mask, a, b reg.VecVirtual) reg.VecVirtual {
	r := m.v()
	if m.size == 64 {
		k := K()
		VPMOVQ2M(mask, k)
		VBLENDMPD(a, b, k, r)
	} else {
		VBLENDVPD(mask, a, b, r)
	}
	return r
}

// any jumps to the label if some lane of the mask is set.
func (m *machine) any(mask reg.VecVirtual, label string) {
	if m.size == 64 {
		k := K()
		VPMOVQ2M(mask, k)
		KORTESTB(k, k)
	} else {
		VPTEST(mask, mask)
	}
	JNZ(LabelRef(label))
}

// expm1 is roots.expm1: e^a and 1 − e^a.
func (m *machine) expm1(a reg.VecVirtual) (e, oneMinus reg.VecVirtual) {
	x := m.v()
	VMAXPD(m.num(-700), a, x)
	n := m.mul(x, m.num(math.Log2E))
	if m.size == 64 {
		VRNDSCALEPD(U8(8), n, n)
	} else {
		VROUNDPD(U8(8), n, n)
	}
	VFNMADD231PD(m.num(6.93147180369123816490e-01), n, x)
	VFNMADD231PD(m.num(1.90821492927058770002e-10), n, x)
	s := m.num(expCoef[11])
	for k := 10; k >= 0; k-- {
		VFMADD213PD(m.num(expCoef[k]), x, s)
	}
	p := m.mul(x, x)
	VFMADD213PD(x, s, p)
	// 2ⁿ: n lands in the low bits of a large number, the exponent's offset with it.
	t := m.add(n, m.num(0x1.8p52+1023))
	VPSLLQ(Imm(52), t, t)
	oneMinus = m.sub(m.num(1), t)
	VFNMADD231PD(p, t, oneMinus)
	VFMADD213PD(t, t, p)
	return p, oneMinus
}

// pow is powInt of all vectors at a time, in place.
func (m *machine) pow(r [vectors]reg.VecVirtual, step func(r, a reg.VecVirtual, bit bool)) {
	var a [vectors]reg.VecVirtual
	for u := range r {
		a[u] = m.v()
		VMOVAPD(r[u], a[u])
	}
	n, bit := GP64(), GP64()
	MOVQ(Mem{Base: m.args, Disp: argN}, n)
	MOVQ(Mem{Base: m.args, Disp: argTop}, bit)
	loop, next, end := m.label("pow"), m.label("powBit"), m.label("powEnd")
	Label(loop)
	SHRQ(Imm(1), bit)
	JZ(LabelRef(end))
	for u := range r {
		step(r[u], a[u], false)
	}
	TESTQ(bit, n)
	JZ(LabelRef(next))
	for u := range r {
		step(r[u], a[u], true)
	}
	Label(next)
	JMP(LabelRef(loop))
	Label(end)
}

func mulStep(r, a reg.VecVirtual, bit bool) {
	if bit {
		VMULPD(a, r, r)
	} else {
		VMULPD(r, r, r)
	}
}

// each runs body for j = 1 … h. p is the record of j, q that of h−j, row the
// constants of j, weight and low the weights of j.
type cursor struct{ p, q, row, weight, low reg.Register }

func (m *machine) each(name string, descending, weights, low bool, body func(c cursor)) {
	c := cursor{p: GP64(), row: GP64()}
	LEAQ(Mem{Base: m.base, Disp: slots*vectors*m.size + m.recSize()}, c.p)
	MOVQ(Mem{Base: m.args, Disp: argTable}, c.row)
	ADDQ(Imm(tableRow), c.row)
	if descending {
		c.q = GP64()
		MOVQ(Mem{Base: m.args, Disp: argHalf}, c.q)
		DECQ(c.q)
		IMUL3Q(U32(uint32(m.recSize())), c.q, c.q)
		LEAQ(Mem{Base: m.base, Index: c.q, Scale: 1, Disp: slots * vectors * m.size}, c.q)
	}
	if weights {
		c.weight = GP64()
		MOVQ(Mem{Base: m.args, Disp: argWeight}, c.weight)
		ADDQ(Mem{Base: m.args, Disp: argStride}, c.weight)
	}
	if low {
		c.low = GP64()
		MOVQ(Mem{Base: m.args, Disp: argLow}, c.low)
		ADDQ(Mem{Base: m.args, Disp: argLowStride}, c.low)
	}
	n := GP64()
	MOVQ(Mem{Base: m.args, Disp: argHalf}, n)
	loop := m.label(name)
	Label(loop)
	body(c)
	ADDQ(U32(uint32(m.recSize())), c.p)
	ADDQ(Imm(tableRow), c.row)
	if descending {
		SUBQ(U32(uint32(m.recSize())), c.q)
	}
	if weights {
		ADDQ(Mem{Base: m.args, Disp: argStride}, c.weight)
	}
	if low {
		ADDQ(Mem{Base: m.args, Disp: argLowStride}, c.low)
	}
	DECQ(n)
	JNZ(LabelRef(loop))
}

// bcAt broadcasts a field of a row of constants.
func (m *machine) bcAt(p reg.Register, field int) reg.VecVirtual {
	return m.bc(Mem{Base: p, Disp: field})
}

// weightAt is the address of vector u of a row of weights.
func (m *machine) weightAt(p reg.Register, u int) Mem { return Mem{Base: p, Disp: u * m.size} }

// powers fills slots and records from slotW as Size.eval begins: everything
// but the sums, and without p if full is false.
func (m *machine) powers(full bool) {
	rec0 := GP64()
	LEAQ(Mem{Base: m.base, Disp: slots * vectors * m.size}, rec0)
	for u := range vectors {
		w := m.load(m.slot(slotW, u))
		x, d1 := m.expm1(m.mul(w, m.num(-2)))
		store(x, m.slot(slotX, u))
		store(d1, m.slot(slotD1, u))
		odd := m.arg(argOddMask)
		store(m.or(m.and(x, odd), m.arg(argOneIfEven)), m.slot(slotXo, u))
		store(m.and(d1, odd), m.slot(slotD1o, u))
	}
	var x, d [vectors]reg.VecVirtual
	for u := range vectors {
		x[u], d[u] = m.num(1), m.zero()
		store(x[u], m.rec(rec0, recX, u))
		store(d[u], m.rec(rec0, recD, u))
	}
	m.each("powers", false, false, false, func(c cursor) {
		for u := range vectors {
			VFMADD231PD(m.slot(slotD1, u), x[u], d[u])
			VMULPD(m.slot(slotX, u), x[u], x[u])
			store(x[u], m.rec(c.p, recX, u))
			store(d[u], m.rec(c.p, recD, u))
		}
	})
	// x and d are those of h now.
	last := GP64()
	MOVQ(Mem{Base: m.args, Disp: argHalf}, last)
	IMUL3Q(U32(uint32(m.recSize())), last, last)
	ADDQ(rec0, last)
	for u := range vectors {
		e0 := m.mul(x[u], x[u])
		VFMADD231PD(d[u], x[u], d[u]) // 1 − x^{2h}
		VFMADD231PD(m.slot(slotD1o, u), e0, d[u])
		VMULPD(m.slot(slotXo, u), e0, e0)
		e1 := m.load(Mem{Base: last, Disp: (recX*vectors+u)*m.size - m.recSize()})
		VMULPD(e1, e1, e1)
		VMULPD(m.slot(slotXo, u), e1, e1)
		one := m.num(1)
		i0 := m.div(one, m.add(e0, one))
		p1 := m.add(e1, one)
		store(i0, m.slot(slotI0, u))
		store(m.div(one, p1), m.slot(slotI1, u))
		store(m.mul(d[u], i0), m.slot(slotTm, u))
		store(m.mul(m.mul(m.mul(e0, i0), i0), m.arg(argM2)), m.slot(slotC0, u))
		store(m.mul(p1, i0), m.slot(slotR, u))
	}
	m.each("terms", true, false, false, func(c cursor) {
		var r [vectors]reg.VecVirtual
		for u := range vectors {
			e := m.load(m.rec(c.q, recX, u))
			VMULPD(e, e, e)
			VMULPD(m.slot(slotXo, u), e, e)
			one := m.num(1)
			p1 := m.add(e, one)
			i := m.div(one, p1)
			store(i, m.rec(c.p, recI, u))
			store(m.mul(e, i), m.rec(c.p, recEI, u))
			if full {
				VMULPD(Mem{Base: c.p, Disp: (recX*vectors+u)*m.size - m.recSize()}, p1, p1)
				r[u] = m.mul(p1, m.slot(slotI1, u))
			}
		}
		if full {
			m.pow(r, mulStep)
			count := m.bcAt(c.row, rowCount)
			for u := range vectors {
				store(m.mul(r[u], count), m.rec(c.p, recP, u))
			}
		}
	})
}

// term is D of the record at c.p.
func (m *machine) term(c cursor, u int) reg.VecVirtual {
	n := m.load(m.rec(c.p, recD, u))
	VFMADD231PD(m.rec(c.p, recX, u), n, n)
	VMULPD(m.slot(slotI0, u), n, n)
	t := m.bcAt(c.row, rowTwoV)
	VMULPD(m.rec(c.p, recEI, u), t, t)
	d := m.bcAt(c.row, rowTwoJ)
	VMULPD(m.slot(slotTm, u), d, d)
	VFMADD231PD(n, t, d)
	return d
}

// eval is Size.eval: the sums go to their slots.
func (m *machine) eval() {
	m.powers(true)
	var sa, sad, sp, sb, sbd [vectors]reg.VecVirtual
	for u := range vectors {
		sa[u], sad[u], sp[u], sb[u], sbd[u] = m.zero(), m.zero(), m.zero(), m.zero(), m.zero()
	}
	m.each("sums", false, true, false, func(c cursor) {
		for u := range vectors {
			d := m.term(c, u)
			dp := m.load(m.rec(c.p, recEI, u))
			VMULPD(m.rec(c.p, recI, u), dp, dp)
			VFNMADD213PD(m.slot(slotC0, u), m.bcAt(c.row, rowV2), dp)
			VMULPD(m.num(4), dp, dp)
			q := m.load(m.weightAt(c.weight, u))
			VFMADD231PD(d, q, sa[u])
			VFMADD231PD(dp, q, sad[u])
			p := m.load(m.rec(c.p, recP, u))
			VADDPD(p, sp[u], sp[u])
			VFMADD231PD(d, p, sb[u])
			nd := m.mul(d, m.arg(argN64))
			VFNMADD231PD(d, nd, dp)
			VFMADD231PD(dp, p, sbd[u])
		}
	})
	for u := range vectors {
		store(sa[u], m.slot(slotSa, u))
		store(sad[u], m.slot(slotSad, u))
		store(sp[u], m.slot(slotSp, u))
		store(sb[u], m.slot(slotSb, u))
		store(sbd[u], m.slot(slotSbd, u))
	}
}

// begin starts a function over the groups of its arguments and returns the
// label of the loop and of its end.
func (m *machine) begin(name, doc string) (loop, end string) {
	TEXT(name, NOSPLIT, "func(a *byte)")
	Doc(doc)
	Pragma("noescape")
	m.args = Load(Param("a"), GP64())
	m.base = GP64()
	MOVQ(Mem{Base: m.args, Disp: argScratch}, m.base)
	loop, end = m.label("group"), m.label("end")
	Label(loop)
	return loop, end
}

// finish moves on to the next group and closes the function.
func (m *machine) finish(loop, end string) {
	Label(end)
	for _, off := range []int{argW, argSlope, argWeight, argLow} {
		ADDQ(U32(uint32(vectors*m.size)), Mem{Base: m.args, Disp: off})
	}
	DECQ(Mem{Base: m.args, Disp: argGroups})
	JNZ(LabelRef(loop))
	VZEROUPPER()
	RET()
}

// pointer loads a pointer of the arguments.
func (m *machine) pointer(off int) reg.Register {
	p := GP64()
	MOVQ(Mem{Base: m.args, Disp: off}, p)
	return p
}

func (m *machine) newton() {
	loop, end := m.begin("newton"+m.name, "newton"+m.name+" is Size.newton for whole groups of two vectors.")
	m.begin1()
	count := GP64()
	MOVQ(U32(24), count) // maxNewton
	step := m.label("step")
	Label(step)
	m.eval()
	var r [vectors]reg.VecVirtual
	for u := range vectors {
		r[u] = m.load(m.slot(slotX, u))
		VMULPD(m.slot(slotR, u), r[u], r[u])
	}
	m.pow(r, mulStep)
	left := m.zero()
	for u := range vectors {
		p := m.num(2)
		VFMADD231PD(m.slot(slotSp, u), r[u], p)
		sb := m.load(m.slot(slotSb, u))
		ub := m.mul(r[u], sb)
		sa := m.load(m.slot(slotSa, u))
		x := m.mul(sa, p)
		y := m.mul(ub, m.slot(slotTotal, u))
		a := m.div(m.sub(x, y), m.add(x, y))
		a2 := m.mul(a, a)
		f := m.num(2.0 / 5)
		VFMADD213PD(m.num(2.0/3), a2, f)
		VFMADD213PD(m.num(2), a2, f)
		VMULPD(a, f, f)
		d := m.sub(m.div(m.load(m.slot(slotSad, u)), sa), m.div(m.load(m.slot(slotSbd, u)), sb))
		VFNMADD231PD(m.div(ub, p), m.arg(argN64), d)

		w := m.load(m.slot(slotW, u))
		active := m.load(m.slot(slotActive, u))
		store(m.sel(active, d, m.load(m.slot(slotSlope, u))), m.slot(slotSlope, u))
		below := m.cmp(f, lt, m.zero())
		lo := m.sel(below, w, m.load(m.slot(slotLo, u)))
		hi := m.sel(below, m.load(m.slot(slotHi, u)), w)
		store(lo, m.slot(slotLo, u))
		store(hi, m.slot(slotHi, u))
		next := m.sub(w, m.div(f, d))
		in := m.and(m.cmp(next, ge, lo), m.cmp(next, le, hi))
		mid := m.mul(m.sub(hi, lo), m.num(0.5))
		VADDPD(mid, lo, mid)
		twice := m.add(w, w)
		VMINPD(mid, twice, mid)
		next = m.sel(in, next, mid)
		size := m.and(m.sub(next, w), m.bc(word(1<<63-1)))
		done := m.cmp(size, le, m.mul(w, m.num(0x1p-24)))
		store(m.sel(active, next, w), m.slot(slotW, u))
		VANDNPD(active, done, active)
		store(active, m.slot(slotActive, u))
		VORPD(active, left, left)
	}
	out := m.label("out")
	DECQ(count)
	JZ(LabelRef(out))
	m.any(left, step)
	Label(out)
	pw, ps := m.pointer(argW), m.pointer(argSlope)
	for u := range vectors {
		ok := m.load(m.slot(slotActive, u))
		VANDNPD(m.slot(slotOrdinary, u), ok, ok)
		w := m.and(m.load(m.slot(slotW, u)), ok)
		store(w, m.weightAt(pw, u))
		store(m.mul(m.and(m.load(m.slot(slotSlope, u)), ok), w), m.weightAt(ps, u))
	}
	m.finish(loop, end)
}

// begin1 looks at the weights, sets slotTotal and the masks, and starts.
func (m *machine) begin1() {
	pq, row := m.pointer(argWeight), m.pointer(argTable)
	var total, deficit, excess, least [vectors]reg.VecVirtual
	for u := range vectors {
		total[u], deficit[u], excess[u] = m.zero(), m.zero(), m.zero()
		least[u] = m.load(m.weightAt(pq, u))
	}
	n := GP64()
	MOVQ(Mem{Base: m.args, Disp: argHalf}, n)
	loop := m.label("moments")
	Label(loop)
	for u := range vectors {
		q := m.load(m.weightAt(pq, u))
		VADDPD(q, total[u], total[u])
		VFMADD231PD(m.bcAt(row, rowTwoJ), q, deficit[u])
		VFMADD231PD(m.bcAt(row, rowExcess), q, excess[u])
		VMINPD(least[u], q, least[u])
	}
	ADDQ(Mem{Base: m.args, Disp: argStride}, pq)
	ADDQ(Imm(tableRow), row)
	DECQ(n)
	JGE(LabelRef(loop)) // h+1 rows
	guess := m.pointer(argGuess)
	for u := range vectors {
		ok := m.cmp(least[u], ge, m.zero())
		VANDPD(m.cmp(total[u], ge, m.num(0x1p-400)), ok, ok)
		VANDPD(m.cmp(total[u], le, m.num(0x1p400)), ok, ok)
		VANDPD(m.cmp(deficit[u], ge, m.mul(total[u], m.num(0x1p-400))), ok, ok)
		VANDPD(m.cmp(excess[u], gt, m.zero()), ok, ok)
		store(ok, m.slot(slotOrdinary, u))
		store(ok, m.slot(slotActive, u))
		store(total[u], m.slot(slotTotal, u))
		y := m.arg(argMean0)
		VFMSUB213PD(deficit[u], total[u], y)
		VDIVPD(deficit[u], y, y)
		VMAXPD(m.num(0x1p-20), y, y)
		VMINPD(m.num(0x1.fffffffffffffp63), y, y)
		idx := m.v()
		VPSRLQ(Imm(48), y, idx)
		VPSUBQ(m.bc(word((1023-20)<<4)), idx, idx)
		VPSLLQ(Imm(2), idx, idx)
		y0, w0, dw := m.gather(guess, idx, 0), m.gather(guess, idx, 8), m.gather(guess, idx, 16)
		VSUBPD(y0, y, y)
		VFMADD231PD(dw, y, w0)
		store(m.sel(ok, w0, m.num(1)), m.slot(slotW, u))
		store(m.zero(), m.slot(slotLo, u))
		store(m.num(math.Inf(1)), m.slot(slotHi, u))
		store(m.zero(), m.slot(slotSlope, u))
	}
}

// gather loads the words at p + 8·idx + disp.
func (m *machine) gather(p reg.Register, idx reg.VecVirtual, disp int) reg.VecVirtual {
	r := m.zero()
	a := Mem{Base: p, Index: idx, Scale: 8, Disp: disp}
	if m.size == 64 {
		k := K()
		ones := GP32()
		MOVL(U32(255), ones)
		KMOVB(ones, k)
		VGATHERQPD(a, k, r)
	} else {
		mask := m.bc(word(math.MaxUint64))
		VGATHERQPD(mask, a, r)
	}
	return r
}

func (m *machine) polish() {
	loop, end := m.begin("polish"+m.name, "polish"+m.name+" is Size.polish for whole groups of two vectors, in the lanes whose slope asks for it.")
	pw, ps := m.pointer(argW), m.pointer(argSlope)
	left := m.zero()
	for u := range vectors {
		s := m.load(m.weightAt(ps, u))
		some := m.and(m.cmp(s, ge, m.num(1e-6)), m.cmp(s, lt, m.arg(argLimit)))
		store(some, m.slot(slotActive, u))
		VORPD(some, left, left)
		store(m.load(m.weightAt(pw, u)), m.slot(slotW, u))
	}
	work := m.label("work")
	m.any(left, work)
	JMP(LabelRef(end))
	Label(work)
	m.powers(false)
	for u := range vectors {
		y1, dy1 := m.expm1(m.mul(m.load(m.slot(slotW, u)), m.num(-1)))
		odd := m.arg(argOddMask)
		store(m.or(m.and(y1, odd), m.arg(argOneIfEven)), m.slot(slotXo, u))
		store(m.and(dy1, odd), m.slot(slotD1o, u))
	}
	pq := m.pointer(argWeight)
	var total, mean [vectors]reg.VecVirtual
	for u := range vectors {
		total[u], mean[u] = m.load(m.weightAt(pq, u)), m.zero()
	}
	m.each("mean", false, true, false, func(c cursor) {
		count := m.bcAt(c.row, rowCount)
		for u := range vectors {
			d := m.term(c, u)
			store(d, m.rec(c.p, recP, u))
			VADDPD(m.weightAt(c.weight, u), total[u], total[u])
			VFMADD231PD(d, count, mean[u])
		}
	})
	rec0 := GP64()
	LEAQ(Mem{Base: m.base, Disp: slots * vectors * m.size}, rec0)
	for u := range vectors {
		inv := m.arg(argInvStates)
		store(total[u], m.slot(slotTotal, u))
		store(m.mul(total[u], inv), m.slot(slotC0, u)) // λ
		store(m.mul(mean[u], inv), m.slot(slotMean, u))
		store(m.zero(), m.slot(slotSa, u)) // Σ a(D − D̄)
		store(m.zero(), m.slot(slotSb, u)) // Σ c·b(D − D̄)
		store(m.zero(), m.slot(slotSp, u)) // Σ c·b
		store(m.zero(), m.rec(rec0, recP, u))
	}
	// j = 0 … h here.
	p, row, weight, low := GP64(), m.pointer(argTable), m.pointer(argWeight), m.pointer(argLow)
	MOVQ(rec0, p)
	q := GP64()
	MOVQ(Mem{Base: m.args, Disp: argHalf}, q)
	n := GP64()
	MOVQ(q, n)
	IMUL3Q(U32(uint32(m.recSize())), q, q)
	ADDQ(rec0, q)
	sums := m.label("differences")
	Label(sums)
	var b [vectors]reg.VecVirtual
	for u := range vectors {
		y, dy := m.load(m.rec(q, recX, u)), m.load(m.rec(q, recD, u))
		VFMADD231PD(m.slot(slotD1o, u), y, dy)
		VMULPD(m.slot(slotXo, u), y, y)
		b[u] = m.mul(dy, m.num(0.5))
		VMULPD(dy, b[u], b[u])
		VDIVPD(y, b[u], b[u])
	}
	m.pow(b, func(r, a reg.VecVirtual, bit bool) {
		if bit {
			t := m.add(r, a)
			VFMADD213PD(t, a, r)
		} else {
			t := m.add(r, m.num(2))
			VMULPD(t, r, r)
		}
	})
	for u := range vectors {
		VMULPD(m.bcAt(row, rowCount), b[u], b[u])
		lambda := m.load(m.slot(slotC0, u))
		a := m.load(m.weightAt(weight, u))
		VFNMADD231PD(m.bcAt(row, rowCount), lambda, a)
		VADDPD(m.weightAt(low, u), a, a)
		VFNMADD231PD(m.bcAt(row, rowCountLow), lambda, a)
		d := m.load(m.rec(p, recP, u))
		VSUBPD(m.slot(slotMean, u), d, d)
		eq, ep := m.load(m.slot(slotSa, u)), m.load(m.slot(slotSb, u))
		VFMADD231PD(d, a, eq)
		VFMADD231PD(d, b[u], ep)
		store(eq, m.slot(slotSa, u))
		store(ep, m.slot(slotSb, u))
		store(m.add(b[u], m.slot(slotSp, u)), m.slot(slotSp, u))
	}
	ADDQ(U32(uint32(m.recSize())), p)
	SUBQ(U32(uint32(m.recSize())), q)
	ADDQ(Imm(tableRow), row)
	ADDQ(Mem{Base: m.args, Disp: argStride}, weight)
	ADDQ(Mem{Base: m.args, Disp: argLowStride}, low)
	DECQ(n)
	JGE(LabelRef(sums))
	pw, ps = m.pointer(argW), m.pointer(argSlope)
	for u := range vectors {
		ep := m.div(m.load(m.slot(slotSb, u)), m.add(m.load(m.slot(slotSp, u)), m.arg(argStates)))
		d := m.sub(m.div(m.load(m.slot(slotSa, u)), m.slot(slotTotal, u)), ep)
		VADDPD(m.slot(slotMean, u), ep, ep)
		VDIVPD(ep, d, d)
		w := m.load(m.slot(slotW, u))
		VMULPD(w, d, d)
		VDIVPD(m.weightAt(ps, u), d, d)
		next := m.sub(w, d)
		store(m.sel(m.load(m.slot(slotActive, u)), next, w), m.weightAt(pw, u))
	}
	m.finish(loop, end)
}

func vectorKernels() {
	for _, m := range []*machine{newMachine("AVX512", 64), newMachine("AVX2", 32)} {
		m.newton()
		m.polish()
	}

}
