package roots

import "math"

// dd is a double-double number, the unevaluated sum hi + lo with
// |lo| ≤ ½ulp(hi): about 106 bits, with the exponent range of a float64.
//
// The operations are the usual error-free transformations (Dekker 1971,
// Knuth, Hida, Li and Bailey 2001) in one fixed order with explicit FMA, so
// they give the same bits on every machine. A product that is added to
// something is converted to float64 first: the compiler may not fuse it then.
type dd struct{ hi, lo float64 }

// twoSum returns a + b as a rounded sum and its exact error.
func twoSum(a, b float64) (s, e float64) {
	s = a + b
	t := s - a
	return s, (a - (s - t)) + (b - t)
}

// fastTwoSum is twoSum for |a| ≥ |b|.
func fastTwoSum(a, b float64) dd {
	s := a + b
	return dd{s, b - (s - a)}
}

func (a dd) add(b dd) dd {
	s, e := twoSum(a.hi, b.hi)
	t, f := twoSum(a.lo, b.lo)
	r := fastTwoSum(s, e+t)
	return fastTwoSum(r.hi, r.lo+f)
}

func (a dd) addFloat(b float64) dd {
	s, e := twoSum(a.hi, b)
	return fastTwoSum(s, e+a.lo)
}

func (a dd) neg() dd { return dd{-a.hi, -a.lo} }

func (a dd) sub(b dd) dd { return a.add(b.neg()) }

func (a dd) mul(b dd) dd {
	p := float64(a.hi * b.hi)
	e := math.FMA(a.hi, b.hi, -p)
	return fastTwoSum(p, math.FMA(a.lo, b.hi, math.FMA(a.hi, b.lo, e)))
}

func (a dd) mulFloat(b float64) dd {
	p := float64(a.hi * b)
	return fastTwoSum(p, math.FMA(a.lo, b, math.FMA(a.hi, b, -p)))
}

// scale returns a·b for b a power of two, exactly.
func (a dd) scale(b float64) dd { return dd{a.hi * b, a.lo * b} }

func (a dd) div(b dd) dd {
	q1 := a.hi / b.hi
	r := a.sub(b.mulFloat(q1))
	q2 := r.hi / b.hi
	r = r.sub(b.mulFloat(q2))
	return fastTwoSum(q1, q2).addFloat(r.hi / b.hi)
}

// pow returns a to the n-th power, n ≥ 1, by squaring from the top bit down.
func (a dd) pow(n int) dd {
	r := a
	for bit := topBit(n) >> 1; bit != 0; bit >>= 1 {
		r = r.mul(r)
		if n&bit != 0 {
			r = r.mul(a)
		}
	}
	return r
}

var (
	ddOne = dd{1, 0}
	ddLn2 = dd{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}
)

// expTerms is the degree of the Taylor polynomial in dd.expm1: with
// |r| ≤ ln2/512 what is left out is below 2^-108 of the result.
const expTerms = 9

// inverse factorials 1/k! for k = 0 … expTerms.
var ddInvFact = func() (t [expTerms + 1]dd) {
	t[0] = ddOne
	for k := 1; k < len(t); k++ {
		t[k] = t[k-1].div(dd{float64(k), 0})
	}
	return
}()

// expm1 returns e^a and 1 − e^a for a ≤ 700, each with a relative error below
// 1e-29 for a > −600; further down the low part of e^a runs out of exponents.
// Below −700 they are 0 and 1.
func (a dd) expm1() (e, oneMinus dd) {
	if a.hi < -700 {
		return dd{}, ddOne
	}
	n := math.RoundToEven(float64(a.hi * math.Log2E))
	r := a.sub(ddLn2.mulFloat(n)).scale(1.0 / 256)
	s := ddInvFact[expTerms]
	for k := expTerms - 1; k >= 1; k-- {
		s = s.mul(r).add(ddInvFact[k])
	}
	s = s.mul(r)
	for range 8 {
		s = s.scale(2).add(s.mul(s))
	}
	if n == 0 {
		return s.addFloat(1), s.neg()
	}
	e = s.addFloat(1).scale(pow2(n))
	return e, e.neg().addFloat(1)
}
