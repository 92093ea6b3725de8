package bench

import (
	"context"
	"math"
	"strings"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/exact"
	"kadanoff/spin"
)

// refTarget is the reference backend as a target; with another backend in its
// place it is one that pretends to be it.
func refTarget(b backend.Backend) *Target {
	return &Target{Backend: b, Name: "ref", ISA: "scalar", Threads: 1, Seed: 1}
}

// run runs the checks of gibbs whose names begin with one of the prefixes.
func run(t *testing.T, target *Target, prefixes ...string) []Result {
	t.Helper()
	var results []Result
	for _, c := range gibbs().Checks {
		for _, p := range prefixes {
			if !strings.HasPrefix(c.Name, "gibbs/"+p) {
				continue
			}
			r, err := c.Run(context.Background(), target)
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			results = append(results, r...)
		}
	}
	if len(results) == 0 {
		t.Fatalf("no checks %v", prefixes)
	}
	return results
}

func TestReferencePasses(t *testing.T) {
	for _, r := range run(t, refTarget(ref.New()), "") {
		if !r.Pass() {
			t.Errorf("%s: measured %v, exact %v, limit %v", r.Name, r.Measured, r.Exact, r.Limit)
		}
		if r.Error > 0 && r.Limit < minErrors*r.Error {
			t.Errorf("%s: limit %v is less than %v standard errors of %v", r.Name, r.Limit, minErrors, r.Error)
		}
	}
}

// Faults of one part in a hundred, of one random number and of two lanes are
// seen, and by checks that compare with exact values, not only by digests.
func TestFaultsAreSeen(t *testing.T) {
	for name, c := range map[string]struct {
		fault faulty
		on    []string // checks that run
		fail  []string // results that must fail
	}{
		"weight 1 % off": {faulty{weight: 1.01}, []string{"balanced", "digest/rbm-7x5", "digest/boltzmann-13x7"}, []string{
			"gibbs/balanced/weights", "gibbs/digest/rbm-7x5/parts-3", "gibbs/digest/boltzmann-13x7/parts-3",
		}},
		"weight of the wrong sign": {faulty{weight: -1}, []string{"rbm-4x3", "rbm-12x10-strong", "boltzmann-7x5", "conditionals"}, []string{
			"gibbs/rbm-4x3/chi-square", "gibbs/rbm-4x3/kl-divergence", "gibbs/rbm-4x3/pair-correlations",
			"gibbs/rbm-12x10-strong/means", "gibbs/boltzmann-7x5/pair-correlations", "gibbs/conditionals/probability",
		}},
		"a random word skipped": {
			faulty{draw: func(unit uint32, sweep uint64) (uint32, uint64) { return unit, sweep + 1 }},
			[]string{"digest/rbm-7x5"}, []string{"gibbs/digest/rbm-7x5/parts-3"},
		},
		"a random word for two units": {
			faulty{draw: func(unit uint32, sweep uint64) (uint32, uint64) { return unit &^ 2, sweep }},
			[]string{"conditionals", "balanced", "rbm-7x11"}, []string{
				"gibbs/conditionals/units", "gibbs/balanced/units", "gibbs/rbm-7x11-weak/pair-correlations", "gibbs/rbm-7x11-weak/chi-square",
			},
		},
		"a random word for two sweeps": {
			faulty{draw: func(unit uint32, sweep uint64) (uint32, uint64) { return unit, sweep &^ 1 }},
			[]string{"conditionals", "balanced"}, []string{"gibbs/conditionals/sweeps", "gibbs/balanced/sweeps"},
		},
		"two lanes swapped": {faulty{lanes: true}, []string{"conditionals", "rbm-4x3", "digest/rbm-7x5"}, []string{
			"gibbs/conditionals/chains", "gibbs/digest/rbm-7x5/parts-3",
		}},
		"clamped units move": {faulty{frozen: true}, []string{"clamped-9x7"}, []string{
			"gibbs/clamped-9x7/clamped", "gibbs/clamped-9x7/means",
		}},
		"a sum off by one": {faulty{moment: true}, []string{"rbm-4x3"}, []string{"gibbs/rbm-4x3/sums"}},
	} {
		t.Run(name, func(t *testing.T) {
			results := map[string]Result{}
			for _, r := range run(t, refTarget(c.fault), c.on...) {
				results[r.Name] = r
			}
			for _, want := range c.fail {
				r, ok := results[want]
				if !ok {
					t.Errorf("no result %s", want)
				} else if r.Pass() {
					t.Errorf("%s passes: measured %v, exact %v, limit %v", want, r.Measured, r.Exact, r.Limit)
				}
			}
		})
	}
}

// A sampler that stays where it starts does not pass as one that is right.
func TestStandingStillIsSeen(t *testing.T) {
	target := refTarget(stuck{})
	failed := map[string]bool{}
	for _, r := range run(t, target, "rbm-4x3", "conditionals") {
		failed[r.Name] = !r.Pass()
	}
	for _, want := range []string{"gibbs/rbm-4x3/chi-square", "gibbs/conditionals/sweeps", "gibbs/conditionals/probability"} {
		if !failed[want] {
			t.Errorf("%s passes", want)
		}
	}
}

type stuck struct{ ref.Backend }

func (s stuck) NewSampler(spec backend.SamplerSpec) (backend.Sampler, error) {
	inner, err := s.Backend.NewSampler(spec)
	return stuckSampler{inner}, err
}

