// Command ascent generates the AVX2 and AVX-512 paths of package
// kernels/ascent.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A path is an instruction set: how many float64 a vector holds.
type path struct {
	name  string
	width int
}

func (p path) vec() reg.VecVirtual {
	if p.width == 8 {
		return ZMM()
	}
	return YMM()
}

// half is a register for as many float32 or int32 as vec holds float64.
func (p path) half() reg.VecVirtual {
	if p.width == 8 {
		return YMM()
	}
	return XMM()
}

// Offsets of the fields of ascent.Row.
const (
	factor       = 0
	mu           = 8
	dv           = 16
	decay        = 24
	l1           = 32
	rate         = 40
	momentum     = 48
	scale        = 56
	centred      = 60
	shrink       = 61
	lanes        = 64
	magnitudes   = 128
	count        = 160
	weights      = 168
	velocity     = 176
	sums32       = 184
	sums64       = 192
	fixed        = 200
	dh           = 208
	lambda       = 216
	column       = 224
	columnWeight = 232
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, p := range []path{{"AVX2", 4}, {"AVX512", 8}} {
		row(p)
		add(p)
	}
	Generate()
}

// ahead is how many bytes before their use weights and statistics are fetched.
const ahead = 2048

// lanesPerStep is the number of columns of a step: the lanes of the row's sums.
const lanesPerStep = 8

func row(p path) {
	TEXT("row"+p.name, NOSPLIT, "func(r *byte)")
	Doc("row" + p.name + " is Update of the first r.n columns, a multiple of 8.")
	Pragma("noescape")
	r := Load(Param("r"), GP64())
	at := func(offset int) Mem { return Mem{Base: r, Disp: offset} }
	pointer := func(offset int) reg.Register {
		x := GP64()
		MOVQ(at(offset), x)
		return x
	}
	constant := func(offset int) reg.VecVirtual {
		v := p.vec()
		VBROADCASTSD(at(offset), v)
		return v
	}
	n, w, vel := pointer(count), pointer(weights), pointer(velocity)
	s32, s64, q := pointer(sums32), pointer(sums64), pointer(fixed)
	pdh, plambda, pcol, pcolW := pointer(dh), pointer(lambda), pointer(column), pointer(columnWeight)
	flags := GP32()
	MOVWLZX(at(centred), flags)

	vFactor, vMu, vDv, vDecay, vL1 := constant(factor), constant(mu), constant(dv), constant(decay), constant(l1)
	vRate := constant(rate)
	vScale := p.half()
	VBROADCASTSS(at(scale), vScale)
	steps := lanesPerStep / p.width
	var sum, mag []reg.VecVirtual
	for range steps {
		s, m := p.vec(), p.half()
		clear := func(v reg.VecVirtual) {
			if v.Size() == 64 {
				VPXORQ(v, v, v)
			} else {
				VXORPD(v, v, v)
			}
		}
		clear(s)
		clear(m)
		sum, mag = append(sum, s), append(mag, m)
	}
	index := GP64()
	XORQ(index, index)

	Label("loop")
	for i := range steps {
		name := func(s string) string { return s + string(rune('0'+i)) }
		f32 := func(base reg.Register) Mem { return Mem{Base: base, Index: index, Scale: 4, Disp: 4 * i * p.width} }
		f64 := func(base reg.Register) Mem { return Mem{Base: base, Index: index, Scale: 8, Disp: 8 * i * p.width} }
		if i == 0 {
			// Rows follow each other in memory, which is farther away than
			// the hardware looks.
			PREFETCHT0(Mem{Base: w, Index: index, Scale: 4, Disp: ahead})
			PREFETCHT0(Mem{Base: s32, Index: index, Scale: 4, Disp: ahead})
		}
		g, old := p.vec(), p.vec()
		TESTQ(s32, s32)
		JZ(LabelRef(name("exact")))
		VCVTDQ2PD(f32(s32), g)
		JMP(LabelRef(name("loaded")))
		Label(name("exact"))
		VMOVUPD(f64(s64), g)
		Label(name("loaded"))
		VMULPD(vFactor, g, g)
		VCVTPS2PD(f32(w), old)

		TESTB(U8(1), flags.As8())
		JZ(LabelRef(name("plain")))
		VFNMADD231PD(f64(pdh), vMu, g)
		VFNMADD231PD(f64(plambda), vDv, g)
		Label(name("plain"))

		TESTL(U32(0x100), flags)
		JZ(LabelRef(name("free")))
		VFNMADD231PD(old, vDecay, g)
		sign(p, old, vL1, g)
		Label(name("free"))

		x := p.vec()
		VMULPD(vRate, g, x)
		TESTQ(vel, vel)
		JZ(LabelRef(name("still")))
		v, vMomentum, short := p.vec(), p.vec(), p.half()
		VCVTPS2PD(f32(vel), v)
		VBROADCASTSD(at(momentum), vMomentum)
		VFMADD231PD(v, vMomentum, x)
		narrow(p, x, short)
		VMOVUPS(short, f32(vel))
		Label(name("still"))

		next := p.half()
		VADDPD(x, old, old)
		narrow(p, old, next)
		VMOVUPS(next, f32(w))

		TESTB(U8(1), flags.As8())
		JZ(LabelRef(name("uncentred")))
		VFMADD231PD(f64(plambda), x, sum[i])
		col := p.vec()
		VMOVUPD(f64(pcol), col)
		VFMADD231PD(vMu, x, col)
		VMOVUPD(col, f64(pcol))
		Label(name("uncentred"))

		y, m := p.half(), p.half()
		VMULPS(vScale, next, y)
		VCVTPS2DQ(y, y)
		VMOVUPS(y, f32(q))
		// Shifting the sign out and back leaves the magnitude.
		VPSLLD(U8(1), next, m)
		VPSRLD(U8(1), m, m)
		VADDPS(m, mag[i], mag[i])
		VADDPS(f32(pcolW), m, m)
		VMOVUPS(m, f32(pcolW))
	}
	ADDQ(Imm(lanesPerStep), index)
	CMPQ(index, n)
	JLT(LabelRef("loop"))
	for i := range steps {
		VMOVUPD(sum[i], at(lanes+8*i*p.width))
		VMOVUPS(mag[i], at(magnitudes+4*i*p.width))
	}
	VZEROUPPER()
	RET()
}

