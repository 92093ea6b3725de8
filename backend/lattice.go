package backend

import (
	"context"
	"fmt"
	"math"
)

// LatticeAlgorithm is the rule by which a lattice's spins are updated.
type LatticeAlgorithm uint8

// The algorithms, for a spin with n antiparallel neighbours at temperature T.
const (
	// Metropolis flips with probability min(1, e^{−(8−4n)/T}).
	Metropolis LatticeAlgorithm = iota
	// HeatBath flips with probability 1/(1 + e^{(8−4n)/T}).
	HeatBath
)

// LatticeSpec describes replicas of the two-dimensional Ising model
// E = −Σ s s' over nearest neighbours (J = k_B = 1) on a square lattice with
// periodic boundaries. On a side of two sites the two bonds between a pair both
// count.
//
// A sweep updates the sites with even x + y, all at once given the others, then
// those with odd x + y. A spin is decided by a 64-bit number U of its own; the
// definition, the words and groups and their order are in package
// kernels/lattice. What a replica does depends on the sides, the algorithm, the
// seed, the number of replicas in the whole job and its own number in it, on
// nothing else: not on the part of the job that is held here.
//
// Random numbers, under the seed's Philox key and stream philox.Lattice:
// state word j = 0 … 3 of xoshiro lane l = 0 … 7, for a block of rows in a
// sweep, is word pair 2(l mod 2) of the Philox block with the counter
// (word of replicas, stream<<24 | block<<4 | 4·(l/2) + j, sweep), low word
// first. What is left of U for a site comes from word pair 2(site mod 2) of the
// block with the counter (replica, (stream|philox.LowBits)<<24 | site/2 mod 2²⁴,
// sweep + 2⁴⁸·(site>>25)), site = y·Width + x, of which it takes the high bits.
type LatticeSpec struct {
	Width, Height int // sites in a row and in a column, both even
	Replicas      int // of the whole job
	First, Count  int // the replicas held here; Count 0 means all from First on

	Algorithm    LatticeAlgorithm
	Temperatures []float64 // one, or one for each replica held; 0 is the limit
	Seed         uint64
	FirstSweep   uint64 // number of the first sweep, below 2⁴⁸

	// Random starts every spin from a fair coin: bit site mod 128 of the Philox
	// block with the counter (replica, philox.Init<<24 | site/128, FirstSweep).
	// Otherwise all spins are up.
	Random bool

	// Exchange, if not 0, swaps temperatures between replicas after each sweep
	// t with t+1 a multiple of it. Ladder consecutive replicas exchange with
	// each other (0: all held); their temperatures in the order given are the
	// ladder. In event e = (t+1)/Exchange the pairs (l, l+1) with l ≡ e (mod 2)
	// swap when u < e^{(1/T_l − 1/T_{l+1})(E_l − E_{l+1})} in the arithmetic of
	// fmath.Exp, where 2⁵³u is the top 53 bits of the first word pair of the
	// Philox block with the counter (the ladder's first replica + l,
	// philox.Exchange<<24, t).
	Exchange, Ladder int
}

// Lattice holds replicas of a LatticeSpec.
type Lattice interface {
	// Sweep advances every replica by n sweeps. If ctx ends, it returns the
	// context's error within a tenth of a second, after a whole sweep of all
	// replicas.
	Sweep(ctx context.Context, n int) error
	// Record advances every replica by n sweeps and writes energy and
	// magnetisation of each replica after every every-th of them, counted from
	// the call: shape [n/every][replicas held], either may be nil. With
	// exchange, column i is the replica that holds temperature i.
	Record(ctx context.Context, n, every int, energy, magnetization []int64) error
	// Sweeps returns the number of the next sweep.
	Sweeps() uint64
	// State copies the spins, ±1, of one of the replicas held (0 is First) to
	// dst, of shape [Height][Width]; SetState replaces them.
	State(replica int, dst []int8) error
	SetState(replica int, src []int8) error
	// SetTemperatures replaces the temperatures, as in LatticeSpec.
	SetTemperatures(t []float64) error
	// Levels copies to dst which of the temperatures each replica held has, a
	// permutation that exchanges change; SetLevels restores it. Spins, levels
	// and the number of the next sweep are all there is to a checkpoint.
	Levels(dst []int) error
	SetLevels(src []int) error
	// Geometry returns how the job is laid out.
	Geometry() LatticeGeometry
	// Close frees the replicas.
	Close() error
}

