//go:build amd64 && !noasm

package gibbs

import (
	"math/bits"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"kadanoff/kernels/isa"
	"kadanoff/spin"
)

// avx512 is the path of AVX-512: tables of the sums of five spins lie in two
// registers and VPERMI2D looks up 16 chains at once.
//
// Layouts: weights [out/5][group][5 units][5 inputs], doubled, with offset =
// bias − ΣW; indices [word][group][64]; fields [word][slab][64]. The 64 chains
// of a word are in the order A0, B0, A1, B1: lane 4L+k of A holds chain 8L+k
// and of B chain 8L+4+k of the lower 32 chains (A0, B0) or the upper.
type avx512 struct {
	units int // of a slab
}

const (
	group5      = 5  // spins in a table
	unitBlock5  = 5  // units in the inner tile
	groupBlock5 = 32 // groups whose tables are kept in L1, at most: 32·5·128 B = 20 KB
	slab512     = 40
	chunk512    = 16 // words treated at a time
)

var hasPopcnt512 = isa.HasFeature(cpuid.AVX512VPOPCNTDQ)

func (p avx512) slab() int { return p.units }

func (p avx512) block() int { return p.units }

func (avx512) skips() bool { return true }

func (avx512) chunk(int) int { return chunk512 }

func (avx512) newWeights(w *Weights) {
	w.inPad = (w.in + group5 - 1) / group5 * group5
	blocks := (w.out + unitBlock5 - 1) / unitBlock5
	w.data = grow(w.data, blocks*unitBlock5*w.inPad)
	w.offset = grow(w.offset, blocks*unitBlock5)
	clear(w.data)
	clear(w.offset)
}

// place returns the index in data of the weight from input i to unit u.
func (avx512) place(w *Weights, i, u int) int {
	groups := w.inPad / group5
	return ((u/unitBlock5*groups+i/group5)*unitBlock5+u%unitBlock5)*group5 + i%group5
}

func (p avx512) row(w *Weights, u int, inputs []int32, set bool) {
	at := p.place(w, 0, u)
	for len(inputs) > 0 {
		n := min(group5, len(inputs))
		if set {
			copy(w.data[at:], inputs[:n])
		} else {
			copy(inputs[:n], w.data[at:])
		}
		inputs, at = inputs[n:], at+unitBlock5*group5
	}
}

func (p avx512) pack(w *Weights, bias []int32, blocks []Block, unit0, unit1 int) {
	for u := unit0; u < unit1; u++ {
		w.offset[u] = 0
		if bias != nil {
			w.offset[u] = bias[u]
		}
	}
	at := 0
	for k := range blocks {
		b := &blocks[k]
		if b.Transposed {
			p.packTransposed(w, b, at, unit0, unit1)
		} else {
			p.packRows(w, b, at, unit0, unit1)
		}
		at += b.In
	}
}

func (p avx512) packRows(w *Weights, b *Block, at, unit0, unit1 int) {
	if b.In == 0 {
		return
	}
	groups := w.inPad / group5
	even := unit0 + (unit1-unit0)/unitBlock5*unitBlock5
	for i := 0; i < b.In; {
		if (at+i)%group5 != 0 || b.In-i < group5 || even == unit0 {
			for u := unit0; u < unit1; u++ {
				w.data[p.place(w, at+i, u)] = 2 * b.at(i, u)
			}
			i++
			continue
		}
		var rows [group5]*int32
		for j := range rows {
			rows[j] = &b.Src[(i+j)*b.Stride+unit0]
		}
		packAVX512(&w.data[p.place(w, at+i, unit0)], groups*100, &rows, even-unit0)
		for j := range rows {
			for u := even; u < unit1; u++ {
				w.data[p.place(w, at+i+j, u)] = 2 * b.at(i+j, u)
			}
		}
		i += group5
	}
	for u := unit0; u < unit1; u += 64 {
		columnSumsAVX512(&w.offset[u], &b.Src[u], 4*b.Stride, b.In, ^uint64(0)>>(64-min(64, unit1-u)))
	}
}

