package backendtest

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/spin"
)

// Run holds b to the suite: every job gives the bits of the reference backend
// and the golden digests, however its chains are split.
func Run(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	t.Run("digests", func(t *testing.T) {
		for _, c := range Cases() {
			for _, parts := range []int{1, 2, 3, 7} {
				if parts > 3 && testing.Short() {
					continue
				}
				if err := c.CheckDigest(ctx, b, parts); err != nil {
					t.Errorf("in %d parts: %v", parts, err)
				}
			}
		}
	})
	t.Run("clamped", func(t *testing.T) { clamped(t, b) })
	t.Run("continue", func(t *testing.T) { continues(t, b) })
	t.Run("settings", func(t *testing.T) { settings(t, b) })
	t.Run("energy", func(t *testing.T) { energy(t, b) })
	t.Run("free-energy", func(t *testing.T) { freeEnergy(t, b) })
	t.Run("means", func(t *testing.T) { means(t, b) })
	t.Run("enumerate", func(t *testing.T) { enumerates(t, b) })
	t.Run("enumerate-rbm", func(t *testing.T) { enumeratesRBMs(t, b) })
	t.Run("roots", func(t *testing.T) { roots(t, b) })
	t.Run("errors", func(t *testing.T) { refuses(t, b) })
	t.Run("anneal", func(t *testing.T) { anneals(t, b) })
	t.Run("training", func(t *testing.T) { training(t, b) })
	t.Run("training-statistics", func(t *testing.T) { trainingStatistics(t, b) })
	t.Run("training-resumes", func(t *testing.T) { trainingResumes(t, b) })
	t.Run("training-errors", func(t *testing.T) { trainingRefuses(t, b) })
	t.Run("cancel", func(t *testing.T) { cancels(t, b) })
	t.Run("lattice", func(t *testing.T) { lattices(t, b) })
}

