package bench

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"sync"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/exact"
	kernel "kadanoff/kernels/enum"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
)

// enumerate is exact enumeration: all 2^N states of Ising models and of the
// smaller layer of RBMs.
func enumerate() Area {
	a := Area{Name: "enumerate", Short: "all 2^N states: minimum, log Z, histogram, RBM partition functions"}
	checks := map[string]func(context.Context, *Target, string) ([]Result, error){
		"torus-4x4": func(ctx context.Context, t *Target, name string) ([]Result, error) {
			return torusStates(ctx, t, name, 4)
		},
		"torus-6x6": func(ctx context.Context, t *Target, name string) ([]Result, error) {
			if t.Size == Quick || t.Level == isa.Generic || t.scalar() {
				return nil, nil // 2^36 states
			}
			return torusStates(ctx, t, name, 6)
		},
		"ring":      ringStates,
		"agreement": enumerationsAgree,
		"rbm":       rbmStates,
	}
	add := func(name string, run func(context.Context, *Target, string) ([]Result, error)) {
		name = "enumerate/" + name
		a.Checks = append(a.Checks, Check{Name: name, Run: func(ctx context.Context, t *Target) ([]Result, error) {
			if t.Name == "cuda" {
				return nil, nil // enumeration runs on the CPU
			}
			return run(ctx, t, name)
		}})
	}
	for _, name := range []string{"torus-4x4", "torus-6x6", "ring", "agreement", "rbm"} {
		add(name, checks[name])
	}
	for _, c := range backendtest.EnumerateCases() {
		add("digest/"+c.Name, func(ctx context.Context, t *Target, name string) ([]Result, error) {
			return enumerationDigest(ctx, t, name, &c)
		})
	}
	for _, c := range backendtest.RBMCases() {
		add("digest/rbm-"+c.Name, func(ctx context.Context, t *Target, name string) ([]Result, error) {
			got, err := c.Digest(ctx, t.Backend)
			return []Result{digestResult(name, got == c.Golden)}, err
		})
	}
	a.Benchmarks, a.Sized = enumerateBenchmarks(), enumerateSized
	for _, kind := range []string{"minimum", "log-z"} {
		a.Sweeps = append(a.Sweeps, Sweep{
			Name: kind + " of all 2^N states", Axis: "N", Sizes: []int{16, 18, 20, 22, 24, 26},
			Case: func(n int) string { return fmt.Sprintf("%s-%d", kind, n) },
		})
	}
	return a
}

func digestResult(name string, same bool) Result {
	r := Result{Name: name, Unit: "digests that differ"}
	if !same {
		r.Measured = 1
	}
	return r
}

// enumerationDigest does a job whole and, where that is quick, in shards.
func enumerationDigest(ctx context.Context, t *Target, name string, c *backendtest.EnumerateCase) (results []Result, err error) {
	shards := []int{1, 3}
	if t.scalar() || c.Job().BranchAndBound {
		shards = shards[:1]
	}
	for _, n := range shards {
		got, err := c.Digest(ctx, t.Backend, n)
		if err != nil {
			return nil, err
		}
		results = append(results, digestResult(fmt.Sprintf("%s/shards-%d", name, n), got == c.Golden))
	}
	return results, nil
}

