//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"unsafe"

	"gorgonia.org/cu"

	"kadanoff/backend"
	"kadanoff/kernels/lattice"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

// ising is a lattice job on one device: spins, generators and counts stay
// there.
type ising struct {
	d     *device
	spec  backend.LatticeSpec
	g     backend.LatticeGeometry
	tiles lattice.Tiles
	key   philox.Key
	word0 int // first word held
	words int
	sites int64
	sweep uint64

	levels, holder []int // of each replica held, and the inverse
	one, none      []uint64
	beta           []float64 // 1/T of each level
	planes         []uint64  // thresholds as the kernels want them; one set for all words, or one each

	loop                loop
	sweeping, recording turn
	every               int // sweeps of a turn that is recorded
	size                int // threads of a launch of a sweep that takes long, 0 for one that does not
	debt                debt
	pace                pace

	job, spins, valid, thresholds, drawn, states, counts memory

	failed error
	closed bool
}

// latticeJob is struct Job of lattice.cu.
type latticeJob struct {
	wideX, wideY                          [lattice.Lanes]uint64
	keepLeft, keepRight, keepUp, keepDown uint64
	seed                                  uint64
	siteWidth                             int64
	width, height                         int32
	tilesX, tilesY                        int32
	narrowX, narrowY                      int32
	logX, logTiles                        int32
	blocks, words, replicas               int32
	word0                                 uint32
	first, held                           int32
	planeStride                           int32
	_                                     int32
}

// NewLattice starts replicas on the first device. A backend that was chosen
// automatically leaves to the CPU what has too few blocks of rows to keep a
// device busy (docs/gpu.md).
func (b *Backend) NewLattice(spec backend.LatticeSpec) (backend.Lattice, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	g := backend.LatticeTiles(spec.Width, spec.Height, spec.Replicas)
	words := (spec.First+spec.Held()-1)/g.Replicas - spec.First/g.Replicas + 1
	if b.auto && words*g.Blocks < 64*b.Backend.Info().Threads || spec.Replicas >= 1<<31 {
		return b.Backend.NewLattice(spec)
	}
	return newIsing(b.devices[0], spec, g, words)
}

