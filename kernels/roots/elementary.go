package roots

import (
	"math"
	"math/bits"
)

// topBit returns the highest set bit of n ≥ 1.
func topBit(n int) int { return 1 << (bits.Len(uint(n)) - 1) }

// pow2 returns 2^n for a whole number n in [-1022, 1023].
func pow2(n float64) float64 { return math.Float64frombits(uint64(int64(n)+1023) << 52) }

// Constants of the float64 exponential: ln 2 in two parts, the first with
// zeros at its end so that its product with a small whole number is exact.
const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
)

// expCoef are 1/2!, 1/3!, …, 1/13!.
var expCoef = [12]float64{
	1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
	1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
}

// minExp is the smallest argument of expm1; smaller ones count as this.
const minExp = -700

// expm1 returns e^a and 1 − e^a for a ≤ 0, each with a relative error below
// 2 ulp:
//
//	n = rint(a·log₂e);  r = a − n·ln 2;  p = r + r²(1/2! + r/3! + … + r¹¹/13!)
//	e^a = 2ⁿ + 2ⁿp;  1 − e^a = (1 − 2ⁿ) − 2ⁿp
func expm1(a float64) (e, oneMinus float64) {
	if !(a > minExp) {
		a = minExp
	}
	n := math.RoundToEven(float64(a * math.Log2E))
	r := math.FMA(-n, ln2Hi, a)
	r = math.FMA(-n, ln2Lo, r)
	s := expCoef[11]
	for k := 10; k >= 0; k-- {
		s = math.FMA(s, r, expCoef[k])
	}
	p := math.FMA(float64(r*r), s, r)
	t := pow2(n)
	return math.FMA(t, p, t), math.FMA(-t, p, 1-t)
}

// logf returns ln a for a normal positive a, with an absolute error below
// 1e-15·(1+|ln a|). With a = 2ⁿm, m in [√½, √2) and s = (m−1)/(m+1):
//
//	ln a = n·ln 2 + 2s(1 + s²/3 + … + s²²/23)
func logf(a float64) float64 {
	b := math.Float64bits(a)
	n := int64(b>>52) - 1023
	m := math.Float64frombits(b&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m *= 0.5
		n++
	}
	s := (m - 1) / (m + 1)
	q := float64(s * s)
	t := 1.0 / 23
	for k := 21.0; k >= 3; k -= 2 {
		t = math.FMA(t, q, 1/k)
	}
	t = math.FMA(float64(2*s*q), t, 2*s)
	return math.FMA(float64(n), ln2Hi, math.FMA(float64(n), ln2Lo, t))
}

// powInt returns a to the n-th power, n ≥ 1, by squaring from the top bit down.
func powInt(a float64, n int) float64 {
	r := a
	for bit := topBit(n) >> 1; bit != 0; bit >>= 1 {
		r *= r
		if n&bit != 0 {
			r *= a
		}
	}
	return r
}

// powInt1 returns (1+a)^n − 1, n ≥ 1, for a ≥ 0 without loss.
func powInt1(a float64, n int) float64 {
	r := a
	for bit := topBit(n) >> 1; bit != 0; bit >>= 1 {
		r = float64(r * (2 + r))
		if n&bit != 0 {
			r = math.FMA(r, a, r+a)
		}
	}
	return r
}
