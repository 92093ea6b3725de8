package ref_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/backend/ref"
	"kadanoff/spin"
)

func TestConformance(t *testing.T) {
	backendtest.Run(t, ref.New())
}

// A sweep that takes too long to be finished when it is stopped is left inside
// it, and undone.
func TestCancelledSweepIsUndone(t *testing.T) {
	const units, chains = 1024, 4096 // 8·10⁹ couplings in a sweep
	n, err := spin.Quantize(spin.RBM(units, units, make([]float32, units*units), make([]float32, units), make([]float32, units)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ref.New().NewSampler(backend.SamplerSpec{Network: n, Chains: chains})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, after := spin.NewBatch(2*units, chains), spin.NewBatch(2*units, chains)
	if err := s.State(before); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Sweep(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || s.Sweeps() != 0 {
		t.Errorf("a stopped sweep: %v after %d sweeps", err, s.Sweeps())
	}
	if err := s.State(after); err != nil {
		t.Fatal(err)
	}
	for i := range before.Bits {
		if before.Bits[i] != after.Bits[i] {
			t.Fatalf("word %d of the state differs after a stopped sweep", i)
		}
	}
}
