package exact

import (
	"math"
	"testing"
)

// The uniform RBM against the general enumeration, at odd and even sizes.
func TestUniformRBMAgainstEnumeration(t *testing.T) {
	for _, c := range []UniformRBM{{5, 3, 0.4}, {3, 5, 0.7}, {8, 4, 0.3063}, {7, 2, -0.25}, {2, 7, 0}, {1, 1, 1.5}, {11, 4, 3}} {
		u, err := NewUniformRBM(c.M, c.N, c.W)
		if err != nil {
			t.Fatal(err)
		}
		r := RBM{Visible: u.M, Hidden: u.N, W: make([]float64, u.M*u.N), B: make([]float64, u.M), C: make([]float64, u.N)}
		for i := range r.W {
			r.W[i] = u.W
		}
		logZ, err := r.LogZ()
		if err != nil {
			t.Fatal(err)
		}
		within(t, 1e-14, u.LogZ(), logZ, "%+v: ln Z", u)
		p, err := r.VisibleDistribution()
		if err != nil {
			t.Fatal(err)
		}
		byV := make([]float64, u.M+1)
		f := 0.0
		for s, x := range p {
			up := 0
			for i := range u.M {
				up += s >> i & 1
			}
			byV[up] += x
			v := float64(2*up - u.M)
			f += x * v * math.Tanh(v*u.W)
		}
		for up, x := range u.Visible() {
			within(t, 1e-13, x, byV[up], "%+v: P(V = %d)", u, 2*up-u.M)
		}
		within(t, 1e-13, u.F(), f, "%+v: f", u)
	}
	for _, bad := range []UniformRBM{{0, 1, 1}, {1, 0, 1}, {-1, 1, 1}, {MaxRing + 1, 1, 1}, {1, MaxMatchHidden + 1, 1}, {1, 1, math.NaN()}} {
		if _, err := NewUniformRBM(bad.M, bad.N, bad.W); err == nil {
			t.Errorf("%+v is not an error", bad)
		}
	}
}

// f from H and f from V are two sums; so are g from a marginal and its root.
func TestBothSumsForF(t *testing.T) {
	for _, c := range []UniformRBM{{8, 4, 0.3}, {31, 7, 0.02}, {32, 32, 0.11}, {64, 16, 1}, {256, 1024, 1e-4}} {
		f, err := F(c.M, c.N, c.W)
		if err != nil {
			t.Fatal(err)
		}
		within(t, 1e-15, c.F(), f, "%+v: f", c)
	}
}

func TestDivergenceTable(t *testing.T) {
	var table struct {
		Rows []struct {
			M, N    int
			K, W    string
			KL      string `json:"KL_nats"`
			KL0     string `json:"KL_at_W0"`
			Entropy string `json:"entropy_q"`
			Pair    string `json:"rbm_corr_all_pairs"`
			V2      string `json:"EV2_rbm"`
		}
	}
	truth(t, "kl_moments", &table)
	for _, r := range table.Rows {
		u := UniformRBM{r.M, r.N, number(t, r.W)}
		k := number(t, r.K)
		kl, err := u.KLFromRing(k)
		// The divergence is smallest at this W; at K = 5 it is 1e-6 of what it is
		// made of, and the rounding of K counts.
		if e := offFloat(kl, decimal(t, r.KL)); err != nil || e > 1e-14 && (r.K != "5" || e > 1e-12) {
			t.Errorf("M %d N %d K %s: KL off by %g, %v", r.M, r.N, r.K, e, err)
		}
		kl, err = UniformRBM{r.M, r.N, 0}.KLFromRing(k)
		if e := offFloat(kl, decimal(t, r.KL0)); err != nil || e > 2e-15 {
			t.Errorf("M %d N %d K %s: KL at W = 0 off by %g, %v", r.M, r.N, r.K, e, err)
		}
		if e := offFloat(u.PairCorrelation(), decimal(t, r.Pair)); e > 2e-15 {
			t.Errorf("M %d N %d K %s: pair correlation off by %g", r.M, r.N, r.K, e)
		}
	}
}
