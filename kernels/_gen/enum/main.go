// Command enum generates the AVX2 and AVX-512 paths of package kernels/enum.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A path is one instruction set: the width of its vectors and how it spells
// what differs between VEX and EVEX.
type path struct {
	name  string
	bytes int // of a vector
	rows  int // of a register tile
	vecs  int // of a register tile
}

var paths = []path{
	{name: "AVX2", bytes: 32, rows: 4, vecs: 2},
	{name: "AVX512", bytes: 64, rows: 8, vecs: 2},
}

func (p path) wide() bool { return p.bytes == 64 }

func (p path) vec() reg.VecVirtual {
	if p.wide() {
		return ZMM()
	}
	return YMM()
}

func (p path) zero(v reg.VecVirtual) {
	if p.wide() {
		VPXORD(v, v, v)
		return
	}
	VPXOR(v, v, v)
}

func (p path) copy(from, to reg.VecVirtual) { VMOVAPD(from, to) }

func (p path) loadInt(m Op, v reg.VecVirtual) {
	if p.wide() {
		VMOVDQU32(m, v)
		return
	}
	VMOVDQU(m, v)
}

func (p path) storeInt(v reg.VecVirtual, m Op) {
	if p.wide() {
		VMOVDQU32(v, m)
		return
	}
	VMOVDQU(v, m)
}

func main() {
	ConstraintExpr("amd64,!noasm")
	consts := constants()
	for _, p := range paths {
		minPlus(p)
		countEqual(p)
		product(p)
		trace(p)
		addRows(p, 16)
		addRows(p, 32)
		boltzmann(p, consts)
		exponential(p, consts)
		factors(p, consts)
		scaledSum(p, consts)
		responses(p, consts)
		probes(p)
	}
	count()
	Generate()
}

func function(p path, name, doc, signature string) {
	TEXT(name+p.name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + p.name + " " + doc)
}

// A table is a read-only block of vectors of 32 bytes, each one value
// repeated, so that 256-bit code takes whole vectors and 512-bit code
// broadcasts the first element.
type table struct {
	base Mem
	at   map[string]int
}

func (t table) mem(name string) Mem {
	off, ok := t.at[name]
	if !ok {
		panic("no constant " + name)
	}
	return t.base.Offset(off)
}

func constants() table {
	t := table{base: GLOBL("enumConst", RODATA|NOPTR), at: map[string]int{}}
	off := 0
	add := func(name string, bits uint64) {
		t.at[name] = off
		for range 4 {
			DATA(off, U64(bits))
			off += 8
		}
	}
	f := func(name string, x float64) { add(name, math.Float64bits(x)) }
	// the constants of kadanoff/spin/fmath
	f("low", -708)
	f("magic", 1<<52+1<<51)
	f("log2e", 1.44269504088896338700e+00)
	f("ln2hi", 6.93147180369123816490e-01)
	f("ln2lo", 1.90821492927058770002e-10)
	fact := 1.0
	for k := 2; k <= 13; k++ {
		fact *= float64(k)
		f(fmt.Sprint("c", k), 1/fact)
	}
	f("one", 1)
	add("bias", 1023)
	add("mantissa", 1<<52-1)
	return t
}

// broadcast returns a register full of a constant.
func (p path) broadcast(t table, name string) reg.VecVirtual {
	v := p.vec()
	VBROADCASTSD(t.mem(name), v)
	return v
}

// fmaConst sets acc = acc*x + constant.
func (p path) fmaConst(t table, name string, x, acc reg.VecVirtual) {
	if p.wide() {
		VFMADD213PD_BCST(t.mem(name), x, acc)
		return
	}
	VFMADD213PD(t.mem(name), x, acc)
}

