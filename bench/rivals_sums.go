package bench

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/bench/peers"
	"kadanoff/exact"
	"kadanoff/model/ising"
	"kadanoff/model/stats"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// singleLimit is how far, relatively, a sum in float32 may be off.
const singleLimit = 1e-5

// enumerationRivalry is all states of Ising models with couplings and fields of
// many digits.
func enumerationRivalry() Rivalry {
	r := Rivalry{Name: "enumerate", Short: "all 2^N states of an Ising model: the minimum, log Z"}
	for _, c := range []struct {
		asks  string
		spins int
		sizes []Size
	}{{"minimum", 22, []Size{Quick, Full}}, {"minimum", 26, []Size{Full}}, {"log-z", 22, []Size{Quick}}, {"log-z", 26, []Size{Full}}} {
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("enumerate/%s-%d", c.asks, c.spins), Asks: c.asks, Unit: "enumeration", Sizes: c.sizes,
			Prepare: func(_ context.Context, t *Target, folder string) (*Rival, error) {
				return enumerationRival(t, folder, c.asks, c.spins)
			},
		})
	}
	return r
}

func enumerationRival(t *Target, folder, asks string, n int) (*Rival, error) {
	job := backendtest.RandomIsing(n, 30000, 30000, 1)
	job.Unit = 1e-5
	sums := asks == "log-z"
	if sums {
		job.Betas, job.SumsOnly = []float64{1}, true
	}
	p := newProblem(folder, t)
	p.number("spins", float64(n))
	float := func(x []int32) []float64 {
		f := make([]float64, len(x))
		for i := range x {
			f[i] = float64(x[i]) * job.Unit
		}
		return f
	}
	put(p, "couplings", float(job.Coupling), n, n)
	put(p, "fields", float(job.Field), n)
	if p.err != nil {
		return nil, p.err
	}
	var last *backend.Enumeration
	do := func(ctx context.Context, times int) (err error) {
		for range times {
			if last, err = backend.Enumerate(ctx, t.Backend, job); err != nil {
				return err
			}
		}
		return nil
	}
	r := &Rival{Ours: &Work{Do: do}, Problem: p.Problem, Compared: "minimum"}
	name := "minimum"
	if sums {
		r.Compared, name = "log Z", "log_z"
	}
	r.Compare = func(_ context.Context, found *peers.Result) (Result, error) {
		got, err := value(found, name)
		if err != nil {
			return Result{}, err
		}
		want := float64(last.Ground) * job.Unit
		if sums {
			want = last.Thermal[0].LogZ
		}
		return Result{Exact: want, Measured: got, Limit: singleLimit * math.Abs(want)}, nil
	}
	return r, nil
}

// rbmRivalry is the exact partition function of RBMs.
func rbmRivalry() Rivalry {
	r := Rivalry{Name: "rbm", Short: "exact log Z of an RBM by the states of its smaller layer"}
	for hidden, size := range map[int]Size{20: Full, 16: Quick} {
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("rbm/64x%d", hidden), Asks: "rbm", Unit: "enumeration", Sizes: []Size{size},
			Prepare: func(_ context.Context, t *Target, folder string) (*Rival, error) {
				return rbmRival(t, folder, 64, hidden)
			},
		})
	}
	return r
}

func rbmRival(t *Target, folder string, visible, hidden int) (*Rival, error) {
	m := newNumbers(54).rbm01(visible, hidden, 0.5, 0.5)
	net, shift := m.spins()
	q, err := spin.Quantize(net)
	if err != nil {
		return nil, err
	}
	p := newProblem(folder, t)
	m.put(p, "")
	if p.err != nil {
		return nil, p.err
	}
	job := &backend.EnumerateRBMJob{Network: q}
	var last *backend.RBMEnumeration
	return &Rival{Problem: p.Problem, Compared: "log Z",
		Ours: &Work{Do: func(ctx context.Context, n int) (err error) {
			for range n {
				if last, err = t.Backend.EnumerateRBM(ctx, job); err != nil {
					return err
				}
			}
			return nil
		}},
		Compare: func(_ context.Context, r *peers.Result) (Result, error) {
			got, err := value(r, "log_z")
			want := last.LogZ - shift
			return Result{Exact: want, Measured: got, Limit: singleLimit * math.Abs(want)}, err
		}}, nil
}