// torusStates compares the joint histogram of a torus with the counts of a
// transfer recursion in integers, and log Z, energy and specific heat with
// Kaufman's formula.
func torusStates(ctx context.Context, t *Target, name string, l int) ([]Result, error) {
	const temperature = 2.269
	n := l * l
	density, err := exact.TorusDensity(l)
	if err != nil {
		return nil, err
	}
	job := backendtest.TorusIsing(l)
	job.Joint, job.Betas, job.Moments = true, []float64{1 / temperature}, l == 4
	e, err := backend.Enumerate(ctx, t.Backend, job)
	if err != nil {
		return nil, err
	}
	counts := map[[2]int]uint64{} // by |M| and energy quantum
	for _, b := range e.Bins {
		m := max(b.Magnetization, -b.Magnetization)
		counts[[2]int{(n - m) / 2, (int(b.Energy) + 2*n) / 4}] += b.Count
	}
	wrong, total := 0, 0
	for j := 0; 2*j <= n; j++ {
		for k := range n + 1 {
			want := density.Count(j, k)
			if want.Sign() != 0 || counts[[2]int{j, k}] != 0 {
				total++
				if want.Cmp(new(big.Int).SetUint64(counts[[2]int{j, k}])) != 0 {
					wrong++
				}
			}
		}
	}
	kaufman, err := exact.NewTorus(l, temperature)
	if err != nil {
		return nil, err
	}
	spins := float64(n)
	got := e.Thermal[0]
	results := []Result{
		{Name: name + "/minimum", Exact: float64(-2 * n), Measured: float64(e.Ground), Unit: "J"},
		{Name: name + "/ground-states", Exact: 2, Measured: float64(e.GroundStates), Unit: "states"},
		{Name: name + "/histogram", Measured: float64(wrong), Unit: fmt.Sprintf("of %d bins wrong", total)},
		{Name: name + "/log-z", Exact: kaufman.LogZ(), Measured: got.LogZ, Limit: 1e-13 * kaufman.LogZ()},
	}
	if got.HasEnergy {
		results = append(results,
			Result{Name: name + "/energy", Exact: kaufman.Energy(), Measured: got.Energy / spins, Limit: 1e-13, Unit: "J per spin"},
			Result{Name: name + "/specific-heat", Exact: kaufman.SpecificHeat(), Measured: got.SpecificHeat / spins, Limit: 1e-11, Unit: "k_B per spin"})
	}
	return results, nil
}

// ringStates compares moments with the closed forms of a ring.
func ringStates(ctx context.Context, t *Target, name string) ([]Result, error) {
	n := 18
	if t.scalar() {
		n = 12
	}
	const k = 0.8
	ring, err := exact.NewRing(n, k)
	if err != nil {
		return nil, err
	}
	job := backendtest.RingIsing(n)
	job.Betas, job.Moments = []float64{k}, true
	e, err := backend.Enumerate(ctx, t.Backend, job)
	if err != nil {
		return nil, err
	}
	got := e.Thermal[0]
	far := Result{Name: name + "/pair-correlations", Limit: 1e-13}
	for i := range n {
		for j := range n {
			want := ring.Correlation(j - i)
			if x := got.Pairs[i*n+j]; !(math.Abs(x-want) <= math.Abs(far.Measured-far.Exact)) || i+j == 0 {
				far.Exact, far.Measured = want, x
			}
		}
	}
	spins := float64(n)
	return []Result{
		{Name: name + "/log-z", Exact: ring.LogZ(), Measured: got.LogZ, Limit: 1e-13 * ring.LogZ()},
		{Name: name + "/energy", Exact: ring.Energy(), Measured: got.Energy / spins, Limit: 1e-13, Unit: "J per spin"},
		{Name: name + "/specific-heat", Exact: ring.SpecificHeat(), Measured: got.SpecificHeat / spins, Limit: 1e-11, Unit: "k_B per spin"},
		far,
	}, nil
}

