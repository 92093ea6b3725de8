// Package philox is the counter-based random number generator of the project,
// Philox4x32-10, and the layout of its counters.
//
// Reference: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel
// random numbers: as easy as 1, 2, 3", SC'11. A draw depends on the seed and
// on which chain, unit, sweep and stream it is for, and on nothing else: not
// on threads, batches, vector width or the order in which draws are made.
package philox

// Rounds, multipliers and key increments of Philox4x32-10.
const (
	Rounds  = 10
	Mul0    = 0xD2511F53
	Mul1    = 0xCD9E8D57
	Weyl0   = 0x9E3779B9
	Weyl1   = 0xBB67AE85
	LowBits = 0x80 // stream bit of the counter whose words hold the low 16 bits of the draws
)

// Stream separates the uses of random numbers under one seed. Values are
// below 0x80: bit 7 is LowBits.
type Stream uint8

// The streams. Their numbers are part of the stream's version.
const (
	Gibbs    Stream = iota // block Gibbs sampling and the free phase of training
	Data                   // data phase of training, random binarisation
	Exchange               // replica exchange
	Shuffle                // order of the training data
	Init                   // initial weights and initial states
	AIS                    // annealed importance sampling
	Lattice                // lattice jobs
)

// Limits of the counter's fields.
const (
	MaxUnits  = 1 << 27 // 2^24 groups of 8 units
	MaxChains = 1 << 32
)

// Key is a 64-bit seed split into the generator's two key words.
type Key [2]uint32

// NewKey returns the key of a seed: low word first.
func NewKey(seed uint64) Key { return Key{uint32(seed), uint32(seed >> 32)} }

// Block returns the four words that Philox4x32-10 makes of a counter.
func Block(c [4]uint32, k Key) [4]uint32 {
	for range Rounds {
		p0 := uint64(Mul0) * uint64(c[0])
		p1 := uint64(Mul1) * uint64(c[2])
		c = [4]uint32{uint32(p1>>32) ^ c[1] ^ k[0], uint32(p1), uint32(p0>>32) ^ c[3] ^ k[1], uint32(p0)}
		k[0] += Weyl0
		k[1] += Weyl1
	}
	return c
}

// Counter returns the counter of a chain (global index), group of eight units,
// sweep and stream: c0 = chain, c1 = group with the stream in the top 8 bits,
// c2 and c3 = sweep, low word first.
func Counter(s Stream, chain, group uint32, sweep uint64) [4]uint32 {
	return [4]uint32{chain, group | uint32(s)<<24, uint32(sweep), uint32(sweep >> 32)}
}

// High16 returns the high 16 bits of the draw for a unit. Word w of the block
// of a group of eight units holds unit 2w in its low half and unit 2w+1 in its
// high half.
func High16(k Key, s Stream, chain, unit uint32, sweep uint64) uint16 {
	b := Block(Counter(s, chain, unit>>3, sweep), k)
	return uint16(b[unit>>1&3] >> (unit & 1 * 16))
}

// Low16 returns the low 16 bits of the draw for a unit: the same counter as
// High16 with bit 7 of the stream set.
func Low16(k Key, s Stream, chain, unit uint32, sweep uint64) uint16 {
	return High16(k, s|LowBits, chain, unit, sweep)
}

// Draw returns the 32-bit draw for a unit of a chain in a sweep.
func Draw(k Key, s Stream, chain, unit uint32, sweep uint64) uint32 {
	return uint32(High16(k, s, chain, unit, sweep))<<16 | uint32(Low16(k, s, chain, unit, sweep))
}
