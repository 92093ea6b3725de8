// Command elem writes the NEON path of package kernels/elem.
package main

import . "kadanoff/kernels/_gen/neon"

var a = New()

// Four registers of each kind: the functions take eight elements at a time.
var x, n4, q, t, y = [4]V{0, 1, 2, 3}, [4]V{4, 5, 6, 7}, [4]V{8, 9, 10, 11}, [4]V{12, 13, 14, 15}, [4]V{16, 17, 18, 19}

const (
	fmathFirst V = 20 // of five
	free       V = 25
)

func load(r [4]V, base R) {
	a.LoadPair(r[0], r[1], base, 0)
	a.LoadPair(r[2], r[3], base, 32)
}

func store(r [4]V, base R) {
	a.StorePair(r[0], r[1], base, 0)
	a.StorePair(r[2], r[3], base, 32)
}

// loop runs body over n elements, a multiple of eight, and moves pointers to
// float64 on.
func loop(n R, pointers []R, body func()) {
	a.Label("loop")
	body()
	for _, p := range pointers {
		a.I("ADD $64, %s", p)
	}
	a.Down(n, 8, "loop")
	a.End()
}

func main() {
	const dst, src, n, g, c R = 0, 1, 2, 3, 4
	repeat := func(name string, r V) {
		a.Arg(name, g)
		a.DupR(D2, r, g)
	}

	a.Func("addLnCosh2NEON", "func(dst *float64, a *int32, n int, at, rest, unit float64)",
		"addLnCosh2NEON is AddLnCosh2 for n a positive multiple of eight.")
	a.Arg("dst", dst)
	a.Arg("a", src)
	a.Arg("n", n)
	const at, rest, unit = free, free + 1, free + 2
	repeat("at", at)
	repeat("rest", rest)
	repeat("unit", unit)
	f := NewFmath(a, c, fmathFirst)
	loop(n, []R{dst}, func() {
		a.LoadPair(t[0], t[1], src, 0)
		a.I("ADD $32, %s", src)
		for k := range x {
			a.ShiftLong("sshll", S2, q[k], t[k/2], 0, k%2 == 1)
			a.Op2("scvtf", D2, q[k], q[k])
			a.Mov(x[k], rest)
			a.Op3("fmla", D2, x[k], q[k], at)
			a.Op3("fmul", D2, x[k], x[k], unit)
		}
		f.LnCosh2(x[:], n4[:], q[:], t[:], y[:])
		load(t, dst)
		for k := range x {
			a.Op3("fadd", D2, t[k], t[k], x[k])
		}
		store(t, dst)
	})

	a.Func("tanhNEON", "func(x *float64, n int, unit float64)", "tanhNEON is Tanh for n a positive multiple of eight.")
	a.Arg("x", dst)
	a.Arg("n", n)
	repeat("unit", unit)
	f = NewFmath(a, c, fmathFirst)
	loop(n, []R{dst}, func() {
		load(x, dst)
		for k := range x {
			a.Op3("fmul", D2, x[k], x[k], unit)
		}
		f.Tanh(x[:], n4[:], q[:], t[:], y[:])
		store(x, dst)
	})

	a.Func("axpyNEON", "func(dst, x *float64, n int, f float64)", "axpyNEON is Axpy for n a positive multiple of eight.")
	a.Arg("dst", dst)
	a.Arg("x", src)
	a.Arg("n", n)
	repeat("f", free)
	loop(n, []R{dst, src}, func() {
		load(x, src)
		load(t, dst)
		for k := range x {
			a.Op3("fmla", D2, t[k], x[k], free)
		}
		store(t, dst)
	})
	a.Generate()
}