// Limits of a lattice job.
const (
	MaxLatticeSites = 1 << 31
	MaxLatticeSweep = 1 << 48
	maxReplicas     = 1 << 32
	maxHeldSpins    = 1 << 38 // 32 GiB of bits
)

// Held returns the number of replicas held.
func (s *LatticeSpec) Held() int {
	if s.Count == 0 {
		return s.Replicas - s.First
	}
	return s.Count
}

// Check reports what is wrong with a spec and fills in nothing.
func (s *LatticeSpec) Check() error {
	for _, side := range []int{s.Width, s.Height} {
		if side < 2 || side%2 != 0 {
			return fmt.Errorf("lattice %dx%d: both sides must be even and at least 2", s.Width, s.Height)
		}
	}
	if int64(s.Width) > MaxLatticeSites/int64(s.Height) {
		return fmt.Errorf("lattice %dx%d: more than 2³¹ sites", s.Width, s.Height)
	}
	if s.Replicas < 1 || int64(s.Replicas) > maxReplicas {
		return fmt.Errorf("%d replicas, want 1 to 2³²", s.Replicas)
	}
	if s.First < 0 || s.Count < 0 || s.First >= s.Replicas || s.Count > s.Replicas-s.First {
		return fmt.Errorf("replicas %d to %d of %d", s.First, s.First+s.Count-1, s.Replicas)
	}
	if int64(s.Held()) > maxHeldSpins/(int64(s.Width)*int64(s.Height)) {
		return fmt.Errorf("%d replicas of %dx%d: more than 2³⁸ spins, split the job", s.Held(), s.Width, s.Height)
	}
	if s.Algorithm > HeatBath {
		return fmt.Errorf("algorithm %d, want Metropolis or HeatBath", s.Algorithm)
	}
	if s.FirstSweep >= MaxLatticeSweep {
		return fmt.Errorf("sweep %d, want below 2⁴⁸", s.FirstSweep)
	}
	if s.Exchange < 0 || s.Ladder < 0 {
		return fmt.Errorf("exchange every %d sweeps in ladders of %d, want 0 or more", s.Exchange, s.Ladder)
	}
	if l := s.LadderLength(); s.Exchange > 0 && (s.Held()%l != 0 || s.First%l != 0) {
		return fmt.Errorf("replicas %d to %d are not whole ladders of %d", s.First, s.First+s.Held()-1, l)
	}
	if err := CheckMemory(fmt.Sprintf("%d replicas of %dx%d", s.Held(), s.Width, s.Height), float64(s.Held())*float64(s.Width)*float64(s.Height)/8); err != nil {
		return err
	}
	return s.CheckTemperatures(s.Temperatures)
}

// LadderLength returns the number of replicas that exchange temperatures with
// each other.
func (s *LatticeSpec) LadderLength() int {
	if s.Ladder == 0 {
		return s.Held()
	}
	return s.Ladder
}

// CheckTemperatures reports temperatures that do not fit the spec.
func (s *LatticeSpec) CheckTemperatures(t []float64) error {
	if len(t) != s.Held() && (len(t) != 1 || s.Exchange > 0) {
		return fmt.Errorf("%d temperatures for %d replicas", len(t), s.Held())
	}
	for i, v := range t {
		if !(v >= 0) || math.IsInf(v, 0) || v == 0 && s.Exchange > 0 {
			want := "0 or more"
			if s.Exchange > 0 {
				want = "more than 0 for exchange"
			}
			return fmt.Errorf("temperature %d is %v, want %s", i, v, want)
		}
	}
	return nil
}

// CheckState reports a replica that is not held, or spins of the wrong number.
func (s *LatticeSpec) CheckState(replica, spins int) error {
	if replica < 0 || replica >= s.Held() {
		return fmt.Errorf("replica %d of the %d held", replica, s.Held())
	}
	if spins != s.Width*s.Height {
		return fmt.Errorf("%d spins for a lattice of %dx%d", spins, s.Width, s.Height)
	}
	return nil
}

// CheckRecord reports arguments of Record, called before sweep now, that do not
// fit.
func (s *LatticeSpec) CheckRecord(now uint64, n, every int, dst ...[]int64) error {
	if n < 0 || every < 1 {
		return fmt.Errorf("%d sweeps recorded every %d, want 0 or more and 1 or more", n, every)
	}
	if now+uint64(n) > MaxLatticeSweep {
		return fmt.Errorf("sweeps %d to %d, want numbers below 2⁴⁸", now, now+uint64(n)-1)
	}
	for _, d := range dst {
		if want := n / every * s.Held(); d != nil && len(d) != want {
			return fmt.Errorf("%d records, want %d", len(d), want)
		}
	}
	return nil
}

