package cpu

import (
	"context"
	"runtime"
	"testing"

	"kadanoff/backend"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
)

// A sampler keeps two packed copies of the weights and the packed chains; what
// it takes beyond them stays below 64 MB at 4096². The indices of the look-up
// of all chains would take 4 bytes for 5 spins.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 0.3 GB")
	}
	const units, chains = 4096, 4096
	const copies, packed, beyond = 2 * 4 * units * units, 2 * units * chains / 8, 64 << 20
	n, err := spin.Quantize(spin.RBM(units, units, make([]float32, units*units), make([]float32, units), make([]float32, units)))
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	b := open(t, isa.Best(), 2)
	before := heap()
	s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: chains})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := s.Sweep(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if after := heap(); after-before > copies+packed+beyond {
		t.Errorf("a sampler takes %d MB, want at most %d MB", (after-before)>>20, (copies+packed+beyond)>>20)
	} else {
		t.Logf("%.1f MB beyond weights and chains", (float64(after)-float64(before)-copies-packed)/(1<<20))
	}
	runtime.KeepAlive(n)
	runtime.KeepAlive(s)
}
