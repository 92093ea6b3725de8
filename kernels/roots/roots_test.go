package roots

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"testing"

	"kadanoff/kernels/isa"
	"kadanoff/spin/fmath"
)

func levels(t *testing.T) []*Kernel {
	t.Helper()
	var ks []*Kernel
	for _, l := range isa.Available() {
		k := For(l)
		if k.Level != l {
			t.Fatalf("For(%v) gave %v", l, k.Level)
		}
		ks = append(ks, k)
	}
	return ks
}

func readRows(t *testing.T, name string, rows any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	file := struct{ Rows any }{rows}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestTruthOfK(t *testing.T) {
	var rows []struct {
		M, N int
		K, W string
	}
	readRows(t, "w_of_k.json", &rows)
	if len(rows) != 88 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		got := NewTable(NewSize(r.M, r.N)).At(parse(t, r.K))
		// K is rounded to float64 too.
		if want := parse(t, r.W); math.Abs(got-want) > 1e-15*want {
			t.Errorf("M=%d N=%d K=%s: W = %.17g, want %s", r.M, r.N, r.K, got, r.W)
		}
	}
}

// randomK is uniform in the logarithm.
func randomK(rng *rand.Rand, lo, hi float64) float64 {
	return math.Exp(math.Log(lo) + rng.Float64()*math.Log(hi/lo))
}

// TestReference holds W(K) against the equation in big floats, off the truth's
// grid of sizes, over the whole range of K.
func TestReference(t *testing.T) {
	rng := rand.New(rand.NewSource(7))
	for _, size := range [][2]int{{2, 1}, {2, 101}, {3, 5}, {5, 2}, {8, 4}, {13, 31}, {16, 1}, {31, 2}, {64, 64}, {127, 40}, {256, 1}} {
		m, n := size[0], size[1]
		table := NewTable(NewSize(m, n))
		ks := []float64{1e-8, math.Nextafter(MinTableK, 0), 0.5, 2}
		for range 2 {
			ks = append(ks, randomK(rng, 1e-10, 20))
		}
		if m < 20 {
			ks = append(ks, MinTableK, 3.7, 700, randomK(rng, 20, 200))
		}
		for _, k := range ks {
			s := newReference(m, n, k)
			if w := table.At(k); !s.within(w, 6e-16, s.ring(k)) {
				t.Errorf("M=%d N=%d K=%g: W = %.17g is not within 6e-16", m, n, k, w)
			}
		}
	}
}

func TestLargestSizeAgainstReference(t *testing.T) {
	table := NewTable(NewSize(MaxVisible, MaxHidden))
	for _, k := range []float64{0.11, 1.3, 6} {
		s := newReference(MaxVisible, MaxHidden, k)
		if w := table.At(k); !s.within(w, 1e-15, s.ring(k)) {
			t.Errorf("K=%g: W = %.17g is not within 1e-15", k, w)
		}
	}
}

func TestClosedForms(t *testing.T) {
	// M = 2: cosh 2W = e^{4K/N}; M = 3: cosh²W = (3 + e^{4K/N})/4.
	for _, n := range []int{1, 3, 8} {
		two, three := NewTable(NewSize(2, n)), NewTable(NewSize(3, n))
		for _, k := range []float64{0.25, 1, 3.5, 20} {
			e := math.Exp(4 * k / float64(n))
			if got, want := two.At(k), math.Acosh(e)/2; math.Abs(got-want) > 4e-15*want {
				t.Errorf("M=2 N=%d K=%g: %.17g, want %.17g", n, k, got, want)
			}
			if got, want := three.At(k), math.Acosh(math.Sqrt((3+e)/4)); math.Abs(got-want) > 4e-15*want {
				t.Errorf("M=3 N=%d K=%g: %.17g, want %.17g", n, k, got, want)
			}
		}
	}
}

func TestAsymptotes(t *testing.T) {
	for _, size := range [][2]int{{8, 4}, {9, 4}, {64, 16}, {255, 1000}} {
		m, n := float64(size[0]), float64(size[1])
		table := NewTable(NewSize(size[0], size[1]))
		for _, k := range []float64{5e-324, 1e-300, 1e-30, 1e-20} {
			want := math.Sqrt(k) * math.Sqrt(2/(n*(m-1)))
			if got := table.At(k); math.Abs(got-want) > 1e-15*want {
				t.Errorf("%v K=%g: %g, want %g", size, k, got, want)
			}
		}
		c := m * m / 8
		if size[0]%2 == 1 {
			c = (m*m - 1) / 8
		}
		for _, k := range []float64{MaxTableK, 1e6, 1e300} {
			want := 2*k/n - math.Log(c)/(2*n)
			if got := table.At(k); math.Abs(got-want) > 1e-15*want {
				t.Errorf("%v K=%g: %.17g, want %.17g", size, k, got, want)
			}
		}
	}
}

