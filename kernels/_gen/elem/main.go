// Command elem generates the AVX2 and AVX-512 paths of package elem: the
// elementary functions of spin/fmath on vectors, operation by operation.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// constants are kept as full 64-byte vectors, so that both widths take them as
// memory operands.
var table Mem

var constants = map[string]int{}

func constant(name string, bits uint64) {
	constants[name] = len(constants)
	off := 64 * constants[name]
	for i := range 8 {
		DATA(off+8*i, U64(bits))
	}
}

func c(name string) Mem {
	i, ok := constants[name]
	if !ok {
		panic(name)
	}
	return table.Offset(64 * i)
}

// fact names the coefficient 1/n!.
func fact(n int) string { return "1/" + string(rune('A'+n)) + "!" }

func data() {
	table = GLOBL("elemConstants", RODATA|NOPTR)
	f := func(name string, x float64) { constant(name, math.Float64bits(x)) }
	f("log2e", 1.44269504088896338700e+00)
	f("ln2hi", 6.93147180369123816490e-01)
	f("ln2lo", 1.90821492927058770002e-10)
	f("magic", 1<<52+1<<51)
	f("1", 1)
	f("2", 2)
	f("-2", -2)
	f("-40", -40)
	f("-64", -64)
	constant("abs", 1<<63-1)
	constant("sign", 1<<63)
	constant("bias", 1023)
	n := 1.0
	for i := 2; i <= 13; i++ {
		n *= float64(i)
		f(fact(i), 1/n)
	}
}

// width abstracts over YMM and ZMM.
type width struct {
	suffix string
	bytes  int
	reg    func() reg.VecVirtual
}

var widths = []width{{"AVX2", 32, YMM}, {"AVX512", 64, ZMM}}

func (w width) lanes() int { return w.bytes / 8 }

func (w width) load(m Op) reg.VecVirtual {
	r := w.reg()
	VMOVUPD(m, r)
	return r
}

func (w width) broadcast(param string) reg.VecVirtual {
	r := w.reg()
	m, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSD(m.Addr, r)
	return r
}

func (w width) and(m Op, x reg.VecVirtual) reg.VecVirtual {
	r := w.reg()
	VANDPD(m, x, r)
	return r
}

// reduce is fmath's reduce: x = k·ln 2 + r gives 2ᵏ and eʳ−1.
func (w width) reduce(x reg.VecVirtual) (scale, p reg.VecVirtual) {
	raw := w.load(c("magic"))
	VFMADD231PD(c("log2e"), x, raw) // x·log2e + magic
	k, r, q, r2 := w.reg(), w.reg(), w.load(c(fact(13))), w.reg()
	VSUBPD(c("magic"), raw, k)
	VMOVAPD(x, r)
	VFNMADD231PD(c("ln2hi"), k, r)
	VFNMADD231PD(c("ln2lo"), k, r)
	for i := 12; i >= 2; i-- {
		VFMADD213PD(c(fact(i)), r, q) // q = q·r + 1/i!
	}
	VMULPD(r, r, r2)
	VFMADD213PD(r, r2, q) // q·r² + r
	scale = w.reg()
	VPADDQ(c("bias"), raw, scale)
	VPSLLQ(Imm(52), scale, scale)
	return scale, q
}

// tanh is fmath.Tanh.
func (w width) tanh(x reg.VecVirtual) reg.VecVirtual {
	y := w.and(c("abs"), x)
	VMULPD(c("-2"), y, y)
	VMAXPD(c("-40"), y, y)
	s, p := w.reduce(y)
	e, d := w.reg(), w.reg()
	VSUBPD(c("1"), s, e)
	VFMADD231PD(p, s, e) // s·p + (s − 1)
	VADDPD(c("2"), e, d)
	VDIVPD(d, e, e) // e ≤ 0: its magnitude is the result's
	r := w.and(c("abs"), e)
	sign := w.and(c("sign"), x)
	VORPD(sign, r, r)
	return r
}