func (p avx512) packTransposed(w *Weights, b *Block, at, unit0, unit1 int) {
	head := min(b.In, (group5-at%group5)%group5)
	groups := (b.In - head) / group5
	tail := head + groups*group5
	for u := unit0; u < unit1; u++ {
		src := b.Src[u*b.Stride:][:b.In]
		var sum int32
		for i, x := range src[:head] {
			w.data[p.place(w, at+i, u)] = 2 * x
			sum += x
		}
		if groups > 0 {
			sum += packTransposedAVX512(&w.data[p.place(w, at+head, u)], &src[head], groups)
		}
		for i, x := range src[tail:] {
			w.data[p.place(w, at+tail+i, u)] = 2 * x
			sum += x
		}
		w.offset[u] -= sum
	}
}

func (avx512) rowBlock() int { return group5 }

func (p avx512) packBoth(up, down *Weights, src []int32, stride, row0, row1 int, rows, columns []int32) {
	for i := row0; i < row1; i += group5 {
		n, first := min(group5, row1-i), src[(i-row0)*stride:]
		whole := up.out / unitBlock5 * unitBlock5
		if n < group5 {
			whole = 0
		}
		if whole > 0 {
			var from [group5]*int32
			for k := range from {
				from[k] = &first[k*stride]
			}
			var sums [48]int32
			packBothAVX512(&up.data[p.place(up, i, 0)], up.inPad*20, &down.data[p.place(down, 0, i)], &from, whole, &sums)
			for k := range from {
				s := sums[8*k:]
				rows[i+k] += s[0] + s[1] + s[2] + s[3] + s[4]
			}
		}
		for k := range n {
			for a := whole; a < up.out; a++ {
				x := first[k*stride+a]
				up.data[p.place(up, i+k, a)] = 2 * x
				down.data[p.place(down, a, i+k)] = 2 * x
				rows[i+k] -= x
			}
		}
	}
	for u := 0; u < up.out; u += 64 {
		columnSumsAVX512(&columns[u], &src[u], 4*stride, row1-row0, ^uint64(0)>>(64-min(64, up.out-u)))
	}
}

func (avx512) setBias(w *Weights, bias, sums []int32) { w.setBias(bias, sums) }

func (p avx512) begin(sc *Scratch, parts []part) {
	p.findActive(sc, parts)
	groups := len(sc.active)
	sc.index = grow(sc.index, partWords(parts)*groups*256)
	index, word := sc.index, 0
	var rows [group5]*uint64
	for _, s := range parts {
		words := s.w1 - s.w0
		for w := s.w0; w < s.w1; w++ {
			sc.vectors[word] = vectors(s.Chains, w)
			word++
		}
		n, at, left := 0, 0, 0 // row of a group, place of the group, rows before it
		expand := func() {
			if at < groups && int(sc.active[at])*group5 == left {
				for ; n < group5; n++ {
					rows[n] = rows[0] // weights are zero where a row stands in for a missing one
				}
				expandAVX512((*uint32)(unsafe.Pointer(&index[at*256])), &rows, words, groups*256)
				at++
			}
			n, left = 0, left+group5
		}
		for _, seg := range s.In {
			for i := range seg.N {
				rows[n] = &seg.Bits[i*seg.Stride+s.w0]
				if n++; n == group5 {
					expand()
				}
			}
		}
		if n > 0 {
			expand()
		}
		index = index[words*groups*256:]
		sc.philox.start(&s.Rule)
		sc.factors512(&s.Rule, s.w0, s.w1)
	}
}

