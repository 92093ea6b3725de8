package exact

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
)

type uniformRow struct {
	M, N int
	K, W string
	F    string `json:"f"`
	Chi  string `json:"chi"`
}

func TestRootsOfTheRing(t *testing.T) {
	var table struct{ Rows []uniformRow }
	truth(t, "w_of_k", &table)
	for _, r := range table.Rows {
		d, err := RingDensity(r.M)
		if err != nil {
			t.Fatal(err)
		}
		// The table's K is the decimal number, not its nearest float64.
		m := d.atBig(decimal(t, r.K), basePrec)
		root, err := m.Solve(r.N)
		if err != nil {
			t.Fatal(err)
		}
		if e := off(root.Exact, decimal(t, r.W)); e > 1e-30 {
			t.Errorf("M %d N %d K %s: W off by %g", r.M, r.N, r.K, e)
		}
		if e := offFloat(root.F, decimal(t, r.F)); e > 1e-15 {
			t.Errorf("M %d N %d K %s: f off by %g", r.M, r.N, r.K, e)
		}
		if e := offFloat(m.Chi(), decimal(t, r.Chi)); e > 1e-15 {
			t.Errorf("M %d N %d K %s: χ off by %g", r.M, r.N, r.K, e)
		}
	}
}

// M = 2: W = ½ acosh e^{4K/N}; M = 3: cosh²W = (3 + e^{4K/N})/4; for large K
// W = 2K/N − ln(M²/8)/2N.
func TestRootsInClosedForm(t *testing.T) {
	const p = 400
	solve := func(m, n int, k float64) *big.Float {
		d, _ := RingDensity(m)
		marginal, err := d.At(k)
		if err != nil {
			t.Fatal(err)
		}
		root, err := marginal.Solve(n)
		if err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(root.Residual) <= 1e-14*float64(m)) {
			t.Errorf("M %d N %d K %g: residual %g", m, n, k, root.Residual)
		}
		return root.Exact
	}
	cosh := func(w *big.Float) *big.Float {
		e := precOf(p).Exp(w)
		return precOf(p).Ldexp(precOf(p).Add(e, precOf(p).Quo(precOf(p).Int(1), e)), -1)
	}
	for _, n := range []int{1, 2, 7, 1024} {
		for _, k := range []float64{1e-8, 1e-4, 0.3, 1, 17, 700} {
			q := precOf(p)
			e := q.Exp(q.Quo(q.Scale(4, q.Float(k)), q.Int(n)))
			// cosh²W − 1 = sinh²W says more than cosh W at small W.
			w2 := solve(2, n, k)
			if r := off(q.Sub(cosh(q.Scale(2, w2)), q.Int(1)), q.Sub(e, q.Int(1))); r > 1e-28*(1+float64(k)) {
				t.Errorf("M 2 N %d K %g: off by %g", n, k, r)
			}
			c := cosh(solve(3, n, k))
			want := q.Ldexp(q.Sub(e, q.Int(1)), -2)
			if r := off(q.Sub(q.Mul(c, c), q.Int(1)), want); r > 1e-28*(1+float64(k)) {
				t.Errorf("M 3 N %d K %g: off by %g", n, k, r)
			}
		}
	}
	for _, m := range []int{7, 8, 32} {
		size := float64(m * m)
		if m%2 == 1 {
			size--
		}
		got, _ := solve(m, 4, 700).Float64()
		if want := 350 - math.Log(size/8)/8; math.Abs(got-want) > 1e-12 {
			t.Errorf("M %d N 4 K 700: W = %v, asymptote %v", m, got, want)
		}
	}
}

func TestRootsOfLargeSizes(t *testing.T) {
	var table struct {
		Large []uniformRow
		Kc    []struct {
			M, N int
			Wc   string `json:"W_c"`
			Kc   string `json:"K_c"`
		} `json:"k_c"`
	}
	truth(t, "uniform_large", &table)
	for _, r := range table.Large {
		if r.M > 256 && testing.Short() {
			continue
		}
		d, err := RingDensity(r.M)
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.At(number(t, r.K))
		if err != nil {
			t.Fatal(err)
		}
		root, err := m.Solve(r.N)
		if e := off(root.Exact, decimal(t, r.W)); err != nil || e > 1e-19 {
			t.Errorf("M %d N %d K %s: W off by %g, %v", r.M, r.N, r.K, e, err)
		}
	}
	for _, r := range table.Kc {
		d, _ := RingDensity(r.M)
		root, err := d.atBig(decimal(t, r.Kc), basePrec).Solve(r.N)
		if e := off(root.Exact, decimal(t, r.Wc)); err != nil || e > 1e-29 {
			t.Errorf("M %d N %d: W(K_c) off by %g, %v", r.M, r.N, e, err)
		}
	}
}

