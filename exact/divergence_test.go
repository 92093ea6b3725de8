package exact

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/optimize"
)

func TestContrastiveDivergenceTable(t *testing.T) {
	var table struct {
		CD []struct {
			M, N int
			K    string
			CD   map[string]string `json:"W_CD"`
		}
	}
	truth(t, "small", &table)
	for _, r := range table.CD {
		d, _ := RingDensity(r.M)
		m, _ := d.At(number(t, r.K))
		for steps, want := range r.CD {
			var k int
			fmt.Sscan(steps, &k)
			w, err := m.CDFixedPoint(r.N, k)
			if e := offFloat(w, decimal(t, want)); err != nil || e > 1e-12 {
				t.Errorf("M %d N %d K %s: fixed point of CD-%d off by %g, %v", r.M, r.N, r.K, k, e, err)
			}
		}
	}
	d, _ := RingDensity(8)
	m, _ := d.At(0)
	if _, err := m.CDFixedPoint(4, 1); err == nil {
		t.Error("a fixed point at K = 0 is not an error")
	}
	m, _ = d.At(1)
	if _, err := m.CDFixedPoint(4, 0); err == nil {
		t.Error("CD-0 is not an error")
	}
}

func TestDivergenceGradient(t *testing.T) {
	r := randomRBM(5, 3, 0.6)
	q, err := RingStates(5, 0.8)
	if err != nil {
		t.Fatal(err)
	}
	kl, g, err := r.Divergence(q)
	if err != nil || kl <= 0 {
		t.Fatalf("KL = %v, %v", kl, err)
	}
	const step = 1e-5
	check := func(name string, x, slope []float64) {
		for i := range x {
			was := x[i]
			x[i] = was + step
			up, _, _ := r.Divergence(q)
			x[i] = was - step
			down, _, _ := r.Divergence(q)
			x[i] = was
			if d := (up - down) / (2 * step); math.Abs(d-slope[i]) > 1e-8 {
				t.Errorf("∂KL/∂%s[%d] = %v, by differences %v", name, i, slope[i], d)
			}
		}
	}
	check("W", r.W, g.W)
	check("b", r.B, g.B)
	check("c", r.C, g.C)
}

// Uniform weights are no minimum: from next to them full weights go down to the
// table's value. At M = 8, N = 4, K = 1 that is KL = 0.
func TestFullWeightsTable(t *testing.T) {
	var table struct {
		Full []struct {
			M, N       int
			K          float64
			W          float64 `json:"W_uniform"`
			KL         float64 `json:"KL_uniform"`
			Directions int     `json:"hessian_neg_count"`
			Best       float64 `json:"KL_best"`
		}
	}
	truth(t, "small", &table)
	seen := 0
	for _, row := range table.Full {
		if row.M != 8 {
			continue
		}
		seen++
		q, err := RingStates(row.M, row.K)
		if err != nil {
			t.Fatal(err)
		}
		r := RBM{Visible: row.M, Hidden: row.N, W: make([]float64, row.M*row.N), B: make([]float64, row.M), C: make([]float64, row.N)}
		for i := range r.W {
			r.W[i] = row.W
		}
		kl, g, err := r.Divergence(q)
		if err != nil {
			t.Fatal(err)
		}
		within(t, 1e-10, kl, row.KL, "M %d N %d K %g: KL of uniform weights", row.M, row.N, row.K)
		for i, x := range g.W {
			if math.Abs(x) > 1e-12 {
				t.Errorf("M %d N %d K %g: gradient of uniform weights [%d] = %g", row.M, row.N, row.K, i, x)
			}
		}
		problem := optimize.Problem{
			Func: func(x []float64) float64 {
				kl, _, _ := RBM{row.M, row.N, x, r.B, r.C}.Divergence(q)
				return kl
			},
			Grad: func(grad, x []float64) {
				_, g, _ := RBM{row.M, row.N, x, r.B, r.C}.Divergence(q)
				copy(grad, g.W)
			},
		}
		best := math.Inf(1)
		for seed := range 4 {
			start := randomRBM(row.M, row.N, 0.3+0.1*float64(seed)).W
			for i := range start {
				start[i] += row.W * float64(seed%2)
			}
			result, _ := optimize.Minimize(problem, start, &optimize.Settings{GradientThreshold: 1e-9}, &optimize.BFGS{})
			best = min(best, result.F)
		}
		if row.Directions > 0 && best > row.KL-1e-3 {
			t.Errorf("M %d N %d K %g: KL %g does not fall below that of uniform weights, %g", row.M, row.N, row.K, best, row.KL)
		}
		if best < row.Best-1e-9 {
			t.Errorf("M %d N %d K %g: KL %g is below the least known, %g", row.M, row.N, row.K, best, row.Best)
		}
		if row.M == 8 && row.N == 4 && row.K == 1 && best > 1e-9 {
			t.Errorf("M 8 N 4 K 1: KL %g, want 0", best)
		}
	}
	if seen == 0 {
		t.Fatal("no rows")
	}
}