// enumerationsAgree holds the ways to an answer against each other: minimum,
// lowest states, histogram and branch and bound; log Z of leaves and of the
// histogram.
func enumerationsAgree(ctx context.Context, t *Target, name string) ([]Result, error) {
	n := 20
	if t.scalar() {
		n = 13
	}
	job := backendtest.RandomIsing(n, 40, 15, t.Seed)
	job.Lowest, job.Betas, job.Histogram, job.Unit = 100, []float64{0.7}, true, 0.05
	e, err := backend.Enumerate(ctx, t.Backend, job)
	if err != nil {
		return nil, err
	}
	warm := *job
	warm.Lowest, warm.Betas, warm.Histogram = 0, []float64{0.7, 0, 1}, false
	h, err := backend.Enumerate(ctx, t.Backend, &warm)
	if err != nil {
		return nil, err
	}
	bound := *job
	bound.Betas, bound.Histogram, bound.BranchAndBound = nil, false, true
	b, err := backend.Enumerate(ctx, t.Backend, &bound)
	if err != nil {
		return nil, err
	}
	differ := 0
	for i := range e.Lowest {
		if i >= len(b.Lowest) || e.Lowest[i] != b.Lowest[i] {
			differ++
		}
	}
	states := uint64(0)
	for _, bin := range e.Bins {
		states += bin.Count
	}
	return []Result{
		{Name: name + "/minimum", Exact: float64(e.Bins[0].Energy), Measured: float64(e.Ground)},
		{Name: name + "/ground-states", Exact: float64(e.Bins[0].Count), Measured: float64(e.GroundStates), Unit: "states"},
		{Name: name + "/states", Exact: math.Exp2(float64(n)), Measured: float64(states), Unit: "states"},
		{Name: name + "/branch-and-bound", Exact: float64(e.Ground), Measured: float64(b.Ground)},
		{Name: name + "/lowest", Measured: float64(differ), Unit: "states that differ"},
		{Name: name + "/log-z", Exact: h.Thermal[0].LogZ, Measured: e.Thermal[0].LogZ, Limit: 1e-13 * math.Abs(h.Thermal[0].LogZ)},
		{Name: name + "/log-z-hot", Exact: float64(n) * math.Ln2, Measured: h.Thermal[1].LogZ, Limit: 1e-14},
	}, nil
}

// rbmStates compares an RBM's partition function and moments with a plain sum,
// and from either layer.
func rbmStates(ctx context.Context, t *Target, name string) ([]Result, error) {
	const visible, hidden = 11, 11
	n, err := spin.Quantize(newNumbers(31).rbm(visible, hidden, 1, 0.5))
	if err != nil {
		return nil, err
	}
	unit := math.Ldexp(1, -int(n.Frac))
	want, err := exact.RBM{
		Visible: visible, Hidden: hidden, W: scaled(n.Blocks[0].W, unit),
		B: scaled(n.Bias[:visible], unit), C: scaled(n.Bias[visible:], unit),
	}.Moments()
	if err != nil {
		return nil, err
	}
	got, err := t.Backend.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: n, Moments: true})
	if err != nil {
		return nil, err
	}
	other, err := t.Backend.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: backendtest.Transposed(n)})
	if err != nil {
		return nil, err
	}
	limit := 1e-13 * want.LogZ
	results := []Result{
		{Name: name + "/log-z", Exact: want.LogZ, Measured: got.LogZ, Limit: limit},
		{Name: name + "/log-z-other-layer", Exact: got.LogZ, Measured: other.LogZ, Limit: limit},
	}
	for _, m := range []struct {
		name      string
		got, want []float64
	}{{"visible-means", got.Visible, want.V}, {"hidden-means", got.Hidden, want.H}, {"pair-correlations", got.Pairs, want.VH}} {
		far := Result{Name: name + "/" + m.name, Limit: 1e-12}
		for i, x := range m.want {
			if i == 0 || !(math.Abs(m.got[i]-x) <= math.Abs(far.Measured-far.Exact)) {
				far.Exact, far.Measured = x, m.got[i]
			}
		}
		results = append(results, far)
	}
	return results, nil
}

// enumRates holds what the arithmetic of enumeration allows, measured once for
// each level.
var enumRates struct {
	sync.Mutex
	rates map[isa.Level]kernel.Rates
}

func enumProbe(t *Target) kernel.Rates {
	enumRates.Lock()
	defer enumRates.Unlock()
	r, ok := enumRates.rates[t.Level]
	if !ok {
		if enumRates.rates == nil {
			enumRates.rates = map[isa.Level]kernel.Rates{}
		}
		r = kernel.Probe(t.Level)
		enumRates.rates[t.Level] = r
	}
	return r
}
