package philox

import "testing"

// Known answers published with the reference implementation (Random123,
// kat_vectors, philox4x32 10).
func TestKnownAnswers(t *testing.T) {
	const f = 0xffffffff
	for _, c := range []struct {
		ctr  [4]uint32
		key  Key
		want [4]uint32
	}{
		{[4]uint32{}, Key{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{f, f, f, f}, Key{f, f}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			Key{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := Block(c.ctr, c.key); got != c.want {
			t.Errorf("Block(%08x, %08x) = %08x, want %08x", c.ctr, c.key, got, c.want)
		}
	}
}

// The layout of the draws, restated from the counters.
func TestLayout(t *testing.T) {
	k := NewKey(0x0123456789abcdef)
	if k != (Key{0x89abcdef, 0x01234567}) {
		t.Fatalf("NewKey splits the seed as %08x", k)
	}
	const chain, sweep = 77, 1<<40 + 5
	for unit := range uint32(24) {
		hi := Block([4]uint32{chain, unit/8 | uint32(AIS)<<24, 5, 1 << 8}, k)
		lo := Block([4]uint32{chain, unit/8 | uint32(AIS)<<24 | 1<<31, 5, 1 << 8}, k)
		w, sh := unit%8/2, unit%2*16
		want := hi[w]>>sh<<16 | lo[w]>>sh&0xffff
		if got := Draw(k, AIS, chain, unit, sweep); got != want {
			t.Errorf("unit %d: draw %08x, want %08x", unit, got, want)
		}
	}
}