var oddK = []float64{0, math.Copysign(0, -1), -1, math.Inf(-1), math.Inf(1), math.NaN(), math.Float64frombits(0xfff8dead00000000), 5e-324, MinTableK, MaxTableK, math.Nextafter(MaxTableK, 0), math.MaxFloat64}

func TestSpecialK(t *testing.T) {
	table := NewTable(NewSize(5, 3))
	for i, want := range []float64{0, 0, 0, 0, math.Inf(1), math.NaN(), math.NaN()} {
		if got := table.At(oddK[i]); math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("W(%g) = %g, want %g", oddK[i], got, want)
		}
	}
}

func sameBits(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			t.Fatalf("%s: [%d] = %.17g, want %.17g", what, i, got[i], want[i])
		}
	}
}

const guard = -77.5

// guarded returns a slice of n guard values at an odd offset, and a function
// that fails if what lies around it has changed.
func guarded(t *testing.T, n int) ([]float64, func()) {
	b := make([]float64, n+10)
	for i := range b {
		b[i] = guard
	}
	return b[3 : 3+n : 3+n], func() {
		t.Helper()
		for i, x := range b {
			if (i < 3 || i >= 3+n) && x != guard {
				t.Fatalf("wrote outside: [%d]", i-3)
			}
		}
	}
}

// TestTableSameBits solves batches of odd lengths on every path, with tables
// at different stages of being filled, sorted, random, and with odd values in
// between: all must give At's bits.
func TestTableSameBits(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	for _, size := range [][2]int{{8, 4}, {3, 11}, {19, 2}} {
		s := NewSize(size[0], size[1])
		define := NewTable(s)
		for _, kern := range levels(t) {
			for _, n := range []int{0, 1, 7, 8, 13, 31, 257, 4096, 4111} {
				table := NewTable(s)
				k := make([]float64, n)
				for i := range k {
					k[i] = randomK(rng, 1e-3, 10)
					if n%2 == 1 && i%11 == 5 {
						k[i] = oddK[rng.Intn(len(oddK))]
					}
					if n == 257 {
						k[i] = 0.5 + float64(i)/1000 // long runs in one interval
					}
				}
				want := make([]float64, n)
				for i := range k {
					want[i] = define.At(k[i])
				}
				for range 2 { // empty, then filled
					w, check := guarded(t, n)
					table.Solve(kern, w, k)
					check()
					sameBits(t, fmt.Sprintf("%v %v n=%d", size, kern.Level, n), w, want)
				}
			}
		}
	}
}

func TestTableConcurrently(t *testing.T) {
	s := NewSize(8, 4)
	shared, own := NewTable(s), NewTable(s)
	rng := rand.New(rand.NewSource(5))
	k := make([]float64, 3001)
	for i := range k {
		k[i] = randomK(rng, 1e-2, 10)
	}
	want := make([]float64, len(k))
	own.Solve(kernels[isa.Generic], want, k)
	var wg sync.WaitGroup
	got := make([][]float64, 4)
	for g := range got {
		wg.Go(func() {
			got[g] = make([]float64, len(k))
			shared.Solve(For(isa.Best()), got[g], k)
		})
	}
	wg.Wait()
	for g := range got {
		sameBits(t, "shared table", got[g], want)
	}
	if a, b := shared.Known(), own.Known(); a != b || a == 0 || a >= own.Intervals() {
		t.Errorf("%d and %d intervals known of %d", a, b, own.Intervals())
	}
}

func TestResiduals(t *testing.T) {
	for _, size := range [][2]int{{8, 4}, {33, 5}} {
		s := NewSize(size[0], size[1])
		table := NewTable(s)
		k := []float64{1e-9, 0.01, 0.3, 1, 4, 20, 200, 0, math.NaN(), math.Inf(1)}
		w := make([]float64, len(k))
		table.Solve(kernels[isa.Generic], w, k)
		// Off the root by a known amount, so that the residual is known.
		for i := range w {
			w[i] *= 1 + 1e-3
		}
		r := make([]float64, len(k))
		table.Residuals(r, w, k)
		for i := range k[:7] {
			b := newReference(size[0], size[1], k[i])
			x := b.num(w[i])
			want, _ := b.sub(b.f(x), b.g(x, b.ring(k[i]))).Float64()
			if math.Abs(r[i]-want) > 1e-14*math.Abs(want) {
				t.Errorf("%v K=%g: residual %.17g, want %.17g", size, k[i], r[i], want)
			}
		}
		if r[7] != 0 || r[8] == r[8] || r[9] != 0 {
			t.Errorf("residuals of 0, NaN, Inf: %v", r[7:])
		}
	}
}

