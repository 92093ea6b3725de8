//go:build (amd64 || arm64) && !noasm

package gibbs

import (
	"math"
	"math/bits"
	"unsafe"

	"kadanoff/spin"
)

// eights is the path of AVX2 and of NEON, with eight units in the lanes of one
// register or two: tables of the sums of six spins for eight units lie in L1
// and every look-up adds one row of a table.
//
// Layouts: weights [out/8][inPad][8] with offset = bias − ΣW; indices
// [word][group][64], byte offsets into a table; fields [chain][8].
type eights struct{}

const (
	group6      = 6
	groupBlock6 = 12 // groups whose tables are kept in L1: 12·64·32 B = 24 KB
	chunk8      = 16 // words treated at a time
)

func (eights) block() int    { return 8 }
func (eights) slab() int     { return 8 }
func (eights) skips() bool   { return false }
func (eights) chunk(int) int { return chunk8 }

func (eights) newWeights(w *Weights) { newRows8(w, group6) }

func (p eights) pack(w *Weights, bias []int32, blocks []Block, unit0, unit1 int) {
	for u0 := unit0; u0 < unit1; u0 += 8 {
		var sums [8]int32
		n := min(8, unit1-u0)
		if bias != nil {
			copy(sums[:n], bias[u0:])
		}
		at := 0
		for k := range blocks {
			p.packEight(w, &blocks[k], at, u0, n, &sums)
			at += blocks[k].In
		}
		copy(w.offset[u0:u0+n], sums[:n])
	}
}

// packEight packs a block's weights to n ≤ 8 units from u0 on, and subtracts
// them from sums.
func (eights) packEight(w *Weights, b *Block, at, u0, n int, sums *[8]int32) {
	done := 0
	dst := w.data[(u0/8*w.inPad+at)*8:][:b.In*8]
	switch {
	case n < 8 || b.In < 8:
	case b.Transposed:
		packTransposed8(&dst[0], &b.Src[u0*b.Stride], 4*b.Stride, b.In/8, sums)
		done = b.In &^ 7
	default:
		pack8(&dst[0], &b.Src[u0], 4*b.Stride, b.In, sums)
		done = b.In
	}
	for i := done; i < b.In; i++ {
		for j := range n {
			x := b.at(i, u0+j)
			dst[8*i+j] = x
			sums[j] -= x
		}
	}
}

// rowBlock: eight rows would do, but then pieces of 256 bytes go to places
// farther apart than a page.
func (eights) rowBlock() int { return 64 }

func (p eights) packBoth(up, down *Weights, src []int32, stride, row0, row1 int, rows, columns []int32) {
	b := Block{Src: src, Stride: stride, In: row1 - row0}
	var sums [8]int32
	for u := 0; u < up.out; u += 8 {
		n := min(8, up.out-u)
		copy(sums[:n], columns[u:])
		p.packEight(up, &b, row0, u, n, &sums)
		copy(columns[u:u+n], sums[:n])
	}
	b.Transposed, b.In = true, up.out
	for i := row0; i < row1; i += 8 {
		n := min(8, row1-i)
		b.Src = src[(i-row0)*stride:]
		copy(sums[:n], rows[i:])
		// packEight counts units from the first of the weights it fills
		w := Weights{inPad: down.inPad, data: down.data[i/8*down.inPad*8:]}
		p.packEight(&w, &b, 0, 0, n, &sums)
		copy(rows[i:i+n], sums[:n])
	}
}

func (eights) setBias(w *Weights, bias, sums []int32) { w.setBias(bias, sums) }

func (eights) begin(sc *Scratch, parts []part) {
	groups := parts[0].Weights.inPad / group6
	sc.index = grow(sc.index, partWords(parts)*groups*128)
	index := sc.index
	var rows [group6]*uint64
	for _, s := range parts {
		words := s.w1 - s.w0
		n, g := 0, 0
		for _, seg := range s.In {
			for i := range seg.N {
				rows[n] = &seg.Bits[i*seg.Stride+s.w0]
				if n++; n == group6 {
					expand8((*uint16)(unsafe.Pointer(&index[g*128])), &rows, words, groups*128)
					n, g = 0, g+1
				}
			}
		}
		if n > 0 {
			// weights are zero where a row stands in for a missing one
			for ; n < group6; n++ {
				rows[n] = rows[0]
			}
			expand8((*uint16)(unsafe.Pointer(&index[g*128])), &rows, words, groups*128)
		}
		index = index[words*groups*128:]
		sc.start8(&s.Rule, s.w0, s.w1, 8)
	}
}

