package cpu

import (
	"context"
	"slices"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/backend/ref"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

func usesFew(s *sampler) bool {
	k, _ := s.steps[0][0].form(s.b)
	return k == s.b.gibbs.Few()
}

// Samplers of machines whose units are mostly down take the other form of the
// weights on the way, and go back from it; their spins, moments and weights of
// annealing are the reference's.
func TestSampleFew(t *testing.T) {
	ctx := context.Background()
	quantized := func(shift float32, layers ...int) *spin.Network {
		m := &spin.Net[float32]{Layers: layers}
		if len(layers) == 2 {
			m = backendtest.RandomRBM(layers[0], layers[1], 0.5, 1)
		} else {
			for k := 0; k+1 < len(layers); k++ {
				r := backendtest.RandomRBM(layers[k], layers[k+1], 0.5, uint64(k))
				m.Blocks = append(m.Blocks, spin.Block[float32]{A: k, B: k + 1, W: r.Blocks[0].W})
				m.Bias = append(m.Bias, r.Bias[:layers[k]]...)
			}
			m.Bias = append(m.Bias, make([]float32, layers[len(layers)-1])...)
		}
		for i := range m.Bias {
			m.Bias[i] += shift
		}
		q, err := spin.Quantize(m)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	for _, layers := range [][]int{{90, 83}, {70, 50, 60}} {
		down, up := quantized(-1.5, layers...), quantized(0.5, layers...)
		spec := backend.SamplerSpec{Network: down, Chains: 130, Seed: 3, Moments: backend.MomentSpec{Means: true, Every: 3}}
		run := func(b backend.Backend, look func(s backend.Sampler, down bool)) (*spin.Batch, backend.Moments) {
			s, err := b.NewSampler(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for k, n := range []int{1, 40, 21, 3 * lookSweeps} {
				if k == 2 {
					if err := s.SetNetwork(up); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Sweep(ctx, n); err != nil {
					t.Fatal(err)
				}
				if look != nil {
					look(s, k < 2)
				}
			}
			out := spin.NewBatch(down.Units(), spec.Chains)
			if err := s.State(out); err != nil {
				t.Fatal(err)
			}
			var m backend.Moments
			if err := s.Moments(&m); err != nil {
				t.Fatal(err)
			}
			return out, m
		}
		want, wantM := run(ref.New(), nil)
		for _, level := range isa.Available() {
			for _, threads := range []int{1, 3} {
				b := open(t, level, threads)
				used, dropped := false, false
				got, m := run(b, func(s backend.Sampler, down bool) {
					few := usesFew(s.(*sampler))
					used, dropped = used || few && down, dropped || !few && !down
				})
				if !slices.Equal(got.Bits, want.Bits) || !slices.Equal(m.Means, wantM.Means) {
					t.Errorf("%v, %v, %d threads: not the reference's spins", layers, level, threads)
				}
				if b.gibbs.Few() != nil && !(used && dropped) {
					t.Errorf("%v, %v: weights for few inputs were used: %v, and dropped: %v", layers, level, used, dropped)
				}
			}
		}
	}

	q := quantized(-1.5, 90, 83)
	base := slices.Clone(q.Bias)
	anneal := func(b backend.Backend) []float64 {
		s, err := b.NewSampler(backend.SamplerSpec{Network: q, Chains: 70, Seed: 4, Stream: philox.AIS, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		weights := make([]float64, 70)
		way := make([]uint32, 3*lookSweeps+1)
		for k := range way {
			way[k] = uint32(k * (backend.MixOne / (len(way) - 1)))
		}
		if ok, err := s.(backend.Annealer).Anneal(ctx, q.Bias, way, weights, nil); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if x, ok := s.(*sampler); ok && x.b.gibbs.Few() != nil && !usesFew(x) {
			t.Error("annealing kept weights for any inputs")
		}
		return weights
	}
	want := anneal(open(t, isa.Generic, 1))
	for _, level := range isa.Available() {
		if got := anneal(open(t, level, 2)); !slices.Equal(got, want) {
			t.Errorf("%v: not the weights of plain Go", level)
		}
	}
}
