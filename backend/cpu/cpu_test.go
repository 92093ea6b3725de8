package cpu

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
)

func open(t testing.TB, level isa.Level, threads int) *Backend {
	t.Helper()
	b, err := New(backend.Options{ISA: level.String(), Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	for _, level := range isa.Available() {
		for _, threads := range []int{1, 2, 3, 7} {
			if threads > 2 && testing.Short() {
				continue
			}
			t.Run(fmt.Sprintf("%v/%d-threads", level, threads), func(t *testing.T) {
				backendtest.Run(t, open(t, level, threads))
			})
		}
	}
}

func quantized(t testing.TB, visible, hidden int) *spin.Network {
	t.Helper()
	q, err := spin.Quantize(backendtest.RandomRBM(visible, hidden, 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// Backends leave no goroutine behind.
func TestNoLeak(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		b, err := New(backend.Options{Threads: 5})
		if err != nil {
			t.Fatal(err)
		}
		s, err := b.NewSampler(backend.SamplerSpec{Network: quantized(t, 17, 13), Chains: 300})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Sweep(context.Background(), 3); err != nil {
			t.Fatal(err)
		}
		s.Close()
		b.Close()
		b.Close()
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// The steady state allocates nothing.
func TestNoAllocation(t *testing.T) {
	for _, level := range isa.Available() {
		for _, threads := range []int{1, 2} {
			b := open(t, level, threads)
			for name, spec := range map[string]backend.SamplerSpec{
				"rbm":       {Network: quantized(t, 101, 53), Chains: 200, Moments: backend.MomentSpec{Means: true, Edges: true, AllPairs: true}},
				"tempered":  {Network: quantized(t, 31, 53), Chains: 3, Temperatures: []float64{1, 2, 3}},
				"boltzmann": {Network: mustQuantize(t, backendtest.RandomBoltzmann(13, 7, 0.4, 10)), Chains: 100},
			} {
				s, err := b.NewSampler(spec)
				if err != nil {
					t.Fatal(err)
				}
				ctx := context.Background()
				// The first sweeps choose the form of the weights.
				if err := s.Sweep(ctx, 64); err != nil {
					t.Fatal(err)
				}
				if n := testing.AllocsPerRun(20, func() {
					if err := s.Sweep(ctx, 2); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("%v, %d threads, %s: %v allocations in a call", level, threads, name, n)
				}
				s.Close()
			}
		}
	}
}

func mustQuantize(t testing.TB, n *spin.Net[float32]) *spin.Network {
	t.Helper()
	q, err := spin.Quantize(n)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// A long sweep is left within a tenth of a second, on one thread and many.
func TestCancelLongSweep(t *testing.T) {
	for _, threads := range []int{1, 3} {
		b := open(t, isa.Best(), threads)
		s, err := b.NewSampler(backend.SamplerSpec{Network: quantized(t, 2003, 1999), Chains: 1000})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		err = s.Sweep(ctx, 1000)
		cancel()
		if err != context.DeadlineExceeded {
			t.Errorf("%d threads: %v", threads, err)
		}
	}
}
