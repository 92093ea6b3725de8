package spin

import "fmt"

// Batch is a packed batch of ±1 configurations: one bit a spin, 1 for +1,
// chains in the lanes. The spins of a unit over all chains are one row of
// words; chain c is bit c%64 of word c/64. Bits beyond the last chain are zero.
type Batch struct {
	Units, Chains int
	Words         int      // 64-bit words in a row: ⌈Chains/64⌉
	Bits          []uint64 // [Units][Words]
}

// NewBatch returns a batch with every spin −1.
func NewBatch(units, chains int) *Batch {
	w := (chains + 63) / 64
	return &Batch{Units: units, Chains: chains, Words: w, Bits: make([]uint64, units*w)}
}

// Row returns the words of a unit's spins over all chains.
func (b *Batch) Row(unit int) []uint64 { return b.Bits[unit*b.Words:][:b.Words] }

// Up reports whether the spin of a unit in a chain is +1.
func (b *Batch) Up(unit, chain int) bool {
	return b.Bits[unit*b.Words+chain>>6]>>(chain&63)&1 != 0
}

// Spin returns the spin of a unit in a chain, +1 or −1.
func (b *Batch) Spin(unit, chain int) int {
	return int(b.Bits[unit*b.Words+chain>>6]>>(chain&63)&1)<<1 - 1
}

// Set makes the spin of a unit in a chain +1 or −1.
func (b *Batch) Set(unit, chain int, up bool) {
	w, m := &b.Bits[unit*b.Words+chain>>6], uint64(1)<<(chain&63)
	if up {
		*w |= m
	} else {
		*w &^= m
	}
}

// TailMask returns the valid bits of a row's last word.
func (b *Batch) TailMask() uint64 { return TailMask(b.Chains) }

// TailMask returns the valid bits of the last word of a row of n chains.
func TailMask(n int) uint64 { return ^uint64(0) >> (-n & 63) }

// Check reports a batch whose fields do not belong together or that has bits
// set beyond its last chain.
func (b *Batch) Check() error {
	if b.Units < 0 || b.Chains < 0 || b.Words != (b.Chains+63)/64 || len(b.Bits) != b.Units*b.Words {
		return fmt.Errorf("batch of %d units and %d chains has %d words a row and %d in all, want %d and %d",
			b.Units, b.Chains, b.Words, len(b.Bits), (b.Chains+63)/64, b.Units*((b.Chains+63)/64))
	}
	for u := range b.Units {
		if b.Words > 0 && b.Bits[(u+1)*b.Words-1]&^b.TailMask() != 0 {
			return fmt.Errorf("batch: unit %d has bits set beyond its %d chains", u, b.Chains)
		}
	}
	return nil
}

// CopyFrom copies the spins of src, which must have the same shape.
func (b *Batch) CopyFrom(src *Batch) {
	if b.Units != src.Units || b.Chains != src.Chains {
		panic("spin: CopyFrom between batches of different shape")
	}
	copy(b.Bits, src.Bits)
}

// Rows returns units [from, to) as a batch that shares b's memory.
func (b *Batch) Rows(from, to int) *Batch {
	return &Batch{Units: to - from, Chains: b.Chains, Words: b.Words, Bits: b.Bits[from*b.Words : to*b.Words]}
}

// PutInt8 writes chain's spins of all units to dst as ±1; len(dst) must be
// Units.
func (b *Batch) PutInt8(dst []int8, chain int) {
	if len(dst) != b.Units {
		panic("spin: PutInt8 into a slice of the wrong length")
	}
	w, s := chain>>6, chain&63
	for u := range dst {
		dst[u] = int8(b.Bits[u*b.Words+w]>>s&1)<<1 - 1
	}
}

// SetInt8 sets chain's spins of all units from src, where positive means +1;
// len(src) must be Units.
func (b *Batch) SetInt8(src []int8, chain int) {
	if len(src) != b.Units {
		panic("spin: SetInt8 from a slice of the wrong length")
	}
	for u, x := range src {
		b.Set(u, chain, x > 0)
	}
}
