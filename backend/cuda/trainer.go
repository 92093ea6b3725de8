//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/cu"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// trainer trains an RBM whose weights, chains and statistics stay on the
// device; a step brings the batch there and the number of fraction bits back.
type trainer struct {
	d     *device
	spec  backend.TrainerSpec
	v, h  int
	words [2]int // of visible and hidden units
	betas []uint64
	block [2]uint32 // Philox block of each layer's first unit

	step             uint64
	frac             uint
	samples, chains  int // of the statistics
	gathered, moving bool
	failed           error // the device failed: everything is lost
	broken           error // a step was left unfinished: only Load helps
	closed           bool

	w, bias, velocity memory // masters, and their velocities if moving
	delta, offset     memory // changes of the means and offsets of all units
	change, part      memory // of the weights, and their sums over rows
	fixed, fixedBias  memory // masters in fixed point
	rounding          memory
	up, down          dense // to the hidden and to the visible units

	loop  loop
	sweep turn   // of `moved`
	small *small // not nil for a network so small that a launch does many sweeps
	size  int    // chains of a launch of a sweep at most

	moved       []chainSet // the chains of a step, and
	numbers     []uint32   // the number of the first of each
	groups      memory
	batch       chainSet
	sets        []chainSet // of each temperature
	rows, means memory
	pairs, sums memory // statistics; sums are visible data and model, hidden data and model
	total       memory // of all pairs, for tied weights
	energies    [2]memory
	marks       memory
}

// chainSet is chains of one temperature, [word][chain], visible words first.
type chainSet struct {
	spins, betas   memory
	chains, stride int
}

// fit makes room for a number of chains, all of whose spins become −1 if it
// was another before.
func (c *chainSet) fit(chains, words int, beta uint64) error {
	if c.chains == chains {
		return nil
	}
	c.chains, c.stride = chains, padded(chains)
	if err := hold[uint32](&c.spins, int64(words)*int64(c.stride)); err != nil {
		return err
	}
	if err := c.spins.zero(); err != nil {
		return err
	}
	betas := make([]uint64, c.stride)
	for i := range chains {
		betas[i] = beta
	}
	return fill(&c.betas, betas)
}

// trainable reports whether the device takes a trainer's job.
func trainable(spec *backend.TrainerSpec) bool {
	most := kernels.MaxGridY * kernels.GroupUnits
	return spec.Model.Layers[0] <= most && spec.Model.Layers[1] <= most && spec.Chains < mostSummed
}

// mostSummed chains of digits are below 2³¹ in sum, which is what sum_pairs can
// hold.
const mostSummed = 1 << 24