func open(t *testing.T, b backend.Backend, spec backend.SamplerSpec) backend.Sampler {
	t.Helper()
	s, err := b.NewSampler(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, s backend.Sampler, spec *backend.SamplerSpec) *spin.Batch {
	t.Helper()
	b := spin.NewBatch(spec.Network.Units(), spec.Chains)
	check(t, s.State(b))
	return b
}

func same(t *testing.T, what string, got, want *spin.Batch) {
	t.Helper()
	for i, w := range want.Bits {
		if got.Bits[i] != w {
			t.Fatalf("%s: spins of unit %d differ from word %d on: %016x, want %016x", what, i/want.Words, i%want.Words, got.Bits[i], w)
		}
	}
}

// randomStates fills a batch with reproducible fair coins.
func randomStates(units, chains int, seed uint64) *spin.Batch {
	r := &numbers{}
	r.key[0] = uint32(seed)
	b := spin.NewBatch(units, chains)
	for u := range units {
		for c := range chains {
			b.Set(u, c, r.next()&1 != 0)
		}
	}
	return b
}

// clamped units keep their state, all others move.
func clamped(t *testing.T, b backend.Backend) {
	n := must(RandomRBM(37, 23, 1, 8))
	spec := backend.SamplerSpec{Network: n, Chains: 150, Seed: 3, Clamped: make([]bool, 60)}
	for u := range 60 {
		spec.Clamped[u] = u < 20 || u == 50
	}
	s := open(t, b, spec)
	start := randomStates(60, 150, 1)
	check(t, s.SetState(start))
	check(t, s.Sweep(context.Background(), 5))
	end := state(t, s, &spec)
	for u, fixed := range spec.Clamped {
		moved := false
		for w, x := range end.Row(u) {
			moved = moved || x != start.Row(u)[w]
		}
		if moved == fixed {
			t.Errorf("unit %d: clamped %v, moved %v", u, fixed, moved)
		}
	}
}

// Sweeps in pieces, and states taken out and put into a fresh sampler, give
// the bits of one run.
func continues(t *testing.T, b backend.Backend) {
	spec := backend.SamplerSpec{Network: must(RandomRBM(29, 31, 2, 1)), Chains: 77, Seed: 5, Moments: moments}
	whole := open(t, b, spec)
	check(t, whole.Sweep(context.Background(), 7))
	want := state(t, whole, &spec)

	pieces := open(t, b, spec)
	for _, n := range []int{0, 3, 1} {
		check(t, pieces.Sweep(context.Background(), n))
	}
	mid := state(t, pieces, &spec)
	check(t, pieces.Sweep(context.Background(), 3))
	same(t, "sweeps in pieces", state(t, pieces, &spec), want)
	if pieces.Sweeps() != 7 {
		t.Errorf("%d sweeps counted, want 7", pieces.Sweeps())
	}
	var m1, m2 backend.Moments
	check(t, whole.Moments(&m1))
	check(t, pieces.Moments(&m2))
	if m1.Samples != 7*77 || m2.Samples != m1.Samples {
		t.Errorf("%d and %d samples, want %d", m1.Samples, m2.Samples, 7*77)
	}
	for i, x := range m1.Pairs {
		if m2.Pairs[i] != x {
			t.Fatalf("pair moment %d is %d in pieces, %d whole", i, m2.Pairs[i], x)
		}
	}

	spec.FirstSweep = 4
	fresh := open(t, b, spec)
	check(t, fresh.SetState(mid))
	check(t, fresh.Sweep(context.Background(), 3))
	same(t, "fresh sampler", state(t, fresh, &spec), want)
}

// New networks, temperatures and points of interpolation take effect as on the
// reference backend, and resetting moments forgets.
func settings(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	base := make([]int32, 26)
	for i := range base {
		base[i] = int32(i-13) << 18
	}
	spec := backend.SamplerSpec{Network: must(RandomRBM(15, 11, 2, 1)), Chains: 140, Seed: 6, Base: base, Mix: 1 << 22, Moments: moments}
	run := func(b backend.Backend) (*spin.Batch, backend.Moments) {
		s := open(t, b, spec)
		check(t, s.Sweep(ctx, 2))
		check(t, s.SetNetwork(must(RandomRBM(15, 11, 5, 2))))
		check(t, s.Sweep(ctx, 1))
		check(t, s.SetTemperatures(ladder(140)))
		check(t, s.SetMix(1<<24-1))
		check(t, s.ResetMoments())
		check(t, s.Sweep(ctx, 2))
		check(t, s.SetTemperatures([]float64{2}))
		check(t, s.Sweep(ctx, 1))
		var m backend.Moments
		check(t, s.Moments(&m))
		return state(t, s, &spec), m
	}
	got, gotM := run(b)
	want, wantM := run(ref.New())
	same(t, "after new settings", got, want)
	if gotM.Samples != 3*140 {
		t.Errorf("%d samples after a reset, want %d", gotM.Samples, 3*140)
	}
	for i, x := range wantM.Edges[0] {
		if gotM.Edges[0][i] != x {
			t.Fatalf("edge moment %d is %d, want %d", i, gotM.Edges[0][i], x)
		}
	}
}

func energy(t *testing.T, b backend.Backend) {
	for name, net := range map[string]*spin.Net[float32]{
		"rbm": RandomRBM(53, 31, 3, 1), "boltzmann": RandomBoltzmann(11, 7, 1, 2),
		"torus": Torus(5, 1, 0.5), "deep": deep([3]int{7, 11, 5}, 3), "one": RandomRBM(1, 1, 1, 4),
	} {
		for _, chains := range []int{1, 64, 131} {
			n := must(net)
			job := backend.EnergyJob{Network: n, States: randomStates(n.Units(), chains, 9)}
			got, want := make([]int64, chains), make([]int64, chains)
			check(t, b.Energy(context.Background(), job, got))
			check(t, ref.New().Energy(context.Background(), job, want))
			for c := range want {
				if got[c] != want[c] {
					t.Fatalf("%s: energy of chain %d of %d is %d, want %d", name, c, chains, got[c], want[c])
				}
			}
		}
	}
}

func freeEnergy(t *testing.T, b backend.Backend) {
	for _, shape := range [][2]int{{1, 1}, {37, 19}, {101, 67}} {
		for _, chains := range []int{1, 67, 130} {
			n := must(RandomRBM(shape[0], shape[1], 4, 1))
			base := make([]int32, n.Units())
			for i := range base {
				base[i] = int32(i%17-8) << 18
			}
			for summed := range 2 {
				for _, mix := range [][]uint32{nil, {0, 1 << 24, 12345678}} {
					job := backend.FreeEnergyJob{Network: n, Summed: summed, States: randomStates(shape[1-summed], chains, 2), Mix: mix}
					if mix != nil {
						job.Base = base
					}
					size := chains * max(len(mix), 1)
					got, want := make([]float64, size), make([]float64, size)
					check(t, b.FreeEnergy(context.Background(), job, got))
					check(t, ref.New().FreeEnergy(context.Background(), job, want))
					for i := range want {
						if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
							t.Fatalf("%v, layer %d summed, %d chains: free energy %d is %v, want %v", shape, summed, chains, i, got[i], want[i])
						}
					}
				}
			}
		}
	}
}

