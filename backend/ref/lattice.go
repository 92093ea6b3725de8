package ref

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"kadanoff/backend"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

// ising keeps each replica's spins as ±1 by row and column, and walks the words
// of the definition one bit after the other.
type ising struct {
	spec   backend.LatticeSpec
	g      backend.LatticeGeometry
	key    philox.Key
	spins  [][]int8
	levels []int
	temps  []float64 // of each level
	one    []uint64  // thresholds of each level
	none   []uint64
	sweep  uint64
}

// generator is a lane of xoshiro256++.
type generator [4]uint64

func (s *generator) next() uint64 {
	result := bits.RotateLeft64(s[0]+s[3], 23) + s[0]
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return result
}

// NewLattice starts replicas on the reference backend.
func (Backend) NewLattice(spec backend.LatticeSpec) (backend.Lattice, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	s := &ising{spec: spec, g: backend.LatticeTiles(spec.Width, spec.Height, spec.Replicas), key: philox.NewKey(spec.Seed), sweep: spec.FirstSweep}
	for r := range spec.Held() {
		lattice := make([]int8, spec.Width*spec.Height)
		for site := range lattice {
			lattice[site] = 1
			if spec.Random {
				b := philox.Block([4]uint32{uint32(spec.First + r), uint32(site/128) | uint32(philox.Init)<<24, uint32(spec.FirstSweep), uint32(spec.FirstSweep >> 32)}, s.key)
				if b[site%128/32]>>(site%32)&1 == 0 {
					lattice[site] = -1
				}
			}
		}
		s.spins = append(s.spins, lattice)
		s.levels = append(s.levels, r)
	}
	return s, s.SetTemperatures(spec.Temperatures)
}

// threshold returns ⌊2⁶⁴ e^{−x}⌋, or of 1/(1 + eˣ) for heat bath, at most
// 2⁶⁴ − 1. eˣ is (1 + y/1! + y²/2! + …)^{2ᵏ} at y = x/2ᵏ.
func threshold(a backend.LatticeAlgorithm, d, t float64) uint64 {
	if t == 0 || d/t > 64 {
		return 0
	}
	num := func(v float64) *big.Float { return new(big.Float).SetPrec(256).SetFloat64(v) }
	y := num(d)
	y.Quo(y, num(t))
	const k = 10
	y.Quo(y, num(1<<k))
	e := num(1)
	for n := 60.0; n >= 1; n-- { // Horner
		e.Mul(e, y)
		e.Quo(e, num(n))
		e.Add(e, num(1))
	}
	for range k {
		e.Mul(e, e)
	}
	if a == backend.HeatBath {
		e.Add(e, num(1))
	}
	p := num(math.Ldexp(1, 64))
	p.Quo(p, e)
	if p.Cmp(num(math.Ldexp(1, 64))) >= 0 {
		return math.MaxUint64
	}
	u, _ := p.Uint64()
	return u
}

// SetTemperatures replaces the temperatures.
func (s *ising) SetTemperatures(t []float64) error {
	if err := s.spec.CheckTemperatures(t); err != nil {
		return err
	}
	s.temps, s.one, s.none = nil, nil, nil
	for l := range s.spec.Held() {
		v := t[0]
		if len(t) > 1 {
			v = t[l]
		}
		s.temps = append(s.temps, v)
		s.one = append(s.one, threshold(s.spec.Algorithm, 4, v))
		s.none = append(s.none, threshold(s.spec.Algorithm, 8, v))
	}
	return nil
}

// Sweep advances every replica by n sweeps.
func (s *ising) Sweep(ctx context.Context, n int) error {
	return s.Record(ctx, n, max(n, 1), nil, nil)
}

// Record advances every replica by n sweeps and writes energies and
// magnetisations.
func (s *ising) Record(ctx context.Context, n, every int, energy, magnetization []int64) error {
	if err := s.spec.CheckRecord(s.sweep, n, every, energy, magnetization); err != nil {
		return err
	}
	for i := 1; i <= n; i++ {
		if err := s.once(ctx); err != nil {
			return err
		}
		if i%every == 0 {
			row := (i/every - 1) * len(s.spins)
			for r, l := range s.levels {
				if energy != nil {
					energy[row+l] = s.energy(r)
				}
				if magnetization != nil {
					magnetization[row+l] = 0
					for _, v := range s.spins[r] {
						magnetization[row+l] += int64(v)
					}
				}
			}
		}
		if e := uint64(s.spec.Exchange); e > 0 && s.sweep%e == 0 {
			s.exchange(s.sweep/e, s.sweep-1)
		}
	}
	return nil
}

// once does a sweep; a cancelled one leaves the spins as they were.
func (s *ising) once(ctx context.Context) error {
	before := make([][]int8, len(s.spins))
	for r, lattice := range s.spins {
		before[r] = append([]int8(nil), lattice...)
	}
	for word := s.spec.First / s.g.Replicas; word*s.g.Replicas < s.spec.First+len(s.spins); word++ {
		state := make([][8]generator, s.g.Blocks)
		for color := range 2 {
			for block := range state {
				if err := ctx.Err(); err != nil {
					s.spins = before
					return err
				}
				if color == 0 {
					state[block] = s.seed(uint32(word), uint32(block))
				}
				s.block(word, block, color, &state[block])
			}
		}
	}
	s.sweep++
	return nil
}

// seed returns the generators of a block.
func (s *ising) seed(word, block uint32) (g [8]generator) {
	for lane := range g {
		for j := range g[lane] {
			b := philox.Block([4]uint32{
				word, uint32(philox.Lattice)<<24 | block<<4 | uint32(lane/2*4+j),
				uint32(s.sweep), uint32(s.sweep >> 32),
			}, s.key)
			pair := lane % 2 * 2
			g[lane][j] = uint64(b[pair+1])<<32 | uint64(b[pair])
		}
	}
	return g
}

