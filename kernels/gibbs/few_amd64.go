//go:build amd64 && !noasm

package gibbs

import (
	"math/bits"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"kadanoff/kernels/isa"
)

// fewPath is AVX-512 for inputs of which few are up. Lanes are units: each
// chain adds those rows of weights that belong to its inputs that are up, two
// inputs at a time where both are. Three rows for each pair of inputs, its
// table, lie in L1.
//
// Weights are [out/16][in and some more that are zero][16], doubled; sums are
// [chain][16], and are put in the order of avx512 when a block of units has
// all of them.
type fewPath struct{ avx512 }

const (
	fewUnits = 16
	fewSlab  = UnitBlock
	fewRow   = 4 * fewUnits // bytes of a row
	fewAhead = 3            // lines of weights that are fetched for each list
	fewPairs = 136          // pairs whose tables are kept in L1, at most: 136·3·64 B = 26 KB
)

var hasFew = isa.HasFeature(cpuid.AVX512VBMI2, cpuid.BMI2, cpuid.POPCNT)

// fewPart is a run of pairs of inputs that have tables at the same time, and
// the lists of all chains for them.
type fewPart struct {
	pair0, pairs int // of fewScratch.pairs
	list         int
	head, heads  int
}

// fewScratch is the part of Scratch that the lists take.
type fewScratch struct {
	inputs []uint64     // [chain][words of 64 inputs]
	any    []uint64     // inputs that are up in any chain
	pairs  [][2]int32   // their pairs, as bytes from a block's weights
	slots  [][32]uint16 // of each pair of inputs: its place in a table, less a row
	masks  []uint64     // inputs of a part
	lists  []uint16
	heads  []uint64
	parts  []fewPart
	sums   []int32 // [chain][16]
	signs  []int32 // of chains, 0 or −1
	total  [fewUnits]int32
}

func (fewPath) block() int { return fewUnits }

func (fewPath) skips() bool { return false } // a chain without inputs that are up may have no list

func (fewPath) newWeights(w *Weights) {
	w.inPad = (w.in + fewUnits) / fewUnits * fewUnits // at least one row more, of zeros
	blocks := (w.out + fewUnits - 1) / fewUnits
	w.data = grow(w.data, blocks*w.inPad*fewUnits)
	w.offset = grow(w.offset, blocks*fewUnits)
	clear(w.data)
	clear(w.offset)
}

// place returns the index in data of the weight from input i to unit u.
func (fewPath) place(w *Weights, i, u int) int {
	return (u/fewUnits*w.inPad+i)*fewUnits + u%fewUnits
}

func (p fewPath) row(w *Weights, u int, inputs []int32, set bool) {
	at := p.place(w, 0, u)
	for i := range inputs {
		if set {
			w.data[at] = inputs[i]
		} else {
			inputs[i] = w.data[at]
		}
		at += fewUnits
	}
}

func (p fewPath) pack(w *Weights, bias []int32, blocks []Block, unit0, unit1 int) {
	for u := unit0; u < unit1; u++ {
		w.offset[u] = 0
		if bias != nil {
			w.offset[u] = bias[u]
		}
		at := p.place(w, 0, u)
		for k := range blocks {
			b := &blocks[k]
			for i := range b.In {
				x := b.at(i, u)
				w.data[at] = 2 * x
				w.offset[u] -= x
				at += fewUnits
			}
		}
	}
}

func (fewPath) rowBlock() int { return fewUnits }

func (p fewPath) packBoth(up, down *Weights, src []int32, stride, row0, row1 int, rows, columns []int32) {
	for i := row0; i < row1; i += fewUnits {
		from := src[(i-row0)*stride:]
		if row1-i >= fewUnits {
			fewPackAVX512(&up.data[p.place(up, i, 0)], up.inPad*fewRow, &down.data[p.place(down, 0, i)], &from[0], 4*stride, up.out, &rows[i], &columns[0])
			continue
		}
		for k := range row1 - i {
			for a, x := range from[k*stride:][:up.out] {
				up.data[p.place(up, i+k, a)] = 2 * x
				down.data[p.place(down, a, i+k)] = 2 * x
				rows[i+k] -= x
				columns[a] -= x
			}
		}
	}
}

