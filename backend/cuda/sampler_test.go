//go:build gpu && cgo

package cuda

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/backend/ref"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

// compare runs a job here and on the reference backend and wants the same
// spins and moments.
func compare(t *testing.T, b backend.Backend, spec backend.SamplerSpec, sweeps int) {
	t.Helper()
	type result struct {
		state   *spin.Batch
		moments backend.Moments
	}
	run := func(b backend.Backend) (r result) {
		s, err := b.NewSampler(spec)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r.state = spin.NewBatch(spec.Network.Units(), spec.Chains)
		for _, err := range []error{s.Sweep(context.Background(), sweeps), s.State(r.state), s.Moments(&r.moments)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	got, want := run(b), run(ref.New())
	for i, w := range want.state.Bits {
		if got.state.Bits[i] != w {
			t.Fatalf("spins of unit %d differ from word %d on: %016x, want %016x", i/want.state.Words, i%want.state.Words, got.state.Bits[i], w)
		}
	}
	if got.moments.Samples != want.moments.Samples || !slices.Equal(got.moments.Means, want.moments.Means) || !slices.Equal(got.moments.Pairs, want.moments.Pairs) {
		t.Error("moments differ")
	}
	for k, e := range want.moments.Edges {
		if !slices.Equal(got.moments.Edges[k], e) {
			t.Errorf("edge sums of block %d differ", k)
		}
	}
}

// Shapes around the edges of tiles, steps, groups and blocks, in every number
// of digits, with clamped units, temperatures and interpolation.
func TestShapes(t *testing.T) {
	bothWays(t, testShapes)
}

// bothWays tests with many sweeps of a small network in a launch, and with a
// launch for each layer.
func bothWays(t *testing.T, f func(t *testing.T, b *Backend)) {
	t.Run("together", func(t *testing.T) { f(t, open(t)) })
	t.Run("layers", func(t *testing.T) {
		b := open(t)
		b.devices[0].units = 0
		f(t, b)
	})
}

func testShapes(t *testing.T, b *Backend) {
	for i, c := range []struct{ visible, hidden, chains int }{
		{1, 1, 1}, {31, 33, 65}, {32, 64, 64}, {65, 17, 257}, {97, 128, 129}, {131, 67, 300},
	} {
		for digits, limit := range map[int]float64{2: 0.003, 3: 0.9, 4: 3} {
			t.Run(fmt.Sprintf("%dx%dx%d-digits%d", c.visible, c.hidden, c.chains, digits), func(t *testing.T) {
				n := backendtest.RandomRBM(c.visible, c.hidden, 1, uint64(i))
				for k, w := range n.Blocks[0].W {
					n.Blocks[0].W[k] = float32(limit) * float32(k%7-3) / 3 * (1 + w/16)
				}
				q := quantized(t, n)
				if d := kernels.Digits(q.Blocks[0].W); d > digits {
					t.Fatalf("weights need %d digits, want at most %d", d, digits)
				}
				temperatures := make([]float64, c.chains)
				for j := range temperatures {
					temperatures[j] = []float64{0, spin.MinTemperature, 0.25, 0.75, 1, 2, 100}[j%7]
				}
				clamped := make([]bool, q.Units())
				for u := range clamped {
					clamped[u] = u%11 == 3
				}
				base := make([]int32, q.Units())
				for u := range base {
					base[u] = int32(u%29-14) << 17
				}
				spec := backend.SamplerSpec{
					Network: q, Chains: c.chains, Seed: 1<<40 + uint64(i), Stream: philox.Data, FirstChain: 1<<32 - 1000, FirstSweep: 1<<32 - 1,
					Temperatures: temperatures,
				}
				compare(t, b, spec, 3)
				spec.Clamped, spec.Base, spec.Mix = clamped, base, 0xABCDEF
				compare(t, b, spec, 2)
			})
		}
	}
}

// A few weights at the edge of 32 bits.
func TestHugeWeights(t *testing.T) {
	bothWays(t, testHugeWeights)
}

func testHugeWeights(t *testing.T, b *Backend) {
	n := quantized(t, backendtest.RandomRBM(37, 29, 0.5, 1))
	n.Frac = 11
	for k := range n.Blocks[0].W {
		n.Blocks[0].W[k] >>= 12
	}
	for d := range 29 {
		n.Blocks[0].W[d*29+d] = []int32{2_000_000_000, -2_000_000_000, 0x7F808080, -0x7F808081, 0x40000000}[d%5]
	}
	if d := kernels.Digits(n.Blocks[0].W); d != 4 {
		t.Fatalf("%d digits", d)
	}
	compare(t, b, backend.SamplerSpec{Network: n, Chains: 70, Temperatures: []float64{1e5}}, 3)
}

// Means and edges without all pairs take kernels of their own; more chains
// than a block of count_pairs takes, several layers and sparse blocks.
func TestEdgesAlone(t *testing.T) {
	bothWays(t, testEdgesAlone)
}

func testEdgesAlone(t *testing.T, b *Backend) {
	deep := backendtest.RandomRBM(35, 70, 0.5, 1)
	deep.Layers = append(deep.Layers, 34)
	deep.Bias = append(deep.Bias, make([]float32, 34)...)
	w := make([]float32, 70*34)
	for i := range w {
		w[i] = float32(i%13-6) / 64
	}
	deep.Blocks = append(deep.Blocks, spin.Block[float32]{A: 1, B: 2, W: w})
	for name, spec := range map[string]backend.SamplerSpec{
		"rbm":       {Network: quantized(t, backendtest.RandomRBM(67, 5, 1, 1)), Chains: 2*kernels.PairWords*32 + 1},
		"deep":      {Network: quantized(t, deep), Chains: 67},
		"torus":     {Network: quantized(t, backendtest.Torus(7, 1, 0.25)), Chains: 259},
		"boltzmann": {Network: quantized(t, backendtest.RandomBoltzmann(9, 5, 0.5, 1)), Chains: 130},
	} {
		t.Run(name, func(t *testing.T) {
			spec.Moments = backend.MomentSpec{Means: true, Edges: true, Every: 2}
			compare(t, b, spec, 5)
			spec.Moments = backend.MomentSpec{Means: true}
			compare(t, b, spec, 1)
		})
	}
}

// So many spins by lists that some of them cannot be decided by 16 bits.
func TestListsFallBack(t *testing.T) {
	spec := backend.SamplerSpec{Network: quantized(t, backendtest.Torus(15, 1, 0.125)), Chains: 1024, Temperatures: []float64{2.269}}
	compare(t, open(t), spec, 4)
}

// A network whose weights need more digits than those before takes their
// place, and back.
func TestSetNetworkOtherDigits(t *testing.T) {
	run := func(b backend.Backend) *spin.Batch {
		s, err := b.NewSampler(backend.SamplerSpec{Network: quantized(t, backendtest.RandomRBM(41, 37, 0.001, 1)), Chains: 90})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, scale := range []float32{30, 0.001, 4} {
			n := quantized(t, backendtest.RandomRBM(41, 37, scale, 2))
			for _, err := range []error{s.Sweep(context.Background(), 1), s.SetNetwork(n), s.Sweep(context.Background(), 1)} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		state := spin.NewBatch(78, 90)
		if err := s.State(state); err != nil {
			t.Fatal(err)
		}
		return state
	}
	if got, want := run(open(t)), run(ref.New()); !slices.Equal(got.Bits, want.Bits) {
		t.Error("spins differ")
	}
}

// Samplers of one backend may be used from several goroutines.
func TestConcurrentSamplers(t *testing.T) {
	b := open(t)
	n := quantized(t, backendtest.RandomRBM(33, 31, 2, 1))
	states := make([]*spin.Batch, 4)
	errs := make(chan error)
	for i := range states {
		go func() {
			s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: 65, Seed: 1})
			if err == nil {
				err = s.Sweep(context.Background(), 4)
			}
			if err == nil {
				states[i] = spin.NewBatch(64, 65)
				err = s.State(states[i])
			}
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range states {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range states {
		if !slices.Equal(x.Bits, states[0].Bits) {
			t.Error("the same job gave different spins")
		}
	}
}

// More units than a run of logarithms, more chains than a block, and more points
// than a launch, in every number of digits.
func TestFreeEnergyShapes(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		const hidden = fmath.CoshRun + 35
		base := make([]int32, 41+hidden)
		for i := range base {
			base[i] = int32(i%17-8) << 18
		}
		const chains = 260
		mix := make([]uint32, mostPoints+3)
		for i := range mix {
			mix[i] = uint32(i) << 19
		}
		states := spin.NewBatch(41, chains)
		for i := range states.Units {
			for c := range chains {
				states.Set(i, c, (i*31+c*17)%7 < 3)
			}
		}
		for digits, limit := range map[int]float32{2: 0.003, 3: 0.5, 4: 0.05} {
			n := backendtest.RandomRBM(41, hidden, 1, 1)
			for k, w := range n.Blocks[0].W {
				n.Blocks[0].W[k] = limit * float32(k%7-3) / 3 * (1 + w/16)
			}
			if digits == 4 {
				n.Blocks[0].W[0] = 3
			}
			job := backend.FreeEnergyJob{Network: quantized(t, n), Summed: 1, States: states, Base: base, Mix: mix}
			if d := kernels.Digits(job.Network.Blocks[0].W); d != digits {
				t.Fatalf("weights of %d digits, want %d", d, digits)
			}
			if digits != 3 {
				job.Mix = mix[:2]
			}
			got, want := make([]float64, chains*len(job.Mix)), make([]float64, chains*len(job.Mix))
			for _, err := range []error{b.FreeEnergy(context.Background(), job, got), ref.New().FreeEnergy(context.Background(), job, want)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("free energies with weights of %d digits differ", digits)
			}
		}
	})
}

// Several devices anneal as one, in graphs of two temperatures.
func TestAnnealSpread(t *testing.T) {
	n := quantized(t, backendtest.RandomRBM(33, 31, 2, 1))
	way := []uint32{0, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 23, 3 << 22, 7 << 21, 15 << 20, 31 << 19, 1 << 24}
	const chains = 700
	run := func(b backend.Backend) (weights, variances []float64) {
		s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: chains, Seed: 3, Stream: philox.AIS, Base: make([]int32, 64)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if s, ok := s.(*spread); ok {
			s.walk.part = len(way)
		}
		weights, variances = make([]float64, chains), make([]float64, len(way)-1)
		if done, err := s.(backend.Annealer).Anneal(context.Background(), n.Bias, way, weights, variances); !done || err != nil {
			t.Fatal(done, err)
		}
		return weights, variances
	}
	b := threeDevices(t)
	for _, d := range b.devices {
		d.nodes = 10
	}
	gotW, gotV := run(b)
	wantW, wantV := run(b.Backend) // the CPU
	if !slices.Equal(gotW, wantW) || !slices.Equal(gotV, wantV) {
		t.Error("weights or variances differ")
	}
}