// annealingRivalry is annealed importance sampling of a trained model.
func annealingRivalry(m *trainedModels) Rivalry {
	r := Rivalry{Name: "ais", Short: "log Z by annealed importance sampling with 100 chains, 500 hidden units, trained on what train takes"}
	for _, c := range []struct {
		temperatures int
		size         Size
	}{{100, Quick}, {1000, Full}} {
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("ais/%dx%dx100-%d-temperatures", m.width(), trainingHidden, c.temperatures), Asks: "ais", Unit: "run", Sizes: []Size{c.size},
			Prepare: func(ctx context.Context, t *Target, folder string) (*Rival, error) {
				trained, err := m.model(ctx, m.rows(c.size))
				if err != nil {
					return nil, err
				}
				r, err := annealingRival(t, folder, trained, 100, c.temperatures)
				if err == nil {
					r.Data = m.about(m.rows(c.size))
				}
				return r, err
			},
		})
	}
	return r
}

func annealingRival(t *Target, folder string, m *binaryRBM, chains, temperatures int) (*Rival, error) {
	net, shift := m.spins()
	q, err := spin.Quantize(net)
	if err != nil {
		return nil, err
	}
	p := newProblem(folder, t)
	p.number("chains", float64(chains))
	p.number("temperatures", float64(temperatures))
	m.put(p, "")
	if p.err != nil {
		return nil, p.err
	}
	// From the model without weights and hidden biases: in ±1 units, visible
	// biases b₀₁/2 and hidden ones of nothing.
	base, baseLogZ := make([]int32, q.Units()), float64(m.hidden)*math.Ln2
	for i, b := range m.b {
		base[i] = int32(math.RoundToEven(math.Ldexp(float64(b)/2, int(q.Frac))))
		x := math.Ldexp(float64(base[i]), -int(q.Frac))
		baseLogZ += math.Abs(x) + math.Log1p(math.Exp(-2*math.Abs(x)))
	}
	way := make([]uint32, temperatures)
	for k := range way {
		way[k] = uint32(uint64(k) * backend.MixOne / uint64(temperatures-1))
	}
	var sweep uint64
	weights := make([]float64, chains)
	do := func(ctx context.Context, n int) error {
		for range n {
			s, err := t.Backend.NewSampler(backend.SamplerSpec{
				Network: q, Chains: chains, Seed: t.Seed, Stream: philox.AIS, Base: base, FirstSweep: sweep,
			})
			if err != nil {
				return err
			}
			sweep += uint64(temperatures)
			clear(weights)
			err = anneal(ctx, s, q.Bias, way, weights)
			if cerr := s.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	// What is compared is the mean of independent estimates of log Z. It is below
	// log Z by as much in all programs that take the same temperatures, however
	// few chains the weights come from.
	return &Rival{Ours: &Work{Do: do}, Problem: p.Problem, Compared: "mean of estimates of log Z",
		Compare: func(ctx context.Context, r *peers.Result) (Result, error) {
			ours, theirs := slices.Clone(weights), []float64(nil)
			var err error
			if _, ok := r.Arrays["log_zs"]; ok {
				// a few runs that say nothing about their chains
				if theirs, err = array(r, "log_zs", 0); err != nil {
					return Result{}, err
				}
				ours = nil
				for range theirs {
					if err := do(ctx, 1); err != nil {
						return Result{}, err
					}
					ours = append(ours, logMean(weights))
				}
			} else if theirs, err = array(r, "log_weights", chains); err != nil {
				return Result{}, err
			}
			want, wantVariance := stat.MeanVariance(ours, nil)
			got, variance := stat.MeanVariance(theirs, nil)
			n := len(ours)
			stderr := math.Sqrt((wantVariance + variance) / float64(n))
			return Result{Exact: want + baseLogZ - shift, Measured: got, Error: stderr, Limit: errorsAllowed(1, 2*(n-1)) * stderr}, nil
		}}, nil
}

// anneal adds the weights of chains that begin as samples of the base model.
func anneal(ctx context.Context, s backend.Sampler, bias []int32, way []uint32, weights []float64) error {
	if err := s.SetMix(0); err != nil {
		return err
	}
	if err := s.Sweep(ctx, 1); err != nil {
		return err
	}
	a, ok := s.(backend.Annealer)
	if !ok {
		return fmt.Errorf("%T does not anneal", s)
	}
	done, err := a.Anneal(ctx, bias, way, weights, nil)
	if err == nil && !done {
		err = fmt.Errorf("%T does not anneal this model", s)
	}
	return err
}

// logMean returns ln of the mean of e^x.
func logMean(x []float64) float64 { return floats.LogSumExp(x) - math.Log(float64(len(x))) }

// latticeRivalry is the two-dimensional Ising model.
func latticeRivalry() Rivalry {
	r := Rivalry{Name: "ising", Short: "sweeps of the 2D Ising model at T = 2.269; energies at T = 3"}
	for _, c := range []struct {
		side  int
		sizes []Size
	}{{256, []Size{Quick, Full}}, {1024, []Size{Full}}} {
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("ising/%dx%d", c.side, c.side), Asks: "ising", Unit: "sweep", Sizes: c.sizes,
			Prepare: func(_ context.Context, t *Target, folder string) (*Rival, error) {
				return latticeRival(t, folder, c.side)
			},
		})
	}
	return r
}

