package train_test

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/comm"
	"kadanoff/model/modelfile"
	"kadanoff/spin"
	"kadanoff/train"
)

func quantized(t testing.TB, v, h int, scale float32) *spin.Network {
	t.Helper()
	q, err := spin.Quantize(backendtest.RandomRBM(v, h, scale, 3))
	check(t, err)
	return q
}

// Both ends of annealed importance sampling agree with the exact log Z within
// their errors, and so does the exact sum from either layer.
func TestAnnealedImportance(t *testing.T) {
	be, ctx := open(t), context.Background()
	q := quantized(t, 23, 9, 3)
	exact, err := train.ExactLogZ(ctx, be, q)
	check(t, err)
	if brute := bruteLogZ(q); math.Abs(exact-brute) > 1e-10*brute {
		t.Errorf("log Z is %v, want %v", exact, brute)
	}
	s := set(t, 200, 23)
	sums, err := train.Sums(s)
	check(t, err)
	start, err := train.Load(s, 0, 200, 0)
	check(t, err)
	c := train.AISConfig{Chains: 1000, Temperatures: 300, BurnIn: 300, Seed: 5, Base: train.BaseRates(sums, 200), Start: start}
	z, err := train.AnnealedImportance(ctx, be, q, c)
	check(t, err)
	if math.Abs(z.LogZ-exact) > 5*z.StandardError || z.StandardError > 0.05 {
		t.Errorf("from the base-rate model log Z is %v ± %v, want %v", z.LogZ, z.StandardError, exact)
	}
	if math.Abs(z.LogZReverse-exact) > 5*z.ReverseError || z.ReverseError > 0.05 {
		t.Errorf("from the model log Z is %v ± %v, want %v", z.LogZReverse, z.ReverseError, exact)
	}
	if d := z.Doubts(); d != nil {
		t.Errorf("%+v is doubted: %q", z, d)
	}
	// Too few temperatures: the two ends part, the first from below.
	c.Temperatures = 3
	rough, err := train.AnnealedImportance(ctx, be, q, c)
	check(t, err)
	if rough.SampleSize > z.SampleSize/2 {
		t.Errorf("effective sample size %v at 3 temperatures, %v at 300", rough.SampleSize, z.SampleSize)
	}
	// With many temperatures the reverse estimator of the likelihood comes to
	// the exact one.
	free, _, err := train.MeanFreeEnergy(ctx, be, q, s)
	check(t, err)
	c.Chains, c.Temperatures = 200, 2000
	mean, stderr, err := train.Raise(ctx, be, q, c, start)
	check(t, err)
	if want := -free - exact; math.Abs(mean-want) > 0.15 {
		t.Errorf("reverse AIS estimator gives %v ± %v, exact %v", mean, stderr, want)
	}
	for _, bad := range []train.AISConfig{{Chains: 1, Temperatures: 10}, {Chains: 10, Temperatures: 1}, {Chains: 10, Temperatures: 10, BurnIn: -1}, {Chains: 10, Temperatures: 10}} {
		if _, err := train.AnnealedImportance(ctx, be, q, bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// bruteLogZ sums over the states of the smaller layer in plain float64.
func bruteLogZ(q *spin.Network) float64 {
	v, h := q.Layers[0], q.Layers[1]
	scale := math.Ldexp(1, -int(q.Frac))
	z := 0.0
	top := math.Inf(-1)
	for state := range 1 << h {
		e := 0.0
		s := func(a int) float64 { return float64(state>>a&1)*2 - 1 }
		for a := range h {
			e += float64(q.Bias[v+a]) * scale * s(a)
		}
		for i := range v {
			f := float64(q.Bias[i])
			for a := range h {
				f += float64(q.Blocks[0].W[i*h+a]) * s(a)
			}
			e += math.Log(2 * math.Cosh(f*scale))
		}
		if e > top {
			z, top = z*math.Exp(top-e), e
		}
		z += math.Exp(e - top)
	}
	return top + math.Log(z)
}

// Blocks of states, with either layer the smaller one, add up to what the
// backend makes of all states at once.
func TestExactBlocks(t *testing.T) {
	be := open(t)
	for _, size := range [][2]int{{23, 20}, {20, 23}, {19, 19}, {7, 300}} {
		q := quantized(t, size[0], size[1], 2)
		whole, err := be.EnumerateRBM(context.Background(), &backend.EnumerateRBMJob{Network: q})
		check(t, err)
		got, err := train.ExactLogZ(context.Background(), be, q)
		if err != nil || math.Abs(got-whole.LogZ) > 1e-11*math.Abs(got) {
			t.Errorf("%d×%d: log Z is %v (%v), want %v", size[0], size[1], got, err, whole.LogZ)
		}
	}
}

// Standard errors are what the estimates scatter by, around the exact value.
func TestErrorsOfAnnealing(t *testing.T) {
	const n = 60
	be, ctx := open(t), context.Background()
	q := quantized(t, 13, 5, 3)
	exact, err := train.ExactLogZ(ctx, be, q)
	check(t, err)
	s := set(t, 50, 13)
	start, err := train.Load(s, 0, 50, 0)
	check(t, err)
	sums, err := train.Sums(s)
	check(t, err)
	var squares, bias [2]float64
	for seed := range uint64(n) {
		z, err := train.AnnealedImportance(ctx, be, q, train.AISConfig{
			Chains: 300, Temperatures: 40, BurnIn: 50, Seed: seed, Base: train.BaseRates(sums, 50), Start: start,
		})
		check(t, err)
		for i, x := range []float64{(z.LogZ - exact) / z.StandardError, (z.LogZReverse - exact) / z.ReverseError} {
			squares[i] += x * x / n
			bias[i] += x / n
		}
	}
	for i, x := range squares {
		// The mean of n squares of normal numbers is 1 ± √(2/n).
		if math.Abs(x-1) > 5*math.Sqrt(2./n) || math.Abs(bias[i]) > 5/math.Sqrt(n) {
			t.Errorf("end %d is off by %.2f ± %.2f standard errors", i, bias[i], math.Sqrt(x))
		}
	}
}

// A run begins with independent units of the data's means, and with weights of
// the width that is asked for, in the units of the file.
func TestInitialModel(t *testing.T) {
	const width = 0.3
	s := set(t, 103, 97)
	sums, err := train.Sums(s)
	check(t, err)
	rates := train.BaseRates(sums, 103)
	for units, factor := range map[modelfile.Units]float64{modelfile.Spin: 1, modelfile.Binary: 2} {
		c := config()
		c.Hidden, c.Units, c.InitWidth, c.Rate, c.Epochs = 53, units, width, 1e-30, 1
		_, m := fit(t, open(t), c, s, train.Options{})
		for i, b := range m.B {
			if math.Abs(float64(b)-factor*rates[i]) > 1e-5 {
				t.Errorf("%s: visible bias %d is %v, want %v", units, i, b, factor*rates[i])
			}
		}
		sum, square, n := 0.0, 0.0, float64(len(m.W))
		for _, w := range m.W {
			sum += float64(w)
			square += float64(w) * float64(w)
		}
		if math.Abs(sum/n) > 5*width/math.Sqrt(n) || math.Abs(math.Sqrt(square/n)/width-1) > 5/math.Sqrt(2*n) {
			t.Errorf("%s: weights have mean %v and width %v, want 0 and %v", units, sum/n, math.Sqrt(square/n), width)
		}
		for a, x := range m.C {
			if math.Abs(float64(x)) > 1e-5 {
				t.Errorf("%s: hidden bias %d is %v, want 0", units, a, x)
			}
		}
	}
}

func TestDoubts(t *testing.T) {
	good := train.AIS{LogZ: 10, LogZReverse: 10.9, StandardError: 0.1, ReverseError: 0.1, SampleSize: 10, ReverseSampleSize: 10}
	for want, edit := range map[string]func(z *train.AIS){
		"":                                  func(*train.AIS) {},
		"the ends are 1.5 nats apart":       func(z *train.AIS) { z.LogZReverse = 11.5 },
		"the ends are NaN nats apart":       func(z *train.AIS) { z.LogZ = math.NaN() },
		"from the base-rate model the eff":  func(z *train.AIS) { z.SampleSize = 9.9 },
		"back from the model the effective": func(z *train.AIS) { z.ReverseSampleSize = 1.5 },
		"lies below the other":              func(z *train.AIS) { z.LogZReverse = 9.1 },
	} {
		z := good
		edit(&z)
		d := z.Doubts()
		if want == "" && len(d) > 0 || want != "" && (len(d) != 1 || !strings.Contains(d[0], want)) {
			t.Errorf("%+v is doubted by %q, want %q", z, d, want)
		}
	}
}

func TestBaseRates(t *testing.T) {
	for i, b := range train.BaseRates([]int64{0, 98, -98, 49}, 98) {
		want := math.Atanh([]float64{0, 0.98, -0.98, 0.49}[i])
		if math.Abs(b-want) > 1e-12 {
			t.Errorf("bias %d is %v, want %v", i, b, want)
		}
	}
}

// All processes have the bits of one, however many share states, rows or
// chains. 20 units make four blocks of states, 9001 rows three of configurations.
func TestLikelihoodOnRanks(t *testing.T) {
	be, ctx := open(t), context.Background()
	q := quantized(t, 23, 20, 2)
	s := set(t, 9001, 23)
	data, err := train.Load(s, 0, 70, 0)
	check(t, err)
	sums, err := train.Sums(s)
	check(t, err)
	type result struct{ logZ, free, spread, raise, stderr float64 }
	evaluate := func(g comm.Group) (r result, err error) {
		if r.logZ, err = train.ExactLogZOnRanks(ctx, be, q, g, nil); err != nil {
			return r, err
		}
		if r.free, r.spread, err = train.MeanFreeEnergyOnRanks(ctx, be, q, s, g); err != nil {
			return r, err
		}
		c := train.AISConfig{Chains: 150, Temperatures: 20, Seed: 5, Base: train.BaseRates(sums, 9001), Group: g}
		r.raise, r.stderr, err = train.Raise(ctx, be, q, c, data)
		return r, err
	}
	want, err := evaluate(comm.One())
	check(t, err)
	if brute := bruteLogZ(q); math.Abs(want.logZ-brute) > 1e-10*brute {
		t.Errorf("log Z is %v, want %v", want.logZ, brute)
	}
	for size := 2; size <= 4; size++ {
		var wait sync.WaitGroup
		for _, g := range group(size) {
			wait.Go(func() {
				if got, err := evaluate(g); err != nil || got != want {
					t.Errorf("rank %d of %d: %+v, %v; one process has %+v", g.Rank(), size, got, err, want)
				}
			})
		}
		wait.Wait()
	}
}