// findActive lists the groups in which any spin is up: the others add nothing
// to a sum over the bits that are set. Where pixels are dark in all images of
// a batch, that is a third of the groups.
func (avx512) findActive(sc *Scratch, parts []part) {
	groups := parts[0].Weights.inPad / group5
	sc.used = grow(sc.used, groups)
	clear(sc.used)
	for _, s := range parts {
		n := 0
		for _, seg := range s.In {
			for i := range seg.N {
				if used := &sc.used[n/group5]; !*used {
					var any uint64
					for _, x := range seg.Row(i)[s.w0:s.w1] {
						any |= x
					}
					*used = any != 0
				}
				n++
			}
		}
	}
	sc.active = grow(sc.active, groups)[:0]
	for g, used := range sc.used {
		if used {
			sc.active = append(sc.active, int32(g))
		}
	}
	if len(sc.active) == 0 {
		sc.active = append(sc.active, 0) // sums begin somewhere
	}
}

// vectors returns how many of the four vectors of a word hold chains.
func vectors(chains, word int) int {
	switch n := chains - 64*word; {
	case n <= 32:
		return 2
	case n <= 36:
		return 3
	}
	return 4
}

// accStep returns the bytes from the fields of one word to the next.
func (p avx512) accStep() int { return 4 * 64 * p.units }

func (p avx512) sums(w *Weights, sc *Scratch, u, u1, words int) {
	groups := len(sc.active)
	sc.acc = grow(sc.acc, words*p.units*64)
	sc.table = grow(sc.table, groupBlock5*unitBlock5*128)
	table := (*int32)(unsafe.Pointer(&sc.table[0]))
	// A block of groups serves all units of the slab before the next one, so
	// that its indices stay in L2.
	blocks := (groups + groupBlock5 - 1) / groupBlock5
	size := (groups + blocks - 1) / blocks
	for g := 0; g < groups; g += size {
		block := sc.active[g:min(g+size, groups)]
		count := len(block)
		index := func(word int) *uint32 { return (*uint32)(unsafe.Pointer(&sc.index[((sc.skip+word)*groups+g)*256])) }
		for v := u; v < u1; v += unitBlock5 {
			acc, start := sc.acc[(v-u)*64:], &w.offset[v]
			if g > 0 {
				start = nil
			}
			for i := 0; i < count; {
				// groups that follow each other
				j, first := count, int(block[i])
				if int(block[count-1])-first != count-1-i {
					for j = i + 1; int(block[j]) == first+j-i; {
						j++
					}
				}
				next := p.place(w, first*group5, v+unitBlock5)
				if v+unitBlock5 >= u1 {
					next = min(p.place(w, (first+size)*group5, u), len(w.data)-1)
				}
				t := (*int32)(unsafe.Pointer(&sc.table[i*unitBlock5*128]))
				tablesAVX512(t, &w.data[p.place(w, first*group5, v)], j-i, &w.data[next])
				i = j
			}
			for word := 0; word < words; {
				first, n := word, sc.vectors[sc.skip+word]
				for word < words && sc.vectors[sc.skip+word] == n {
					word++
				}
				to, from := &acc[first*p.units*64], index(first)
				switch n {
				case 4:
					sums4AVX512(to, table, from, count, word-first, p.accStep(), groups*256, start)
				case 3:
					sums3AVX512(to, table, from, count, word-first, p.accStep(), groups*256, start)
				case 2:
					sums2AVX512(to, table, from, count, word-first, p.accStep(), groups*256, start)
				}
			}
		}
	}
}

func (p avx512) mix(s *Step, sc *Scratch, u, w0, w1 int) {
	for j := range min(p.units, s.Weights.out-u) {
		mixAVX512(&sc.acc[64*j], w1-w0, p.accStep(), int64(s.Mix.M), s.Mix.constant(u+j))
	}
}

// draw512 makes the high halves of the draws of n groups for a word of chains.
func (sc *Scratch) draw512(random *uint16, chain0 uint32, n int) {
	philoxAVX512(random, chain0, n, &sc.philox.keys[0], &sc.philox.uniform[0], &sc.lanes[0])
}

