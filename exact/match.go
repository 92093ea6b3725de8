package exact

import (
	"fmt"
	"math"
	"math/big"

	"kadanoff/exact/bigfloat"
)

// Root is the solution of f(W) = g(W).
type Root struct {
	W        float64    // the positive root, or 0 when there is none
	Exact    *big.Float // W to at least 30 digits
	F        float64    // f at Exact, which is also g
	Residual float64    // f(W) − g(W) at the float64 W
}

// Solve returns the W > 0 at which a uniform RBM with n hidden units comes
// closest, in Kullback–Leibler divergence, to spins whose V is distributed as
// m (eqs 52–74): f(W) = g(W), where f is the mean of V tanh VW under the RBM
// and g under m. W = 0 is returned when the spins of m agree no more than
// chance makes them: for a ring or torus, when K ≤ 0.
//
// The equation is solved as ln Σ_{V<M} q·D = ln Σ_{V<M} p·D with
// D = M tanh MW − V tanh VW, in which all terms are positive, by regula falsi
// within a bracket; the relative error is below 1e-30. When V = M has all the
// probability, W is +Inf. M = 1 has no equation to solve and is an error.
func (m *Marginal) Solve(n int) (Root, error) {
	if n < 1 || n > MaxMatchHidden {
		return Root{}, fmt.Errorf("%d hidden units: want 1 to %d", n, MaxMatchHidden)
	}
	if m.visible < 2 {
		return Root{}, fmt.Errorf("%d visible units: want at least 2", m.visible)
	}
	rest := 0
	for _, x := range m.p[1:] {
		rest += x.Sign()
	}
	if rest == 0 {
		return Root{W: math.Inf(1), Exact: new(big.Float).SetInf(false), F: float64(m.visible)}, nil
	}
	excess := m.chiExcess()
	if excess.Sign() <= 0 || excess.MantExp(nil) < -int(m.prec)/2 {
		return Root{Exact: m.prec.Int(0)}, nil
	}
	s := newMatcher(m, n)
	w := s.bracketed(excess)
	root := Root{Exact: w}
	root.W, _ = w.Float64()
	root.F, _ = s.sides(w).f.Float64()
	at := s.sides(m.prec.Float(root.W))
	root.Residual, _ = m.prec.Sub(at.restG, at.restF).Float64()
	return root, nil
}

// F returns f(W) = E_p[V tanh VW] of the uniform RBM with m visible and n
// hidden units, and G the same mean under a marginal; W ≥ 0.
func F(m, n int, w float64) (float64, error) {
	if err := checkUniform(m, n); err != nil {
		return 0, err
	}
	if !(w >= 0) || math.IsInf(w, 1) {
		return 0, fmt.Errorf("W = %v: want a finite number of at least 0", w)
	}
	if w == 0 {
		return 0, nil
	}
	f, _ := newMatcher(Aligned(m), n).sides(basePrec.Float(w)).f.Float64()
	return f, nil
}

// G returns g(W) = E[V tanh VW] under m, W ≥ 0.
func (m *Marginal) G(w float64) (float64, error) {
	if !(w >= 0) || math.IsInf(w, 1) {
		return 0, fmt.Errorf("W = %v: want a finite number of at least 0", w)
	}
	if w == 0 {
		return 0, nil
	}
	g, _ := newMatcher(m, 1).sides(m.prec.Float(w)).g.Float64()
	return g, nil
}

func checkUniform(m, n int) error {
	if m < 1 || m > MaxRing {
		return fmt.Errorf("%d visible units: want 1 to %d", m, MaxRing)
	}
	if n < 1 || n > MaxMatchHidden {
		return fmt.Errorf("%d hidden units: want 1 to %d", n, MaxMatchHidden)
	}
	return nil
}

// matcher evaluates both sides of f = g for one marginal and one N.
type matcher struct {
	*Marginal
	hidden   int
	binomial []*big.Float // states with |V| = M − 2j
}

func newMatcher(m *Marginal, n int) *matcher {
	return &matcher{Marginal: m, hidden: n, binomial: absVCounts(m.prec, m.visible)}
}

// absVCounts returns how many states of m spins have |V| = m − 2j.
func absVCounts(p bigfloat.Prec, m int) []*big.Float {
	counts := make([]*big.Float, m/2+1)
	n := big.NewInt(1)
	for j := range counts {
		counts[j] = p.BigInt(n)
		if 2*j != m {
			counts[j] = p.Ldexp(counts[j], 1)
		}
		n = new(big.Int).Mul(n, big.NewInt(int64(m-j)))
		n.Quo(n, big.NewInt(int64(j+1)))
	}
	return counts
}

