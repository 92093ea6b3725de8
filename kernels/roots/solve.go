package roots

import (
	"math"

	"kadanoff/spin/fmath"
)

// target is the side of the equation that does not depend on W: the weights
// of a distribution of |V|, those of |V| < M scaled by a common factor so that
// they stay in range however rare these values are,
//
//	weight(M−2j) = e^(−scale)·low[j], j = 1 … h.
type target struct {
	low   []fmath.DD // low[0] is not used
	lowF  []float64  // low to float64
	scale fmath.DD
	total fmath.DD // sum of all weights
}

// sums are the two sides in float64 at one W. With |V| = M−2j, T = |V| tanh |V|W,
// D = M tanh MW − T and p = C·cosh^N(VW) relative to its value at j = 1:
//
//	sa = Σ low·D, sad = Σ low·D′, sp = Σ p, sb = Σ p·D, sbd = Σ p(D′ − N·D²)
//
// over j ≥ 1; u = e^{−2W}(1+e₁)/(1+e₀) is cosh((M−2)W)/cosh(MW), r its last
// factor.
type sums struct{ sa, sad, sp, sb, sbd, u, r float64 }

// scratch is what one goroutine needs to evaluate both sides.
type scratch struct {
	x, d   []float64 // x^k and 1 − x^k
	term   []float64 // D of the last eval
	xx, dd []fmath.DD
}

func newScratch(s *Size) *scratch {
	f := func() []float64 { return make([]float64, s.h+1) }
	return &scratch{f(), f(), f(), make([]fmath.DD, s.h+1), make([]fmath.DD, s.h+1)}
}

// eval computes the sums at w. All terms are positive; with x = e^{−2W} and
// e = x^|V|
//
//	D = 2j·tanh MW + 2|V|·e(1 − x^{2j})/((1+e₀)(1+e))
//
// keeps its relative precision at any W, unlike the difference of two tanh.
// Powers x^k and 1 − x^k come by recurrence.
func (s *Size) eval(low []float64, w float64, t *scratch) (r sums) {
	x, d1 := fmath.ExpComplement(-2 * w)
	h := s.h
	t.x[0], t.d[0] = 1, 0
	for k := 1; k <= h; k++ {
		t.d[k] = math.FMA(t.x[k-1], d1, t.d[k-1])
		t.x[k] = float64(t.x[k-1] * x)
	}
	// e₀ = x^M and 1 − e₀.
	e0 := float64(t.x[h] * t.x[h])
	n0 := math.FMA(t.x[h], t.d[h], t.d[h])
	e1 := float64(t.x[h-1] * t.x[h-1])
	if s.odd {
		n0 = math.FMA(e0, d1, n0)
		e0 = float64(e0 * x)
		e1 = float64(e1 * x)
	}
	i0 := 1 / (1 + e0)
	i1 := 1 / (1 + e1)
	tm := float64(n0 * i0)
	m2 := float64(s.M) * float64(s.M)
	c0 := float64(float64(float64(e0*i0)*i0) * m2)
	nf := float64(s.N)
	for j := 1; j <= h; j++ {
		e := float64(t.x[h-j] * t.x[h-j])
		if s.odd {
			e = float64(e * x)
		}
		i := 1 / (1 + e)
		ei := float64(e * i)
		v := s.value[j]
		p := float64(s.count[j] * fmath.PowInt(float64(float64(t.x[j-1]*(1+e))*i1), s.N))
		n := math.FMA(t.x[j], t.d[j], t.d[j])
		D := math.FMA(float64(float64(2*v)*ei), float64(n*i0), float64(float64(2*j)*tm))
		dp := float64(4 * math.FMA(-float64(v*v), float64(ei*i), c0))
		t.term[j] = D
		r.sa = math.FMA(low[j], D, r.sa)
		r.sad = math.FMA(low[j], dp, r.sad)
		r.sp += p
		r.sb = math.FMA(p, D, r.sb)
		r.sbd = math.FMA(p, math.FMA(-float64(nf*D), D, dp), r.sbd)
	}
	r.r = (1 + e1) * i0
	r.u = x * r.r
	return r
}

// logRatio returns F = ln(⟨D⟩_q/⟨D⟩_p), which has the sign of f − g, and
// dF/dW, from the sums at w.
func (s *Size) logRatio(q *target, r *sums, w float64) (f, slope float64) {
	nf := float64(s.N)
	u := fmath.PowInt(r.u, s.N)
	p := math.FMA(u, r.sp, 2)
	b := float64(u*r.sb) / p
	lnU := math.FMA(-2, w, fmath.Log(r.r))
	f = fmath.Log(r.sa) + fmath.Log(p) - fmath.Log(q.total.Hi) - fmath.Log(r.sb)
	f = -math.FMA(nf, lnU, q.scale.Hi) + f
	return f, r.slope(b, nf)
}

// slope returns dF/dW, b being ⟨D⟩_p.
func (r *sums) slope(b, nf float64) float64 {
	return math.FMA(-nf, b, r.sad/r.sa-r.sbd/r.sb)
}

