package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/exact"
	"kadanoff/kernels/isa"
	kernel "kadanoff/kernels/roots"
)

// roots is the bulk solution of f(W) = g(W): the uniform RBM that fits a ring
// at K, or any distribution of V, best.
func roots() Area {
	return Area{
		Name: "roots", Short: "bulk roots of f(W) = g(W, K)",
		Checks: []Check{
			{Name: "roots/couplings", Run: rootsOfCouplings},
			{Name: "roots/temperatures", Run: rootsOfTemperatures},
			{Name: "roots/closed-forms", Run: closedForms},
			{Name: "roots/monotony", Run: rootsMonotony},
			{Name: "roots/digest", Run: rootsDigest},
		},
		Benchmarks: rootsBenchmarks(),
	}
}

// worst is the result of many relative errors.
func worst(name string, limit float64) Result {
	return Result{Name: name, Limit: limit, Unit: "relative error"}
}

// see takes the error of got into account. NaN is the worst there is.
func (r *Result) see(got, want float64) {
	e := math.Abs(got - want)
	if want != 0 && !math.IsInf(want, 0) {
		e /= math.Abs(want)
	}
	if got == want {
		e = 0
	}
	if r.Measured == r.Measured && !(e <= r.Measured) {
		r.Measured = e
	}
}

// rootsSizes are the visible and hidden units of the checks.
var rootsSizes = [][2]int{{8, 4}, {2, 3}, {3, 1}, {9, 100}, {16, 1}, {37, 8}}

// matched is a solution in big floats.
type matched struct {
	k    float64
	root exact.Root
}

// exactRoots solves rings of each of rootsSizes in big floats, once.
var exactRoots = sync.OnceValues(func() ([][]matched, error) {
	var all [][]matched
	for _, size := range rootsSizes {
		d, err := exact.RingDensity(size[0])
		if err != nil {
			return nil, err
		}
		var list []matched
		for _, k := range []float64{1e-8, 3e-5, 0.004, 0.05, 0.3, 0.77, 1, 2.6, 9, 60, 700} {
			m, err := d.At(k)
			if err != nil {
				return nil, err
			}
			root, err := m.Solve(size[1])
			if err != nil {
				return nil, err
			}
			list = append(list, matched{k, root})
		}
		all = append(all, list)
	}
	return all, nil
})

// rootsOfCouplings compares W(K) and its residual with big floats.
func rootsOfCouplings(ctx context.Context, t *Target) ([]Result, error) {
	all, err := exactRoots()
	if err != nil {
		return nil, err
	}
	w := worst("roots/couplings/w", 1e-13)
	residual := worst("roots/couplings/residual", 1e-6)
	for i, size := range rootsSizes {
		n := len(all[i])
		k := make([]float64, n)
		for j, m := range all[i] {
			k[j] = m.k
		}
		r := backend.RootsResult{W: make([]float64, n), Residual: make([]float64, n)}
		if err := t.Backend.Roots(ctx, backend.RootsJob{Visible: size[0], Hidden: size[1], K: k}, r); err != nil {
			return nil, err
		}
		for j, m := range all[i] {
			w.see(r.W[j], m.root.W)
			if r.W[j] == m.root.W && m.k > 1e-3 {
				residual.see(r.Residual[j], m.root.Residual)
			}
		}
	}
	return []Result{w, residual}, nil
}

// exactRanges are distributions over ranges of temperature with their roots in
// big floats.
var exactRanges = sync.OnceValues(func() (job backend.RootsJob, err error) {
	d, err := exact.RingDensity(8)
	if err != nil {
		return job, err
	}
	job = backend.RootsJob{Visible: 8, Hidden: 4}
	var rows [][]float64
	for _, span := range [][2]float64{{0, 0.5}, {0, 1}, {0, 6}, {1, 2}, {1, 6}, {0.5, 2}, {5, 20}} {
		m, err := d.Over(span[0], span[1])
		if err != nil {
			return job, err
		}
		root, err := m.Solve(4)
		if err != nil {
			return job, err
		}
		rows = append(rows, append(m.P(), root.W))
	}
	job.Count = len(rows)
	for j := range len(rows[0]) {
		for _, row := range rows {
			job.Weight = append(job.Weight, row[j])
		}
	}
	return job, nil
})

// rootsOfTemperatures compares the roots of distributions with big floats.
func rootsOfTemperatures(ctx context.Context, t *Target) ([]Result, error) {
	job, err := exactRanges()
	if err != nil {
		return nil, err
	}
	split := job.Values() * job.Count
	want := job.Weight[split:]
	job.Weight = job.Weight[:split]
	got := make([]float64, job.Count)
	if err := t.Backend.Roots(ctx, job, backend.RootsResult{W: got}); err != nil {
		return nil, err
	}
	r := worst("roots/temperatures/w", 1e-12)
	for i, w := range got {
		r.see(w, want[i])
	}
	return []Result{r}, nil
}

// closedForms compares with cosh 2W = e^{4K/N} for two visible units and
// cosh²W = (3 + e^{4K/N})/4 for three.
func closedForms(ctx context.Context, t *Target) ([]Result, error) {
	k := []float64{0.3, 0.5, 1, 1.7, 2.9, 6}
	var results []Result
	for m, form := range map[int]func(e float64) float64{
		2: func(e float64) float64 { return math.Acosh(e) / 2 },
		3: func(e float64) float64 { return math.Acosh(math.Sqrt((3 + e) / 4)) },
	} {
		r := worst(fmt.Sprintf("roots/closed-forms/%d-visible", m), 1e-14)
		for _, n := range []int{1, 2, 5} {
			w := make([]float64, len(k))
			if err := t.Backend.Roots(ctx, backend.RootsJob{Visible: m, Hidden: n, K: k}, backend.RootsResult{W: w}); err != nil {
				return nil, err
			}
			for i := range k {
				r.see(w[i], form(math.Exp(4*k[i]/float64(n))))
			}
		}
		results = append(results, r)
	}
	slices.SortFunc(results, func(a, b Result) int { return int(a.Name[19]) - int(b.Name[19]) })
	return results, nil
}

