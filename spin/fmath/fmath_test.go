package fmath

import (
	"math"
	"math/rand/v2"
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

// The sum of ln 2cosh is off by no more than its doc comment says, and by less
// than a sum of LnCosh2, held against products and sums in 106 bits.
func TestSumLnCosh2(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 7, 100, CoshRun - 1, CoshRun, CoshRun + 1, 1000, 3*CoshRun + 17} {
		for _, scale := range []float64{1e-9, 0.1, 1, 4, 30, 1000} {
			square, singles, size := 0.0, 0.0, 0.0
			const draws = 20
			for range draws {
				x := make([]float64, n)
				want, single := DD{}, 0.0
				for i := 0; i < n; {
					// Runs of other lengths than those of the definition.
					p, sum := one, DD{}
					for range min(97, n-i) {
						x[i] = (2*r.Float64() - 1) * scale
						y := math.Abs(x[i])
						e, _ := DD{Hi: -2 * min(y, 300)}.ExpComplement()
						p, sum = p.Mul(e.AddFloat(1)), sum.AddFloat(y)
						single += LnCosh2(x[i])
						i++
					}
					want = want.Add(sum).Add(lnDD(p))
				}
				off := want.Sub(DD{Hi: SumLnCosh2(x)}).Hi
				additions := float64(min(n, CoshRun) + n/CoshRun + 2)
				if limit := float64(n)*ulp + additions*ulp/2*want.Hi; math.Abs(off) > limit {
					t.Errorf("%d terms up to %g: off by %g, want at most %g", n, scale, off, limit)
				}
				square += off * off
				off = want.Sub(DD{Hi: single}).Hi
				singles += off * off
				size = max(size, want.Hi)
			}
			square, singles = math.Sqrt(square/draws), math.Sqrt(singles/draws)
			if square > 1.1*singles+ulp*size {
				t.Errorf("%d terms up to %g: %g off as one sum, %g term by term", n, scale, square, singles)
			}
		}
	}
	for _, c := range []struct {
		x    []float64
		want float64
	}{
		{nil, 0}, {[]float64{0}, math.Ln2}, {[]float64{1e300}, 1e300}, {[]float64{-50, 50}, 100}, {[]float64{-1e5, 0}, 1e5 + math.Ln2},
	} {
		if got := SumLnCosh2(c.x); got != c.want {
			t.Errorf("SumLnCosh2(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if !math.IsNaN(SumLnCosh2([]float64{1, math.NaN()})) {
		t.Error("a NaN is lost")
	}
}

// lnDD is ln x by two steps of Newton's iteration from the float64 logarithm.
func lnDD(x DD) DD {
	k := math.Floor(math.Log2(x.Hi))
	x = x.Scale(math.Ldexp(1, -int(k)))
	y := DD{Hi: math.Log(x.Hi)}
	for range 2 {
		e, _ := y.Neg().ExpComplement()
		y = y.Add(x.Mul(e).AddFloat(-1))
	}
	return y.Add(DDLn2.MulFloat(k))
}
