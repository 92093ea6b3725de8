package ref

import (
	"context"
	"math"

	"kadanoff/backend"
	"kadanoff/spin/fmath"
)

// rbm is the machine of a RootsJob: m visible and n hidden units, one weight.
// Index j stands for |V| = m − 2j.
type rbm struct {
	m, n, h int
	odd     bool
	count   []fmath.DD   // configurations with |V| = m − 2j
	walls   [][]fmath.DD // of a ring, with |V| = m − 2j and 2(k+1) walls
	guesses []float64    // W at the ends of the intervals of y
	mean0   float64      // E[m − |V|] at W = 0
	table   map[uint64][14]float64
	ends    *[4]float64
}

func newRBM(m, n int) *rbm {
	r := &rbm{m: m, n: n, h: m / 2, odd: m%2 == 1, table: map[uint64][14]float64{}}
	for j, c := 0, (fmath.DD{Hi: 2}); j <= r.h; j++ {
		one := c
		if m == 2*j {
			one = c.Scale(0.5)
		}
		r.count = append(r.count, one)
		c = c.MulFloat(float64(m - j)).Div(fmath.DD{Hi: float64(j + 1)})

		var row []fmath.DD
		w := fmath.DD{Hi: float64(2 * m)}
		if m == 2*j {
			w.Hi = float64(m)
		}
		for k := 1; k <= j; k++ {
			row = append(row, w)
			w = w.MulFloat(float64((m - j - k) * (j - k))).Div(fmath.DD{Hi: float64(k * (k + 1))})
		}
		r.walls = append(r.walls, row)
	}
	return r
}

// v returns |V| of index j.
func (r *rbm) v(j int) float64 { return float64(r.m - 2*j) }

// Roots solves the job's problems one after the other.
func (Backend) Roots(ctx context.Context, job backend.RootsJob, dst backend.RootsResult) error {
	if err := job.Check(dst); err != nil {
		return err
	}
	r := newRBM(job.Visible, job.Hidden)
	for i := range dst.W {
		if err := ctx.Err(); err != nil {
			return err
		}
		if job.K != nil {
			dst.W[i] = r.rootOfK(job.K[i])
			if dst.Residual != nil {
				dst.Residual[i] = r.residualOfK(job.K[i], dst.W[i])
			}
			continue
		}
		weight, low := make([]float64, job.Values()), make([]float64, job.Values())
		for j := range weight {
			weight[j] = job.Weight[j*job.Count+i]
			if job.Low != nil {
				low[j] = job.Low[j*job.Count+i]
			}
		}
		dst.W[i] = r.rootOfWeights(weight, low)
		if dst.Residual != nil {
			dst.Residual[i] = r.residualOfWeights(weight, low, dst.W[i])
		}
	}
	return nil
}

// aim is the given distribution: weight(m−2j) = e^(−scale)·low[j] for j ≥ 1.
type aim struct {
	low          []fmath.DD
	scale, total fmath.DD
}

// ring is the distribution of a ring at k > 0: 2k walls weigh e^(−4Kk).
func (r *rbm) ring(k float64) aim {
	a := aim{low: make([]fmath.DD, r.h+1), scale: fmath.DD{Hi: 4 * k}}
	z, _ := a.scale.Neg().ExpComplement()
	var sum fmath.DD
	for j := 1; j <= r.h; j++ {
		row := r.walls[j]
		p := row[len(row)-1]
		for i := len(row) - 2; i >= 0; i-- {
			p = p.Mul(z).Add(row[i])
		}
		a.low[j] = p
		sum = sum.Add(p)
	}
	a.total = sum.Mul(z).AddFloat(2)
	return a
}

// terms are what both sides are made of at one W, in float64: for j ≥ 1
//
//	d = m·tanh mW − |V| tanh |V|W, dd its derivative,
//	p = count·cosh^n(VW) relative to j = 1
//
// x[k] = e^(−2kW) and c[k] = 1 − x[k]; u = cosh((m−2)W)/cosh(mW) = e^(−2W)·r.
type terms struct {
	x, c, d, dd, p []float64
	u, r           float64
}

