package lattice

import "math/bits"

// Sums writes to dst the sums of a bit-sliced counter (Depth·8 words) over
// fields of bits: dst[r] = Σ_k 2ᵏ·(set bits of plane k in bits
// [r·field, (r+1)·field)). field is a power of two, len(dst) is 512/field, and
// no bit's count exceeds most.
func Sums(dst []int64, total []uint64, field, most int) {
	planes := bits.Len(uint(most))
	dst = dst[:Bits/field]
	clear(dst)
	switch {
	case field == 1:
		for k := 0; k < planes; k += 8 {
			for l := range Lanes {
				for j := 0; j < 64; j += 8 {
					var x uint64
					for i := range min(8, planes-k) {
						x |= total[(k+i)*Lanes+l] >> j & 0xff << (8 * i)
					}
					x = transpose8(x)
					for i := range 8 {
						dst[l*64+j+i] += int64(x>>(8*i)&0xff) << k
					}
				}
			}
		}
	case field < 64:
		mask := uint64(1)<<field - 1
		for k := range planes {
			for r := range dst {
				bit := r * field
				dst[r] += int64(bits.OnesCount64(total[k*Lanes+bit/64]>>(bit%64)&mask)) << k
			}
		}
	default:
		for k := range planes {
			for l := range Lanes {
				dst[l*64/field] += int64(bits.OnesCount64(total[k*Lanes+l])) << k
			}
		}
	}
}

// transpose8 transposes an 8×8 matrix of bits, row i in byte i (H. S. Warren,
// Hacker's Delight, 7-3).
func transpose8(x uint64) uint64 {
	t := (x ^ x>>7) & 0x00aa00aa00aa00aa
	x ^= t ^ t<<7
	t = (x ^ x>>14) & 0x0000cccc0000cccc
	x ^= t ^ t<<14
	t = (x ^ x>>28) & 0x00000000f0f0f0f0
	return x ^ t ^ t<<28
}