// split writes x as a float64 and the rest.
func split(x *big.Float) (hi, lo float64) {
	hi, _ = x.Float64()
	lo, _ = new(big.Float).SetPrec(x.Prec()).Sub(x, new(big.Float).SetFloat64(hi)).Float64()
	return hi, lo
}

// ringProblems are rings as distributions.
func ringProblems(s *Size, ks []float64, low bool) (Distributions, [][]*big.Float) {
	n := len(ks)
	p := Distributions{Count: n, Weight: make([]float64, n*s.Values())}
	if low {
		p.Low = make([]float64, n*s.Values())
	}
	var exact [][]*big.Float
	for i, k := range ks {
		b := newReference(s.M, s.N, k)
		q := b.ring(k)
		for j, x := range q {
			hi, lo := split(x)
			p.Weight[j*n+i] = hi
			if low {
				p.Low[j*n+i] = lo
			} else {
				q[j] = b.num(hi)
			}
		}
		exact = append(exact, q)
	}
	return p, exact
}

// TestDistributionReference holds the roots of distributions against big
// floats, given as float64 and to more digits.
func TestDistributionReference(t *testing.T) {
	rng := rand.New(rand.NewSource(11))
	for _, size := range [][2]int{{2, 3}, {3, 4}, {8, 4}, {9, 100}, {16, 1}, {37, 16}, {128, 5}} {
		s := NewSize(size[0], size[1])
		ks := []float64{1e-15, 1e-12, 1e-7, 3e-6, 170}
		for range 4 {
			ks = append(ks, randomK(rng, 1e-5, 20))
		}
		for _, low := range []bool{false, true} {
			p, exact := ringProblems(s, ks, low)
			w := make([]float64, len(ks))
			s.Solve(kernels[isa.Generic], w, p, 0)
			for i, k := range ks {
				b := newReference(s.M, s.N, k)
				if !b.within(w[i], 1e-13, exact[i]) {
					t.Errorf("%v K=%g low=%v: W = %.17g is not within 1e-13", size, k, low, w[i])
				}
			}
		}
	}
}

func TestDistributionsSameBits(t *testing.T) {
	rng := rand.New(rand.NewSource(13))
	for _, size := range [][2]int{{2, 7}, {3, 1}, {8, 4}, {9, 100}, {37, 16}} {
		s := NewSize(size[0], size[1])
		for _, n := range []int{1, 7, 16, 31, 101} {
			ks := make([]float64, n)
			for i := range ks {
				ks[i] = randomK(rng, 1e-4, 30)
			}
			for _, low := range []bool{false, true} {
				p, _ := ringProblems(s, ks, low)
				for i := 4; i < n; i += 10 {
					p.Weight[(i/10%s.Values())*n+i] = []float64{math.NaN(), -1, math.Inf(1), 0, 1e-320, 1e300}[i/10%6]
				}
				want := make([]float64, n)
				for i := range want { // one at a time, by the definition
					one := Distributions{Count: 1}
					for j := range s.Values() {
						one.Weight = append(one.Weight, p.Weight[j*n+i])
						if low {
							one.Low = append(one.Low, p.Low[j*n+i])
						}
					}
					s.Solve(kernels[isa.Generic], want[i:i+1], one, 0)
				}
				for _, kern := range levels(t) {
					w, check := guarded(t, n)
					s.Solve(kern, w, p, 0)
					check()
					sameBits(t, fmt.Sprintf("%v %v n=%d low=%v", size, kern.Level, n, low), w, want)
				}
			}
		}
	}
}

func TestDefinedAnswers(t *testing.T) {
	s := NewSize(4, 2) // |V| = 4, 2, 0; counts 2, 8, 6
	for _, kern := range levels(t) {
		for _, c := range []struct {
			q    [3]float64
			want float64
		}{
			{[3]float64{2, 8, 6}, 0},              // K = 0
			{[3]float64{1, 8, 7}, 0},              // spread less than independent spins
			{[3]float64{1, 0, 0}, math.Inf(1)},    // aligned states only
			{[3]float64{0, 0, 0}, math.NaN()},     // nothing
			{[3]float64{3, -1e-9, 6}, math.NaN()}, // negative
			{[3]float64{math.NaN(), 8, 6}, math.NaN()},
			{[3]float64{3, math.NaN(), 6}, math.NaN()},
			{[3]float64{3, math.Inf(1), 6}, math.NaN()},
		} {
			w, r := []float64{guard}, []float64{guard}
			p := Distributions{Count: 1, Weight: c.q[:]}
			s.Solve(kern, w, p, 0)
			if math.Float64bits(w[0]) != math.Float64bits(c.want) {
				t.Errorf("%v %v: %g, want %g", kern.Level, c.q, w[0], c.want)
			}
			s.Residuals(r, w, p, 0)
			if want := c.want - c.want; c.want == math.Inf(1) && r[0] != 0 || c.want == 0 && r[0] != 0 || c.want != c.want && want == r[0] {
				t.Errorf("%v %v: residual %g", kern.Level, c.q, r[0])
			}
		}
	}
}