// start8 prepares random numbers, and factors with each chain's repeated
// often enough for the order of the fields.
func (sc *Scratch) start8(r *Rule, w0, w1, repeat int) {
	n := 64 * (w1 - w0)
	sc.philox.start(r)
	for i, k := range sc.philox.keys {
		sc.keys[i] = [4]uint64{k, k, k, k}
	}
	sc.random = grow(sc.random, 8*n)
	sc.ties = grow(sc.ties, n*repeat/32)
	if r.Betas == nil {
		sc.factors = grow(sc.factors, 1)
		sc.factors[0] = r.factor(0)
		return
	}
	sc.factors = grow(sc.factors, n*repeat)
	for c := range n {
		f := r.factor(c + 64*w0)
		for i := range repeat {
			sc.factors[c*repeat+i] = f
		}
	}
}

// draw8 makes the high halves of the draws of a group of eight units.
func (sc *Scratch) draw8(r *Rule, group uint32, w0, w1 int) {
	sc.philox.groups(group, 1)
	philox8(&sc.random[0], r.Chain0+uint32(64*w0), 64*(w1-w0), &sc.keys[0], &sc.philox.uniform[0])
}

// accept8 decides n times 32 spins.
func (sc *Scratch) accept8(r *Rule, out *uint32, acc *int32, random *uint16, n int) []uint64 {
	if r.Betas != nil {
		n = acceptEach8(out, acc, random, n, &filter16, &sc.factors[0], &sc.ties[0])
	} else {
		n = acceptOne8(out, acc, random, n, &filter16, &sc.factors[0], &sc.ties[0])
	}
	return sc.ties[:n]
}

func (eights) sums(w *Weights, sc *Scratch, u, _, n int) {
	groups := w.inPad / group6
	sc.acc = grow(sc.acc, n*64*8)
	sc.table = grow(sc.table, groupBlock6*64*32)
	table := (*int32)(unsafe.Pointer(&sc.table[0]))
	start := &w.offset[u]
	for g := 0; g < groups; g += groupBlock6 {
		count := min(groupBlock6, groups-g)
		tables8(table, &w.data[(u/8*w.inPad+g*group6)*8], count)
		sums8(&sc.acc[0], table, (*uint16)(unsafe.Pointer(&sc.index[g*128])), count, n, groups*128, start)
		start = nil
	}
}

func (eights) mix(s *Step, sc *Scratch, u, w0, w1 int) {
	var c [8]int64
	for j := range min(8, s.Weights.out-u) {
		c[j>>1+j&1*4] = s.Mix.constant(u + j)
	}
	mix8(&sc.acc[0], 64*(w1-w0), int64(s.Mix.M), &c)
}

func (eights) accept(s *Step, sc *Scratch, u, u1, w0, w1 int) {
	n := w1 - w0
	sc.draw8(&s.Rule, (s.Unit+uint32(u))>>3, w0, w1)
	sc.bytes = grow(sc.bytes, 64*n)
	sc.words = grow(sc.words, 8*n)
	ties := sc.accept8(&s.Rule, (*uint32)(unsafe.Pointer(&sc.bytes[0])), &sc.acc[0], &sc.random[0], 16*n)
	for _, t := range ties {
		for m := uint32(t >> 32); m != 0; m &= m - 1 {
			e := int(uint32(t))*32 + bits.TrailingZeros32(m)
			c, j := e>>3, e&7
			if c+64*w0 < s.Chains {
				up := s.decide(sc.acc[e], sc.random[e], u+j, c+64*w0)
				sc.bytes[c] = sc.bytes[c]&^(1<<j) | uint8(up)<<j
			}
		}
	}
	rows8((*[8]uint64)(sc.words), &sc.bytes[0], n)
	for j := range u1 - u {
		row := s.Out.Row(u + j)[w0:w1]
		for w := range row {
			row[w] = sc.words[8*w+j]
		}
	}
}

func (eights) store(dst []int32, stride int, sc *Scratch, u, u1, w0, w1 int) {
	storeRows8(dst, stride, sc, u, u1, w0, w1)
}

func (eights) storeTransposed(dst []int32, stride, chains int, sc *Scratch, u, u1, w0, w1 int) {
	storeRows8Transposed(dst, stride, chains, sc, u, u1, w0, w1)
}

