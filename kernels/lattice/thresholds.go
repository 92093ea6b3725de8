package lattice

import (
	"math"
	"math/big"
)

// Thresholds returns ⌊2⁶⁴·p⌋ for one and for no antiparallel neighbour at
// temperature t ≥ 0, with J = k_B = 1: Metropolis e^{−4/T} and e^{−8/T}, heat
// bath 1/(1+e^{4/T}) and 1/(1+e^{8/T}). A p of 1 becomes 2⁶⁴ − 1. T = 0 is the
// limit, both zero. The result rests on integer arithmetic alone, so it is the
// same on every machine.
func Thresholds(a Algorithm, t float64) (one, none uint64) {
	if t < 0 || math.IsNaN(t) {
		panic("lattice: negative temperature")
	}
	return threshold(a, 4, t), threshold(a, 8, t)
}

// precision is the number of bits thresholds are computed with; the last of 64
// is then wrong with probability 2⁻⁹⁶.
const precision = 192

func threshold(a Algorithm, d int64, t float64) uint64 {
	if t == 0 {
		return 0
	}
	x := new(big.Float).SetPrec(precision).SetInt64(d)
	x.Quo(x, new(big.Float).SetPrec(precision).SetFloat64(t))
	p := exp(x)
	if a == HeatBath {
		p.Quo(p, new(big.Float).SetPrec(precision).Add(big.NewFloat(1), p))
	}
	p.SetMantExp(p, 64)
	u, acc := p.Uint64()
	if acc == big.Below && u == math.MaxUint64 || p.Cmp(new(big.Float).SetUint64(math.MaxUint64)) > 0 {
		return math.MaxUint64
	}
	return u
}

// exp returns e^{−x} for x ≥ 0: the Taylor series at x/2ᵏ < 1/4 and k
// squarings, zero beyond x = 64.
func exp(x *big.Float) *big.Float {
	one := new(big.Float).SetPrec(precision).SetInt64(1)
	if x.Cmp(big.NewFloat(64)) > 0 {
		return new(big.Float).SetPrec(precision)
	}
	y := new(big.Float).SetPrec(precision).Neg(x)
	k := 0
	if y.Sign() != 0 {
		k = max(0, y.MantExp(nil)+2)
		y.SetMantExp(y, -k)
	}
	sum, term := new(big.Float).Copy(one), new(big.Float).Copy(one)
	for i := int64(1); i < 80; i++ {
		term.Mul(term, y)
		term.Quo(term, new(big.Float).SetPrec(precision).SetInt64(i))
		sum.Add(sum, term)
	}
	for range k {
		sum.Mul(sum, sum)
	}
	return sum
}

// SetPlanes writes the thresholds of the bit positions from ≤ bit < to into
// planes, which has Planes·2·Lanes words: for each plane in the order in which
// it is drawn, the bit of the threshold none and the exclusive or of the bits
// of both.
func SetPlanes(planes []uint64, from, to int, one, none uint64) {
	for lane := from / 64; lane*64 < to; lane++ {
		mask := ^uint64(0) << max(0, from-lane*64)
		if end := to - lane*64; end < 64 {
			mask &= 1<<end - 1
		}
		for i := range Planes {
			k := 63 - drawn(i)
			put(&planes[2*i*Lanes+lane], mask, none>>k&1)
			put(&planes[(2*i+1)*Lanes+lane], mask, (one^none)>>k&1)
		}
	}
}

// put sets the bits of mask to v.
func put(w *uint64, mask, v uint64) { *w = *w&^mask | -v&mask }

// drawn returns which bit of U, 0 the most significant, the i-th plane holds.
func drawn(i int) int {
	if i < OwnPlanes {
		return OwnPlanes - 1 - i
	}
	return OwnPlanes + Planes - 1 - i
}
