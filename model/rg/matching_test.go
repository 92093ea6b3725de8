package rg

import (
	"context"
	"math"
	"testing"

	"kadanoff/backend"
	_ "kadanoff/backend/ref"
)

func TestMatching(t *testing.T) {
	b, err := backend.Open("ref", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx := context.Background()
	w, err := Match(ctx, b, 8, 4, []float64{0.1, 1, -1, 5})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.0836966896662069740534, 0.306308329811523071085, 0, 2.24006579826786955929540} {
		if math.Abs(w[i]-want) > 1e-13*want {
			t.Errorf("W(K) [%d] = %v, want %v", i, w[i], want)
		}
	}
	if _, err := Match(ctx, b, 0, 4, []float64{1}); err == nil {
		t.Error("no visible units are not an error")
	}
	for _, r := range []struct{ t1, t0, w float64 }{
		{0, 0.5, 1.0257236808128567376956737700052855},
		{0, 1, 0.48367990129887157497353916914895964},
		{0, 2, 0.29821909958922131139774845422128906},
		{0, 0.05, 10.290873382694645522},
	} {
		w, err := MatchRange(ctx, b, 8, 4, r.t1, r.t0)
		if err != nil || math.Abs(w-r.w) > 1e-12*r.w {
			t.Errorf("W for T from %v to %v: %v, want %v; %v", r.t1, r.t0, w, r.w, err)
		}
	}
	for _, r := range [][2]float64{{0, 0}, {1, 1}, {2, 1}, {-1, 1}, {0, math.NaN()}, {math.NaN(), 1}, {0, math.Inf(1)}, {0, 1e-3}} {
		if _, err := MatchRange(ctx, b, 8, 4, r[0], r[1]); err == nil {
			t.Errorf("range %v is not an error", r)
		}
	}
	if _, err := RangeWeights(1, 0, 1); err == nil {
		t.Error("one spin is not an error")
	}
}

// Weights of a narrow range are those of its temperature, and parts of a range
// add up.
func TestRangeWeights(t *testing.T) {
	const m = 11
	point, err := RangeWeights(m, 2-1e-5, 2+1e-5)
	if err != nil {
		t.Fatal(err)
	}
	byV, sum := make([]float64, m/2+1), 0.
	for s := range 1 << m {
		bonds, up := 0., 0
		for i := range m {
			bonds += float64((s>>i&1*2 - 1) * (s>>((i+1)%m)&1*2 - 1))
			up += s >> i & 1
		}
		w := math.Exp(bonds / 2)
		byV[min(up, m-up)] += w
		sum += w
	}
	for j := range byV {
		within(t, 1e-8, point[j], byV[j]/sum, "P(|V| = %d) at T = 2", m-2*j)
	}
	low, _ := RangeWeights(m, 0, 1.5)
	high, _ := RangeWeights(m, 1.5, 6)
	whole, _ := RangeWeights(m, 0, 6)
	for j := range whole {
		within(t, 1e-13, (1.5*low[j]+4.5*high[j])/6, whole[j], "P(|V| = %d) of two parts", m-2*j)
	}
}
