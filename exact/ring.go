package exact

import (
	"fmt"
	"math"
	"math/big"

	"kadanoff/exact/bigfloat"
)

// Ring is a closed chain of M ≥ 1 Ising spins at coupling K = 1/T per bond
// (negative K is antiferromagnetic). Its methods use closed forms in float64,
// arranged so that nothing overflows or cancels: relative errors stay near
// 1e-15.
type Ring struct {
	M int
	K float64
}

// NewRing checks M ≥ 1 and that K is finite.
func NewRing(m int, k float64) (Ring, error) {
	if m < 1 {
		return Ring{}, fmt.Errorf("ring of %d spins: want at least 1", m)
	}
	if math.IsNaN(k) || math.IsInf(k, 0) {
		return Ring{}, fmt.Errorf("K = %v: want a finite number", k)
	}
	return Ring{m, k}, nil
}

// power is t^n for t = tanh K, with its sign apart: sign·e^logarithm.
func (r Ring) power(n int) (sign, logarithm float64) {
	if n == 0 {
		return 1, 0
	}
	sign = 1
	if r.K < 0 && n%2 == 1 {
		sign = -1
	}
	return sign, float64(n) * logTanh(math.Abs(r.K))
}

// logTanh returns ln tanh k for k ≥ 0, precise also where tanh k rounds to 1.
func logTanh(k float64) float64 {
	if k < 0.5 {
		return math.Log(math.Tanh(k))
	}
	return math.Log1p(-2 / (math.Exp(2*k) + 1))
}

// onePlus returns 1 + t^n, small values included: −expm1 where t^n nears −1.
func (r Ring) onePlus(n int) float64 {
	sign, l := r.power(n)
	if sign < 0 {
		return -math.Expm1(l)
	}
	return 1 + math.Exp(l)
}

// LogZ returns ln Z, Z = (2 cosh K)^M + (2 sinh K)^M.
func (r Ring) LogZ() float64 {
	a := math.Abs(r.K)
	log2cosh := a + math.Log1p(math.Exp(-2*a))
	sign, l := r.power(r.M)
	correction := math.Log1p(math.Exp(l))
	if sign < 0 {
		correction = math.Log(-math.Expm1(l))
	}
	return math.FMA(float64(r.M), log2cosh, correction)
}

// Correlation returns ⟨s_i s_{i+d}⟩ = (t^d + t^{M−d})/(1 + t^M), t = tanh K,
// for any distance d (taken modulo M).
func (r Ring) Correlation(d int) float64 {
	d %= r.M
	if d < 0 {
		d += r.M
	}
	d = min(d, r.M-d)
	if d == 0 {
		return 1
	}
	if r.K == 0 {
		return 0
	}
	// t^d (1 + t^{M−2d})/(1 + t^M)
	sign, l := r.power(d)
	return sign * math.Exp(l) * r.onePlus(r.M-2*d) / r.onePlus(r.M)
}

// Energy returns the energy per spin, −⟨s_i s_{i+1}⟩, in units of J.
func (r Ring) Energy() float64 {
	if r.M == 1 {
		return -1
	}
	return -r.Correlation(1)
}

// SpecificHeat returns the specific heat per spin,
// K² d²ln Z/dK²/M = K² (1−t²) [1 − t^{2M−2} + (M−1) t^{M−2} (1−t²)]/(1 + t^M)².
func (r Ring) SpecificHeat() float64 {
	if r.M == 1 || r.K == 0 {
		return 0
	}
	a := math.Abs(r.K)
	e := math.Exp(-2 * a)
	sech2 := 4 * e / ((1 + e) * (1 + e))
	sign, l := r.power(r.M - 2)
	_, l2 := r.power(2*r.M - 2)
	bracket := -math.Expm1(l2) + float64(r.M-1)*sign*math.Exp(l)*sech2
	if sign < 0 {
		bracket = r.frustrated()
	}
	z := r.onePlus(r.M)
	return r.K * r.K * sech2 * bracket / (z * z)
}

// frustrated is the bracket of SpecificHeat on an antiferromagnetic ring with
// odd M, 1 − t^{2n} − n |t|^{n−1} (1−t²) with n = M−1 even, which cancels as
// |t| → 1: divided by 1−t² it is Σ_{i<n/2} (a^i − a^{n−1−i})², a = |t|.
func (r Ring) frustrated() float64 {
	n := r.M - 1
	l := logTanh(math.Abs(r.K))
	e := math.Exp(-2 * math.Abs(r.K))
	sech2 := 4 * e / ((1 + e) * (1 + e))
	sum := 0.0
	for i := range n / 2 {
		d := math.Exp(float64(i)*l) * -math.Expm1(float64(n-1-2*i)*l)
		sum += d * d
	}
	return sech2 * sum
}

// Distribution returns P(V) for V = −M, −M+2, …, M. M is at most MaxRing.
// Computed with big floats: right to the last digit, or 0 below the range of
// a float64.
func (r Ring) Distribution() ([]float64, error) {
	m, err := r.marginal()
	if err != nil {
		return nil, err
	}
	p := make([]float64, r.M+1)
	for j, x := range m.p {
		if 2*j != r.M {
			x = m.prec.Ldexp(x, -1)
		}
		f, _ := x.Float64()
		p[j], p[r.M-j] = f, f
	}
	return p, nil
}

// AbsMagnetization returns E|V|/M for M up to MaxRing.
func (r Ring) AbsMagnetization() (float64, error) {
	m, err := r.marginal()
	if err != nil {
		return 0, err
	}
	return m.AbsV() / float64(r.M), nil
}

// marginal sums the degeneracies of RingDegeneracy times e^{−4Kk} by the ratio
// of neighbouring terms, without keeping a table of M² big integers.
func (r Ring) marginal() (*Marginal, error) {
	if r.M > MaxRing {
		return nil, fmt.Errorf("distribution of V on a ring of %d spins: want at most %d", r.M, MaxRing)
	}
	const prec bigfloat.Prec = 128
	z := prec.Exp(prec.Scale(-4, prec.Float(r.K)))
	m := &Marginal{visible: r.M, prec: prec, p: make([]*big.Float, r.M/2+1)}
	m.p[0] = prec.Int(2)
	for j := 1; 2*j <= r.M; j++ {
		term := prec.Scale(2*r.M, z)
		if 2*j == r.M {
			term = prec.Scale(r.M, z)
		}
		sum := prec.Round(term)
		ratio := prec.Int(0)
		for k := 1; k < j; k++ {
			ratio.SetInt64(int64(j-k) * int64(r.M-j-k))
			term.Mul(term, ratio)
			ratio.SetInt64(int64(k) * int64(k+1))
			term.Quo(term, ratio)
			term.Mul(term, z)
			bigfloat.Accumulate(sum, term)
			// Terms fall faster and faster once they fall.
			if term.MantExp(nil) < sum.MantExp(nil)-int(prec)-16 {
				break
			}
		}
		m.p[j] = sum
	}
	m.normalise()
	return m, nil
}
