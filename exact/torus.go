package exact

import (
	"fmt"
	"math"
	"math/big"

	"kadanoff/exact/bigfloat"
)

// MaxTorus is the largest side of a torus that NewTorus takes.
const MaxTorus = 4096

// Torus is the L×L square lattice of Ising spins with periodic boundaries at
// one temperature.
type Torus struct {
	L    int
	T    float64
	logZ jet // of ln Z in K = 1/T
	prec bigfloat.Prec
}

// NewTorus computes ln Z and its derivatives by Kaufman's formula, for
// 2 ≤ L ≤ MaxTorus and 0.001 ≤ T ≤ 1e6:
//
//	Z = ½ (2 sinh 2K)^{L²/2} [Π 2cosh(Lγ_{2r+1}/2) + Π 2sinh(Lγ_{2r+1}/2) + Π 2cosh(Lγ_{2r}/2) + Π 2sinh(Lγ_{2r}/2)],
//	cosh γ_r = cosh 2K coth 2K − cos(πr/L),   γ_0 = 2K + ln tanh K with its sign.
//
// (B. Kaufman, Phys. Rev. 76, 1232 (1949); the sign of γ_0 makes the last
// product negative above T_c.) In y_r = e^{γ_r} everything but the outer
// logarithm is algebraic, and derivatives in K are carried along. Big floats
// make up for what cancels: results are right to the last digit or nearly so.
// The work grows like L ln L; L = 64 takes milliseconds, L = 4096 most of a second.
func NewTorus(l int, t float64) (*Torus, error) {
	if l < 2 || l > MaxTorus {
		return nil, fmt.Errorf("torus of side %d: want 2 to %d", l, MaxTorus)
	}
	if !(t >= 1e-3 && t <= 1e6) {
		return nil, fmt.Errorf("T = %v: want 0.001 to 1e6", t)
	}
	// Low T: the specific heat, about 64K² e^{−8K}, is what is left of sums of
	// order 1. High T: the energy is O(K) and comes out of terms of order 1/K.
	prec := basePrec + bigfloat.Prec(6*math.Log2(max(t, 1)))
	if t >= coldest {
		prec += bigfloat.Prec(12 / t)
	}
	p := jets{prec}
	k := jet{p.Quo(p.Int(1), p.Float(t)), p.Int(1), p.Int(0)}
	e := p.Exp(p.Ldexp(k.v, 1)) // e^{2K}
	e2 := jet{e, p.Scale(2, e), p.Scale(4, e)}
	one := p.constant(p.Int(1))
	two := p.constant(p.Int(2))
	inverse := p.quo(one, e2)
	sinh2 := p.sub(e2, inverse) // 2 sinh 2K
	cosh2 := p.add(e2, inverse)
	tanhK := p.quo(p.sub(e2, one), p.add(e2, one))
	// cosh 2K coth 2K = (2cosh 2K)²/(2·2 sinh 2K)
	c := p.quo(p.mul(cosh2, cosh2), p.mul(two, sinh2))

	// For the odd and the even r: Π y, Π (1 + y^{−L}) and Π (1 − y^{−L}).
	type products struct{ y, plus, minus jet }
	var part [2]products
	cosines := cosines(prec, l)
	for parity := range part {
		prod := products{one, one, one}
		for r := 1 - parity; r < 2*l; r += 2 {
			var y jet
			if r == 0 {
				y = p.mul(e2, tanhK) // e^{γ_0}
			} else {
				ch := p.sub(c, p.constant(cosines[min(r, 2*l-r)]))
				y = p.add(ch, p.sqrt(p.sub(p.mul(ch, ch), one)))
			}
			small := p.quo(one, p.pow(y, l))
			prod.y = p.mul(prod.y, y)
			prod.plus = p.mul(prod.plus, p.add(one, small))
			prod.minus = p.mul(prod.minus, p.sub(one, small))
		}
		part[parity] = prod
	}
	odd, even := part[0], part[1]
	// Π 2cosh(Lγ/2) = (Π y)^{L/2} Π (1 + y^{−L})
	ratio := p.pow(p.sqrt(p.quo(even.y, odd.y)), l)
	sum := p.add(p.add(odd.plus, odd.minus), p.mul(ratio, p.add(even.plus, even.minus)))
	half := p.constant(p.Ldexp(p.Int(l), -1))
	logZ := p.add(
		p.add(p.mul(p.mul(half, p.constant(p.Int(l))), p.log(sinh2)), p.mul(half, p.log(odd.y))),
		p.sub(p.log(sum), p.log(two)))
	return &Torus{L: l, T: t, logZ: logZ, prec: prec}, nil
}

// coldest is the temperature below which the specific heat, smaller than
// e^{−780}, is 0 in a float64.
const coldest = 0.01

// cosines returns cos(πr/L) for r = 0 … L, by the recurrence
// cos((r+1)a) = 2 cos a cos ra − cos((r−1)a) with bits to spare.
func cosines(p bigfloat.Prec, l int) []*big.Float {
	w := p + 48
	c := []*big.Float{w.Int(1), w.Cos(w.Quo(w.Pi(), w.Int(l)))}
	for r := 1; r < l; r++ {
		c = append(c, w.Sub(w.Ldexp(w.Mul(c[1], c[r]), 1), c[r-1]))
	}
	for r := range c {
		c[r] = p.Round(c[r])
	}
	return c
}

// LogZ returns ln Z.
func (t *Torus) LogZ() float64 {
	f, _ := t.logZ.v.Float64()
	return f
}

// Energy returns the energy per spin in units of J, −d ln Z/dK/L².
func (t *Torus) Energy() float64 {
	f, _ := t.prec.Quo(t.logZ.d, t.prec.Int(-t.L*t.L)).Float64()
	return f
}

// SpecificHeat returns the specific heat per spin, K² d²ln Z/dK²/L².
func (t *Torus) SpecificHeat() float64 {
	if t.T < coldest {
		return 0
	}
	scale := t.prec.Mul(t.prec.Float(t.T), t.prec.Float(t.T))
	f, _ := t.prec.Quo(t.logZ.dd, t.prec.Scale(t.L*t.L, scale)).Float64()
	return f
}

// Moments returns E|m|, E[m²] and E[m⁴] of the magnetisation per spin of an
// L×L torus, m = V/L², from the counts of TorusDensity: L ≤ MaxDensityTorus.
func (t *Torus) Moments() (abs, square, fourth float64, err error) {
	d, err := TorusDensity(t.L)
	if err != nil {
		return 0, 0, 0, err
	}
	m, err := d.AtTemperature(t.T)
	if err != nil {
		return 0, 0, 0, err
	}
	sites := float64(t.L * t.L)
	for j, p := range m.P() {
		v := 1 - 2*float64(j)/sites
		abs += p * v
		square += p * v * v
		fourth += p * v * v * v * v
	}
	return abs, square, fourth, nil
}
