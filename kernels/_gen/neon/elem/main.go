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

	const stride, rest, count R = 5, 6, 7
	product, at, scale := [4]V{free, free + 1, free + 2, free + 3}, free+4, free+5
	total := y
	a.Func("coshRunNEON", "func(sum, product *float64, a *int32, stride int, rest *float64, n int, at, unit float64)",
		"coshRunNEON writes Σ |x| and Π (1 + e^(−2|x|)) of n ≥ 1 fields, x = FMA(a, at, rest)·unit, for eight chains;\n"+
			"a goes up by stride bytes and rest by one for the next field.")
	a.Arg("a", src)
	a.Arg("stride", stride)
	a.Arg("rest", rest)
	a.Arg("n", count)
	f := NewFmath(a, c, fmathFirst)
	repeat("at", at)
	repeat("unit", scale)
	f.Load("-2", t[0])
	a.Op3("fmul", D2, scale, scale, t[0])
	for k := range x {
		a.Zero(total[k])
		a.Mov(product[k], f.One())
	}
	// Powers of two commute with rounding: the fields are scaled in the
	// arguments of the exponential, and the sum of their magnitudes at the end.
	a.Label("field")
	a.LoadPair(t[0], t[1], src, 0)
	a.I("ADD %s, %s", stride, src)
	a.RepeatNext(D2, t[2], rest)
	f.Load("-64", t[3])
	for k := range x {
		a.ShiftLong("sshll", S2, q[k], t[k/2], 0, k%2 == 1)
		a.Op2("scvtf", D2, q[k], q[k])
		a.Mov(x[k], t[2])
		a.Op3("fmla", D2, x[k], q[k], at)
	}
	for k := range x {
		a.Op2("fabs", D2, x[k], x[k])
		a.Op3("fadd", D2, total[k], total[k], x[k])
		a.Op3("fmul", D2, x[k], x[k], scale)
		a.Op3("fmax", D2, x[k], x[k], t[3])
	}
	e := f.ExpInRange(x[:], n4[:], q[:], t[:])
	for k := range x {
		a.Mov(q[k], product[k])
		a.Op3("fmla", D2, q[k], product[k], e[k])
		a.Mov(product[k], q[k])
	}
	a.Down(count, 1, "field")
	repeat("unit", scale)
	for k := range x {
		a.Op3("fmul", D2, total[k], total[k], scale)
	}
	a.Arg("sum", dst)
	store(total, dst)
	a.Arg("product", dst)
	store(product, dst)
	a.End()

	a.Func("tanhNEON", "func(x *float64, n int, unit float64)", "tanhNEON is Tanh for n a positive multiple of eight.")
	a.Arg("x", dst)
	a.Arg("n", n)
	const unit = free + 2
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
