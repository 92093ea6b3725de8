package cpu

import (
	"context"
	"math"

	"kadanoff/backend"
	"kadanoff/kernels/gibbs"
	"kadanoff/spin"
)

// loop is a body whose items do not depend on each other.
type loop struct {
	ctx    context.Context
	n      int
	bounds []int // where each member's part of the items ends; nil for even parts
	do     func(member, item int)
}

func (l *loop) next(t *team, member int) int {
	if l.bounds != nil {
		return t.claimFrom(member, l.bounds)
	}
	return t.claim(member, l.n)
}

func (l *loop) work(t *team, member int) {
	for i := l.next(t, member); i < l.n; i = l.next(t, member) {
		if l.ctx.Err() != nil {
			t.stop()
			return
		}
		l.do(member, i)
	}
}

// each calls do for items 0 … n−1, spread over the team, until ctx ends.
func (b *Backend) each(ctx context.Context, n int, do func(member, item int)) error {
	return b.eachOf(ctx, n, nil, do)
}

// eachOf is each for items whose parts end at bounds, or even ones for nil.
func (b *Backend) eachOf(ctx context.Context, n int, bounds []int, do func(member, item int)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.team.run(&loop{ctx, n, bounds, do}) {
		return ctx.Err()
	}
	return nil
}

// An item of a job takes jobWords words of 64 chains.
const (
	jobWords  = 4
	jobChains = 64 * jobWords
)

func words(b *spin.Batch) int { return (b.Words + jobWords - 1) / jobWords }

// Energy computes exact energies. An RBM's come from its hidden fields,
// E = −b·v − Σ_a h_a (c_a + Σ_i W_ia v_i), any other network's pair by pair.
func (b *Backend) Energy(ctx context.Context, job backend.EnergyJob, dst []int64) error {
	if err := job.CheckContext(ctx, dst); err != nil {
		return err
	}
	if backend.IsRBM(job.Network) {
		return b.energyRBM(ctx, job, dst)
	}
	n, s := job.Network, job.States
	return b.each(ctx, words(s), func(_, item int) {
		c0, c1 := item*jobWords*64, min(s.Chains, (item+1)*jobWords*64)
		e := dst[c0:c1]
		clear(e)
		for u, bias := range n.Bias {
			addSigned(e, s.Row(u)[c0/64:], nil, -int64(bias))
		}
		for k := range n.Blocks {
			blk := &n.Blocks[k]
			fa, fb := n.First(blk.A), n.First(blk.B)
			blk.Each(n.Layers[blk.B], func(i, j int, w int32) {
				if w != 0 && (blk.A != blk.B || i < j) {
					addSigned(e, s.Row(fa + i)[c0/64:], s.Row(fb + j)[c0/64:], -int64(w))
				}
			})
		}
	})
}

// addSigned adds x·s to the chains of e, where s is a row's spin, times that of
// another row if there is one.
func addSigned(e []int64, a, b []uint64, x int64) {
	for w := 0; w*64 < len(e); w++ {
		up := a[w]
		if b != nil {
			up = ^(up ^ b[w])
		}
		part := e[w*64 : min(len(e), w*64+64)]
		for c := range part {
			sign := int64(up>>c&1) - 1 // 0 for +1, −1 for −1
			part[c] += (x ^ sign) - sign
		}
	}
}

// fields are the fields of one layer of an RBM given the other.
type fields struct {
	b     *Backend
	step  gibbs.Step
	units int
	buf   [][]int32 // for each member: [units][jobWords·64]
}

// pack packs weights on the whole team.
func (b *Backend) pack(ctx context.Context, w *gibbs.Weights, bias []int32, blocks []gibbs.Block) error {
	const size = 2 * gibbs.UnitBlock
	return b.each(ctx, (w.Out()+size-1)/size, func(_, i int) {
		b.gibbs.Pack(w, bias, blocks, i*size, min(w.Out(), (i+1)*size))
	})
}

func (b *Backend) newFields(ctx context.Context, n *spin.Network, layer int, given *spin.Batch) (*fields, error) {
	f := &fields{b: b, units: n.Layers[layer], buf: make([][]int32, b.team.size)}
	in := n.Layers[1-layer]
	f.step = gibbs.Step{
		Weights: b.gibbs.NewWeights(in, f.units),
		In:      []gibbs.Rows{{Bits: given.Bits, Stride: given.Words, N: in}},
		Rule:    gibbs.Rule{Frac: n.Frac, Chains: given.Chains},
		Unit1:   f.units,
	}
	first := n.First(layer)
	return f, b.pack(ctx, f.step.Weights, n.Bias[first:first+f.units],
		[]gibbs.Block{{Src: n.Blocks[0].W, Stride: n.Layers[1], Transposed: layer == 0, In: in}})
}

// fieldStride is the distance between the rows of fields.of. A power of two
// would crowd a few sets of the caches.
const fieldStride = jobChains + 16

// of returns the fields of an item's chains, [units][fieldStride].
func (f *fields) of(member, item int) []int32 {
	if f.buf[member] == nil {
		f.buf[member] = make([]int32, f.units*fieldStride)
	}
	s := f.step
	w0 := item * jobWords
	w1 := min(w0+jobWords, (s.Chains+63)/64)
	in := s.In[0]
	if in.N > 0 {
		in.Bits = in.Bits[w0:]
	}
	// The chunk becomes the whole batch, so that rows start at the buffer's.
	s.In = []gibbs.Rows{in}
	s.Chains -= w0 * 64
	s.Chains = min(s.Chains, (w1-w0)*64)
	s.Word1 = w1 - w0
	f.b.gibbs.Fields(f.buf[member], fieldStride, &s, f.b.members[member].scratch)
	return f.buf[member]
}

