package fmath

import (
	"math"
	"math/bits"
)

// TopBit returns the highest set bit of n ≥ 1.
func TopBit(n int) int { return 1 << (bits.Len(uint(n)) - 1) }

// Pow2 returns 2^n for a whole number n in [-1022, 1023].
func Pow2(n float64) float64 { return math.Float64frombits(uint64(int64(n)+1023) << 52) }

// minComplement is the smallest argument of ExpComplement; smaller ones count as this.
const minComplement = -700

// ExpComplement returns e^a and 1 − e^a for a ≤ 0, each with a relative error below
// 2 ulp:
//
//	n = rint(a·log₂e);  r = a − n·ln 2;  p = r + r²(1/2! + r/3! + … + r¹¹/13!)
//	e^a = 2ⁿ + 2ⁿp;  1 − e^a = (1 − 2ⁿ) − 2ⁿp
func ExpComplement(a float64) (e, oneMinus float64) {
	if !(a > minComplement) {
		a = minComplement
	}
	n := math.RoundToEven(float64(a * Log2E))
	r := math.FMA(-n, Ln2Hi, a)
	r = math.FMA(-n, Ln2Lo, r)
	s := expm1Coeffs[11]
	for k := 10; k >= 0; k-- {
		s = math.FMA(s, r, expm1Coeffs[k])
	}
	p := math.FMA(float64(r*r), s, r)
	t := Pow2(n)
	return math.FMA(t, p, t), math.FMA(-t, p, 1-t)
}

// PowInt returns a to the n-th power, n ≥ 1, by squaring from the top bit down.
func PowInt(a float64, n int) float64 {
	r := a
	for bit := TopBit(n) >> 1; bit != 0; bit >>= 1 {
		r *= r
		if n&bit != 0 {
			r *= a
		}
	}
	return r
}

// PowComplement returns (1+a)^n − 1, n ≥ 1, for a ≥ 0 without loss.
func PowComplement(a float64, n int) float64 {
	r := a
	for bit := TopBit(n) >> 1; bit != 0; bit >>= 1 {
		r = float64(r * (2 + r))
		if n&bit != 0 {
			r = math.FMA(r, a, r+a)
		}
	}
	return r
}