// At small K, W → √(2K/(N(M−1))), at K ≤ 0 there is no root but 0.
func TestRootsAtTheEnds(t *testing.T) {
	d, _ := RingDensity(64)
	for _, k := range []float64{1e-8, 1e-20, 1e-60} {
		m, _ := d.At(k)
		root, err := m.Solve(16)
		if want := math.Sqrt(2 * k / (16 * 63)); err != nil || math.Abs(root.W/want-1) > 10*k+1e-15 {
			t.Errorf("K = %g: W = %v, want about %v; %v", k, root.W, want, err)
		}
	}
	for _, k := range []float64{0, -1e-9, -3} {
		m, _ := d.At(k)
		if root, err := m.Solve(16); err != nil || root.W != 0 {
			t.Errorf("K = %g: W = %v, %v; want 0", k, root.W, err)
		}
	}
	m, _ := d.At(math.Inf(1))
	if root, err := m.Solve(16); err != nil || !math.IsInf(root.W, 1) || root.F != 64 {
		t.Errorf("K = ∞: %+v, %v; want W = ∞ and f = M", root, err)
	}
}

func TestRanges(t *testing.T) {
	var table struct {
		Rows []struct {
			M, N      int
			T0, T1, W string
			Q         map[string]string `json:"qV"`
		}
		Low []struct{ T0, W string }
	}
	truth(t, "temperature_range", &table)
	for _, r := range table.Rows {
		d, _ := RingDensity(r.M)
		m, err := d.Over(number(t, r.T1), number(t, r.T0))
		if err != nil {
			t.Fatal(err)
		}
		for j, q := range m.p {
			if e := off(q, decimal(t, r.Q[fmt.Sprint(r.M-2*j)])); e > 1e-15 {
				t.Errorf("T from %s to %s: P(|V| = %d) off by %g", r.T1, r.T0, r.M-2*j, e)
			}
		}
		root, err := m.Solve(r.N)
		if e := offFloat(root.W, decimal(t, r.W)); err != nil || e > 2e-16 {
			t.Errorf("T from %s to %s: W off by %g, %v", r.T1, r.T0, e, err)
		}
	}
	d, _ := RingDensity(8)
	for _, r := range table.Low {
		m, err := d.Over(0, number(t, r.T0))
		if err != nil {
			t.Fatal(err)
		}
		root, err := m.Solve(4)
		if e := offFloat(root.W, decimal(t, r.W)); err != nil || e > 2e-15 {
			t.Errorf("T from 0 to %s: W off by %g, %v", r.T0, e, err)
		}
	}
}

// A range that shrinks to a point, and two ranges that make a third.
func TestRangesAreAdditive(t *testing.T) {
	d, _ := RingDensity(9)
	low, _ := d.Over(0.5, 1.25)
	high, _ := d.Over(1.25, 40)
	whole, _ := d.Over(0.5, 40)
	mix, err := Mix([]float64{0.75, 38.75}, low, high)
	if err != nil {
		t.Fatal(err)
	}
	for j := range whole.p {
		if e := off(mix.p[j], whole.p[j]); e > 1e-30 {
			t.Errorf("P(|V| = %d) of two halves off by %g", 9-2*j, e)
		}
	}
	point, _ := d.AtTemperature(2)
	narrow, _ := d.Over(2-1e-6, 2+1e-6)
	for j := range point.p {
		if e := off(narrow.p[j], point.p[j]); e > 1e-11 {
			t.Errorf("P(|V| = %d) of a narrow range off by %g", 9-2*j, e)
		}
	}
}

func TestBadInputToTheMatching(t *testing.T) {
	for _, m := range []int{0, -1, MaxMatchVisible + 1} {
		if _, err := RingDensity(m); err == nil {
			t.Errorf("ring of %d spins is not an error", m)
		}
	}
	d, _ := RingDensity(4)
	for _, k := range []float64{math.NaN(), math.Inf(-1), 1e9} {
		if _, err := d.At(k); err == nil {
			t.Errorf("K = %v is not an error", k)
		}
	}
	for _, r := range [][2]float64{{0, 0}, {2, 1}, {1, 1}, {-1, 1}, {0, math.Inf(1)}, {math.NaN(), 1}, {0, math.NaN()}} {
		if _, err := d.Over(r[0], r[1]); err == nil {
			t.Errorf("range %v is not an error", r)
		}
	}
	m, _ := d.At(1)
	for _, n := range []int{0, -1, MaxMatchHidden + 1} {
		if _, err := m.Solve(n); err == nil {
			t.Errorf("%d hidden units are not an error", n)
		}
	}
	one, _ := RingDensity(1)
	m, _ = one.At(1)
	if _, err := m.Solve(3); err == nil || !strings.Contains(err.Error(), "visible") {
		t.Errorf("one visible unit: %v", err)
	}
}

