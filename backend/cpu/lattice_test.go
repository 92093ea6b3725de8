package cpu

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kadanoff/backend"
	"kadanoff/kernels/isa"
	"kadanoff/kernels/lattice"
)

func openIsing(t testing.TB, b *Backend, spec backend.LatticeSpec) backend.Lattice {
	t.Helper()
	l, err := b.NewLattice(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A sweep that takes too long to be finished when it is cancelled leaves the
// replicas where they were.
func TestCancelledSweepIsUndone(t *testing.T) {
	for _, threads := range []int{1, 3} {
		b := open(t, isa.Generic, threads)
		spec := backend.LatticeSpec{Width: 64, Height: 64, Replicas: 12000 * threads, Temperatures: []float64{3}}
		l := openIsing(t, b, spec)
		if !l.(*ising).undo {
			t.Fatal("the job is too small for this test")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
		err := l.Sweep(ctx, 1)
		cancel()
		if err != context.DeadlineExceeded {
			t.Skipf("a sweep of %d replicas was done in 3 ms", spec.Replicas)
		}
		if l.Sweeps() != 0 {
			t.Errorf("%d threads: sweep %d after a cancelled one", threads, l.Sweeps())
		}
		s := make([]int8, 64*64)
		for _, r := range []int{0, 511, 512, 5000, spec.Replicas - 1} {
			if err := l.State(r, s); err != nil {
				t.Fatal(err)
			}
			for i, v := range s {
				if v != 1 {
					t.Fatalf("%d threads: replica %d site %d has moved", threads, r, i)
				}
			}
		}
	}
}

// Sweeps allocate nothing.
func TestLatticeAllocatesNothing(t *testing.T) {
	for _, threads := range []int{1, 2} {
		b := open(t, isa.Best(), threads)
		for _, spec := range []backend.LatticeSpec{
			{Width: 32, Height: 32, Replicas: 700, Temperatures: []float64{2}},
			{Width: 512, Height: 512, Replicas: 1, Temperatures: []float64{2}},
		} {
			l := openIsing(t, b, spec)
			e := make([]int64, spec.Replicas)
			ctx := context.Background()
			if n := testing.AllocsPerRun(5, func() {
				if err := l.Record(ctx, 2, 2, e, nil); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%d threads, %dx%d: %v allocations", threads, spec.Width, spec.Height, n)
			}
		}
	}
}

// BenchmarkLattice is whole sweeps: seeds, halo and leftovers included. Goal at
// L = 1024 on one thread with AVX-512: three times the plain 64-bit multi-spin
// code (bench/peers).
func BenchmarkLattice(b *testing.B) {
	for _, c := range []struct{ l, replicas int }{{1024, 1}, {4096, 1}, {8, 512}, {32, 512}, {64, 1}, {64, 512}, {1000, 1}, {1022, 1}} {
		for _, level := range isa.Available() {
			for _, threads := range []int{1, 2} {
				for _, measured := range []bool{false, true} {
					b.Run(fmt.Sprintf("L=%d/replicas=%d/%v/threads=%d/measured=%v", c.l, c.replicas, level, threads, measured), func(b *testing.B) {
						be := open(b, level, threads)
						l := openIsing(b, be, backend.LatticeSpec{Width: c.l, Height: c.l, Replicas: c.replicas, Temperatures: []float64{2.269}})
						ctx := context.Background()
						flips := float64(c.l*c.l) * float64(c.replicas)
						n := max(1, int(2e8/flips))
						if level == isa.Generic {
							n = max(1, n/10)
						}
						e, m := make([]int64, n*c.replicas), make([]int64, n*c.replicas)
						if !measured {
							e, m = nil, nil
						}
						best := 0.0
						for range b.N {
							start := time.Now()
							if err := l.Record(ctx, n, 1, e, m); err != nil {
								b.Fatal(err)
							}
							best = max(best, flips*float64(n)/float64(time.Since(start).Nanoseconds()))
						}
						b.ReportMetric(best, "flips/ns")
					})
				}
			}
		}
	}
}

// countdown is a context that ends when it has been looked at so many times.
type countdown struct {
	context.Context
	left atomic.Int64
}

func newCountdown(looks int64) *countdown {
	c := &countdown{Context: context.Background()}
	c.left.Store(looks)
	return c
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// A sweep of one large lattice that members share is left between two of its
// blocks, and the replica is where it was: it goes on as if nothing had been.
func TestCancelledSharedSweepIsUndone(t *testing.T) {
	for _, threads := range []int{2, 3, 7} {
		open := func() *ising {
			l := openIsing(t, open(t, isa.Best(), threads), backend.LatticeSpec{Width: 1022, Height: 1000, Replicas: 1, Temperatures: []float64{2.5}, Random: true}).(*ising)
			l.undo, l.chunk = true, 1
			for i := range l.words {
				for c := range l.words[i].saved {
					l.words[i].saved[c] = lattice.Aligned(l.tiles.Size())
				}
			}
			return l
		}
		l, want := open(), open()
		if !l.together() {
			t.Fatal("the job is too small for this test")
		}
		before, after := make([]int8, 1022*1000), make([]int8, 1022*1000)
		for looks := int64(1); looks < 16; looks += 3 {
			if err := l.State(0, before); err != nil {
				t.Fatal(err)
			}
			at := l.Sweeps()
			ctx := newCountdown(looks)
			if err := l.Sweep(ctx, 3); err != context.Canceled {
				t.Fatalf("%d threads: %v", threads, err)
			}
			if used := looks - ctx.left.Load(); used > looks+2*int64(threads)+2 {
				t.Errorf("%d threads: looked %d times at a context that ended after %d", threads, used, looks)
			}
			if err := l.State(0, after); err != nil {
				t.Fatal(err)
			}
			if l.Sweeps() != at || !slices.Equal(before, after) {
				t.Errorf("%d threads: %d looks: sweep %d after %d, and the spins have moved", threads, looks, l.Sweeps(), at)
			}
			if err := l.Sweep(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			if err := want.Sweep(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			if err := want.State(0, before); err != nil {
				t.Fatal(err)
			}
			if err := l.State(0, after); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before, after) {
				t.Fatalf("%d threads: a run that was cancelled goes on in another way", threads)
			}
		}
	}
}
