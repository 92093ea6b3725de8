package exact

import (
	"math"
	"math/big"
	"testing"
)

// enumerateRing sums over all 2^m states in big floats.
func enumerateRing(m int, k float64) (logZ, energy, heat float64, corr, dist []float64) {
	p := precOf(400)
	z, e1, e2 := p.Int(0), p.Int(0), p.Int(0)
	corrs, dists := make([]*big.Float, m), make([]*big.Float, m+1)
	for i := range corrs {
		corrs[i] = p.Int(0)
	}
	for i := range dists {
		dists[i] = p.Int(0)
	}
	for s := range 1 << m {
		bond, v := 0, 0
		spin := func(i int) int { return s>>(i%m)&1*2 - 1 }
		for i := range m {
			bond += spin(i) * spin(i+1)
			v += spin(i)
		}
		w := p.Exp(p.Scale(bond, p.Float(k)))
		z.Add(z, w)
		e1.Add(e1, p.Scale(-bond, w))
		e2.Add(e2, p.Scale(bond*bond, w))
		for d := range corrs {
			corrs[d].Add(corrs[d], p.Scale(spin(0)*spin(d), w))
		}
		dists[(v+m)/2].Add(dists[(v+m)/2], w)
	}
	f := func(x *big.Float) float64 { y, _ := x.Float64(); return y }
	for _, c := range corrs {
		corr = append(corr, f(p.Quo(c, z)))
	}
	for _, c := range dists {
		dist = append(dist, f(p.Quo(c, z)))
	}
	mean := p.Quo(e1, z)
	variance := p.Sub(p.Quo(e2, z), p.Mul(mean, mean))
	return f(p.Log(z)), f(mean) / float64(m), k * k * f(variance) / float64(m), corr, dist
}

func within(t *testing.T, limit, got, want float64, format string, args ...any) {
	t.Helper()
	if e := math.Abs(got - want); !(e <= limit*math.Abs(want)) && !(want == 0 && e < limit) {
		t.Errorf(format+": %v, want %v (off by %.2g)", append(args, got, want, e/math.Abs(want))...)
	}
}

func TestRingAgainstEnumeration(t *testing.T) {
	for _, m := range []int{1, 2, 3, 4, 5, 7, 8} {
		for _, k := range []float64{0, 1e-6, 0.1, 0.5, 1, 3, 20, 60, -1e-3, -0.5, -2, -9} {
			r, err := NewRing(m, k)
			if err != nil {
				t.Fatal(err)
			}
			logZ, energy, heat, corr, dist := enumerateRing(m, k)
			within(t, 1e-14, r.LogZ(), logZ, "M %d K %g: ln Z", m, k)
			within(t, 1e-14, r.Energy(), energy, "M %d K %g: energy", m, k)
			within(t, 1e-13, r.SpecificHeat(), heat, "M %d K %g: specific heat", m, k)
			for d := range corr {
				within(t, 1e-14, r.Correlation(d), corr[d], "M %d K %g: correlation at %d", m, k, d)
			}
			got, err := r.Distribution()
			if err != nil {
				t.Fatal(err)
			}
			for i := range dist {
				within(t, 1e-15, got[i], dist[i], "M %d K %g: P(V = %d)", m, k, 2*i-m)
			}
		}
	}
}

// The distribution of V of a long ring: its sum, and E[V²] from correlations.
func TestLongRing(t *testing.T) {
	for _, k := range []float64{0.3, 2.5, 700} {
		r := Ring{MaxRing, k}
		p, err := r.Distribution()
		if err != nil {
			t.Fatal(err)
		}
		sum, square, abs := 0.0, 0.0, 0.0
		for i, x := range p {
			v := float64(2*i - r.M)
			sum += x
			square += x * v * v
			abs += x * math.Abs(v)
		}
		want := 0.0
		for d := range r.M {
			want += r.Correlation(d)
		}
		within(t, 1e-13, sum, 1, "K %g: ΣP", k)
		within(t, 1e-12, square, want*float64(r.M), "K %g: E[V²]", k)
		m, err := r.AbsMagnetization()
		within(t, 1e-12, m, abs/float64(r.M), "K %g: E|V|/M (%v)", k, err)
	}
	if _, err := (Ring{MaxRing + 1, 1}).Distribution(); err == nil {
		t.Error("a ring beyond MaxRing has a distribution")
	}
	for _, bad := range []Ring{{0, 1}, {-3, 1}, {4, math.NaN()}, {4, math.Inf(1)}} {
		if _, err := NewRing(bad.M, bad.K); err == nil {
			t.Errorf("%+v is not an error", bad)
		}
	}
	if z := (Ring{4096, 1e5}).LogZ(); z != 4096e5+math.Ln2 {
		t.Errorf("ln Z at K = 1e5 is %v", z)
	}
}

func TestRingTable(t *testing.T) {
	var table struct {
		Rows []struct {
			M    int
			K    string
			Corr map[string]string `json:"ising_corr"`
			V2   string            `json:"EV2_ising"`
		}
	}
	truth(t, "kl_moments", &table)
	for _, row := range table.Rows {
		r := Ring{row.M, number(t, row.K)}
		for d := 1; d <= 4; d++ {
			if e := offFloat(r.Correlation(d), decimal(t, row.Corr[string(rune('0'+d))])); e > 2e-15 {
				t.Errorf("M %d K %s: correlation at %d off by %g", row.M, row.K, d, e)
			}
		}
	}
}