func TestDegeneracies(t *testing.T) {
	for m := 1; m <= 12; m++ {
		count := map[[2]int]int64{}
		for s := range 1 << m {
			up, walls := 0, 0
			for i := range m {
				up += s >> i & 1
				walls += (s>>i ^ s>>((i+1)%m)) & 1
			}
			count[[2]int{up, walls}]++
		}
		d, _ := RingDensity(m)
		joint := map[[2]int]int64{}
		for up := 0; up <= m; up++ {
			for walls := 0; walls <= m; walls++ {
				n := RingDegeneracy(m, up, walls).Int64()
				if n != count[[2]int{up, walls}] {
					t.Errorf("M %d, %d up, %d walls: %d states, want %d", m, up, walls, n, count[[2]int{up, walls}])
				}
				joint[[2]int{min(up, m-up), walls / 2}] += n
			}
		}
		for key, n := range joint {
			if d.Count(key[0], key[1]).Int64() != n {
				t.Errorf("M %d: %v states with j %d, k %d, want %d", m, d.Count(key[0], key[1]), key[0], key[1], n)
			}
		}
	}
}

func BenchmarkSolve(b *testing.B) {
	for _, c := range []struct {
		m, n int
		k    float64
	}{{8, 4, 1}, {64, 16, 0.1}, {256, 1024, 1e-8}, {256, 1024, 1}} {
		b.Run(fmt.Sprintf("%dx%d/K=%g", c.m, c.n, c.k), func(b *testing.B) {
			d, _ := RingDensity(c.m)
			for b.Loop() {
				m, _ := d.At(c.k)
				m.Solve(c.n)
			}
		})
	}
}

func TestTorusMatching(t *testing.T) {
	type row struct {
		L, M, N int
		T, W    string
		Range   [][2]string `json:"T_range"`
		Grid    string
		TFlow   string `json:"T_flow"`
	}
	var table struct {
		Single, Ranges, Grids []row
		TFlow                 []row `json:"t_flow"`
	}
	truth(t, "torus_matching", &table)
	check := func(name string, r row, m *Marginal, limit float64) {
		root, err := m.Solve(r.N)
		if e := off(root.Exact, decimal(t, r.W)); err != nil || e > limit {
			t.Errorf("L %d N %d, %s: W off by %g, %v", r.L, r.N, name, e, err)
		}
	}
	at := func(d *Density, temperature string) *Marginal {
		if temperature == "Tc" {
			sinh := basePrec.Log(basePrec.Add(basePrec.Int(1), basePrec.Sqrt(basePrec.Int(2))))
			return d.atBig(basePrec.Ldexp(sinh, -1), basePrec) // sinh 2K = 1
		}
		m, err := d.AtTemperature(number(t, temperature))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, r := range table.Single {
		d, err := TorusDensity(r.L)
		if err != nil {
			t.Fatal(err)
		}
		check("T "+r.T, r, at(d, r.T), 1e-29)
	}
	for _, r := range table.Ranges {
		d, _ := TorusDensity(r.L)
		var parts []*Marginal
		var widths []float64
		for _, ends := range r.Range {
			m, err := d.Over(number(t, ends[0]), number(t, ends[1]))
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, m)
			widths = append(widths, number(t, ends[1])-number(t, ends[0]))
		}
		m, err := Mix(widths, parts...)
		if err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprint("T in ", r.Range), r, m, 2e-19) // the table has 20 digits
	}
	for _, r := range table.Grids {
		d, _ := TorusDensity(r.L)
		var parts []*Marginal
		var weights []float64
		for i := range 25 {
			temperature := float64(i) / 4
			inside := map[string]bool{
				"0..6 (25 values)": true, "4..6 (9 values)": temperature >= 4,
				"0..2 (9 values)": temperature <= 2, "0..2 and 2.5..6": temperature != 2.25,
			}
			if inside[r.Grid] {
				m, err := d.AtTemperature(temperature)
				if err != nil {
					t.Fatal(err)
				}
				parts, weights = append(parts, m), append(weights, 1)
			}
		}
		m, err := Mix(weights, parts...)
		if err != nil {
			t.Fatal(err)
		}
		check(r.Grid, r, m, 1e-29)
	}
	// At T_flow the matched machine has W²MN = 1.
	for _, r := range table.TFlow {
		d, _ := TorusDensity(r.L)
		root, err := at(d, r.TFlow).Solve(r.N)
		if c := root.W * root.W * float64(r.M*r.N); err != nil || math.Abs(c-1) > 1e-13 {
			t.Errorf("L %d N %d at T_flow: W²MN = %v, %v", r.L, r.N, c, err)
		}
	}
}