// CheckLevels reports levels that are not a permutation within each ladder, or
// not the identity without exchange.
func (s *LatticeSpec) CheckLevels(levels []int) error {
	if len(levels) != s.Held() {
		return fmt.Errorf("%d levels for %d replicas", len(levels), s.Held())
	}
	ladder := s.LadderLength()
	if s.Exchange == 0 {
		ladder = 1
	}
	taken := make([]bool, len(levels))
	for i, l := range levels {
		if l < i/ladder*ladder || l >= (i/ladder+1)*ladder || taken[l] {
			return fmt.Errorf("replica %d has level %d, want each level of its ladder once", i, l)
		}
		taken[l] = true
	}
	return nil
}

// LatticeGeometry is how a lattice job lies in words of 512 bits: bit
// (r·TilesY + v)·TilesX + u of word b is tile (u, v) of replica
// b·Replicas + r. All tiles are Width×Height sites but for the last NarrowX
// columns of tiles, which are two narrower, and the last NarrowY rows of them,
// two lower. Rows of tiles are cut into Blocks blocks; block k is rows
// k·Height/Blocks up to (k+1)·Height/Blocks.
type LatticeGeometry struct {
	TilesX, TilesY   int // powers of two, TilesX at most 32
	Width, Height    int // even
	NarrowX, NarrowY int
	Replicas         int // in a word
	Blocks           int
}

// latticeBits is the number of bits in a word.
const latticeBits = 512

// LatticeTiles chooses the geometry of a job: the one with the least estimated
// time for a sweep of all its replicas. The choice rests on the sides and the
// number of replicas alone and is part of the stream's definition.
func LatticeTiles(width, height, replicas int) LatticeGeometry {
	var best LatticeGeometry
	least := int64(math.MaxInt64)
	for tx := 1; tx <= 32; tx *= 2 {
		for ty := 1; tx*ty <= latticeBits; ty *= 2 {
			g := LatticeGeometry{TilesX: tx, TilesY: ty, Replicas: latticeBits / (tx * ty)}
			var ok [2]bool
			g.Width, g.NarrowX, ok[0] = cut(width, tx)
			g.Height, g.NarrowY, ok[1] = cut(height, ty)
			if !ok[0] || !ok[1] {
				continue
			}
			g.Blocks = min(g.Width*g.Height/2/128, g.Height/4, 1<<20)
			g.Blocks = max(g.Blocks, 1)
			if c := g.cost(replicas); c < least {
				best, least = g, c
			}
		}
	}
	return best
}

// cut divides a side into n tiles of even length, the last few of them two
// shorter.
func cut(side, n int) (length, narrow int, ok bool) {
	length = 2 * ((side + 2*n - 1) / (2 * n))
	narrow = (length*n - side) / 2
	return length, narrow, length >= 4 || narrow == 0
}

// cost estimates the time of a sweep of all replicas in nanoseconds of one
// core: words, the planes that groups share, the halo, the seeds, and memory
// once a word's tiles no longer fit a core's cache.
func (g *LatticeGeometry) cost(replicas int) int64 {
	w, h := int64(g.Width), int64(g.Height)
	groups := (w/2 + 7) / 8
	c := 20*w*h + 40*groups*h + 10*w + 14*h + 160*max(1, w*h/256)
	if w*h > 8192 {
		c += 5 * w * h
	}
	return c * int64((replicas+g.Replicas-1)/g.Replicas)
}

// OriginX returns the first column of tile column u.
func (g *LatticeGeometry) OriginX(u int) int { return u*g.Width - 2*max(0, u-(g.TilesX-g.NarrowX)) }

// OriginY returns the first row of tile row v.
func (g *LatticeGeometry) OriginY(v int) int { return v*g.Height - 2*max(0, v-(g.TilesY-g.NarrowY)) }

// TileWidth returns the width of tile column u.
func (g *LatticeGeometry) TileWidth(u int) int {
	if u >= g.TilesX-g.NarrowX {
		return g.Width - 2
	}
	return g.Width
}

// TileHeight returns the height of tile row v.
func (g *LatticeGeometry) TileHeight(v int) int {
	if v >= g.TilesY-g.NarrowY {
		return g.Height - 2
	}
	return g.Height
}
