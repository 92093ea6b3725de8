//go:build amd64 && !noasm

package gibbs

import "unsafe"

// sixteenPath is AVX-512 for at most two words of chains. The first 16 sums of
// a table lie in memory, made once, and the other 16 are those plus the fifth
// weight, in registers: a table of avx512 costs as much as four look-ups, which
// few chains do not pay back. Weights take 3.4 times the memory, so that this
// is for weights that stay as they are for many half steps.
//
// Weights are [out/2][group][2][16], the sums over the first four inputs of a
// group that are up, and then [out/2][group][2], the fifth inputs', all doubled.
type sixteenPath struct{ avx512 }

func (sixteenPath) newWeights(w *Weights) {
	w.inPad = (w.in + group5 - 1) / group5 * group5
	pairs := (w.out + 1) / 2
	w.data = grow(w.data, pairs*w.inPad/group5*(32+2))
	w.offset = grow(w.offset, 2*pairs)
	clear(w.data)
	clear(w.offset)
}

// tables returns the indices of the sums of a group of a pair of units, and of
// its fifth inputs.
func (sixteenPath) tables(w *Weights, u, group int) (sums, fifths int) {
	groups, pairs := w.inPad/group5, (w.out+1)/2
	return (u/2*groups + group) * 32, pairs*groups*32 + (u/2*groups+group)*2
}

// set makes the table of a group of unit u from the doubled weights of its inputs.
func (p sixteenPath) set(w *Weights, u, group int, inputs []int32) {
	at, fifth := p.tables(w, u, group)
	sums := w.data[at+u%2*16:][:16]
	for i := range 4 {
		x := int32(0)
		if i < len(inputs) {
			x = inputs[i]
		}
		for k := range 1 << i {
			sums[1<<i+k] = sums[k] + x
		}
	}
	if len(inputs) == group5 {
		w.data[fifth+u%2] = inputs[4]
	}
}

func (p sixteenPath) row(w *Weights, u int, inputs []int32, set bool) {
	for i := 0; i < len(inputs); i += group5 {
		from := inputs[i:min(i+group5, len(inputs))]
		if set {
			p.set(w, u, i/group5, from)
			continue
		}
		at, fifth := p.tables(w, u, i/group5)
		for k := range from {
			if from[k] = w.data[fifth+u%2]; k < 4 {
				from[k] = w.data[at+u%2*16+1<<k]
			}
		}
	}
}

func (p sixteenPath) pack(w *Weights, bias []int32, blocks []Block, unit0, unit1 int) {
	for u := unit0; u < unit1; u++ {
		w.offset[u] = 0
		if bias != nil {
			w.offset[u] = bias[u]
		}
		var inputs [group5]int32
		at := 0
		for k := range blocks {
			b := &blocks[k]
			for i := range b.In {
				x := b.at(i, u)
				w.offset[u] -= x
				inputs[at%group5] = 2 * x
				if at++; at%group5 == 0 {
					p.set(w, u, at/group5-1, inputs[:])
				}
			}
		}
		if n := at % group5; n > 0 {
			p.set(w, u, at/group5, inputs[:n])
		}
	}
}

func (p sixteenPath) packBoth(up, down *Weights, src []int32, stride, row0, row1 int, rows, columns []int32) {
	var inputs [group5]int32
	for i := row0; i < row1; i += group5 {
		n := min(group5, row1-i)
		from := src[(i-row0)*stride:]
		for a := range up.out {
			for k := range n {
				x := from[k*stride+a]
				inputs[k] = 2 * x
				rows[i+k] -= x
				columns[a] -= x
			}
			p.set(up, a, i/group5, inputs[:n])
		}
		for k := range n {
			for a := 0; a < up.out; a += group5 {
				m := min(group5, up.out-a)
				for j := range m {
					inputs[j] = 2 * from[k*stride+a+j]
				}
				p.set(down, i+k, a/group5, inputs[:m])
			}
		}
	}
}

// sums16 are the kernels by the number of vectors.
var sums16 = [9]func(acc, tables, fifths, active *int32, groups int, index *uint32, accStep, indexStep int, start *int32){
	2: sums16x2AVX512, 3: sums16x3AVX512, 4: sums16x4AVX512, 6: sums16x6AVX512, 7: sums16x7AVX512, 8: sums16x8AVX512,
}

func (p sixteenPath) sums(w *Weights, sc *Scratch, u, u1, words int) {
	groups := len(sc.active)
	sc.acc = grow(sc.acc, words*p.units*64)
	for word := 0; word < words; word += 2 {
		each := sc.vectors[sc.skip+word:]
		vectors := each[0]
		pair := word+1 < words && vectors == 4
		if pair {
			vectors += each[1]
		}
		p.sumsOf(w, sc, u, u1, word, vectors, groups)
		if word+1 < words && !pair {
			p.sumsOf(w, sc, u, u1, word+1, each[1], groups)
		}
	}
}

// sumsOf is sums of one or two words, from the first one on.
func (p sixteenPath) sumsOf(w *Weights, sc *Scratch, u, u1, word, vectors, groups int) {
	acc, kernel := sc.acc[word*p.units*64:], sums16[vectors]
	for g := 0; g < groups; g += sixteenGroups {
		n := min(sixteenGroups, groups-g)
		index := (*uint32)(unsafe.Pointer(&sc.index[((sc.skip+word)*groups+g)*256]))
		for v := u; v < u1; v += 2 {
			tables, fifths := p.tables(w, v, 0)
			start := &w.offset[v]
			if g > 0 {
				start = nil
			}
			kernel(&acc[(v-u)*64], &w.data[tables], &w.data[fifths], &sc.active[g], n, index, p.accStep(), groups*256, start)
		}
	}
}

const sixteenGroups = 40 // groups whose indices of two words are kept in L1: 40·512 B = 20 KB