// sides are both sides of the equation at one W.
type sides struct {
	f, g         *big.Float
	restF, restG *big.Float // M tanh MW − f and M tanh MW − g, without cancellation
}

// sides evaluates, with x = e^{−2W}, V = M − 2j and t(V) = tanh VW =
// (1 − x^V)/(1 + x^V),
//
//	D_j = (M−V) t(M) + V (t(M) − t(V)),   t(M) − t(V) = 2(x^V − x^M)/((1+x^M)(1+x^V)),
//	p_j ∝ C_j (cosh VW/cosh MW)^N = C_j (x^j (1+x^V)/(1+x^M))^N.
func (s *matcher) sides(w *big.Float) sides {
	p, m := s.prec, s.visible
	one := p.Int(1)
	x := p.Exp(p.Scale(-2, w))
	x2 := p.Mul(x, x)
	terms := m/2 + 1
	power := make([]*big.Float, terms) // x^V
	power[terms-1] = one
	if m%2 == 1 {
		power[terms-1] = x
	}
	for j := terms - 2; j >= 0; j-- {
		power[j] = p.Mul(power[j+1], x2)
	}
	xm := power[0]
	onePlus := p.Add(one, xm)
	tm := p.Quo(p.Sub(one, xm), onePlus)
	restG, restF, sum := p.Int(0), p.Int(0), p.Round(s.binomial[0])
	xj := one
	for j := 1; j < terms; j++ {
		xj = p.Mul(xj, x)
		v := m - 2*j
		onePlusV := p.Add(one, power[j])
		gap := p.Quo(p.Ldexp(p.Sub(power[j], xm), 1), p.Mul(onePlus, onePlusV))
		d := p.Add(p.Scale(2*j, tm), p.Scale(v, gap))
		weight := p.Mul(s.binomial[j], p.Pow(p.Mul(xj, p.Quo(onePlusV, onePlus)), s.hidden))
		bigfloat.Accumulate(sum, weight)
		bigfloat.Accumulate(restF, weight.Mul(weight, d))
		bigfloat.Accumulate(restG, d.Mul(d, s.p[j]))
	}
	restF.Quo(restF, sum)
	mt := p.Scale(m, tm)
	return sides{f: p.Sub(mt, restF), g: p.Sub(mt, restG), restF: restF, restG: restG}
}

// imbalance is ln(restG/restF): negative below the root, positive above.
func (s *matcher) imbalance(w *big.Float) *big.Float {
	e := s.sides(w)
	return s.prec.Log(s.prec.Quo(e.restG, e.restF))
}

// bracketed doubles W from 1e-3·√(excess/(NM)), far below any root, until the
// sign changes, and closes the bracket by regula falsi with the Illinois rule.
func (s *matcher) bracketed(excess *big.Float) *big.Float {
	p := s.prec
	lo := p.Mul(p.Float(1e-3), p.Sqrt(p.Quo(excess, p.Int(s.hidden*s.visible))))
	fLo := s.imbalance(lo)
	hi := p.Ldexp(lo, 1)
	fHi := s.imbalance(hi)
	for fHi.Sign() < 0 {
		lo, fLo = hi, fHi
		hi = p.Ldexp(lo, 1)
		fHi = s.imbalance(hi)
	}
	const bits = 112 // of the root
	side := 0
	for {
		width := p.Sub(hi, lo)
		w := p.Add(lo, p.Mul(width, p.Quo(fLo, p.Sub(fLo, fHi))))
		if w.Cmp(lo) <= 0 || w.Cmp(hi) >= 0 {
			return w
		}
		f := s.imbalance(w)
		switch f.Sign() {
		case 0:
			return w
		case -1:
			if step := p.Sub(w, lo); small(step, w, bits) {
				return w
			}
			lo, fLo = w, f
			if side == -1 {
				fHi = p.Ldexp(fHi, -1)
			}
			side = -1
		case 1:
			if step := p.Sub(hi, w); small(step, w, bits) {
				return w
			}
			hi, fHi = w, f
			if side == 1 {
				fLo = p.Ldexp(fLo, -1)
			}
			side = 1
		}
	}
}

// small reports whether step is below 2^-bits of w.
func small(step, w *big.Float, bits int) bool {
	return step.Sign() == 0 || step.MantExp(nil) < w.MantExp(nil)-bits
}
