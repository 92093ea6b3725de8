package gibbs

import (
	"encoding/binary"
	"math"
	"math/bits"

	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// generic is the path in plain Go. Tables hold the sums of 8 spins for 8
// units; two units share a 64-bit word, so one add makes two sums.
//
// Layouts: weights [out/8][inPad][8] with offset = bias; indices
// [group][64·words], one byte a chain; fields [chain][8].
type generic struct{}

const (
	genericGroup  = 8  // spins in a table
	genericGroups = 2  // tables used at a time
	genericChunk  = 16 // words treated at a time
)

func (generic) block() int    { return 8 }
func (generic) slab() int     { return 8 }
func (generic) skips() bool   { return false }
func (generic) chunk(int) int { return genericChunk }

func (generic) newWeights(w *Weights) { newRows8(w, genericGroup*genericGroups) }

// newRows8 allocates weights in the layout [out/8][inPad][8], inPad a multiple
// of group.
func newRows8(w *Weights, group int) {
	w.inPad = (w.in + group - 1) / group * group
	w.data = grow(w.data, (w.out+7)/8*w.inPad*8)
	w.offset = grow(w.offset, (w.out+7)/8*8)
	clear(w.data)
	clear(w.offset)
}

func (generic) pack(w *Weights, bias []int32, blocks []Block, unit0, unit1 int) {
	packRows8(w, blocks, unit0, unit1)
	for u := unit0; u < unit1; u++ {
		w.offset[u] = 0
		if bias != nil {
			w.offset[u] = bias[u]
		}
	}
}

func (generic) rowBlock() int { return 8 }

func (generic) packBoth(up, down *Weights, src []int32, stride, row0, row1 int, rows, columns []int32) {
	for i := row0; i < row1; i++ {
		row := src[(i-row0)*stride:][:up.out]
		var sum int32
		to := down.data[i/8*down.inPad*8+i%8:]
		for a, x := range row {
			to[8*a] = x
			columns[a] -= x
			sum += x
		}
		rows[i] -= sum
		for u := 0; u < up.out; u += 8 {
			copy(up.data[(u/8*up.inPad+i)*8:][:8], row[u:])
		}
	}
}

func (generic) setBias(w *Weights, bias, _ []int32) { copy(w.offset, bias) }

// packRows8 fills data of the layout [out/8][inPad][8].
func packRows8(w *Weights, blocks []Block, unit0, unit1 int) {
	at := 0
	for k := range blocks {
		b := &blocks[k]
		for u0 := unit0; u0 < unit1; u0 += 8 {
			n := min(8, unit1-u0)
			dst := w.data[(u0/8*w.inPad+at)*8:][:b.In*8]
			if b.Transposed {
				for j := range n {
					src := b.Src[(u0+j)*b.Stride:][:b.In]
					for i, x := range src {
						dst[i*8+j] = x
					}
				}
				continue
			}
			for i := range b.In {
				copy(dst[i*8:i*8+n], b.Src[i*b.Stride+u0:])
			}
		}
		at += b.In
	}
}

// begin makes index bytes: bit k of the byte of a chain in a group is its
// spin in row 8·group+k.
func (generic) begin(sc *Scratch, parts []part) {
	words := partWords(parts)
	groups := parts[0].Weights.inPad / genericGroup
	sc.index = grow(sc.index, groups*words*64)
	clear(sc.index)
	at := 0
	for _, s := range parts {
		sc.philox.start(&s.Rule)
		row := 0
		for _, seg := range s.In {
			for i := range seg.N {
				g, k := row/8, row&7
				dst := sc.index[(g*words+at)*64:][:(s.w1-s.w0)*64]
				for w, x := range seg.Row(i)[s.w0:s.w1] {
					d := dst[w*64:][:64]
					for b := 0; b < 64; b += 8 {
						// spread eight bits into the lowest bits of eight bytes
						y := spread8(uint8(x >> b))
						p := d[b : b+8]
						binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)|y<<k)
					}
				}
				row++
			}
		}
		at += s.w1 - s.w0
	}
}

// spread8 returns bit i of x as byte i.
func spread8(x uint8) uint64 {
	y := uint64(x)
	y = (y | y<<28) & 0x0000000f0000000f
	y = (y | y<<14) & 0x0003000300030003
	return (y | y<<7) & 0x0101010101010101
}

// pair puts two int32 into one word, so that sums of words are sums of both;
// the lower one borrows from the upper.
func pair(lo, hi int64) uint64 { return uint64(lo) + uint64(hi)<<32 }

type genericTable [1 << genericGroup][4]uint64

