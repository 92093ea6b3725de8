package bench

import (
	"context"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// faulty is a backend whose sampler restates the reference with one fault.
type faulty struct {
	ref.Backend
	weight float64                                          // factor of the strongest weight, 0 for none
	draw   func(unit uint32, sweep uint64) (uint32, uint64) // which draw a unit takes instead of its own
	lanes  bool                                             // chains 3 and 5 of each word of the last layer are exchanged
	frozen bool                                             // clamped units move, too
	moment bool                                             // one sum is off by one
}

func (f faulty) NewSampler(spec backend.SamplerSpec) (backend.Sampler, error) {
	n := *spec.Network
	if f.weight != 0 {
		n.Blocks = append([]spin.Block[int32](nil), n.Blocks...)
		b := &n.Blocks[0]
		b.W = append([]int32(nil), b.W...)
		strongest := 0
		for k, w := range b.W {
			if max(w, -w) > max(b.W[strongest], -b.W[strongest]) {
				strongest = k
			}
		}
		b.W[strongest] = int32(float64(b.W[strongest]) * f.weight)
		if b.A == b.B { // the other triangle
			size := n.Layers[b.A]
			b.W[strongest%size*size+strongest/size] = b.W[strongest]
		}
	}
	if f.frozen {
		spec.Clamped = nil
	}
	spec.Network = &n
	inner, err := f.Backend.NewSampler(spec)
	if err != nil || f.draw == nil && !f.lanes && !f.moment {
		return inner, err
	}
	s := &faultySampler{Sampler: inner, fault: f, spec: spec, state: spin.NewBatch(n.Units(), spec.Chains)}
	s.colors, _ = backend.Coloring(&n, spec.Colors)
	s.betas, _ = backend.Betas(spec.Temperatures, spec.Chains)
	s.ptr, s.col, s.w = n.Neighbors()
	s.sum.Reset(&n, spec.Moments)
	s.sweep = spec.FirstSweep
	for l, first := range n.StreamUnits() {
		for i := range n.Layers[l] {
			s.stream = append(s.stream, first+uint32(i))
		}
	}
	return s, inner.State(s.state)
}

// faultySampler samples by itself; the sampler inside it is only closed.
type faultySampler struct {
	backend.Sampler
	fault  faulty
	spec   backend.SamplerSpec
	colors [][]int32
	betas  []uint64
	ptr    []int
	col, w []int32
	stream []uint32
	state  *spin.Batch
	sweep  uint64
	sum    backend.Moments
}

func (s *faultySampler) Sweep(_ context.Context, n int) error {
	key := philox.NewKey(s.spec.Seed)
	net := s.spec.Network
	for t := 1; t <= n; t++ {
		for _, class := range s.colors {
			for _, u := range class {
				if s.spec.Clamped != nil && s.spec.Clamped[u] {
					continue
				}
				unit, sweep := s.stream[u], s.sweep
				if s.fault.draw != nil {
					unit, sweep = s.fault.draw(unit, sweep)
				}
				for c := range s.spec.Chains {
					a := net.Bias[u]
					for k := s.ptr[u]; k < s.ptr[u+1]; k++ {
						a += s.w[k] * int32(s.state.Spin(int(s.col[k]), c))
					}
					draw := philox.Draw(key, s.spec.Stream, s.spec.FirstChain+uint32(c), unit, sweep)
					s.state.Set(int(u), c, spin.Up(a, s.betas[c%len(s.betas)], net.Frac, draw))
				}
			}
		}
		if s.fault.lanes {
			last := len(net.Layers) - 1
			for u := net.First(last); u < net.Units(); u++ {
				for w, x := range s.state.Row(u) {
					d := (x>>3 ^ x>>5) & 1
					s.state.Row(u)[w] = x ^ d<<3 ^ d<<5
				}
			}
		}
		s.sweep++
		if t%max(s.spec.Moments.Every, 1) == 0 && s.spec.Moments.Any() {
			s.count()
		}
	}
	return nil
}

func (s *faultySampler) count() {
	units := s.state.Units
	s.sum.Samples += int64(s.state.Chains)
	for u := range units {
		for c := range s.state.Chains {
			s.sum.Means[u] += int64(s.state.Spin(u, c))
			for v := range units {
				s.sum.Pairs[u*units+v] += int64(s.state.Spin(u, c) * s.state.Spin(v, c))
			}
		}
	}
	if s.fault.moment {
		s.sum.Pairs[1]++
	}
}

func (s *faultySampler) State(dst *spin.Batch) error {
	dst.CopyFrom(s.state)
	return nil
}

func (s *faultySampler) SetState(src *spin.Batch) error {
	s.state.CopyFrom(src)
	return nil
}

func (s *faultySampler) Moments(dst *backend.Moments) error {
	s.sum.CopyTo(dst)
	return nil
}

func (s *faultySampler) ResetMoments() error {
	s.sum.Reset(s.spec.Network, s.spec.Moments)
	return nil
}