func means(t *testing.T, b backend.Backend) {
	for _, shape := range [][2]int{{1, 1}, {37, 19}, {101, 67}} {
		for _, chains := range []int{1, 7, 33} {
			n := must(RandomRBM(shape[0], shape[1], 4, 1))
			r := &numbers{}
			start := make([]float64, chains*shape[0])
			for i := range start {
				start[i] = float64(r.float(1))
			}
			run := func(b backend.Backend) ([]float64, []float64) {
				job := backend.MeansJob{
					Network: n, Chains: chains, Steps: 3,
					Visible: append([]float64(nil), start...), Hidden: make([]float64, chains*shape[1]),
				}
				check(t, b.Means(context.Background(), job))
				return job.Visible, job.Hidden
			}
			gotV, gotH := run(b)
			wantV, wantH := run(ref.New())
			for i, x := range append(wantV, wantH...) {
				if got := append(gotV, gotH...)[i]; math.Float64bits(got) != math.Float64bits(x) {
					t.Fatalf("%v, %d chains: mean %d is %v, want %v", shape, chains, i, got, x)
				}
			}
		}
	}
}

// refuses checks that wrong jobs are errors that say what is wrong.
func refuses(t *testing.T, b backend.Backend) {
	good := func() backend.SamplerSpec {
		return backend.SamplerSpec{Network: must(RandomRBM(5, 3, 1, 1)), Chains: 10}
	}
	for want, edit := range map[string]func(*backend.SamplerSpec){
		"no network":             func(s *backend.SamplerSpec) { s.Network = nil },
		"0 chains":               func(s *backend.SamplerSpec) { s.Chains = 0 },
		"numbers below 2³²":      func(s *backend.SamplerSpec) { s.FirstChain = 1<<32 - 9 },
		"temperature -1":         func(s *backend.SamplerSpec) { s.Temperatures = []float64{-1} },
		"temperature NaN":        func(s *backend.SamplerSpec) { s.Temperatures = []float64{math.NaN()} },
		"3 temperatures":         func(s *backend.SamplerSpec) { s.Temperatures = []float64{1, 2, 3} },
		"7 marks":                func(s *backend.SamplerSpec) { s.Clamped = make([]bool, 7) },
		"share colour 1":         func(s *backend.SamplerSpec) { s.Colors = []int{1, 0, 0, 0, 0, 1, 1, 1} },
		"colour 1 has no units":  func(s *backend.SamplerSpec) { s.Colors = []int{0, 0, 0, 0, 0, 2, 2, 2} },
		"without a second bias":  func(s *backend.SamplerSpec) { s.Mix = 3 },
		"|bias| + Σ|W|":          func(s *backend.SamplerSpec) { s.Network.Bias[1] = math.MaxInt32 },
		"has 14 weights":         func(s *backend.SamplerSpec) { s.Network.Blocks[0].W = s.Network.Blocks[0].W[1:] },
		"has 24 fraction bits":   func(s *backend.SamplerSpec) { s.Network.Frac = 24 },
		"second bias vector has": func(s *backend.SamplerSpec) { s.Base = make([]int32, 2) },
	} {
		spec := good()
		edit(&spec)
		if s, err := b.NewSampler(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a sampler that must be refused with %q: %v, %v", want, s, err)
		}
	}
	s := open(t, b, good())
	ctx := context.Background()
	q := must(RandomRBM(5, 3, 1, 1))
	for name, err := range map[string]error{
		"state of another shape":        s.SetState(spin.NewBatch(8, 11)),
		"destination of another shape":  s.State(spin.NewBatch(7, 10)),
		"network of another shape":      s.SetNetwork(must(RandomRBM(5, 4, 1, 1))),
		"negative temperature":          s.SetTemperatures([]float64{-2}),
		"mix without base":              s.SetMix(1),
		"negative sweeps":               s.Sweep(ctx, -1),
		"energies for too few chains":   b.Energy(ctx, backend.EnergyJob{Network: q, States: spin.NewBatch(8, 3)}, make([]int64, 2)),
		"free energy of a whole state":  b.FreeEnergy(ctx, backend.FreeEnergyJob{Network: q, Summed: 1, States: spin.NewBatch(8, 3)}, make([]float64, 3)),
		"free energy of a torus":        b.FreeEnergy(ctx, backend.FreeEnergyJob{Network: must(Torus(4, 1, 0)), Summed: 1, States: spin.NewBatch(16, 3)}, make([]float64, 3)),
		"means of the wrong length":     b.Means(ctx, backend.MeansJob{Network: q, Chains: 2, Steps: 1, Visible: make([]float64, 9)}),
		"means that are not numbers":    b.Means(ctx, backend.MeansJob{Network: q, Chains: 1, Steps: 1, Visible: []float64{0, 0, math.NaN(), 0, 0}}),
		"bits beyond the last chain":    s.SetState(&spin.Batch{Units: 8, Chains: 10, Words: 1, Bits: []uint64{1 << 20, 0, 0, 0, 0, 0, 0, 0}}),
		"a batch that is not one":       s.SetState(&spin.Batch{Units: 8, Chains: 10, Words: 3}),
		"no batch":                      s.SetState(nil),
		"a negative number of steps":    b.Means(ctx, backend.MeansJob{Network: q, Chains: 1, Steps: -1, Visible: make([]float64, 5)}),
		"energy without a network":      b.Energy(ctx, backend.EnergyJob{States: spin.NewBatch(8, 3)}, make([]int64, 3)),
		"free energy of no such layer":  b.FreeEnergy(ctx, backend.FreeEnergyJob{Network: q, Summed: 2, States: spin.NewBatch(5, 3)}, make([]float64, 3)),
		"free energies of wrong length": b.FreeEnergy(ctx, backend.FreeEnergyJob{Network: q, Summed: 1, States: spin.NewBatch(5, 3)}, make([]float64, 4)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// cancels checks that an ended context stops a long call soon, and leaves the
// state after a whole number of sweeps.
func cancels(t *testing.T, b backend.Backend) {
	spec := backend.SamplerSpec{Network: must(RandomRBM(211, 199, 2, 1)), Chains: 70, Seed: 1}
	s := open(t, b, spec)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Sweep(ctx, math.MaxInt32); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a cancelled call returns %v", err)
	}
	done := s.Sweeps()
	got := state(t, s, &spec)
	again := open(t, b, spec)
	check(t, again.Sweep(context.Background(), int(done)))
	same(t, "after cancelling", state(t, again, &spec), got)
	gone, stop := context.WithCancel(context.Background())
	stop()
	if err := s.Sweep(gone, 1); !errors.Is(err, context.Canceled) || s.Sweeps() != done {
		t.Errorf("a call with an ended context returns %v after %d sweeps", err, s.Sweeps()-done)
	}
}