func (generic) sums(w *Weights, sc *Scratch, u, _, words int) {
	n := words * 64
	sc.words = grow(sc.words, 4*n+genericGroups*4<<genericGroup)
	acc := sc.words[:4*n]
	tables := sc.words[4*n:]
	t0 := (*genericTable)(asQuads(tables[:4<<genericGroup]))
	t1 := (*genericTable)(asQuads(tables[4<<genericGroup:]))
	var start [4]uint64
	for j := range start {
		start[j] = pair(int64(w.offset[u+2*j]), int64(w.offset[u+2*j+1]))
	}
	quads := asQuads(acc)
	for c := range quads {
		quads[c] = start
	}
	data := w.data[u/8*w.inPad*8:][:w.inPad*8]
	for i := 0; i < w.inPad; i += genericGroup * genericGroups {
		buildGeneric(t0, data[i*8:])
		buildGeneric(t1, data[(i+genericGroup)*8:])
		g := i / genericGroup
		x0 := sc.index[g*n:][:len(quads)]
		x1 := sc.index[(g+1)*n:][:len(quads)]
		for c := range quads {
			a, e, f := &quads[c], &t0[x0[c]], &t1[x1[c]]
			a[0] += e[0] + f[0]
			a[1] += e[1] + f[1]
			a[2] += e[2] + f[2]
			a[3] += e[3] + f[3]
		}
	}
	sc.acc = grow(sc.acc, 8*n)
	for c, q := range quads {
		d := sc.acc[8*c:][:8]
		for j, v := range q {
			lo := int32(v)
			d[2*j] = lo
			d[2*j+1] = int32((v - uint64(int64(lo))) >> 32)
		}
	}
}

// buildGeneric fills t[e] with the sums Σ ±W over 8 inputs of 8 units, + where
// the bit of e is set.
func buildGeneric(t *genericTable, w []int32) {
	w = w[:8*genericGroup]
	for j := range 4 {
		var base uint64
		for k := range genericGroup {
			base -= pair(int64(w[8*k+2*j]), int64(w[8*k+2*j+1]))
		}
		t[0][j] = base
	}
	for k := range genericGroup {
		var d [4]uint64
		for j := range d {
			d[j] = 2 * pair(int64(w[8*k+2*j]), int64(w[8*k+2*j+1]))
		}
		lo, hi := t[:1<<k], t[1<<k:1<<(k+1)]
		for e := range hi {
			x, y := &lo[e], &hi[e]
			y[0], y[1], y[2], y[3] = x[0]+d[0], x[1]+d[1], x[2]+d[2], x[3]+d[3]
		}
	}
}

func (generic) mix(s *Step, sc *Scratch, u, w0, w1 int) { mixRows8(s, sc, u, w0, w1) }

// mixRows8 interpolates fields of the layout [chain][8].
func mixRows8(s *Step, sc *Scratch, u, w0, w1 int) {
	var base [8]int32
	if s.Mix.Base != nil {
		copy(base[:], s.Mix.Base[u:s.Weights.out])
	}
	for c := range (w1 - w0) * 64 {
		a := (*[8]int32)(sc.acc[8*c:])
		for j := range a {
			a[j] = spin.Interpolate(a[j], base[j], s.Mix.M)
		}
	}
}

// decider is the rule of one β. Its table stands for spin.Tail.
type decider struct {
	beta uint64
	frac uint
	tail *[12<<11 + 2]uint32
}

func newDecider(beta uint64, frac uint) decider {
	return decider{beta, frac, (*[12<<11 + 2]uint32)(spin.TailTable())}
}

// threshold returns S of a field's magnitude.
func (d *decider) threshold(a int32) uint32 {
	if d.beta > math.MaxUint32 {
		return spin.Tail(spin.ScaledField(a, d.beta, d.frac))
	}
	neg := uint32(a >> 31)
	x := min(spin.XMax, uint64(uint32(a)^neg-neg)*d.beta>>d.frac)
	i, f := x>>13, x&(1<<13-1)
	t0, t1 := d.tail[i], d.tail[i+1]
	return t0 - uint32(uint64(t0-t1)*f>>13)
}

// up returns 1 for a spin that becomes +1 by the high half of its draw, and
// whether that half decides.
func (d *decider) up(a int32, high uint16) (bit uint64, sure bool) {
	// a ≥ 0 is +1 when u < 2³² − S, that is when not 2³² − 1 − u < S
	flip := ^uint32(a >> 31)
	v, s := uint32(high)^flip&0xffff, d.threshold(a)>>16
	return uint64((v-s)>>31 ^ flip&1), v != s
}

// decide applies the exact rule to a spin of which the field and the high half
// of the draw are known: the low half costs a block of random numbers.
func (r *Rule) decide(a int32, high uint16, u, c int) uint64 {
	d := newDecider(r.beta(c), r.Frac)
	bit, sure := d.up(a, high)
	if sure {
		return bit
	}
	low := philox.Low16(r.Key, r.Stream, r.Chain0+uint32(c), r.Unit+uint32(u), r.Sweep)
	if spin.Up(a, d.beta, d.frac, uint32(high)<<16|uint32(low)) {
		return 1
	}
	return 0
}

