package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/exact"
	"kadanoff/kernels/isa"
	"kadanoff/model/ising"
	"kadanoff/model/stats"
)

// lattices is the two-dimensional Ising model: averages against Kaufman and
// Onsager, acceptance by counting, and sweeps.
func lattices() Area {
	a := Area{Name: "lattice", Short: "2D Ising model: checkerboard sweeps, random numbers included"}
	both := []backend.LatticeAlgorithm{backend.Metropolis, backend.HeatBath}
	for _, l := range []int{8, 16, 64} {
		for _, algorithm := range both {
			a.Checks = append(a.Checks, Check{
				Name: fmt.Sprintf("lattice/torus-%d/%s", l, algorithmName(algorithm)),
				Run:  func(ctx context.Context, t *Target) ([]Result, error) { return torusAverages(ctx, t, l, algorithm) },
			})
		}
	}
	for _, algorithm := range both {
		a.Checks = append(a.Checks, Check{
			Name: "lattice/acceptance/" + algorithmName(algorithm),
			Run:  func(ctx context.Context, t *Target) ([]Result, error) { return acceptance(ctx, t, algorithm) },
		})
	}
	a.Checks = append(a.Checks,
		Check{Name: "lattice/square-512", Run: squareAverages},
		Check{Name: "lattice/exchange", Run: exchangeAverages},
	)
	for _, c := range backendtest.LatticeCases() {
		a.Checks = append(a.Checks, Check{
			Name: "lattice/digest/" + c.Name,
			Run:  func(ctx context.Context, t *Target) ([]Result, error) { return latticeDigest(ctx, t, &c) },
		})
	}
	for _, c := range latticeCases {
		a.Benchmarks = append(a.Benchmarks, c.benchmark())
	}
	a.Sized = latticeSized
	a.Sweeps = []Sweep{{
		Name: "sweep of one L × L lattice", Axis: "L", Sizes: []int{64, 128, 256, 512, 1024, 2048},
		Case: func(l int) string { return fmt.Sprintf("%dx%dx1", l, l) },
	}}
	return a
}

func algorithmName(a backend.LatticeAlgorithm) string {
	if a == backend.HeatBath {
		return "heatbath"
	}
	return "metropolis"
}

// averageTemperatures are those at which averages are checked.
var averageTemperatures = []float64{1.5, 2.0, 2.269, 3.0}

// average turns an estimate into a result: the limit is the number of standard
// errors that the number of comparisons asks for.
func average(name string, e stats.Estimate, exact float64, comparisons int) Result {
	return Result{
		Name: name, Exact: exact, Measured: e.Mean, Error: e.Error,
		Limit: errorsAllowed(comparisons, int(e.ESS)) * e.Error,
	}
}

// latticeFlips is the work of a check of averages: flips for each temperature.
func latticeFlips(t *Target) float64 {
	flips := 5e7
	switch {
	case t.scalar():
		flips = 2e5
	case t.Level == isa.Generic:
		flips = 1e7
	}
	if t.Size == Full {
		flips *= 16
	}
	return flips
}

// torusAverages compares energy and specific heat of an l×l torus, and in a
// full run for l = 8 the moments of the magnetisation, with their exact values.
func torusAverages(ctx context.Context, t *Target, l int, algorithm backend.LatticeAlgorithm) (results []Result, err error) {
	if t.scalar() && l > 8 {
		return nil, nil // more than scalar code has time for
	}
	for _, temp := range averageTemperatures {
		if l > 16 && math.Abs(temp-2.269) < 0.1 && t.Level == isa.Generic && t.Size == Quick {
			continue
		}
		x, err := exact.NewTorus(l, temp)
		if err != nil {
			return nil, err
		}
		// A critical lattice takes up to l²/6 sweeps to forget (heat bath).
		burnIn := 100 + 4*l
		if math.Abs(temp-2.269) < 0.1 {
			burnIn = 100 + 2*l*l
		}
		chains := 512
		sweeps := int(latticeFlips(t)/float64(chains*l*l)) - burnIn
		if sweeps < 2*burnIn {
			chains = max(32, int(latticeFlips(t)/float64(3*burnIn*l*l))/32*32)
			sweeps = 2 * burnIn
		}
		r, err := ising.Run(ctx, t.Backend, ising.Job{
			Lattice: backend.LatticeSpec{Width: l, Height: l, Replicas: chains, Temperatures: []float64{temp}, Algorithm: algorithm, Seed: t.Seed},
			BurnIn:  burnIn, Sweeps: sweeps,
		}, 0, nil)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("lattice/torus-%d/%s/T-%g/", l, algorithmName(algorithm), temp)
		results = append(results,
			average(name+"energy", r.Energy, x.Energy(), 1),
			average(name+"specific-heat", r.SpecificHeat, x.SpecificHeat(), 1))
		if l <= exact.MaxDensityTorus && t.Size == Full { // counting the states takes a second
			m1, m2, m4, err := x.Moments()
			if err != nil {
				return nil, err
			}
			results = append(results,
				average(name+"abs-magnetization", r.AbsMagnetization, m1, 1),
				average(name+"binder", r.Binder, 1-m4/(3*m2*m2), 1))
		}
	}
	return results, nil
}

