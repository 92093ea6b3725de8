// Command roots generates the assembly of kadanoff/kernels/roots.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	tableAVX512()
	tableAVX2()
	vectorKernels()
	Generate()
}

// The shape of a table's row, as in table.go.
const (
	degree   = 13
	rowShift = 7 // log₂ of a row's bytes
)

const (
	mantissa = 1<<52 - 1
	oneBits  = 1023 << 52
	threeHal = 0x3FF8000000000000 // 1.5
)

func constant(v uint64) reg.GPVirtual {
	r := GP64()
	MOVQ(U64(v), r)
	return r
}

type tableArgs struct {
	w, k, n, rows reg.Register
	first, count  reg.Register
	shift, left   reg.VecVirtual // 52−bits, and bits
}

func loadTableArgs() (a tableArgs) {
	a.w = Load(Param("w").Base(), GP64())
	a.k = Load(Param("k").Base(), GP64())
	a.n = Load(Param("k").Len(), GP64())
	a.rows = Load(Param("rows").Base(), GP64())
	a.first = Load(Param("first"), GP64())
	a.count = Load(Param("count"), GP64())
	s := Load(Param("shift"), GP64())
	a.shift = XMM()
	VMOVQ(s, a.shift)
	l := constant(52)
	SUBQ(s, l)
	a.left = XMM()
	VMOVQ(l, a.left)
	return a
}

const tableSignature = "func(w, k, rows []float64, first, count, shift uint64) int"