func (r *rbm) terms(w float64) terms {
	h := r.h
	x1, c1 := fmath.ExpComplement(-2 * w)
	f := func() []float64 { return make([]float64, h+1) }
	t := terms{x: f(), c: f(), d: f(), dd: f(), p: f()}
	t.x[0] = 1
	for k := 1; k <= h; k++ {
		t.c[k] = math.FMA(t.x[k-1], c1, t.c[k-1])
		t.x[k] = float64(t.x[k-1] * x1)
	}
	e := func(j int) float64 { // e^(−2|V|W)
		e := float64(t.x[h-j] * t.x[h-j])
		if r.odd {
			e = float64(e * x1)
		}
		return e
	}
	rest := math.FMA(t.x[h], t.c[h], t.c[h]) // 1 − e^(−2mW)
	if r.odd {
		rest = math.FMA(float64(t.x[h]*t.x[h]), c1, rest)
	}
	i0, i1 := 1/(1+e(0)), 1/(1+e(1))
	tanh := float64(rest * i0)
	s0 := float64(float64(float64(e(0)*i0)*i0) * (float64(r.m) * float64(r.m)))
	for j := 1; j <= h; j++ {
		i, v := 1/(1+e(j)), r.v(j)
		ei := float64(e(j) * i)
		t.p[j] = float64(r.count[j].Hi * fmath.PowInt(float64(float64(t.x[j-1]*(1+e(j)))*i1), r.n))
		n := float64(math.FMA(t.x[j], t.c[j], t.c[j]) * i0)
		t.d[j] = math.FMA(float64(float64(2*v)*ei), n, float64(float64(2*j)*tanh))
		t.dd[j] = float64(4 * math.FMA(-float64(v*v), float64(ei*i), s0))
	}
	t.r = (1 + e(1)) * i0
	t.u = x1 * t.r
	return t
}

// sum returns Σ_{j≥1} a[j]·b[j].
func sum(a, b []float64) float64 {
	s := 0.0
	for j := 1; j < len(a); j++ {
		s = math.FMA(a[j], b[j], s)
	}
	return s
}

// sides are the sums of terms that Newton's method needs.
type sides struct{ a, da, p, b, db float64 }

func (r *rbm) sides(low []float64, t terms) sides {
	s := sides{a: sum(low, t.d), da: sum(low, t.dd), b: sum(t.p, t.d)}
	for j := 1; j <= r.h; j++ {
		s.p += t.p[j]
		s.db = math.FMA(t.p[j], math.FMA(-float64(float64(r.n)*t.d[j]), t.d[j], t.dd[j]), s.db)
	}
	return s
}

// slope is dF/dW of F = ln(⟨d⟩_q/⟨d⟩_p), given ⟨d⟩_p.
func (r *rbm) slope(s sides, mean float64) float64 {
	return math.FMA(-float64(r.n), mean, s.da/s.a-s.db/s.b)
}

// logRatio is F, in a form that holds however small both sides are.
func (r *rbm) logRatio(low []float64, a aim, w float64) (f, slope float64) {
	t := r.terms(w)
	s := r.sides(low, t)
	u := fmath.PowInt(t.u, r.n)
	p := math.FMA(u, s.p, 2)
	f = fmath.Log(s.a) + fmath.Log(p) - fmath.Log(a.total.Hi) - fmath.Log(s.b)
	f -= math.FMA(float64(r.n), math.FMA(-2, w, fmath.Log(t.r)), a.scale.Hi)
	return f, r.slope(s, float64(u*s.b)/p)
}