func (p fewPath) begin(sc *Scratch, parts []part) {
	f := &sc.few
	in := parts[0].Weights.in
	words := (in + 63) / 64
	f.inputs = grow(f.inputs, partWords(parts)*64*words)
	f.any = grow(f.any, words)
	clear(f.any)
	at := 0
	for _, s := range parts {
		sc.transposeInputs(f.inputs[at:], s, words)
		at += (s.w1 - s.w0) * 64 * words
		sc.philox.start(&s.Rule)
		sc.factors512(&s.Rule, s.w0, s.w1)
	}
	f.cut(words, in)

	lists := 0
	for k := range f.parts {
		lists += at / words * ((f.parts[k].pairs + 7) / 4 * 4)
	}
	f.lists = grow(f.lists, lists+32)
	f.heads = grow(f.heads, len(f.parts)*at/words+1)
	to := [2]uintptr{uintptr(unsafe.Pointer(&f.lists[0])), uintptr(unsafe.Pointer(&f.heads[0]))}
	for k := range f.parts {
		x := &f.parts[k]
		all := 0
		if k == 0 {
			all = 1
		}
		x.list, x.head = f.ends(&to)
		chain := 0 // place of its sums
		for _, s := range parts {
			n := min(64*s.w1, s.Chains) - 64*s.w0
			fewListsAVX512(&to, &f.inputs[chain*words], 8*words, &f.slots[0], &f.masks[k*words], words, n, uint32(chain*fewRow), fewRow, all)
			chain += 64 * (s.w1 - s.w0)
		}
		_, end := f.ends(&to)
		x.heads = end - x.head
	}
}

// ends returns what the ends of lists and heads are as indices.
func (f *fewScratch) ends(to *[2]uintptr) (list, head int) {
	return int(to[0]-uintptr(unsafe.Pointer(&f.lists[0]))) / 2, int(to[1]-uintptr(unsafe.Pointer(&f.heads[0]))) / 8
}

// transposeInputs writes the inputs of a part of a step as rows of words for
// each chain, and adds to any.
func (sc *Scratch) transposeInputs(dst []uint64, s part, words int) {
	var block [64]uint64
	f := &sc.few
	seg, row := 0, 0
	for b := range words {
		n := 0
		from := [64]*uint64{}
		for n < 64 && seg < len(s.In) {
			if row == s.In[seg].N {
				seg, row = seg+1, 0
				continue
			}
			from[n] = &s.In[seg].Bits[row*s.In[seg].Stride+s.w0]
			n++
			row++
		}
		for w := range s.w1 - s.w0 {
			for i := range n {
				block[i] = *(*uint64)(unsafe.Add(unsafe.Pointer(from[i]), 8*w))
			}
			clear(block[n:])
			transpose64(&block)
			any, at := f.any[b], 64*w*words+b
			for _, x := range block {
				any |= x
				dst[at] = x
				at += words
			}
			f.any[b] = any
		}
	}
}

// cut cuts the pairs of inputs of which any is up in any chain into parts.
func (f *fewScratch) cut(words, in int) {
	const firsts = 0x5555555555555555
	f.slots = grow(f.slots, words)
	f.pairs = grow(f.pairs, 32*words)
	count := 0
	for _, x := range f.any {
		count += bits.OnesCount64((x | x>>1) & firsts)
	}
	parts := max(1, (count+fewPairs-1)/fewPairs)
	size := max(1, (count+parts-1)/parts)
	f.masks = grow(f.masks, parts*words)
	clear(f.masks)
	f.parts = f.parts[:0]
	for k := range parts {
		f.parts = append(f.parts, fewPart{pair0: k * size})
	}
	n := 0
	for w, x := range f.any {
		for pairs := (x | x>>1) & firsts; pairs != 0; pairs &= pairs - 1 {
			t := bits.TrailingZeros64(pairs)
			i, j := int32(64*w+t), int32(64*w+t+1)
			if int(j) >= in {
				j = int32(in) // zeros
			}
			f.pairs[n] = [2]int32{i * fewRow, j * fewRow}
			k := n / size
			f.parts[k].pairs++
			f.masks[k*words+w] |= 3 << t
			f.slots[w][t/2] = uint16(n % size * 3 * fewRow) // a row of zeros comes before the first pair
			n++
		}
	}
}

