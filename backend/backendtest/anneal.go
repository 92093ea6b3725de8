package backendtest

import (
	"context"
	"math"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// anneals holds a sampler's own way of annealing to its definition by jobs.
func anneals(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	for _, shape := range [][3]int{{1, 1, 3}, {31, 47, 67}, {83, 29, 130}, {19, 23, 577}} {
		n := must(RandomRBM(shape[0], shape[1], 4, 1))
		base := make([]int32, n.Units())
		for i := range base {
			base[i] = int32(i%17-8) << 18
		}
		spec := backend.SamplerSpec{
			Network: n, Chains: shape[2], Seed: 5, Stream: philox.AIS, FirstChain: 7, FirstSweep: 1 << 33, Base: base, Mix: 1 << 24,
		}
		for _, way := range [][]uint32{{0, 1 << 20, 3 << 22, 1<<24 - 1, 1 << 24}, {1 << 24, 1 << 23, 12345, 0}, {0, 1 << 24}} {
			s := open(t, b, spec)
			a, ok := s.(backend.Annealer)
			if !ok {
				return
			}
			got, spread := make([]float64, spec.Chains), make([]float64, len(way)-1)
			done, err := a.Anneal(ctx, n.Bias, way, got, spread)
			check(t, err)
			if !done {
				t.Fatalf("%v: an RBM with a base is not annealed", shape)
			}
			want, wantSpread, end := annealed(t, spec, way)
			for c, x := range want {
				if math.Float64bits(got[c]) != math.Float64bits(x) {
					t.Fatalf("%v along %v: weight of chain %d is %v, want %v", shape, way, c, got[c], x)
				}
			}
			for k, x := range wantSpread {
				if math.Float64bits(spread[k]) != math.Float64bits(x) {
					t.Fatalf("%v along %v: variance %d is %v, want %v", shape, way, k, spread[k], x)
				}
			}
			now := state(t, s, &spec)
			same(t, "visible units after annealing", now.Rows(0, shape[0]), end.Rows(0, shape[0]))
		}
		for name, edit := range map[string]func(*backend.SamplerSpec){
			"no base":     func(s *backend.SamplerSpec) { s.Base, s.Mix = nil, 0 },
			"temperature": func(s *backend.SamplerSpec) { s.Temperatures = []float64{2} },
			"clamped":     func(s *backend.SamplerSpec) { s.Clamped = make([]bool, n.Units()); s.Clamped[0] = true },
		} {
			other := spec
			edit(&other)
			if a, ok := open(t, b, other).(backend.Annealer); ok {
				if done, _ := a.Anneal(ctx, n.Bias, []uint32{0, 1}, make([]float64, spec.Chains), nil); done {
					t.Errorf("%s: annealed", name)
				}
			}
		}
	}
}

// annealed is backend.Annealer's definition on the reference backend.
func annealed(t *testing.T, spec backend.SamplerSpec, way []uint32) (weights, spread []float64, end *spin.Batch) {
	t.Helper()
	ctx, b := context.Background(), ref.New()
	s := open(t, b, spec)
	weights = make([]float64, spec.Chains)
	f, d := make([]float64, 2*spec.Chains), make([]float64, spec.Chains)
	for k := 0; k+1 < len(way); k++ {
		check(t, b.FreeEnergy(ctx, backend.FreeEnergyJob{
			Network: spec.Network, Summed: 1, States: state(t, s, &spec).Rows(0, spec.Network.Layers[0]),
			Base: spec.Base, Mix: []uint32{way[k], way[k+1]},
		}, f))
		for c := range d {
			d[c] = f[c] - f[spec.Chains+c]
			weights[c] += d[c]
		}
		spread = append(spread, backend.Spread(d))
		if k+2 < len(way) {
			check(t, s.SetMix(way[k+1]))
			check(t, s.Sweep(ctx, 1))
		}
	}
	return weights, spread, state(t, s, &spec)
}