// factors512 prepares the factors of the words [w0, w1), and the scratch of
// accept and draw.
func (sc *Scratch) factors512(r *Rule, w0, w1 int) {
	sc.lanes = grow(sc.lanes, 768)
	sc.ties = grow(sc.ties, 2*max(UnitBlock, w1-w0))
	if r.Betas == nil {
		sc.factors = grow(sc.factors, 1)
		sc.factors[0] = r.factor(0)
		return
	}
	sc.factors = grow(sc.factors, 64*(w1-w0))
	for c := range sc.factors {
		sc.factors[c&^63+lane(c&63)] = r.factor(c + 64*w0)
	}
}

// lane returns the place of chain c of a word in the order A0, B0, A1, B1.
func lane(c int) int { return c&32 | c&4<<2 | c&24>>1 | c&3 }

// accept512 calls the filter that fits the rule.
func (sc *Scratch) accept512(r *Rule, out *uint64, acc *int32, random *uint16, n, outStep, accStep, randomStep, word, factorStep int) []uint64 {
	f, ties := &filter512[0][0], &sc.ties[0]
	switch {
	case r.Betas != nil:
		n = acceptEachAVX512(out, acc, random, n, outStep, accStep, randomStep, f, 0, &sc.factors[64*word], factorStep, ties)
	case r.Beta == 1<<spin.XBits && r.Frac >= 13:
		n = acceptShiftAVX512(out, acc, random, n, outStep, accStep, randomStep, f, uint64(r.Frac-13), nil, 0, ties)
	default:
		n = acceptOneAVX512(out, acc, random, n, outStep, accStep, randomStep, f, 0, &sc.factors[0], 0, ties)
	}
	return sc.ties[:n]
}

func (p avx512) accept(s *Step, sc *Scratch, u, u1, w0, w1 int) {
	groups := (u1 - u + 7) / 8
	sc.random = grow(sc.random, p.units*64)
	sc.philox.groups((s.Unit+uint32(u))>>3, groups)
	for w := w0; w < w1; w++ {
		sc.draw512(&sc.random[0], s.Chain0+uint32(64*w), groups)
		acc := sc.acc[(w-w0)*p.units*64:]
		ties := sc.accept512(&s.Rule, &s.Out.Bits[u*s.Out.Stride+w], &acc[0], &sc.random[0], u1-u, 8*s.Out.Stride, 256, 128, sc.skip+w-w0, 0)
		for _, t := range ties {
			j, h := int(uint32(t)>>1), int(t&1)
			out := &s.Out.Bits[(u+j)*s.Out.Stride+w]
			decide512(&s.Rule, out, u+j, w, h, uint32(t>>32), acc[64*j:], sc.random[64*j:])
		}
	}
}

// decide512 applies the exact rule to the chains of mask in half h of a word.
func decide512(r *Rule, out *uint64, u, w, h int, mask uint32, acc []int32, random []uint16) {
	for ; mask != 0; mask &= mask - 1 {
		b := 32*h + bits.TrailingZeros32(mask)
		c := 64*w + b
		if c >= r.Chains {
			return
		}
		up := r.decide(acc[lane(b)], random[b], u, c)
		*out = *out&^(1<<b) | up<<b
	}
}

func (p avx512) store(dst []int32, stride int, sc *Scratch, u, u1, w0, w1 int) {
	for j := range u1 - u {
		storeAVX512(&dst[(u+j)*stride+64*w0], &sc.acc[64*j], w1-w0, p.accStep())
	}
}

func (p avx512) storeTransposed(dst []int32, stride, chains int, sc *Scratch, u, u1, w0, w1 int) {
	for w := w0; w < w1; w++ {
		for j := 0; j < u1-u; j += 16 {
			acc := sc.acc[((w-w0)*p.units+j)*64:]
			n := min(16, u1-u-j)
			if rows := chains - 64*w; rows < 64 {
				for c := range rows {
					row := dst[(64*w+c)*stride+u+j:][:n]
					for i := range row {
						row[i] = acc[64*i+lane(c)]
					}
				}
				continue
			}
			transposeAVX512(&dst[64*w*stride+u+j], &acc[0], 4*stride, 1<<n-1)
		}
	}
}

