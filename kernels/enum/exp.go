package enum

import "math"

// ln2Lo is ln 2 - float64(ln 2).
const ln2Lo = 2.3190468138462996e-17

// expCoef[k] is 1/k!.
var expCoef = func() (c [14]float64) {
	fact := 1.0
	c[0] = 1
	for k := 1; k < len(c); k++ {
		fact *= float64(k)
		c[k] = 1 / fact
	}
	return c
}()

// Exp returns e^x with an error below one unit in the last place of a normal
// result. Below -745.14 it is 0, above 709.79 +Inf, with gradual underflow; x
// must not be NaN. Unlike math.Exp it gives the same bits on every
// architecture: x is reduced by the nearest multiple n of ln 2, e^r is the
// Taylor polynomial of degree 13 in fused multiply-adds, and 2^n is applied in
// two steps of which only the second can round.
func Exp(x float64) float64 {
	x = max(x, -746)
	x = min(x, 710)
	n := math.RoundToEven(float64(x * math.Log2E))
	r := math.FMA(-n, math.Ln2, x)
	r = math.FMA(-n, ln2Lo, r)
	y := expCoef[13]
	for k := 12; k >= 0; k-- {
		y = math.FMA(y, r, expCoef[k])
	}
	n1 := int64(n) >> 1
	n2 := int64(n) - n1
	return y * power2(n1) * power2(n2)
}

// power2 returns 2^n for -1023 < n < 1024.
func power2(n int64) float64 { return math.Float64frombits(uint64(n+1023) << 52) }

// Log returns the natural logarithm of a positive, finite, normal x with an
// error below 1.5 units in the last place (of ln 2 near x = 1), the same bits on
// every architecture: x = 2^k·f with f in [√½, √2), and ln f = 2 artanh s with
// s = (f-1)/(f+1) as a series in fused multiply-adds.
func Log(x float64) float64 {
	f, k := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f *= 2
		k--
	}
	s := (f - 1) / (f + 1)
	z := s * s
	y := 0.0
	for j := 23; j >= 3; j -= 2 {
		y = math.FMA(y, z, 1/float64(j))
	}
	y = math.FMA(float64(y*z), s, s)
	return math.FMA(float64(k), math.Ln2, math.FMA(float64(k), ln2Lo, 2*y))
}
