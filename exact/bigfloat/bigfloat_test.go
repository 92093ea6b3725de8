package bigfloat

import (
	"math"
	"math/big"
	"testing"
)

// Values with 50 digits, from tables.
const (
	ln2  = "0.69314718055994530941723212145817656807550013436026"
	pi   = "3.1415926535897932384626433832795028841971693993751"
	e    = "2.7182818284590452353602874713526624977572470936999"
	ln10 = "2.3025850929940456840179914546843642076011014886288"
	cos1 = "0.54030230586813971740093660744297660373231042061792"
)

func near(t *testing.T, name string, got *big.Float, want string, tolerance float64) {
	t.Helper()
	w, _, err := big.ParseFloat(want, 10, 300, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := new(big.Float).Quo(new(big.Float).SetPrec(300).Sub(got, w), w).Float64()
	if !(math.Abs(d) <= tolerance) {
		t.Errorf("%s = %s, off by %g relative", name, got.Text('g', 55), d)
	}
}

func TestConstants(t *testing.T) {
	const p Prec = 200
	near(t, "ln 2", p.Ln2(), ln2, 1e-49)
	near(t, "π", p.Pi(), pi, 1e-49)
	near(t, "e", p.Exp(p.Int(1)), e, 1e-49)
	near(t, "ln 10", p.Log(p.Int(10)), ln10, 1e-49)
	near(t, "cos 1", p.Cos(p.Int(1)), cos1, 1e-49)
	near(t, "cos -1", p.Cos(p.Int(-1)), cos1, 1e-49)
}

func TestExpAndLogInvertEachOther(t *testing.T) {
	for _, p := range []Prec{53, 64, 113, 256, 700} {
		for _, x := range []float64{1e-40, -3e-9, 0.1, -0.7, 1, 2.5, -33, 700, -2800, 1e5, -1e6} {
			v := p.Float(x)
			// log(exp x) loses what exp x, a number with p bits, cannot hold of x.
			wide := p + 80 + Prec(max(0, -2*v.MantExp(nil)))
			back := p.Log(wide.Exp(v))
			d, _ := p.Quo(p.Sub(back, v), v).Float64()
			if math.Abs(d) > math.Ldexp(2, -int(p)) {
				t.Errorf("%d bits: log(exp %g) is off by %g relative", p, x, d)
			}
		}
	}
}

func TestExpAgainstHigherPrecision(t *testing.T) {
	for _, x := range []float64{1e-3, 0.5, -12.25, 100, -3000} {
		low, high := Prec(120).Exp(big.NewFloat(x)), Prec(400).Exp(big.NewFloat(x))
		d, _ := Prec(400).Quo(Prec(400).Sub(low, high), high).Float64()
		if math.Abs(d) > math.Ldexp(1, -120) {
			t.Errorf("exp %g at 120 bits is off by %g relative", x, d)
		}
	}
	if v := Prec(64).Exp(big.NewFloat(-1e30)); v.Sign() != 0 {
		t.Errorf("exp(-1e30) = %v, want 0", v)
	}
	if v := Prec(64).Exp(big.NewFloat(1e30)); !v.IsInf() {
		t.Errorf("exp(1e30) = %v, want +Inf", v)
	}
}

func TestPow(t *testing.T) {
	const p Prec = 100
	third := p.Quo(p.Int(1), p.Int(3))
	want := p.Int(1)
	for n := range 40 {
		got := p.Pow(third, n)
		if d, _ := p.Quo(p.Sub(got, want), want).Float64(); math.Abs(d) > 1e-28 {
			t.Errorf("(1/3)^%d is off by %g relative", n, d)
		}
		want = p.Mul(want, third)
	}
}

func TestLogPanicsOffItsDomain(t *testing.T) {
	for _, x := range []float64{0, -1, math.Inf(1)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("log %g did not panic", x)
				}
			}()
			Prec(64).Log(big.NewFloat(x))
		}()
	}
}

func BenchmarkExp256(b *testing.B) {
	x := Prec(256).Float(0.37)
	for b.Loop() {
		Prec(256).Exp(x)
	}
}

// Sums of numbers far apart, near each other and just at the edge.
func TestAddRoundsToOneOfThem(t *testing.T) {
	const p Prec = 64
	one := p.Int(1)
	for _, e := range []int{-1 << 30, -200, -70, -67, -66, -65, -64, -63, -1, 0, 5, 66, 70, 1 << 30} {
		x := new(big.Float).SetMantExp(p.Float(0.75), e)
		if e > -1000 && e < 1000 {
			if want := p.zero().Add(one, x); p.Add(one, x).Cmp(want) != 0 {
				t.Errorf("1 + 0.75·2^%d = %v, want %v", e, p.Add(one, x), want)
			}
			if want := p.zero().Sub(one, x); p.Sub(one, x).Cmp(want) != 0 {
				t.Errorf("1 − 0.75·2^%d = %v, want %v", e, p.Sub(one, x), want)
			}
		}
		sum := p.Round(one)
		Accumulate(sum, x)
		if sum.Cmp(p.Add(one, x)) != 0 || p.Add(x, one).Cmp(sum) != 0 {
			t.Errorf("sums of 1 and 0.75·2^%d differ", e)
		}
		large := one
		if e > 0 {
			large = x
		}
		if (e < -1000 || e > 1000) && sum.Cmp(large) != 0 {
			t.Errorf("1 + 0.75·2^%d = %v", e, sum)
		}
	}
}