// squareAverages compares a lattice of 512×512 spins with the infinite one, at
// temperatures where its correlation length is a few sites.
func squareAverages(ctx context.Context, t *Target) (results []Result, err error) {
	const l = 512
	if t.scalar() {
		return nil, nil
	}
	for _, temp := range []float64{1.5, 2.0, 3.0} {
		x, err := exact.NewOnsager(temp)
		if err != nil {
			return nil, err
		}
		r, err := ising.Run(ctx, t.Backend, ising.Job{
			Lattice: backend.LatticeSpec{Width: l, Height: l, Replicas: 1, Temperatures: []float64{temp}, Seed: t.Seed},
			BurnIn:  100, Sweeps: 100 + int(latticeFlips(t)/2/(l*l)),
		}, 0, nil)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("lattice/square-%d/T-%g/", l, temp)
		results = append(results, average(name+"energy", r.Energy, x.Energy(), 1))
		if m := x.Magnetization(); m > 0 {
			results = append(results, average(name+"abs-magnetization", r.AbsMagnetization, m, 1))
		}
	}
	return results, nil
}

// exchangeAverages compares the energies of a tempered ladder, level by level,
// with those of tori at the levels' temperatures.
func exchangeAverages(ctx context.Context, t *Target) ([]Result, error) {
	const l, ladders, every = 8, 64, 2
	ladder := []float64{1.5, 1.75, 2, 2.15, 2.269, 2.4, 2.7, 3}
	spec := backend.LatticeSpec{Width: l, Height: l, Replicas: ladders * len(ladder), Seed: t.Seed, Exchange: every, Ladder: len(ladder)}
	for range ladders {
		spec.Temperatures = append(spec.Temperatures, ladder...)
	}
	sweeps := max(100, int(latticeFlips(t)/8/float64(spec.Replicas*l*l)))
	lat, err := t.Backend.NewLattice(spec)
	if err != nil {
		return nil, err
	}
	defer lat.Close()
	if err := lat.Sweep(ctx, 50); err != nil {
		return nil, err
	}
	e := make([]int64, sweeps*spec.Replicas)
	if err := lat.Record(ctx, sweeps, 1, e, nil); err != nil {
		return nil, err
	}
	var results []Result
	for i, temp := range ladder {
		x, err := exact.NewTorus(l, temp)
		if err != nil {
			return nil, err
		}
		// The chains of one level's ladders are independent.
		chains := make([][]float64, ladders)
		for c := range chains {
			for k := range sweeps {
				chains[c] = append(chains[c], float64(e[k*spec.Replicas+c*len(ladder)+i])/(l*l))
			}
		}
		g, err := stats.Gamma(chains...)
		if err != nil {
			return nil, err
		}
		results = append(results, average(fmt.Sprintf("lattice/exchange/T-%g/energy", temp), g, x.Energy(), 1))
	}
	levels := make([]int, spec.Replicas)
	if err := lat.Levels(levels); err != nil {
		return nil, err
	}
	moved := 0
	for r, level := range levels {
		if r != level {
			moved++
		}
	}
	// After hundreds of sweeps a level is anywhere: one in eight stays.
	n, p := float64(spec.Replicas), 1-1/float64(len(ladder))
	sigma := math.Sqrt(n * p * (1 - p))
	return append(results, Result{
		Name: "lattice/exchange/levels-moved", Exact: n * p, Measured: float64(moved), Error: sigma,
		Limit: 4 * errorsAllowed(1, 0) * sigma, Unit: "replicas",
	}), nil
}