// sign subtracts l1·sign(w) from g.
func sign(p path, w, l1, g reg.VecVirtual) {
	zero, t := p.vec(), p.vec()
	if p.width == 8 {
		VPXORQ(zero, zero, zero)
		above, below := K(), K()
		VCMPPD(U8(0x1e), zero, w, above) // w > 0
		VCMPPD(U8(0x11), zero, w, below) // w < 0
		VSUBPD(l1, g, above, g)
		VADDPD(l1, g, below, g)
		return
	}
	VXORPD(zero, zero, zero)
	VCMPPD(U8(0x1e), zero, w, t)
	VANDPD(l1, t, t)
	VSUBPD(t, g, g)
	VCMPPD(U8(0x11), zero, w, t)
	VANDPD(l1, t, t)
	VADDPD(t, g, g)
}

// narrow rounds float64 to float32, to nearest even.
func narrow(p path, from, to reg.VecVirtual) {
	if p.width == 8 {
		VCVTPD2PS(from, to)
		return
	}
	VCVTPD2PSY(from, to)
}

func add(p path) {
	TEXT("add"+p.name, NOSPLIT, "func(dst *float64, src *int32, k float64, n int)")
	Doc("add" + p.name + " is Add of the first n columns, a multiple of 8.")
	Pragma("noescape")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	k := p.vec()
	a, err := Param("k").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSD(a.Addr, k)
	index := GP64()
	XORQ(index, index)
	Label("loop")
	for i := range lanesPerStep / p.width {
		x, y := p.vec(), p.vec()
		VCVTDQ2PD(Mem{Base: src, Index: index, Scale: 4, Disp: 4 * i * p.width}, x)
		d := Mem{Base: dst, Index: index, Scale: 8, Disp: 8 * i * p.width}
		VMOVUPD(d, y)
		VFMADD231PD(x, k, y)
		VMOVUPD(y, d)
	}
	ADDQ(Imm(lanesPerStep), index)
	CMPQ(index, n)
	JLT(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
