//go:build gpu && cgo

package cuda

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"gorgonia.org/cu"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	_ "kadanoff/backend/cpu" // does what the device leaves to it
	"kadanoff/spin"
)

// With -records this is a check of the machine's GPU. A stage of it fails with
// code 3 where there is no device; without one, tests are skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	if *recordsFile != "" {
		os.Exit(checkGPU(*recordsFile, *onlyStages, os.Stdout))
	}
	if *stageName != "" {
		if _, why := count(); why != "" {
			fmt.Fprintf(os.Stderr, "no CUDA device: %s\n", why)
			os.Exit(3)
		}
	}
	code := m.Run()
	if code == 0 && whole() {
		if n := unusedKernels(); n > 0 {
			fmt.Fprintf(os.Stderr, "%d kernels were not run by any test\n", n)
			code = 1
		}
	}
	os.Exit(code)
}

// whole reports whether this process runs all tests of the package.
func whole() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "stage"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// unusedKernels is how many kernels the simulated driver has not run, and it
// names them; 0 with another driver.
func unusedKernels() int {
	if _, why := count(); why != "" {
		return 0
	}
	dev, err := cu.GetDevice(0)
	if err != nil {
		return 0
	}
	n, err := dev.Attribute(simUnused)
	if err != nil {
		return 0
	}
	return n
}

func open(t testing.TB) *Backend {
	t.Helper()
	if _, why := count(); why != "" {
		t.Skip(why)
	}
	b, err := New(backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, open(t))
}

// All devices together, of which there are three on the simulated driver.
func TestConformanceSpread(t *testing.T) {
	b := threeDevices(t)
	for _, d := range b.devices {
		d.units = 0 // every sweep a launch for each layer
	}
	for _, c := range backendtest.Cases() {
		if err := c.CheckDigest(context.Background(), b, 1); err != nil {
			t.Error(err)
		}
	}
	temperatures := make([]float64, 700)
	for i := range temperatures {
		temperatures[i] = float64(i%5) / 2
	}
	compare(t, b, backend.SamplerSpec{
		Network: quantized(t, backendtest.RandomRBM(13, 11, 2, 1)), Chains: 700, Temperatures: temperatures,
		Moments: backend.MomentSpec{Means: true, Edges: true, AllPairs: true},
	}, 3)
	cancelled(t, b)
}

// cancelled stops a long call and wants all devices after the same sweep.
func cancelled(t *testing.T, b backend.Backend) {
	t.Helper()
	spec := backend.SamplerSpec{Network: quantized(t, backendtest.RandomRBM(67, 43, 2, 1)), Chains: 600}
	run := func(ctx context.Context, n int) (*spin.Batch, uint64) {
		s, err := b.NewSampler(spec)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Sweep(ctx, n); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		state := spin.NewBatch(110, 600)
		if err := s.State(state); err != nil {
			t.Fatal(err)
		}
		if err := s.SetState(state); err != nil {
			t.Fatal(err)
		}
		again := spin.NewBatch(110, 600)
		if err := s.State(again); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again.Bits, state.Bits) {
			t.Error("spins that were set are not those that come out")
		}
		return state, s.Sweeps()
	}
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer stop()
	got, sweeps := run(ctx, math.MaxInt32)
	want, _ := run(context.Background(), int(sweeps))
	if !slices.Equal(got.Bits, want.Bits) {
		t.Errorf("a call that was stopped after %d sweeps left other spins", sweeps)
	}
}

func quantized(t testing.TB, n *spin.Net[float32]) *spin.Network {
	t.Helper()
	q, err := spin.Quantize(n)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
