package cpu

import (
	"context"
	"errors"
	"fmt"

	"kadanoff/backend"
	"kadanoff/kernels/gibbs"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// sampler keeps chains as bit rows in which each layer starts at a multiple of
// eight rows, so that a row's number is its unit's number in the random
// streams.
type sampler struct {
	b      *Backend
	shape  *spin.Network // without weights
	chains int
	words  int
	rows   gibbs.Rows
	row    []int32 // row of each unit

	first   []int // first row of each layer
	rule    gibbs.Rule
	base    []int32 // by row; nil for none
	steps   [][]step
	clamped []int32 // rows
	sweep   uint64
	saved   []uint64 // rows before the sweep in progress, of the items done in it; of clamped rows always

	// CSR couplings by row, for colours that are not whole dense layers.
	csr struct {
		ptr  []int
		col  []int32
		w    []int32
		bias []int32
	}

	jobFields [][]int32 // of Anneal and Energies, for each member
	bias      []int32   // of the visible units of an RBM

	spec    backend.MomentSpec
	sums    backend.Moments
	pending pending

	call struct { // the Sweep call in progress
		ctx   context.Context
		n     int
		sweep uint64 // number of the first sweep
		done  int    // whole sweeps, known while another is under way
	}
	looked int // sweeps since it looked at its chains
	closed bool
	broken error // a network was left half loaded
}

// step updates one colour, or the part of it that lies in one dense layer.
type step struct {
	// A dense layer, when weights is not nil.
	layer   int
	weights *gibbs.Weights
	others  []otherForm
	other   *otherForm // the one that is used, or nil
	in      []gibbs.Rows
	blocks  []int // the network's blocks behind weights, in the order of in
	// Any units, by row, otherwise.
	list []int32

	own sharing // of weights, or of the list
	*sharing
}

// sharing cuts a step into items.
type sharing struct {
	items  []item
	bounds []int // where each member's part of the items ends
}

// otherForm is a form of a step's weights that takes less time than tables of
// five inputs at times.
type otherForm struct {
	kernel  *gibbs.Kernel
	weights *gibbs.Weights // nil before it has paid
	sharing sharing
	gain    float64 // cycles that it would save in a half step
	saved   float64 // cycles that it would have saved since it began to pay
}

// form returns the kernel and the weights that a step uses now.
func (st *step) form(b *Backend) (*gibbs.Kernel, *gibbs.Weights) {
	if st.other != nil {
		return st.other.kernel, st.other.weights
	}
	return b.gibbs, st.weights
}

// reset returns to the weights themselves, which have changed.
func (st *step) reset(b *Backend) {
	st.other, st.others, st.sharing = nil, st.others[:0], &st.own
	for _, k := range []*gibbs.Kernel{b.gibbs.Few(), b.gibbs.Still()} {
		if k != nil {
			st.others = append(st.others, otherForm{kernel: k})
		}
	}
}

const (
	lookSweeps = 16      // after how many sweeps a sampler counts the inputs that are up
	maxOther   = 1 << 20 // weights that are kept in several forms, at most
)

// look chooses the form of every step's weights for the next sweeps: one for
// few inputs that are up, one for few chains and weights that stay. Each is made
// once it would have saved what making it takes.
func (s *sampler) look(sweeps int) {
	for _, steps := range s.steps {
		for k := range steps {
			st := &steps[k]
			if st.weights == nil || st.weights.In()*st.weights.Out() > maxOther {
				continue
			}
			in, out, words := st.weights.In(), st.weights.Out(), min(s.words, itemWords)
			st.other, st.sharing = nil, &st.own
			for i := range st.others {
				f := &st.others[i]
				f.gain = 0
				if f.kernel == s.b.gibbs.Few() {
					for _, rows := range st.in {
						f.gain += gibbs.FewGain(out, gibbs.Chains{Rows: rows, Word1: words})
					}
				} else {
					f.gain = gibbs.StillGain(in, out, words)
				}
				f.saved = max(0, f.saved+f.gain*float64(sweeps)*float64(s.words)/float64(words))
				if f.weights == nil && f.saved > gibbs.ConvertCycles(in, out) {
					f.weights = f.kernel.Convert(st.weights)
					f.sharing = s.share(st.layer, f.kernel)
				}
				if f.weights != nil && f.gain > 0 && (st.other == nil || f.gain > st.other.gain) {
					st.other, st.sharing = f, &f.sharing
				}
			}
		}
	}
}

// item is what one member of the team claims: units and words of a step.
type item struct {
	unit0, unit1 int // of the layer, or places in the list
	word0, word1 int
	clamped      []int32 // rows among them that are to stay
	sweep        uint64  // whose old state is in saved, plus 1
}

// NewSampler starts chains on the CPU.
func (b *Backend) NewSampler(spec backend.SamplerSpec) (backend.Sampler, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	n := spec.Network
	s := &sampler{
		b: b, chains: spec.Chains, words: (spec.Chains + 63) / 64,
		sweep: spec.FirstSweep, spec: spec.Moments,
	}
	total := 0
	for l, first := range n.StreamUnits() {
		s.first = append(s.first, int(first))
		for i := range n.Layers[l] {
			s.row = append(s.row, int32(first)+int32(i))
		}
		total = int(first) + (n.Layers[l]+7)&^7
	}
	s.rows = gibbs.Rows{Bits: make([]uint64, total*s.words), Stride: s.words, N: total}
	s.saved = make([]uint64, len(s.rows.Bits))
	for u, c := range spec.Clamped {
		if c {
			s.clamped = append(s.clamped, s.row[u])
		}
	}
	s.rule = gibbs.Rule{
		Chains: spec.Chains, Chain0: spec.FirstChain,
		Key: philox.NewKey(spec.Seed), Stream: spec.Stream,
	}
	if spec.Base != nil {
		s.base = make([]int32, total)
		for u, x := range spec.Base {
			s.base[s.row[u]] = x
		}
		s.rule.Mix = gibbs.Mix{On: true, M: spec.Mix}
	}
	if err := s.SetTemperatures(spec.Temperatures); err != nil {
		return nil, err
	}
	colors, err := backend.ColoringContext(backend.Ending(spec.Context), n, spec.Colors)
	if err != nil {
		return nil, err
	}
	ctx := backend.Ending(spec.Context)
	s.shape = n.Shape()
	s.plan(n, colors)
	if err := s.load(ctx, n); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	copy(s.saved, s.rows.Bits)
	s.sums.Reset(n, s.spec)
	s.pending.reset(s)
	return s, nil
}

// plan makes the steps of each colour: whole dense layers where a colour
// consists of such, a list of units otherwise.
func (s *sampler) plan(n *spin.Network, colors [][]int32) {
	dense := make([]bool, len(n.Layers)) // heard only through dense blocks from other layers
	heard := make([][]int, len(n.Layers))
	for l := range dense {
		dense[l] = true
	}
	for k := range n.Blocks {
		b := &n.Blocks[k]
		ok := b.A != b.B && !b.Sparse()
		dense[b.A] = dense[b.A] && ok
		dense[b.B] = dense[b.B] && ok
		heard[b.A] = append(heard[b.A], k)
		heard[b.B] = append(heard[b.B], k)
	}
	layerOf := make([]int, 0, len(s.row))
	for l, size := range n.Layers {
		for range size {
			layerOf = append(layerOf, l)
		}
	}
	clamped := make(map[int32]bool, len(s.clamped))
	for _, r := range s.clamped {
		clamped[r] = true
	}
	s.steps = make([][]step, 0, len(colors))
	for _, class := range colors {
		var steps []step
		var list []int32
		for len(class) > 0 {
			l := layerOf[class[0]]
			size := 1
			for size < len(class) && layerOf[class[size]] == l {
				size++
			}
			free := 0
			for _, u := range class[:size] {
				if !clamped[s.row[u]] {
					free++
				}
			}
			switch {
			case free == 0:
			case size == n.Layers[l] && dense[l] && len(heard[l]) > 0:
				steps = append(steps, s.denseStep(n, l, heard[l]))
			default:
				for _, u := range class[:size] {
					if !clamped[s.row[u]] {
						list = append(list, s.row[u])
					}
				}
			}
			class = class[size:]
		}
		if len(list) > 0 {
			st := step{list: list}
			st.own.items, st.own.bounds = shareItems(len(list), 64, s.words, s.b.team.size, false, 0)
			steps = append(steps, st)
		}
		for k := range steps {
			steps[k].sharing = &steps[k].own
		}
		s.steps = append(s.steps, steps)
	}
}

// rbm reports whether the sampler has the weights of an RBM, hidden units first.
func (s *sampler) rbm() bool {
	n := s.shape
	return len(n.Layers) == 2 && len(n.Blocks) == 1 && !n.Blocks[0].Sparse() &&
		len(s.steps) > 0 && len(s.steps[0]) == 1 && s.steps[0][0].layer == 1 && s.steps[0][0].weights != nil
}

// fieldsOf returns a member's memory for the fields of a number of units.
func (s *sampler) fieldsOf(member, units int) []int32 {
	if len(s.jobFields[member]) < units*fieldStride {
		s.jobFields[member] = make([]int32, units*fieldStride)
	}
	return s.jobFields[member]
}

func (s *sampler) denseStep(n *spin.Network, layer int, heard []int) step {
	st := step{layer: layer, blocks: heard, own: s.share(layer, s.b.gibbs)}
	in := 0
	for _, k := range heard {
		from := n.Blocks[k].A + n.Blocks[k].B - layer
		size := n.Layers[from]
		st.in = append(st.in, gibbs.Rows{Bits: s.rows.Bits[s.first[from]*s.words:], Stride: s.words, N: size})
		in += size
	}
	st.weights = s.b.gibbs.NewWeights(in, n.Layers[layer])
	return st
}

// share cuts a half step of a whole layer into items for a kernel.
func (s *sampler) share(layer int, k *gibbs.Kernel) (x sharing) {
	x.items, x.bounds = shareItems(s.shape.Layers[layer], k.Block(), s.words, s.b.team.size, false, 0)
	first := int32(s.first[layer])
	for i := range x.items {
		it := &x.items[i]
		for _, r := range s.clamped {
			if r >= first+int32(it.unit0) && r < first+int32(it.unit1) {
				it.clamped = append(it.clamped, r)
			}
		}
	}
	return x
}

// load packs the weights of n for every step.
func (s *sampler) load(ctx context.Context, n *spin.Network) error {
	s.shape.Frac, s.rule.Frac = n.Frac, n.Frac
	if s.rbm() {
		s.bias = append(s.bias[:0], n.Bias[:n.Layers[0]]...)
	}
	lists := false
	for _, steps := range s.steps {
		for i := range steps {
			st := &steps[i]
			if st.weights == nil {
				lists = true
				continue
			}
			var blocks []gibbs.Block
			for _, k := range st.blocks {
				b := &n.Blocks[k]
				blocks = append(blocks, gibbs.Block{
					Src: b.W, Stride: n.Layers[b.B], Transposed: b.A == st.layer,
					In: n.Layers[b.A+b.B-st.layer],
				})
			}
			f := n.First(st.layer)
			st.reset(s.b)
			if err := s.b.pack(ctx, st.weights, n.Bias[f:f+n.Layers[st.layer]], blocks); err != nil {
				return err
			}
		}
	}
	if !lists {
		return nil
	}
	ptr, col, w, err := n.NeighborsContext(ctx)
	if err != nil {
		return err
	}
	s.csr.bias = make([]int32, s.rows.N)
	s.csr.ptr = make([]int, s.rows.N+1)
	s.csr.col, s.csr.w = col, w
	for i, u := range col {
		col[i] = s.row[u]
	}
	at := 0
	for u, r := range s.row {
		for ; at <= int(r); at++ {
			s.csr.ptr[at] = ptr[u]
		}
		s.csr.bias[r] = n.Bias[u]
	}
	for ; at < len(s.csr.ptr); at++ {
		s.csr.ptr[at] = len(col)
	}
	return nil
}

// start tosses a fair coin for every spin.
func (s *sampler) start(ctx context.Context) error {
	for l, first := range s.first {
		err := s.b.toss(ctx, coins{
			rows: s.layer(l), first: uint32(first), key: s.rule.Key, chain0: s.rule.Chain0, to: s.chains, sweep: s.sweep,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Sweep advances the chains. A call that is stopped puts back the state before
// the sweep it was in.
func (s *sampler) Sweep(ctx context.Context, n int) error {
	if err := s.usable(); err != nil {
		return err
	}
	if n < 0 {
		return errors.New("negative number of sweeps")
	}
	if err := ctx.Err(); err != nil || n == 0 {
		return err
	}
	// Pieces of whole intervals of moments, between which it looks at its chains.
	every := max(s.spec.Every, 1)
	for n > 0 {
		piece := min(n, (lookSweeps+every-1)/every*every)
		if s.looked += piece; s.looked >= lookSweeps {
			s.look(s.looked)
			s.looked = 0
		}
		if err := s.sweepPiece(ctx, piece); err != nil {
			return err
		}
		n -= piece
	}
	return nil
}

// sweepPiece is Sweep of a few sweeps.
func (s *sampler) sweepPiece(ctx context.Context, n int) error {
	s.call.ctx, s.call.n, s.call.sweep, s.call.done = ctx, n, s.sweep, 0
	stopped := s.b.team.run(s)
	s.call.ctx = nil
	if stopped {
		s.sweep += uint64(s.call.done)
		s.undo()
		return ctx.Err()
	}
	s.sweep += uint64(n)
	return nil
}

// work is one member's part of a Sweep call. A step is over when all members
// have met, or have left the call.
func (s *sampler) work(t *team, member int) {
	every := max(s.spec.Every, 1)
	for i := range s.call.n {
		if member == 0 {
			s.call.done = i
		}
		sum := (i+1)%every == 0 && s.spec.Any()
		for c, steps := range s.steps {
			for k := range steps {
				s.update(t, member, &steps[k], s.call.sweep+uint64(i))
				last := c == len(s.steps)-1 && k == len(steps)-1 && i == s.call.n-1
				if (!last || sum) && t.barrier() {
					return
				}
			}
		}
		if sum {
			s.pending.add(s, t, member)
			t.barrier()
			if member == 0 {
				s.pending.added(s)
			}
		}
	}
}

// update does this member's items of a step.
func (s *sampler) update(t *team, member int, st *step, sweep uint64) {
	m := s.b.members[member]
	var kernel *gibbs.Kernel
	var weights *gibbs.Weights
	if st.weights == nil {
		m.list = gibbs.ListStep{
			Rule: s.rule, RowPtr: s.csr.ptr, Col: s.csr.col, W: s.csr.w, Bias: s.csr.bias, State: s.rows,
		}
		m.list.Sweep, m.list.Mix.Base = sweep, s.base
	} else {
		first := s.first[st.layer]
		kernel, weights = st.form(s.b)
		m.step = gibbs.Step{Rule: s.rule, Weights: weights, In: st.in, Out: s.layer(st.layer), Epoch: t.epoch()}
		m.step.Sweep, m.step.Unit = sweep, uint32(first)
		if s.base != nil {
			m.step.Mix.Base = s.base[first:]
		}
	}
	for i := t.claimFrom(member, st.bounds); i < len(st.items); i = t.claimFrom(member, st.bounds) {
		if s.call.ctx.Err() != nil {
			t.stop()
			return
		}
		it := &st.items[i]
		s.eachRow(st, it, func(now, before []uint64) { copy(before, now) })
		it.sweep = sweep + 1
		if st.weights == nil {
			m.list.Units = st.list[it.unit0:it.unit1]
			m.list.Word0, m.list.Word1 = it.word0, it.word1
			s.b.gibbs.List(&m.list, m.scratch)
			continue
		}
		m.step.Unit0, m.step.Unit1, m.step.Word0, m.step.Word1 = it.unit0, it.unit1, it.word0, it.word1
		kernel.Step(&m.step, m.scratch)
		for _, r := range it.clamped {
			copy(s.rows.Row(int(r))[it.word0:it.word1], s.saved[int(r)*s.words+it.word0:])
		}
	}
}

// eachRow calls do for the words of every row of an item, and for what is saved
// of them.
func (s *sampler) eachRow(st *step, it *item, do func(now, before []uint64)) {
	for u := it.unit0; u < it.unit1; u++ {
		r := 0
		if st.weights == nil {
			r = int(st.list[u])
		} else {
			r = s.first[st.layer] + u
		}
		do(s.rows.Row(r)[it.word0:it.word1], s.saved[r*s.words+it.word0:r*s.words+it.word1])
	}
}

// undo puts back the state before the sweep that was left unfinished.
func (s *sampler) undo() {
	for _, steps := range s.steps {
		for k := range steps {
			for i := range steps[k].items {
				if it := &steps[k].items[i]; it.sweep == s.sweep+1 {
					s.eachRow(&steps[k], it, func(now, before []uint64) { copy(now, before) })
					it.sweep = 0
				}
			}
		}
	}
}

func (s *sampler) Sweeps() uint64 { return s.sweep }

func (s *sampler) State(dst *spin.Batch) error {
	if err := backend.CheckStates(dst, len(s.row), s.chains); err != nil {
		return err
	}
	for u, r := range s.row {
		copy(dst.Row(u), s.rows.Row(int(r)))
	}
	return nil
}

func (s *sampler) SetState(src *spin.Batch) error {
	if err := backend.CheckStates(src, len(s.row), s.chains); err != nil {
		return err
	}
	for u, r := range s.row {
		copy(s.rows.Row(int(r))[:s.words], src.Row(u))
	}
	copy(s.saved, s.rows.Bits)
	return nil
}

func (s *sampler) SetNetwork(n *spin.Network) error {
	return s.SetNetworkContext(context.Background(), n)
}

func (s *sampler) SetNetworkContext(ctx context.Context, n *spin.Network) error {
	if err := backend.CheckSameShapeContext(ctx, s.shape, n); err != nil {
		return err
	}
	s.broken = nil
	if err := s.load(ctx, n); err != nil {
		s.broken = fmt.Errorf("a network was left half loaded: %w", err)
		return err
	}
	return nil
}

// usable reports why the sampler cannot go on.
func (s *sampler) usable() error {
	if s.closed {
		return errClosed("sampler")
	}
	return s.broken
}

func (s *sampler) SetTemperatures(t []float64) error {
	betas, err := backend.Betas(t, s.chains)
	if err != nil {
		return err
	}
	s.rule.Beta, s.rule.Betas = betas[0], nil
	if len(betas) > 1 {
		s.rule.Betas = betas
	}
	return nil
}

func (s *sampler) SetMix(mix uint32) error {
	if s.base == nil && mix != 0 {
		return errors.New("interpolation without a second bias vector")
	}
	if mix > backend.MixOne {
		return errors.New("interpolation beyond 2²⁴")
	}
	s.rule.Mix.M = mix
	return nil
}

func (s *sampler) Close() error {
	s.closed = true
	return nil
}

// Energies implements backend.EnergyMeter.
func (s *sampler) Energies(ctx context.Context, dst []int64) (bool, error) {
	if err := s.usable(); err != nil {
		return false, err
	}
	if len(dst) > s.chains {
		return false, fmt.Errorf("energies of %d chains, there are %d", len(dst), s.chains)
	}
	if !s.rbm() {
		return false, nil
	}
	if s.jobFields == nil {
		s.jobFields = make([][]int32, s.b.team.size)
	}
	st := &s.steps[0][0]
	kernel, weights := st.form(s.b)
	units, words := s.shape.Layers[1], (len(dst)+63)/64
	visible, hidden := s.layer(0), s.layer(1)
	return true, s.b.each(ctx, (words+jobWords-1)/jobWords, func(member, item int) {
		m := s.b.members[member]
		w0 := item * jobWords
		w1 := min(words, w0+jobWords)
		e := dst[64*w0 : min(len(dst), 64*w1)]
		fields := s.fieldsOf(member, units)
		in := st.in[0]
		in.Bits = in.Bits[w0:]
		x := &m.step
		*x = gibbs.Step{
			Rule: gibbs.Rule{Frac: s.rule.Frac, Chains: len(e)}, Weights: weights, In: []gibbs.Rows{in},
			Unit1: units, Word1: w1 - w0,
		}
		kernel.Fields(fields, fieldStride, x, m.scratch)
		clear(e)
		for i, b := range s.bias {
			addSigned(e, visible.Row(i)[w0:], nil, -int64(b))
		}
		subtractFields(e, fields, hidden, w0)
	})
}

// subtractFields takes Σ_a h_a·field_a of the chains from word w0 on, fields
// being [units][fieldStride], from energies.
func subtractFields(e []int64, fields []int32, h gibbs.Rows, w0 int) {
	for a := range h.N {
		up := h.Row(a)[w0:]
		for c, x := range fields[a*fieldStride:][:len(e)] {
			sign := int64(up[c>>6]>>(c&63)&1) - 1
			e[c] -= (int64(x) ^ sign) - sign
		}
	}
}
