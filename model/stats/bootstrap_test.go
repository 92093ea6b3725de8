package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The bootstrap error of a mean is σ/√n, that of a difference of two means the
// root of the sum of squares.
func TestBootstrap(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	const replicas = 2000
	x, y := make([]float64, 401), make([]float64, 211)
	for i := range x {
		x[i] = 3 + 2*rng.NormFloat64()
	}
	for i := range y {
		y[i] = 1 + 5*rng.NormFloat64()
	}
	average := func(list []float64, draws []int) float64 {
		sum := 0.
		for _, i := range draws {
			sum += list[i]
		}
		return sum / float64(len(draws))
	}
	deviation := func(list []float64) float64 {
		e, err := Gamma(list)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.
		for _, v := range list {
			sum += (v - e.Mean) * (v - e.Mean)
		}
		return math.Sqrt(sum / float64(len(list)))
	}
	sx, sy := deviation(x)/math.Sqrt(401), deviation(y)/math.Sqrt(211)
	limit := 5 / math.Sqrt(2*replicas) // of an estimated standard deviation
	one, err := Bootstrap([]int{401}, replicas, 1, func(d [][]int) float64 { return average(x, d[0]) })
	if err != nil || one.Failed != 0 || math.Abs(one.Error/sx-1) > limit || math.Abs(one.Value-3) > 5*sx {
		t.Errorf("mean %+v, want 3 ± %v, %v", one, sx, err)
	}
	both, err := Bootstrap([]int{401, 211}, replicas, 2, func(d [][]int) float64 { return average(x, d[0]) - average(y, d[1]) })
	if want := math.Hypot(sx, sy); err != nil || math.Abs(both.Error/want-1) > limit {
		t.Errorf("difference %+v, want an error of %v, %v", both, want, err)
	}
	again, _ := Bootstrap([]int{401}, replicas, 1, func(d [][]int) float64 { return average(x, d[0]) })
	if again != one {
		t.Errorf("the same seed gives %+v and %+v", one, again)
	}
}

// Over many samples the values lie around the truth as the errors say.
func TestBootstrapPulls(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	const experiments = 300
	sum := 0.
	for e := range experiments {
		x := make([]float64, 60)
		for i := range x {
			x[i] = rng.ExpFloat64()
		}
		r, err := Bootstrap([]int{60}, 200, uint64(e), func(d [][]int) float64 {
			mean := 0.
			for _, i := range d[0] {
				mean += x[i] / 60
			}
			return math.Log(mean)
		})
		if err != nil {
			t.Fatal(err)
		}
		sum += (r.Value / r.Error) * (r.Value / r.Error)
	}
	// The logarithm of a mean of 60 is biased by 1/120, 0.06 of its error, and
	// the error is low by 1/120.
	if v := sum / experiments; math.Abs(v-1) > 0.04+5*math.Sqrt(2./experiments) {
		t.Errorf("variance of the pulls %v, want 1", v)
	}
}

func TestBootstrapWithoutAValue(t *testing.T) {
	calls := 0
	r, err := Bootstrap([]int{3}, 10, 1, func([][]int) float64 {
		if calls++; calls%2 == 0 {
			return math.NaN()
		}
		return 1
	})
	if err != nil || r.Value != 1 || r.Failed != 5 || r.Error != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = Bootstrap([]int{3}, 10, 1, func([][]int) float64 { return math.Inf(1) }); err != nil || r.Failed != 10 || !math.IsNaN(r.Error) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range [][]int{nil, {0}} {
		if _, err := Bootstrap(bad, 10, 1, func([][]int) float64 { return 0 }); err == nil {
			t.Errorf("populations %v: no error", bad)
		}
	}
	if _, err := Bootstrap([]int{1}, 1, 1, func([][]int) float64 { return 0 }); err == nil {
		t.Error("one replica: no error")
	}
}
