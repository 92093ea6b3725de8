package cpu

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
)

// Whatever goes through a whole model or all chains looks at its context between
// small pieces of the work, wherever it is, and ends at the next look.
func TestCancelWithinPieces(t *testing.T) {
	const visible, hidden, chains, threads = 1501, 997, 20000, 2
	model := backendtest.RandomRBM(visible, hidden, 0.1, 3)
	q := mustQuantize(t, model)
	list := mustQuantize(t, backendtest.RandomBoltzmann(700, 601, 0.01, 3))
	b := open(t, isa.Best(), threads)
	sampler := func(n *spin.Network) backend.Sampler {
		s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: 100})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	dense, listed := sampler(q), sampler(list)
	tr, err := b.NewTrainer(backend.TrainerSpec{Model: model, Algorithm: backend.PCD, K: 1, Chains: chains})
	if err != nil {
		t.Fatal(err)
	}
	tr.(*trainer).velocity = make([]float32, visible*hidden+visible+hidden)
	var state backend.TrainerState
	if err := tr.Save(&state); err != nil {
		t.Fatal(err)
	}
	var stats backend.Statistics
	stats.Reset(visible, hidden, 100, chains)
	states := spin.NewBatch(visible+hidden, chains)
	for name, c := range map[string]struct {
		looks int64 // at least: a piece is a few million operations, or moves a few megabytes
		do    func(ctx context.Context) error
	}{
		"quantize": {30, func(ctx context.Context) error {
			_, err := spin.QuantizeContext(ctx, model)
			return err
		}},
		"sampler": {30, func(ctx context.Context) error {
			_, err := b.NewSampler(backend.SamplerSpec{Network: q, Chains: chains, Context: ctx})
			return err
		}},
		"sampler of couplings inside layers": {60, func(ctx context.Context) error {
			_, err := b.NewSampler(backend.SamplerSpec{Network: list, Chains: 100, Context: ctx})
			return err
		}},
		"trainer": {30, func(ctx context.Context) error {
			_, err := b.NewTrainer(backend.TrainerSpec{Model: model, Algorithm: backend.PCD, K: 1, Chains: chains, Context: ctx})
			return err
		}},
		"energy": {60, func(ctx context.Context) error {
			return b.Energy(ctx, backend.EnergyJob{Network: q, States: states}, make([]int64, chains))
		}},
		"check of an energy": {20, func(ctx context.Context) error {
			j := backend.EnergyJob{Network: q, States: states}
			return j.CheckContext(ctx, make([]int64, chains))
		}},
		"free energy": {60, func(ctx context.Context) error {
			return b.FreeEnergy(ctx, backend.FreeEnergyJob{Network: q, Summed: 1, States: states.Rows(0, visible)}, make([]float64, chains))
		}},
		"means": {20, func(ctx context.Context) error {
			return b.Means(ctx, backend.MeansJob{Network: q, Chains: 3, Steps: 4, Visible: make([]float64, 3*visible)})
		}},
		"set network": {40, func(ctx context.Context) error { return dense.SetNetworkContext(ctx, q) }},
		"set network of couplings inside layers": {40, func(ctx context.Context) error {
			return listed.SetNetworkContext(ctx, list)
		}},
		"save": {4, func(ctx context.Context) error {
			if err := tr.Load(&state); err != nil {
				t.Fatal(err)
			}
			return tr.Save(&backend.TrainerState{Context: ctx})
		}},
		"load": {40, func(ctx context.Context) error {
			s := state
			s.Context = ctx
			return tr.Load(&s)
		}},
		"update": {24, func(ctx context.Context) error {
			if err := tr.Load(&state); err != nil {
				t.Fatal(err)
			}
			if err := tr.SetStatistics(&stats); err != nil {
				t.Fatal(err)
			}
			return tr.Update(backend.Update{WeightRate: 0.01, Context: ctx})
		}},
		"gather": {60, func(ctx context.Context) error {
			if err := tr.Load(&state); err != nil {
				t.Fatal(err)
			}
			return tr.Gather(ctx, backend.TrainingBatch{Data: spin.NewBatch(visible, 1000)})
		}},
	} {
		const never = 1 << 40
		all := newCountdown(never)
		if err := c.do(all); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		looks := never - all.left.Load()
		if looks < c.looks {
			t.Errorf("%s looks at its context %d times, want %d", name, looks, c.looks)
		}
		for part := range int64(8) {
			after := looks * part / 8
			ctx := newCountdown(after)
			if err := c.do(ctx); err != context.Canceled {
				t.Fatalf("%s: %v, want to be cancelled after %d of %d looks", name, err, after, looks)
			}
			// Each thread sees it, on its way out of a few loops, and so does
			// whoever called them.
			if more := -ctx.left.Load(); more > 4*threads+3 {
				t.Errorf("%s: looked %d times after the end", name, more)
			}
		}
	}
}

