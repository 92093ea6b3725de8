package cpu

import (
	"fmt"
	"math/bits"
	"time"

	"kadanoff/backend"
	"kadanoff/kernels/isa"
	"kadanoff/kernels/lattice"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

// ising is a lattice job on the CPU. Replicas lie in words of 512 bits
// (backend.LatticeGeometry); a word's tiles are swept together.
type ising struct {
	b              *Backend
	spec           backend.LatticeSpec
	g              backend.LatticeGeometry
	tiles          lattice.Tiles
	logX, logTiles int // of the numbers of tiles in a row and in a lattice
	kernel         *lattice.Kernel
	key            philox.Key
	words          []isingWord
	sites          int64

	levels    []int // of each replica held
	holder    []int // the inverse
	one, none []uint64
	beta      []float64 // 1/T of each level

	members []isingMember
	sweep   uint64
	call    isingCall
	energy  []int64 // when last measured, by replica
	magnet  []int64
	chunk   int  // sweeps the team does before it looks at the context
	undo    bool // one sweep takes so long that a cancelled one is undone
	closed  bool
}

// isingWord is the state of one word of replicas.
type isingWord struct {
	index     int // number of the word in the whole job
	spins     [2][]uint64
	saved     [2][]uint64 // with undo
	row, last []uint64    // masks
	planes    []uint64    // shared by all words at one temperature
	states    []uint64    // of the generators, for each block
	counts    []int64     // antiparallel bonds and up spins of each replica, for each block counted by itself
	done      bool
}

// isingMember is the working memory of a member of the team.
type isingMember struct {
	update lattice.Update
	count  lattice.Count
	total  []uint64
	sweep  uint64 // in progress

	// Of blocks that are shared, numbered through all words: those with a
	// neighbour that is another member's, the other ones, and who these
	// members are.
	border, inner, near []int

	_ [64]byte // other members' are on other lines
}

// NewLattice starts replicas on the CPU.
func (b *Backend) NewLattice(spec backend.LatticeSpec) (backend.Lattice, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	spec.Temperatures = append([]float64(nil), spec.Temperatures...)
	g := backend.LatticeTiles(spec.Width, spec.Height, spec.Replicas)
	s := &ising{
		b: b, spec: spec, g: g, kernel: lattice.For(b.level), key: philox.NewKey(spec.Seed),
		sites: int64(spec.Width) * int64(spec.Height), sweep: spec.FirstSweep,
		tiles: lattice.Tiles{X: g.TilesX, Y: g.TilesY, Width: g.Width, Height: g.Height, NarrowX: g.NarrowX, NarrowY: g.NarrowY},
	}
	s.tiles.Prepare()
	s.logX, s.logTiles = bits.Len(uint(g.TilesX-1)), bits.Len(uint(g.TilesX*g.TilesY-1))
	held := spec.Held()
	s.levels, s.holder = make([]int, held), make([]int, held)
	s.one, s.none = make([]uint64, held), make([]uint64, held)
	s.energy, s.magnet = make([]int64, held), make([]int64, held)
	firstWord, lastWord := spec.First/g.Replicas, (spec.First+held-1)/g.Replicas
	s.words = make([]isingWord, lastWord-firstWord+1)
	s.undo = s.sweepTime() > undoTime
	s.chunk = max(1, int(chunkTime/max(s.sweepTime(), time.Nanosecond)))
	for i := range s.words {
		w := &s.words[i]
		w.index = firstWord + i
		for c := range w.spins {
			w.spins[c] = lattice.Aligned(s.tiles.Size())
			if s.undo {
				w.saved[c] = lattice.Aligned(s.tiles.Size())
			}
		}
		valid := make([]uint64, lattice.Lanes)
		for bit := range lattice.Bits {
			if s.replica(w, bit) >= 0 {
				valid[bit/64] |= 1 << (bit % 64)
			}
		}
		w.row, w.last = s.tiles.Masks(valid)
		w.states = lattice.Aligned(g.Blocks * 4 * lattice.Lanes)
		w.counts = make([]int64, g.Blocks*2*g.Replicas)
	}
	rows := 0
	for k := range g.Blocks {
		y0, y1 := s.block(k)
		rows = max(rows, y1-y0)
	}
	s.members = make([]isingMember, b.team.size)
	for i := range s.members {
		m := &s.members[i]
		m.total = lattice.Aligned(2 * lattice.Depth * lattice.Lanes)
		m.update.Log = make([]uint64, lattice.LogSize(rows*g.Width/2))
	}
	s.share()
	for i := range s.levels {
		s.levels[i], s.holder[i] = i, i
	}
	s.setTemperatures(spec.Temperatures)
	s.start()
	return s, nil
}

// Time of a sweep above which a cancelled one is undone rather than finished,
// and the longest that the team runs before it looks at the context.
const (
	undoTime  = 50 * time.Millisecond
	chunkTime = 25 * time.Millisecond
)

// sweepTime estimates the time of a sweep of everything, generously. NEON has
// not been timed: it takes about 800 instructions for a word.
func (s *ising) sweepTime() time.Duration {
	perWord := map[isa.Level]time.Duration{isa.Generic: 600, isa.AVX2: 60, isa.AVX512: 40, isa.NEON: 400}[s.kernel.Level]
	words := time.Duration(len(s.words)) * time.Duration(s.g.Width*s.g.Height)
	return words * perWord / time.Duration(s.b.team.size)
}

// replica returns which of the replicas held a bit of a word belongs to, −1 if
// none.
func (s *ising) replica(w *isingWord, bit int) int {
	r := w.index*s.g.Replicas + bit/(s.g.TilesX*s.g.TilesY) - s.spec.First
	if r < 0 || r >= len(s.levels) {
		return -1
	}
	return r
}

// block returns the rows of a block.
func (s *ising) block(k int) (from, to int) {
	return k * s.g.Height / s.g.Blocks, (k + 1) * s.g.Height / s.g.Blocks
}

// start sets the spins of a new lattice.
func (s *ising) start() {
	for i := range s.words {
		w := &s.words[i]
		for c := range w.spins {
			for y := range s.g.Height {
				row := w.spins[c][s.tiles.Start(y):][:s.g.Width/2*lattice.Lanes]
				for j := range row {
					row[j] = ^uint64(0)
				}
			}
		}
	}
	if s.spec.Random {
		dst := make([]int8, s.sites)
		for r := range s.levels {
			for site := 0; site < len(dst); site += 128 {
				b := philox.Block(philox.Counter(philox.Init, uint32(s.spec.First+r), uint32(site>>7), s.spec.FirstSweep), s.key)
				for k := range min(128, len(dst)-site) {
					dst[site+k] = int8(b[k>>5]>>(k&31)&1)<<1 - 1
				}
			}
			s.put(r, dst)
		}
	}
	for i := range s.words {
		s.halo(&s.words[i])
	}
}

// halo fills the halo of a word's replicas.
func (s *ising) halo(w *isingWord) {
	for c := range w.spins {
		for y := range s.g.Height {
			s.tiles.Sides(w.spins[c], c, y)
		}
		s.tiles.Top(w.spins[c])
		s.tiles.Bottom(w.spins[c])
	}
}

// each calls f with the place of every site of a replica: the colour's array,
// the index of the uint64, the bit in it and the site's number.
func (s *ising) each(r int, f func(spins []uint64, at int, bit uint, site int)) {
	global := s.spec.First + r
	w := &s.words[global/s.g.Replicas-s.words[0].index]
	for v := range s.g.TilesY {
		for u := range s.g.TilesX {
			bit := (global%s.g.Replicas*s.g.TilesY+v)*s.g.TilesX + u
			for y := range s.g.TileHeight(v) {
				site := (s.g.OriginY(v)+y)*s.spec.Width + s.g.OriginX(u)
				for x := range s.g.TileWidth(u) {
					c := (x + y) & 1
					f(w.spins[c], s.tiles.Start(y)+x/2*lattice.Lanes+bit/64, uint(bit%64), site+x)
				}
			}
		}
	}
}

func (s *ising) put(r int, src []int8) {
	s.each(r, func(spins []uint64, at int, bit uint, site int) {
		spins[at] &^= 1 << bit
		if src[site] > 0 {
			spins[at] |= 1 << bit
		}
	})
}

func (s *ising) setTemperatures(t []float64) {
	s.beta = make([]float64, len(s.levels))
	thresholds := map[float64][2]uint64{}
	for l, r := range s.holder {
		v := t[min(l, len(t)-1)]
		p, ok := thresholds[v]
		if !ok {
			p[0], p[1] = lattice.Thresholds(lattice.Algorithm(s.spec.Algorithm), v)
			thresholds[v] = p
		}
		s.beta[l], s.one[r], s.none[r] = 1/v, p[0], p[1]
	}
	tiles := s.g.TilesX * s.g.TilesY
	for i := range s.words {
		w := &s.words[i]
		if len(t) == 1 && i > 0 {
			w.planes = s.words[0].planes
			continue
		}
		w.planes = lattice.Aligned(lattice.Planes * 2 * lattice.Lanes)
		if len(t) == 1 {
			lattice.SetPlanes(w.planes, 0, lattice.Bits, s.one[0], s.none[0])
			continue
		}
		for bit := 0; bit < lattice.Bits; bit += tiles {
			if r := s.replica(w, bit); r >= 0 {
				lattice.SetPlanes(w.planes, bit, bit+tiles, s.one[r], s.none[r])
			}
		}
	}
}

// setLevel gives a replica a level's temperature.
func (s *ising) setLevel(r, level int, one, none uint64) {
	s.levels[r], s.holder[level] = level, r
	s.one[r], s.none[r] = one, none
	global := s.spec.First + r
	w := &s.words[global/s.g.Replicas-s.words[0].index]
	tiles := s.g.TilesX * s.g.TilesY
	bit := global % s.g.Replicas * tiles
	lattice.SetPlanes(w.planes, bit, bit+tiles, one, none)
}

// pass sweeps the sites of one colour in a block of a word.
func (s *ising) pass(m *isingMember, w *isingWord, block, color int) {
	state := w.states[block*4*lattice.Lanes:][:4*lattice.Lanes]
	if color == 0 {
		lattice.Seed(state, s.key, uint32(w.index), uint32(block), m.sweep)
	}
	s.ends(w, block, 1-color)
	from, to := s.block(block)
	u := &m.update
	u.Spins, u.Other, u.Stride, u.Words = w.spins[color], w.spins[1-color], s.tiles.Stride(), s.g.Width/2
	u.Planes, u.State = w.planes, state
	for _, part := range s.parts(w, from, to) {
		if part.from >= part.to {
			continue
		}
		u.Start, u.Rows, u.Mask = s.tiles.Start(part.from), part.to-part.from, part.mask
		u.Right = lattice.Right(color, part.from)
		s.settle(m, w, color, s.kernel.Update(lattice.Algorithm(s.spec.Algorithm), u))
	}
	for y := from; y < to; y++ {
		s.tiles.Sides(w.spins[color], color, y)
	}
}

// part is some rows and their mask.
type part struct {
	from, to int
	mask     []uint64
}

// parts splits rows into those that all tiles have and those that low tiles
// lack.
func (s *ising) parts(w *isingWord, from, to int) [2]part {
	low := s.g.Height
	if s.g.NarrowY > 0 {
		low -= 2
	}
	return [2]part{{from, min(to, low), w.row}, {max(from, low), to, w.last}}
}

// ends fills the halo above the first block and below the last.
func (s *ising) ends(w *isingWord, block, color int) {
	if block == 0 {
		s.tiles.Top(w.spins[color])
	}
	if block == s.g.Blocks-1 {
		s.tiles.Bottom(w.spins[color])
	}
}

// settle decides the spins that the kernel could not.
func (s *ising) settle(m *isingMember, w *isingWord, color, entries int) {
	lanes := s.kernel.Lanes
	for e := range entries {
		entry := m.update.Log[e*(lanes+1):][:lanes+1]
		known := 16 - 8*int(entry[0]&1)
		for l, open := range entry[1:] {
			at := int(entry[0]>>1) + l
			for ; open != 0; open &= open - 1 {
				s.settleSpin(m, w, color, at, bits.TrailingZeros64(open), known)
			}
		}
	}
}

func (s *ising) settleSpin(m *isingMember, w *isingWord, color, at, shift, known int) {
	u := &m.update
	stride := u.Stride
	y := at / stride
	word, lane := (at-y*stride)/lattice.Lanes-1, at%lattice.Lanes
	y--
	right := lattice.Right(color, y)
	x, side := 2*word, -lattice.Lanes
	if right {
		x, side = x+1, lattice.Lanes
	}
	bit := lane*64 + shift
	v, c := bit>>s.logX&(s.g.TilesY-1), bit&(s.g.TilesX-1)
	site := uint64(s.g.OriginY(v)+y)*uint64(s.spec.Width) + uint64(s.g.OriginX(c)+x)
	r := w.index*s.g.Replicas + bit>>s.logTiles - s.spec.First
	// The colour's own spin and its flip keep whether the number is odd.
	odd := (u.Other[at-stride] ^ u.Other[at+stride] ^ u.Other[at] ^ u.Other[at+side]) >> shift & 1
	threshold := s.none[r]
	if odd == 1 {
		threshold = s.one[r]
	}
	if lattice.Rest(s.key, uint32(s.spec.First+r), site, m.sweep, threshold, known) {
		u.Spins[at] ^= 1 << shift
	}
}

// count adds the bonds and spins of a block to the member's total.
func (s *ising) count(m *isingMember, w *isingWord, block int) {
	s.ends(w, block, 1)
	from, to := s.block(block)
	c := &m.count
	c.Spins, c.Other, c.Stride, c.Words, c.Total = w.spins[0], w.spins[1], s.tiles.Stride(), s.g.Width/2, m.total
	for _, part := range s.parts(w, from, to) {
		if part.from >= part.to {
			continue
		}
		c.Start, c.Rows, c.Mask = s.tiles.Start(part.from), part.to-part.from, part.mask
		c.Right = lattice.Right(0, part.from)
		s.kernel.Count(c)
	}
}

// sum writes the member's total, of at most that many rows, to the counts of a
// word's block and clears it.
func (s *ising) sum(m *isingMember, w *isingWord, block, rows int) {
	n, words := s.g.Replicas, rows*s.g.Width/2
	counts := w.counts[block*2*n:][:2*n]
	lattice.Sums(counts[:n], m.total, lattice.Bits/n, 4*words)
	lattice.Sums(counts[n:], m.total[lattice.Depth*lattice.Lanes:], lattice.Bits/n, 2*words)
	clear(m.total)
}

// collect turns the counts of a word's first blocks into energies and
// magnetisations and writes them to a row of the call's record, none if it is
// negative.
func (s *ising) collect(w *isingWord, blocks, row int) {
	n := s.g.Replicas
	first := w.index*n - s.spec.First
	c := &s.call
	for r := max(first, 0); r < min(first+n, len(s.levels)); r++ {
		var bonds, ups int64
		for k := range blocks {
			bonds += w.counts[2*k*n+r-first]
			ups += w.counts[(2*k+1)*n+r-first]
		}
		s.energy[r] = 2*bonds - 2*s.sites
		s.magnet[r] = 2*ups - s.sites
		if row < 0 {
			continue
		}
		at := row*len(s.levels) + s.levels[r]
		if c.energy != nil {
			c.energy[at] = s.energy[r]
		}
		if c.magnet != nil {
			c.magnet[at] = s.magnet[r]
		}
	}
}

// Geometry returns how the job is laid out.
func (s *ising) Geometry() backend.LatticeGeometry { return s.g }

// Sweeps returns the number of the next sweep.
func (s *ising) Sweeps() uint64 { return s.sweep }

// State copies a replica's spins.
func (s *ising) State(replica int, dst []int8) error {
	if err := s.checkState(replica, len(dst)); err != nil {
		return err
	}
	s.each(replica, func(spins []uint64, at int, bit uint, site int) { dst[site] = int8(spins[at]>>bit&1)<<1 - 1 })
	return nil
}

// SetState replaces a replica's spins.
func (s *ising) SetState(replica int, src []int8) error {
	if err := s.checkState(replica, len(src)); err != nil {
		return err
	}
	s.put(replica, src)
	s.halo(&s.words[(s.spec.First+replica)/s.g.Replicas-s.words[0].index])
	return nil
}

func (s *ising) checkState(replica, n int) error {
	if s.closed {
		return errClosed("lattice")
	}
	return s.spec.CheckState(replica, n)
}

// SetTemperatures replaces the temperatures.
func (s *ising) SetTemperatures(t []float64) error {
	if s.closed {
		return errClosed("lattice")
	}
	if err := s.spec.CheckTemperatures(t); err != nil {
		return err
	}
	s.setTemperatures(t)
	return nil
}

// Levels copies the replicas' levels.
func (s *ising) Levels(dst []int) error {
	if len(dst) != len(s.levels) {
		return fmt.Errorf("%d levels for %d replicas", len(dst), len(s.levels))
	}
	copy(dst, s.levels)
	return nil
}

// SetLevels restores the replicas' levels.
func (s *ising) SetLevels(src []int) error {
	if err := s.spec.CheckLevels(src); err != nil {
		return err
	}
	one, none := make([]uint64, len(src)), make([]uint64, len(src))
	for l, r := range s.holder {
		one[l], none[l] = s.one[r], s.none[r]
	}
	if s.spec.Exchange > 0 {
		for r, l := range src {
			s.setLevel(r, l, one[l], none[l])
		}
	}
	return nil
}

// Close frees the replicas.
func (s *ising) Close() error {
	s.closed = true
	s.words = nil
	return nil
}

// exchange swaps temperatures after sweep t, whose energies are in s.energy.
func (s *ising) exchange(t uint64) {
	length := s.spec.LadderLength()
	event := (t + 1) / uint64(s.spec.Exchange)
	for base := 0; base < len(s.levels); base += length {
		for l := int(event & 1); l+1 < length; l += 2 {
			a, b := s.holder[base+l], s.holder[base+l+1]
			delta := float64((s.beta[base+l] - s.beta[base+l+1]) * float64(s.energy[a]-s.energy[b]))
			if delta < 0 {
				w := philox.Block(philox.Counter(philox.Exchange, uint32(s.spec.First+base+l), 0, t), s.key)
				u := float64((uint64(w[0])|uint64(w[1])<<32)>>11) / (1 << 53)
				if u >= fmath.Exp(delta) {
					continue
				}
			}
			oneA, noneA, oneB, noneB := s.one[a], s.none[a], s.one[b], s.none[b]
			s.setLevel(a, base+l+1, oneB, noneB)
			s.setLevel(b, base+l, oneA, noneA)
		}
	}
}