// block updates the sites of one colour in a block of a word's rows, group by
// group.
func (s *ising) block(word, block, color int, state *[8]generator) {
	n := s.g.Width / 2
	groups := (n + 7) / 8
	for y := block * s.g.Height / s.g.Blocks; y < (block+1)*s.g.Height/s.g.Blocks; y++ {
		first := 0
		for group := range groups {
			size := n / groups
			if group < n%groups {
				size++
			}
			own := make([][512]uint64, size)
			for q := range own {
				own[q] = eight(state)
			}
			shared := eight(state)
			var taken [512]bool
			for q := range own {
				x := 2*(first+q) + (y+color)%2
				for bit := range 512 {
					s.update(word, bit, x, y, own[q][bit], shared[bit], &taken[bit])
				}
			}
			first += size
		}
	}
}

// eight draws eight planes, the least significant first, and returns the eight
// bits of each position.
func eight(state *[8]generator) (u [512]uint64) {
	for k := range 8 {
		for lane := range state {
			w := state[lane].next()
			for b := range 64 {
				u[lane*64+b] |= w >> b & 1 << k
			}
		}
	}
	return u
}

// update decides the site (x, y) of a bit's tile.
func (s *ising) update(word, bit, x, y int, own, shared uint64, taken *bool) {
	u, v := bit%s.g.TilesX, bit/s.g.TilesX%s.g.TilesY
	global := word*s.g.Replicas + bit/(s.g.TilesX*s.g.TilesY)
	r := global - s.spec.First
	if r < 0 || r >= len(s.spins) || x >= s.g.TileWidth(u) || y >= s.g.TileHeight(v) {
		return
	}
	w, h := s.spec.Width, s.spec.Height
	x, y = s.g.OriginX(u)+x, s.g.OriginY(v)+y
	site := y*w + x
	lattice := s.spins[r]
	anti := 0
	for _, near := range []int{y*w + (x+1)%w, y*w + (x+w-1)%w, (y+1)%h*w + x, (y+h-1)%h*w + x} {
		if lattice[near] != lattice[site] {
			anti++
		}
	}
	level := s.levels[r]
	t := s.none[level]
	if anti%2 == 1 {
		t = s.one[level]
	}
	switch {
	case s.spec.Algorithm == backend.Metropolis && anti >= 2:
		lattice[site] = -lattice[site]
		return
	case anti == 2:
		if own < 128 {
			lattice[site] = -lattice[site]
		}
		return
	}
	below := own < t>>56
	if own == t>>56 {
		switch later := *taken; {
		case later:
			below = s.rest(global, site)>>8 < t&(1<<56-1)
		case shared == t>>48&255:
			below = s.rest(global, site)>>16 < t&(1<<48-1)
		default:
			below = shared < t>>48&255
		}
		*taken = true
	}
	if below == (anti < 2) {
		lattice[site] = -lattice[site]
	}
}

// rest returns the 64 bits of which a site's undecided part of U is made.
func (s *ising) rest(replica, site int) uint64 {
	b := philox.Block([4]uint32{
		uint32(replica), (uint32(philox.Lattice)|philox.LowBits)<<24 | uint32(site/2%(1<<24)),
		uint32(s.sweep), uint32(s.sweep>>32) | uint32(site>>25)<<16,
	}, s.key)
	return uint64(b[site%2*2+1])<<32 | uint64(b[site%2*2])
}

// energy returns E = −Σ s s' of a replica.
func (s *ising) energy(r int) (e int64) {
	w, h := s.spec.Width, s.spec.Height
	lattice := s.spins[r]
	for y := range h {
		for x := range w {
			e -= int64(lattice[y*w+x]) * int64(lattice[y*w+(x+1)%w]+lattice[(y+1)%h*w+x])
		}
	}
	return e
}

// exchange is exchange event e, after sweep t.
func (s *ising) exchange(e, t uint64) {
	holder := make([]int, len(s.levels))
	for r, l := range s.levels {
		holder[l] = r
	}
	n := s.spec.LadderLength()
	for l := range len(holder) - 1 {
		if (l%n)%2 != int(e%2) || l%n == n-1 {
			continue
		}
		a, b := holder[l], holder[l+1]
		beta := 1/s.temps[l] - 1/s.temps[l+1]
		x := float64(beta * float64(s.energy(a)-s.energy(b)))
		w := philox.Block([4]uint32{uint32(s.spec.First + l), uint32(philox.Exchange) << 24, uint32(t), uint32(t >> 32)}, s.key)
		if u := float64(uint64(w[1])<<21|uint64(w[0])>>11) / (1 << 53); x >= 0 || u < fmath.Exp(x) {
			s.levels[a], s.levels[b] = l+1, l
		}
	}
}

// Sweeps returns the number of the next sweep.
func (s *ising) Sweeps() uint64 { return s.sweep }

// State copies a replica's spins.
func (s *ising) State(replica int, dst []int8) error {
	if err := s.spec.CheckState(replica, len(dst)); err != nil {
		return err
	}
	copy(dst, s.spins[replica])
	return nil
}

// SetState replaces a replica's spins.
func (s *ising) SetState(replica int, src []int8) error {
	if err := s.spec.CheckState(replica, len(src)); err != nil {
		return err
	}
	for i, v := range src {
		s.spins[replica][i] = -1
		if v > 0 {
			s.spins[replica][i] = 1
		}
	}
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
	copy(s.levels, src)
	return nil
}

// Geometry returns how the job is laid out.
func (s *ising) Geometry() backend.LatticeGeometry { return s.g }

// Close does nothing.
func (s *ising) Close() error { return nil }
