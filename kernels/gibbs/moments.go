package gibbs

import (
	"fmt"
	"math/bits"
)

// MaxMeanChains is the largest number of chains that SpinMeans sums: with
// spin.MeanBits fraction bits the sums stay at or below 2³⁰.
const MaxMeanChains = 256

// Counts adds Σ_c a[i][c]·b[j][c] to dst[i·stride + j] for the rows
// i in [i0, i1) of a and all rows j of b. The sum is over the chains of the
// words [w0, w1), chains being the number of chains in all: chains beyond it
// must be zero bits in both and do not count.
func (k *Kernel) Counts(dst []int32, stride int, a, b Rows, i0, i1, w0, w1, chains int, sc *Scratch) {
	n := checkWords(w0, w1, chains)
	if i0 < 0 || i0 > i1 {
		panic(fmt.Sprintf("gibbs: counts of rows [%d, %d)", i0, i1))
	}
	checkRows("a", a, i1, w1)
	checkRows("b", b, b.N, w1)
	checkDst(dst, stride, i1, b.N)
	if n > 0 {
		k.path.counts(dst, stride, a, b, i0, i1, w0, w1, n, sc)
	}
}

// PairCounts adds Σ_c s[i[k]][c]·s[j[k]][c] over the chains of the words
// [w0, w1) to dst[k], for a list of pairs of rows.
func PairCounts(dst []int64, s Rows, i, j []int32, w0, w1, chains int) {
	n := checkWords(w0, w1, chains)
	if len(i) != len(dst) || len(j) != len(dst) {
		panic(fmt.Sprintf("gibbs: %d counts of %d and %d rows", len(dst), len(i), len(j)))
	}
	checkRows("s", s, s.N, w1)
	for k := range dst {
		x, y := s.Row(int(i[k]))[w0:w1], s.Row(int(j[k]))[w0:w1]
		odd := 0
		for w, v := range x {
			odd += bits.OnesCount64(v ^ y[w])
		}
		dst[k] += int64(n - 2*odd)
	}
}

// RowCounts adds Σ_c s[i][c] over the chains of the words [w0, w1) to dst[i],
// for all rows.
func RowCounts(dst []int64, s Rows, w0, w1, chains int) {
	n := checkWords(w0, w1, chains)
	checkRows("s", s, s.N, w1)
	if len(dst) < s.N {
		panic(fmt.Sprintf("gibbs: %d counts of %d rows", len(dst), s.N))
	}
	for i := range s.N {
		up := 0
		for _, v := range s.Row(i)[w0:w1] {
			up += bits.OnesCount64(v)
		}
		dst[i] += int64(2*up - n)
	}
}

// SpinMeans writes Σ_c ±v[i][c]·m[a·mStride + c] to dst[i·stride + a] for all
// rows i of v and the units a of [a0, a1), summed over the chains
// [64·w0, min(64·w1, chains)), at most MaxMeanChains of them; the sign is that
// of the chains before minus, and the other one from there on. m is what Means
// writes, indexed by chain from 0. a0 is a multiple of Block, and so is a1
// unless it is the last unit.
func (k *Kernel) SpinMeans(dst []int32, stride int, v Rows, m []int32, mStride, a0, a1, w0, w1, chains, minus int, sc *Scratch) {
	n := checkWords(w0, w1, chains)
	minus = min(max(0, minus-64*w0), n)
	if n > MaxMeanChains || a0 < 0 || a0 > a1 || a0%k.Block() != 0 {
		panic(fmt.Sprintf("gibbs: means of units [%d, %d) over %d chains", a0, a1, n))
	}
	checkRows("v", v, v.N, w1)
	checkDst(dst, stride, v.N, a1)
	checkDst(m, mStride, a1, min(64*w1, chains))
	if n == 0 || a0 == a1 || v.N == 0 {
		return
	}
	if p, ok := k.path.(interface {
		spinMeans(dst []int32, stride int, v Rows, m []int32, mStride, a0, a1, w0, w1, chains, minus int, sc *Scratch)
	}); ok {
		p.spinMeans(dst, stride, v, m[64*w0:], mStride, a0, a1, w0, w1, n, minus, sc)
		return
	}
	// Chains are the inputs, the units are the outputs and the rows of v lie
	// in the lanes: the product of Step with the bits of v transposed.
	words := (v.N + 63) / 64
	sc.transposed = grow(sc.transposed, 64*(w1-w0)*words)
	transposeBits(sc.transposed, words, v, w0, w1)
	for i, x := range sc.transposed[minus*words : n*words] {
		sc.transposed[minus*words+i] = ^x
	}
	w := &sc.weights
	if w.in != n || w.out != a1 || w.path != k.path {
		*w = Weights{in: n, out: a1, path: k.path, data: w.data, offset: w.offset}
		k.path.newWeights(w)
	}
	sc.source[0] = Block{Src: m[64*w0:], Stride: mStride, Transposed: true, In: n}
	k.path.pack(w, nil, sc.source[:], a0, a1)
	s := &sc.step
	s.Weights, s.Chains = w, v.N
	s.In = append(s.In[:0], Rows{Bits: sc.transposed, Stride: words, N: n})
	s.Unit0, s.Unit1, s.Word1 = a0, a1, words
	k.each(s, sc, func(u, u1, r0, r1 int) {
		k.path.storeTransposed(dst, stride, v.N, sc, u, u1, r0, r1)
	})
}

// checkWords returns the number of chains in the words [w0, w1).
func checkWords(w0, w1, chains int) int {
	if w0 < 0 || w0 > w1 || w1 > (chains+63)/64 {
		panic(fmt.Sprintf("gibbs: words [%d, %d) of %d chains", w0, w1, chains))
	}
	return min(64*w1, chains) - 64*w0
}

// transposeBits writes the words [w0, w1) of all rows of v as one row of
// words for each chain: bit i%64 of dst[c·words + i/64] is bit c of row i.
func transposeBits(dst []uint64, words int, v Rows, w0, w1 int) {
	var block [64]uint64
	for b := range words {
		n := min(64, v.N-64*b)
		for w := w0; w < w1; w++ {
			for i := range n {
				block[i] = v.Bits[(64*b+i)*v.Stride+w]
			}
			clear(block[n:])
			transpose64(&block)
			for c, x := range block {
				dst[(64*(w-w0)+c)*words+b] = x
			}
		}
	}
}

// transpose64 transposes a 64×64 bit matrix (Warren, Hacker's Delight, 7-3).
func transpose64(a *[64]uint64) {
	m := uint64(0x00000000ffffffff)
	for j := 32; j != 0; j >>= 1 {
		for k := 0; k < 64; k = (k + j + 1) &^ j {
			t := (a[k]>>j ^ a[k+j]) & m
			a[k] ^= t << j
			a[k+j] ^= t
		}
		m ^= m << (j >> 1)
	}
}
