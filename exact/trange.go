package exact

import (
	"fmt"
	"math"
	"math/big"
	"sync"

	"kadanoff/exact/bigfloat"
)

// Over returns the distribution of |V| averaged uniformly over the
// temperatures from t1 to t0, 0 ≤ t1 < t0 (eqs 64, 78, 79): t1 = 0 is in the
// range as its limit, where only the aligned states count.
//
// With K = 1/T it is ∫ p(K)/K² dK/(t0−t1) from 1/t0 to 1/t1, by Gauss–Legendre
// panels of 32 nodes, narrow against the distance of the zeros of Z in the
// complex K plane and of the pole at K = 0. For V < M the integrand falls like
// e^{−4K}: the sum ends where that is below the working precision. What the
// aligned states have is one minus the rest.
func (d *Density) Over(t1, t0 float64) (*Marginal, error) {
	if !(t1 >= 0) || !(t0 > t1) || math.IsInf(t0, 1) {
		return nil, fmt.Errorf("temperatures from %v to %v: want 0 ≤ lower < upper", t1, t0)
	}
	if t0 < 1e-6 || t0 > 1e9 {
		return nil, fmt.Errorf("temperatures up to %v: want an upper end between 1e-6 and 1e9", t0)
	}
	prec := precFor(1 / t0)
	counts := d.at(prec)
	quanta := 0
	for _, row := range counts {
		quanta = max(quanta, len(row))
	}
	total := make([]*big.Float, quanta)
	for _, row := range counts {
		for k, n := range row {
			if n != nil {
				if total[k] == nil {
					total[k] = prec.Int(0)
				}
				bigfloat.Accumulate(total[k], n)
			}
		}
	}
	// integral[k] = ∫ z^k/(Z K²) dK for k ≥ 1.
	integral := make([]*big.Float, quanta)
	for k := range integral {
		integral[k] = prec.Int(0)
	}
	node := func(k, weight *big.Float) {
		z := prec.Exp(prec.Scale(-4, k))
		power, sum := prec.Int(1), prec.Int(0)
		for _, n := range total {
			if n != nil {
				bigfloat.Accumulate(sum, prec.Mul(n, power))
			}
			power.Mul(power, z)
			// Fewer than 2^M states have more quanta, each of smaller weight.
			if power.MantExp(nil) < -d.visible-int(prec) {
				break
			}
		}
		term := prec.Quo(weight, prec.Mul(sum, prec.Mul(k, k)))
		for q := 1; q < quanta; q++ {
			term.Mul(term, z)
			// Past the first panels z is smaller than it was there: if the term no
			// longer counts for q, it does not for what follows.
			if integral[q].Sign() > 0 && term.MantExp(nil) < integral[q].MantExp(nil)-int(prec) {
				break
			}
			bigfloat.Accumulate(integral[q], term)
		}
	}
	gauss := legendre(prec)
	lo := prec.Quo(prec.Int(1), prec.Float(t0))
	start, _ := lo.Float64()
	// Beyond end, e^{−4(K−K₀)} has dropped below the working precision.
	end, hi := start+float64(prec)*math.Ln2/4, (*big.Float)(nil)
	if t1 > 0 && 1/t1 <= end {
		hi = prec.Quo(prec.Int(1), prec.Float(t1))
	} else {
		hi = prec.Float(end)
	}
	for lo.Cmp(hi) < 0 {
		a, _ := lo.Float64()
		next := prec.Add(lo, prec.Float(panelWidth(a)))
		if next.Cmp(hi) > 0 {
			next = hi
		}
		half := prec.Ldexp(prec.Sub(next, lo), -1)
		middle := prec.Ldexp(prec.Add(next, lo), -1)
		for i, x := range gauss.x {
			shift, w := prec.Mul(half, x), prec.Mul(half, gauss.w[i])
			node(prec.Add(middle, shift), w)
			node(prec.Sub(middle, shift), w)
		}
		lo = next
	}
	m := &Marginal{visible: d.visible, prec: prec, p: []*big.Float{prec.Int(1)}}
	width := prec.Sub(prec.Float(t0), prec.Float(t1))
	for _, row := range counts[1:] {
		sum := prec.Int(0)
		for k, n := range row {
			if n != nil {
				bigfloat.Accumulate(sum, prec.Mul(n, integral[k]))
			}
		}
		m.p = append(m.p, prec.Quo(sum, width))
		m.p[0] = prec.Sub(m.p[0], m.p[len(m.p)-1])
	}
	return m, nil
}

// panelWidth is the width of the panel that begins at K = a. The pole at 0
// asks for panels no wider than a; the zeros of Z, π/4 from the real axis on a
// ring and near K = 0.44 on a torus, for narrow ones below K = 1.
func panelWidth(a float64) float64 {
	switch {
	case a < 1:
		return min(a, 1./16)
	case a < 4:
		return 1. / 4
	}
	return 1. / 2
}

// gaussLegendre holds the positive half of an even number of nodes.
type gaussLegendre struct{ x, w []*big.Float }

const gaussNodes = 32

var gaussRules = new(sync.Map)

// legendre returns the rule of gaussNodes nodes at precision p: Newton's
// method on the Legendre polynomial from the usual float64 start.
func legendre(p bigfloat.Prec) gaussLegendre {
	if g, ok := gaussRules.Load(p); ok {
		return g.(gaussLegendre)
	}
	const n = gaussNodes
	var g gaussLegendre
	w := p + 32
	one := w.Int(1)
	for i := range n / 2 {
		x := w.Float(math.Cos(math.Pi * (float64(i) + 0.75) / (n + 0.5)))
		var slope *big.Float
		for right := 4; ; right *= 2 {
			p0, p1 := w.Int(1), w.Round(x)
			for k := 2; k <= n; k++ {
				// k P_k = (2k−1) x P_{k−1} − (k−1) P_{k−2}
				next := w.Sub(w.Mul(w.Scale(2*k-1, x), p1), w.Scale(k-1, p0))
				p0, p1 = p1, w.Quo(next, w.Int(k))
			}
			// P' = n (x P_n − P_{n−1})/(x² − 1)
			slope = w.Quo(w.Scale(n, w.Sub(w.Mul(x, p1), p0)), w.Sub(w.Mul(x, x), one))
			if right > int(w) {
				break
			}
			x = w.Sub(x, w.Quo(p1, slope))
		}
		// w = 2/((1 − x²) P'²)
		weight := w.Quo(w.Int(2), w.Mul(w.Sub(one, w.Mul(x, x)), w.Mul(slope, slope)))
		g.x, g.w = append(g.x, p.Round(x)), append(g.w, p.Round(weight))
	}
	gaussRules.Store(p, g)
	return g
}