func newTrainer(d *device, spec backend.TrainerSpec) (backend.Trainer, error) {
	model := spec.Model
	spec.Model = &spin.Net[float32]{Layers: append([]int(nil), model.Layers...)}
	t := &trainer{d: d, spec: spec, v: model.Layers[0], h: model.Layers[1], betas: spec.TemperatureBetas()}
	t.spec.Temperatures = append([]float64(nil), spec.Temperatures...)
	t.words = [2]int{wordsOf(t.v), wordsOf(t.h)}
	for l, unit := range model.StreamUnits() {
		t.block[l] = unit / 8
	}
	t.up.units, t.down.units = t.h, t.v
	t.sweep = turn{sweeps: 1, queue: t.once}
	t.size = max(1, int(sliceWork/(int64(t.v)*int64(t.h)))/kernels.BlockChains) * kernels.BlockChains
	if d.fitsSweeps(model.Layers) {
		t.small = new(small)
	}
	const doing = "starting training"
	err := t.on(doing, func() error { return t.start(model) })
	if err == nil {
		err = put(backend.Ending(spec.Context), t, doing, &t.w, model.Blocks[0].W)
	}
	if err == nil {
		err = t.on(doing, func() error {
			fits, err := t.round()
			if err == nil && !fits {
				err = errors.New("weights do not fit fixed point")
			}
			return err
		})
	}
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// start makes room for everything and tosses the first states.
func (t *trainer) start(model *spin.Net[float32]) error {
	all := t.words[0] + t.words[1]
	units := [2]int{t.v, t.h}
	var groups, valid []uint32
	for l, n := range t.words {
		for w := range n {
			groups = append(groups, t.block[l]+uint32(w*kernels.WordUnits/8))
			valid = append(valid, uint32(1<<min(32, units[l]-w*kernels.WordUnits)-1))
		}
	}
	for l, layer := range []*dense{&t.down, &t.up} {
		first, inputs := 0, t.words[1-l]
		if l == 0 {
			first = t.words[0]
		}
		from := make([]int32, inputs)
		for i := range from {
			from[i] = int32(first + i)
		}
		free := make([]uint16, 2*t.words[l])
		for u := range units[l] {
			free[u/kernels.GroupUnits] |= 1 << (u % kernels.GroupUnits)
		}
		if err := layer.plan(from, free); err != nil {
			return err
		}
		if err := fill(&layer.bias, make([]int32, t.words[l]*kernels.WordUnits)); err != nil {
			return err
		}
	}
	weights, n := int64(t.v)*int64(t.h), int64(t.v+t.h)
	for _, err := range []error{
		t.loop.start(t.d), fill(&t.groups, groups),
		hold[float32](&t.w, weights), fill(&t.bias, model.Bias),
		hold[int32](&t.fixed, weights), hold[int32](&t.fixedBias, n),
		hold[int64](&t.pairs, weights), hold[int64](&t.sums, 2*n),
		hold[float64](&t.change, weights), hold[float64](&t.part, int64(blocks(int64(t.v), kernels.ChangeRows))*int64(t.h)),
		hold[float64](&t.delta, n), fill(&t.offset, make([]float64, n)),
	} {
		if err != nil {
			return err
		}
	}
	if t.spec.Algorithm != backend.CD {
		t.sets = make([]chainSet, len(t.betas))
		var exist memory
		if err := fill(&exist, valid); err != nil {
			return cmp.Or(err, exist.free())
		}
		for r := range t.sets {
			s := &t.sets[r]
			err := s.fit(t.spec.Chains, all, t.betas[r])
			if err == nil {
				err = t.d.launch("toss_coins", s.stride/128, min(all, kernels.MaxGridY), 1, 128,
					s.spins.u(0), exist.u(0), t.groups.u(0), uint64(all), uint64(s.stride), uint64(s.chains),
					uint64(t.chain(r)), uint64(philox.Init), t.spec.Seed, 0)
			}
			if err != nil {
				return cmp.Or(err, exist.free())
			}
		}
		if err := exist.free(); err != nil {
			return err
		}
	} else {
		t.sets = make([]chainSet, 1)
	}
	return nil
}

// chain is the number of the first chain at temperature r.
func (t *trainer) chain(r int) uint32 { return uint32(r*t.spec.Total()) + t.spec.FirstChain }

// round brings the masters into fixed point and into the fragments of both
// layers; false if they do not fit.
func (t *trainer) round() (bool, error) {
	found := []int32{spin.MaxFrac, 0, 0} // fraction bits, least and most
	if err := fill(&t.rounding, found); err != nil {
		return false, err
	}
	weights, n := int64(t.v)*int64(t.h), t.v+t.h
	if err := t.d.launch("fit_fraction", blocks(int64(n), 128), 1, 1, 128, t.w.u(0), t.bias.u(0), t.rounding.u(0), uint64(t.v), uint64(t.h)); err != nil {
		return false, err
	}
	if err := t.d.launch("round_weights", blocks(max(weights, int64(n)), 128), 1, 1, 128,
		t.w.u(0), t.bias.u(0), t.rounding.u(0), t.fixed.u(0), t.fixedBias.u(0), uint64(weights), uint64(n)); err != nil {
		return false, err
	}
	if err := fetch(found, &t.rounding); err != nil || found[0] < spin.MinFrac {
		return false, err
	}
	t.frac = uint(found[0])
	digits := kernels.Digits(found[1:])
	for l, layer := range []*dense{&t.down, &t.up} {
		from, inputs, perInput, perUnit := 0, t.h, 1, t.h
		if l == 1 {
			from, inputs, perInput, perUnit = t.v, t.v, t.h, 1
		}
		if err := cu.MemcpyDtoD(layer.bias.at, t.fixedBias.at+cu.DevicePtr(4*from), int64(4*layer.units)); err != nil {
			return false, err
		}
		if err := layer.room(digits); err != nil {
			return false, err
		}
		if err := layer.pack(t.d, &t.fixed, inputs, perInput, perUnit, 0); err != nil {
			return false, err
		}
	}
	if t.small == nil {
		return true, nil
	}
	var layers []smallLayer
	for l, word := range []int{0, t.words[0]} {
		layers = append(layers, t.layer(l).small(0, word, t.block[l]|uint32(philox.Gibbs)<<24))
	}
	return true, t.small.take(layers, digits, t.words[0]+t.words[1])
}

// usable reports why the trainer cannot go on.
func (t *trainer) usable() error {
	if t.closed {
		return errors.New("trainer is closed")
	}
	if t.failed != nil {
		return t.failed
	}
	return t.broken
}

// on runs f on the device's thread; if that fails everything is lost.
func (t *trainer) on(doing string, f func() error) error {
	if t.closed || t.failed != nil {
		return t.usable()
	}
	t.failed = t.d.do(doing, f)
	return t.failed
}

// half is a half step of a set's chains, so many sweeps ahead of the clock.
func (t *trainer) half(c *chainSet, layer int, stream philox.Stream, first uint32, ahead uint64) *half {
	return &half{
		spins: c.spins.u(0), out: c.spins.u(4 * int64(layer*t.words[0]) * int64(c.stride)), betas: c.betas.u(0),
		stride: c.stride, chains: c.chains, chain0: first, block0: t.block[layer] | uint32(stream)<<24,
		seed: t.spec.Seed, clock: t.loop.clock.u(0), ahead: ahead, frac: t.frac,
	}
}

// put copies s to m, which has room for it, until ctx ends.
func put[T any](ctx context.Context, t *trainer, doing string, m *memory, s []T) error {
	return inPieces(ctx, t, doing, s, func(part []T, off int64) error {
		return cu.MemcpyHtoD(m.at+cu.DevicePtr(off), unsafe.Pointer(unsafe.SliceData(part)), bytesOf(part))
	})
}

// bring copies the first values of m to s, until ctx ends.
func bring[T any](ctx context.Context, t *trainer, doing string, s []T, m *memory) error {
	return inPieces(ctx, t, doing, s, func(part []T, off int64) error {
		return cu.MemcpyDtoH(unsafe.Pointer(unsafe.SliceData(part)), m.at+cu.DevicePtr(off), bytesOf(part))
	})
}

// inPieces calls f on the device's thread for pieces of s and the bytes before
// them, some 5 ms over PCIe each, until ctx ends.
func inPieces[T any](ctx context.Context, t *trainer, doing string, s []T, f func(part []T, off int64) error) error {
	var x T
	size := int(unsafe.Sizeof(x))
	return eachPiece(ctx, 0, len(s), pieceBytes/size, func(lo, hi int) error {
		return t.on(doing, func() error { return f(s[lo:hi], int64(lo)*int64(size)) })
	})
}

func (t *trainer) Gather(ctx context.Context, batch backend.TrainingBatch) error {
	if err := t.usable(); err != nil {
		return err
	}
	samples, chains, err := t.spec.Counts(&batch)
	if err != nil {
		return err
	}
	if batch.Data.Chains >= mostSummed {
		return fmt.Errorf("a batch of %d configurations, want below 2²⁴ on a CUDA device", batch.Data.Chains)
	}
	t.samples, t.chains, t.gathered = samples, chains, false
	if err := t.gather(ctx, batch); err != nil {
		t.broken = fmt.Errorf("a step was left unfinished: %w", err)
		return err
	}
	t.gathered = true
	return nil
}

func (t *trainer) gather(ctx context.Context, batch backend.TrainingBatch) error {
	counts := backend.Statistics{Samples: t.samples, Chains: t.chains}
	mData, mModel := counts.Multipliers()
	cd := t.spec.Algorithm == backend.CD
	host := unpack(batch.Data, t.words[0])
	if err := t.on("taking a batch", func() error {
		// A batch may be empty: then all lanes are padding, which counts nothing.
		if err := t.batch.fit(max(1, batch.Data.Chains), t.words[0]+t.words[1], t.betas[0]); err != nil {
			return err
		}
		t.batch.chains = batch.Data.Chains
		if err := fill(&t.rows, host); err != nil {
			return err
		}
		if err := t.d.launch("rows_to_spins", t.batch.stride/128, min(t.words[0], kernels.MaxGridY), 1, 128,
			t.rows.u(0), t.batch.spins.u(0), uint64(t.words[0]), uint64(t.batch.stride)); err != nil {
			return err
		}
		if err := t.add(&t.batch, 0, mData); err != nil {
			return err
		}
		if cd {
			return t.up.update(t.d, t.half(&t.batch, 1, philox.Data, batch.FirstSample, t.step-t.loop.sweep))
		}
		return nil
	}); err != nil {
		return err
	}
	t.moved, t.numbers = t.sets, t.numbers[:0]
	if cd {
		t.moved, t.numbers = []chainSet{t.batch}, append(t.numbers, batch.FirstSample)
	}
	for r := range t.sets {
		if !cd {
			t.numbers = append(t.numbers, t.chain(r))
		}
	}
	for r := int(t.step & 1); !cd && r+1 < len(t.sets); r += 2 {
		if err := t.exchange(r); err != nil {
			return err
		}
	}
	if err := t.move(ctx); err != nil {
		return err
	}
	if err := t.on("adding up statistics", func() error {
		if err := t.toRows(&t.moved[0], t.words[0]); err != nil {
			return err
		}
		if err := t.add(&t.moved[0], 1, -mModel); err != nil {
			return err
		}
		return cu.Synchronize()
	}); err != nil {
		return err
	}
	return ctx.Err()
}

// quickWork is how many couplings × chains the sweeps of a step have that is
// queued as a whole; a longer one is queued in pieces.
const quickWork = 1 << 37

// move does the sweeps of a step.
func (t *trainer) move(ctx context.Context) error {
	const doing = "moving chains"
	weights := int64(t.v) * int64(t.h)
	sweep := t.step * uint64(t.spec.K)
	chains := t.moved[0].chains
	if t.size < chains {
		return t.long(ctx, sweep)
	}
	piece := func(wait bool) func(n int) error {
		return func(n int) error {
			err := t.on(doing, func() error {
				if err := t.sweeps(n, sweep); err != nil || !wait {
					return err
				}
				return cu.Synchronize()
			})
			sweep += uint64(n)
			return err
		}
	}
	if float64(weights)*float64(chains)*float64(len(t.moved))*float64(t.spec.K) <= quickWork {
		return cmp.Or(ctx.Err(), piece(false)(t.spec.K))
	}
	return paced(ctx, t.spec.K, 0, piece(true))
}

// sweeps queues n sweeps of all chains of a step.
func (t *trainer) sweeps(n int, sweep uint64) error {
	if t.small == nil {
		return t.loop.repeat(&t.sweep, n, sweep, 0)
	}
	for r := range t.moved {
		if err := t.small.queue(t.d, t.half(&t.moved[r], 0, philox.Gibbs, t.numbers[r], sweep-t.loop.sweep), n); err != nil {
			return err
		}
	}
	return nil
}

// long does sweeps launch by launch until ctx ends, wherever that is: a step
// that is not finished is lost.
func (t *trainer) long(ctx context.Context, sweep uint64) error {
	for range t.spec.K {
		for r := range t.moved {
			for layer := range 2 {
				for lo := 0; lo < t.moved[r].chains; lo += t.size {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := t.on("moving chains", func() error {
						h := t.half(&t.moved[r], layer, philox.Gibbs, t.numbers[r], sweep-t.loop.sweep)
						return cmp.Or(t.layer(layer).update(t.d, h.part(lo, min(t.size, h.chains-lo))), cu.Synchronize())
					}); err != nil {
						return err
					}
				}
			}
		}
		sweep++
	}
	return nil
}

// layer is the visible or the hidden layer.
func (t *trainer) layer(l int) *dense {
	if l == 0 {
		return &t.down
	}
	return &t.up
}

// once queues a sweep of all chains of a step.
func (t *trainer) once(ahead, _ uint64) error {
	for r := range t.moved {
		for l := range 2 {
			if err := t.layer(l).update(t.d, t.half(&t.moved[r], l, philox.Gibbs, t.numbers[r], ahead)); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpack returns the rows of a batch with as many words of units, each row for
// a padded number of chains.
func unpack(b *spin.Batch, words int) []uint64 {
	size := padded(max(1, b.Chains)) / 64
	rows := make([]uint64, words*kernels.WordUnits*size)
	for u := range b.Units {
		copy(rows[u*size:], b.Row(u))
	}
	return rows
}

// toRows puts the first words of a set in rows of units.
func (t *trainer) toRows(c *chainSet, words int) error {
	if err := hold[uint32](&t.rows, int64(words)*int64(c.stride)); err != nil {
		return err
	}
	return t.d.launch("spins_to_rows", c.stride/128, min(words, kernels.MaxGridY), 1, 128,
		c.spins.u(0), t.rows.u(0), uint64(words), uint64(c.stride), uint64(c.chains))
}

// add adds up the statistics of chains whose visible rows are in t.rows: those
// of the data (phase 0) or, added to them, of the model (phase 1).
func (t *trainer) add(c *chainSet, phase int, factor int64) error {
	visible, hidden := t.sums.u(int64(8*phase*t.v)), t.sums.u(int64(8*(2*t.v+phase*t.h)))
	words, places := uint64(c.stride/32), uint64(t.words[1]*kernels.WordUnits)
	if err := t.d.launch("sum_spins", blocks(int64(t.v), 4), 1, 1, 128, t.rows.u(0), visible, uint64(t.v), words, uint64(c.chains)); err != nil {
		return err
	}
	if err := hold[int8](&t.means, 3*int64(places)*int64(c.stride)); err != nil {
		return err
	}
	if err := t.up.means(t.d, t.half(c, 1, 0, 0, 0), &t.means); err != nil {
		return err
	}
	if err := t.d.launch("sum_means", blocks(int64(t.h), 4), 1, 1, 128, t.means.u(0), hidden, uint64(t.h), places, uint64(c.stride)); err != nil {
		return err
	}
	return t.d.launch("sum_pairs", blocks(int64(t.v), kernels.SumRows), blocks(int64(t.h), kernels.SumColumns), 1, 128,
		t.rows.u(0), t.means.u(0), hidden, t.pairs.u(0), uint64(t.v), uint64(t.h), words, places, uint64(factor), uint64(phase))
}

// exchange swaps configurations between temperatures r and r+1, as
// backend.TrainerSpec says. Energies come from the device; whether two chains
// change places is decided here.
func (t *trainer) exchange(r int) error {
	var energies [2][]int64
	x, y := &t.sets[r], &t.sets[r+1]
	if err := t.on("computing energies", func() error {
		for k, c := range []*chainSet{x, y} {
			energies[k] = make([]int64, c.stride)
			if err := fill(&t.energies[k], energies[k]); err != nil {
				return err
			}
			if err := t.d.launch("add_energies", c.stride/128, t.words[1], 1, 128, c.spins.u(0), t.fixed.u(0), t.fixedBias.u(0), t.energies[k].u(0),
				uint64(t.v), uint64(t.h), uint64(c.stride), uint64(c.chains)); err != nil {
				return err
			}
			if err := fetch(energies[k], &t.energies[k]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	key := philox.NewKey(t.spec.Seed)
	db := float64(int64(t.betas[r]) - int64(t.betas[r+1]))
	marks := make([]uint32, x.stride/32)
	for c := range t.spec.Chains {
		p := math.Ldexp(float64(db*float64(energies[0][c]-energies[1][c])), -24-int(t.frac))
		if backend.Exchange(p, philox.Draw(key, philox.Exchange, t.spec.FirstChain+uint32(c), uint32(r), t.step)) {
			marks[c/32] |= 1 << (c % 32)
		}
	}
	return t.on("exchanging chains", func() error {
		if err := fill(&t.marks, marks); err != nil {
			return err
		}
		words := t.words[0] + t.words[1]
		return t.d.launch("exchange_chains", x.stride/128, min(words, kernels.MaxGridY), 1, 128,
			x.spins.u(0), y.spins.u(0), t.marks.u(0), uint64(words), uint64(x.stride))
	})
}

var errNoStatistics = errors.New("no statistics have been gathered")

func (t *trainer) Statistics(dst *backend.Statistics) error {
	if err := t.usable(); err != nil {
		return err
	}
	if !t.gathered {
		return errNoStatistics
	}
	dst.Reset(t.v, t.h, t.samples, t.chains)
	sums := make([]int64, 2*(t.v+t.h))
	if err := t.on("copying statistics", func() error {
		return cmp.Or(fetch(sums, &t.sums), fetch(dst.Pairs, &t.pairs))
	}); err != nil {
		return err
	}
	copy(dst.VisibleData, sums)
	copy(dst.VisibleModel, sums[t.v:])
	copy(dst.HiddenData, sums[2*t.v:])
	copy(dst.HiddenModel, sums[2*t.v+t.h:])
	return nil
}

func (t *trainer) SetStatistics(src *backend.Statistics) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := src.Check(t.v, t.h); err != nil {
		return err
	}
	for k, x := range src.Pairs {
		if x >= 1<<53 || x <= -1<<53 {
			return fmt.Errorf("pair statistic %d is %d, want below 2⁵³", k, x)
		}
	}
	sums := make([]int64, 0, 2*(t.v+t.h))
	for _, x := range [][]int64{src.VisibleData, src.VisibleModel, src.HiddenData, src.HiddenModel} {
		sums = append(sums, x...)
	}
	t.samples, t.chains, t.gathered = src.Samples, src.Chains, true
	return t.on("taking statistics", func() error { return cmp.Or(fill(&t.sums, sums), fill(&t.pairs, src.Pairs)) })
}

func (t *trainer) Update(u backend.Update) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := u.Check(); err != nil {
		return err
	}
	if !t.gathered {
		return errNoStatistics
	}
	// One look is enough: the weights of a full device take some 0.05 s.
	if err := backend.Ending(u.Context).Err(); err != nil {
		t.broken = fmt.Errorf("a step was left unfinished: %w", err)
		return err
	}
	ascend := t.ascend
	if t.spec.Tied {
		x, err := t.tiedChange(&u)
		if err != nil {
			return err
		}
		ascend = func(u *backend.Update) error { return t.ascendTied(u, x) }
	}
	fits := false
	if err := t.on("changing weights", func() (err error) {
		if err := ascend(&u); err != nil {
			return err
		}
		fits, err = t.round()
		return err
	}); err != nil {
		return err
	}
	if !fits {
		var s backend.TrainerState
		if err := t.save(&s); err != nil {
			return err
		}
		_, err := spin.Quantize(s.Model)
		t.broken = &backend.DivergedError{Step: t.step, Reason: err}
		return t.broken
	}
	t.step++
	return nil
}

// velocities returns where the velocities are, 0 if there are none; the first
// step with momentum makes them.
func (t *trainer) velocities(u *backend.Update) (uint64, error) {
	if u.Momentum != 0 && !t.moving {
		if err := hold[float32](&t.velocity, int64(t.v)*int64(t.h)+int64(t.v+t.h)); err != nil {
			return 0, err
		}
		if err := t.velocity.zero(); err != nil {
			return 0, err
		}
		t.moving = true
	}
	if !t.moving {
		return 0, nil
	}
	return t.velocity.u(0), nil
}

// tiedChange is what tied weights change by before momentum: one number.
func (t *trainer) tiedChange(u *backend.Update) (float64, error) {
	weights := int64(t.v) * int64(t.h)
	sum, w := []int64{0}, []float32{0}
	if err := t.on("adding up pairs", func() error {
		if err := fill(&t.total, sum); err != nil {
			return err
		}
		if err := t.d.launch("sum_all", min(blocks(weights, 128), 1024), 1, 1, 128, t.pairs.u(0), t.total.u(0), uint64(weights)); err != nil {
			return err
		}
		return cmp.Or(fetch(sum, &t.total), fetch(w, &t.w))
	}); err != nil {
		return 0, err
	}
	if sum[0] >= 1<<53 || sum[0] <= -1<<53 {
		return 0, fmt.Errorf("sum of %d pair statistics is beyond 2⁵³: want a smaller batch", weights)
	}
	counts := backend.Statistics{Samples: t.samples, Chains: t.chains}
	g := math.FMA(-u.WeightDecay, float64(w[0]), float64(float64(sum[0])*counts.TiedFactor(int(weights))))
	switch {
	case w[0] > 0:
		g -= u.L1
	case w[0] < 0:
		g += u.L1
	}
	return float64(u.WeightRate * g), nil
}

// ascendTied changes tied masters by x and momentum.
func (t *trainer) ascendTied(u *backend.Update, x float64) error {
	velocity, err := t.velocities(u)
	if err != nil {
		return err
	}
	weights := int64(t.v) * int64(t.h)
	return t.d.launch("change_tied", blocks(weights, 128), 1, 1, 128, t.w.u(0), velocity, uint64(weights), math.Float64bits(x), math.Float64bits(u.Momentum))
}

// ascend changes the masters by the statistics.
func (t *trainer) ascend(u *backend.Update) error {
	velocity, err := t.velocities(u)
	if err != nil {
		return err
	}
	f := math.Float64bits
	for _, layer := range []struct {
		sums, first, n int
		unit           float64
	}{{0, 0, t.v, 1}, {2 * t.v, t.v, t.h, 1.0 / (1 << spin.MeanBits)}} {
		at := int64(8 * layer.first)
		if err := t.d.launch("mean_changes", blocks(int64(layer.n), 128), 1, 1, 128,
			t.sums.u(int64(8*layer.sums)), t.sums.u(int64(8*(layer.sums+layer.n))), t.delta.u(at), t.offset.u(at), uint64(layer.n),
			f(layer.unit/float64(t.samples)), f(layer.unit/float64(t.chains)), f(u.OffsetRate)); err != nil {
			return err
		}
	}
	counts := backend.Statistics{Samples: t.samples, Chains: t.chains}
	columns := blocks(int64(t.h), 128)
	if err := t.d.launch("change_weights", columns, blocks(int64(t.v), kernels.ChangeRows), 1, 128,
		t.pairs.u(0), t.w.u(0), velocity, t.change.u(0), t.part.u(0), t.delta.u(0), t.offset.u(0), uint64(t.v), uint64(t.h),
		f(counts.PairFactor()), f(u.WeightRate), f(u.Momentum), f(u.WeightDecay), f(u.L1)); err != nil {
		return err
	}
	if err := t.d.launch("change_visible", blocks(int64(t.v), 16), 1, 1, 128,
		t.change.u(0), t.bias.u(0), velocity, t.delta.u(0), t.offset.u(0), uint64(t.v), uint64(t.h), f(u.BiasRate), f(u.Momentum)); err != nil {
		return err
	}
	return t.d.launch("change_hidden", columns, 1, 1, 128,
		t.part.u(0), t.bias.u(0), velocity, t.delta.u(0), uint64(t.v), uint64(t.h), f(u.BiasRate), f(u.Momentum))
}

func (t *trainer) Save(dst *backend.TrainerState) error {
	if err := t.usable(); err != nil {
		return err
	}
	return t.save(dst)
}

func (t *trainer) save(dst *backend.TrainerState) error {
	weights, n := t.v*t.h, t.v+t.h
	ctx := backend.Ending(dst.Context)
	s := backend.TrainerState{
		Context: dst.Context, Step: t.step,
		Model: spin.RBM(t.v, t.h, make([]float32, weights), make([]float32, t.v), make([]float32, t.h)),
	}
	offset := make([]float64, n)
	if t.moving {
		s.Velocity = make([]float32, weights+n)
	}
	const doing = "copying the state of training"
	if err := cmp.Or(
		bring(ctx, t, doing, s.Model.Blocks[0].W, &t.w), bring(ctx, t, doing, s.Model.Bias, &t.bias),
		bring(ctx, t, doing, offset, &t.offset), bring(ctx, t, doing, s.Velocity, &t.velocity),
	); err != nil {
		return err
	}
	s.VisibleOffset, s.HiddenOffset = offset[:t.v:t.v], offset[t.v:]
	all := t.words[0] + t.words[1]
	for r := range t.sets {
		c := &t.sets[r]
		if c.chains == 0 {
			break
		}
		size := c.stride / 64
		host := make([]uint64, all*kernels.WordUnits*size)
		if err := t.on(doing, func() error { return t.toRows(c, all) }); err != nil {
			return err
		}
		if err := bring(ctx, t, doing, host, &t.rows); err != nil {
			return err
		}
		b := spin.NewBatch(n, t.spec.Chains)
		for u := range n {
			copy(b.Row(u), host[t.place(u)*size:])
		}
		s.Chains = append(s.Chains, *b)
	}
	*dst = s
	return nil
}

// place is a unit's number in the words of a set.
func (t *trainer) place(unit int) int {
	if unit < t.v {
		return unit
	}
	return t.words[0]*kernels.WordUnits + unit - t.v
}

func (t *trainer) Load(src *backend.TrainerState) error {
	if t.closed || t.failed != nil {
		return t.usable()
	}
	model := *t.spec.Model
	if err := src.Check(&backend.TrainerSpec{Model: &model, Algorithm: t.spec.Algorithm, Chains: t.spec.Chains, Temperatures: t.spec.Temperatures}); err != nil {
		return err
	}
	ctx := backend.Ending(src.Context)
	if _, err := spin.QuantizeContext(ctx, src.Model); err != nil {
		return err
	}
	t.broken = nil
	if err := t.load(ctx, src); err != nil {
		t.broken = fmt.Errorf("a state was left half taken: %w", err)
		return err
	}
	return nil
}

func (t *trainer) load(ctx context.Context, src *backend.TrainerState) error {
	const doing = "taking a state of training"
	t.step, t.moving, t.gathered = src.Step, len(src.Velocity) > 0, false
	offset := append(append([]float64(nil), src.VisibleOffset...), src.HiddenOffset...)
	if err := t.on(doing, func() error {
		if err := cmp.Or(fill(&t.bias, src.Model.Bias), fill(&t.offset, offset)); err != nil || !t.moving {
			return err
		}
		return hold[float32](&t.velocity, int64(len(src.Velocity)))
	}); err != nil {
		return err
	}
	if err := cmp.Or(put(ctx, t, doing, &t.w, src.Model.Blocks[0].W), put(ctx, t, doing, &t.velocity, src.Velocity)); err != nil {
		return err
	}
	all := t.words[0] + t.words[1]
	for r := range src.Chains {
		c, b := &t.sets[r], &src.Chains[r]
		size := c.stride / 64
		host := make([]uint64, all*kernels.WordUnits*size)
		for u := range b.Units {
			copy(host[t.place(u)*size:], b.Row(u))
		}
		if err := t.on(doing, func() error { return hold[uint64](&t.rows, int64(len(host))) }); err != nil {
			return err
		}
		if err := put(ctx, t, doing, &t.rows, host); err != nil {
			return err
		}
		if err := t.on(doing, func() error {
			return t.d.launch("rows_to_spins", c.stride/128, min(all, kernels.MaxGridY), 1, 128, t.rows.u(0), c.spins.u(0), uint64(all), uint64(c.stride))
		}); err != nil {
			return err
		}
	}
	return t.on(doing, func() error {
		_, err := t.round()
		return err
	})
}

// Close frees the trainer's memory.
func (t *trainer) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	return t.d.do("freeing training", func() error {
		errs := []error{t.sweep.free(), t.up.freeAll(), t.down.freeAll()}
		for _, m := range []*memory{
			&t.loop.clock, &t.w, &t.bias, &t.velocity, &t.delta, &t.offset, &t.change, &t.part, &t.fixed, &t.fixedBias, &t.rounding, &t.groups,
			&t.rows, &t.means, &t.pairs, &t.sums, &t.total, &t.energies[0], &t.energies[1], &t.marks, &t.batch.spins, &t.batch.betas,
		} {
			errs = append(errs, m.free())
		}
		if t.small != nil {
			errs = append(errs, t.small.layers.free())
		}
		for r := range t.sets {
			errs = append(errs, t.sets[r].spins.free(), t.sets[r].betas.free())
		}
		return cmp.Or(errs...)
	})
}
