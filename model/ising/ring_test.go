package ising

import (
	"math"
	"slices"
	"testing"
)

// Every state of small rings comes as often as it should, both signs of K, odd
// rings too.
func TestRingFrequencies(t *testing.T) {
	const draws = 1 << 17
	for _, size := range []int{1, 2, 3, 5, 8} {
		for _, k := range []float64{0, 0.7, -0.4, 2, -3} {
			spins := make([]int8, draws*size)
			if err := SampleRing(spins, size, k, 9, 0); err != nil {
				t.Fatal(err)
			}
			counts := make([]float64, 1<<size)
			for r := range draws {
				s := 0
				for i, x := range spins[r*size : (r+1)*size] {
					s |= int(x+1) / 2 << i
				}
				counts[s]++
			}
			weight, z := make([]float64, 1<<size), 0.
			for s := range weight {
				bonds := 0
				for i := range size {
					bonds += 1 - 2*(s>>i&1^s>>((i+1)%size)&1)
				}
				weight[s] = math.Exp(k * float64(bonds))
				z += weight[s]
			}
			for s, n := range counts {
				p := weight[s] / z
				if limit := 5*math.Sqrt(draws*p*(1-p)) + 5; math.Abs(n-draws*p) > limit {
					t.Errorf("ring of %d, K = %v: state %b came %v times, want %v ± %v", size, k, s, n, draws*p, limit)
				}
			}
		}
	}
}

// Long rings have the exact correlation (t^r + t^(M−r))/(1 + t^M).
func TestRingCorrelation(t *testing.T) {
	const size, k, draws = 64, 1., 20000
	spins := make([]int8, draws*size)
	if err := SampleRing(spins, size, k, 3, 0); err != nil {
		t.Fatal(err)
	}
	c, err := NewCorrelations(size, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for r := range draws {
		if err := c.Add(0, spins[r*size:(r+1)*size]); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.Estimates()
	if err != nil || len(list) != size/2+1 {
		t.Fatalf("%d distances, %v", len(list), err)
	}
	th := math.Tanh(k)
	for r, got := range list {
		want := (math.Pow(th, float64(r)) + math.Pow(th, float64(size-r))) / (1 + math.Pow(th, size))
		if math.Abs(got.Mean-want) > 5*got.Error+1e-15 || got.Error > 0.01 {
			t.Errorf("distance %d: %v ± %v, want %v", r, got.Mean, got.Error, want)
		}
	}
}

func TestRingLimits(t *testing.T) {
	spins := make([]int8, 3*7)
	if err := SampleRing(spins, 7, math.Inf(1), 1, 0); err != nil {
		t.Fatal(err)
	}
	for i, x := range spins {
		if x*x != 1 || x != spins[i/7*7] {
			t.Fatalf("K = ∞: %v, want aligned rings", spins)
		}
	}
	spins = make([]int8, 3*6)
	if err := SampleRing(spins, 6, math.Inf(-1), 1, 0); err != nil {
		t.Fatal(err)
	}
	for i := range spins {
		if i%6 > 0 && spins[i] != -spins[i-1] {
			t.Fatalf("K = −∞: %v, want alternating rings", spins)
		}
	}
	// A frustrated ring has one bond in a thousandth part of its length wrong.
	spins = make([]int8, 1001)
	if err := SampleRing(spins, 1001, -300, 1, 0); err != nil {
		t.Fatal(err)
	}
	equal := 0
	for i, x := range spins {
		if x == spins[(i+1)%1001] {
			equal++
		}
	}
	if equal != 1 {
		t.Errorf("cold antiferromagnetic ring of 1001 has %d equal pairs, want 1", equal)
	}
	// Parts of a job are the job.
	whole, part := make([]int8, 5*11), make([]int8, 2*11)
	if err := SampleRing(whole, 11, 0.3, 4, 0); err != nil {
		t.Fatal(err)
	}
	if err := SampleRing(part, 11, 0.3, 4, 2); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(part, whole[2*11:4*11]) {
		t.Error("configurations depend on what was asked for beside them")
	}
	for _, c := range []struct {
		size int
		k    float64
	}{{0, 1}, {4, 1}, {5, math.Inf(-1)}, {5, math.NaN()}} {
		if err := SampleRing(make([]int8, 5), c.size, c.k, 1, 0); err == nil {
			t.Errorf("ring of %d at K = %v: no error", c.size, c.k)
		}
	}
}
