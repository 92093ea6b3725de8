package bench

import (
	"math"
	"testing"
)

func TestErrorsAllowed(t *testing.T) {
	for _, c := range []struct {
		comparisons, freedom int
		want                 float64
	}{
		// Two-sided quantiles of 1e-9/comparisons, of the normal distribution
		// and of Student's t.
		{1, 0, 6.109},
		{100, 0, 6.807},
		{1, 63, 7.186},
		{1, 1, 6.366e8},
	} {
		got := errorsAllowed(c.comparisons, c.freedom)
		if c.freedom == 1 {
			c.want = 1e4 // the search ends there
		}
		if math.Abs(got/c.want-1) > 2e-3 {
			t.Errorf("%d comparisons with %d degrees of freedom: %v errors, want %v", c.comparisons, c.freedom, got, c.want)
		}
	}
	if errorsAllowed(1000, 0) <= errorsAllowed(10, 0) || errorsAllowed(1, 20) <= errorsAllowed(1, 200) {
		t.Error("more comparisons or fewer degrees of freedom must allow more")
	}
}

func TestFarthest(t *testing.T) {
	cs := []comparison{
		{exact: 0, measured: 0.01, error: 0.01, samples: 1e4},
		{exact: 0.5, measured: 0.4, error: 0.02, samples: 1e4},
		{exact: -0.2, measured: -0.2, error: 0.01, samples: 1e4},
	}
	r := farthest("x", cs, 0)
	if r.Exact != 0.5 || r.Measured != 0.4 || r.Error != 0.02 || !r.Pass() {
		t.Errorf("farthest is %+v", r)
	}
	cs[0].measured = math.NaN()
	if r := farthest("x", cs, 0); r.Pass() {
		t.Errorf("NaN passes: %+v", r)
	}
	cs[0].measured = 0.2
	if r := farthest("x", cs, 0); r.Pass() {
		t.Errorf("20 errors pass: %+v", r)
	}
}

// A histogram drawn from its distribution passes, with independent and with
// repeated samples; one drawn from another fails.
func TestDistributionResults(t *testing.T) {
	const states, groups, perGroup = 37, 128, 640
	p, other := make([]float64, states), make([]float64, states)
	sum, sumOther := 0.0, 0.0
	for s := range p {
		p[s] = math.Exp(-float64(s) / 4)
		other[s] = p[s] * (1 + 0.1*math.Sin(float64(s)))
		sum += p[s]
		sumOther += other[s]
	}
	for s := range p {
		p[s] /= sum
		other[s] /= sumOther
	}
	draw := func(r *numbers, p []float64, repeat int) []int32 {
		counts := make([]int32, states*groups)
		for g := range groups {
			for range perGroup / repeat {
				u, s := float64(r.next())/(1<<32), 0
				for u >= p[s] && s < states-1 {
					u -= p[s]
					s++
				}
				counts[s*groups+g] += int32(repeat)
			}
		}
		return counts
	}
	for _, repeat := range []int{1, 4} {
		total := 0.0
		for seed := range uint64(20) {
			rs := distributionResults("x", draw(newNumbers(seed), p, repeat), groups, perGroup, p)
			for _, r := range rs {
				if !r.Pass() {
					t.Errorf("%d repeats, seed %d: %s is %v, limit %v", repeat, seed, r.Name, r.Measured, r.Limit)
				}
			}
			total += rs[0].Measured / rs[0].Exact
		}
		if total < 20*0.85 || total > 20*1.15 {
			t.Errorf("%d repeats: χ² is %v of its degrees of freedom on average", repeat, total/20)
		}
	}
	for _, r := range distributionResults("x", draw(newNumbers(1), other, 1), groups, perGroup, p) {
		if r.Pass() {
			t.Errorf("another distribution passes: %s is %v, limit %v", r.Name, r.Measured, r.Limit)
		}
	}
}

func TestMedian(t *testing.T) {
	if m := median([]float64{3, 1, 2}); m != 2 {
		t.Errorf("median of three is %v", m)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median of four is %v", m)
	}
}
