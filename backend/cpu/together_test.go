package cpu

import (
	"context"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// A trainer and a sampler that take turns on one backend, on the working
// memory of the same members, give what each gives alone.
func TestTrainerBesideSampler(t *testing.T) {
	ctx := context.Background()
	spec := backend.SamplerSpec{Network: quantized(t, 37, 29), Chains: 130, Seed: 3}
	n := backendtest.RandomRBM(31, 23, 1, 2)
	data := spin.NewBatch(31, 70)
	for u := range 31 {
		for c := range 70 {
			data.Set(u, c, philox.Draw(philox.NewKey(1), philox.Init, uint32(c), uint32(u), 0)&1 != 0)
		}
	}
	run := func(together bool) (*spin.Batch, []int64) {
		b := open(t, isa.Best(), 3)
		sampler, err := b.NewSampler(spec)
		if err != nil {
			t.Fatal(err)
		}
		trainer, err := b.NewTrainer(backend.TrainerSpec{Model: n, Algorithm: backend.PCD, K: 1, Seed: 4, Chains: 70})
		if err != nil {
			t.Fatal(err)
		}
		sweep := func() {
			if err := sampler.Sweep(ctx, 1); err != nil {
				t.Fatal(err)
			}
		}
		step := func() {
			if err := trainer.Gather(ctx, backend.TrainingBatch{Data: data}); err != nil {
				t.Fatal(err)
			}
			if err := trainer.Update(backend.Update{WeightRate: 0.1, BiasRate: 0.1}); err != nil {
				t.Fatal(err)
			}
		}
		if together {
			for range 4 {
				sweep()
				step()
			}
		} else {
			for range 4 {
				step()
			}
			for range 4 {
				sweep()
			}
		}
		state := spin.NewBatch(spec.Network.Units(), spec.Chains)
		if err := sampler.State(state); err != nil {
			t.Fatal(err)
		}
		var s backend.Statistics
		if err := trainer.Statistics(&s); err != nil {
			t.Fatal(err)
		}
		return state, s.Pairs
	}
	alone, aloneSums := run(false)
	both, bothSums := run(true)
	for i, w := range alone.Bits {
		if both.Bits[i] != w {
			t.Fatalf("the sampler's unit %d differs beside a trainer", i/alone.Words)
		}
	}
	for i, x := range aloneSums {
		if bothSums[i] != x {
			t.Fatalf("the trainer's sum %d is %d beside a sampler, %d alone", i, bothSums[i], x)
		}
	}
}
