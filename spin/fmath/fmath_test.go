package fmath

import (
	"math"
	"testing"
)

const ulp = 1.0 / (1 << 52)

func TestErrors(t *testing.T) {
	for i := range 400001 {
		x := (float64(i) - 200000) / 200000
		x = 30 * x * x * x // dense around zero
		want := math.Tanh(x)
		if got := Tanh(x); math.Abs(got-want) > 4*ulp*math.Abs(want) {
			t.Fatalf("Tanh(%v) = %v, want %v", x, got, want)
		}
		want = math.Abs(x) + math.Log1p(math.Exp(-2*math.Abs(x)))
		if got := LnCosh2(x); math.Abs(got-want) > 3*ulp*want {
			t.Fatalf("LnCosh2(%v) = %v, want %v", x, got, want)
		}
		e := -math.Abs(x) * 23
		want = math.Exp(e)
		if got := Exp(e); math.Abs(got-want) > 2*ulp*want && e > MinExp {
			t.Fatalf("Exp(%v) = %v, want %v", e, got, want)
		}
	}
	for _, c := range []struct{ got, want float64 }{
		{Exp(0), 1}, {Exp(-709), 0}, {Exp(math.Inf(-1)), 0},
		{Tanh(0), 0}, {Tanh(math.Inf(1)), 1}, {Tanh(-1e300), -1}, {Tanh(1e-300), 1e-300},
		{LnCosh2(0), math.Ln2}, {LnCosh2(1e300), 1e300}, {LnCosh2(-50), 50},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	if !math.Signbit(Tanh(math.Copysign(0, -1))) {
		t.Error("Tanh(−0) is not −0")
	}
}