// At the temperature of the comparison a lattice forgets in a few sweeps, and
// one of the size of these is as good as infinite.
const (
	energyTemperature = 3.0
	energyBurnIn      = 100
	energyDraws       = 32
	energyEvery       = 5
)

func latticeRival(t *Target, folder string, side int) (*Rival, error) {
	spec := backend.LatticeSpec{Width: side, Height: side, Replicas: 1, Temperatures: []float64{2.269}, Seed: t.Seed}
	p := newProblem(folder, t)
	for name, x := range map[string]float64{
		"side": float64(side), "temperature": spec.Temperatures[0], "check_temperature": energyTemperature,
		"burn_in": energyBurnIn, "draws": energyDraws, "every": energyEvery,
	} {
		p.number(name, x)
	}
	o, err := exact.NewOnsager(energyTemperature)
	if err != nil {
		return nil, err
	}
	// The error of a mean of independent draws, which no estimate is below.
	least := energyTemperature * math.Sqrt(o.SpecificHeat()/energyDraws) / float64(side)
	energy := func(e stats.Estimate) Result {
		e.Error = math.Max(e.Error, least)
		return average("", e, o.Energy(), 1)
	}
	l, err := t.Backend.NewLattice(spec)
	if err != nil {
		return nil, err
	}
	return &Rival{Ours: &Work{Do: l.Sweep, Close: l.Close}, Problem: p.Problem, Compared: "mean energy",
		Check: func(ctx context.Context) (Result, error) {
			spec.Temperatures = []float64{energyTemperature}
			r, err := ising.Run(ctx, t.Backend, ising.Job{Lattice: spec, BurnIn: energyBurnIn, Sweeps: energyDraws * energyEvery}, 0, nil)
			if err != nil {
				return Result{}, err
			}
			return energy(r.Energy), nil
		},
		Compare: func(_ context.Context, r *peers.Result) (Result, error) {
			draws, err := array(r, "energies", energyDraws)
			if err != nil {
				return Result{}, err
			}
			e, err := stats.Gamma(draws)
			if err != nil {
				return Result{}, fmt.Errorf("%w: energies: %w", errResult, err)
			}
			return energy(e), nil
		}}, nil
}

// rootsRivalry is the bulk solution of f(W) = g(W).
func rootsRivalry() Rivalry {
	r := Rivalry{Name: "roots", Short: "W(K) in bulk, eight visible and four hidden units, K from 0.01 to 3"}
	for count, size := range map[int]Size{200_000: Full, 50_000: Quick} {
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("roots/8x4-%d", count), Asks: "roots", Unit: "batch", Sizes: []Size{size},
			Prepare: func(_ context.Context, t *Target, folder string) (*Rival, error) { return rootsRival(t, folder, count) },
		})
	}
	return r
}

// rootsLimit is how far, relatively, a root of a peer may be off: their float64
// differences f − g lose half of their digits. Beyond K = 3 they lose all of
// them, which is why the couplings end there.
const rootsLimit = 1e-6

func rootsRival(t *Target, folder string, count int) (*Rival, error) {
	k := couplingsWithin(count, 0.01, 3)
	p := newProblem(folder, t)
	put(p, "k", k, count)
	if p.err != nil {
		return nil, p.err
	}
	job := backend.RootsJob{Visible: 8, Hidden: 4, K: k}
	w := make([]float64, count)
	r := backend.RootsResult{W: w}
	return &Rival{Problem: p.Problem, Compared: "largest relative error",
		Ours: &Work{Do: func(ctx context.Context, n int) error {
			for range n {
				if err := t.Backend.Roots(ctx, job, r); err != nil {
					return err
				}
			}
			return nil
		}},
		Check: func(ctx context.Context) (Result, error) {
			results, err := rootsOfCouplings(ctx, t)
			if err != nil {
				return Result{}, err
			}
			return results[0], nil
		},
		Compare: func(_ context.Context, r *peers.Result) (Result, error) {
			theirs, err := array(r, "w", count)
			if err != nil {
				return Result{}, err
			}
			worst := worst("", rootsLimit)
			for i, x := range theirs {
				worst.see(x, w[i])
			}
			return worst, nil
		}}, nil
}
