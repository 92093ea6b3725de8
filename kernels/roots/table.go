package roots

import (
	"fmt"
	"math"
	"sync"

	"kadanoff/spin/fmath"
)

// A Table is W as a function of K for one Size. For K in [MinTableK,
// MaxTableK) an interval is chosen by the exponent and the leading bits of K,
// and W there is a polynomial of degree 13 in
//
//	r = m − 3/2, m in [1, 2) the remaining bits of K's significand.
//
// The polynomial interpolates W at fourteen points, each solved in
// double-double, and its coefficients are rounded to float64: that, and not
// the root itself, defines the bits of W(K). An interval's polynomial depends
// on nothing but the Size, so it may be computed when K first falls into it,
// in any order, and how a batch is cut never shows. A call pays for the
// intervals that it touches first and no others.
//
// A Table may be used by several goroutines at a time.
type Table struct {
	Size *Size
	ring ring

	shift uint   // K's bits >> shift count the intervals
	first uint64 // MinTableK's bits >> shift
	count uint64 // number of intervals

	mu    sync.RWMutex // guards rows
	rows  []float64    // coefficients of interval i at [i·rowLen]; zeros until they are known
	once  []sync.Once  // one for each interval
	built int          // intervals known so far; guarded by mu

	tail    sync.Once
	small   [3]float64 // W/√K below MinTableK as a polynomial in K
	large   float64    // W − 2K/N from MaxTableK on
	workers sync.Pool  // of *worker
}

// worker is what one goroutine needs to solve for a K.
type worker struct {
	q *target
	t *scratch
}

// The table's range and the shape of a row: 14 coefficients, low powers first,
// and two zeros, so that a row is two cache lines.
const (
	minExponent = -30
	maxExponent = 16
	MinTableK   = 1.0 / (1 << -minExponent)
	MaxTableK   = 1 << maxExponent
	degree      = 13
	rowLen      = 16
)

// nodes are the zeros of the Chebyshev polynomial T₁₄ on [−½, ½], rounded to
// multiples of 2⁻³⁰ so that the K they stand for are float64 numbers.
var nodes = func() (r [degree + 1]float64) {
	for k, n := range [...]int64{
		533495180, 506743504, 454581593, 379625062, 285632546, 177317221, 60110470,
		-60110470, -177317221, -285632546, -379625062, -454581593, -506743504, -533495180,
	} {
		r[k] = float64(n) / (1 << 30)
	}
	return
}()

// leadingBits returns how many bits of the significand choose an interval. It
// is what keeps the polynomial within the rounding of its last step.
func leadingBits(m int) uint {
	switch {
	case m <= 16:
		return 3
	case m <= 128:
		return 4
	}
	return 5
}

// NewTable returns an empty table for s.
func NewTable(s *Size) *Table {
	bits := leadingBits(s.M)
	t := &Table{Size: s, ring: ring{ringCounts(s.M)}, shift: 52 - bits}
	t.first = math.Float64bits(MinTableK) >> t.shift
	t.count = (maxExponent - minExponent) << bits
	t.rows = make([]float64, t.count*rowLen)
	t.once = make([]sync.Once, t.count)
	t.workers.New = func() any { return &worker{newTarget(s), newScratch(s)} }
	return t
}

// solve returns the root at K, in double-double.
func (t *Table) solve(k float64, wk *worker) fmath.DD {
	n := float64(t.Size.N)
	w := math.Sqrt(2 * k / (n * float64(t.Size.M-1)))
	if k > 1 {
		w = 2 * k / n
	}
	t.ring.at(k, wk.q)
	return t.Size.solve(wk.q, w, wk.t)
}

// row computes the coefficients of interval i.
func (t *Table) row(i uint64) (c [rowLen]float64) {
	wk := t.workers.Get().(*worker)
	defer t.workers.Put(wk)
	base := math.Float64frombits((i + t.first) << t.shift)
	width := math.Float64frombits((i+t.first+1)<<t.shift) - base
	var y [degree + 1]fmath.DD
	for k, r := range nodes {
		y[k] = t.solve(base+width*(r+0.5), wk)
	}
	for k, a := range interpolate(nodes[:], y[:]) {
		c[k] = a.Hi
	}
	return c
}

// interpolate returns the coefficients, low powers first, of the polynomial
// through the points (x, y): Newton's divided differences, multiplied out. It
// overwrites y.
func interpolate(x []float64, y []fmath.DD) []fmath.DD {
	for j := 1; j < len(x); j++ {
		for k := len(x) - 1; k >= j; k-- {
			y[k] = y[k].Sub(y[k-1]).Div(fmath.DD{Hi: x[k] - x[k-j]})
		}
	}
	c := make([]fmath.DD, len(x))
	for k := len(x) - 1; k >= 0; k-- {
		// c ← c·(r − x[k]) + y[k]
		for j := len(x) - 1; j >= 1; j-- {
			c[j] = c[j-1].Sub(c[j].MulFloat(x[k]))
		}
		c[0] = y[k].Sub(c[0].MulFloat(x[k]))
	}
	return c
}