// TestScaledWeights: only ratios of weights count, over the whole range.
func TestScaledWeights(t *testing.T) {
	s := NewSize(8, 4)
	p, _ := ringProblems(s, []float64{0.7}, false)
	want := make([]float64, 1)
	s.Solve(kernels[isa.Generic], want, p, 0)
	for _, e := range []int{-1000, -500, -399, 300, 405, 1000} {
		q := Distributions{Count: 1}
		for _, x := range p.Weight {
			q.Weight = append(q.Weight, math.Ldexp(x, e))
		}
		w := make([]float64, 1)
		s.Solve(kernels[isa.Generic], w, q, 0)
		if math.Abs(w[0]-want[0]) > 4e-15*want[0] {
			t.Errorf("weights scaled by 2^%d: %.17g, want %.17g", e, w[0], want[0])
		}
	}
}

func TestTemperatureRanges(t *testing.T) {
	var rows []struct {
		M, N int
		W    string
		Q    []string
	}
	readRows(t, "temperature_range.json", &rows)
	if len(rows) != 11 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		s := NewSize(r.M, r.N)
		p := Distributions{Count: 1}
		for _, x := range r.Q {
			p.Weight = append(p.Weight, parse(t, x))
		}
		w := make([]float64, 1)
		s.Solve(For(isa.Best()), w, p, 0)
		if want := parse(t, r.W); math.Abs(w[0]-want) > 2e-15*want {
			t.Errorf("%v: W = %.17g, want %s", r, w[0], r.W)
		}
	}
}

func TestPanics(t *testing.T) {
	s := NewSize(4, 2)
	for name, f := range map[string]func(){
		"one visible unit": func() { NewSize(1, 4) },
		"too many visible": func() { NewSize(257, 4) },
		"no hidden unit":   func() { NewSize(4, 0) },
		"lengths of K":     func() { NewTable(s).Solve(For(isa.Generic), make([]float64, 2), make([]float64, 3)) },
		"missing weights": func() {
			s.Solve(For(isa.Generic), make([]float64, 2), Distributions{Count: 2, Weight: make([]float64, 5)}, 0)
		},
		"wrong low parts": func() {
			s.Solve(For(isa.Generic), make([]float64, 1), Distributions{1, make([]float64, 3), make([]float64, 2)}, 0)
		},
		"residuals too long": func() { NewTable(s).Residuals(make([]float64, 3), make([]float64, 2), make([]float64, 2)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// TestElementary holds exp, log and their double-double versions to the errors
// that their comments state.
func TestElementary(t *testing.T) {
	rng := rand.New(rand.NewSource(17))
	b := bigSize{prec: 300}
	rel := func(got, want *big.Float) float64 {
		x, _ := b.quo(b.sub(got, want), want).Float64()
		return math.Abs(x)
	}
	sum := func(x fmath.DD) *big.Float { return b.add(b.num(x.Hi), b.num(x.Lo)) }
	for range 3000 {
		x := -randomK(rng, 1e-12, 690)
		want := b.exp(b.num(x))
		less := b.sub(b.num(1), want)
		e, om := fmath.ExpComplement(x)
		if r := rel(b.num(e), want); r > 2*0x1p-53 {
			t.Errorf("exp(%g) off by %g", x, r)
		}
		if r := rel(b.num(om), less); r > 2*0x1p-53 {
			t.Errorf("1 − exp(%g) off by %g", x, r)
		}
		xe, xom := fmath.DD{Hi: x}.ExpComplement()
		if r := rel(sum(xe), want); x > -600 && r > 1e-29 {
			t.Errorf("double-double exp(%g) off by %g", x, r)
		}
		if r := rel(sum(xom), less); r > 1e-29 {
			t.Errorf("double-double 1 − exp(%g) off by %g", x, r)
		}
		y := randomK(rng, 1e-300, 1e300)
		if l := math.Log(y); math.Abs(fmath.Log(y)-l) > 1e-15*(1+math.Abs(l)) {
			t.Errorf("log(%g) = %.17g, want %.17g", y, fmath.Log(y), l)
		}
	}
}