func (p fewPath) sums(w *Weights, sc *Scratch, u, u1, words int) {
	f := &sc.few
	sc.acc = grow(sc.acc, words*p.units*64)
	sc.table = grow(sc.table, (3*fewPairs+1)*fewRow)
	f.sums = grow(f.sums, words*64*fewUnits)
	clear(sc.table[:fewRow])
	zero := (*uint16)(unsafe.Pointer(&sc.table[0]))
	table := (*int32)(unsafe.Pointer(&sc.table[fewRow]))
	for v := u; v < u1; v += fewUnits {
		start := &w.offset[v]
		// Meanwhile the weights of the next block come into L2.
		ahead := p.place(w, 0, v+fewUnits)
		for k := range f.parts {
			x := &f.parts[k]
			if x.pairs > 0 {
				fewTablesAVX512(table, &w.data[p.place(w, 0, v)], &f.pairs[x.pair0], x.pairs)
			}
			if x.heads > 0 {
				fewSumsAVX512(&f.sums[0], zero, &f.lists[x.list], &f.heads[x.head], x.heads, start, &w.data[min(ahead, len(w.data)-1)])
				ahead += x.heads * fewAhead * fewUnits
			}
			start = nil
		}
		fewOrderAVX512(&sc.acc[(v-u)*64], &f.sums[0], words, p.accStep())
	}
}

// spinMeans is Kernel.SpinMeans. Rows of v take the place of chains, and
// chains that of inputs.
func (p fewPath) spinMeans(dst []int32, stride int, v Rows, m []int32, mStride, a0, a1, w0, w1, chains, minus int, sc *Scratch) {
	f := &sc.few
	sc.held = indexed{} // the lists of a step make way
	words := w1 - w0
	pairs := (chains + 15) / 16 * 8
	f.signs = grow(f.signs, 2*pairs)
	for c := range f.signs {
		f.signs[c] = 0
		if c >= minus {
			f.signs[c] = -1
		}
	}
	f.slots, f.masks = grow(f.slots, words), grow(f.masks, words)
	for w := range words {
		f.masks[w] = ^uint64(0)
		for i := range f.slots[w] {
			f.slots[w][i] = uint16((32*w + i) * 3 * fewRow)
		}
	}
	if n := chains % 64; n > 0 {
		f.masks[words-1] = 1<<n - 1
	}
	f.lists = grow(f.lists, v.N*(pairs+4)+32)
	f.heads = grow(f.heads, v.N+1)
	f.sums = grow(f.sums, v.N*fewUnits)
	sc.table = grow(sc.table, (3*pairs+1)*fewRow)
	clear(sc.table[:fewRow])
	zero := (*uint16)(unsafe.Pointer(&sc.table[0]))
	table := (*int32)(unsafe.Pointer(&sc.table[fewRow]))
	bits := &v.Bits[w0]
	for _, tail := range []bool{false, true} {
		// Whole blocks of units go where they belong, those of the tail aside.
		from, to, out, step := a0, a0+(a1-a0)/fewUnits*fewUnits, dst, 4*stride
		if tail {
			from, to, out, step = to, a1, f.sums, fewRow
		}
		if from == to {
			continue
		}
		end := [2]uintptr{uintptr(unsafe.Pointer(&f.lists[0])), uintptr(unsafe.Pointer(&f.heads[0]))}
		fewListsAVX512(&end, bits, 8*v.Stride, &f.slots[0], &f.masks[0], words, v.N, 0, uint32(step), 1)
		for a := from; a < to; a += fewUnits {
			at := a
			if tail {
				at = 0
			}
			fewMeansAVX512(table, &m[a*mStride], 4*mStride, min(fewUnits, a1-a), chains, &f.signs[0], &f.total[0])
			fewSumsAVX512(&out[at], zero, &f.lists[0], &f.heads[0], v.N, &f.total[0], &f.total[0])
		}
		if tail {
			for i := range v.N {
				copy(dst[i*stride+from:i*stride+a1], f.sums[i*fewUnits:])
			}
		}
	}
}
