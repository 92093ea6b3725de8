package roots

import "math"

// target is the side of the equation that does not depend on W: the weights
// of a distribution of |V|, those of |V| < M scaled by a common factor so that
// they stay in range however rare these values are,
//
//	weight(M−2j) = e^(−scale)·low[j], j = 1 … h.
type target struct {
	low   []dd      // low[0] is not used
	lowF  []float64 // low to float64
	scale dd
	total dd // sum of all weights
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
	x, d    []float64 // x^k and 1 − x^k
	p, term []float64 // p and D of the last eval
	xx, dd  []dd
}

func newScratch(s *Size) *scratch {
	f := func() []float64 { return make([]float64, s.h+1) }
	return &scratch{f(), f(), f(), f(), make([]dd, s.h+1), make([]dd, s.h+1)}
}

// eval computes the sums at w. All terms are positive; with x = e^{−2W} and
// e = x^|V|
//
//	D = 2j·tanh MW + 2|V|·e(1 − x^{2j})/((1+e₀)(1+e))
//
// keeps its relative precision at any W, unlike the difference of two tanh.
// Powers x^k and 1 − x^k come by recurrence.
func (s *Size) eval(low []float64, w float64, t *scratch) (r sums) {
	x, d1 := expm1(-2 * w)
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
		p := float64(s.count[j] * powInt(float64(float64(t.x[j-1]*(1+e))*i1), s.N))
		n := math.FMA(t.x[j], t.d[j], t.d[j])
		D := math.FMA(float64(float64(2*v)*ei), float64(n*i0), float64(float64(2*j)*tm))
		dp := float64(4 * math.FMA(-float64(v*v), float64(ei*i), c0))
		t.p[j], t.term[j] = p, D
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

// logRatio returns F = ln(M−g) − ln(M−f), which has the sign of f − g, and
// dF/dW, from the sums at w.
func (s *Size) logRatio(q *target, r *sums, w float64) (f, slope float64) {
	nf := float64(s.N)
	u := powInt(r.u, s.N)
	p := math.FMA(u, r.sp, 2)
	b := float64(u*r.sb) / p
	lnU := math.FMA(-2, w, logf(r.r))
	f = logf(r.sa) + logf(p) - logf(q.total.hi) - logf(r.sb)
	f = -math.FMA(nf, lnU, q.scale.hi) + f
	return f, r.slope(b, nf)
}

// slope returns dF/dW, b being M − f.
func (r *sums) slope(b, nf float64) float64 {
	return math.FMA(-nf, b, r.sad/r.sa-r.sbd/r.sb)
}

// evalExact computes in double-double the ratio ρ = (M−g)/(M−f) at w, and
// M − f, M − g being e^(−scale)·ΣlowD/total.
func (s *Size) evalExact(q *target, w dd, t *scratch) (rho, mf dd) {
	x, d1 := w.scale(-2).expm1()
	h := s.h
	t.xx[0], t.dd[0] = ddOne, dd{}
	for k := 1; k <= h; k++ {
		t.dd[k] = t.dd[k-1].add(t.xx[k-1].mul(d1))
		t.xx[k] = t.xx[k-1].mul(x)
	}
	square := func(k int) dd {
		e := t.xx[k].mul(t.xx[k])
		if s.odd {
			e = e.mul(x)
		}
		return e
	}
	e0, e1 := square(h), square(h-1)
	n0 := t.dd[h].add(t.dd[h].mul(t.xx[h]))
	if s.odd {
		n0 = n0.add(t.xx[h].mul(t.xx[h]).mul(d1))
	}
	i0 := ddOne.div(e0.addFloat(1))
	i1 := ddOne.div(e1.addFloat(1))
	tm := n0.mul(i0)
	var sa, sp, sb dd
	for j := 1; j <= h; j++ {
		e := square(h - j)
		e1p := e.addFloat(1)
		v := s.value[j]
		D := tm.scale(2).mulFloat(float64(j))
		if v != 0 {
			n := t.dd[j].add(t.dd[j].mul(t.xx[j]))
			D = D.add(e.mul(n).mul(i0).mulFloat(2 * v).div(e1p))
		}
		p := s.binom[j].mul(t.xx[j-1].mul(e1p).mul(i1).pow(s.N))
		sa = sa.add(q.low[j].mul(D))
		sp = sp.add(p)
		sb = sb.add(p.mul(D))
	}
	r := e1.addFloat(1).mul(i0)
	u := x.mul(r).pow(s.N)
	p := u.mul(sp).addFloat(2)
	mf = u.mul(sb).div(p)
	// (M−g)/(M−f) = e^(−scale) u^(−N) · sa·p/(sb·total): the first two factors
	// may leave the float64 range one by one.
	nf := dd{float64(s.N), 0}
	y, _ := w.scale(2).sub(q.scale.div(nf)).expm1()
	rho = y.div(r).pow(s.N).mul(sa.mul(p)).div(sb.mul(q.total))
	return rho, mf
}

// Newton's method stops with a step below these parts of W. The error after
// such a step is about its square.
const (
	stepFloat = 0x1p-24
	stepExact = 0x1p-34
)

// maxSteps bounds both Newton iterations; with a bracket each of them halves
// at worst.
const maxSteps = 100

// noise is where F is taken as zero in float64: the double-double iteration
// goes on from there.
const noise = 0x1p-44

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

// solve returns the positive root of f = g in double-double, from a start
// w > 0. F is negative below the root and positive above it.
func (s *Size) solve(q *target, w float64, t *scratch) dd {
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
	b = bracket{0, math.Inf(1)}
	W := dd{w, 0}
	for range maxSteps {
		r := s.eval(q.lowF, W.hi, t)
		_, slope := s.logRatio(q, &r, W.hi)
		rho, _ := s.evalExact(q, W, t)
		// ln ρ to second order: ρ is close to 1 but for a start that float64
		// could not improve, where its sign is enough.
		d := rho.addFloat(-1).hi
		f := d / math.FMA(0.5, d, 1)
		if f < 0 {
			b.lo = W.hi
		} else {
			b.hi = W.hi
		}
		step := -f / slope
		next := W.addFloat(step)
		if !(next.hi >= b.lo && next.hi <= b.hi) {
			next = dd{b.step(W.hi, f, slope), 0}
			step = next.hi - W.hi
		}
		W = next
		if math.Abs(step) <= stepExact*W.hi {
			break
		}
	}
	return W
}

// residual returns f − g at w.
func (s *Size) residual(q *target, w float64, t *scratch) float64 {
	rho, mf := s.evalExact(q, dd{w, 0}, t)
	return rho.addFloat(-1).mul(mf).hi
}
