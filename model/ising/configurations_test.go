package ising

import (
	"context"
	"math"
	"testing"
	"time"
)

// Energy and |m| at each temperature are the exact ones, both signs come, and
// T = 0 is aligned.
func TestConfigurations(t *testing.T) {
	const count, l = 1500, 8
	temperatures := []float64{0, 2.5, 4}
	spins, err := Configurations(context.Background(), open(t), l, l, temperatures, count, 300, 5)
	if err != nil {
		t.Fatal(err)
	}
	lattice := newClusters(l, l, 1, nil)
	for k, temperature := range temperatures {
		var e, e2, m, m2, sign float64
		for r := range count {
			copy(lattice.spins, spins[(k*count+r)*l*l:])
			energy, magnetization := lattice.measure()
			x, y := float64(energy)/(l*l), math.Abs(float64(magnetization))/(l*l)
			e, e2, m, m2 = e+x/count, e2+x*x/count, m+y/count, m2+y*y/count
			if magnetization > 0 {
				sign++
			}
		}
		wantE, wantM := -2., 1.
		for _, x := range exact {
			if x.l == l && x.t == temperature {
				wantE, wantM = x.energy, x.absolute
			}
		}
		if limit := 5*math.Sqrt((e2-e*e)/count) + 1e-12; math.Abs(e-wantE) > limit {
			t.Errorf("T = %v: energy %v, want %v ± %v", temperature, e, wantE, limit)
		}
		if limit := 5*math.Sqrt((m2-m*m)/count) + 1e-12; math.Abs(m-wantM) > limit {
			t.Errorf("T = %v: |m| %v, want %v ± %v", temperature, m, wantM, limit)
		}
		if temperature == 0 && math.Abs(sign-count/2) > 5*math.Sqrt(count)/2 {
			t.Errorf("T = 0: %v of %v configurations are up", sign, count)
		}
	}
	for _, bad := range [][]float64{{}, {-1}, {math.NaN()}} {
		if _, err := Configurations(context.Background(), open(t), 4, 4, bad, 1, 1, 1); err == nil {
			t.Errorf("temperatures %v: no error", bad)
		}
	}
	if _, err := Configurations(context.Background(), open(t), 5, 4, []float64{1}, 1, 1, 1); err == nil {
		t.Error("an odd side: no error")
	}
}

// 25,000 configurations of 10×10 at T = 0, ¼, … 6, equilibrated for 1000
// sweeps. Goal: 5 s on two cores.
func BenchmarkConfigurations(b *testing.B) {
	var temperatures []float64
	for i := range 25 {
		temperatures = append(temperatures, float64(i)/4)
	}
	backend := open(b)
	least := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		if _, err := Configurations(context.Background(), backend, 10, 10, temperatures, 1000, 1000, 1); err != nil {
			b.Fatal(err)
		}
		least = min(least, time.Since(start))
	}
	b.ReportMetric(least.Seconds(), "min-s")
}
