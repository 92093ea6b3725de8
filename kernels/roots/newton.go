package roots

import (
	"fmt"
	"math"
	"sync"

	"kadanoff/spin/fmath"
)

// A distribution is ordinary when the vector kernel can take it: no negative
// weight, total and rare weights far inside the float64 range, and ⟨V²⟩ > M.
// All others are looked at one by one.
const (
	minTotal = 0x1p-400
	maxTotal = 0x1p400
	minRare  = 0x1p-400 // smallest Σ weight·(M−|V|) in parts of the total
)

// maxNewton bounds the steps of the float64 iteration; two are usual for rings and three for others. A lane
// that needs more is solved by itself.
const maxNewton = 24

// newton solves one ordinary distribution, q[j] the weight of |V| = M−2j, in
// float64. It returns the root and W·dF/dW there, which is what F's rounding
// has to be divided by to get that of W; 0 says that the lane needs to be
// looked at.
func (s *Size) newton(q []float64, t *scratch) (w, slope float64) {
	var total, deficit, excess float64
	least := q[0]
	m := float64(s.M)
	for j, x := range q {
		total += x
		deficit = math.FMA(x, float64(2*j), deficit)
		v := s.value[j]
		excess = math.FMA(x, float64(v*v)-m, excess)
		if x < least {
			least = x
		}
	}
	if !(least >= 0 && total >= minTotal && total <= maxTotal && deficit >= float64(minRare*total) && excess > 0) {
		return 0, 0
	}
	w = s.guess.start(total, deficit)
	b := bracket{0, math.Inf(1)}
	nf := float64(s.N)
	for range maxNewton {
		r := s.eval(q, w, t)
		u := fmath.PowInt(r.u, s.N)
		p := math.FMA(u, r.sp, 2)
		ub := float64(u * r.sb)
		// F = ln(x/y) = 2·atanh((x−y)/(x+y)), three terms: sign and size are
		// right anywhere, and close to the root all digits.
		x := float64(r.sa * p)
		y := float64(ub * total)
		a := (x - y) / (x + y)
		a2 := float64(a * a)
		f := float64(a * math.FMA(a2, math.FMA(a2, 2.0/5, 2.0/3), 2))
		d := r.slope(ub/p, nf)
		next := b.step(w, f, d)
		step := math.Abs(next - w)
		w0 := w
		w = next
		if step <= float64(stepFloat*w0) {
			return w, float64(d * w)
		}
	}
	return 0, 0
}

// solver is what one goroutine needs for distributions.
type solver struct {
	q    *target
	t    *scratch
	lane []float64
	low  []float64

	vector vectorScratch // of vector kernels
}

var solvers sync.Pool // of *solver, any Size

func (s *Size) solver() *solver {
	if v, _ := solvers.Get().(*solver); v != nil && len(v.lane) == s.h+1 {
		return v
	}
	return &solver{q: newTarget(s), t: newScratch(s), lane: make([]float64, s.h+1), low: make([]float64, s.h+1)}
}

// In float64 F is right to about 2⁻⁵³·(8 + N/12), and W to that part of
// W·dF/dW, which is about K/2 for a ring at small K. Below polishLimit, where
// more than 2e-14 would be lost, newton's answer is polished, and below
// polishFloor, where it has too few digits for one step, it is thrown away.
func (s *Size) polishLimit() float64 {
	return 0x1p-53 * (8 + float64(s.N)/12) / 2e-14
}

const polishFloor = 1e-6

// polish makes one more step of Newton's method from w, with f − g as a
// difference of small terms. Let c be the counts of configurations, which are
// the weights at W = 0, and D̄ = Σ c·D/Σ c. With a = q − λc, λ = Σ q/Σ c, and
// b = cosh^N(VW) − 1,
//
//	⟨D⟩_q − D̄ = Σ a·(D − D̄)/Σ q
//	⟨D⟩_p − D̄ = Σ c·b·(D − D̄)/Σ c(1+b)
//
// where nothing is lost: what Σ q, λ and D̄ are off cancels to first order, a
// is one rounding away from the weights and cosh VW − 1 = (1−y)²/2y, y =
// e^(−VW). slope is W·dF/dW.
func (s *Size) polish(q, low []float64, w, slope float64, t *scratch) float64 {
	s.eval(q, w, t)
	y1, dy1 := fmath.ExpComplement(-w)
	t.term[0] = 0
	var total, mean float64
	for j, x := range q {
		total += x
		mean = math.FMA(s.count[j], t.term[j], mean)
	}
	mean *= s.invStates
	lambda := float64(total * s.invStates)
	var eq, ep, states float64
	for j, x := range q {
		k := s.h - j
		y, dy := t.x[k], t.d[k]
		if s.odd {
			dy = math.FMA(y, dy1, dy)
			y = float64(y * y1)
		}
		a := math.FMA(-lambda, s.count[j], x)
		a = math.FMA(-lambda, s.countLow[j], a+low[j])
		b := float64(s.count[j] * fmath.PowComplement(float64(float64(0.5*dy)*dy)/y, s.N))
		d := t.term[j] - mean
		eq = math.FMA(a, d, eq)
		ep = math.FMA(b, d, ep)
		states += b
	}
	ep /= states + s.states
	return w - w*((eq/total-ep)/(mean+ep))/slope
}

