// Package fmath defines the elementary functions whose float64 bits every
// backend must agree on: fixed operations in a fixed order with explicit fused
// multiply-adds, no table, no branch that a vector lane could not take. The Go
// library's own functions differ between architectures.
package fmath

import "math"

// Constants of the reduction x = k·ln 2 + r. Ln2Hi has 21 trailing zero bits,
// so that k·Ln2Hi is exact for |k| < 2²¹.
const (
	Log2E  = 1.44269504088896338700e+00
	Ln2Hi  = 6.93147180369123816490e-01
	Ln2Lo  = 1.90821492927058770002e-10
	MinExp = -708.0 // Exp is zero below: results stay normal numbers

	// roundMagic added to a float64 of magnitude below 2⁵¹ rounds it to an
	// integer, to nearest even, in the low bits.
	roundMagic = 1<<52 + 1<<51
)

// expm1Coeffs are 1/n! for n = 2 … 13: on |r| ≤ ln 2/2 the rest of the series is
// below 5e-18.
var expm1Coeffs = [12]float64{
	1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880,
	1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
}

// reduce returns 2ᵏ and eʳ−1 with x = k·ln 2 + r, for |x| ≤ 708.
func reduce(x float64) (scale, p float64) {
	k := math.FMA(x, Log2E, roundMagic) - roundMagic
	r := math.FMA(-k, Ln2Hi, x)
	r = math.FMA(-k, Ln2Lo, r)
	q := expm1Coeffs[11]
	for i := 10; i >= 0; i-- {
		q = math.FMA(q, r, expm1Coeffs[i])
	}
	p = math.FMA(q, float64(r*r), r)
	scale = math.Float64frombits(uint64(int64(k)+1023) << 52)
	return scale, p
}

// Exp returns eˣ for x ≤ 708, with a relative error below 2⁻⁵²; 0 for
// x < MinExp.
func Exp(x float64) float64 {
	if x < MinExp {
		return 0
	}
	s, p := reduce(x)
	return math.FMA(s, p, s)
}

// Tanh returns tanh x with a relative error below 4·2⁻⁵³.
func Tanh(x float64) float64 {
	y := -2 * math.Abs(x)
	if y < -40 {
		y = -40 // tanh is 1 to all bits
	}
	s, p := reduce(y)
	e := math.FMA(s, p, s-1) // e^(−2|x|) − 1
	return math.Copysign(-e/(2+e), x)
}

// atanhCoeffs are 1/(2n+1) for n = 1 … 17: ln(1+t) = 2 artanh(t/(2+t)), and for
// t ≤ 1 the rest of the series is below 1e-18.
var atanhCoeffs = [17]float64{
	1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19,
	1.0 / 21, 1.0 / 23, 1.0 / 25, 1.0 / 27, 1.0 / 29, 1.0 / 31, 1.0 / 33, 1.0 / 35,
}

// LnCosh2 returns ln(2 cosh x) with a relative error below 4·2⁻⁵³.
func LnCosh2(x float64) float64 {
	y := math.Abs(x)
	t := 0.0
	if y <= 20 { // beyond, e^(−2y) is lost in y
		s, p := reduce(-2 * y)
		t = math.FMA(s, p, s)
	}
	z := t / (2 + t)
	w := float64(z * z)
	q := atanhCoeffs[16]
	for i := 15; i >= 0; i-- {
		q = math.FMA(q, w, atanhCoeffs[i])
	}
	z += z
	return y + math.FMA(q, float64(z*w), z)
}

// CoshRun is how many terms of SumLnCosh2 share a logarithm. Their product is
// at most 2^CoshRun.
const CoshRun = 512

// farthest is where e^(−2|x|) is lost in 1 + e^(−2|x|).
const farthest = -64

// SumLnCosh2 returns Σ ln(2 cosh x). With ln(2 cosh x) = |x| + ln(1 + e^(−2|x|))
// a run of CoshRun terms takes one logarithm, of a product of factors in [1, 2]:
//
//	sum = 0
//	for each run:
//	    a, p = 0, 1
//	    for x in the run: a, p = a + |x|, fma(p, e, p) with e = Exp(max(−2|x|, −64))
//	    sum = sum + (a + Log(p))
//
// The error is below 2⁻⁵² for each term, half of it from e and half from the
// product's rounding, and what rounds in the additions: an ulp of the sum for
// two units of a run and for two runs.
func SumLnCosh2(x []float64) float64 {
	sum := 0.0
	for len(x) > 0 {
		n := min(len(x), CoshRun)
		a, p := 0.0, 1.0
		for _, v := range x[:n] {
			y := math.Abs(v)
			a += y
			y *= -2
			if !(y > farthest) {
				y = farthest
			}
			p = math.FMA(p, Exp(y), p)
		}
		sum += a + Log(p)
		x = x[n:]
	}
	return sum
}
