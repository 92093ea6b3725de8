package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// ar1 returns x_{t+1} = a·x_t + √(1−a²)·normal, whose autocorrelation is a^t
// and whose variance is 1: τ = 1/2 + a/(1−a).
func ar1(rng *rand.Rand, a float64, n int) []float64 {
	x := make([]float64, n)
	v := rng.NormFloat64()
	for i := range x {
		x[i] = v
		v = a*v + math.Sqrt(1-a*a)*rng.NormFloat64()
	}
	return x
}

func TestAutoregressiveTimes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, a := range []float64{-0.5, 0, 0.3, 0.8, 0.95, 0.99} {
		want := 0.5 + a/(1-a)
		chains := make([][]float64, 7)
		for r := range chains {
			chains[r] = ar1(rng, a, 30011)
		}
		e, err := Gamma(chains...)
		if err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(e.Tau - want); d > 5*e.TauError+0.02*want {
			t.Errorf("a=%g: τ = %g ± %g, want %g", a, e.Tau, e.TauError, want)
		}
		wantError := math.Sqrt(2 * want / float64(e.N))
		if d := math.Abs(e.Error/wantError - 1); d > 0.15 {
			t.Errorf("a=%g: error of the mean %g, want %g", a, e.Error, wantError)
		}
		if math.Abs(e.Mean) > 5*wantError {
			t.Errorf("a=%g: mean %g ± %g, want 0", a, e.Mean, wantError)
		}
		if got := e.ESS * 2 * e.Tau; math.Abs(got-float64(e.N)) > 1e-6*got {
			t.Errorf("a=%g: ESS·2τ = %g, want %d", a, got, e.N)
		}
		tau, window, err := IntegratedTime(6, chains...)
		if a >= 0 && (err != nil || math.Abs(tau/want-1) > 0.15) {
			t.Errorf("a=%g: Sokal's τ = %g at window %d (%v), want %g", a, tau, window, err, want)
		}
		b, err := Plateau(Blocking(chains[0]))
		if a >= 0 && (err != nil || math.Abs(b.Error/math.Sqrt(2*want/30011)-1) > 0.35) {
			t.Errorf("a=%g: blocked error %g at length %d (%v), want %g", a, b.Error, b.Length, err, math.Sqrt(2*want/30011))
		}
	}
}

// The quoted errors cover: over many experiments the pull has unit variance.
func TestPulls(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const experiments = 400
	sum := 0.0
	for range experiments {
		e, err := Gamma(ar1(rng, 0.9, 4001), ar1(rng, 0.9, 4001))
		if err != nil {
			t.Fatal(err)
		}
		sum += (e.Mean / e.Error) * (e.Mean / e.Error)
	}
	if v := sum / experiments; math.Abs(v-1) > 5*math.Sqrt(2.0/experiments) {
		t.Errorf("variance of the pulls %g, want 1", v)
	}
}

// Function of correlated observables: the variance as ⟨x²⟩ − ⟨x⟩², whose error
// for independent normal numbers is √(2/N), and a ratio that cancels exactly.
func TestFunction(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n = 50021
	x := ar1(rng, 0, n)
	x2, y := make([]float64, n), make([]float64, n)
	for i, v := range x {
		x[i] = v + 3
		x2[i] = x[i] * x[i]
		y[i] = 2 * x[i]
	}
	variance := func(m []float64) float64 { return m[1] - m[0]*m[0] }
	e, err := Function(variance, [][]float64{x}, [][]float64{x2})
	if err != nil {
		t.Fatal(err)
	}
	want := math.Sqrt(2.0 / n)
	if math.Abs(e.Mean-1) > 5*want || math.Abs(e.Error/want-1) > 0.1 {
		t.Errorf("variance %g ± %g, want 1 ± %g", e.Mean, e.Error, want)
	}
	e, err = Function(func(m []float64) float64 { return m[1] / m[0] }, [][]float64{x}, [][]float64{y})
	if err != nil || math.Abs(e.Mean-2) > 1e-12 || e.Error > 1e-7 {
		t.Errorf("ratio %g ± %g (%v), want 2 ± 0", e.Mean, e.Error, err)
	}
}

func TestBinsAgreeWithSeries(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var chains [][]float64
	var binned []*Bins
	for range 5 {
		x := ar1(rng, 0.9, 16384)
		b := NewBins(1024)
		for _, v := range x {
			b.Add(v)
		}
		chains, binned = append(chains, x), append(binned, b)
		if b.N() != len(x) || b.Length() != 32 || len(b.Means()) != 512 {
			t.Fatalf("%d measurements in %d bins of %d", b.N(), len(b.Means()), b.Length())
		}
	}
	want, err := Gamma(chains...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := GammaBins(binned...)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.Mean-want.Mean) > 1e-12 || math.Abs(got.Error/want.Error-1) > 0.1 || math.Abs(got.Tau/want.Tau-1) > 0.2 {
		t.Errorf("bins give %+v, the series %+v", got, want)
	}
}

// A series in a file goes on as if it had never been written.
func TestBinsInFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	x := ar1(rng, 0.5, 1003)
	whole, part := NewBins(32), NewBins(32)
	for i, v := range x {
		whole.Add(v)
		if i == 777 {
			text, err := json.Marshal(part)
			if err != nil {
				t.Fatal(err)
			}
			part = new(Bins)
			if err := json.Unmarshal(text, part); err != nil {
				t.Fatal(err)
			}
		}
		part.Add(v)
	}
	if !reflect.DeepEqual(whole, part) {
		t.Errorf("%+v, want %+v", part, whole)
	}
	for _, bad := range []string{
		`{"limit":7,"length":1,"n":1,"bins":[1]}`, `{"limit":8,"length":3,"n":3,"bins":[1]}`,
		`{"limit":8,"length":1,"n":5,"bins":[1]}`, `{"limit":8,"length":0,"n":0}`, `{"limit":8,"length":1,"n":-1}`, `[]`,
	} {
		if err := json.Unmarshal([]byte(bad), new(Bins)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestConstantSeries(t *testing.T) {
	x := []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1}
	e, err := Gamma(x)
	if err != nil || e.Error != 0 || e.Tau != 0.5 || e.ESS != 6 || math.Abs(e.Mean-0.1) > 1e-16 {
		t.Errorf("constant series: %+v, %v", e, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		chains [][]float64
		want   string
	}{
		{nil, "no measurements"},
		{[][]float64{{1, 2, 3, 4, 5}, {1, 2}}, "chain 1 has 2"},
		{[][]float64{{1, 2, math.NaN(), 4, 5}}, "not finite"},
	} {
		if _, err := Gamma(c.chains...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Gamma(%v): %v, want %q", c.chains, err, c.want)
		}
	}
	slow := make([]float64, 20)
	for i := range slow {
		slow[i] = float64(i)
	}
	if _, _, err := IntegratedTime(6, slow); err == nil {
		t.Error("a ramp of 20 steps met a window of 6 τ")
	}
	if _, err := Plateau(Blocking(slow)); err == nil {
		t.Error("a ramp of 20 steps has a plateau")
	}
}
