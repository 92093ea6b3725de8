package neon

import (
	"fmt"
	"math"
)

// Fmath is the elementary functions of spin/fmath, operation by operation, on
// several registers of two float64 each at a time: no operation waits for the
// one before it. The constants lie in memory, the most used in registers.
type Fmath struct {
	a      *Asm
	base   R // of the constants
	offset map[string]int

	magic, log2e, hi, lo, one V
}

// NewFmath writes the constants and loads those that stay in registers: five
// from first on.
func NewFmath(a *Asm, base R, first V) *Fmath {
	f := &Fmath{a: a, base: base, offset: map[string]int{}, magic: first, log2e: first + 1, hi: first + 2, lo: first + 3, one: first + 4}
	var w []uint64
	add := func(name string, bits uint64) {
		f.offset[name] = 8 * len(w)
		w = append(w, bits, bits)
	}
	float := func(name string, x float64) { add(name, math.Float64bits(x)) }
	float("magic", 1<<52+1<<51)
	float("log2e", 1.44269504088896338700e+00)
	float("ln2hi", 6.93147180369123816490e-01)
	float("ln2lo", 1.90821492927058770002e-10)
	float("1", 1)
	float("2", 2)
	float("-2", -2)
	float("-40", -40)
	float("-64", -64)
	float("-708", -708)
	add("sign", 1<<63)
	fact := 1.0
	for i := 2; i <= 13; i++ {
		fact *= float64(i)
		float(fmt.Sprint("1/", i, "!"), 1/fact)
	}
	a.Words("fmathConstants", w...)
	a.Address("fmathConstants", base)
	for i, name := range []string{"magic", "log2e", "ln2hi", "ln2lo", "1"} {
		f.Load(name, first+V(i))
	}
	return f
}

// Load loads a constant.
func (f *Fmath) Load(name string, d V) {
	off, ok := f.offset[name]
	if !ok {
		panic("no constant " + name)
	}
	f.a.Load(d, f.base, off)
}

// polynomial is q = q·x + c for each of the constants in turn, with memory of
// as many registers. It returns where q is then: in q or in t.
func (f *Fmath) polynomial(names []string, q, x, t []V) []V {
	for _, name := range names {
		f.Load(name, t[0])
		for i := range t[1:] {
			f.a.Mov(t[i+1], t[0])
		}
		for i := range q {
			f.a.Op3("fmla", D2, t[i], q[i], x[i])
		}
		q, t = t, q
	}
	return q
}

// reduce turns x into r, with x = k·ln 2 + r, and returns 2ᵏ in n and eʳ−1 in
// p, one of q and t.
func (f *Fmath) reduce(x, n, q, t []V) (p []V) {
	a := f.a
	for i := range x {
		a.Mov(n[i], f.magic)
		a.Op3("fmla", D2, n[i], x[i], f.log2e)
	}
	for i := range x {
		a.Op3("fsub", D2, t[i], n[i], f.magic)
		a.Op3("fmls", D2, x[i], t[i], f.hi)
	}
	for i := range x {
		a.Op3("fmls", D2, x[i], t[i], f.lo)
		f.Load("1/13!", q[i])
	}
	var names []string
	for i := 12; i >= 2; i-- {
		names = append(names, fmt.Sprint("1/", i, "!"))
	}
	p = f.polynomial(names, q, x, t)
	for i := range x {
		// the polynomial ends in t, so q is free
		a.Op3("fmul", D2, q[i], x[i], x[i])
		a.Shift("shl", D2, n[i], n[i], 52)
	}
	for i := range x {
		a.Op3("fmla", D2, x[i], p[i], q[i])
		a.Add(D2, n[i], n[i], f.one)
	}
	return x
}

// Exp replaces x by fmath.Exp of it.
func (f *Fmath) Exp(x, n, q, t, below []V) {
	a := f.a
	f.Load("-708", t[0])
	for i := range x {
		a.Op3("fcmgt", D2, below[i], t[0], x[i])
	}
	e := f.ExpInRange(x, n, q, t)
	for i := range x {
		a.Bic(x[i], e[i], below[i])
	}
}

// ExpInRange returns fmath.Exp of x, which is −708 or more, in one of the other
// registers, and destroys x.
func (f *Fmath) ExpInRange(x, n, q, t []V) []V {
	p := f.reduce(x, n, q, t)
	for i := range x {
		f.a.Mov(t[i], n[i])
		f.a.Op3("fmla", D2, t[i], n[i], p[i])
	}
	return t
}

// One is the register that holds 1.
func (f *Fmath) One() V { return f.one }

// Tanh replaces x by fmath.Tanh of it.
func (f *Fmath) Tanh(x, n, q, t, sign []V) {
	a := f.a
	two, limit := t[0], q[0]
	f.Load("-2", two)
	f.Load("-40", limit)
	f.Load("sign", q[1])
	for i := range x {
		a.And(sign[i], x[i], q[1])
		a.Op2("fabs", D2, x[i], x[i])
		a.Op3("fmul", D2, x[i], x[i], two)
		a.Op3("fmax", D2, x[i], x[i], limit)
	}
	p := f.reduce(x, n, q, t)
	for i := range x {
		a.Op3("fsub", D2, q[i], n[i], f.one)
		a.Op3("fmla", D2, q[i], n[i], p[i]) // s·p + (s − 1)
	}
	f.Load("2", two)
	for i := range x {
		a.Op3("fadd", D2, n[i], q[i], two)
	}
	for i := range x {
		a.Op3("fdiv", D2, x[i], q[i], n[i]) // its magnitude is the result's
		a.Op2("fabs", D2, x[i], x[i])
		a.Orr(x[i], x[i], sign[i])
	}
}