type stuckSampler struct{ backend.Sampler }

func (stuckSampler) Sweep(context.Context, int) error { return nil }

// The 4×3 machine's probabilities of visible states, to 24 digits from a sum
// over all states with 60-digit arithmetic; bit i of the index is unit i.
var truth4x3 = []float64{
	0.04667606577386453835590536, 0.04441151301829710888815157, 0.03937362737902410567595896, 0.03223639959544025109082321,
	0.09344984453089114482749539, 0.06904339950037814941962966, 0.06592949387301647695950882, 0.04256574073852511282418776,
	0.06105045421672570239159997, 0.05187671163371455343271704, 0.08004477207737166988968424, 0.05943652119043525488317186,
	0.09312839953835704772449529, 0.06105045421672570239159997, 0.1021212652910056420629097, 0.05760533742622753918216117,
}

func quantized(t *testing.T, n *spin.Net[float32]) *spin.Network {
	t.Helper()
	q, err := spin.Quantize(n)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestSmallMachineAgainstTruth(t *testing.T) {
	q := quantized(t, small4x3())
	d, err := exactRBM(q, 1)
	if err != nil {
		t.Fatal(err)
	}
	for s, p := range d.states {
		// Rounding to fixed point moves each of 19 parameters by up to 2⁻²⁴,
		// float32 by up to 2⁻²⁵·0.4.
		if math.Abs(p-truth4x3[s]) > 2e-7 {
			t.Errorf("p(v) of state %d is %v, want %v", s, p, truth4x3[s])
		}
	}
	means := make([]float64, 4)
	for s, p := range truth4x3 {
		for i := range means {
			means[i] += p * float64(s>>i&1*2-1)
		}
	}
	for i, m := range means {
		if math.Abs(d.means[i]-m) > 1e-6 {
			t.Errorf("mean of unit %d is %v, want %v", i, d.means[i], m)
		}
	}
}

// The two ways to enumerate agree, also where a layer is the smaller or the
// larger one.
func TestExactRBMIsExactNetwork(t *testing.T) {
	for _, shape := range [][2]int{{5, 3}, {3, 7}, {4, 4}, {1, 1}} {
		n := quantized(t, newNumbers(3).rbm(shape[0], shape[1], 1, 0.5))
		a, err := exactRBM(n, 1.5)
		if err != nil {
			t.Fatal(err)
		}
		b, err := exactNetwork(n, 1.5, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range map[string][2][]float64{"means": {a.means, b.means}, "pairs": {a.pairs, b.pairs}, "states": {a.states, b.states}} {
			if len(x[0]) != len(x[1]) {
				t.Fatalf("%v: %d and %d %s", shape, len(x[0]), len(x[1]), name)
			}
			for i := range x[0] {
				if math.Abs(x[0][i]-x[1][i]) > 1e-12 {
					t.Errorf("%v: %s %d are %v and %v", shape, name, i, x[0][i], x[1][i])
				}
			}
		}
	}
}

// Clamping a unit is conditioning on it.
func TestExactNetworkConditions(t *testing.T) {
	n := quantized(t, newNumbers(4).boltzmann(3, 2, 0.5, 0.5))
	all, err := exactNetwork(n, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	up, err := exactNetwork(n, 1, []int{0, 1, 0, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	// ⟨s0 | s1 = +1⟩ = (⟨s0⟩ + ⟨s0 s1⟩) / (1 + ⟨s1⟩)
	want := (all.means[0] + all.pairs[1]) / (1 + all.means[1])
	if math.Abs(up.means[0]-want) > 1e-12 {
		t.Errorf("conditional mean is %v, want %v", up.means[0], want)
	}
	if len(up.states) != 4 || len(up.units) != 4 {
		t.Errorf("%d states of %d units, want 4 of 4", len(up.states), len(up.units))
	}
}

func TestTooLarge(t *testing.T) {
	for _, c := range []struct {
		visible, hidden int
		fits            bool
	}{{784, 16, true}, {16, 784, true}, {784, 500, false}, {20, 20, true}, {21, 21, false}, {1 << 20, 20, false}} {
		if got := tooLarge(c.visible, c.hidden) == ""; got != c.fits {
			t.Errorf("%d×%d can be enumerated: %v, want %v", c.visible, c.hidden, got, c.fits)
		}
	}
	if exact.MaxListed < maxListed {
		t.Error("histograms are of more units than can be listed")
	}
}

// A machine with more weights and pairs of hidden units than are looked at has
// them looked at evenly, a bounded number of them, and faults are still seen.
func TestLargeConditionals(t *testing.T) {
	if step := every(4096, 4096); step != 16 {
		t.Errorf("one of %d weights of 4096×4096 is looked at, want one of 16", step)
	}
	if every(1024, 1024) != 1 {
		t.Error("not every one of 2²⁰ weights is looked at")
	}
	c := &counter{hidden: 1009, step: 7}
	seen, total := make([]int, c.hidden), 0
	for a := range c.hidden {
		c.eachPair(a, func(b int) {
			if b <= a || b >= c.hidden {
				t.Fatalf("pair of units %d and %d", a, b)
			}
			seen[a]++
			seen[b]++
			total++
		})
	}
	for a, n := range seen {
		if n < c.hidden/c.step/2 {
			t.Errorf("unit %d is in %d of %d pairs", a, n, total)
		}
	}
}
