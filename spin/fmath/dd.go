package fmath

import "math"

// DD is a double-double number, the unevaluated sum Hi + Lo with
// |Lo| ≤ ½ulp(Hi): about 106 bits, with the exponent range of a float64.
//
// The operations are the usual error-free transformations (Dekker 1971,
// Knuth, Hida, Li and Bailey 2001) in one fixed order with explicit FMA, so
// they give the same bits on every machine. A product that is added to
// something is converted to float64 first: the compiler may not fuse it then.
type DD struct{ Hi, Lo float64 }

// twoSum returns a + b as a rounded sum and its exact error.
func twoSum(a, b float64) (s, e float64) {
	s = a + b
	t := s - a
	return s, (a - (s - t)) + (b - t)
}

// fastTwoSum is twoSum for |a| ≥ |b|.
func fastTwoSum(a, b float64) DD {
	s := a + b
	return DD{s, b - (s - a)}
}

// Add returns a + b to 2⁻¹⁰⁴ of the result.
func (a DD) Add(b DD) DD {
	s, e := twoSum(a.Hi, b.Hi)
	t, f := twoSum(a.Lo, b.Lo)
	r := fastTwoSum(s, e+t)
	return fastTwoSum(r.Hi, r.Lo+f)
}

// AddFloat returns a + b.
func (a DD) AddFloat(b float64) DD {
	s, e := twoSum(a.Hi, b)
	return fastTwoSum(s, e+a.Lo)
}

// Neg returns −a.
func (a DD) Neg() DD { return DD{-a.Hi, -a.Lo} }

// Sub returns a − b.
func (a DD) Sub(b DD) DD { return a.Add(b.Neg()) }

// Mul returns a·b to 2⁻¹⁰² of the result.
func (a DD) Mul(b DD) DD {
	p := float64(a.Hi * b.Hi)
	e := math.FMA(a.Hi, b.Hi, -p)
	return fastTwoSum(p, math.FMA(a.Lo, b.Hi, math.FMA(a.Hi, b.Lo, e)))
}

// MulFloat returns a·b.
func (a DD) MulFloat(b float64) DD {
	p := float64(a.Hi * b)
	return fastTwoSum(p, math.FMA(a.Lo, b, math.FMA(a.Hi, b, -p)))
}

// Scale returns a·b for b a power of two, exactly.
func (a DD) Scale(b float64) DD { return DD{a.Hi * b, a.Lo * b} }

// Div returns a/b to 2⁻¹⁰⁰ of the result.
func (a DD) Div(b DD) DD {
	q1 := a.Hi / b.Hi
	r := a.Sub(b.MulFloat(q1))
	q2 := r.Hi / b.Hi
	r = r.Sub(b.MulFloat(q2))
	return fastTwoSum(q1, q2).AddFloat(r.Hi / b.Hi)
}

// Pow returns a to the n-th power, n ≥ 1, by squaring from the top bit down.
func (a DD) Pow(n int) DD {
	r := a
	for bit := TopBit(n) >> 1; bit != 0; bit >>= 1 {
		r = r.Mul(r)
		if n&bit != 0 {
			r = r.Mul(a)
		}
	}
	return r
}

var one = DD{1, 0}

// DDLn2 is ln 2.
var DDLn2 = DD{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}

// expTerms is the degree of the Taylor polynomial in DD.ExpComplement: with
// |r| ≤ ln2/512 what is left out is below 2^-108 of the result.
const expTerms = 9

// inverse factorials 1/k! for k = 0 … expTerms.
var invFactorials = func() (t [expTerms + 1]DD) {
	t[0] = one
	for k := 1; k < len(t); k++ {
		t[k] = t[k-1].Div(DD{float64(k), 0})
	}
	return
}()

// ExpComplement returns e^a and 1 − e^a, each with a relative error below 1e-29
// for |a| < 600; further out the low part of e^a runs out of exponents. Below
// −700 they are 0 and 1, above 700 ±Inf.
func (a DD) ExpComplement() (e, oneMinus DD) {
	if a.Hi < -700 {
		return DD{}, one
	}
	if a.Hi > 700 {
		return DD{Hi: math.Inf(1)}, DD{Hi: math.Inf(-1)}
	}
	n := math.RoundToEven(float64(a.Hi * Log2E))
	r := a.Sub(DDLn2.MulFloat(n)).Scale(1.0 / 256)
	s := invFactorials[expTerms]
	for k := expTerms - 1; k >= 1; k-- {
		s = s.Mul(r).Add(invFactorials[k])
	}
	s = s.Mul(r)
	for range 8 {
		s = s.Scale(2).Add(s.Mul(s))
	}
	if n == 0 {
		return s.AddFloat(1), s.Neg()
	}
	e = s.AddFloat(1).Scale(Pow2(n))
	return e, e.Neg().AddFloat(1)
}
