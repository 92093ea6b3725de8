package train

import (
	"slices"
	"testing"
)

// Shares follow each other without a gap, no rank goes without while another
// has two, and none has more words than it must.
func TestShare(t *testing.T) {
	for _, n := range []int{0, 1, 3, 63, 64, 65, 100, 128, 331, 500, 4096} {
		for _, size := range []int{1, 2, 3, 4, 7, 64, 100} {
			last := 0
			for rank := range size {
				from, to := share(n, size, rank)
				if from != last || to < from {
					t.Fatalf("%d on %d ranks: rank %d has [%d, %d) after %d", n, size, rank, from, to, last)
				}
				if n >= size && to == from {
					t.Errorf("%d on %d ranks: rank %d has none", n, size, rank)
				}
				if words, most := (to-from+63)/64, ((n+63)/64+size-1)/size; words > most {
					t.Errorf("%d on %d ranks: rank %d has %d words, want at most %d", n, size, rank, words, most)
				}
				last = to
			}
			if last != n {
				t.Errorf("%d on %d ranks: %d are shared out", n, size, last)
			}
		}
	}
}

func TestCopyBits(t *testing.T) {
	src := []uint64{0x0123456789abcdef, 0xfedcba9876543210, 0xdeadbeefcafef00d}
	bit := func(x []uint64, i int) uint64 { return x[i/64] >> (i % 64) & 1 }
	for _, at := range []int{0, 1, 31, 64, 67} {
		for _, from := range []int{0, 5, 63, 64, 70} {
			for _, n := range []int{0, 1, 59, 64, 65, 101} {
				dst := []uint64{^uint64(0), 0x5555555555555555, 0x3333333333333333}
				want := slices.Clone(dst)
				for i := range n {
					want[(at+i)/64] = want[(at+i)/64]&^(1<<((at+i)%64)) | bit(src, from+i)<<((at+i)%64)
				}
				copyBits(dst, at, src, from, n)
				if !slices.Equal(dst, want) {
					t.Errorf("%d bits from %d to %d: %x, want %x", n, from, at, dst, want)
				}
			}
		}
	}
}