func (eights) list(s *ListStep, sc *Scratch) {
	for w0 := s.Word0; w0 < s.Word1; w0 += chunk8 {
		w1 := min(s.Word1, w0+chunk8)
		n := w1 - w0
		sc.start8(&s.Rule, w0, w1, 1)
		sc.acc = grow(sc.acc, 64*n)
		sc.rows = grow(sc.rows, 8*64*n)
		group := ^uint32(0)
		for _, v := range s.Units {
			u := int(v)
			if g := (s.Unit + uint32(u)) >> 3; g != group {
				group = g
				sc.draw8(&s.Rule, g, w0, w1)
				transposeDraws8(&sc.rows[0], &sc.random[0], 8*n, 2*64*n)
			}
			col, weight := s.Col[s.RowPtr[u]:s.RowPtr[u+1]], s.W[s.RowPtr[u]:s.RowPtr[u+1]]
			start := s.Bias[u]
			for _, x := range weight {
				start -= x
			}
			list8(&sc.acc[0], &s.State.Bits[w0], 8*s.State.Stride, unsafe.SliceData(col), unsafe.SliceData(weight), len(col), n, start)
			if s.Mix.On {
				k := s.Mix.constant(u)
				mix8(&sc.acc[0], 8*n, int64(s.Mix.M), &[8]int64{k, k, k, k, k, k, k, k})
			}
			random := sc.rows[64*n*int((s.Unit+uint32(u))&7):]
			out := s.State.Row(u)[w0:w1]
			ties := sc.accept8(&s.Rule, (*uint32)(unsafe.Pointer(&out[0])), &sc.acc[0], &random[0], 2*n)
			for _, t := range ties {
				for m := uint32(t >> 32); m != 0; m &= m - 1 {
					c := int(uint32(t))*32 + bits.TrailingZeros32(m)
					if c+64*w0 < s.Chains {
						up := s.decide(sc.acc[c], random[c], u, c+64*w0)
						out[c>>6] = out[c>>6]&^(1<<(c&63)) | up<<(c&63)
					}
				}
			}
		}
	}
}

func (eights) counts(dst []int32, stride int, a, b Rows, i0, i1, w0, w1, chains int, sc *Scratch) {
	// lanes are rows of b, so that no sum runs across lanes
	n, eights := w1-w0, b.N&^7
	sc.words = grow(sc.words, n*eights)
	for j := range eights {
		for w, x := range b.Row(j)[w0:w1] {
			sc.words[w*eights+j] = x
		}
	}
	i := i0
	for ; i+2 <= i1; i += 2 {
		for j := 0; j < eights; j += 8 {
			odd8(&dst[i*stride+j], 4*stride, &a.Bits[i*a.Stride+w0], 8*a.Stride, &sc.words[j], 8*eights, n, int32(chains))
		}
	}
	generic{}.counts(dst, stride, a, b, i, i1, w0, w1, chains, sc)
	rest := Rows{Bits: b.Bits[min(eights*b.Stride, len(b.Bits)):], Stride: b.Stride, N: b.N - eights}
	if rest.N > 0 && i > i0 {
		generic{}.counts(dst[eights:], stride, a, rest, i0, i, w0, w1, chains, sc)
	}
}

func (eights) means(dst []int32, betas []uint64, frac uint) { meansEight(dst, betas, frac) }

// meansEight is meansRow with gathers from the table of spin.Tail.
func meansEight(dst []int32, betas []uint64, frac uint) {
	for _, b := range betas {
		if b > math.MaxUint32 {
			meansRow(dst, betas, frac)
			return
		}
	}
	four := [4]uint64{betas[0], betas[0], betas[0], betas[0]}
	p, step := &four[0], 0
	if len(betas) > 1 {
		p, step = &betas[0], 32
	}
	n := len(dst) / 4
	if n > 0 {
		means8(&dst[0], n, p, step, uint64(frac), &spin.TailTable()[0])
	}
	if len(betas) > 1 {
		betas = betas[4*n:]
	}
	meansRow(dst[4*n:], betas, frac)
}

// filter16 is the table of the 16-bit filter: 2¹⁶·σ(−2|x|) in 16 segments of
// 1/4 as v − d·t + q·t², t from 0 to 1; the low bytes of v and the high ones,
// then of d and of q, each repeated for both halves of a register.
var filter16 = func() (f [6][32]uint8) {
	const sixteenth = spin.XBits - 6
	for i := range uint32(16) {
		y := func(k uint32) int64 { return int64(spin.Tail((16*i + k) << sixteenth)) }
		// through the points at t = 1/16, 1/2 and 15/16, near Chebyshev's
		s1, s2 := (y(8)-y(1))*16/7, (y(15)-y(8))*16/7
		q := (s2 - s1) * 8 / 7
		d := q*9/16 - s1
		v := y(1) + d/16 - q/256
		if i == 15 {
			// the end stands for all fields beyond: half of what is left there
			v, d, q = y(0), y(0)-y(16)/2, 0
		}
		for k, x := range []int64{v, d, q} {
			x = (x + 1<<15) >> 16
			for h := range uint32(2) {
				f[2*k][16*h+i], f[2*k+1][16*h+i] = uint8(x), uint8(x>>8)
			}
		}
	}
	return f
}()