// exact returns ⟨d⟩_q/⟨d⟩_p and ⟨d⟩_p in double-double.
func (r *rbm) exact(a aim, w fmath.DD) (ratio, mean fmath.DD) {
	one := fmath.DD{Hi: 1}
	x1, c1 := w.Scale(-2).ExpComplement()
	x, c := []fmath.DD{one}, []fmath.DD{{}}
	for k := range r.h {
		c = append(c, c[k].Add(x[k].Mul(c1)))
		x = append(x, x[k].Mul(x1))
	}
	e := func(j int) fmath.DD {
		e := x[r.h-j].Mul(x[r.h-j])
		if r.odd {
			e = e.Mul(x1)
		}
		return e
	}
	rest := c[r.h].Add(c[r.h].Mul(x[r.h]))
	if r.odd {
		rest = rest.Add(x[r.h].Mul(x[r.h]).Mul(c1))
	}
	i0, i1 := one.Div(e(0).AddFloat(1)), one.Div(e(1).AddFloat(1))
	tanh := rest.Mul(i0)
	var qd, ps, pd fmath.DD
	for j := 1; j <= r.h; j++ {
		plus := e(j).AddFloat(1)
		d := tanh.Scale(2).MulFloat(float64(j))
		if v := r.v(j); v != 0 {
			n := c[j].Add(c[j].Mul(x[j]))
			d = d.Add(e(j).Mul(n).Mul(i0).MulFloat(2 * v).Div(plus))
		}
		p := r.count[j].Mul(x[j-1].Mul(plus).Mul(i1).Pow(r.n))
		qd = qd.Add(a.low[j].Mul(d))
		ps = ps.Add(p)
		pd = pd.Add(p.Mul(d))
	}
	q := e(1).AddFloat(1).Mul(i0)
	u := x1.Mul(q).Pow(r.n)
	p := u.Mul(ps).AddFloat(2)
	mean = u.Mul(pd).Div(p)
	y, _ := w.Scale(2).Sub(a.scale.Div(fmath.DD{Hi: float64(r.n)})).ExpComplement()
	return y.Div(q).Pow(r.n).Mul(qd.Mul(p)).Div(pd.Mul(a.total)), mean
}

// bracket holds the root: Newton's step if it stays inside, else the middle.
type bracket struct{ lo, hi float64 }

func (b *bracket) step(w, f, slope float64) float64 {
	if f < 0 {
		b.lo = w
	} else {
		b.hi = w
	}
	if next := w - f/slope; next >= b.lo && next <= b.hi {
		return next
	}
	return min(2*w, b.lo+float64(0.5*(b.hi-b.lo)))
}

// solveFloat finds the root in float64.
func (r *rbm) solveFloat(low []float64, a aim, w float64) float64 {
	b := bracket{0, math.Inf(1)}
	for range 100 {
		f, slope := r.logRatio(low, a, w)
		if math.Abs(f) <= 0x1p-44 {
			break
		}
		before := w
		w = b.step(w, f, slope)
		if math.Abs(w-before) <= 0x1p-24*before {
			break
		}
	}
	return w
}

// solve finds the root in float64 and then in double-double.
func (r *rbm) solve(a aim, w float64) fmath.DD {
	low := make([]float64, len(a.low))
	for j := range low {
		low[j] = a.low[j].Hi
	}
	b := bracket{0, math.Inf(1)}
	root, last := fmath.DD{Hi: r.solveFloat(low, a, w)}, fmath.DD{}
	lastF, started := 0.0, false
	for range 100 {
		_, slope := r.logRatio(low, a, root.Hi)
		ratio, _ := r.exact(a, root)
		off := ratio.AddFloat(-1).Hi
		f := off / math.FMA(0.5, off, 1)
		secant, provisional := !(slope*root.Hi > 1e-12), false
		limit := 0x1p-34
		if secant {
			limit = 0x1p-50
			slope = (f - lastF) / root.Sub(last).Hi
			if !started {
				provisional = true
				slope = math.Abs(f / (0.01 * root.Hi))
			}
		}
		last, lastF, started = root, f, true
		if f < 0 {
			b.lo = root.Hi
		} else {
			b.hi = root.Hi
		}
		step := -f / slope
		next := root.AddFloat(step)
		if !(next.Hi >= b.lo && next.Hi <= b.hi) {
			next = fmath.DD{Hi: b.step(root.Hi, f, slope)}
			step = next.Hi - root.Hi
		}
		root = next
		if !provisional && math.Abs(step) <= limit*root.Hi {
			break
		}
	}
	return root
}

