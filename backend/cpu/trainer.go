package cpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"kadanoff/backend"
	"kadanoff/kernels/ascent"
	"kadanoff/kernels/gibbs"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

const (
	blockWords = gibbs.MaxMeanChains / 64 // words of a block of pair sums
	chunkWords = 4 * blockWords           // words whose means are kept at a time
	meanStride = 64*chunkWords + 16       // from one unit's means to the next's: a power of two would crowd a few sets of the caches
)

// The kernels sum as many chains at a time as the memory of a trainer counts on.
const _ = uint(gibbs.MaxMeanChains - backend.JointChains)

// trainer keeps the float32 masters, their fixed point, and that packed in both
// directions. Chains at temperature r lie in the words [r·words, (r+1)·words)
// of its rows, so that one number names a word in all of them.
type trainer struct {
	b      *Backend
	spec   backend.TrainerSpec
	v, h   int
	betas  []uint64
	stream []uint32 // stream number of each layer's first unit
	key    philox.Key

	step          uint64
	w, bias       []float32 // masters; bias is b and c
	velocity      []float32
	mu, lambda    []float64
	frac          uint
	offset        []int32       // bias in fixed point
	rest          []int32       // minus the sums of each unit's weights in fixed point
	kernel        *gibbs.Kernel // of up and down, one of forms
	up, down      *gibbs.Weights
	forms         [2]form
	words         int // words of the chains at one temperature
	visible       gibbs.Rows
	hidden        gibbs.Rows
	dataV, dataH  gibbs.Rows // the batch, and CD's hidden units
	chainV        gibbs.Rows // CD's visible units
	means         []int32    // [hidden][meanStride]
	joined        gibbs.Rows // what the pair sums take their signs from
	pairs         []int32    // pair sums of a block, and of all ones
	rows          int        // of data and chains joined
	rowOf         []int32    // the row of pairs with a visible unit's joint statistics
	exact         []float64  // their sums; integers. Of large batches only
	joint         bool       // pairs holds the statistics, rather than exact
	samples       int
	chains        int
	vData, vModel []int64
	hData, hModel []int64
	fewGain       float64 // cycles that forms[1] would have saved in the half steps of this one
	gathered      bool
	broken        error
	energies      [][]int64
	fields        [][]int32 // for each member, for energies
	plans         map[planKey]*plan
	ascent        updateState
}

// fewSteps is after how many steps a trainer counts again the inputs that are up.
const fewSteps = 8

// form is a kernel and what its weights are packed into. A trainer has one
// for any inputs and, where its level has one and it has paid at some step, one
// for inputs of which few are up.
type form struct {
	kernel   *gibbs.Kernel
	up, down *gibbs.Weights
}

// use takes the weights of a form, which are to be packed then.
func (t *trainer) use(f *form) {
	if f.up == nil {
		f.up, f.down = f.kernel.NewWeights(t.v, t.h), f.kernel.NewWeights(t.h, t.v)
	}
	t.kernel, t.up, t.down = f.kernel, f.up, f.down
}

// choose takes the form of weights in which the half steps just made would
// have taken less time.
func (t *trainer) choose() {
	if t.forms[1].kernel == nil || t.spec.Tied {
		return
	}
	t.use(&t.forms[0])
	if gibbs.FewPackGain(t.v, t.h)+t.fewGain > 0 {
		t.use(&t.forms[1])
	}
}