func (generic) accept(s *Step, sc *Scratch, u, u1, w0, w1 int) {
	sc.philox.groups((s.Unit+uint32(u))>>3, 1)
	d := newDecider(s.Beta, s.Frac)
	for w := w0; w < w1; w++ {
		var rows [8]uint64
		for b := range min(64, s.Chains-64*w) {
			c := 64*w + b
			x0, x1, x2, x3 := sc.philox.block(s.Chain0+uint32(c), 0)
			high := [8]uint16{uint16(x0), uint16(x0 >> 16), uint16(x1), uint16(x1 >> 16), uint16(x2), uint16(x2 >> 16), uint16(x3), uint16(x3 >> 16)}
			if s.Betas != nil {
				d.beta = s.Betas[c]
			}
			a := (*[8]int32)(sc.acc[8*(c-64*w0):])
			for j := range rows {
				bit, sure := d.up(a[j], high[j])
				if !sure {
					bit = s.decide(a[j], high[j], u+j, c)
				}
				rows[j] |= bit << b
			}
		}
		for j := range u1 - u {
			s.Out.Bits[(u+j)*s.Out.Stride+w] = rows[j]
		}
	}
}

func (generic) store(dst []int32, stride int, sc *Scratch, u, u1, w0, w1 int) {
	storeRows8(dst, stride, sc, u, u1, w0, w1)
}

// storeRows8 writes fields of the layout [chain][8] with a row for each unit.
func storeRows8(dst []int32, stride int, sc *Scratch, u, u1, w0, w1 int) {
	for j := range u1 - u {
		row := dst[(u+j)*stride+64*w0:][:64*(w1-w0)]
		src := sc.acc[j:]
		for c := range row {
			row[c] = src[8*c]
		}
	}
}

func (generic) storeTransposed(dst []int32, stride, chains int, sc *Scratch, u, u1, w0, w1 int) {
	storeRows8Transposed(dst, stride, chains, sc, u, u1, w0, w1)
}

// storeRows8Transposed writes fields of the layout [chain][8] with a row for
// each chain.
func storeRows8Transposed(dst []int32, stride, chains int, sc *Scratch, u, u1, w0, w1 int) {
	for c := 64 * w0; c < min(64*w1, chains); c++ {
		src := (*[8]int32)(sc.acc[8*(c-64*w0):])
		row := dst[c*stride+u:][:u1-u]
		if len(row) == 8 {
			*(*[8]int32)(row) = *src
		} else {
			copy(row, src[:])
		}
	}
}

func (generic) list(s *ListStep, sc *Scratch) {
	var acc [64]int32
	d := newDecider(s.Beta, s.Frac)
	sc.philox.start(&s.Rule)
	blocks := grow(sc.words, 64*2) // draws of eight units in 64 chains
	sc.words = blocks
	for w := s.Word0; w < s.Word1; w++ {
		n := min(64, s.Chains-64*w)
		group := ^uint32(0)
		for _, v := range s.Units {
			u := int(v)
			unit := s.Unit + uint32(u)
			if unit>>3 != group {
				group = unit >> 3
				sc.philox.groups(group, 1)
				for b := range n {
					x0, x1, x2, x3 := sc.philox.block(s.Chain0+uint32(64*w+b), 0)
					blocks[2*b], blocks[2*b+1] = uint64(x0)|uint64(x1)<<32, uint64(x2)|uint64(x3)<<32
				}
			}
			listFields(&acc, s, u, w)
			var row uint64
			for b := range n {
				high := uint16(blocks[2*b+int(unit&7>>2)] >> (16 * (unit & 3)))
				if s.Betas != nil {
					d.beta = s.Betas[64*w+b]
				}
				bit, sure := d.up(acc[b], high)
				if !sure {
					bit = s.decide(acc[b], high, u, 64*w+b)
				}
				row |= bit << b
			}
			s.State.Bits[u*s.State.Stride+w] = row
		}
	}
}

// listFields makes the fields of a unit in the 64 chains of word w.
func listFields(acc *[64]int32, s *ListStep, u, w int) {
	start := s.Bias[u]
	for k := s.RowPtr[u]; k < s.RowPtr[u+1]; k++ {
		start -= s.W[k]
	}
	for b := range acc {
		acc[b] = start
	}
	for k := s.RowPtr[u]; k < s.RowPtr[u+1]; k++ {
		x, m := s.State.Bits[int(s.Col[k])*s.State.Stride+w], 2*s.W[k]
		for b := range acc {
			acc[b] += m & -int32(x&1) // where the bit is set
			x >>= 1
		}
	}
	if s.Mix.On {
		var base int32
		if s.Mix.Base != nil {
			base = s.Mix.Base[u]
		}
		for b, a := range acc {
			acc[b] = spin.Interpolate(a, base, s.Mix.M)
		}
	}
}

func (generic) counts(dst []int32, stride int, a, b Rows, i0, i1, w0, w1, chains int, _ *Scratch) {
	for i := i0; i < i1; i++ {
		x := a.Row(i)[w0:w1]
		row := dst[i*stride:][:b.N]
		for j := range row {
			y := b.Bits[j*b.Stride+w0:][:len(x)]
			n := 0
			for k, v := range x {
				n += bits.OnesCount64(v ^ y[k])
			}
			row[j] += int32(chains - 2*n)
		}
	}
}

func (generic) means(dst []int32, betas []uint64, frac uint) { meansRow(dst, betas, frac) }

func meansRow(dst []int32, betas []uint64, frac uint) {
	for i, a := range dst {
		dst[i] = spin.Mean(a, betas[min(i, len(betas)-1)], frac)
	}
}