// acceptance counts the flips of the first colour in one sweep of a lattice
// whose spins have known numbers of antiparallel neighbours, and compares with
// the probabilities; and it compares products of what neighbours and replicas
// did with those of independent spins.
func acceptance(ctx context.Context, t *Target, algorithm backend.LatticeAlgorithm) ([]Result, error) {
	const w, h, replicas = 64, 32, 96
	trials := 4
	if !t.scalar() {
		trials = t.sample(4)
	}
	var results []Result
	for _, temp := range []float64{0.9, 1.5, 2.269, 5} {
		lat, err := t.Backend.NewLattice(backend.LatticeSpec{
			Width: w, Height: h, Replicas: replicas, Temperatures: []float64{temp}, Algorithm: algorithm, Seed: t.Seed,
		})
		if err != nil {
			return nil, err
		}
		c, err := countFlips(ctx, lat, w, h, replicas, trials)
		if cerr := lat.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("lattice/acceptance/%s/T-%g/", algorithmName(algorithm), temp)
		for n := range 5 {
			p := flipProbability(algorithm, n, temp)
			trials := c.trials[n]
			sigma := math.Sqrt(p * (1 - p) / trials)
			z := errorsAllowed(5, 0)
			results = append(results, Result{
				Name: fmt.Sprintf("%santiparallel-%d", name, n), Exact: p, Measured: c.flips[n] / trials, Error: sigma,
				Limit: z*sigma + 2*z*z/3/trials, // Bernstein's inequality
			})
		}
		for kind, v := range map[string]*pairCount{"neighbours": &c.near, "replicas": &c.across} {
			pairs, variance := v.sum(algorithm, temp)
			z, sigma := errorsAllowed(2, 0), math.Sqrt(variance)
			results = append(results, Result{
				Name: name + "correlation-" + kind, Measured: pairs, Error: sigma, Limit: z*sigma + 2*z*z/3, Unit: "pairs",
			})
		}
	}
	slices.SortStableFunc(results, func(a, b Result) int { return strings.Compare(a.Name, b.Name) })
	return results, nil
}

// flipProbability is p for n antiparallel neighbours.
func flipProbability(a backend.LatticeAlgorithm, n int, t float64) float64 {
	x := float64(8-4*n) / t
	if a == backend.HeatBath {
		return 1 / (1 + math.Exp(x))
	}
	return math.Min(1, math.Exp(-x))
}

// flipCount is what one colour did: trials and flips for each number of
// antiparallel neighbours, and pairs of trials.
type flipCount struct {
	trials, flips [5]float64
	near, across  pairCount
}

// pairCount counts pairs of trials by the numbers of antiparallel neighbours
// and by which of the two flipped.
type pairCount [5][5][2][2]float64

// sum returns Σ (f − p)(f' − p') over all pairs and its variance for
// independent spins.
func (c *pairCount) sum(a backend.LatticeAlgorithm, t float64) (sum, variance float64) {
	for n := range c {
		for m := range c[n] {
			p, q := flipProbability(a, n, t), flipProbability(a, m, t)
			for f := range 2 {
				for g := range 2 {
					k := c[n][m][f][g]
					sum += k * (float64(f) - p) * (float64(g) - q)
					variance += k * p * (1 - p) * q * (1 - q)
				}
			}
		}
	}
	return sum, variance
}

// countFlips sets rows of the second colour down so that spins of the first
// have 0, 1 and 2 down neighbours, and half of the replicas' first colour down
// so that these are 4, 3 and 2 antiparallel ones, and lets one sweep do its
// work, several times.
func countFlips(ctx context.Context, lat backend.Lattice, w, h, replicas, times int) (*flipCount, error) {
	c := new(flipCount)
	start, end := make([][]int8, replicas), make([]int8, w*h)
	anti := make([][]int8, replicas) // of sites of the first colour
	for r := range start {
		start[r], anti[r] = make([]int8, w*h), make([]int8, w*h)
		for i := range start[r] {
			x, y := i%w, i/w
			start[r][i] = 1
			if (x+y)%2 == 1 && y%4 == 0 || (x+y)%2 == 0 && r%2 == 1 {
				start[r][i] = -1
			}
		}
		for i := range start[r] {
			x, y := i%w, i/w
			for _, j := range []int{y*w + (x+1)%w, y*w + (x+w-1)%w, (y+1)%h*w + x, (y+h-1)%h*w + x} {
				if start[r][j] != start[r][i] {
					anti[r][i]++
				}
			}
		}
	}
	previous := [2][]int{make([]int, w*h), make([]int, w*h)} // of replicas that began alike
	for range times {
		for r, s := range start {
			if err := lat.SetState(r, s); err != nil {
				return nil, err
			}
		}
		if err := lat.Sweep(ctx, 1); err != nil {
			return nil, err
		}
		flipped := make([]int, w*h)
		for r, s := range start {
			if err := lat.State(r, end); err != nil {
				return nil, err
			}
			for i := range end {
				x, y := i%w, i/w
				if (x+y)%2 == 1 {
					continue
				}
				flipped[i] = 0
				if end[i] != s[i] {
					flipped[i] = 1
				}
				n := anti[r][i]
				c.trials[n]++
				c.flips[n] += float64(flipped[i])
				if x >= 2 {
					c.near[n][anti[r][i-2]][flipped[i]][flipped[i-2]]++
				}
				if r >= 2 {
					c.across[n][anti[r-2][i]][flipped[i]][previous[r%2][i]]++
				}
			}
			copy(previous[r%2], flipped)
		}
	}
	return c, nil
}