// The table of W(K): intervals by exponent and leading bits of K from 2⁻³⁰ to
// 2¹⁶, in each the polynomial of degree 13 through the roots at these points of
// the rest of the significand less ½.
var rootNodes = [14]float64{
	533495180, 506743504, 454581593, 379625062, 285632546, 177317221, 60110470,
	-60110470, -177317221, -285632546, -379625062, -454581593, -506743504, -533495180,
}

const rootUnit = 1.0 / (1 << 30)

func (r *rbm) exactRootOfK(k float64) fmath.DD {
	start := math.Sqrt(2 * k / (float64(r.n) * float64(r.m-1)))
	if k > 1 {
		start = 2 * k / float64(r.n)
	}
	return r.solve(r.ring(k), start)
}

// through returns the polynomial through the points, low powers first.
func through(x []float64, y []fmath.DD) []fmath.DD {
	n := len(x)
	for j := 1; j < n; j++ {
		for k := n - 1; k >= j; k-- {
			y[k] = y[k].Sub(y[k-1]).Div(fmath.DD{Hi: x[k] - x[k-j]})
		}
	}
	c := make([]fmath.DD, n)
	for k := n - 1; k >= 0; k-- {
		for j := n - 1; j >= 1; j-- {
			c[j] = c[j-1].Sub(c[j].MulFloat(x[k]))
		}
		c[0] = y[k].Sub(c[0].MulFloat(x[k]))
	}
	return c
}

func (r *rbm) rootOfK(k float64) float64 {
	switch {
	case k != k:
		return math.NaN()
	case k <= 0:
		return 0
	case k < rootUnit || k >= 1<<16:
		if r.ends == nil {
			var x []float64
			var y []fmath.DD
			for i := range 3 {
				root := math.Ldexp(1, i-15)
				x = append(x, root*root)
				y = append(y, r.exactRootOfK(x[i]).Scale(1/root))
			}
			c := through(x, y)
			far := fmath.DD{Hi: 1 << 16}
			rest := r.exactRootOfK(far.Hi).Sub(far.Scale(2).Div(fmath.DD{Hi: float64(r.n)}))
			r.ends = &[4]float64{c[0].Hi, c[1].Hi, c[2].Hi, rest.Hi}
		}
		if k >= 1<<16 {
			return 2*float64(k/float64(r.n)) + r.ends[3]
		}
		return math.Sqrt(k) * math.FMA(math.FMA(r.ends[2], k, r.ends[1]), k, r.ends[0])
	}
	bits := 5
	if r.m <= 16 {
		bits = 3
	} else if r.m <= 128 {
		bits = 4
	}
	shift := 52 - bits
	interval := math.Float64bits(k) >> shift
	c, ok := r.table[interval]
	if !ok {
		base := math.Float64frombits(interval << shift)
		width := math.Float64frombits((interval+1)<<shift) - base
		var x []float64
		var y []fmath.DD
		for _, node := range rootNodes {
			x = append(x, node*rootUnit)
			y = append(y, r.exactRootOfK(base+width*(node*rootUnit+0.5)))
		}
		for i, a := range through(x, y) {
			c[i] = a.Hi
		}
		r.table[interval] = c
	}
	rest := math.Float64bits(k) << bits & (1<<52 - 1)
	at := math.Float64frombits(1023<<52|rest) - 1.5
	w := c[13]
	for i := 12; i >= 0; i-- {
		w = math.FMA(w, at, c[i])
	}
	return w
}

func (r *rbm) residual(a aim, w float64) float64 {
	ratio, mean := r.exact(a, fmath.DD{Hi: w})
	return ratio.AddFloat(-1).Mul(mean).Hi
}