func (avx512) list(s *ListStep, sc *Scratch) {
	for w0 := s.Word0; w0 < s.Word1; w0 += 16 {
		w1 := min(s.Word1, w0+16)
		n := w1 - w0
		sc.philox.start(&s.Rule)
		sc.factors512(&s.Rule, w0, w1)
		sc.acc = grow(sc.acc, 64*n)
		sc.random = grow(sc.random, 8*64*n)
		group := ^uint32(0)
		for _, v := range s.Units {
			u := int(v)
			if g := (s.Unit + uint32(u)) >> 3; g != group {
				group = g
				sc.philox.groups(g, 1)
				for w := range n {
					sc.draw512(&sc.random[8*64*w], s.Chain0+uint32(64*(w0+w)), 1)
				}
			}
			col, weight := s.Col[s.RowPtr[u]:s.RowPtr[u+1]], s.W[s.RowPtr[u]:s.RowPtr[u+1]]
			start := s.Bias[u]
			for _, x := range weight {
				start -= x
			}
			listAVX512(&sc.acc[0], &s.State.Bits[w0], 8*s.State.Stride, unsafe.SliceData(col), unsafe.SliceData(weight), len(col), n, start)
			if s.Mix.On {
				mixAVX512(&sc.acc[0], n, 256, int64(s.Mix.M), s.Mix.constant(u))
			}
			random := sc.random[64*((s.Unit+uint32(u))&7):]
			out := s.State.Row(u)[w0:]
			ties := sc.accept512(&s.Rule, &out[0], &sc.acc[0], &random[0], n, 8, 256, 8*128, 0, 256)
			for _, t := range ties {
				w, h := int(uint32(t)>>1), int(t&1)
				decide512(&s.Rule, &out[w], u, w0+w, h, uint32(t>>32), sc.acc[64*w:], random[8*64*w:])
			}
		}
	}
}

func (avx512) counts(dst []int32, stride int, a, b Rows, i0, i1, w0, w1, chains int, sc *Scratch) {
	if !hasPopcnt512 {
		generic{}.counts(dst, stride, a, b, i0, i1, w0, w1, chains, sc)
		return
	}
	// lanes are rows of b, so that no sum runs across lanes
	n, pad := w1-w0, (b.N+15)/16*16
	sc.words = grow(sc.words, n*pad)
	for j := range b.N {
		for w, x := range b.Row(j)[w0:w1] {
			sc.words[w*pad+j] = x
		}
	}
	i := i0
	for ; i+4 <= i1; i += 4 {
		for j := 0; j < b.N; j += 16 {
			oddAVX512(&dst[i*stride+j], 4*stride, &a.Bits[i*a.Stride+w0], 8*a.Stride, &sc.words[j], 8*pad, n, int32(chains), 1<<min(16, b.N-j)-1)
		}
	}
	generic{}.counts(dst, stride, a, b, i, i1, w0, w1, chains, sc)
}

func (avx512) means(dst []int32, betas []uint64, frac uint) { meansEight(dst, betas, frac) }

// filter512 is the table of the 16-bit filter: 2¹⁶·σ(−2|x|) in 64 segments of
// 1/16, values first and then the falls within each segment.
var filter512 = func() (f [2][64]uint16) {
	const step = spin.XBits - 4
	for i := range uint32(64) {
		y0, y1, ym := int64(spin.Tail(i<<step)), int64(spin.Tail((i+1)<<step)), int64(spin.Tail((2*i+1)<<(step-1)))
		round := func(x int64) uint16 { return uint16((x + 1<<15) >> 16) }
		// half of what the chord is off in the middle
		f[0][i] = round(y0 - ((y0+y1)/2-ym)/2)
		f[1][i] = round(y0 - y1)
		if i == 63 {
			// the end stands for all fields beyond: half of what is left there
			f[0][i], f[1][i] = round(y0), round(y0-y1/2)
		}
	}
	return f
}()
