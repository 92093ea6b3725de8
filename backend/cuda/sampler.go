//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/cu"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// sampler keeps chains on one device as words of 32 units, [word][chain], in
// which each layer starts with a word of its own. A unit's place is 32 times
// the number of its word, plus its bit.
type sampler struct {
	d       *device
	network *spin.Network
	spec    backend.SamplerSpec
	chains  int
	stride  int // chains in a row of words, a multiple of kernels.BlockChains

	first  []int    // first word of each layer
	words  int      // of all layers
	place  []int32  // of each unit
	group  []uint32 // Philox block of each word's first unit
	colors [][]step
	sweep  uint64
	lists  bool // whether any step is a list
	every  int

	clamped bool // some unit is
	plain   bool // every temperature is 1

	loop     loop
	sweeping turn // a sweep
	counting turn // so many sweeps that moments are counted
	size     int  // chains of a launch of a sweep that takes long, 0 for one that does not
	debt     debt
	small    *small // not nil for a network so small that a launch does many sweeps

	spins, rows, groups, base, betas, mix memory
	raw                                   []memory // weights of dense blocks, as they came
	csr                                   struct{ ptr, unit, weight, bias memory }
	sums                                  sums

	host   []uint64 // rows on their way
	failed error    // the device failed: the chains are lost
	closed bool
}

// step updates one colour, or the part of it that lies in one dense layer.
type step struct {
	// A layer that is heard and hears through dense blocks only.
	dense  *dense
	layer  int
	blocks []int // that the layer hears, in the order of its inputs

	// Any units: words and bits.
	items memory
	count int
}

