package fmath

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bigExp sums the Taylor series of e^(x/2⁶⁴) in 400 bits and squares it 64
// times.
func bigExp(x float64) *big.Float {
	const prec = 400
	z := new(big.Float).SetPrec(prec).SetFloat64(x)
	z.SetMantExp(z, -64)
	sum, term := big.NewFloat(1).SetPrec(prec), big.NewFloat(1).SetPrec(prec)
	for k := 1; k < 30; k++ {
		term.Mul(term, z)
		term.Quo(term, new(big.Float).SetPrec(prec).SetInt64(int64(k)))
		sum.Add(sum, term)
	}
	for range 64 {
		sum.Mul(sum, sum)
	}
	return sum
}

// TestLog holds Log, and Exp where its argument is positive, against 400 bits.
func TestLog(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	worstExp, worstLog := 0.0, 0.0
	for i := range 3000 {
		x := (rng.Float64() - 0.5) * 1400
		if i%2 == 0 {
			x = rng.Float64() - 0.5
		}
		got, want := Exp(x), bigExp(x)
		d, _ := new(big.Float).Sub(big.NewFloat(got), want).Float64()
		worstExp = max(worstExp, math.Abs(d)/got*0x1p53)
		// ln got = x + d/got to first order in the error d of Exp
		off := math.Abs((Log(got) - x) - d/got)
		worstLog = max(worstLog, off/max(math.Ln2, math.Abs(x))*0x1p53)
	}
	t.Logf("largest relative errors: Exp %.2f, Log %.2f times 2^-53", worstExp, worstLog)
	if worstExp > 2 || worstLog > 3 {
		t.Errorf("Exp is off by %.2f·2⁻⁵³, Log by %.2f·2⁻⁵³", worstExp, worstLog)
	}
	if Log(1) != 0 {
		t.Errorf("Log(1) = %v", Log(1))
	}
}