func (b *Backend) energyRBM(ctx context.Context, job backend.EnergyJob, dst []int64) error {
	n, s := job.Network, job.States
	visible := n.Layers[0]
	f, err := b.newFields(ctx, n, 1, s.Rows(0, visible))
	if err != nil {
		return err
	}
	return b.each(ctx, words(s), func(member, item int) {
		a := f.of(member, item)
		c0, c1 := item*jobChains, min(s.Chains, (item+1)*jobChains)
		e := dst[c0:c1]
		clear(e)
		for i := range visible {
			addSigned(e, s.Row(i)[c0/64:], nil, -int64(n.Bias[i]))
		}
		subtractFields(e, a, gibbs.Rows{Bits: s.Bits[visible*s.Words:], Stride: s.Words, N: f.units}, c0/64)
	})
}

// FreeEnergy computes F(v) = −Σ_i b_i v_i − Σ_a ln 2cosh(c_a + Σ_i W_ia v_i),
// chains in the lanes.
func (b *Backend) FreeEnergy(ctx context.Context, job backend.FreeEnergyJob, dst []float64) error {
	if err := job.CheckContext(ctx, dst); err != nil {
		return err
	}
	n, s := job.Network, job.States
	base, mix := job.Base, job.Mix
	if mix == nil {
		mix = []uint32{backend.MixOne}
	}
	if base == nil {
		base = make([]int32, n.Units())
	}
	f, err := b.newFields(ctx, n, job.Summed, s)
	if err != nil {
		return err
	}
	fs, fg := n.First(job.Summed), n.First(1-job.Summed)
	unit := math.Ldexp(1, -int(n.Frac))
	rest := make([][]float64, len(mix))
	for p, m := range mix {
		rest[p] = make([]float64, f.units)
		baseFields(rest[p], base[fs:], m)
	}
	return b.each(ctx, words(s), func(member, item int) {
		a := f.of(member, item)
		c0, c1 := item*jobChains, min(s.Chains, (item+1)*jobChains)
		var b1, b0 [jobChains]int64
		for i := range s.Units {
			addSigned(b1[:c1-c0], s.Row(i)[c0/64:], nil, int64(n.Bias[fg+i]))
			addSigned(b0[:c1-c0], s.Row(i)[c0/64:], nil, int64(base[fg+i]))
		}
		for p, m := range mix {
			out := dst[p*s.Chains+c0 : p*s.Chains+c1]
			b.freeEnergies(out, a, rest[p], b1[:], b0[:], m, unit)
		}
	})
}

// baseFields writes what the fields of base contribute at point m of the path.
func baseFields(dst []float64, base []int32, m uint32) {
	rest := 1 - math.Ldexp(float64(m), -24)
	for u := range dst {
		dst[u] = float64(base[u]) * rest
	}
}

// freeEnergies writes the free energies of chains at point m of the path:
// fields are [units][fieldStride] of the layer summed out and rest is what the
// base contributes to them, given the sums of biases and of base times spins of
// the other layer.
func (b *Backend) freeEnergies(out []float64, fields []int32, rest []float64, given, givenBase []int64, m uint32, unit float64) {
	at := math.Ldexp(float64(m), -24)
	b.elem.SumLnCosh2(out, fields, fieldStride, rest, at, unit)
	for c := range out {
		e := math.FMA(float64(given[c]), at, float64(float64(givenBase[c])*(1-at)))
		out[c] = -(float64(e*unit) + out[c])
	}
}

// lookWeights is how many weights a loop passes between two looks at its
// context.
const lookWeights = 1 << 20

// Means iterates h = tanh(c + Wᵀv), v = tanh(b + W h), every field one chain of
// fused multiply-adds in ascending order of the units heard.
func (b *Backend) Means(ctx context.Context, job backend.MeansJob) error {
	if err := job.CheckContext(ctx); err != nil {
		return err
	}
	n := job.Network
	visible, hidden := n.Layers[0], n.Layers[1]
	unit := math.Ldexp(1, -int(n.Frac))
	// Both orders of the weights, so that every field grows by whole rows.
	byVisible, byHidden := make([]float64, visible*hidden), make([]float64, visible*hidden)
	for k, x := range n.Blocks[0].W {
		if k%lookWeights == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		byVisible[k] = float64(x)
		byHidden[k%hidden*visible+k/hidden] = float64(x)
	}
	bias := make([]float64, n.Units())
	for u, x := range n.Bias {
		bias[u] = float64(x)
	}
	half := func(dst, bias, src, w []float64) {
		copy(dst, bias)
		for i, x := range src {
			if i%(lookWeights/len(dst)+1) == 0 && ctx.Err() != nil {
				return // the call ends before the next step
			}
			b.elem.Axpy(dst, w[i*len(dst):(i+1)*len(dst)], x)
		}
		b.elem.Tanh(dst, unit)
	}
	buf := make([][]float64, b.team.size)
	err := b.each(ctx, job.Chains, func(member, c int) {
		if buf[member] == nil {
			buf[member] = make([]float64, hidden)
		}
		v, h := job.Visible[c*visible:(c+1)*visible], buf[member]
		for range job.Steps {
			if ctx.Err() != nil {
				return
			}
			half(h, bias[visible:], v, byVisible)
			half(v, bias[:visible], h, byHidden)
		}
		if job.Hidden != nil {
			copy(job.Hidden[c*hidden:(c+1)*hidden], h)
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}
