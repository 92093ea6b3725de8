package cpu

import (
	"context"
	"slices"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
)

// What sets up a sampler or a trainer looks at its context between small pieces
// of the work, wherever it is: it ends at the next look.
func TestCancelSettingUp(t *testing.T) {
	const visible, hidden, chains, threads = 1501, 997, 20000, 2
	model := backendtest.RandomRBM(visible, hidden, 0.1, 3)
	q := mustQuantize(t, model)
	b := open(t, isa.Best(), threads)
	for name, do := range map[string]func(ctx context.Context) error{
		"quantize": func(ctx context.Context) error {
			_, err := spin.QuantizeContext(ctx, model)
			return err
		},
		"sampler": func(ctx context.Context) error {
			_, err := b.NewSampler(backend.SamplerSpec{Network: q, Chains: chains, Context: ctx})
			return err
		},
		"trainer": func(ctx context.Context) error {
			_, err := b.NewTrainer(backend.TrainerSpec{Model: model, Algorithm: backend.PCD, K: 1, Chains: chains, Context: ctx})
			return err
		},
		"energy": func(ctx context.Context) error {
			return b.Energy(ctx, backend.EnergyJob{Network: q, States: spin.NewBatch(visible+hidden, chains)}, make([]int64, chains))
		},
	} {
		const never = 1 << 40
		all := newCountdown(never)
		if err := do(all); err != nil {
			t.Fatal(err)
		}
		looks := never - all.left.Load()
		// A piece is at most a few million operations.
		if looks < 30 {
			t.Errorf("%s looks at its context %d times", name, looks)
		}
		for part := range int64(8) {
			after := looks * part / 8
			ctx := newCountdown(after)
			if err := do(ctx); err != context.Canceled {
				t.Fatalf("%s: %v, want to be cancelled after %d of %d looks", name, err, after, looks)
			}
			// Each thread sees it once, and so does whoever called them.
			if more := -ctx.left.Load(); more > threads+2 {
				t.Errorf("%s: looked %d times after the end", name, more)
			}
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