func newIsing(d *device, spec backend.LatticeSpec, g backend.LatticeGeometry, words int) (*ising, error) {
	spec.Temperatures = slices.Clone(spec.Temperatures)
	s := &ising{
		d: d, spec: spec, g: g, key: philox.NewKey(spec.Seed), word0: spec.First / g.Replicas, words: words,
		sites: int64(spec.Width) * int64(spec.Height), sweep: spec.FirstSweep,
		tiles: lattice.Tiles{X: g.TilesX, Y: g.TilesY, Width: g.Width, Height: g.Height, NarrowX: g.NarrowX, NarrowY: g.NarrowY},
	}
	s.tiles.Prepare()
	held := spec.Held()
	s.levels, s.holder, s.one, s.none = make([]int, held), make([]int, held), make([]uint64, held), make([]uint64, held)
	for i := range s.levels {
		s.levels[i], s.holder[i] = i, i
	}
	s.rule(spec.Temperatures)
	s.size = s.slice(sliceSpins)
	s.sweeping = turn{sweeps: 1, queue: func(sweep, _ uint64) error { return s.once(sweep) }}
	if err := s.on("starting a lattice", s.start); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// keep returns the bits of a lane that a turn of its tiles does not bring from
// elsewhere.
func keep(block, step int, reverse bool) (mask uint64) {
	block = min(block, 64)
	for i := range 64 {
		if within := i % block; !reverse && within < block-step || reverse && within >= step {
			mask |= 1 << i
		}
	}
	return mask
}

func (s *ising) start() error {
	g, all := s.g, s.g.TilesX*s.g.TilesY
	job := latticeJob{
		keepLeft: keep(g.TilesX, 1, true), keepRight: keep(g.TilesX, 1, false),
		keepUp: keep(all, g.TilesX, true), keepDown: keep(all, g.TilesX, false),
		seed: s.spec.Seed, siteWidth: int64(s.spec.Width), width: int32(g.Width), height: int32(g.Height), tilesX: int32(g.TilesX), tilesY: int32(g.TilesY),
		narrowX: int32(g.NarrowX), narrowY: int32(g.NarrowY), logX: int32(bits.Len(uint(g.TilesX - 1))), logTiles: int32(bits.Len(uint(all - 1))),
		blocks: int32(g.Blocks), words: int32(s.words), replicas: int32(g.Replicas), word0: uint32(s.word0), first: int32(s.spec.First), held: int32(len(s.levels)),
	}
	if len(s.planes) > planeWords {
		job.planeStride = planeWords
	}
	valid := make([]uint64, s.words*lattice.Lanes)
	for bit := range lattice.Bits {
		u, v := bit%g.TilesX, bit/g.TilesX%g.TilesY
		if u < g.TilesX-g.NarrowX {
			job.wideX[bit/64] |= 1 << (bit % 64)
		}
		if v < g.TilesY-g.NarrowY {
			job.wideY[bit/64] |= 1 << (bit % 64)
		}
		for w := range s.words {
			if r := (s.word0+w)*g.Replicas + bit/all - s.spec.First; r >= 0 && r < len(s.levels) {
				valid[w*lattice.Lanes+bit/64] |= 1 << (bit % 64)
			}
		}
	}
	size := s.tiles.Size()
	for _, err := range []error{
		s.loop.start(s.d), fill(&s.job, unsafe.Slice((*byte)(unsafe.Pointer(&job)), unsafe.Sizeof(job))), fill(&s.valid, valid),
		hold[uint64](&s.spins, 2*int64(size)*int64(s.words)), hold[uint64](&s.states, int64(s.words)*int64(g.Blocks)*4*lattice.Lanes),
		s.sendRule(),
	} {
		if err != nil {
			return err
		}
	}
	word := make([]uint64, 2*size)
	state := make([]int8, s.sites)
	for w := range s.words {
		for i := range word {
			word[i] = ^uint64(0)
		}
		for r := max(0, (s.word0+w)*g.Replicas-s.spec.First); s.spec.Random && r < len(s.levels) && s.wordOf(r) == w; r++ {
			for site := 0; site < len(state); site += 128 {
				b := philox.Block(philox.Counter(philox.Init, uint32(s.spec.First+r), uint32(site>>7), s.spec.FirstSweep), s.key)
				for k := range min(128, len(state)-site) {
					state[site+k] = int8(b[k>>5]>>(k&31)&1)<<1 - 1
				}
			}
			s.put(word, r, state)
		}
		if err := s.send(w, word); err != nil {
			return err
		}
	}
	return nil
}

// wordOf is which of the words held a replica is in.
func (s *ising) wordOf(r int) int { return (s.spec.First+r)/s.g.Replicas - s.word0 }

// send brings a word's spins to the device, with their halo.
func (s *ising) send(w int, word []uint64) error {
	size := len(word) / 2
	for c := range 2 {
		spins := word[c*size : (c+1)*size]
		for y := range s.g.Height {
			s.tiles.Sides(spins, c, y)
		}
		s.tiles.Top(spins)
		s.tiles.Bottom(spins)
	}
	return cu.MemcpyHtoD(s.spins.at+cu.DevicePtr(bytesOf(word)*int64(w)), unsafe.Pointer(&word[0]), bytesOf(word))
}

// receive copies a word's spins from the device.
func (s *ising) receive(w int) ([]uint64, error) {
	word := make([]uint64, 2*s.tiles.Size())
	return word, cu.MemcpyDtoH(unsafe.Pointer(&word[0]), s.spins.at+cu.DevicePtr(bytesOf(word)*int64(w)), bytesOf(word))
}

// each calls f with the place in its word of every site of a replica: index,
// bit and the site's number.
func (s *ising) each(r int, f func(at int, bit uint, site int)) {
	global, size := s.spec.First+r, s.tiles.Size()
	for v := range s.g.TilesY {
		for u := range s.g.TilesX {
			bit := (global%s.g.Replicas*s.g.TilesY+v)*s.g.TilesX + u
			for y := range s.g.TileHeight(v) {
				site := (s.g.OriginY(v)+y)*s.spec.Width + s.g.OriginX(u)
				for x := range s.g.TileWidth(u) {
					f((x+y)&1*size+s.tiles.Start(y)+x/2*lattice.Lanes+bit/64, uint(bit%64), site+x)
				}
			}
		}
	}
}

func (s *ising) put(word []uint64, r int, src []int8) {
	s.each(r, func(at int, bit uint, site int) {
		word[at] &^= 1 << bit
		if src[site] > 0 {
			word[at] |= 1 << bit
		}
	})
}

// planeWords is the length of a word's thresholds.
const planeWords = lattice.Planes * 2 * lattice.Lanes

// rule computes thresholds from the temperatures of the levels.
func (s *ising) rule(t []float64) {
	s.beta = make([]float64, len(s.levels))
	known := map[float64][2]uint64{}
	for l, r := range s.holder {
		v := t[min(l, len(t)-1)]
		p, ok := known[v]
		if !ok {
			p[0], p[1] = lattice.Thresholds(lattice.Algorithm(s.spec.Algorithm), v)
			known[v] = p
		}
		s.beta[l], s.one[r], s.none[r] = 1/v, p[0], p[1]
	}
	if len(t) == 1 && s.spec.Exchange == 0 {
		s.planes = make([]uint64, planeWords)
		lattice.SetPlanes(s.planes, 0, lattice.Bits, s.one[0], s.none[0])
		return
	}
	s.planes = make([]uint64, s.words*planeWords)
	for r := range s.levels {
		s.setPlanes(r)
	}
}

func (s *ising) setPlanes(r int) {
	tiles := s.g.TilesX * s.g.TilesY
	bit := (s.spec.First + r) % s.g.Replicas * tiles
	lattice.SetPlanes(s.planes[s.wordOf(r)*planeWords:][:planeWords], bit, bit+tiles, s.one[r], s.none[r])
}

// sendRule brings the thresholds to the device.
func (s *ising) sendRule() error {
	if err := fill(&s.thresholds, append(slices.Clone(s.one), s.none...)); err != nil {
		return err
	}
	return fill(&s.drawn, s.planes)
}

// setLevel gives a replica a level's temperature.
func (s *ising) setLevel(r, level int, one, none uint64) {
	s.levels[r], s.holder[level] = level, r
	s.one[r], s.none[r] = one, none
	s.setPlanes(r)
}

// usable reports why the lattice cannot go on.
func (s *ising) usable() error {
	if s.closed {
		return errors.New("lattice is closed")
	}
	return s.failed
}

// on runs f on the device's thread, after a whole sweep; if that fails the
// replicas are lost.
func (s *ising) on(doing string, f func() error) error {
	return s.until(context.Background(), doing, f)
}

// until is on, but leaves f undone if ctx ends before the sweep does.
func (s *ising) until(ctx context.Context, doing string, f func() error) error {
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

// whole has a sweep done that was stopped inside: what it leads to are other
// temperatures too.
func (s *ising) whole() error {
	if !s.debt.owed() {
		return s.usable()
	}
	return s.on("finishing a sweep", func() error { return nil })
}

// threads is how many take part in a colour of a sweep.
func (s *ising) threads() int { return s.words * s.g.Blocks * lattice.Lanes }

// slice returns how many threads a launch takes of a sweep that is longer than
// a launch may be, in whole blocks; 0 for a sweep that is not.
func (s *ising) slice(spins int) int {
	each := (s.g.Height/s.g.Blocks + 1) * s.g.Width / 2 * 64
	if s.threads() <= spins/each {
		return 0
	}
	return max(1, spins/each/128) * 128
}

// color queues one colour of a sweep, n threads from the given one on.
func (s *ising) color(color uint64, from, n int, ahead uint64) error {
	kernel := "lattice_metropolis"
	if s.spec.Algorithm == backend.HeatBath {
		kernel = "lattice_heat_bath"
	}
	return s.d.launch(kernel, blocks(int64(n), 128), 1, 1, 128, s.job.u(0), s.spins.u(0), s.valid.u(0), s.drawn.u(0),
		s.thresholds.u(0), s.thresholds.u(int64(8*len(s.one))), s.states.u(0), color, s.loop.clock.u(0), ahead, uint64(from))
}

// ends queues the halo of a colour.
func (s *ising) ends(color uint64) error {
	return s.d.launch("lattice_ends", blocks(int64(s.words)*int64(s.g.Width/2)*lattice.Lanes, 128), 1, 1, 128, s.job.u(0), s.spins.u(0), color)
}

// once queues a sweep so far ahead of the clock.
func (s *ising) once(ahead uint64) error {
	for color := range uint64(2) {
		if err := s.color(color, 0, s.threads(), ahead); err != nil {
			return err
		}
		if err := s.ends(color); err != nil {
			return err
		}
	}
	return nil
}

// long does a sweep one launch after another, and may leave the rest of it to
// the next call.
func (s *ising) long(ctx context.Context) error {
	slices, at := blocks(int64(s.threads()), s.size), s.sweep
	s.debt = debt{all: 2 * (slices + 1), queue: func(k int) error {
		color, part := uint64(k/(slices+1)), k%(slices+1)
		if part == slices {
			return s.ends(color)
		}
		from := part * s.size
		return s.color(color, from, min(s.size, s.threads()-from), at-s.loop.sweep)
	}}
	s.sweep++
	return s.debt.pay(ctx)
}

// count queues a measurement into the row of the counts so far ahead.
func (s *ising) count(row uint64) error {
	return s.d.launch("lattice_count", blocks(int64(s.threads()), 128), 1, 1, 128, s.job.u(0), s.spins.u(0), s.valid.u(0),
		s.counts.u(16*int64(row)*int64(len(s.levels))), s.loop.clock.u(0))
}

// period makes `recording` so many sweeps and a measurement.
func (s *ising) period(every int) error {
	if every == s.every {
		return nil
	}
	err := s.recording.free()
	s.every = every
	s.recording = turn{sweeps: uint64(every), points: 1, queue: func(sweep, point uint64) error {
		for i := range uint64(every) {
			if err := s.once(sweep + i); err != nil {
				return err
			}
		}
		return s.count(point)
	}}
	return err
}

// Sweep advances every replica by n sweeps.
func (s *ising) Sweep(ctx context.Context, n int) error { return s.Record(ctx, n, max(n, 1), nil, nil) }

// Record advances every replica by n sweeps and writes energies and
// magnetisations, which are counted on the device.
func (s *ising) Record(ctx context.Context, n, every int, energy, magnetization []int64) error {
	if err := s.usable(); err != nil {
		return err
	}
	if err := s.spec.CheckRecord(s.sweep, n, every, energy, magnetization); err != nil {
		return err
	}
	held, before := len(s.levels), 0
	most := max(1, pieceBytes/(16*held))
	if s.size > 0 {
		most = 1
	}
	return s.pace.run(ctx, n, most, func(part int) error {
		defer func() { before += part }()
		return s.until(ctx, "sweeping a lattice", func() error {
			return s.record(ctx, part, before, every, energy, magnetization)
		})
	})
}

// record does some of a call's sweeps, so many of which are done already.
func (s *ising) record(ctx context.Context, part, before, every int, energy, magnetization []int64) error {
	held := len(s.levels)
	exchange := uint64(s.spec.Exchange)
	records := energy != nil || magnetization != nil
	if records || exchange > 0 {
		if err := clean(&s.counts, 2*int64(held)*int64(part)); err != nil {
			return err
		}
		if err := s.loop.move(s.sweep, 0); err != nil {
			return err
		}
	}
	// What has been counted and not been fetched.
	first, rows := 0, []int(nil)
	settle := func() error {
		if len(rows) == 0 {
			return nil
		}
		counts := make([]int64, 2*held*len(rows))
		if err := cu.MemcpyDtoH(unsafe.Pointer(&counts[0]), s.counts.at+cu.DevicePtr(16*first*held), bytesOf(counts)); err != nil {
			return err
		}
		for i := range counts {
			counts[i] = 2*counts[i] - s.sites*int64(2-i/held%2) // bonds, then up spins
		}
		for k, row := range rows {
			c := counts[2*held*k:]
			for r, l := range s.levels {
				if row >= 0 && energy != nil {
					energy[row*held+l] = c[r]
				}
				if row >= 0 && magnetization != nil {
					magnetization[row*held+l] = c[held+r]
				}
			}
		}
		if exchange > 0 && s.sweep%exchange == 0 {
			s.exchange(s.sweep-1, counts[2*held*(len(rows)-1):])
			if err := s.sendRule(); err != nil {
				return err
			}
		}
		first += len(rows)
		rows = rows[:0]
		return nil
	}
	for done, end := before, before+part; done < end; {
		n := end - done
		if records && s.size == 0 && exchange == 0 && done%every == 0 && n >= every && every <= mostPeriod {
			if err := s.period(every); err != nil {
				return err
			}
			turns := n / every
			if err := s.loop.repeat(&s.recording, turns, s.sweep, uint64(first+len(rows))); err != nil {
				return err
			}
			s.sweep += uint64(turns * every)
			for range turns {
				done += every
				rows = append(rows, done/every-1)
			}
			continue
		}
		if records {
			n = min(n, every-done%every)
		}
		if exchange > 0 {
			n = int(min(uint64(n), exchange-s.sweep%exchange))
		}
		if s.size > 0 {
			n = 1
			if err := s.long(ctx); err != nil {
				return err
			}
		} else {
			if err := s.loop.repeat(&s.sweeping, n, s.sweep, s.loop.point); err != nil {
				return err
			}
			s.sweep += uint64(n)
		}
		done += n
		row := -1
		if records && done%every == 0 {
			row = done/every - 1
		}
		meet := exchange > 0 && s.sweep%exchange == 0
		if row < 0 && !meet {
			continue
		}
		event := func() error {
			rows = append(rows, row)
			if err := s.count(uint64(first+len(rows)-1) - s.loop.point); err != nil || !meet {
				return err
			}
			return settle()
		}
		if s.debt.owed() {
			if row = -1; meet { // the caller's record has ended
				s.debt.after = event
			}
			return nil
		}
		if err := event(); err != nil {
			return err
		}
	}
	if s.debt.owed() {
		return nil
	}
	if err := settle(); err != nil {
		return err
	}
	return cu.Synchronize()
}

// exchange swaps temperatures after sweep t, given the replicas' energies.
func (s *ising) exchange(t uint64, energy []int64) {
	length := s.spec.LadderLength()
	event := (t + 1) / uint64(s.spec.Exchange)
	for base := 0; base < len(s.levels); base += length {
		for l := int(event & 1); l+1 < length; l += 2 {
			a, b := s.holder[base+l], s.holder[base+l+1]
			delta := float64((s.beta[base+l] - s.beta[base+l+1]) * float64(energy[a]-energy[b]))
			if delta < 0 {
				w := philox.Block(philox.Counter(philox.Exchange, uint32(s.spec.First+base+l), 0, t), s.key)
				if u := float64((uint64(w[0])|uint64(w[1])<<32)>>11) / (1 << 53); u >= fmath.Exp(delta) {
					continue
				}
			}
			oneA, noneA, oneB, noneB := s.one[a], s.none[a], s.one[b], s.none[b]
			s.setLevel(a, base+l+1, oneB, noneB)
			s.setLevel(b, base+l, oneA, noneA)
		}
	}
}

// Geometry returns how the job is laid out.
func (s *ising) Geometry() backend.LatticeGeometry { return s.g }

// Sweeps returns the number of the next sweep.
func (s *ising) Sweeps() uint64 { return s.sweep }

// State copies a replica's spins.
func (s *ising) State(replica int, dst []int8) error {
	if err := s.usable(); err != nil {
		return err
	}
	if err := s.spec.CheckState(replica, len(dst)); err != nil {
		return err
	}
	var word []uint64
	if err := s.on("copying a lattice", func() (err error) {
		word, err = s.receive(s.wordOf(replica))
		return err
	}); err != nil {
		return err
	}
	s.each(replica, func(at int, bit uint, site int) { dst[site] = int8(word[at]>>bit&1)<<1 - 1 })
	return nil
}

// SetState replaces a replica's spins.
func (s *ising) SetState(replica int, src []int8) error {
	if err := s.usable(); err != nil {
		return err
	}
	if err := s.spec.CheckState(replica, len(src)); err != nil {
		return err
	}
	w := s.wordOf(replica)
	return s.on("taking a lattice", func() error {
		word, err := s.receive(w)
		if err != nil {
			return err
		}
		s.put(word, replica, src)
		return s.send(w, word)
	})
}

// SetTemperatures replaces the temperatures.
func (s *ising) SetTemperatures(t []float64) error {
	if err := s.whole(); err != nil {
		return err
	}
	if err := s.spec.CheckTemperatures(t); err != nil {
		return err
	}
	s.rule(t)
	stride := int32(0)
	if len(s.planes) > planeWords {
		stride = planeWords
	}
	return s.on("taking temperatures", func() error {
		at := s.job.at + cu.DevicePtr(unsafe.Offsetof(latticeJob{}.planeStride))
		if err := cu.MemcpyHtoD(at, unsafe.Pointer(&stride), 4); err != nil {
			return err
		}
		return s.sendRule()
	})
}

// Levels copies the replicas' levels.
func (s *ising) Levels(dst []int) error {
	if len(dst) != len(s.levels) {
		return fmt.Errorf("%d levels for %d replicas", len(dst), len(s.levels))
	}
	err := s.whole()
	copy(dst, s.levels)
	return err
}

// SetLevels restores the replicas' levels.
func (s *ising) SetLevels(src []int) error {
	if err := s.whole(); err != nil {
		return err
	}
	if err := s.spec.CheckLevels(src); err != nil || s.spec.Exchange == 0 {
		return err
	}
	one, none := make([]uint64, len(src)), make([]uint64, len(src))
	for l, r := range s.holder {
		one[l], none[l] = s.one[r], s.none[r]
	}
	for r, l := range src {
		s.setLevel(r, l, one[l], none[l])
	}
	return s.on("taking levels", s.sendRule)
}

// Close frees the replicas.
func (s *ising) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.d.do("freeing a lattice", func() error {
		errs := []error{s.sweeping.free(), s.recording.free()}
		for _, m := range []*memory{&s.loop.clock, &s.job, &s.spins, &s.valid, &s.thresholds, &s.drawn, &s.states, &s.counts} {
			errs = append(errs, m.free())
		}
		return cmp.Or(errs...)
	})
}