// loop runs body over n elements, a multiple of the width's lanes, with the
// byte offset into float64 slices.
func (w width) loop(n, i reg.GPVirtual, body func()) {
	XORQ(i, i)
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("loop")
	body()
	ADDQ(Imm(uint64(w.lanes())), i)
	CMPQ(i, n)
	JB(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// coshRun is a run of fmath.SumLnCosh2 with a vector of chains in the lanes.
// Powers of two commute with rounding: the fields are scaled in the arguments
// of the exponential, and the sum of their magnitudes at the end.
func (w width) coshRun() {
	TEXT("coshRun"+w.suffix, NOSPLIT, "func(sum, product *float64, a *int32, stride int, rest *float64, n int, at, unit float64)")
	Doc("coshRun"+w.suffix+" writes Σ |x| and Π (1 + e^(−2|x|)) of n ≥ 1 fields, x = FMA(a, at, rest)·unit, for a vector",
		"of chains; a goes up by stride bytes and rest by one for the next field.")
	Pragma("noescape")
	sum, product := Load(Param("sum"), GP64()), Load(Param("product"), GP64())
	a, stride := Load(Param("a"), GP64()), Load(Param("stride"), GP64())
	rest, n := Load(Param("rest"), GP64()), Load(Param("n"), GP64())
	at, unit := w.broadcast("at"), w.broadcast("unit")
	scale, total, p := w.reg(), w.reg(), w.load(c("1"))
	VMULPD(c("-2"), unit, scale)
	if w.bytes == 64 {
		VPXORQ(total, total, total)
	} else {
		VXORPD(total, total, total)
	}
	Label("field")
	x, r := w.reg(), w.reg()
	VCVTDQ2PD(Mem{Base: a}, x)
	VBROADCASTSD(Mem{Base: rest}, r)
	VFMADD213PD(r, at, x) // x·at + rest
	y := w.and(c("abs"), x)
	VADDPD(y, total, total)
	VMULPD(scale, y, y)
	VMAXPD(c("-64"), y, y)
	s, q := w.reduce(y)
	VFMADD213PD(s, s, q) // e = q·s + s
	VFMADD231PD(q, p, p) // p·e + p
	ADDQ(stride, a)
	ADDQ(Imm(8), rest)
	DECQ(n)
	JNZ(LabelRef("field"))
	VMULPD(unit, total, total)
	VMOVUPD(total, Mem{Base: sum})
	VMOVUPD(p, Mem{Base: product})
	VZEROUPPER()
	RET()
}

func main() {
	ConstraintExpr("amd64,!noasm")
	data()
	for _, w := range widths {
		w.coshRun()

		TEXT("tanh"+w.suffix, NOSPLIT, "func(x *float64, n int, unit float64)")
		Doc("tanh" + w.suffix + " is Tanh for n a multiple of the vector's lanes.")
		Pragma("noescape")
		xs := Load(Param("x"), GP64())
		n, i := Load(Param("n"), GP64()).(reg.GPVirtual), GP64()
		unit := w.broadcast("unit")
		w.loop(n, i, func() {
			m := Mem{Base: xs, Index: i, Scale: 8}
			x := w.load(m)
			VMULPD(unit, x, x)
			VMOVUPD(w.tanh(x), m)
		})

		TEXT("axpy"+w.suffix, NOSPLIT, "func(dst, x *float64, n int, f float64)")
		Doc("axpy" + w.suffix + " is Axpy for n a multiple of the vector's lanes.")
		Pragma("noescape")
		dst, xs := Load(Param("dst"), GP64()), Load(Param("x"), GP64())
		n, i = Load(Param("n"), GP64()).(reg.GPVirtual), GP64()
		f := w.broadcast("f")
		w.loop(n, i, func() {
			m := Mem{Base: dst, Index: i, Scale: 8}
			d := w.load(m)
			VFMADD231PD(Mem{Base: xs, Index: i, Scale: 8}, f, d)
			VMOVUPD(d, m)
		})
	}
	Generate()
}