// ends computes what is needed outside the table's range. Below it W/√K is
// taken from its values at three powers of four, whose roots are exact; above
// it W − 2K/N is the same for all K to better than e^−500.
func (t *Table) ends() {
	wk := t.workers.Get().(*worker)
	defer t.workers.Put(wk)
	x := make([]float64, 3)
	y := make([]fmath.DD, 3)
	for i := range x {
		root := MinTableKRoot * float64(int(1)<<i)
		x[i] = root * root
		y[i] = t.solve(x[i], wk).Scale(1 / root)
	}
	for i, c := range interpolate(x, y) {
		t.small[i] = c.Hi
	}
	k := fmath.DD{Hi: MaxTableK}
	t.large = t.solve(k.Hi, wk).Sub(k.Scale(2).Div(fmath.DD{Hi: float64(t.Size.N)})).Hi
}

// MinTableKRoot is the square root of MinTableK.
const MinTableKRoot = 1.0 / (1 << (-minExponent / 2))

// At returns W(K) by the definition:
//
//	K ≤ 0           0 (the matching has no other root)
//	K < MinTableK   √K·(c₀ + c₁K + c₂K²)
//	K < MaxTableK   the polynomial of K's interval
//	K beyond, +Inf  2K/N + c
//	NaN             NaN, always the pattern of math.NaN
func (t *Table) At(k float64) float64 {
	switch {
	case k != k:
		return math.NaN()
	case k <= 0:
		return 0
	case k < MinTableK:
		t.tail.Do(t.ends)
		return math.Sqrt(k) * math.FMA(math.FMA(t.small[2], k, t.small[1]), k, t.small[0])
	case k >= MaxTableK:
		t.tail.Do(t.ends)
		return 2*float64(k/float64(t.Size.N)) + t.large
	}
	i := math.Float64bits(k)>>t.shift - t.first
	t.Build(int(i))
	t.mu.RLock()
	defer t.mu.RUnlock()
	return horner(t.rows[i*rowLen:], k, t.shift)
}

// horner evaluates the polynomial c in the bits of k below the leading ones.
func horner(c []float64, k float64, shift uint) float64 {
	b := math.Float64bits(k)
	r := math.Float64frombits(b<<(52-shift)&(1<<52-1)|1023<<52) - 1.5
	s := c[degree]
	for j := degree - 1; j >= 0; j-- {
		s = math.FMA(s, r, c[j])
	}
	return s
}

// Build computes interval i unless it is known. It takes fourteen roots in
// double-double: 0.05 ms for eight visible units, 2 ms for 256.
func (t *Table) Build(i int) {
	t.once[i].Do(func() {
		c := t.row(uint64(i))
		t.mu.Lock()
		defer t.mu.Unlock()
		copy(t.rows[i*rowLen:], c[:])
		t.built++
	})
}

// chunk is how many K a kernel looks at while the table is locked for reading.
const chunk = 4096

// Solve sets w[i] = t.At(k[i]), computing the intervals that are not known yet.
// It panics unless the lengths agree.
func (t *Table) Solve(kern *Kernel, w, k []float64) {
	missing := make([]bool, t.count)
	for !t.Try(kern, w, k, missing) {
		for i, m := range missing {
			if m {
				t.Build(i)
				missing[i] = false
			}
		}
	}
}

// Try is Solve without computing intervals: it returns whether it could do
// without, and else marks in missing, which has an element for each of
// Intervals, those that it needs; one that is marked already counts as not
// known. w is not to be used then.
func (t *Table) Try(kern *Kernel, w, k []float64, missing []bool) bool {
	if len(w) != len(k) || len(missing) != int(t.count) {
		panic(fmt.Sprintf("roots: %d results for %d K, marks for %d of %d intervals", len(w), len(k), len(missing), t.count))
	}
	all := true
	for i := 0; i < len(k); {
		n := min(len(k)-i, chunk) &^ (lanes - 1)
		if n > 0 && all {
			t.mu.RLock()
			done := kern.table(w[i:i+n], k[i:i+n], t.rows, t.first, t.count, uint64(t.shift))
			t.mu.RUnlock()
			i += done
			if done == n {
				continue
			}
		}
		// The kernel stops at a group with a lane that is outside the table or
		// in an interval that is not known yet. Once one is missing there is
		// nothing left but to look for more.
		for range min(lanes, len(k)-i) {
			if j := math.Float64bits(k[i])>>t.shift - t.first; j < t.count && (missing[j] || !t.known(j)) {
				missing[j], all = true, false
			} else if all {
				w[i] = t.At(k[i])
			}
			i++
		}
	}
	return all
}

// known reports whether interval i is: no root in the table is zero.
func (t *Table) known(i uint64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rows[i*rowLen] != 0
}

// Intervals returns the number of the table's intervals.
func (t *Table) Intervals() int { return int(t.count) }

// Known returns how many intervals have been computed.
func (t *Table) Known() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.built
}

// Residuals sets r[i] = f(w[i]) − g(w[i], k[i]), computed in double-double, so
// that it shows how far the float64 number w[i] is from the root and not the
// rounding of f and g. It is 0 where w is 0 or K is at least MaxTableK (both
// sides are M to all digits), NaN where K is.
func (t *Table) Residuals(r, w, k []float64) {
	if len(w) != len(k) || len(r) != len(k) {
		panic(fmt.Sprintf("roots: %d residuals of %d results for %d K", len(r), len(w), len(k)))
	}
	wk := t.workers.Get().(*worker)
	defer t.workers.Put(wk)
	for i, k := range k {
		switch {
		case k != k:
			r[i] = math.NaN()
		case k <= 0 || k >= MaxTableK || w[i] == 0:
			r[i] = 0
		default:
			t.ring.at(k, wk.q)
			r[i] = t.Size.residual(wk.q, w[i], wk.t)
		}
	}
}
