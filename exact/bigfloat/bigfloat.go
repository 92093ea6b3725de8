// Package bigfloat adds to math/big what exact physics needs of it: exp, log
// and integer powers of a big.Float, the constants they rest on, and functions
// that return new values, so that formulas read like formulas.
//
// A Prec is a precision in bits. Each operation rounds to nearest at that
// precision; Exp, Log and Pow carry guard bits inside and are off by at most
// one unit in the last place.
package bigfloat

import (
	"math"
	"math/big"
	"sync"
)

// Prec is a precision in bits.
type Prec uint

func (p Prec) zero() *big.Float { return new(big.Float).SetPrec(uint(p)) }

// Float returns x at precision p (exact when p ≥ 53). It panics on NaN.
func (p Prec) Float(x float64) *big.Float { return p.zero().SetFloat64(x) }

// Int returns n at precision p.
func (p Prec) Int(n int) *big.Float { return p.zero().SetInt64(int64(n)) }

// BigInt returns n rounded to precision p.
func (p Prec) BigInt(n *big.Int) *big.Float { return p.zero().SetInt(n) }

// Round returns x rounded to precision p.
func (p Prec) Round(x *big.Float) *big.Float { return p.zero().Set(x) }

// Add returns a + b. Unlike big.Float's own, it does not align mantissas whose
// exponents are so far apart that one does not count: e^{−10⁹} + 1 costs nothing.
func (p Prec) Add(a, b *big.Float) *big.Float {
	switch {
	case vanishes(b, a, uint(p)):
		return p.Round(a)
	case vanishes(a, b, uint(p)):
		return p.Round(b)
	}
	return p.zero().Add(a, b)
}

// Sub returns a - b, as Add.
func (p Prec) Sub(a, b *big.Float) *big.Float {
	switch {
	case vanishes(b, a, uint(p)):
		return p.Round(a)
	case vanishes(a, b, uint(p)):
		return p.Neg(b)
	}
	return p.zero().Sub(a, b)
}

// Accumulate adds x to sum at the precision of sum.
func Accumulate(sum, x *big.Float) {
	switch {
	case vanishes(x, sum, sum.Prec()):
	case vanishes(sum, x, sum.Prec()):
		sum.Set(x)
	default:
		sum.Add(sum, x)
	}
}

// vanishes reports whether small is below any rounding of large at a precision.
func vanishes(small, large *big.Float, prec uint) bool {
	if small.Sign() == 0 {
		return true
	}
	if large.Sign() == 0 || small.IsInf() || large.IsInf() {
		return false
	}
	return large.MantExp(nil)-small.MantExp(nil) > int(max(prec, large.Prec()))+2
}

// Mul returns a·b.
func (p Prec) Mul(a, b *big.Float) *big.Float { return p.zero().Mul(a, b) }

// Quo returns a/b.
func (p Prec) Quo(a, b *big.Float) *big.Float { return p.zero().Quo(a, b) }

// Neg returns -a.
func (p Prec) Neg(a *big.Float) *big.Float { return p.zero().Neg(a) }

// Scale returns n·a for a small integer n.
func (p Prec) Scale(n int, a *big.Float) *big.Float { return p.zero().Mul(p.Int(n), a) }

// Ldexp returns a·2^e.
func (p Prec) Ldexp(a *big.Float, e int) *big.Float { return p.zero().SetMantExp(a, e) }

// Sqrt returns √a for a ≥ 0.
func (p Prec) Sqrt(a *big.Float) *big.Float { return p.zero().Sqrt(a) }

// Pow returns a^n for n ≥ 0 by repeated squaring.
func (p Prec) Pow(a *big.Float, n int) *big.Float {
	w := p + 32
	r := w.Int(1)
	for square := w.Round(a); n > 0; n >>= 1 {
		if n&1 == 1 {
			r.Mul(r, square)
		}
		if n > 1 {
			square.Mul(square, square)
		}
	}
	return p.Round(r)
}

// Exp returns e^x. It overflows to +Inf and underflows to 0 only beyond the
// range of a big.Float (exponents of 32 bits).
//
// x = k·ln 2 + r; the Taylor series of r/2^s, squared s times.
func (p Prec) Exp(x *big.Float) *big.Float {
	if x.Sign() == 0 {
		return p.Int(1)
	}
	if x.IsInf() || x.MantExp(nil) > 31 {
		if x.Sign() > 0 {
			return p.zero().SetInf(false)
		}
		return p.zero()
	}
	s := int(math.Sqrt(float64(p)))/2 + 1
	w := p + Prec(2*s) + 48 + Prec(max(0, x.MantExp(nil)))
	q, _ := w.Quo(x, w.Ln2()).Float64()
	k := int(math.Round(q))
	r := w.Ldexp(w.Sub(x, w.Scale(k, w.Ln2())), -s)
	// Horner is no better here: terms shrink so fast that few are needed.
	sum, term := w.Int(1), w.Int(1)
	for n := 1; ; n++ {
		term.Mul(term, r)
		term.Quo(term, w.Int(n))
		if term.Sign() == 0 || term.MantExp(nil) < -int(w) {
			break
		}
		sum.Add(sum, term)
	}
	for range s {
		sum.Mul(sum, sum)
	}
	return p.zero().SetMantExp(sum, k)
}

