package fmath

import "math"

// Log returns the natural logarithm of a positive, finite, normal x with an
// error below 1.5 units in the last place (of ln 2 near x = 1): x = 2ᵏ·f with f
// in [√½, √2), and ln f = 2 artanh s with s = (f−1)/(f+1).
func Log(x float64) float64 {
	f, k := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f *= 2
		k--
	}
	s := (f - 1) / (f + 1)
	w := float64(s * s)
	q := atanhCoeffs[11]
	for i := 10; i >= 0; i-- {
		q = math.FMA(q, w, atanhCoeffs[i])
	}
	q = math.FMA(float64(q*w), s, s)
	return math.FMA(float64(k), Ln2Hi, math.FMA(float64(k), Ln2Lo, 2*q))
}