func (r *rbm) residualOfK(k, w float64) float64 {
	switch {
	case k != k:
		return math.NaN()
	case k <= 0 || k >= 1<<16 || w == 0:
		return 0
	}
	return r.residual(r.ring(k), w)
}

// guess is the start of Newton's method for weights with the given total and
// Σ weight·(m−|V|): the root of the ring with the same mean, interpolated over
// y = (δ₀ − δ)/δ between the ends of intervals.
func (r *rbm) guess(total, deficit float64) float64 {
	const rows = 84 << 4
	end := func(i int) float64 { return math.Float64frombits(uint64((1023-20)<<4+i) << 48) }
	if r.guesses == nil {
		for j, c := range r.count {
			r.mean0 = math.FMA(c.Hi, float64(2*j), r.mean0)
		}
		r.mean0 /= math.Ldexp(1, r.m)
		k, w := 0x1p-20, 1e-3/float64(r.m*r.n)
		for i := range rows + 1 {
			b := bracket{0, math.Inf(1)}
			for range 100 {
				y, slope, _, _ := r.ringMean(k)
				before := k
				k = b.step(k, fmath.Log(y)-fmath.Log(end(i)), slope/y)
				if math.Abs(k-before) <= 0x1p-16*before {
					break
				}
			}
			_, _, low, all := r.ringMean(k)
			w = r.solveFloat(low, aim{scale: fmath.DD{Hi: 4 * k}, total: fmath.DD{Hi: all}}, w)
			r.guesses = append(r.guesses, w)
		}
	}
	y := math.FMA(r.mean0, total, -deficit) / deficit
	y = max(0x1p-20, min(0x1.fffffffffffffp63, y))
	i := int(math.Float64bits(y)>>48) - (1023-20)<<4
	slope := (r.guesses[i+1] - r.guesses[i]) / (end(i+1) - end(i))
	return math.FMA(y-end(i), slope, r.guesses[i])
}

// ringMean returns y of a ring at k and its derivative, and the ring's weights
// in float64.
func (r *rbm) ringMean(k float64) (y, slope float64, low []float64, total float64) {
	z, _ := fmath.ExpComplement(-4 * k)
	low = make([]float64, r.h+1)
	var all, allD, mean, meanD float64
	for j := 1; j <= r.h; j++ {
		var p, d float64
		for i := j - 1; i >= 0; i-- {
			d = math.FMA(d, z, p)
			p = math.FMA(p, z, r.walls[j][i].Hi)
		}
		low[j] = p
		all += p
		allD += d
		mean = math.FMA(p, float64(2*j), mean)
		meanD = math.FMA(d, float64(2*j), meanD)
	}
	total = math.FMA(all, z, 2)
	deficit := float64(mean * z)
	y = math.FMA(r.mean0, total, -deficit) / deficit
	a := float64(math.FMA(allD, z, all) * deficit)
	b := float64(math.FMA(meanD, z, mean) * total)
	return y, -4 * z * r.mean0 * (a - b) / float64(deficit*deficit), low, total
}

func (r *rbm) rootOfWeights(q, low []float64) float64 {
	if w, slope := r.newton(q); slope >= 1e-6 {
		if slope < 0x1p-53*(8+float64(r.n)/12)/2e-14 {
			w = r.polish(q, low, w, slope)
		}
		if w == w {
			return w
		}
	}
	certain, nothing := true, true
	for j, x := range q {
		if !(x >= 0) || math.IsInf(x, 1) || low[j] != low[j] || math.IsInf(low[j], 0) {
			return math.NaN()
		}
		if x > 0 {
			nothing = false
			certain = certain && j == 0
		}
	}
	switch {
	case nothing:
		return math.NaN()
	case certain:
		return math.Inf(1)
	}
	a, excess := r.scaled(q, low)
	if !(excess.Hi > 0) {
		return 0
	}
	return r.solve(a, math.Sqrt(excess.Div(a.total).Hi/float64(r.m*r.n*(r.m-1)))).Hi
}