// Distributions holds distributions of |V| to solve for: weight[j·count+i] is
// that of |V| = M−2j in problem i. They need not be normalised.
type Distributions struct {
	Count  int
	Weight []float64
	// Low, if not nil, holds what the weights have beyond float64; the weights
	// are Weight + Low then.
	Low []float64
}

func (s *Size) check(p Distributions, first int, w []float64) {
	if first < 0 || first+len(w) > p.Count || len(p.Weight) != p.Count*(s.h+1) || p.Low != nil && len(p.Low) != len(p.Weight) {
		panic(fmt.Sprintf("roots: %d results for %d problems of %d values, %d weights, %d low parts", len(w), p.Count, s.h+1, len(p.Weight), len(p.Low)))
	}
}

// Solve sets w[i] to the positive root for distribution first+i. The answer is
//
//	0     where ⟨V²⟩ ≤ M: W = 0 fits best
//	+Inf  where all weight lies on |V| = M
//	NaN   where a weight is negative, infinite or not a number, or all are zero
//
// It panics unless the shapes agree.
func (s *Size) Solve(kern *Kernel, w []float64, p Distributions, first int) {
	s.check(p, first, w)
	s.guessOnce.Do(func() { s.guess = s.newGuessTable() })
	v := s.solver()
	defer solvers.Put(v)
	var slope [chunk]float64
	for i := 0; i < len(w); i += chunk {
		n := min(chunk, len(w)-i)
		kern.solve(s, w[i:i+n], slope[:n], &p, first+i, v)
		for k := range n {
			if !(slope[k] >= polishFloor) || w[i+k] != w[i+k] {
				w[i+k] = s.careful(p, first+i+k, v)
			}
		}
	}
}

// lane copies distribution i to where polish takes it.
func (p *Distributions) lane(i int, v *solver) {
	for j := range v.lane {
		v.lane[j] = p.Weight[j*p.Count+i]
		if p.Low != nil {
			v.low[j] = p.Low[j*p.Count+i]
		} else {
			v.low[j] = 0
		}
	}
}

// load copies distribution i into the solver's target, scaled so that its
// total is near 1 and its rare weights stay in range.
func (s *Size) load(p Distributions, i int, v *solver) (excess fmath.DD) {
	q := v.q
	at := func(j int) fmath.DD {
		x := fmath.DD{Hi: p.Weight[j*p.Count+i]}
		if p.Low != nil {
			x = x.AddFloat(p.Low[j*p.Count+i])
		}
		return x
	}
	var rare, total float64
	for j := 1; j <= s.h; j++ {
		rare = max(rare, at(j).Hi)
	}
	total = max(rare, at(0).Hi)
	_, e := math.Frexp(rare)
	_, et := math.Frexp(total)
	norm := func(x fmath.DD, e int) fmath.DD { return fmath.DD{Hi: math.Ldexp(x.Hi, -e), Lo: math.Ldexp(x.Lo, -e)} }
	q.scale = fmath.DDLn2.MulFloat(float64(et - e))
	m := float64(s.M)
	q.total = norm(at(0), et)
	excess = q.total.MulFloat(m*m - m)
	for j := 1; j <= s.h; j++ {
		q.low[j] = norm(at(j), e)
		q.lowF[j] = q.low[j].Hi
		x := norm(at(j), et)
		q.total = q.total.Add(x)
		excess = excess.Add(x.MulFloat(s.value[j]*s.value[j] - m))
	}
	return excess
}

// careful solves distribution i by itself, in double-double.
func (s *Size) careful(p Distributions, i int, v *solver) float64 {
	rare := false
	any := false
	for j := range s.h + 1 {
		x := p.Weight[j*p.Count+i]
		if !(x >= 0 && x <= math.MaxFloat64) {
			return math.NaN()
		}
		if p.Low != nil {
			if l := p.Low[j*p.Count+i]; !(math.Abs(l) <= math.MaxFloat64) {
				return math.NaN()
			}
		}
		any = any || x > 0
		rare = rare || x > 0 && j > 0
	}
	switch {
	case !any:
		return math.NaN()
	case !rare:
		return math.Inf(1)
	}
	excess := s.load(p, i, v)
	if !(excess.Hi > 0) {
		return 0
	}
	w := math.Sqrt(excess.Div(v.q.total).Hi / float64(s.M*s.N*(s.M-1)))
	return s.solve(v.q, w, v.t).Hi
}

// Residuals sets r[i] = f − g of distribution first+i at w[i], as
// Table.Residuals does; it is 0 where w[i] is 0 or infinite.
func (s *Size) Residuals(r, w []float64, p Distributions, first int) {
	s.check(p, first, w)
	if len(r) != len(w) {
		panic(fmt.Sprintf("roots: %d residuals of %d results", len(r), len(w)))
	}
	v := s.solver()
	defer solvers.Put(v)
	for i, x := range w {
		switch {
		case x != x:
			r[i] = math.NaN()
		case x == 0 || x == math.Inf(1):
			r[i] = 0
		default:
			s.load(p, first+i, v)
			r[i] = s.residual(v.q, x, v.t)
		}
	}
}

// solveGeneric is the definition of Kernel.solve.
func solveGeneric(s *Size, w, slope []float64, p *Distributions, first int, v *solver) {
	limit := s.polishLimit()
	for i := range w {
		p.lane(first+i, v)
		w[i], slope[i] = s.newton(v.lane, v.t)
		if slope[i] >= polishFloor && slope[i] < limit {
			w[i] = s.polish(v.lane, v.low, w[i], slope[i], v.t)
		}
	}
}