// NewTrainer starts training on the CPU.
func (b *Backend) NewTrainer(spec backend.TrainerSpec) (backend.Trainer, error) {
	ctx := backend.Ending(spec.Context)
	q, err := spec.Quantized()
	if err != nil {
		return nil, err
	}
	model := spec.Model
	// What is left to compare with: the masters below are the model.
	spec.Model, spec.Context = &spin.Net[float32]{Layers: append([]int(nil), model.Layers...)}, nil
	spec.Temperatures = append([]float64(nil), spec.Temperatures...)
	t := &trainer{
		b: b, spec: spec, v: model.Layers[0], h: model.Layers[1], betas: spec.TemperatureBetas(),
		stream: model.StreamUnits(), key: philox.NewKey(spec.Seed),
	}
	t.mu, t.lambda = make([]float64, t.v), make([]float64, t.h)
	t.frac, t.offset, t.rest = q.Frac, make([]int32, t.v+t.h), make([]int32, t.v+t.h)
	t.forms[0].kernel, t.forms[1].kernel = b.gibbs, b.gibbs.Few()
	t.use(&t.forms[0])
	t.means = make([]int32, t.h*meanStride)
	t.pairs = make([]int32, (t.v+4)*t.h)
	t.rowOf = make([]int32, t.v)
	t.joined = newRows(t.v+2, blockWords)
	t.vData, t.vModel = make([]int64, t.v), make([]int64, t.v)
	t.hData, t.hModel = make([]int64, t.h), make([]int64, t.h)
	t.fields, t.plans = make([][]int32, b.team.size), map[planKey]*plan{}
	t.w = append([]float32(nil), model.Blocks[0].W...)
	t.bias = append([]float32(nil), model.Bias...)
	if spec.Algorithm != backend.CD {
		t.words = (spec.Chains + 63) / 64
		t.visible, t.hidden = newRows(t.v, len(t.betas)*t.words), newRows(t.h, len(t.betas)*t.words)
		if err := t.start(ctx); err != nil {
			return nil, err
		}
	}
	t.ascent.init(t)
	return t, t.pack(ctx, q.Blocks[0].W)
}

func newRows(n, words int) gibbs.Rows {
	return gibbs.Rows{Bits: make([]uint64, n*words), Stride: words, N: n}
}