// minPlus: tiles of rows x vecs accumulators, the inner index streamed.
func minPlus(p path) {
	function(p, "minPlus", "is Kernel.MinPlus for n inner indices.", "func(dst, p, q, r *int32, n int) int32")
	dst := Load(Param("dst"), GP64())
	pp := Load(Param("p"), GP64())
	qq := Load(Param("q"), GP64())
	r := Load(Param("r"), GP64())
	n := Load(Param("n"), GP64())
	least := p.vec()
	maxInt := GP32()
	MOVL(U32(math.MaxInt32), maxInt)
	x := XMM()
	VMOVD(maxInt, x)
	VPBROADCASTD(x, least)
	const rowBytes = 32 * 4
	for i0 := 0; i0 < 8; i0 += p.rows {
		for c0 := 0; c0 < rowBytes; c0 += p.vecs * p.bytes {
			acc := make([]reg.VecVirtual, p.rows*p.vecs)
			for k := range acc {
				acc[k] = p.vec()
				VPBROADCASTD(x, acc[k])
			}
			a, b, m := GP64(), GP64(), GP64()
			MOVQ(pp, a)
			MOVQ(qq, b)
			MOVQ(n, m)
			loop := fmt.Sprintf("inner_%d_%d", i0, c0)
			Label(loop)
			q := make([]reg.VecVirtual, p.vecs)
			for v := range q {
				q[v] = p.vec()
				p.loadInt(Mem{Base: b, Disp: c0 + v*p.bytes}, q[v])
			}
			for i := range p.rows {
				bc := p.vec()
				VPBROADCASTD(Mem{Base: a, Disp: 4 * (i0 + i)}, bc)
				for v := range q {
					s := p.vec()
					VPADDD(bc, q[v], s)
					VPMINSD(s, acc[i*p.vecs+v], acc[i*p.vecs+v])
				}
			}
			ADDQ(Imm(32), a)
			ADDQ(U32(rowBytes), b)
			DECQ(m)
			JNZ(LabelRef(loop))
			for i := range p.rows {
				for v := range q {
					d := (i0+i)*rowBytes + c0 + v*p.bytes
					s := acc[i*p.vecs+v]
					VPADDD(Mem{Base: r, Disp: d}, s, s)
					p.storeInt(s, Mem{Base: dst, Disp: d})
					VPMINSD(s, least, least)
				}
			}
		}
	}
	half := YMM()
	if p.wide() {
		VEXTRACTI64X4(Imm(1), least, half)
		VPMINSD(least.AsY(), half, half)
	} else {
		VMOVDQA(least, half)
	}
	lo, hi := XMM(), XMM()
	VEXTRACTI128(Imm(1), half, hi)
	VPMINSD(half.AsX(), hi, lo)
	VPSHUFD(Imm(0x4e), lo, hi)
	VPMINSD(lo, hi, lo)
	VPSHUFD(Imm(0xb1), lo, hi)
	VPMINSD(lo, hi, lo)
	out := GP32()
	VMOVD(lo, out)
	Store(out, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// countEqual: half the rows of minPlus's tiles, for each accumulator has a
// register to compare with.
func countEqual(p path) {
	function(p, "countEqual", "is Kernel.CountEqual for n inner indices.", "func(p, q, r *int32, n int, energy int32) int32")
	pp := Load(Param("p"), GP64())
	qq := Load(Param("q"), GP64())
	r := Load(Param("r"), GP64())
	n := Load(Param("n"), GP64())
	ex := XMM()
	VMOVD(Load(Param("energy"), GP32()), ex)
	total := p.vec()
	p.zero(total)
	one := p.vec()
	if p.wide() {
		oneGP, x := GP32(), XMM()
		MOVL(U32(1), oneGP)
		VMOVD(oneGP, x)
		VPBROADCASTD(x, one)
	}
	const rowBytes = 32 * 4
	rows := p.rows / 2
	for i0 := 0; i0 < 8; i0 += rows {
		for c0 := 0; c0 < rowBytes; c0 += p.vecs * p.bytes {
			target := make([]reg.VecVirtual, rows*p.vecs)
			for k := range target {
				target[k] = p.vec()
				VPBROADCASTD(ex, target[k])
				VPSUBD(Mem{Base: r, Disp: (i0+k/p.vecs)*rowBytes + c0 + k%p.vecs*p.bytes}, target[k], target[k])
			}
			a, b, m := GP64(), GP64(), GP64()
			MOVQ(pp, a)
			MOVQ(qq, b)
			MOVQ(n, m)
			loop := fmt.Sprintf("inner_%d_%d", i0, c0)
			Label(loop)
			q := make([]reg.VecVirtual, p.vecs)
			for v := range q {
				q[v] = p.vec()
				p.loadInt(Mem{Base: b, Disp: c0 + v*p.bytes}, q[v])
			}
			for i := range rows {
				bc := p.vec()
				VPBROADCASTD(Mem{Base: a, Disp: 4 * (i0 + i)}, bc)
				for v := range q {
					s := p.vec()
					VPADDD(bc, q[v], s)
					if p.wide() {
						k := K()
						VPCMPEQD(target[i*p.vecs+v], s, k)
						VPADDD(one, total, k, total)
					} else {
						VPCMPEQD(target[i*p.vecs+v], s, s)
						VPSUBD(s, total, total)
					}
				}
			}
			ADDQ(Imm(32), a)
			ADDQ(U32(rowBytes), b)
			DECQ(m)
			JNZ(LabelRef(loop))
		}
	}
	half := YMM()
	if p.wide() {
		VEXTRACTI64X4(Imm(1), total, half)
		VPADDD(total.AsY(), half, half)
	} else {
		VMOVDQA(total, half)
	}
	lo, hi := XMM(), XMM()
	VEXTRACTI128(Imm(1), half, hi)
	VPADDD(half.AsX(), hi, lo)
	VPSHUFD(Imm(0x4e), lo, hi)
	VPADDD(lo, hi, lo)
	VPSHUFD(Imm(0xb1), lo, hi)
	VPADDD(lo, hi, lo)
	out := GP32()
	VMOVD(lo, out)
	Store(out, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func product(p path) {
	function(p, "product", "is Kernel.Product for n inner indices.", "func(dst, p, q *float64, n int)")
	dst := Load(Param("dst"), GP64())
	pp := Load(Param("p"), GP64())
	qq := Load(Param("q"), GP64())
	n := Load(Param("n"), GP64())
	const rowBytes = 16 * 8
	for i0 := 0; i0 < 8; i0 += p.rows {
		for c0 := 0; c0 < rowBytes; c0 += p.vecs * p.bytes {
			acc := make([]reg.VecVirtual, p.rows*p.vecs)
			for k := range acc {
				acc[k] = p.vec()
				p.zero(acc[k])
			}
			a, b, m := GP64(), GP64(), GP64()
			MOVQ(pp, a)
			MOVQ(qq, b)
			MOVQ(n, m)
			loop := fmt.Sprintf("inner_%d_%d", i0, c0)
			Label(loop)
			q := make([]reg.VecVirtual, p.vecs)
			for v := range q {
				q[v] = p.vec()
				VMOVUPD(Mem{Base: b, Disp: c0 + v*p.bytes}, q[v])
			}
			for i := range p.rows {
				bc := p.vec()
				VBROADCASTSD(Mem{Base: a, Disp: 8 * (i0 + i)}, bc)
				for v := range q {
					VFMADD231PD(bc, q[v], acc[i*p.vecs+v])
				}
			}
			ADDQ(Imm(64), a)
			ADDQ(U32(rowBytes), b)
			DECQ(m)
			JNZ(LabelRef(loop))
			for i := range p.rows {
				for v := range q {
					VMOVUPD(acc[i*p.vecs+v], Mem{Base: dst, Disp: (i0+i)*rowBytes + c0 + v*p.bytes})
				}
			}
		}
	}
	VZEROUPPER()
	RET()
}

func trace(p path) {
	function(p, "trace", "is Kernel.Trace.", "func(sum, c, r *float64)")
	sum := Load(Param("sum"), GP64())
	c := Load(Param("c"), GP64())
	r := Load(Param("r"), GP64())
	lanes := 64 / p.bytes
	acc := make([]reg.VecVirtual, lanes)
	for l := range acc {
		acc[l] = p.vec()
		VMOVUPD(Mem{Base: sum, Disp: l * p.bytes}, acc[l])
	}
	for d := 0; d < 128*8; d += 64 {
		for l := range acc {
			x := p.vec()
			VMOVUPD(Mem{Base: c, Disp: d + l*p.bytes}, x)
			VFMADD231PD(Mem{Base: r, Disp: d + l*p.bytes}, x, acc[l])
		}
	}
	for l := range acc {
		VMOVUPD(acc[l], Mem{Base: sum, Disp: l * p.bytes})
	}
	VZEROUPPER()
	RET()
}

func addRows(p path, width int) {
	function(p, fmt.Sprintf("addRows%d", width), fmt.Sprintf("is Kernel.AddRows for rows of %d columns.", width),
		"func(dst, pattern, base, column *int32, rows int)")
	dst := Load(Param("dst"), GP64())
	pattern := Load(Param("pattern"), GP64())
	base := Load(Param("base"), GP64())
	column := Load(Param("column"), GP64())
	rows := Load(Param("rows"), GP64())
	col := make([]reg.VecVirtual, width*4/p.bytes)
	for v := range col {
		col[v] = p.vec()
		p.loadInt(Mem{Base: column, Disp: v * p.bytes}, col[v])
	}
	Label("row")
	b := p.vec()
	VPBROADCASTD(Mem{Base: base}, b)
	for v := range col {
		x := p.vec()
		VPADDD(Mem{Base: pattern, Disp: v * p.bytes}, b, x)
		VPADDD(col[v], x, x)
		p.storeInt(x, Mem{Base: dst, Disp: v * p.bytes})
	}
	ADDQ(Imm(4), base)
	ADDQ(U32(uint32(4*width)), pattern)
	ADDQ(U32(uint32(4*width)), dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// exp replaces x by e^x, step by step as fmath.Exp does.
func (p path) exp(t table, x, low, log2e reg.VecVirtual) {
	n, k, zero := p.vec(), p.vec(), p.vec()
	var normal reg.OpmaskVirtual
	if p.wide() {
		normal = K()
		VCMPPD(Imm(5), low, x, normal) // not below
	} else {
		VCMPPD(Imm(1), low, x, zero) // below
	}
	p.copy(x, n)
	p.fmaConst(t, "magic", log2e, n) // the integer is in the low bits of n
	if p.wide() {
		VSUBPD_BCST(t.mem("magic"), n, k)
		VFNMADD231PD_BCST(t.mem("ln2hi"), k, x)
		VFNMADD231PD_BCST(t.mem("ln2lo"), k, x)
	} else {
		VSUBPD(t.mem("magic"), n, k)
		VFNMADD231PD(t.mem("ln2hi"), k, x)
		VFNMADD231PD(t.mem("ln2lo"), k, x)
	}
	y := p.vec()
	VBROADCASTSD(t.mem("c13"), y)
	for j := 12; j >= 2; j-- {
		p.fmaConst(t, fmt.Sprint("c", j), x, y)
	}
	VMULPD(x, x, k)
	VFMADD213PD(x, k, y)
	VPSLLQ(Imm(52), n, n)
	if p.wide() {
		VPADDQ_BCST(t.mem("one"), n, n)
	} else {
		VPADDQ(t.mem("one"), n, n)
	}
	VFMADD213PD(n, n, y)
	if p.wide() {
		VMOVAPD_Z(y, normal, x)
	} else {
		VANDNPD(y, zero, x)
	}
}

func boltzmann(p path, t table) {
	function(p, "boltzmann", "is Kernel.Boltzmann for n elements, a positive multiple of 16.",
		"func(dst *float64, energy *int32, n int, scale float64)")
	dst := Load(Param("dst"), GP64())
	energy := Load(Param("energy"), GP64())
	n := Load(Param("n"), GP64())
	sx := Load(Param("scale"), XMM())
	scale := p.vec()
	VBROADCASTSD(sx, scale)
	low, log2e := p.broadcast(t, "low"), p.broadcast(t, "log2e")
	Label("next")
	for v := range 2 {
		x := p.vec()
		VCVTDQ2PD(Mem{Base: energy, Disp: v * p.bytes / 2}, x)
		VMULPD(scale, x, x)
		p.exp(t, x, low, log2e)
		VMOVUPD(x, Mem{Base: dst, Disp: v * p.bytes})
	}
	ADDQ(Imm(uint64(p.bytes)), energy)
	ADDQ(U32(uint32(2*p.bytes)), dst)
	SUBQ(Imm(uint64(2*p.bytes/8)), n)
	JNZ(LabelRef("next"))
	VZEROUPPER()
	RET()
}

func exponential(p path, t table) {
	function(p, "exp", "is Kernel.Exp for n elements, a positive multiple of 16.", "func(dst, x *float64, n int)")
	dst := Load(Param("dst"), GP64())
	src := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	low, log2e := p.broadcast(t, "low"), p.broadcast(t, "log2e")
	Label("next")
	for v := range 2 {
		x := p.vec()
		VMOVUPD(Mem{Base: src, Disp: v * p.bytes}, x)
		p.exp(t, x, low, log2e)
		VMOVUPD(x, Mem{Base: dst, Disp: v * p.bytes})
	}
	ADDQ(U32(uint32(2*p.bytes)), src)
	ADDQ(U32(uint32(2*p.bytes)), dst)
	SUBQ(Imm(uint64(2*p.bytes/8)), n)
	JNZ(LabelRef("next"))
	VZEROUPPER()
	RET()
}

func factors(p path, t table) {
	function(p, "factors", "is Kernel.Factors for n units.", "func(mantissa *float64, exponent *int64, y, x *float64, n int)")
	man := Load(Param("mantissa"), GP64())
	exp := Load(Param("exponent"), GP64())
	yy := Load(Param("y"), GP64())
	xx := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	one := p.broadcast(t, "one")
	const rowBytes = 16 * 8
	for i0 := 0; i0 < 8; i0 += p.rows {
		for c0 := 0; c0 < rowBytes; c0 += p.vecs * p.bytes {
			acc := make([]reg.VecVirtual, p.rows*p.vecs)
			at := func(i, v int) int { return (i0+i)*rowBytes + c0 + v*p.bytes }
			for k := range acc {
				acc[k] = p.vec()
				VMOVUPD(Mem{Base: man, Disp: at(k/p.vecs, k%p.vecs)}, acc[k])
			}
			a, b, m := GP64(), GP64(), GP64()
			MOVQ(yy, a)
			MOVQ(xx, b)
			MOVQ(n, m)
			loop := fmt.Sprintf("unit_%d_%d", i0, c0)
			Label(loop)
			q := make([]reg.VecVirtual, p.vecs)
			for v := range q {
				q[v] = p.vec()
				VMOVUPD(Mem{Base: b, Disp: c0 + v*p.bytes}, q[v])
			}
			for i := range p.rows {
				bc := p.vec()
				VBROADCASTSD(Mem{Base: a, Disp: 8 * (i0 + i)}, bc)
				for v := range q {
					f := p.vec()
					if v == len(q)-1 {
						VFMADD213PD(one, q[v], bc)
						f = bc
					} else {
						p.copy(bc, f)
						VFMADD213PD(one, q[v], f)
					}
					VMULPD(f, acc[i*p.vecs+v], acc[i*p.vecs+v])
				}
			}
			ADDQ(Imm(64), a)
			ADDQ(U32(rowBytes), b)
			DECQ(m)
			JNZ(LabelRef(loop))
			// split off the exponents: every product is a normal number >= 1
			for k := range acc {
				d := at(k/p.vecs, k%p.vecs)
				e := p.vec()
				VPSRLQ(Imm(52), acc[k], e)
				VPADDQ(Mem{Base: exp, Disp: d}, e, e)
				if p.wide() {
					VPSUBQ_BCST(t.mem("bias"), e, e)
					VPANDQ_BCST(t.mem("mantissa"), acc[k], acc[k])
					VPORQ_BCST(t.mem("one"), acc[k], acc[k])
				} else {
					VPSUBQ(t.mem("bias"), e, e)
					VPAND(t.mem("mantissa"), acc[k], acc[k])
					VPOR(t.mem("one"), acc[k], acc[k])
				}
				p.storeInt(e, Mem{Base: exp, Disp: d})
				VMOVUPD(acc[k], Mem{Base: man, Disp: d})
			}
		}
	}
	VZEROUPPER()
	RET()
}

func scaledSum(p path, t table) {
	function(p, "scaledSum", "is Kernel.ScaledSum.",
		"func(sum, mantissa *float64, exponent *int64, rowMantissa, colMantissa *float64, rowExponent, colExponent *int64) int64")
	sum := Load(Param("sum"), GP64())
	man := Load(Param("mantissa"), GP64())
	exp := Load(Param("exponent"), GP64())
	rm := Load(Param("rowMantissa"), GP64())
	cm := Load(Param("colMantissa"), GP64())
	re := Load(Param("rowExponent"), GP64())
	ce := Load(Param("colExponent"), GP64())
	vecs := 128 / p.bytes // in a row
	maxInto := func(x, acc reg.VecVirtual) {
		if p.wide() {
			VPMAXSQ(x, acc, acc)
			return
		}
		g := p.vec()
		VPCMPGTQ(acc, x, g)
		VBLENDVPD(g, x, acc, acc)
	}
	top := p.vec()
	for i := range 8 {
		row := p.vec()
		VPBROADCASTQ(Mem{Base: re, Disp: 8 * i}, row)
		for v := range vecs {
			e := p.vec()
			p.loadInt(Mem{Base: ce, Disp: v * p.bytes}, e)
			VPADDQ(row, e, e)
			VPADDQ(Mem{Base: exp, Disp: i*128 + v*p.bytes}, e, e)
			p.storeInt(e, Mem{Base: exp, Disp: i*128 + v*p.bytes})
			if i+v == 0 {
				p.copy(e, top)
			} else {
				maxInto(e, top)
			}
		}
	}
	// the largest of all lanes, in every lane
	if p.wide() {
		s := p.vec()
		VSHUFI64X2(Imm(0x4e), top, top, s)
		maxInto(s, top)
		s = p.vec()
		VSHUFI64X2(Imm(0xb1), top, top, s)
		maxInto(s, top)
		s = p.vec()
		VPSHUFD(Imm(0x4e), top, s)
		maxInto(s, top)
	} else {
		s := p.vec()
		VPERMQ(Imm(0x4e), top, s)
		maxInto(s, top)
		s = p.vec()
		VPSHUFD(Imm(0x4e), top, s)
		maxInto(s, top)
	}
	acc := make([]reg.VecVirtual, 64/p.bytes)
	for l := range acc {
		acc[l] = p.vec()
		p.zero(acc[l])
	}
	bias := p.vec()
	VPBROADCASTQ(t.mem("bias"), bias)
	zero := p.vec()
	p.zero(zero)
	for i := range 8 {
		row := p.vec()
		VBROADCASTSD(Mem{Base: rm, Disp: 8 * i}, row)
		for v := range vecs {
			d := i*128 + v*p.bytes
			s := p.vec()
			p.loadInt(Mem{Base: exp, Disp: d}, s)
			VPSUBQ(top, s, s)
			VPADDQ(bias, s, s)
			maxInto(zero, s) // 2^s, or 0 where it is below the normal numbers
			VPSLLQ(Imm(52), s, s)
			w := p.vec()
			VMULPD(Mem{Base: cm, Disp: v * p.bytes}, row, w)
			VMULPD(Mem{Base: man, Disp: d}, w, w)
			VFMADD231PD(s, w, acc[v%len(acc)])
		}
	}
	for l := range acc {
		VMOVUPD(acc[l], Mem{Base: sum, Disp: l * p.bytes})
	}
	out := GP64()
	VMOVQ(top.AsX(), out)
	Store(out, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func responses(p path, t table) {
	function(p, "responses", "is Kernel.Responses for n units.", "func(sums, total, weight, y, x *float64, n int)")
	sums := Load(Param("sums"), GP64())
	total := Load(Param("total"), GP64())
	weight := Load(Param("weight"), GP64())
	yy := Load(Param("y"), GP64())
	xx := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	const rowBytes = 16 * 8
	one := p.broadcast(t, "one")
	vecs := rowBytes / p.bytes
	Label("unit")
	var all []reg.VecVirtual // the sums over rows, for each vector of columns
	for v := range vecs {
		x := p.vec()
		VMOVUPD(Mem{Base: xx, Disp: v * p.bytes}, x)
		response := func(i int) reg.VecVirtual {
			f, r := p.vec(), p.vec()
			VBROADCASTSD(Mem{Base: yy, Disp: 8 * i}, f)
			VFMADD213PD(one, x, f)
			VMOVUPD(Mem{Base: weight, Disp: i*rowBytes + v*p.bytes}, r)
			VDIVPD(f, r, r)
			return r
		}
		add := func(a, b reg.VecVirtual) reg.VecVirtual { // a+b in a
			VADDPD(b, a, a)
			return a
		}
		// butterfly returns a+b, and b-a in b
		butterfly := func(a, b reg.VecVirtual) (sum, diff reg.VecVirtual) {
			sum = p.vec()
			VADDPD(b, a, sum)
			VSUBPD(a, b, b)
			return sum, b
		}
		var half, bit0, bit1 [2]reg.VecVirtual
		for h := range 2 {
			a0, d0 := butterfly(response(4*h), response(4*h+1))
			a1, d1 := butterfly(response(4*h+2), response(4*h+3))
			bit0[h] = add(d0, d1)
			half[h], bit1[h] = butterfly(a0, a1)
		}
		sum, bit2 := butterfly(half[0], half[1])
		for k, y := range []reg.VecVirtual{sum, add(bit0[0], bit0[1]), add(bit1[0], bit1[1]), bit2} {
			m := Mem{Base: sums, Disp: k*rowBytes + v*p.bytes}
			if k == 0 {
				z := p.vec()
				VADDPD(m, y, z)
				VMOVUPD(z, m)
				continue
			}
			VADDPD(m, y, y)
			VMOVUPD(y, m)
		}
		all = append(all, sum)
	}
	// column l with l+8, then the 8 lanes as Reduce does
	var s reg.VecVirtual
	if p.wide() {
		s = YMM()
		VADDPD(all[1], all[0], all[0])
		VEXTRACTF64X4(Imm(1), all[0], s)
		VADDPD(s, all[0].AsY(), s)
	} else {
		VADDPD(all[2], all[0], all[0])
		VADDPD(all[3], all[1], all[1])
		VADDPD(all[1], all[0], all[0])
		s = all[0]
	}
	lo, hi := XMM(), XMM()
	VEXTRACTF128(Imm(1), s.AsY(), hi)
	VADDPD(hi, s.AsX(), lo) // lanes 0+2 and 1+3 of four
	VPERMILPD(Imm(1), lo, hi)
	VADDSD(hi, lo, lo)
	VADDSD(Mem{Base: total}, lo, lo)
	VMOVSD(lo, Mem{Base: total})
	ADDQ(Imm(8), total)
	ADDQ(U32(4*rowBytes), sums)
	ADDQ(Imm(64), yy)
	ADDQ(U32(rowBytes), xx)
	DECQ(n)
	JNZ(LabelRef("unit"))
	VZEROUPPER()
	RET()
}

// probes repeat the operations of one state in registers only, with enough
// independent chains to hide every latency.
func probes(p path) {
	const chains = 12
	for _, probe := range []struct {
		name string
		op   func(x, acc reg.VecVirtual)
	}{
		{"probeAddMin", func(x, acc reg.VecVirtual) {
			s := p.vec()
			VPADDD(x, acc, s)
			VPMINSD(s, acc, acc)
		}},
		{"probeMulAdd", func(x, acc reg.VecVirtual) { VFMADD231PD(x, x, acc) }},
		{"probeFactor", func(x, acc reg.VecVirtual) {
			f := p.vec()
			p.copy(x, f)
			VFMADD213PD(x, x, f)
			VMULPD(f, acc, acc)
		}},
	} {
		function(p, probe.name, fmt.Sprintf("does n rounds of %d of the operations of its name.", chains), "func(n int)")
		n := Load(Param("n"), GP64())
		x := p.vec()
		p.zero(x)
		acc := make([]reg.VecVirtual, chains)
		for k := range acc {
			acc[k] = p.vec()
			p.zero(acc[k])
		}
		Label("round")
		for k := range acc {
			probe.op(x, acc[k])
		}
		DECQ(n)
		JNZ(LabelRef("round"))
		VZEROUPPER()
		RET()
	}
}

// count: increments of a table, four in flight; scalar, so one version serves
// every vector width.
func count() {
	TEXT("countAMD64", NOSPLIT, "func(table *uint32, index *int32, n int)")
	Pragma("noescape")
	Doc("countAMD64 is Kernel.Count for n indices, a positive multiple of 8.")
	table := Load(Param("table"), GP64())
	index := Load(Param("index"), GP64())
	n := Load(Param("n"), GP64())
	Label("next")
	for k := range 4 {
		both, lo := GP64(), GP64()
		MOVQ(Mem{Base: index, Disp: 8 * k}, both)
		MOVL(both.As32(), lo.As32())
		SHRQ(Imm(32), both)
		INCL(Mem{Base: table, Index: lo, Scale: 4})
		INCL(Mem{Base: table, Index: both, Scale: 4})
	}
	ADDQ(Imm(32), index)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("next"))
	RET()
}