// evalExact computes in double-double the ratio ρ = ⟨D⟩_q/⟨D⟩_p at w, and
// ⟨D⟩_p, ⟨D⟩_q being e^(−scale)·ΣlowD/total.
func (s *Size) evalExact(q *target, w fmath.DD, t *scratch) (rho, mf fmath.DD) {
	x, d1 := w.Scale(-2).ExpComplement()
	h := s.h
	t.xx[0], t.dd[0] = fmath.DD{Hi: 1}, fmath.DD{}
	for k := 1; k <= h; k++ {
		t.dd[k] = t.dd[k-1].Add(t.xx[k-1].Mul(d1))
		t.xx[k] = t.xx[k-1].Mul(x)
	}
	square := func(k int) fmath.DD {
		e := t.xx[k].Mul(t.xx[k])
		if s.odd {
			e = e.Mul(x)
		}
		return e
	}
	e0, e1 := square(h), square(h-1)
	n0 := t.dd[h].Add(t.dd[h].Mul(t.xx[h]))
	if s.odd {
		n0 = n0.Add(t.xx[h].Mul(t.xx[h]).Mul(d1))
	}
	i0 := fmath.DD{Hi: 1}.Div(e0.AddFloat(1))
	i1 := fmath.DD{Hi: 1}.Div(e1.AddFloat(1))
	tm := n0.Mul(i0)
	var sa, sp, sb fmath.DD
	for j := 1; j <= h; j++ {
		e := square(h - j)
		e1p := e.AddFloat(1)
		v := s.value[j]
		D := tm.Scale(2).MulFloat(float64(j))
		if v != 0 {
			n := t.dd[j].Add(t.dd[j].Mul(t.xx[j]))
			D = D.Add(e.Mul(n).Mul(i0).MulFloat(2 * v).Div(e1p))
		}
		p := s.binom[j].Mul(t.xx[j-1].Mul(e1p).Mul(i1).Pow(s.N))
		sa = sa.Add(q.low[j].Mul(D))
		sp = sp.Add(p)
		sb = sb.Add(p.Mul(D))
	}
	r := e1.AddFloat(1).Mul(i0)
	u := x.Mul(r).Pow(s.N)
	p := u.Mul(sp).AddFloat(2)
	mf = u.Mul(sb).Div(p)
	// ⟨D⟩_q/⟨D⟩_p = e^(−scale) u^(−N) · sa·p/(sb·total): the first two factors
	// may leave the float64 range one by one.
	nf := fmath.DD{Hi: float64(s.N)}
	y, _ := w.Scale(2).Sub(q.scale.Div(nf)).ExpComplement()
	rho = y.Div(r).Pow(s.N).Mul(sa.Mul(p)).Div(sb.Mul(q.total))
	return rho, mf
}

// Newton's method stops with a step below these parts of W. The error after
// such a step is about its square, that of a secant about its product with the
// step before.
const (
	stepFloat  = 0x1p-24
	stepExact  = 0x1p-34
	stepSecant = 0x1p-50
)

// maxSteps bounds both Newton iterations; with a bracket each of them halves
// at worst.
const maxSteps = 100

// noise is where F is taken as zero in float64: the double-double iteration
// goes on from there.
const noise = 0x1p-44

// flat is the W·dF/dW below which its float64 value is not used.
const flat = 1e-12

// bracket keeps the root between lo and hi.
type bracket struct{ lo, hi float64 }

// step returns the next W from w, with f the value (or the sign) of F and
// slope dF/dW: Newton's when that stays inside the bracket, else the middle
// of the bracket, but at most 2w (there may be no upper end yet).
func (b *bracket) step(w, f, slope float64) float64 {
	if f < 0 {
		b.lo = w
	} else {
		b.hi = w
	}
	next := w - f/slope
	if next >= b.lo && next <= b.hi {
		return next
	}
	return min(2*w, b.lo+float64(0.5*(b.hi-b.lo)))
}

// solveFloat returns the positive root of f = g in float64, from a start w > 0.
// F is negative below the root and positive above it.
func (s *Size) solveFloat(q *target, w float64, t *scratch) float64 {
	b := bracket{0, math.Inf(1)}
	for range maxSteps {
		r := s.eval(q.lowF, w, t)
		f, slope := s.logRatio(q, &r, w)
		if math.Abs(f) <= noise {
			break
		}
		next := b.step(w, f, slope)
		small := math.Abs(next-w) <= stepFloat*w
		w = next
		if small {
			break
		}
	}
	return w
}

// solve is solveFloat and on in double-double.
func (s *Size) solve(q *target, w float64, t *scratch) fmath.DD {
	b := bracket{0, math.Inf(1)}
	W := fmath.DD{Hi: s.solveFloat(q, w, t)}
	var last struct {
		w        fmath.DD
		f, slope float64
	}
	for range maxSteps {
		r := s.eval(q.lowF, W.Hi, t)
		_, slope := s.logRatio(q, &r, W.Hi)
		rho, _ := s.evalExact(q, W, t)
		// ln ρ to second order: ρ is close to 1 but for a start that float64
		// could not improve, where its sign is enough.
		d := rho.AddFloat(-1).Hi
		f := d / math.FMA(0.5, d, 1)
		first := last.slope == 0
		secant := !(slope*W.Hi > flat)
		if secant {
			// The float64 derivative has no digits: a secant does, after a
			// first step to have one.
			slope = (f - last.f) / W.Sub(last.w).Hi
			if first {
				slope = f / (0.01 * W.Hi)
				if f < 0 {
					slope = -slope
				}
			}
		} else {
			first = false
		}
		last.w, last.f, last.slope = W, f, slope
		if f < 0 {
			b.lo = W.Hi
		} else {
			b.hi = W.Hi
		}
		step := -f / slope
		next := W.AddFloat(step)
		if !(next.Hi >= b.lo && next.Hi <= b.hi) {
			next = fmath.DD{Hi: b.step(W.Hi, f, slope)}
			step = next.Hi - W.Hi
		}
		W = next
		limit := stepExact * W.Hi
		if secant {
			limit = stepSecant * W.Hi
		}
		if !first && math.Abs(step) <= limit {
			break
		}
	}
	return W
}

// residual returns f − g at w.
func (s *Size) residual(q *target, w float64, t *scratch) float64 {
	rho, mf := s.evalExact(q, fmath.DD{Hi: w}, t)
	return rho.AddFloat(-1).Mul(mf).Hi
}