// latticeDigest checks that a job has its golden digest, with several numbers
// of threads and with its replicas in parts.
func latticeDigest(ctx context.Context, t *Target, c *backendtest.LatticeCase) (results []Result, err error) {
	one := func(t *Target, parts int) error {
		got, err := c.Digest(ctx, t.Backend, parts)
		if err != nil {
			return err
		}
		r := Result{Name: fmt.Sprintf("lattice/digest/%s/parts-%d", c.Name, parts), Threads: t.Threads, Unit: "digests that differ"}
		if got != c.Golden {
			r.Measured = 1
		}
		results = append(results, r)
		return nil
	}
	if t.Name == "ref" {
		return results, one(t, 2)
	}
	all := []int{1, 2, 3}
	if t.Size == Quick {
		all = all[1:2]
	}
	err = t.eachThreads(all, func(i int, with *Target) error { return one(with, 2-i%2) })
	return results, err
}

// latticeCase is replicas of a lattice at T = 2.269 whose sweep has a goal.
type latticeCase struct {
	width, height, replicas int
	// goals in flips/ns for one thread of an AMD Zen 4 core: at 1024×1024 with
	// AVX-512 three times what plain 64-bit multi-spin code reaches there.
	goals map[isa.Level]float64
	slow  bool
}

var latticeCases = []latticeCase{
	{1024, 1024, 1, map[isa.Level]float64{isa.AVX512: 16.8, isa.AVX2: 7.6, isa.Generic: 1.3}, false},
	{32, 32, 512, map[isa.Level]float64{isa.AVX512: 16, isa.AVX2: 7.2, isa.Generic: 1.2}, false},
	{8, 8, 4096, nil, false},
	{64, 64, 1, nil, false},
	{4096, 4096, 1, map[isa.Level]float64{isa.AVX512: 16.8, isa.AVX2: 7.6}, true},
	{1022, 1018, 1, nil, true},
}

func (c latticeCase) benchmark() Benchmark {
	return Benchmark{
		Name: fmt.Sprintf("lattice/%dx%dx%d", c.width, c.height, c.replicas),
		Unit: "flips/ns", Goal: perThread(c.goals), Slow: c.slow,
		Prepare: func(_ context.Context, t *Target) (*Work, error) {
			l, err := t.Backend.NewLattice(backend.LatticeSpec{
				Width: c.width, Height: c.height, Replicas: c.replicas, Temperatures: []float64{2.269}, Seed: t.Seed,
			})
			if err != nil {
				return nil, err
			}
			return &Work{Do: l.Sweep, Units: 1e-9 * float64(c.width) * float64(c.height) * float64(c.replicas),
				Bytes: 2 * float64(c.width) * float64(c.height) * float64(c.replicas) / 8, Close: l.Close}, nil
		},
	}
}

// latticeSized makes a benchmark from width×height×replicas.
func latticeSized(size string) (Benchmark, error) {
	var c latticeCase
	parts := strings.Split(size, "x")
	for i, n := range []*int{&c.width, &c.height, &c.replicas} {
		if len(parts) != 3 {
			break
		}
		*n, _ = strconv.Atoi(parts[i])
	}
	s := backend.LatticeSpec{Width: c.width, Height: c.height, Replicas: c.replicas, Temperatures: []float64{1}}
	if err := s.Check(); err != nil || int64(c.replicas) > mostSpins/(int64(c.width)*int64(c.height)) {
		return Benchmark{}, fmt.Errorf("want WIDTHxHEIGHTxREPLICAS, even sides, at most %d spins", int64(mostSpins))
	}
	return c.benchmark(), nil
}