// newton solves in float64 for weights of ordinary size; it returns the root
// and W·dF/dW, or zeros if it does not apply.
func (r *rbm) newton(q []float64) (w, slope float64) {
	var total, deficit, excess float64
	for j, x := range q {
		if x < 0 {
			return 0, 0
		}
		total += x
		deficit = math.FMA(x, float64(2*j), deficit)
		excess = math.FMA(x, float64(r.v(j)*r.v(j))-float64(r.m), excess)
	}
	if !(total >= 0x1p-400 && total <= 0x1p400 && deficit >= float64(0x1p-400*total) && excess > 0) {
		return 0, 0
	}
	w = r.guess(total, deficit)
	b := bracket{0, math.Inf(1)}
	for range 24 {
		t := r.terms(w)
		s := r.sides(q, t)
		u := fmath.PowInt(t.u, r.n)
		p := math.FMA(u, s.p, 2)
		ub := float64(u * s.b)
		x, y := float64(s.a*p), float64(ub*total)
		c := (x - y) / (x + y)
		c2 := float64(c * c)
		f := float64(c * math.FMA(c2, math.FMA(c2, 2.0/5, 2.0/3), 2))
		d := r.slope(s, ub/p)
		before := w
		w = b.step(w, f, d)
		if math.Abs(w-before) <= float64(0x1p-24*before) {
			return w, float64(d * w)
		}
	}
	return 0, 0
}

// polish makes one more step with f − g as a difference of small terms.
func (r *rbm) polish(q, low []float64, w, slope float64) float64 {
	t := r.terms(w)
	y1, c1 := fmath.ExpComplement(-w)
	total, mean := 0.0, 0.0
	for j, x := range q {
		total += x
		mean = math.FMA(r.count[j].Hi, t.d[j], mean)
	}
	states := math.Ldexp(1, r.m)
	mean /= states
	lambda := total / states
	var dq, dp, more float64
	for j, x := range q {
		y, c := t.x[r.h-j], t.c[r.h-j]
		if r.odd {
			c = math.FMA(y, c1, c)
			y = float64(y * y1)
		}
		a := math.FMA(-lambda, r.count[j].Lo, math.FMA(-lambda, r.count[j].Hi, x)+low[j])
		b := float64(r.count[j].Hi * fmath.PowComplement(float64(float64(0.5*c)*c)/y, r.n))
		dq = math.FMA(a, t.d[j]-mean, dq)
		dp = math.FMA(b, t.d[j]-mean, dp)
		more += b
	}
	dp /= more + states
	return w - w*((dq/total-dp)/(mean+dp))/slope
}

// scaled brings weights of any size to a total near 1, and returns Σ(V²−m) of
// them.
func (r *rbm) scaled(q, low []float64) (aim, fmath.DD) {
	weight := make([]fmath.DD, len(q))
	rare := 0.0
	for j := range q {
		weight[j] = fmath.DD{Hi: q[j]}.AddFloat(low[j])
		if j > 0 {
			rare = max(rare, weight[j].Hi)
		}
	}
	_, er := math.Frexp(rare)
	_, et := math.Frexp(max(rare, weight[0].Hi))
	shift := func(x fmath.DD, e int) fmath.DD {
		return fmath.DD{Hi: math.Ldexp(x.Hi, -e), Lo: math.Ldexp(x.Lo, -e)}
	}
	a := aim{low: make([]fmath.DD, len(q)), scale: fmath.DDLn2.MulFloat(float64(et - er))}
	var excess fmath.DD
	for j := range weight {
		x := shift(weight[j], et)
		a.total = a.total.Add(x)
		excess = excess.Add(x.MulFloat(r.v(j)*r.v(j) - float64(r.m)))
		if j > 0 {
			a.low[j] = shift(weight[j], er)
		}
	}
	return a, excess
}

func (r *rbm) residualOfWeights(q, low []float64, w float64) float64 {
	switch {
	case w != w:
		return math.NaN()
	case w == 0 || math.IsInf(w, 1):
		return 0
	}
	a, _ := r.scaled(q, low)
	return r.residual(a, w)
}
