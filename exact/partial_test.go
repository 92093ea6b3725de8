package exact

import (
	"math"
	"testing"
)

// Moments of some units are those of all units, picked.
func TestPartialMoments(t *testing.T) {
	r := RBM{Visible: 7, Hidden: 5, W: make([]float64, 35), B: make([]float64, 7), C: make([]float64, 5)}
	for i := range r.W {
		r.W[i] = math.Sin(float64(3*i + 1))
	}
	for i := range r.B {
		r.B[i] = math.Cos(float64(i)) / 2
	}
	for a := range r.C {
		r.C[a] = math.Cos(float64(5*a)) / 3
	}
	all, err := r.Moments()
	if err != nil {
		t.Fatal(err)
	}
	units := []int{6, 0, 3}
	part, err := r.PartialMoments(units)
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-13 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("ln Z", part.LogZ, all.LogZ)
	for k, i := range units {
		near("a visible mean", part.V[k], all.V[i])
		for l, j := range units {
			near("a visible pair", part.VV[k*3+l], all.VV[i*7+j])
		}
		for a := range 5 {
			near("a mixed pair", part.VH[k*5+a], all.VH[i*5+a])
		}
	}
	for i, x := range all.HH {
		near("a hidden pair", part.HH[i], x)
	}
	for a, x := range all.H {
		near("a hidden mean", part.H[a], x)
	}
	if _, err := r.PartialMoments([]int{7}); err == nil {
		t.Error("no error for a unit that does not exist")
	}
}
