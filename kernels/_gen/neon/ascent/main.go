// Command ascent writes the NEON path of package kernels/ascent.
package main

import . "kadanoff/kernels/_gen/neon"

var a = New()

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
	row()
	add()
	a.Generate()
}

// quad is eight float64 in four registers.
type quad [4]V

func four(first V) quad { return quad{first, first + 1, first + 2, first + 3} }

func (r quad) load(base R, off int) {
	a.LoadPair(r[0], r[1], base, off)
	a.LoadPair(r[2], r[3], base, off+32)
}

func (r quad) store(base R, off int) {
	a.StorePair(r[0], r[1], base, off)
	a.StorePair(r[2], r[3], base, off+32)
}

// op is d = n op m with the same m for all.
func (d quad) op(name string, n quad, m V) {
	for k := range d {
		a.Op3(name, D2, d[k], n[k], m)
	}
}

func (d quad) ops(name string, n, m quad) {
	for k := range d {
		a.Op3(name, D2, d[k], n[k], m[k])
	}
}

// extend reads eight int32 or float32 at base, by way of two registers.
func (d quad) extend(base R, t V, integers bool) {
	a.LoadPair(t, t+1, base, 0)
	for k, r := range d {
		if integers {
			a.ShiftLong("sshll", S2, r, t+V(k/2), 0, k%2 == 1)
			a.Op2("scvtf", D2, r, r)
		} else {
			a.Fcvtl(r, t+V(k/2), k%2 == 1)
		}
	}
}

// narrow rounds to float32 in two registers.
func (d quad) narrow(to V) {
	for k, r := range d {
		a.Fcvtn(to+V(k/2), r, k%2 == 1)
	}
}

func row() {
	a.Func("rowNEON", "func(r *byte)", "rowNEON is Update of the first r.n columns, a positive multiple of eight.")
	const r, n, w, vel, s32, s64, q, pdh, plambda, pcol, pcolW, isCentred, isShrink, c R = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
	a.Arg("r", r)
	for off, to := range []R{n, w, vel, s32, s64, q, pdh, plambda, pcol, pcolW} {
		a.I("MOVD %d(%s), %s", count+8*off, r, to)
	}
	a.I("MOVBU %d(%s), %s", centred, r, isCentred)
	a.I("MOVBU %d(%s), %s", shrink, r, isShrink)
	const vFactor, vMu, vDv, vDecay, vL1, vRate, vMomentum, vScale, mag V = 16, 17, 18, 19, 20, 21, 22, 23, 28
	a.I("MOVD %s, %s", r, c)
	for v := vFactor; v <= vMomentum; v++ {
		a.RepeatNext(D2, v, c)
	}
	a.Repeat(S4, vScale, c)
	g, old, vLambda, t, sum := four(0), four(4), four(8), four(12), four(24)
	for _, x := range sum {
		a.Zero(x)
	}
	a.Zero(mag)
	a.Zero(mag + 1)

	a.Label("loop")
	a.I("CBZ %s, exact", s32)
	g.extend(s32, t[0], true)
	a.I("ADD $32, %s", s32)
	a.I("B loaded")
	a.Label("exact")
	g.load(s64, 0)
	a.I("ADD $64, %s", s64)
	a.Label("loaded")
	g.op("fmul", g, vFactor)
	old.extend(w, t[0], false)

	a.I("CBZ %s, plain", isCentred)
	t.load(pdh, 0)
	a.I("ADD $64, %s", pdh)
	vLambda.load(plambda, 0)
	a.I("ADD $64, %s", plambda)
	g.op("fmls", t, vMu)
	g.op("fmls", vLambda, vDv)
	a.Label("plain")

	a.I("CBZ %s, free", isShrink)
	g.op("fmls", old, vDecay)
	for k := range g {
		// g − l1·sign(w), and g untouched where w is zero
		const below, above, mask V = 12, 13, 14
		a.Op3("fsub", D2, below, g[k], vL1)
		a.Op3("fadd", D2, above, g[k], vL1)
		a.Op2("fcmgt", D2, mask, old[k])
		a.Op3("bit", B16, g[k], below, mask)
		a.Op2("fcmlt", D2, mask, old[k])
		a.Op3("bit", B16, g[k], above, mask)
	}
	a.Label("free")

	x := g
	x.op("fmul", g, vRate)
	a.I("CBZ %s, still", vel)
	t.extend(vel, 30, false)
	x.op("fmla", t, vMomentum)
	x.narrow(30)
	a.StorePair(30, 31, vel, 0)
	a.I("ADD $32, %s", vel)
	a.Label("still")

	old.ops("fadd", old, x)
	const next V = 30
	old.narrow(next)
	a.StorePair(next, next+1, w, 0)
	a.I("ADD $32, %s", w)

	a.I("CBZ %s, uncentred", isCentred)
	sum.ops("fmla", x, vLambda)
	t.load(pcol, 0)
	t.op("fmla", x, vMu)
	t.store(pcol, 0)
	a.I("ADD $64, %s", pcol)
	a.Label("uncentred")

	for k := range V(2) {
		a.Op3("fmul", S4, 12+k, next+k, vScale)
		a.Op2("fcvtns", S4, 12+k, 12+k)
		a.Op2("fabs", S4, next+k, next+k)
		a.Op3("fadd", S4, mag+k, mag+k, next+k)
	}
	a.StorePair(12, 13, q, 0)
	a.I("ADD $32, %s", q)
	a.LoadPair(12, 13, pcolW, 0)
	for k := range V(2) {
		a.Op3("fadd", S4, 12+k, 12+k, next+k)
	}
	a.StorePair(12, 13, pcolW, 0)
	a.I("ADD $32, %s", pcolW)
	a.Down(n, 8, "loop")
	sum.store(r, lanes)
	a.StorePair(mag, mag+1, r, magnitudes)
	a.End()
}

func add() {
	a.Func("addNEON", "func(dst *float64, src *int32, k float64, n int)", "addNEON is Add of the first n columns, a positive multiple of eight.")
	const dst, src, n, c R = 0, 1, 2, 3
	a.Arg("dst", dst)
	a.Arg("src", src)
	a.Arg("n", n)
	a.Arg("k", c)
	a.DupR(D2, 16, c)
	x, y := four(0), four(4)
	a.Label("loop")
	x.extend(src, 8, true)
	y.load(dst, 0)
	y.op("fmla", x, 16)
	y.store(dst, 0)
	a.I("ADD $32, %s", src)
	a.I("ADD $64, %s", dst)
	a.Down(n, 8, "loop")
	a.End()
}