// Log returns ln x for x > 0 and panics otherwise. Its relative error stays
// within one unit in the last place near x = 1 too.
//
// The start is a float64 logarithm; y + 2(x − e^y)/(x + e^y) triples its
// correct digits each time.
func (p Prec) Log(x *big.Float) *big.Float {
	if x.Sign() <= 0 || x.IsInf() {
		panic("bigfloat: logarithm of a number that is not positive and finite")
	}
	m := new(big.Float).SetPrec(max(x.Prec(), uint(p)))
	e := x.MantExp(m)
	if f, _ := m.Float64(); f < math.Sqrt2/2 {
		m.SetMantExp(m, 1)
		e--
	}
	w := p + 32
	if e == 0 {
		d := new(big.Float).SetPrec(m.Prec()).Sub(m, big.NewFloat(1))
		if d.Sign() == 0 {
			return p.zero()
		}
		w += Prec(-min(0, d.MantExp(nil)))
	}
	f, _ := m.Float64()
	y := w.Float(math.Log(f))
	for right := 45; right < int(w); right *= 3 {
		ey := w.Exp(y)
		y.Add(y, w.Ldexp(w.Quo(w.Sub(m, ey), w.Add(m, ey)), 1))
	}
	return p.Add(y, w.Scale(e, w.Ln2()))
}

// Ln2 returns ln 2 = 18 artanh(1/26) − 2 artanh(1/4801) + 8 artanh(1/8749).
// The value is shared: it must not be changed.
func (p Prec) Ln2() *big.Float {
	return constant(ln2Values, p, func(bits uint) *big.Int {
		sum := inverseArc(18, 26, bits, false)
		sum.Sub(sum, inverseArc(2, 4801, bits, false))
		return sum.Add(sum, inverseArc(8, 8749, bits, false))
	})
}

// Pi returns π = 16 arctan(1/5) − 4 arctan(1/239). The value is shared: it
// must not be changed.
func (p Prec) Pi() *big.Float {
	return constant(piValues, p, func(bits uint) *big.Int {
		sum := inverseArc(16, 5, bits, true)
		return sum.Sub(sum, inverseArc(4, 239, bits, true))
	})
}

// Cos returns cos x for |x| ≤ 4, with an absolute error of one unit of 2^-p:
// the Taylor series of 1 − cos(x/2^s), doubled s times by
// 1 − cos 2y = 2c(2 − c) with c = 1 − cos y.
func (p Prec) Cos(x *big.Float) *big.Float {
	s := int(math.Sqrt(float64(p)))/2 + 3
	w := p + Prec(2*s) + 32
	y := w.Ldexp(w.Round(x), -s)
	y2 := w.Mul(y, y)
	c, term := w.zero(), w.Int(-1)
	for n := 1; ; n += 2 {
		term.Mul(term, y2)
		term.Quo(term, w.Int(n*(n+1)))
		term.Neg(term)
		if term.Sign() == 0 || term.MantExp(nil) < -int(w)-2*s {
			break
		}
		c.Add(c, term)
	}
	two := w.Int(2)
	for range s {
		c = w.Ldexp(w.Mul(c, w.Sub(two, c)), 1)
	}
	return p.Sub(w.Int(1), c)
}

var ln2Values, piValues = new(sync.Map), new(sync.Map)

// constant keeps a constant once for each precision.
func constant(values *sync.Map, p Prec, fixed func(bits uint) *big.Int) *big.Float {
	if v, ok := values.Load(p); ok {
		return v.(*big.Float)
	}
	const guard = 32
	x := new(big.Float).SetPrec(uint(p) + guard).SetInt(fixed(uint(p) + guard))
	v, _ := values.LoadOrStore(p, p.zero().SetMantExp(x, -int(p)-guard))
	return v.(*big.Float)
}

// inverseArc returns c·artanh(1/n), or c·arctan(1/n) when alternating, as an
// integer multiple of 2^-bits.
func inverseArc(c, n int64, bits uint, alternating bool) *big.Int {
	term := new(big.Int).Lsh(big.NewInt(c), bits)
	term.Quo(term, big.NewInt(n))
	sum := new(big.Int)
	square := big.NewInt(n * n)
	for k := int64(1); term.Sign() != 0; k += 2 {
		part := new(big.Int).Quo(term, big.NewInt(k))
		if alternating && k&2 != 0 {
			part.Neg(part)
		}
		sum.Add(sum, part)
		term.Quo(term, square)
	}
	return sum
}