// start tosses a fair coin for every spin of the chains.
func (t *trainer) start(ctx context.Context) error {
	for l, rows := range []gibbs.Rows{t.visible, t.hidden} {
		for r := range t.betas {
			rule := t.rule(r)
			err := t.b.toss(ctx, coins{
				rows: rows, first: t.stream[l], key: t.key, chain0: rule.Chain0, from: r * t.words * 64, to: rule.Chains,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// rule returns the rule of the chains at temperature r. Chains count from the
// first word of the rows, not of the temperature.
func (t *trainer) rule(r int) gibbs.Rule {
	before := r * t.words * 64
	return gibbs.Rule{
		Frac: t.frac, Beta: t.betas[r], Chains: before + t.spec.Chains, Key: t.key, Stream: philox.Gibbs,
		Chain0: uint32(r*t.spec.Total()) + t.spec.FirstChain - uint32(before),
	}
}

// half is a half step over some words: spins into out, means into dst, or both.
type half struct {
	gibbs.Rule
	up    bool // visible to hidden
	in    gibbs.Rows
	out   *gibbs.Rows
	dst   []int32 // its column 0 belongs to word0
	word0 int
	word1 int

	// Means to make in the same pass over the weights; the words of both are
	// at most chunkWords.
	beside *half
}

// chunk fits a step to means of a chunk of words, the first of which becomes
// word 0, and to the rows in.
func (x *half) chunk(s *gibbs.Step, in *[1]gibbs.Rows) {
	in[0] = x.in
	in[0].Bits = x.in.Bits[x.word0:]
	s.In = in[:]
	s.Chain0 += uint32(64 * x.word0)
	s.Chains = min(s.Chains, 64*x.word1) - 64*x.word0
	s.Word0, s.Word1 = s.Word0-x.word0, s.Word1-x.word0
}

// plan is how half steps are shared among the members.
type plan struct {
	items  []halfItem
	bounds []int // where each member's part of the items ends
}

// halfItem is an item of one of the half steps.
type halfItem struct {
	half int // -1 for work besides
	item
}

// planKey is what a plan depends on: half steps in one direction over words that
// follow each other, and the work besides.
type planKey struct {
	halves, word0, word1 int
	up, together         bool
	besides, block       int
}

// planOf shares half steps among the members, the first of which has other work
// besides, as much as so many units times words.
func (t *trainer) planOf(halves []half, besides int) *plan {
	x, last := &halves[0], &halves[len(halves)-1]
	together := x.beside != nil // the words of both are one item's
	if together {
		besides = besides * (x.word1 - x.word0) / (x.word1 - x.word0 + x.beside.word1 - x.beside.word0)
	}
	key := planKey{len(halves), x.word0, last.word1, x.up, together, besides, t.kernel.Block()}
	if p := t.plans[key]; p != nil {
		return p
	}
	units := t.v
	if x.up {
		units = t.h
	}
	parts := make([][]halfItem, t.b.team.size)
	if besides > 0 {
		parts[0] = append(parts[0], halfItem{half: -1})
	}
	for k := range halves {
		x, from := &halves[k], 0
		items, bounds := shareItems(units, key.block, x.word1-x.word0, len(parts), together, besides)
		for m, to := range bounds {
			for _, it := range items[from:to] {
				it.word0, it.word1 = it.word0+x.word0, it.word1+x.word0
				parts[m] = append(parts[m], halfItem{k, it})
			}
			from = to
		}
		besides = 0
	}
	p := &plan{}
	for _, part := range parts {
		p.items = append(p.items, part...)
		p.bounds = append(p.bounds, len(p.items))
	}
	t.plans[key] = p
	return p
}

// run spreads half steps in one direction over the team. Temperatures that lie
// in different words may share a phase, and so may other work, if not nil, that
// takes one member as long as so many units and words.
func (t *trainer) run(ctx context.Context, besides func(), size int, halves ...half) error {
	if besides == nil {
		size = 0
	}
	p := t.planOf(halves, size)
	epoch := t.b.team.epoch()
	return t.b.eachOf(ctx, len(p.items), p.bounds, func(member, i int) {
		it, m := &p.items[i], t.b.members[member]
		if it.half < 0 {
			besides()
			return
		}
		x := &halves[it.half]
		s := &m.step
		m.in[0] = x.in
		*s = gibbs.Step{
			Rule: x.Rule, Weights: t.down, In: m.in[:], Epoch: epoch,
			Unit0: it.unit0, Unit1: it.unit1, Word0: it.word0, Word1: it.word1,
		}
		s.Unit = t.stream[0]
		if x.up {
			s.Weights, s.Unit = t.up, t.stream[1]
		}
		if x.out != nil {
			s.Out = *x.out
		}
		if x.dst == nil {
			t.kernel.Step(s, m.scratch)
			return
		}
		x.chunk(s, &m.in)
		if x.out == nil {
			t.kernel.Means(x.dst, meanStride, s, m.scratch)
			return
		}
		s.Out.Bits = s.Out.Bits[x.word0:]
		if y := x.beside; y != nil {
			other := &m.other
			*other = *s
			other.Rule, other.Word0, other.Word1 = y.Rule, y.word0, y.word1
			y.chunk(other, &m.otherIn)
			t.kernel.BothMeans(y.dst, other, x.dst, s, meanStride, m.scratch)
			return
		}
		t.kernel.StepMeans(x.dst, meanStride, s, m.scratch)
	})
}

func (t *trainer) Gather(ctx context.Context, batch backend.TrainingBatch) error {
	if t.broken != nil {
		return t.broken
	}
	samples, chains, err := t.spec.Counts(&batch)
	if err != nil {
		return err
	}
	t.samples, t.chains = samples, chains
	t.gathered = false
	if err := t.gather(ctx, batch); err != nil {
		t.broken = fmt.Errorf("a step was left unfinished: %w", err)
		return err
	}
	t.gathered = true
	return nil
}

func (t *trainer) gather(ctx context.Context, batch backend.TrainingBatch) error {
	cd := t.spec.Algorithm == backend.CD
	n := batch.Data.Chains
	words := batch.Data.Words
	t.fit(words, cd)
	copy(t.dataV.Bits, batch.Data.Bits)
	count := func() { gibbs.RowCounts(t.vData, t.dataV, 0, words, n) } // beside the first half step
	clear(t.vData)
	clear(t.vModel)
	clear(t.hData)
	clear(t.hModel)

	modelWords, modelChains := t.words, t.spec.Chains
	if cd {
		modelWords, modelChains = words, n
	}
	stats := backend.Statistics{Samples: t.samples, Chains: t.chains}
	mData, mModel := stats.Multipliers()
	t.joint = mData == 1 && mModel == 1 && n+modelChains <= gibbs.MaxMeanChains
	if !t.joint {
		t.clearExact()
	}

	// Data phase, together with the last half step of the model phase where
	// both fit.
	data := gibbs.Rule{Frac: t.frac, Beta: t.betas[0], Chains: n, Chain0: batch.FirstSample, Key: t.key, Stream: philox.Data, Sweep: t.step}
	together := !cd && words > 0 && words+modelWords <= chunkWords
	for w := 0; w < words && !together; w += chunkWords {
		x := half{Rule: data, up: true, in: t.dataV, dst: t.means, word0: w, word1: min(words, w+chunkWords)}
		if cd {
			x.out = &t.dataH
		}
		if err := t.run(ctx, count, countSize, x); err != nil {
			return err
		}
		count = nil
		if !t.joint {
			if err := t.sums(ctx, t.dataV, w, x.word1, 0, n, mData, t.hData); err != nil {
				return err
			}
		}
	}

	// Model phase: all temperatures move, the means of the first are kept.
	visible, hidden := t.visible, t.hidden
	temperatures := len(t.betas)
	if cd {
		visible, hidden, temperatures = t.chainV, t.dataH, 1
	}
	rules := make([]half, temperatures)
	for r := range rules {
		rules[r] = half{Rule: t.rule(r), word0: r * modelWords, word1: (r + 1) * modelWords}
	}
	if cd {
		rules[0].Rule = data
		rules[0].Stream = philox.Gibbs
	}
	for r := int(t.step & 1); r+1 < len(t.betas); r += 2 {
		if err := t.exchange(ctx, r); err != nil {
			return err
		}
	}
	for k := range t.spec.K {
		sweep := t.step*uint64(t.spec.K) + uint64(k)
		for r := range rules {
			x := &rules[r]
			x.Sweep, x.up, x.in, x.out = sweep, false, hidden, &visible
		}
		if err := t.run(ctx, count, countSize, rules...); err != nil {
			return err
		}
		count = nil
		for r := range rules {
			x := &rules[r]
			x.up, x.in, x.out = true, visible, &hidden
		}
		last := k == t.spec.K-1
		move := rules
		if last {
			move = rules[1:]
		}
		if len(move) > 0 {
			if err := t.run(ctx, nil, 0, move...); err != nil {
				return err
			}
		}
	}
	if t.forms[1].kernel != nil && t.step%fewSteps == 0 {
		from := gibbs.Chains{Rows: visible, Word1: min(modelWords, chunkWords)}
		t.fewGain = gibbs.FewGain(t.v, gibbs.Chains{Rows: hidden, Word1: from.Word1})
		if together {
			t.fewGain += gibbs.FewGain(t.h, from, gibbs.Chains{Rows: t.dataV, Word1: words})
		} else {
			t.fewGain += 2 * gibbs.FewGain(t.h, from)
		}
	}
	join := func() {
		gibbs.RowCounts(t.vModel, visible, 0, modelWords, modelChains)
		if t.joint {
			t.join(visible, n, modelChains)
		}
	}
	first := 0 // column of the first of the model's means
	switch {
	case t.joint:
		first = n
	case together:
		first = 64 * words
	}
	for w := 0; w < modelWords; w += chunkWords {
		x := rules[0]
		x.word0, x.word1, x.dst = w, min(modelWords, w+chunkWords), t.means[first:]
		if cd {
			x.out = nil
		}
		if together {
			x.beside = &half{Rule: data, in: t.dataV, dst: t.means, word1: words}
		}
		if err := t.run(ctx, join, joinSize, x); err != nil {
			return err
		}
		join = nil
		if t.joint {
			continue
		}
		if together {
			if err := t.sums(ctx, t.dataV, 0, words, 0, n, mData, t.hData); err != nil {
				return err
			}
		}
		if err := t.sums(ctx, visible, w, x.word1, first, modelChains, -mModel, t.hModel); err != nil {
			return err
		}
	}
	if t.joint {
		return t.jointSums(ctx, n, modelChains)
	}
	return nil
}

// Counting the rows of a batch or of the chains, and joining both, takes about
// as long as a half step of so many units and words.
const (
	countSize = 16
	joinSize  = 56
)

// clearExact sets the sums of a large batch to zero.
func (t *trainer) clearExact() {
	if t.exact == nil {
		t.exact = make([]float64, t.v*t.h)
		return
	}
	clear(t.exact)
}

// fit makes room for a batch.
func (t *trainer) fit(words int, cd bool) {
	if t.dataV.Stride == words {
		return
	}
	t.dataV = newRows(t.v, words)
	if cd {
		t.dataH, t.chainV = newRows(t.h, words), newRows(t.v, words)
	}
}

// join makes the rows of jointSums: those of the data and the model's chains
// together, where they are not the same in all.
func (t *trainer) join(model gibbs.Rows, n, chains int) {
	t.rows = 0
	for i := range t.v {
		if t.constant(i, n, chains) {
			continue
		}
		t.rowOf[i] = int32(t.rows)
		concatenate(t.joined.Row(t.rows)[:blockWords], t.dataV.Row(i), n, model.Row(i), chains)
		t.rows++
	}
	ones, zeros := []uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}, make([]uint64, blockWords)
	concatenate(t.joined.Row(t.rows)[:blockWords], ones, n, zeros, chains)
	concatenate(t.joined.Row(t.rows + 1)[:blockWords], ones, n, ones, chains)
}

// jointSums makes the sums of data minus model in one go: the model's chains
// enter with their signs turned, and two more rows give the sum S and the
// difference D of the hidden means. Where a visible unit is the same in all
// the data, and in all of the model's chains, ±S or ±D is its row.
func (t *trainer) jointSums(ctx context.Context, n, chains int) error {
	rows := t.rows
	if err := t.productAt(ctx, 0, rows+2, n+chains, n, (n+chains+63)/64); err != nil {
		return err
	}
	s, d := t.pairs[rows*t.h:][:t.h], t.pairs[(rows+1)*t.h:][:t.h]
	minusS, minusD := t.pairs[(rows+2)*t.h:][:t.h], t.pairs[(rows+3)*t.h:][:t.h]
	for a := range t.h {
		// |S ± D| ≤ 2·256·2²² = 2³¹ wants 64 bits.
		t.hData[a] = (int64(s[a]) + int64(d[a])) / 2
		t.hModel[a] = (int64(s[a]) - int64(d[a])) / 2
		minusS[a], minusD[a] = -s[a], -d[a]
	}
	for i := range t.v {
		if !t.constant(i, n, chains) {
			continue
		}
		switch data, model := t.vData[i] > 0, t.vModel[i] > 0; {
		case data && !model:
			t.rowOf[i] = int32(rows)
		case data:
			t.rowOf[i] = int32(rows + 1)
		case model:
			t.rowOf[i] = int32(rows + 2)
		default:
			t.rowOf[i] = int32(rows + 3)
		}
	}
	return nil
}

// constant reports whether visible unit i is the same in all the data and in
// all chains.
func (t *trainer) constant(i, n, chains int) bool {
	data, model := t.vData[i], t.vModel[i]
	return max(data, -data) == int64(n) && max(model, -model) == int64(chains)
}

// pairRow returns the joint statistics of visible unit i.
func (t *trainer) pairRow(i int) []int32 { return t.pairs[int(t.rowOf[i])*t.h:][:t.h] }

// concatenate writes the first na bits of a and then the first nb bits of b,
// and zeros.
func concatenate(dst, a []uint64, na int, b []uint64, nb int) {
	clear(dst)
	for w := range (na + 63) / 64 {
		dst[w] = a[w]
	}
	if na > 0 {
		dst[(na-1)/64] &= spin.TailMask(na)
	}
	for w := range (nb + 63) / 64 {
		x := b[w]
		if 64*w+64 > nb {
			x &= spin.TailMask(nb)
		}
		at, shift := (na+64*w)/64, uint(na&63)
		dst[at] |= x << shift
		if shift > 0 && at+1 < len(dst) {
			dst[at+1] |= x >> (64 - shift)
		}
	}
}

// sums adds factor·Σ v_i m_a over the chains of words [w0, w1) to exact, and
// Σ m_a to hidden; the means of word w0 are in the columns from first on.
func (t *trainer) sums(ctx context.Context, v gibbs.Rows, w0, w1, first, chains int, factor int64, hidden []int64) error {
	for b0 := w0; b0 < w1; b0 += blockWords {
		b1 := min(w1, b0+blockWords)
		for i := range t.v {
			copy(t.joined.Row(i)[:b1-b0], v.Row(i)[b0:b1])
		}
		one := t.joined.Row(t.v)
		for w := range b1 - b0 {
			one[w] = ^uint64(0)
		}
		n := min(chains, 64*b1) - 64*b0
		one[b1-b0-1] &= spin.TailMask(n)
		shift := first + 64*(b0-w0)
		if err := t.productAt(ctx, shift, t.v+1, n, n, b1-b0); err != nil {
			return err
		}
		for a, m := range t.pairs[t.v*t.h:][:t.h] {
			hidden[a] += int64(m)
		}
		const rows = 64
		if err := t.b.each(ctx, (t.v+rows-1)/rows, func(_, i int) {
			from, to := i*rows*t.h, min(t.v, (i+1)*rows)*t.h
			t.ascent.kernel.Add(t.exact[from:to], t.pairs[from:to], factor)
		}); err != nil {
			return err
		}
	}
	return nil
}

// productAt writes Σ_c ±joined_ic m_ac to pairs for the first rows of joined
// and the columns of means from shift on, with the other sign for chains from
// minus on.
func (t *trainer) productAt(ctx context.Context, shift, rows, chains, minus, words int) error {
	v := t.joined
	v.N = rows
	k := t.b.gibbs
	if few := k.Few(); few != nil && gibbs.FewMeansGain(v, t.h, 0, words, chains) > 0 {
		k = few
	}
	// Every item turns its rows about first: one for each member, and more only
	// where it would not end soon.
	n, size, block := t.b.team.size, (rows+63)&^63, k.Block()
	for size > 64 && float64(size)*float64((t.h+n-1)/n)*float64(chains) > 1<<31 {
		size = (size/2 + 63) &^ 63
	}
	bound := func(m int) int { // whole blocks, to nearest
		if m == n {
			return t.h
		}
		return min(t.h, (2*m*t.h+n*block)/(2*n*block)*block)
	}
	pieces := (rows + size - 1) / size
	return t.b.each(ctx, n*pieces, func(member, i int) {
		from, to, row := bound(i/pieces), bound(i/pieces+1), i%pieces*size
		if from == to {
			return
		}
		part := gibbs.Rows{Bits: v.Bits[row*v.Stride:], Stride: v.Stride, N: min(size, rows-row)}
		k.SpinMeans(t.pairs[row*t.h:], t.h, part, t.means[shift:], meanStride,
			from, to, 0, words, chains, minus, t.b.members[member].scratch)
	})
}

func (t *trainer) statistics(dst *backend.Statistics) {
	dst.Reset(t.v, t.h, t.samples, t.chains)
	for i := range t.v {
		row := dst.Pairs[i*t.h:][:t.h]
		if t.joint {
			for a, x := range t.pairRow(i) {
				row[a] = int64(x)
			}
			continue
		}
		for a, x := range t.exact[i*t.h:][:t.h] {
			row[a] = int64(x)
		}
	}
	copy(dst.VisibleData, t.vData)
	copy(dst.VisibleModel, t.vModel)
	copy(dst.HiddenData, t.hData)
	copy(dst.HiddenModel, t.hModel)
}

func (t *trainer) Statistics(dst *backend.Statistics) error {
	if !t.gathered {
		return errNoStatistics
	}
	t.statistics(dst)
	return nil
}

var errNoStatistics = errors.New("no statistics have been gathered")

func (t *trainer) SetStatistics(src *backend.Statistics) error {
	if err := src.Check(t.v, t.h); err != nil {
		return err
	}
	t.samples, t.chains, t.joint = src.Samples, src.Chains, false
	t.clearExact()
	for k, x := range src.Pairs {
		if x >= 1<<53 || x <= -1<<53 {
			return fmt.Errorf("pair statistic %d is %d, want below 2⁵³", k, x)
		}
		t.exact[k] = float64(x)
	}
	copy(t.vData, src.VisibleData)
	copy(t.vModel, src.VisibleModel)
	copy(t.hData, src.HiddenData)
	copy(t.hModel, src.HiddenModel)
	t.gathered = true
	return nil
}

// model returns the masters as a network that shares their memory.
func (t *trainer) model() *spin.Net[float32] {
	return &spin.Net[float32]{
		Layers: []int{t.v, t.h}, Bias: t.bias,
		Blocks: []spin.Block[float32]{{A: 0, B: 1, W: t.w}},
	}
}

func (t *trainer) Save(dst *backend.TrainerState) error {
	if t.broken != nil {
		return t.broken
	}
	s := backend.TrainerState{
		Step: t.step, Model: t.model(), Velocity: t.velocity, VisibleOffset: t.mu, HiddenOffset: t.lambda,
	}
	if t.spec.Algorithm != backend.CD {
		for r := range t.betas {
			b := spin.NewBatch(t.v+t.h, t.spec.Chains)
			for u := range b.Units {
				copy(b.Row(u), t.row(u)[r*t.words:])
			}
			s.Chains = append(s.Chains, *b)
		}
	}
	return s.CopyContext(backend.Ending(dst.Context), dst)
}

// row returns the words of unit u of the whole model.
func (t *trainer) row(u int) []uint64 {
	if u < t.v {
		return t.visible.Row(u)
	}
	return t.hidden.Row(u - t.v)
}

func (t *trainer) Load(src *backend.TrainerState) error {
	if err := src.Check(&t.spec); err != nil {
		return err
	}
	ctx := backend.Ending(src.Context)
	q, err := spin.QuantizeContext(ctx, src.Model)
	if err != nil {
		return err
	}
	if err := t.load(ctx, src, q); err != nil {
		t.broken = fmt.Errorf("a state was left half loaded: %w", err)
		return err
	}
	return nil
}

// load takes a state that has been checked, and rounded to q.
func (t *trainer) load(ctx context.Context, src *backend.TrainerState, q *spin.Network) error {
	t.step = src.Step
	if err := backend.CopyContext(ctx, t.w, src.Model.Blocks[0].W); err != nil {
		return err
	}
	copy(t.bias, src.Model.Bias)
	if n := len(src.Velocity); n == 0 {
		t.velocity = nil
	} else if len(t.velocity) != n {
		t.velocity = make([]float32, n)
	}
	if err := backend.CopyContext(ctx, t.velocity, src.Velocity); err != nil {
		return err
	}
	copy(t.mu, src.VisibleOffset)
	copy(t.lambda, src.HiddenOffset)
	for r := range src.Chains {
		for u := range t.v + t.h {
			copy(t.row(u)[r*t.words:(r+1)*t.words], src.Chains[r].Row(u))
		}
	}
	t.broken, t.gathered = nil, false
	t.frac = q.Frac
	return t.pack(ctx, q.Blocks[0].W)
}

func (t *trainer) Close() error {
	t.broken = errClosed("trainer")
	return nil
}

// exchange swaps configurations between temperatures r and r+1, as
// backend.TrainerSpec says.
func (t *trainer) exchange(ctx context.Context, r int) error {
	for k := range 2 {
		if err := t.energy(ctx, r+k, k); err != nil {
			return err
		}
	}
	db := float64(int64(t.betas[r]) - int64(t.betas[r+1]))
	accept := make([]uint64, t.words)
	for c := range t.spec.Chains {
		x := math.Ldexp(float64(db*float64(t.energies[0][c]-t.energies[1][c])), -24-int(t.frac))
		if backend.Exchange(x, philox.Draw(t.key, philox.Exchange, t.spec.FirstChain+uint32(c), uint32(r), t.step)) {
			accept[c>>6] |= 1 << (c & 63)
		}
	}
	for u := range t.v + t.h {
		row := t.row(u)
		a, b := row[r*t.words:][:t.words], row[(r+1)*t.words:][:t.words]
		for w, m := range accept {
			x := (a[w] ^ b[w]) & m
			a[w] ^= x
			b[w] ^= x
		}
	}
	return nil
}

// energy computes the energies of the chains at temperature r.
func (t *trainer) energy(ctx context.Context, r, slot int) error {
	for len(t.energies) < 2 {
		t.energies = append(t.energies, make([]int64, t.spec.Chains))
	}
	first := r * t.words
	return t.b.each(ctx, (t.words+jobWords-1)/jobWords, func(member, item int) {
		m := t.b.members[member]
		if t.fields[member] == nil {
			t.fields[member] = make([]int32, t.h*fieldStride)
		}
		w := item * jobWords
		c0, c1 := 64*w, min(t.spec.Chains, 64*(w+jobWords))
		m.in[0] = t.visible
		m.in[0].Bits = t.visible.Bits[first+w:]
		s := &m.step
		*s = gibbs.Step{
			Rule: gibbs.Rule{Frac: t.frac, Chains: c1 - c0}, Weights: t.up, In: m.in[:],
			Unit1: t.h, Word1: (c1 - c0 + 63) / 64,
		}
		t.kernel.Fields(t.fields[member], fieldStride, s, m.scratch)
		e := t.energies[slot][c0:c1]
		clear(e)
		for i := range t.v {
			addSigned(e, t.visible.Row(i)[first+w:], nil, -int64(t.offset[i]))
		}
		subtractFields(e, t.fields[member], t.hidden, first+w)
	})
}

// updateState is what Update works with.
type updateState struct {
	kernel     *ascent.Kernel
	rows       []updateRow      // of each member
	columns    []ascent.Columns // of each block of backend.UpdateRows rows
	sums       [][]int32        // of each block: minus the sums of its columns in fixed point
	fixed      [][]int32        // of each member: rows in fixed point, before they are packed
	aside      [][]int32        // of each block: rows in fixed point that are packed with rows before it
	parts      []atomic.Int32   // of each block: how often one of the two parts of aside was made
	dv, dh     []float64
	total      []float64 // Σ_i x_ia μ_i
	along      []float64 // Σ_a x_ia λ_a
	rowWeight  []float32 // Σ_a |W_ia|, about
	columnSize []float64 // Σ_i |W_ia|, about
}

// updateRow is what a member's kernel writes to for every row.
type updateRow struct {
	ascent.Row
	_ [64]byte // other members' are on other lines
}

func (u *updateState) init(t *trainer) {
	u.kernel = ascent.For(t.b.level)
	u.rows = make([]updateRow, t.b.team.size)
	u.dv, u.dh = make([]float64, t.v), make([]float64, t.h)
	u.total, u.along = make([]float64, t.h), make([]float64, t.v)
	u.rowWeight, u.columnSize = make([]float32, t.v), make([]float64, t.h)
	rows := t.forms[0].kernel.RowBlock()
	if k := t.forms[1].kernel; k != nil {
		rows = max(rows, k.RowBlock())
	}
	for range t.b.team.size {
		u.fixed = append(u.fixed, make([]int32, rows*t.h))
	}
	u.columns = make([]ascent.Columns, (t.v+backend.UpdateRows-1)/backend.UpdateRows)
	u.parts = make([]atomic.Int32, len(u.columns))
	for k := range u.columns {
		u.sums, u.aside = append(u.sums, make([]int32, t.h)), append(u.aside, make([]int32, rows*t.h))
		u.columns[k] = ascent.Columns{
			Dh: u.dh, Lambda: t.lambda, Sum: make([]float64, t.h), Magnitude: make([]float32, t.h),
		}
	}
}
