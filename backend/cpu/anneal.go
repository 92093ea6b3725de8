package cpu

import (
	"context"
	"fmt"

	"kadanoff/backend"
	"kadanoff/kernels/gibbs"
	"kadanoff/spin"
)

// limbBits splits a bias into limbs whose sums over the visible units stay
// within the int32 fields of the kernels.
const limbBits = 12

// annealing is what Anneal works with besides the chains.
type annealing struct {
	s     *sampler
	limbs *gibbs.Weights // visible to the high and low limbs of b and of the base
	base  []int32        // of the hidden units
	unit  float64
	d     []float64
	rest  [2][]float64 // what base contributes to the fields before a step of the path and after it
}

// Anneal implements backend.Annealer: one product for both free energies and
// the hidden units, one for the visible.
func (s *sampler) Anneal(ctx context.Context, bias []int32, way []uint32, weights, spread []float64) (bool, error) {
	if err := s.usable(); err != nil {
		return false, err
	}
	n := s.shape
	if len(n.Layers) != 2 || len(n.Blocks) != 1 || n.Blocks[0].Sparse() || s.base == nil || len(s.clamped) > 0 || s.rule.Betas != nil || s.rule.Beta != 1<<spin.XBits ||
		s.spec.Any() || len(s.steps) != 2 || len(s.steps[0]) != 1 || s.steps[0][0].layer != 1 || s.steps[0][0].weights == nil ||
		len(s.steps[1]) != 1 || s.steps[1][0].weights == nil {
		return false, nil
	}
	if len(bias) != n.Units() {
		return false, fmt.Errorf("%d biases for %d units", len(bias), n.Units())
	}
	if len(weights) != s.chains || spread != nil && len(spread) != len(way)-1 {
		return false, fmt.Errorf("%d weights and %d variances for %d chains and %d points", len(weights), len(spread), s.chains, len(way))
	}
	for _, m := range way {
		if m > backend.MixOne {
			return false, fmt.Errorf("interpolation at %d, want at most 2²⁴", m)
		}
	}
	a := s.newAnnealing(bias)
	if a == nil {
		return false, nil
	}
	baseFields(a.rest[1], a.base, way[0])
	for k := 0; k+1 < len(way); k++ {
		a.rest[0], a.rest[1] = a.rest[1], a.rest[0]
		baseFields(a.rest[1], a.base, way[k+1])
		last := k+2 == len(way)
		if s.looked++; s.looked >= lookSweeps {
			s.look(s.looked)
			s.looked = 0
		}
		if err := a.hidden(ctx, way[k], way[k+1], last, weights); err != nil {
			return true, err
		}
		if spread != nil {
			spread[k] = backend.Spread(a.d)
		}
		if last {
			break
		}
		s.rule.Mix.M = way[k+1]
		if err := a.visible(ctx); err != nil {
			return true, err
		}
		s.sweep++
	}
	return true, nil
}

// newAnnealing returns nil where limbs do not fit.
func (s *sampler) newAnnealing(bias []int32) *annealing {
	visible := s.shape.Layers[0]
	a := &annealing{
		s: s, base: s.base[s.first[1]:], unit: 1 / float64(int64(1)<<s.rule.Frac),
		d: make([]float64, s.chains),
	}
	for p := range a.rest {
		a.rest[p] = make([]float64, s.shape.Layers[1])
	}
	limbs, total := make([]int32, 4*visible), int64(0)
	for i := range visible {
		for k, x := range []int32{bias[i], s.base[i]} {
			high, low := x>>limbBits, x&(1<<limbBits-1)
			limbs[4*i+2*k], limbs[4*i+2*k+1] = high, low
			total += max(int64(high), -int64(high)) + int64(low)
		}
	}
	if total >= 1<<31 {
		return nil
	}
	a.limbs = s.b.gibbs.NewWeights(visible, 4)
	s.b.gibbs.Pack(a.limbs, nil, []gibbs.Block{{Src: limbs, Stride: 4, In: visible}}, 0, 4)
	if s.jobFields == nil {
		s.jobFields = make([][]int32, s.b.team.size)
	}
	return a
}

// hidden adds F at m less F at next to the weights and, unless it is the last
// time, draws the hidden units at next.
func (a *annealing) hidden(ctx context.Context, m, next uint32, last bool, weights []float64) error {
	s := a.s
	st := &s.steps[0][0]
	kernel, packed := st.form(s.b)
	units := s.shape.Layers[1]
	// Few chains on many threads: single words.
	size := jobWords
	if s.words < 2*s.b.team.size*jobWords {
		size = max(1, (s.words+s.b.team.size-1)/s.b.team.size)
		size = min(size, jobWords)
	}
	return s.b.each(ctx, (s.words+size-1)/size, func(member, item int) {
		mem := s.b.members[member]
		w0 := item * size
		w1 := min(s.words, w0+size)
		c0, c1 := 64*w0, min(s.chains, 64*w1)
		fields := s.fieldsOf(member, units+4)
		x := &mem.step
		*x = gibbs.Step{Rule: s.rule, Weights: packed, Unit1: units, Word1: w1 - w0}
		x.Sweep, x.Chains, x.Chain0 = s.sweep, c1-c0, s.rule.Chain0+uint32(c0)
		x.Unit = uint32(s.first[1])
		x.Mix = gibbs.Mix{On: true, M: next, Base: a.base}
		in, out := st.in[0], s.layer(1)
		in.Bits, out.Bits = in.Bits[w0:], out.Bits[w0:]
		x.In, x.Out = []gibbs.Rows{in}, out
		if last {
			x.Mix = gibbs.Mix{}
			kernel.Fields(fields, fieldStride, x, mem.scratch)
		} else {
			kernel.StepFields(fields, fieldStride, x, mem.scratch)
		}
		x.Weights, x.Unit1, x.Mix = a.limbs, 4, gibbs.Mix{}
		limbs := fields[units*fieldStride:]
		s.b.gibbs.Fields(limbs, fieldStride, x, mem.scratch)
		var given, base [jobChains]int64
		for c := range c1 - c0 {
			given[c] = int64(limbs[c])<<limbBits + int64(limbs[fieldStride+c])
			base[c] = int64(limbs[2*fieldStride+c])<<limbBits + int64(limbs[3*fieldStride+c])
		}
		var before, after [jobChains]float64
		f, g := before[:c1-c0], after[:c1-c0]
		s.b.freeEnergies(f, fields, a.rest[0], given[:], base[:], m, a.unit)
		s.b.freeEnergies(g, fields, a.rest[1], given[:], base[:], next, a.unit)
		for c := range f {
			d := f[c] - g[c]
			a.d[c0+c] = d
			weights[c0+c] += d
		}
	})
}

// visible draws the visible units at the point that hidden went to.
func (a *annealing) visible(ctx context.Context) error {
	s := a.s
	st := &s.steps[1][0]
	kernel, packed := st.form(s.b)
	epoch := s.b.team.epoch()
	return s.b.each(ctx, len(st.items), func(member, item int) {
		mem, it := s.b.members[member], st.items[item]
		x := &mem.step
		*x = gibbs.Step{
			Rule: s.rule, Weights: packed, In: st.in, Out: s.layer(0), Epoch: epoch,
			Unit0: it.unit0, Unit1: it.unit1, Word0: it.word0, Word1: it.word1,
		}
		x.Sweep, x.Unit, x.Mix.Base = s.sweep, uint32(s.first[0]), s.base[s.first[0]:]
		kernel.Step(x, mem.scratch)
	})
}
