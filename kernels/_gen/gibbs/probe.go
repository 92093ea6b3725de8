package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// probes are loops of one instruction, for the rates that limit the kernels.
func probes() {
	loop := func(name, doc string, body func()) {
		text(name, "func(n int)", doc)
		n := arg("n")
		for i := range 16 {
			VPXOR(y[i], y[i], y[i])
		}
		x := GP64()
		MOVQ(U32(3), x)
		imulRegister = x
		Label("loop")
		body()
		DECQ(n)
		JNZ(LabelRef("loop"))
		end()
	}
	loop("probeClock", "probeClock runs n times eight dependent multiplications of three cycles each.", func() {
		for range 8 {
			IMULQ(imulRegister, imulRegister)
		}
	})
	loop("probeFMA512", "probeFMA512 runs n times 12 independent fused multiply-adds of 16 float32.", func() {
		for i := range 12 {
			VFMADD231PS(z[15], z[15], z[i])
		}
	})
	loop("probePermute512", "probePermute512 runs n times 12 independent two-register look-ups of 16 int32.", func() {
		for i := range 12 {
			VPERMI2D(z[15], z[14], z[i])
		}
	})
	loop("probeFMA256", "probeFMA256 runs n times 12 independent fused multiply-adds of 8 float32.", func() {
		for i := range 12 {
			VFMADD231PS(y[15], y[15], y[i])
		}
	})
	text("probeLoad256", "func(n int, p *byte)", "probeLoad256 runs n times 12 additions of 8 int32 from memory.")
	n, p := arg("n"), arg("p")
	Label("loop")
	for i := range 12 {
		VPADDD(at(p, 32*i), y[i], y[i])
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	end()
}

var (
	imulRegister reg.GPVirtual
	y            = []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
)