func newSampler(d *device, spec backend.SamplerSpec) (*sampler, error) {
	n := spec.Network
	s := &sampler{d: d, spec: spec, chains: spec.Chains, sweep: spec.FirstSweep, every: max(spec.Moments.Every, 1)}
	s.spec.Network, s.spec.Clamped, s.spec.Colors, s.spec.Temperatures = nil, nil, nil, nil
	s.spec.Base = append([]int32(nil), spec.Base...)
	s.stride = padded(spec.Chains)
	s.clamped = slices.Contains(spec.Clamped, true)
	stream := n.StreamUnits()
	for l, size := range n.Layers {
		s.first = append(s.first, s.words)
		for i := range size {
			s.place = append(s.place, int32(s.words*kernels.WordUnits+i))
		}
		for i := 0; i < size; i += kernels.WordUnits {
			s.group = append(s.group, (stream[l]+uint32(i))/8)
			s.words++
		}
	}
	colors, err := backend.Coloring(n, spec.Colors)
	if err != nil {
		return nil, err
	}
	betas, err := backend.Betas(spec.Temperatures, spec.Chains)
	if err != nil {
		return nil, err
	}
	s.size = s.slice(n, sliceWork, sliceLists)
	s.sweeping = turn{sweeps: 1, queue: func(sweep, _ uint64) error { return s.once(sweep) }}
	s.counting = turn{sweeps: uint64(s.every), queue: func(sweep, _ uint64) error {
		if s.small != nil {
			if err := s.small.queue(s.d, s.chunk(sweep), s.every); err != nil {
				return err
			}
			return s.sums.queue(s)
		}
		for i := range uint64(s.every) {
			if err := s.once(sweep + i); err != nil {
				return err
			}
		}
		return s.sums.queue(s)
	}}
	err = d.do("starting chains", func() error {
		if err := s.loop.start(d); err != nil {
			return err
		}
		if err := s.plan(n, colors, spec.Clamped); err != nil {
			return err
		}
		if !s.lists && s.size == 0 && len(s.colors) > 0 && d.fitsSweeps(n.Layers) {
			s.small = new(small)
		}
		if err := s.load(n); err != nil {
			return err
		}
		if err := s.setBetas(betas); err != nil {
			return err
		}
		if err := s.start(); err != nil {
			return err
		}
		return s.sums.reset(s)
	})
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// plan makes the steps of each colour: whole layers that are coupled densely
// to other layers only, and lists of units otherwise.
func (s *sampler) plan(n *spin.Network, colors [][]int32, clamped []bool) error {
	s.raw = make([]memory, len(n.Blocks))
	whollyDense := make([]bool, len(n.Layers))
	heard := make([][]int, len(n.Layers))
	for l, size := range n.Layers {
		whollyDense[l] = kernels.Tiles(size, 3) <= kernels.MaxGridY
	}
	for k := range n.Blocks {
		b := &n.Blocks[k]
		for _, l := range []int{b.A, b.B} {
			whollyDense[l] = whollyDense[l] && b.A != b.B && !b.Sparse()
			heard[l] = append(heard[l], k)
		}
	}
	for _, class := range colors {
		s.colors = append(s.colors, nil)
		steps := &s.colors[len(s.colors)-1]
		list := map[uint32]uint32{}
		for layer, size := range n.Layers {
			from, whole := int32(n.First(layer)), 0
			var units []int32 // that are free
			for _, u := range class {
				if u < from || u >= from+int32(size) {
					continue
				}
				whole++
				if clamped == nil || !clamped[u] {
					units = append(units, u)
				}
			}
			if len(units) > 0 && whole == size && whollyDense[layer] && len(heard[layer]) > 0 {
				*steps = append(*steps, step{dense: &dense{units: size}, layer: layer, blocks: heard[layer]})
				if err := s.planDense(n, &(*steps)[len(*steps)-1], units); err != nil {
					return err
				}
				continue
			}
			for _, u := range units {
				p := uint32(s.place[u])
				list[p/kernels.WordUnits] |= 1 << (p % kernels.WordUnits)
			}
		}
		if len(list) == 0 {
			continue
		}
		var items []uint32
		for w := range uint32(s.words) {
			if bits := list[w]; bits != 0 {
				items = append(items, w, bits)
			}
		}
		*steps, s.lists = append(*steps, step{count: len(items) / 2}), true
		if err := fill(&(*steps)[len(*steps)-1].items, items); err != nil {
			return err
		}
	}
	return nil
}

// planDense lists the inputs of a dense step and marks its free units.
func (s *sampler) planDense(n *spin.Network, st *step, units []int32) error {
	var from []int32
	for _, k := range st.blocks {
		in := n.Blocks[k].A + n.Blocks[k].B - st.layer
		for w := range wordsOf(n.Layers[in]) {
			from = append(from, int32(s.first[in]+w))
		}
	}
	free := make([]uint16, 2*wordsOf(n.Layers[st.layer]))
	for _, u := range units {
		i := int(s.place[u]) - s.first[st.layer]*kernels.WordUnits
		free[i/kernels.GroupUnits] |= 1 << (i % kernels.GroupUnits)
	}
	return st.dense.plan(from, free)
}

func (st *step) freeAll() error {
	if st.dense != nil {
		return st.dense.freeAll()
	}
	return st.items.free()
}

// load brings the weights of n to the device.
func (s *sampler) load(n *spin.Network) error {
	s.network = n
	if s.spec.Base != nil {
		base := make([]int32, s.words*kernels.WordUnits)
		for u, x := range s.spec.Base {
			base[s.place[u]] = x
		}
		if err := cmp.Or(fill(&s.base, base), fill(&s.mix, []uint32{s.spec.Mix})); err != nil {
			return err
		}
	}
	loaded := make([]bool, len(n.Blocks))
	for _, steps := range s.colors {
		for i := range steps {
			if steps[i].dense == nil {
				continue
			}
			for _, k := range steps[i].blocks {
				if loaded[k] {
					continue
				}
				loaded[k] = true
				if err := fill(&s.raw[k], n.Blocks[k].W); err != nil {
					return err
				}
			}
			if err := s.pack(n, &steps[i]); err != nil {
				return err
			}
		}
	}
	if !s.lists {
		return s.layers()
	}
	return s.loadLists(n)
}

// pack turns the weights of a dense layer into fragments.
func (s *sampler) pack(n *spin.Network, st *step) error {
	l, digits := st.dense, 2
	for k := range n.Blocks {
		if s.small != nil || slices.Contains(st.blocks, k) {
			digits = max(digits, kernels.Digits(n.Blocks[k].W))
		}
	}
	bias := make([]int32, wordsOf(l.units)*kernels.WordUnits)
	f := n.First(st.layer)
	copy(bias, n.Bias[f:f+l.units])
	if err := fill(&l.bias, bias); err != nil {
		return err
	}
	if err := l.room(digits); err != nil {
		return err
	}
	at := 0
	for _, k := range st.blocks {
		b := &n.Blocks[k]
		inputs := n.Layers[b.A+b.B-st.layer]
		perInput, perUnit := n.Layers[b.B], 1
		if b.A == st.layer {
			perInput, perUnit = perUnit, perInput
		}
		if err := l.pack(s.d, &s.raw[k], inputs, perInput, perUnit, at); err != nil {
			return err
		}
		at += wordsOf(inputs)
	}
	return nil
}

// loadLists brings the couplings of all units to the device as lists.
func (s *sampler) loadLists(n *spin.Network) error {
	ptr, unit, weight := n.Neighbors()
	if len(unit) >= 1<<31 {
		return fmt.Errorf("%d couplings, want below 2³¹ on a CUDA device", len(unit))
	}
	for i, u := range unit {
		unit[i] = s.place[u]
	}
	places := s.words * kernels.WordUnits
	from, bias := make([]int32, places+1), make([]int32, places)
	at := 0
	for u, p := range s.place {
		for ; at <= int(p); at++ {
			from[at] = int32(ptr[u])
		}
		bias[p] = n.Bias[u]
	}
	for ; at <= places; at++ {
		from[at] = int32(len(unit))
	}
	if err := fill(&s.csr.ptr, from); err != nil {
		return err
	}
	if err := fill(&s.csr.unit, unit); err != nil {
		return err
	}
	if err := fill(&s.csr.weight, weight); err != nil {
		return err
	}
	return fill(&s.csr.bias, bias)
}

// padded is a number of chains in whole blocks.
func padded(chains int) int {
	return (chains + kernels.BlockChains - 1) / kernels.BlockChains * kernels.BlockChains
}

// blocks is how many blocks of the given size n things need.
func blocks(n int64, size int) int { return int((n + int64(size) - 1) / int64(size)) }

func (s *sampler) setBetas(betas []uint64) error {
	all := make([]uint64, s.stride)
	s.plain = !slices.ContainsFunc(betas, func(b uint64) bool { return b != 1<<spin.XBits })
	for c := range s.chains {
		b := betas[c%len(betas)]
		if b == spin.BetaCold {
			b = kernels.BetaCold
		}
		all[c] = b
	}
	return fill(&s.betas, all)
}

// start makes room for the chains and tosses a fair coin for every spin.
func (s *sampler) start() error {
	valid := make([]uint32, s.words)
	for _, p := range s.place {
		valid[p/kernels.WordUnits] |= 1 << (p % kernels.WordUnits)
	}
	if err := hold[uint32](&s.rows, int64(s.words)*int64(s.stride)); err != nil {
		return err
	}
	if err := hold[uint32](&s.spins, int64(s.words)*int64(s.stride)); err != nil {
		return err
	}
	if err := s.spins.zero(); err != nil {
		return err
	}
	if err := fill(&s.groups, s.group); err != nil {
		return err
	}
	var exist memory
	if err := fill(&exist, valid); err != nil {
		return cmp.Or(err, exist.free())
	}
	err := s.d.launch("toss_coins", s.stride/128, min(s.words, kernels.MaxGridY), 1, 128,
		s.spins.u(0), exist.u(0), s.groups.u(0), uint64(s.words), uint64(s.stride), uint64(s.chains),
		uint64(s.spec.FirstChain), uint64(philox.Init), s.spec.Seed, s.sweep)
	return cmp.Or(err, exist.free())
}

// slice returns how many chains a launch takes of a sweep that is longer than
// a launch may be, in whole blocks; 0 for a sweep that is not.
func (s *sampler) slice(n *spin.Network, dense, lists int64) int {
	most := int64(math.MaxInt64)
	for k := range n.Blocks {
		b := &n.Blocks[k]
		limit := dense
		if b.A == b.B || b.Sparse() {
			limit = lists
		}
		most = min(most, limit/int64(max(1, len(b.W))))
	}
	if most >= int64(s.chains) {
		return 0
	}
	return max(1, int(most)/kernels.BlockChains) * kernels.BlockChains
}

// sweeps queues n sweeps, and the counting of moments; done are those of the
// call so far.
func (s *sampler) sweeps(done, n int) error {
	counts := s.spec.Moments.Any()
	if s.small != nil && s.loop.point != 0 { // annealing has left it elsewhere
		if err := s.loop.move(s.sweep, 0); err != nil {
			return err
		}
	}
	for n > 0 {
		t, turns, m := &s.sweeping, n, n
		switch left := s.every - done%s.every; {
		case !counts:
		case left == s.every && n >= s.every && s.every <= mostPeriod:
			t, turns = &s.counting, n/s.every
			m = turns * s.every
		default:
			m = min(n, left)
			turns = m
		}
		if s.small != nil && t == &s.sweeping {
			// The sweeps are the launch's own, and the clock stays where it is.
			if err := s.small.queue(s.d, s.chunk(s.sweep-s.loop.sweep), m); err != nil {
				return err
			}
		} else if err := s.loop.repeat(t, turns, s.sweep, 0); err != nil {
			return err
		}
		s.sweep, done, n = s.sweep+uint64(m), done+m, n-m
		switch {
		case t == &s.counting:
			s.sums.samples += int64(turns) * int64(s.chains)
		case counts && done%s.every == 0:
			if err := s.sums.add(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostPeriod is how many sweeps are counted together as one turn.
const mostPeriod = 16

// long does sweep i of a call one launch after another, and may leave the rest
// of it to the next call.
func (s *sampler) long(ctx context.Context, i int) error {
	var steps []*step
	for _, color := range s.colors {
		for k := range color {
			steps = append(steps, &color[k])
		}
	}
	slices, at := blocks(int64(s.chains), s.size), s.sweep
	s.debt = debt{all: len(steps) * slices, queue: func(k int) error {
		lo := k % slices * s.size
		return s.update(steps[k/slices], lo, min(s.size, s.chains-lo), s.draws(at-s.loop.sweep))
	}}
	if s.spec.Moments.Any() && i%s.every == 0 {
		s.debt.after = func() error { return s.sums.add(s) }
	}
	s.sweep++
	return s.debt.pay(ctx)
}

// once queues a sweep so far ahead of the clock.
func (s *sampler) once(ahead uint64) error {
	for _, steps := range s.colors {
		for k := range steps {
			if err := s.update(&steps[k], 0, s.chains, s.draws(ahead)); err != nil {
				return err
			}
		}
	}
	return nil
}

// layers brings a small network's layers to the device.
func (s *sampler) layers() error {
	if s.small == nil {
		return nil
	}
	var layers []smallLayer
	digits := 2
	for _, steps := range s.colors {
		for i := range steps {
			st := &steps[i]
			first, base := s.first[st.layer], uint64(0)
			if s.spec.Base != nil {
				base = s.base.u(int64(first) * kernels.WordUnits * 4)
			}
			layers = append(layers, st.dense.small(base, first, s.group[first]|uint32(s.spec.Stream)<<24))
			digits = st.dense.digits
		}
	}
	return s.small.take(layers, digits, s.words)
}

// chunk is what all layers of a small network's sweeps share, so far ahead of the
// clock.
func (s *sampler) chunk(ahead uint64) *half {
	h := &half{
		spins: s.spins.u(0), betas: s.betas.u(0), stride: s.stride, chains: s.chains, chain0: s.spec.FirstChain, seed: s.spec.Seed,
		clock: s.loop.clock.u(0), ahead: ahead, frac: s.network.Frac,
	}
	if s.spec.Base != nil {
		h.mix = s.mix.u(0)
	}
	return h
}

// draws is what a launch for some units takes from the clock on: the sweep that
// far ahead, the interpolation, and where fields go.
type draws struct{ ahead, mix, fields uint64 }

func (s *sampler) draws(ahead uint64) draws { return draws{ahead: ahead, mix: s.mix.u(0)} }

// update queues a step of n chains from lo on.
func (s *sampler) update(st *step, lo, n int, r draws) error {
	stream := uint64(s.spec.Stream)
	var base uint64
	if s.spec.Base != nil {
		base = s.base.u(0)
	}
	if st.dense == nil {
		return s.d.launch("gibbs_list", blocks(int64(n), 128), min(st.count, kernels.MaxGridY), 1, 128,
			st.items.u(0), uint64(st.count), s.csr.ptr.u(0), s.csr.unit.u(0), s.csr.weight.u(0), s.csr.bias.u(0), s.groups.u(0), base,
			s.spins.u(4*int64(lo)), s.betas.u(8*int64(lo)), uint64(s.d.table), uint64(s.stride), uint64(n), uint64(s.spec.FirstChain+uint32(lo)), stream,
			s.spec.Seed, s.loop.clock.u(0), r.ahead, uint64(s.network.Frac), r.mix)
	}
	first := s.first[st.layer]
	if base != 0 {
		base = s.base.u(int64(first) * kernels.WordUnits * 4)
	}
	return st.dense.update(s.d, half{
		spins: s.spins.u(0), out: s.spins.u(4 * int64(first) * int64(s.stride)), base: base, betas: s.betas.u(0),
		stride: s.stride, chain0: s.spec.FirstChain, block0: s.group[first] | uint32(s.spec.Stream)<<24,
		seed: s.spec.Seed, clock: s.loop.clock.u(0), ahead: r.ahead, frac: s.network.Frac, mix: r.mix, fields: r.fields,
	}.part(lo, n))
}

// usable reports why the sampler cannot go on.
func (s *sampler) usable() error {
	if s.closed {
		return errors.New("sampler is closed")
	}
	return s.failed
}

// on runs f on the device's thread, after a whole sweep; if that fails the chains
// are lost.
func (s *sampler) on(doing string, f func() error) error {
	return s.until(context.Background(), doing, f)
}

// until is on, but leaves f undone if ctx ends before the sweep does.
func (s *sampler) until(ctx context.Context, doing string, f func() error) error {
	if err := s.usable(); err != nil {
		return err
	}
	s.failed = s.d.do(doing, func() error {
		if err := s.debt.pay(ctx); err != nil || s.debt.owed() {
			return err
		}
		return f()
	})
	return s.failed
}

// toRows puts the spins in rows of units, on the device.
func (s *sampler) toRows() error {
	return s.d.launch("spins_to_rows", s.stride/128, min(s.words, kernels.MaxGridY), 1, 128,
		s.spins.u(0), s.rows.u(0), uint64(s.words), uint64(s.stride), uint64(s.chains))
}

// row is a unit's place in s.host.
func (s *sampler) row(unit int) []uint64 {
	size := s.stride / 64
	return s.host[int(s.place[unit])*size:][:(s.chains+63)/64]
}

func (s *sampler) room() {
	if s.host == nil {
		s.host = make([]uint64, s.words*kernels.WordUnits*s.stride/64)
	}
}

// state copies the spins to the words that row gives for each unit.
func (s *sampler) state(row func(unit int) []uint64) error {
	s.room()
	if err := s.on("copying its chains", func() error {
		if err := s.toRows(); err != nil {
			return err
		}
		return fetch(s.host, &s.rows)
	}); err != nil {
		return err
	}
	for u := range s.place {
		copy(row(u), s.row(u))
	}
	return nil
}

// setState takes the spins from the words that row gives for each unit.
func (s *sampler) setState(row func(unit int) []uint64) error {
	s.room()
	clear(s.host)
	for u := range s.place {
		copy(s.row(u), row(u))
	}
	return s.on("taking chains", func() error {
		if err := fill(&s.rows, s.host); err != nil {
			return err
		}
		return s.d.launch("rows_to_spins", s.stride/128, min(s.words, kernels.MaxGridY), 1, 128,
			s.rows.u(0), s.spins.u(0), uint64(s.words), uint64(s.stride))
	})
}

func (s *sampler) SetNetwork(n *spin.Network) error {
	return s.SetNetworkContext(context.Background(), n)
}

func (s *sampler) SetNetworkContext(ctx context.Context, n *spin.Network) error {
	if err := backend.CheckSameShapeContext(ctx, s.network, n); err != nil {
		return err
	}
	return s.on("taking weights", func() error { return s.load(n) })
}

func (s *sampler) SetTemperatures(t []float64) error {
	betas, err := backend.Betas(t, s.chains)
	if err != nil {
		return err
	}
	return s.on("taking temperatures", func() error { return s.setBetas(betas) })
}

func (s *sampler) SetMix(mix uint32) error {
	if err := backend.CheckBase(s.network, s.spec.Base, mix); err != nil {
		return err
	}
	return s.on("taking an interpolation", func() error { return s.setMix(mix) })
}

func (s *sampler) setMix(mix uint32) error {
	s.spec.Mix = mix
	if s.spec.Base == nil {
		return nil
	}
	return cu.MemsetD32(s.mix.at, mix, 1)
}

// Close frees the chains' memory.
func (s *sampler) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.d.do("freeing chains", func() error {
		errs := []error{s.sweeping.free(), s.counting.free(), s.sums.free()}
		for _, m := range []*memory{&s.loop.clock, &s.spins, &s.rows, &s.groups, &s.base, &s.betas, &s.mix, &s.csr.ptr, &s.csr.unit, &s.csr.weight, &s.csr.bias} {
			errs = append(errs, m.free())
		}
		if s.small != nil {
			errs = append(errs, s.small.layers.free())
		}
		for i := range s.raw {
			errs = append(errs, s.raw[i].free())
		}
		for _, steps := range s.colors {
			for i := range steps {
				errs = append(errs, steps[i].freeAll())
			}
		}
		return cmp.Or(errs...)
	})
}
