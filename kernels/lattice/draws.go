package lattice

import "kadanoff/spin/philox"

// Seed writes to state (4·8 words) the generator's state for a word of
// replicas, block of rows and sweep: state word j of lane l is word pair
// 2(l mod 2) of the Philox block with the counter
// (word, Lattice<<24 | block<<4 | 4·(l/2) + j, sweep), low word first.
func Seed(state []uint64, key philox.Key, word, block uint32, sweep uint64) {
	_ = state[4*Lanes-1]
	for i := range uint32(16) {
		b := philox.Block(philox.Counter(philox.Lattice, word, block<<4|i, sweep), key)
		at := i%4*Lanes + i/4*2
		state[at] = uint64(b[0]) | uint64(b[1])<<32
		state[at+1] = uint64(b[2]) | uint64(b[3])<<32
	}
}

// Rest reports whether the part of U that is not known yet is below that of
// the threshold: known is 8 or 16, and the other bits of U are the high ones of
// word pair 2(site mod 2) of the Philox block with the counter
// (replica, (Lattice|LowBits)<<24 | site/2 mod 2²⁴, sweep + 2⁴⁸·(site>>25)).
func Rest(key philox.Key, replica uint32, site, sweep, threshold uint64, known int) bool {
	c := philox.Counter(philox.Lattice|philox.LowBits, replica, uint32(site>>1)&(1<<24-1), sweep|site>>25<<48)
	b := philox.Block(c, key)
	u := uint64(b[2*(site&1)]) | uint64(b[2*(site&1)+1])<<32
	return u>>known < threshold<<known>>known
}

// Words writes to dst the next len(dst)/8 words that the generator with this
// state draws, and advances it: the planes in the order in which a sweep
// consumes them.
func Words(dst, state []uint64) {
	for lane := range Lanes {
		x := xoshiro{state[lane], state[Lanes+lane], state[2*Lanes+lane], state[3*Lanes+lane]}
		for i := lane; i < len(dst); i += Lanes {
			dst[i] = x.next()
		}
		for i, v := range x {
			state[i*Lanes+lane] = v
		}
	}
}