func tableAVX512() {
	TEXT("tableAVX512", NOSPLIT, tableSignature)
	Doc("tableAVX512 is tableGeneric, eight lanes at a time.")
	Pragma("noescape")
	a := loadTableArgs()
	first, count := ZMM(), ZMM()
	VPBROADCASTQ(a.first, first)
	VPBROADCASTQ(a.count, count)
	mant, one, half := ZMM(), ZMM(), ZMM()
	VPBROADCASTQ(constant(mantissa), mant)
	VPBROADCASTQ(constant(oneBits), one)
	VPBROADCASTQ(constant(threeHal), half)
	zero := ZMM()
	VPXORQ(zero, zero, zero)
	buf := AllocLocal(64)
	i := GP64()
	XORQ(i, i)

	Label("loop512")
	CMPQ(i, a.n)
	JGE(LabelRef("done512"))
	k, idx, r := ZMM(), ZMM(), ZMM()
	VMOVUPD(Mem{Base: a.k, Index: i, Scale: 8}, k)
	VPSRLQ(a.shift, k, idx)
	VPSUBQ(first, idx, idx)
	bad := K()
	VPCMPUQ(Imm(5), count, idx, bad) // idx ≥ count
	KORTESTB(bad, bad)
	JNZ(LabelRef("done512"))
	VPSLLQ(a.left, k, r)
	VPTERNLOGQ(U8(0xEA), one, mant, r) // r&mant | one
	VSUBPD(half, r, r)
	VPSLLQ(Imm(rowShift), idx, idx)
	bc := ZMM()
	VPBROADCASTQ(idx.AsX(), bc)
	same := K()
	VPCMPEQQ(bc, idx, same)
	s := ZMM()
	KORTESTB(same, same)
	JCC(LabelRef("mixed512")) // carry: all lanes in one row

	row := GP64()
	VMOVQ(idx.AsX(), row)
	ADDQ(a.rows, row)
	VBROADCASTSD(Mem{Base: row, Disp: 8 * degree}, s)
	for d := degree - 1; d >= 0; d-- {
		VFMADD213PD_BCST(Mem{Base: row, Disp: 8 * d}, r, s)
	}
	Label("store512")
	VCMPPD(Imm(0), zero, s, bad)
	KORTESTB(bad, bad)
	JNZ(LabelRef("done512"))
	VMOVUPD(s, Mem{Base: a.w, Index: i, Scale: 8})
	ADDQ(Imm(8), i)
	JMP(LabelRef("loop512"))

	Label("mixed512")
	VMOVDQU64(idx, buf)
	var lane [8]reg.GPVirtual
	for l := range lane {
		lane[l] = GP64()
		MOVQ(buf.Offset(8*l), lane[l])
	}
	block := func(disp int) (c [8]reg.VecVirtual) {
		var t, u [8]reg.VecVirtual
		for l := 0; l < 8; l += 2 {
			x, y := ZMM(), ZMM()
			VMOVUPD(Mem{Base: a.rows, Index: lane[l], Scale: 1, Disp: disp}, x)
			VMOVUPD(Mem{Base: a.rows, Index: lane[l+1], Scale: 1, Disp: disp}, y)
			t[l], t[l+1] = ZMM(), ZMM()
			VUNPCKLPD(y, x, t[l])
			VUNPCKHPD(y, x, t[l+1])
		}
		for p := range 2 {
			for q := 0; q < 8; q += 4 {
				lo, hi := ZMM(), ZMM()
				VSHUFF64X2(U8(0x88), t[q+2+p], t[q+p], lo)
				VSHUFF64X2(U8(0xdd), t[q+2+p], t[q+p], hi)
				u[q+p], u[q+2+p] = lo, hi
			}
			for _, m := range []int{0, 2} { // columns p+m and p+m+4
				for g, sel := range []uint64{0x88, 0xdd} {
					col := p + m + 4*g
					if disp/8+col > degree {
						continue
					}
					c[col] = ZMM()
					VSHUFF64X2(U8(sel), u[4+m+p], u[m+p], c[col])
				}
			}
		}
		return c
	}
	hi := block(64)
	VMOVAPD(hi[degree-8], s)
	for d := degree - 9; d >= 0; d-- {
		VFMADD213PD(hi[d], r, s)
	}
	lo := block(0)
	for d := 7; d >= 0; d-- {
		VFMADD213PD(lo[d], r, s)
	}
	JMP(LabelRef("store512"))

	Label("done512")
	Store(i, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// data32 defines four copies of v and returns their address.
func data32(name string, v uint64) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 4 {
		DATA(8*i, U64(v))
	}
	return m
}

func tableAVX2() {
	TEXT("tableAVX2", NOSPLIT, tableSignature)
	Doc("tableAVX2 is tableGeneric, four lanes at a time.")
	Pragma("noescape")
	a := loadTableArgs()
	first, limit := YMM(), YMM()
	broadcast := func(g reg.Register, y reg.VecVirtual) {
		VMOVQ(g, y.AsX())
		VPBROADCASTQ(y.AsX(), y)
	}
	broadcast(a.first, first)
	// 64-bit lanes compare signed only: idx ≥ count unsigned is
	// idx^2⁶³ > (count−1)^2⁶³ signed.
	sign := YMM()
	broadcast(constant(1<<63), sign)
	DECQ(a.count)
	broadcast(a.count, limit)
	VPXOR(sign, limit, limit)
	// Sixteen registers do not hold the constants too.
	mant, one, half := data32("mantissa", mantissa), data32("one", oneBits), data32("threeHalves", threeHal)
	buf := AllocLocal(64)
	i := GP64()
	XORQ(i, i)

	Label("loop256")
	CMPQ(i, a.n)
	JGE(LabelRef("done256"))
	var r, s [2]reg.VecVirtual
	bad := YMM()
	VPXOR(bad, bad, bad)
	for g := range 2 {
		k, idx, t := YMM(), YMM(), YMM()
		r[g] = YMM()
		VMOVUPD(Mem{Base: a.k, Index: i, Scale: 8, Disp: 32 * g}, k)
		VPSRLQ(a.shift, k, idx)
		VPSUBQ(first, idx, idx)
		VPXOR(sign, idx, t)
		VPCMPGTQ(limit, t, t)
		VPOR(t, bad, bad)
		VPSLLQ(a.left, k, r[g])
		VPAND(mant, r[g], r[g])
		VPOR(one, r[g], r[g])
		VSUBPD(half, r[g], r[g])
		VPSLLQ(Imm(rowShift), idx, idx)
		VMOVDQU(idx, buf.Offset(32*g))
	}
	VPTEST(bad, bad)
	JNZ(LabelRef("done256"))
	x, y, bc := YMM(), YMM(), YMM()
	VMOVDQU(buf, x)
	VPBROADCASTQ(x.AsX(), bc)
	VPCMPEQQ(bc, x, x)
	VPCMPEQQ(buf.Offset(32), bc, y)
	VPAND(y, x, x)
	m := GP32()
	VMOVMSKPD(x, m)
	s[0], s[1] = YMM(), YMM()
	CMPL(m, Imm(15))
	JNE(LabelRef("mixed256"))

	row := GP64()
	MOVQ(buf, row)
	ADDQ(a.rows, row)
	VBROADCASTSD(Mem{Base: row, Disp: 8 * degree}, s[0])
	VMOVAPD(s[0], s[1])
	for d := degree - 1; d >= 0; d-- {
		c := YMM()
		VBROADCASTSD(Mem{Base: row, Disp: 8 * d}, c)
		VFMADD213PD(c, r[0], s[0])
		VFMADD213PD(c, r[1], s[1])
	}
	Label("store256")
	zero := YMM()
	VPXOR(zero, zero, zero)
	VCMPPD(Imm(0), zero, s[0], x)
	VCMPPD(Imm(0), zero, s[1], y)
	VORPD(y, x, x)
	VMOVMSKPD(x, m)
	TESTL(m, m)
	JNZ(LabelRef("done256"))
	VMOVUPD(s[0], Mem{Base: a.w, Index: i, Scale: 8})
	VMOVUPD(s[1], Mem{Base: a.w, Index: i, Scale: 8, Disp: 32})
	ADDQ(Imm(8), i)
	JMP(LabelRef("loop256"))

	Label("mixed256")
	for g := range 2 {
		var lane [4]reg.GPVirtual
		for l := range lane {
			lane[l] = GP64()
			MOVQ(buf.Offset(32*g+8*l), lane[l])
		}
		for b := degree / 4; b >= 0; b-- {
			var t [4]reg.VecVirtual
			for l := 0; l < 4; l += 2 {
				p := YMM()
				t[l], t[l+1] = YMM(), YMM()
				VMOVUPD(Mem{Base: a.rows, Index: lane[l], Scale: 1, Disp: 32 * b}, p)
				q := Mem{Base: a.rows, Index: lane[l+1], Scale: 1, Disp: 32 * b}
				VUNPCKLPD(q, p, t[l])
				VUNPCKHPD(q, p, t[l+1])
			}
			for d := 3; d >= 0; d-- {
				if 4*b+d > degree {
					continue
				}
				c := s[g]
				if 4*b+d != degree {
					c = YMM()
				}
				VPERM2F128(U8(0x20+0x11*(d/2)), t[2+d%2], t[d%2], c)
				if 4*b+d != degree {
					VFMADD213PD(c, r[g], s[g])
				}
			}
		}
	}
	JMP(LabelRef("store256"))

	Label("done256")
	Store(i, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
