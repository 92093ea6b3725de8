package ref

import (
	"context"
	"errors"
	"slices"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// coupling is what one unit hears from another.
type coupling struct {
	from   int
	weight int32
}

type sampler struct {
	spec    backend.SamplerSpec
	colors  [][]int32
	betas   []uint64
	stream  []uint32 // stream number of each unit
	heard   [][]coupling
	bias    []int32
	state   *spin.Batch
	sweep   uint64
	moments backend.Moments
	network *spin.Network
}

// NewSampler starts chains on the reference backend.
func (Backend) NewSampler(spec backend.SamplerSpec) (backend.Sampler, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	s := &sampler{spec: spec, sweep: spec.FirstSweep, state: spin.NewBatch(spec.Network.Units(), spec.Chains)}
	s.colors, _ = backend.Coloring(spec.Network, spec.Colors)
	s.betas, _ = backend.Betas(spec.Temperatures, spec.Chains)
	s.spec.Clamped = append([]bool(nil), spec.Clamped...)
	s.spec.Base = append([]int32(nil), spec.Base...)
	for l, first := range spec.Network.StreamUnits() {
		for i := range spec.Network.Layers[l] {
			s.stream = append(s.stream, first+uint32(i))
		}
	}
	s.load(spec.Network)
	key := philox.NewKey(spec.Seed)
	for u := range s.state.Units {
		for c := range spec.Chains {
			s.state.Set(u, c, philox.Draw(key, philox.Init, spec.FirstChain+uint32(c), s.stream[u], spec.FirstSweep) < 1<<31)
		}
	}
	return s, s.ResetMoments()
}

// load lists what each unit hears.
func (s *sampler) load(n *spin.Network) {
	s.network = n
	s.bias = append([]int32(nil), n.Bias...)
	s.heard = make([][]coupling, n.Units())
	for k := range n.Blocks {
		b := &n.Blocks[k]
		fa, fb := n.First(b.A), n.First(b.B)
		b.Each(n.Layers[b.B], func(i, j int, w int32) {
			s.heard[fa+i] = append(s.heard[fa+i], coupling{fb + j, w})
			if b.A != b.B {
				s.heard[fb+j] = append(s.heard[fb+j], coupling{fa + i, w})
			}
		})
	}
}

// field is a = bias + Σ W s.
func (s *sampler) field(unit, chain int) int32 {
	a := int64(s.bias[unit])
	for _, c := range s.heard[unit] {
		a += int64(c.weight) * spinOf(s.state, c.from, chain)
	}
	if len(s.spec.Base) > 0 {
		return spin.Interpolate(int32(a), s.spec.Base[unit], s.spec.Mix)
	}
	return int32(a)
}

// chainsPerLook is after how many chains of a unit a sweep looks whether it is
// to stop: some 10 ms at 10⁴ couplings a unit.
const chainsPerLook = 256

// Sweep advances the chains. A call that is stopped puts back the state before
// the sweep it was in.
func (s *sampler) Sweep(ctx context.Context, n int) error {
	if n < 0 {
		return errors.New("negative number of sweeps")
	}
	key := philox.NewKey(s.spec.Seed)
	every := max(s.spec.Moments.Every, 1)
	before := slices.Clone(s.state.Bits)
	for t := 1; t <= n; t++ {
		copy(before, s.state.Bits)
		for _, class := range s.colors {
			for _, u := range class {
				if len(s.spec.Clamped) > 0 && s.spec.Clamped[u] {
					continue
				}
				for c := range s.state.Chains {
					if c%chainsPerLook == 0 {
						if err := ctx.Err(); err != nil {
							copy(s.state.Bits, before)
							return err
						}
					}
					draw := philox.Draw(key, s.spec.Stream, s.spec.FirstChain+uint32(c), s.stream[u], s.sweep)
					s.state.Set(int(u), c, spin.Up(s.field(int(u), c), s.betas[c%len(s.betas)], s.network.Frac, draw))
				}
			}
		}
		s.sweep++
		if t%every == 0 && s.spec.Moments.Any() {
			s.accumulate()
		}
	}
	return nil
}

func (s *sampler) accumulate() {
	m, b := &s.moments, s.state
	m.Samples += int64(b.Chains)
	for c := range b.Chains {
		for u := range m.Means {
			m.Means[u] += spinOf(b, u, c)
		}
		if s.spec.Moments.AllPairs {
			for u := range b.Units {
				for v := range b.Units {
					m.Pairs[u*b.Units+v] += spinOf(b, u, c) * spinOf(b, v, c)
				}
			}
		}
		for k := range m.Edges {
			blk, e := &s.network.Blocks[k], 0
			fa, fb := s.network.First(blk.A), s.network.First(blk.B)
			blk.Each(s.network.Layers[blk.B], func(i, j int, _ int32) {
				m.Edges[k][e] += spinOf(b, fa+i, c) * spinOf(b, fb+j, c)
				e++
			})
		}
	}
}

func (s *sampler) Sweeps() uint64 { return s.sweep }

func (s *sampler) State(dst *spin.Batch) error {
	if err := backend.CheckStates(dst, s.state.Units, s.state.Chains); err != nil {
		return err
	}
	dst.CopyFrom(s.state)
	return nil
}

func (s *sampler) SetState(src *spin.Batch) error {
	if err := backend.CheckStates(src, s.state.Units, s.state.Chains); err != nil {
		return err
	}
	s.state.CopyFrom(src)
	return nil
}

func (s *sampler) SetNetwork(n *spin.Network) error {
	return s.SetNetworkContext(context.Background(), n)
}

func (s *sampler) SetNetworkContext(ctx context.Context, n *spin.Network) error {
	if err := backend.CheckSameShapeContext(ctx, s.network, n); err != nil {
		return err
	}
	s.load(n)
	return nil
}

func (s *sampler) SetTemperatures(t []float64) error {
	b, err := backend.Betas(t, s.state.Chains)
	if err == nil {
		s.betas = b
	}
	return err
}

func (s *sampler) SetMix(mix uint32) error {
	if err := backend.CheckBase(s.network, s.spec.Base, mix); err != nil {
		return err
	}
	s.spec.Mix = mix
	return nil
}

func (s *sampler) Moments(dst *backend.Moments) error {
	s.moments.CopyTo(dst)
	return nil
}

func (s *sampler) ResetMoments() error {
	s.moments.Reset(s.network, s.spec.Moments)
	return nil
}

func (s *sampler) Close() error { return nil }