// A sampler whose new network was left half loaded does not go on with it, and
// neither does a trainer with a state or a step; with a whole one they are as
// good as new.
func TestHalfLoaded(t *testing.T) {
	const visible, hidden, chains = 301, 197, 70
	q, other := quantized(t, visible, hidden), mustQuantize(t, backendtest.RandomRBM(visible, hidden, 0.2, 9))
	b := open(t, isa.Best(), 2)
	fresh := func(n *spin.Network) backend.Sampler {
		s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: chains})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := fresh(q)
	last := false // the first cancelled call that began to load
	for looks := int64(0); !last; looks++ {
		if err := s.SetNetworkContext(newCountdown(looks), other); err != context.Canceled {
			t.Fatalf("after %d looks: %v", looks, err)
		}
		last = s.Sweep(t.Context(), 1) != nil
	}
	if _, err := s.(backend.EnergyMeter).Energies(t.Context(), make([]int64, chains)); err == nil {
		t.Error("energies of a network half loaded")
	}
	if err := s.SetNetwork(other); err != nil {
		t.Fatal(err)
	}
	got, want := spin.NewBatch(visible+hidden, chains), spin.NewBatch(visible+hidden, chains)
	if err := s.State(got); err != nil {
		t.Fatal(err)
	}
	second, err := b.NewSampler(backend.SamplerSpec{Network: other, Chains: chains, FirstSweep: s.Sweeps()})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.SetState(got); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		s   backend.Sampler
		dst *spin.Batch
	}{{s, got}, {second, want}} {
		if err := x.s.Sweep(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		if err := x.s.State(x.dst); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got.Bits, want.Bits) {
		t.Error("a sampler goes on differently after a network was left half loaded")
	}

	c := backendtest.TrainingCase{Name: "half", Batch: 90}
	data := backend.TrainingBatch{Data: c.Data(visible, 0)}
	spec := backend.TrainerSpec{Model: backendtest.RandomRBM(visible, hidden, 0.2, 9), Algorithm: backend.PCD, K: 1, Chains: chains}
	tr, err := b.NewTrainer(spec)
	if err != nil {
		t.Fatal(err)
	}
	var start, end, after backend.TrainerState
	step := func(u backend.Update) error {
		if err := tr.Gather(t.Context(), data); err != nil {
			t.Fatal(err)
		}
		return tr.Update(u)
	}
	update := backend.Update{WeightRate: 0.1, BiasRate: 0.1, OffsetRate: 0.1}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(tr.Save(&start))
	check(step(update))
	check(tr.Save(&end))
	for looks := range int64(6) {
		check(tr.Load(&start))
		stopped := update
		stopped.Context = newCountdown(looks)
		if err := step(stopped); err != context.Canceled {
			t.Fatalf("after %d looks: %v", looks, err)
		}
		if tr.Save(&after) == nil || tr.Gather(t.Context(), data) == nil {
			t.Error("a trainer goes on after half an update")
		}
		check(tr.Load(&start))
		check(step(update))
		check(tr.Save(&after))
		if !reflect.DeepEqual(after, end) {
			t.Fatalf("after %d looks of an update and a Load the step is another", looks)
		}
	}
}

// A new sampler and a new trainer start from the coins that are defined: those
// of the reference backend, also where chains fill many words.
func TestCoins(t *testing.T) {
	const visible, hidden, chains = 13, 9, coinWords*64 + 71
	q := quantized(t, visible, hidden)
	b := open(t, isa.Best(), 2)
	s, err := b.NewSampler(backend.SamplerSpec{Network: q, Chains: chains, Seed: 5, FirstChain: 77, FirstSweep: 3})
	if err != nil {
		t.Fatal(err)
	}
	got := spin.NewBatch(visible+hidden, chains)
	if err := s.State(got); err != nil {
		t.Fatal(err)
	}
	if err := got.Check(); err != nil {
		t.Error(err)
	}
	r, err := reference(t).NewSampler(backend.SamplerSpec{Network: q, Chains: chains, Seed: 5, FirstChain: 77, FirstSweep: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := spin.NewBatch(visible+hidden, chains)
	if err := r.State(want); err != nil {
		t.Fatal(err)
	}
	for i, w := range want.Bits {
		if got.Bits[i] != w {
			t.Fatalf("unit %d, word %d: %x, want %x", i/want.Words, i%want.Words, got.Bits[i], w)
		}
	}
}

func reference(t *testing.T) backend.Backend {
	t.Helper()
	b, err := backend.Open("ref", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A sampler's energies are those of the states that it has, for every number of
// chains asked for, also where units are clamped and the energy is mixed.
func TestEnergies(t *testing.T) {
	const visible, hidden, chains = 37, 29, 700
	q := quantized(t, visible, hidden)
	for _, threads := range []int{1, 3} {
		b := open(t, isa.Best(), threads)
		clamped := make([]bool, visible+hidden)
		clamped[3], clamped[40] = true, true
		s, err := b.NewSampler(backend.SamplerSpec{
			Network: q, Chains: chains, Seed: 5, Clamped: clamped, Base: make([]int32, visible+hidden), Mix: 1 << 23,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Sweep(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		state, want := spin.NewBatch(visible+hidden, chains), make([]int64, chains)
		if err := s.State(state); err != nil {
			t.Fatal(err)
		}
		if err := b.Energy(t.Context(), backend.EnergyJob{Network: q, States: state}, want); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 64, 65, 257, chains} {
			got := make([]int64, n)
			does, err := s.(backend.EnergyMeter).Energies(t.Context(), got)
			if err != nil || !does || !slices.Equal(got, want[:n]) {
				t.Errorf("%d threads, %d chains: %v, %v, %v; want %v", threads, n, got, does, err, want[:n])
			}
		}
		if _, err := s.(backend.EnergyMeter).Energies(t.Context(), make([]int64, chains+1)); err == nil {
			t.Error("energies of more chains than there are")
		}
	}
	boltzmann, err := open(t, isa.Best(), 1).NewSampler(backend.SamplerSpec{
		Network: mustQuantize(t, backendtest.RandomBoltzmann(13, 7, 0.4, 10)), Chains: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	if does, err := boltzmann.(backend.EnergyMeter).Energies(t.Context(), make([]int64, 5)); does || err != nil {
		t.Errorf("energies of a Boltzmann machine: %v, %v", does, err)
	}
}