// rootsMonotony counts where W falls while K rises.
func rootsMonotony(ctx context.Context, t *Target) ([]Result, error) {
	k := make([]float64, 4001)
	for i := range k {
		k[i] = 0.05 * float64(i) / 100
	}
	w := make([]float64, len(k))
	if err := t.Backend.Roots(ctx, backend.RootsJob{Visible: 8, Hidden: 4, K: k}, backend.RootsResult{W: w}); err != nil {
		return nil, err
	}
	r := Result{Name: "roots/monotony/8x4", Unit: "steps down"}
	for i := 1; i < len(w); i++ {
		if !(w[i] > w[i-1]) {
			r.Measured++
		}
	}
	return []Result{r}, nil
}

// rootsDigest compares the digest of many roots and residuals of all kinds.
func rootsDigest(ctx context.Context, t *Target) ([]Result, error) {
	got, err := backendtest.RootsDigest(ctx, t.Backend)
	if err != nil {
		return nil, err
	}
	r := Result{Name: "roots/digest/all", Unit: "digests that differ"}
	if got != backendtest.GoldenRoots {
		r.Measured = 1
	}
	return []Result{r}, nil
}

// Numbers of problems of a benchmark: what takes 2 ms, and more weights than
// the caches of one core hold.
const (
	rootsBatch   = 1_000_000
	weightsBatch = 50_000
)

// Goals for one thread of an AMD Zen 4 core: fifty times what a Newton iteration
// in numpy does for couplings, and five times for distributions; that is 5.3e6
// roots/s. The last of AVX2 and those of plain Go are what they have reached.
var (
	tableGoals  = map[isa.Level]float64{isa.AVX512: 2.7e8, isa.AVX2: 2.7e8, isa.Generic: 7e7}
	newtonGoals = map[isa.Level]float64{isa.AVX512: 2.7e7, isa.AVX2: 2.1e7, isa.Generic: 2.5e6}
)

func rootsBenchmarks() []Benchmark {
	table := func(name string, visible, hidden int, sorted bool) Benchmark {
		return Benchmark{
			Name: "roots/" + name, Unit: "roots/s", Goal: perThread(tableGoals),
			Prepare: func(_ context.Context, t *Target) (*Work, error) {
				k := couplings(rootsBatch)
				if sorted {
					slices.Sort(k)
				}
				job := backend.RootsJob{Visible: visible, Hidden: hidden, K: k}
				return rootsWork(t, job), nil
			},
		}
	}
	return []Benchmark{
		table("8x4", 8, 4, false),
		table("8x4-sorted", 8, 4, true),
		table("64x16", 64, 16, false),
		{
			// What the first batch of a size pays: all intervals from 1e-3 to 10,
			// on one thread.
			Name: "roots/8x4-table", Unit: "intervals/s",
			Prepare: func(context.Context, *Target) (*Work, error) {
				k := couplings(1 << 14)
				w := make([]float64, len(k))
				kern := kernel.For(isa.Generic)
				fresh := func() int {
					table := kernel.NewTable(kernel.NewSize(8, 4))
					table.Solve(kern, w, k)
					return table.Known()
				}
				return &Work{Units: float64(fresh()), Do: func(ctx context.Context, n int) error {
					for range n {
						if err := ctx.Err(); err != nil {
							return err
						}
						fresh()
					}
					return nil
				}}, nil
			},
		},
		{
			Name: "roots/8x4-distributions", Unit: "roots/s", Goal: perThread(newtonGoals),
			Prepare: func(_ context.Context, t *Target) (*Work, error) {
				return rootsWork(t, ringWeights(8, 4, couplings(weightsBatch))), nil
			},
		},
	}
}

// rootsWork solves the job.
func rootsWork(t *Target, job backend.RootsJob) *Work {
	r := backend.RootsResult{W: make([]float64, job.Problems())}
	return &Work{Units: float64(job.Problems()), Do: func(ctx context.Context, n int) error {
		for range n {
			if err := t.Backend.Roots(ctx, job, r); err != nil {
				return err
			}
		}
		return nil
	}}
}

// couplings are n K from 1e-3 to 10, uniform in the logarithm, in random order.
func couplings(n int) []float64 { return couplingsWithin(n, 1e-3, 10) }

func couplingsWithin(n int, low, high float64) []float64 {
	r := newNumbers(31)
	k := make([]float64, n)
	for i := range k {
		u := float64(r.next()) / (1 << 32)
		k[i] = math.Exp(math.Log(low) + u*math.Log(high/low))
	}
	return k
}

// ringWeights are rings at the couplings as distributions.
func ringWeights(visible, hidden int, k []float64) backend.RootsJob {
	job := backend.RootsJob{Visible: visible, Hidden: hidden, Count: len(k)}
	job.Weight = make([]float64, len(k)*job.Values())
	d, err := exact.RingDensity(visible)
	if err != nil {
		panic(err) // the sizes are constants of this file
	}
	for j := range job.Values() {
		row := make([]float64, j+1)
		for walls := range row {
			row[walls], _ = d.Count(j, walls).Float64()
		}
		for i, coupling := range k {
			z := math.Exp(-4 * coupling)
			p := 0.0
			for walls := j; walls >= 0; walls-- {
				p = math.FMA(p, z, row[walls])
			}
			job.Weight[j*len(k)+i] = p
		}
	}
	return job
}
