// Command gibbs writes the NEON assembly of package kernels/gibbs: the
// functions of kernels/_gen/gibbs that have eight units in the lanes.
package main

import . "kadanoff/kernels/_gen/neon"

var a = New()

func main() {
	expand()
	tables()
	sums()
	philox()
	accept(false)
	accept(true)
	rows()
	mix()
	list()
	transposeDraws()
	means()
	pack()
	packTransposed()
	odd()
	a.Generate()
}

const group = 6 // inputs of a table

// v returns n registers from first on.
func v(first, n int) (r []V) {
	for i := range n {
		r = append(r, V(first+i))
	}
	return r
}

// firstBytes names sixteen bytes, eight of 0 and eight of 1: the bytes of a
// word from which 16 chains come.
func firstBytes() string {
	a.Bytes("firstBytes", 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
	return "firstBytes"
}

// byteBits names bytes 1, 2, 4 … 128, twice.
func byteBits() string {
	a.Words("byteBits", 0x8040201008040201, 0x8040201008040201)
	return "byteBits"
}

func expand() {
	a.Func("expand8", "func(index *uint16, rows *[6]*uint64, words, step int)",
		"expand8 makes the indices of a group of six rows: for each word, 64 chains, bit 5+k\n"+
			"of an index being the chain's spin in row k. index goes up by step bytes a word.")
	const index, list, words, step, c R = 0, 1, 2, 3, 4
	a.Arg("index", index)
	a.Arg("rows", list)
	a.Arg("words", words)
	a.Arg("step", step)
	p := func(k int) R { return R(5 + k) }
	for k := range group {
		a.I("MOVD %d(%s), %s", 8*k, list, p(k))
	}
	// sel[q] has the bytes 2q and 2q+1, eight times each
	sel, bit, low := v(8, 4), V(12), V(13)
	a.Address(firstBytes(), c)
	a.Load(sel[0], c, 0)
	a.I("MOVD $2, %s", c)
	a.DupR(B16, 14, c)
	for q := range 3 {
		a.Add(B16, sel[q+1], sel[q], 14)
	}
	a.Address(byteBits(), c)
	a.Load(bit, c, 0)
	a.I("MOVD $63, %s", c)
	a.DupR(B16, low, c)
	a.Label("word")
	for k := range group {
		a.RepeatNext(D2, V(k), p(k))
	}
	for q := range 4 {
		// twos of accumulators, so that neighbours do not wait for each other
		acc := V(16 + 4*(q%2))
		for k := range group {
			t := acc + 1
			if k == 0 {
				t = acc
			}
			a.Tbl(t, V(k), sel[q])
			a.Op3("cmtst", B16, t, t, bit)
			if k > 0 {
				a.Shift("sli", B16, acc, t, k)
			}
		}
		a.And(acc, acc, low)
		a.ShiftLong("ushll", B8, acc+2, acc, 5, false)
		a.ShiftLong("ushll", B8, acc+3, acc, 5, true)
		a.StorePair(acc+2, acc+3, index, 32*q)
	}
	a.I("ADD %s, %s, %s", step, index, index)
	a.Down(words, 1, "word")
	a.End()
}

func tables() {
	a.Func("tables8", "func(table, weights *int32, groups int)",
		"tables8 makes the tables of groups of six inputs of eight units: entry e is the sum of\n"+
			"twice the weights of the inputs k whose bit is set in e.")
	const t, w, n R = 0, 1, 2
	a.Arg("table", t)
	a.Arg("weights", w)
	a.Arg("groups", n)
	e, high, weight := v(0, 16), v(16, 2), v(18, 6)
	a.Label("group")
	for k := range 3 {
		a.LoadPair(24, 25, w, 32*k)
		a.LoadPair(weight[2*k], weight[2*k+1], w, 32*(3+k))
		for h := range 2 {
			a.Add(S4, V(24+h), V(24+h), V(24+h))
			a.Add(S4, weight[2*k+h], weight[2*k+h], weight[2*k+h])
			if k == 0 {
				a.Zero(e[h])
				a.Zero(high[h])
			}
			for i := range 1 << k {
				a.Add(S4, e[2*(i|1<<k)+h], e[2*i+h], V(24+h))
			}
		}
	}
	was := 0
	for i := range 8 {
		gray := i ^ i>>1
		for k := range 3 {
			for h := range 2 {
				switch b := 1 << k; {
				case gray&^was&b != 0:
					a.Add(S4, high[h], high[h], weight[2*k+h])
				case was&^gray&b != 0:
					a.Op3("sub", S4, high[h], high[h], weight[2*k+h])
				}
			}
		}
		was = gray
		a.I("ADD $%d, %s, R3", 32*8*gray, t)
		for i := range 8 {
			x := V(24 + 2*(i%4))
			for h := range V(2) {
				a.Add(S4, x+h, e[2*i+int(h)], high[h])
			}
			a.StorePair(x, x+1, 3, 32*i)
		}
	}
	a.I("ADD $%d, %s", 32*group, w)
	a.I("ADD $2048, %s", t)
	a.Down(n, 1, "group")
	a.End()
}

func sums() {
	a.Func("sums8", "func(acc, table *int32, index *uint16, groups, words, indexStep int, start *int32)",
		"sums8 adds, for eight units and the 64 chains of each word, the table entries of all\n"+
			"groups to the sums in acc ([chain][unit]), or to the eight values of start when it is not\n"+
			"nil. index goes up by indexStep bytes a word.")
	const acc, table, index, groups, words, step, start R = 0, 1, 2, 3, 4, 5, 6
	const block, xp, t, i, g, x0, x1 R = 7, 8, 9, 10, 11, 12, 13
	for k, name := range []string{"acc", "table", "index", "groups", "words", "indexStep", "start"} {
		a.Arg(name, R(k))
	}
	a.Label("word")
	a.I("MOVD %s, %s", index, xp)
	a.I("MOVD $8, %s", block)
	a.Label("block")
	a.I("CBZ %s, load", start)
	a.LoadPair(0, 1, start, 0)
	for c := range V(7) {
		a.Mov(2*c+2, 0)
		a.Mov(2*c+3, 1)
	}
	a.I("B begin")
	a.Label("load")
	for c := range V(8) {
		a.LoadPair(2*c, 2*c+1, acc, 32*int(c))
	}
	a.Label("begin")
	a.I("MOVD %s, %s", table, t)
	a.I("MOVD %s, %s", xp, i)
	a.I("MOVD %s, %s", groups, g)
	a.Label("group")
	a.I("LDP (%s), (%s, %s)", i, x0, x1)
	a.I("ADD $128, %s", i)
	for c := range V(8) {
		x, e := x0, R(14+c%4)
		if c >= 4 {
			x = x1
		}
		switch c % 4 {
		case 0:
			a.I("ADD %s.UXTH, %s, %s", x, t, e)
		case 3:
			a.I("ADD %s>>48, %s, %s", x, t, e)
		default:
			a.I("UBFX $%d, %s, $16, %s", 16*(c%4), x, e)
			a.I("ADD %s, %s, %s", e, t, e)
		}
		a.LoadPair(16+2*c, 17+2*c, e, 0)
		for h := range V(2) {
			a.Add(S4, 2*c+h, 2*c+h, 16+2*c+h)
		}
	}
	a.I("ADD $2048, %s", t)
	a.Down(g, 1, "group")
	for c := range V(8) {
		a.StorePair(2*c, 2*c+1, acc, 32*int(c))
	}
	a.I("ADD $256, %s", acc)
	a.I("ADD $16, %s", xp)
	a.Down(block, 1, "block")
	a.I("ADD %s, %s", step, index)
	a.Down(words, 1, "word")
	a.End()
}

const philoxRounds = 10

func philox() {
	a.Words("philoxLanes", 0x0000000100000000, 0x0000000300000002)
	a.Func("philox8", "func(random *uint16, chain0 uint32, chains int, keys *[4]uint64, uniform *[2]uint64)",
		"philox8 writes the high 16 bits of the draws of a group of eight units for chains (a\n"+
			"multiple of eight): random[chain][unit]. keys are repeated four times; what depends on\n"+
			"the group alone after two rounds is in uniform.")
	const random, first, n, keys, uniform, c, key, step R = 0, 1, 2, 3, 4, 5, 6, 7
	a.Arg("random", random)
	a.Arg32("chain0", first)
	a.Arg("chains", n)
	a.Arg("keys", keys)
	a.Arg("uniform", uniform)
	const m0, m1, k0, k1, key20, key21, u0, u1, chain, four V = 16, 17, 18, 19, 20, 21, 22, 23, 24, 25
	constant := func(x uint32, r V) {
		a.I("MOVD $0x%x, %s", x, c)
		a.DupR(S4, r, c)
	}
	constant(0xD2511F53, m0)
	constant(0xCD9E8D57, m1)
	constant(4, four)
	for i, r := range []V{key20, key21} {
		a.I("MOVWU %d(%s), %s", 32*(20+i), keys, c)
		a.DupR(S4, r, c)
	}
	for i, r := range []V{u0, u1} {
		a.I("MOVWU %d(%s), %s", 8*i, uniform, c)
		a.DupR(S4, r, c)
	}
	a.DupR(S4, chain, first)
	a.Address("philoxLanes", c)
	a.Load(k0, c, 0)
	a.Add(S4, chain, chain, k0)
	a.I("MOVD $32, %s", step)
	// the words of a block of four chains, and what a product of them needs
	word := func(u, i int) V { return V(4*u + i) }
	product := func(u, i int) V { return V(8 + 4*u + i) }
	multiply := func(u, i int, x, m V) {
		a.Long("umull", S4, product(u, 2*i), x, m, false)
		a.Long("umull", S4, product(u, 2*i+1), x, m, true)
	}
	high := func(d V, u, i int) { a.Perm("uzp2", S4, d, product(u, 2*i), product(u, 2*i+1)) }
	low := func(d V, u, i int) { a.Perm("uzp1", S4, d, product(u, 2*i), product(u, 2*i+1)) }
	a.Label("chains")
	a.I("ADD $%d, %s, %s", 32*4, keys, key)
	for u := range 2 {
		c0, c1, c2, c3 := word(u, 0), word(u, 1), word(u, 2), word(u, 3)
		multiply(u, 0, chain, m0)
		a.Add(S4, chain, chain, four)
		high(c0, u, 0)
		low(c2, u, 0)
		a.Eor(c0, c0, key20)
		a.Eor(c2, c2, u0)
		multiply(u, 1, c0, m1)
		high(c0, u, 1)
		low(c1, u, 1)
		a.Eor(c0, c0, key21)
		a.Mov(c3, u1)
	}
	for range philoxRounds - 2 {
		a.RepeatStep(S4, k0, key, step)
		a.RepeatStep(S4, k1, key, step)
		for u := range 2 {
			c0, c1, c2, c3 := word(u, 0), word(u, 1), word(u, 2), word(u, 3)
			multiply(u, 0, c0, m0)
			multiply(u, 1, c2, m1)
			a.Eor(c1, c1, k0)
			a.Eor(c3, c3, k1)
		}
		for u := range 2 {
			c0, c1, c2, c3 := word(u, 0), word(u, 1), word(u, 2), word(u, 3)
			high(c0, u, 1)
			high(c2, u, 0)
			a.Eor(c0, c0, c1)
			a.Eor(c2, c2, c3)
			low(c1, u, 1)
			low(c3, u, 0)
		}
	}
	a.Store4(word(0, 0), random)
	a.Store4(word(1, 0), random)
	a.Down(n, 8, "chains")
	a.End()
}

// filterEps is the distance from the threshold, of 65536, within which a spin
// is left open.
const filterEps = 14

// accept decides on 16 bits, with a parabola in each of 16 segments.
func accept(each bool) {
	name, doc := "acceptOne8", "the fields are multiplied by one factor to 13 fraction bits."
	if each {
		name, doc = "acceptEach8", "the fields are multiplied by factors of their own to 13 fraction bits."
	}
	a.Func(name, "func(out *uint32, acc *int32, random *uint16, n int, filter *[6][32]uint8, factors *float32, ties *uint64) int",
		name+" decides n times 32 spins: fields acc, high halves of draws random, spins to out,\n"+
			"all in one order; "+doc+"\n"+
			"What is within filterEps of the threshold is put on the list of ties, whose length is returned.")
	const out, acc, random, n, filter, factors, ties, count, first, c R = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	for k, name := range []string{"out", "acc", "random", "n", "filter", "factors", "ties"} {
		a.Arg(name, R(k))
	}
	table := v(26, 6)
	const factor, top, eps, eps2, bit V = 21, 22, 23, 24, 25
	for k := range table {
		a.Load(table[k], filter, 32*k)
	}
	for _, x := range []struct {
		r V
		x int
	}{{top, 32767}, {eps, filterEps}, {eps2, 2 * filterEps}} {
		a.I("MOVD $%d, %s", x.x, c)
		a.DupR(H8, x.r, c)
	}
	a.Address(byteBits(), c)
	a.Load(bit, c, 0)
	if !each {
		a.Repeat(S4, factor, factors)
	}
	a.I("MOVD ZR, %s", count)
	a.I("MOVD %s, %s", ties, first)
	up, tie := v(17, 2), v(19, 2)
	a.Label("spins")
	for h := range 2 {
		x, m, s := v(4, 2), v(6, 2), V(8)
		for i := range V(4) {
			a.Load(i, acc, 64*h+16*int(i))
			a.Op2("scvtf", S4, i, i)
			f := factor
			if each {
				f = 4 + i
				a.Load(f, factors, 64*h+16*int(i))
			}
			a.Op3("fmul", S4, i, i, f)
			a.Op2("fcvtns", S4, i, i) // saturates
		}
		for i := range 2 {
			a.Narrow("sqxtn", H4, x[i], V(2*i), false)
			a.Narrow("sqxtn", H4, x[i], V(2*i+1), true)
			a.Op2("abs", H8, m[i], x[i])
			a.Op3("umin", H8, m[i], m[i], top)
			a.ShiftNarrow(B8, s, m[i], 8, i == 1)
		}
		a.Shift("ushr", B16, s, s, 3) // the segment; what is left is the place in it
		for i := range 2 {
			a.Shift("shl", H8, m[i], m[i], 5)
		}
		t := v(9, 6)
		for k := range t {
			a.Tbl(t[k], table[k], s)
		}
		value, d, q := v(0, 2), v(2, 2), v(15, 2)
		for k, r := range [][]V{value, d, q} {
			a.Perm("zip1", B16, r[0], t[2*k], t[2*k+1])
			a.Perm("zip2", B16, r[1], t[2*k], t[2*k+1])
		}
		mulhi := func(d, n, m V) {
			a.Long("umull", H4, 9, n, m, false)
			a.Long("umull", H4, 10, n, m, true)
			a.Perm("uzp2", H8, d, 9, 10)
		}
		for i := range 2 {
			mulhi(q[i], m[i], q[i])
			a.Op3("sub", H8, d[i], d[i], q[i])
			mulhi(d[i], m[i], d[i])
			a.Op3("uqsub", H8, value[i], value[i], d[i]) // 2¹⁶·σ(−2|x|)
			a.Op2("cmge", H8, x[i], x[i])
			a.Load(11, random, 32*h+16*i)
			a.Eor(11, 11, x[i]) // the draw, or its complement where x ≥ 0
			a.Op3("cmhi", H8, 12, value[i], 11)
			a.Eor(13+V(i), 12, x[i])
			a.Op3("sub", H8, 11, 11, value[i])
			a.Add(H8, 11, 11, eps)
			a.Op3("cmhs", H8, x[i], eps2, 11)
		}
		a.Perm("uzp1", B16, up[h], 13, 14)
		a.Perm("uzp1", B16, tie[h], x[0], x[1])
		a.And(up[h], up[h], bit)
		a.And(tie[h], tie[h], bit)
	}
	a.Op3("addp", B16, 0, up[0], up[1])
	a.Op3("addp", B16, 1, tie[0], tie[1])
	a.Op3("addp", B16, 0, 0, 1)
	a.Op3("addp", B16, 0, 0, 0)
	a.Umov(D2, c, 0, 0) // 32 spins, and 32 that are open
	a.I("MOVW %s, (%s)", c, out)
	a.I("LSR $32, %s, %s", c, c)
	a.I("CBZ %s, sure", c)
	a.I("ORR %s<<32, %s, %s", c, count, c)
	a.I("MOVD %s, (%s)", c, ties)
	a.I("ADD $8, %s", ties)
	a.Label("sure")
	a.I("ADD $4, %s", out)
	a.I("ADD $128, %s", acc)
	a.I("ADD $64, %s", random)
	if each {
		a.I("ADD $128, %s", factors)
	}
	a.I("ADD $1, %s", count)
	a.Down(n, 1, "spins")
	a.I("SUB %s, %s, %s", first, ties, ties)
	a.I("LSR $3, %s, %s", ties, ties)
	a.Return(ties)
	a.End()
}

func rows() {
	a.Words("byteNumbers", 0x0706050403020100, 0x0706050403020100)
	a.Func("rows8", "func(dst *[8]uint64, bytes *uint8, words int)",
		"rows8 turns 64 bytes into eight words, words times: bit c of word k is bit k of byte c.")
	const dst, src, n, c R = 0, 1, 2, 3
	a.Arg("dst", dst)
	a.Arg("bytes", src)
	a.Arg("words", n)
	const bit, one V = 24, 25
	shift := v(16, 8) // takes bit k of byte c to bit c mod 8
	a.Address("byteNumbers", c)
	a.Load(shift[0], c, 0)
	a.Address(byteBits(), c)
	a.Load(bit, c, 0)
	a.I("MOVD $1, %s", c)
	a.DupR(B16, one, c)
	for k := range 7 {
		a.Op3("sub", B16, shift[k+1], shift[k], one)
	}
	a.Label("word")
	a.LoadPair(0, 1, src, 0)
	a.LoadPair(2, 3, src, 32)
	for k := range 8 {
		t := V(4 + 4*(k%3))
		for i := range V(4) {
			a.Op3("ushl", B16, t+i, i, shift[k])
			a.And(t+i, t+i, bit)
		}
		a.Op3("addp", B16, t, t, t+1)
		a.Op3("addp", B16, t+2, t+2, t+3)
		a.Op3("addp", B16, t, t, t+2)
		a.Op3("addp", B16, t, t, t)
		a.StoreD(t, dst, 8*k)
	}
	a.I("ADD $64, %s", dst)
	a.I("ADD $64, %s", src)
	a.Down(n, 1, "word")
	a.End()
}

func mix() {
	a.Func("mix8", "func(acc *int32, n int, m int64, c *[8]int64)",
		"mix8 replaces n times eight fields a at acc by (a·m + c) >> 24; c has the constants of\n"+
			"the lanes 0, 2, 4, 6, 1, 3, 5, 7.")
	const acc, n, m, c R = 0, 1, 2, 3
	a.Arg("acc", acc)
	a.Arg("n", n)
	a.Arg("m", m)
	a.Arg("c", c)
	a.DupR(S4, 0, m)
	a.LoadPair(20, 21, c, 0)
	a.LoadPair(22, 23, c, 32)
	for h := range V(2) { // lanes 4h … 4h+3
		a.Perm("zip1", D2, 1+2*h, 20+h, 22+h)
		a.Perm("zip2", D2, 2+2*h, 20+h, 22+h)
	}
	a.Label("eight")
	a.LoadPair(16, 17, acc, 0)
	for h := range V(2) {
		a.Long("smull", S4, 18+2*h, 16+h, 0, false)
		a.Long("smull", S4, 19+2*h, 16+h, 0, true)
		a.Add(D2, 18+2*h, 18+2*h, 1+2*h)
		a.Add(D2, 19+2*h, 19+2*h, 2+2*h)
		a.ShiftNarrow(S2, 16+h, 18+2*h, 24, false)
		a.ShiftNarrow(S2, 16+h, 19+2*h, 24, true)
	}
	a.StorePair(16, 17, acc, 0)
	a.I("ADD $32, %s", acc)
	a.Down(n, 1, "eight")
	a.End()
}

func list() {
	var bits []uint64
	for i := range 16 {
		bits = append(bits, 1<<(2*i)|1<<(2*i+1+32))
	}
	a.Words("lanes32", bits...)
	a.Func("list8", "func(acc *int32, state *uint64, stride int, col, weight *int32, n, words int, start int32)",
		"list8 makes the fields of a unit with n neighbours in words times 64 chains: start plus\n"+
			"twice the weights of the neighbours that are up. stride is in bytes.")
	const acc, state, stride, col, weight, n, words, start, c, i, pc, pw R = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	for k, name := range []string{"acc", "state", "stride", "col", "weight", "n", "words"} {
		a.Arg(name, R(k))
	}
	a.Arg32("start", start)
	sum, lanes := v(0, 16), v(16, 8)
	a.Address("lanes32", c)
	for k := range lanes {
		a.Load(lanes[k], c, 16*k)
	}
	a.Label("word")
	for _, r := range sum {
		a.Zero(r)
	}
	a.I("MOVD %s, %s", col, pc)
	a.I("MOVD %s, %s", weight, pw)
	a.I("MOVD %s, %s", n, i)
	a.I("CBZ %s, done", i)
	a.Label("neighbour")
	a.I("MOVW.P 4(%s), %s", pc, c)
	a.I("MADD %s, %s, %s, %s", stride, state, c, c)
	a.RepeatNext(S4, 26, pw)
	for h := range 2 {
		a.RepeatNext(S4, 24+V(h), c)
		for k := range 8 {
			t := V(27 + k%4)
			a.Op3("cmtst", S4, t, 24+V(h), lanes[k])
			a.And(t, t, 26)
			a.Add(S4, sum[8*h+k], sum[8*h+k], t)
		}
	}
	a.Down(i, 1, "neighbour")
	a.Label("done")
	a.DupR(S4, 26, start)
	for k := 0; k < 16; k += 2 {
		for h := range 2 {
			a.Add(S4, sum[k+h], sum[k+h], sum[k+h])
			a.Add(S4, sum[k+h], sum[k+h], 26)
		}
		a.StorePair(sum[k], sum[k+1], acc, 16*k)
	}
	a.I("ADD $256, %s", acc)
	a.I("ADD $8, %s", state)
	a.Down(words, 1, "word")
	a.End()
}

// transposeDraws turns draws [chain][unit] into rows of chains.
func transposeDraws() {
	a.Func("transposeDraws8", "func(dst, src *uint16, n, step int)",
		"transposeDraws8 writes 8·n times eight 16-bit words [chain][unit] to dst[unit][chain], rows\n"+
			"step bytes apart.")
	const dst, src, n, step, p R = 0, 1, 2, 3, 4
	for k, name := range []string{"dst", "src", "n", "step"} {
		a.Arg(name, R(k))
	}
	a.Label("eight")
	for i := V(0); i < 8; i += 2 {
		a.LoadPair(i, i+1, src, 16*int(i))
	}
	// three shuffles of cards are a transposition
	for _, x := range [][2]V{{0, 8}, {8, 0}, {0, 8}} {
		for i := range V(4) {
			a.Perm("zip1", H8, x[1]+2*i, x[0]+i, x[0]+i+4)
			a.Perm("zip2", H8, x[1]+2*i+1, x[0]+i, x[0]+i+4)
		}
	}
	a.I("MOVD %s, %s", dst, p)
	for u := range V(8) {
		a.Store(8+u, p, 0)
		a.I("ADD %s, %s", step, p)
	}
	a.I("ADD $16, %s", dst)
	a.I("ADD $128, %s", src)
	a.Down(n, 1, "eight")
	a.End()
}

// means is spin.Mean.
func means() {
	a.Func("means8", "func(dst *int32, n int, betas *uint64, betaStep int, frac uint64, tail *uint32)",
		"means8 replaces n times four fields by spin.Mean of them. betas, four at a time and below\n"+
			"2³², goes up by betaStep bytes; tail is spin.TailTable.")
	const dst, n, betas, step, frac, tail, c R = 0, 1, 2, 3, 4, 5, 6
	for k, name := range []string{"dst", "n", "betas", "betaStep", "frac", "tail"} {
		a.Arg(name, R(k))
	}
	const shift, limit, place, one V = 16, 17, 18, 19
	a.I("NEG %s, %s", frac, frac)
	a.DupR(D2, shift, frac)
	for i, x := range []int{12 << 24, 1<<13 - 1, 1 << 22} {
		a.I("MOVD $%d, %s", x, c)
		a.DupR(S4, limit+V(i), c)
	}
	a.Label("four")
	const field, x, f, sign, t0, t1, p V = 0, 1, 2, 3, 4, 5, 6
	a.Load(field, dst, 0)
	a.LoadPair(t0, t1, betas, 0)
	a.Perm("uzp1", S4, t0, t0, t1)
	a.Op2("abs", S4, x, field)
	a.Op2("cmlt", S4, sign, field)
	for h := range V(2) {
		a.Long("umull", S4, p+h, x, t0, h == 1)
		a.Op3("ushl", D2, p+h, p+h, shift)
	}
	a.Narrow("uqxtn", S2, x, p, false)
	a.Narrow("uqxtn", S2, x, p+1, true)
	a.Op3("umin", S4, x, x, limit)
	a.And(f, x, place)
	a.Shift("ushr", S4, x, x, 13)
	// t0 and t1 of each lane
	for k := range 4 {
		e := R(7 + k)
		a.Umov(S4, e, x, k)
		a.I("ADD %s<<2, %s, %s", e, tail, e)
		if k%2 == 0 {
			a.LoadD(p+V(k/2), e, 0)
		} else {
			a.LoadHigh(p+V(k/2), e)
		}
	}
	a.Perm("uzp1", S4, t0, p, p+1)
	a.Perm("uzp2", S4, t1, p, p+1)
	a.Op3("sub", S4, t1, t0, t1)
	for h := range V(2) {
		a.Long("umull", S4, p+h, t1, f, h == 1)
	}
	a.ShiftNarrow(S2, t1, p, 13, false)
	a.ShiftNarrow(S2, t1, p+1, 13, true)
	a.Op3("sub", S4, t0, t0, t1)
	a.Shift("urshr", S4, t0, t0, 9)
	a.Op3("sub", S4, t0, one, t0)
	a.Eor(t0, t0, sign)
	a.Op3("sub", S4, t0, t0, sign)
	a.Store(t0, dst, 0)
	a.I("ADD $16, %s", dst)
	a.I("ADD %s, %s", step, betas)
	a.Down(n, 1, "four")
	a.End()
}

// pack copies weights into the layout [out/8][in][8].
func pack() {
	a.Func("pack8", "func(dst, src *int32, stride, rows int, sums *[8]int32)",
		"pack8 copies eight weights of each row to dst[row][8] and subtracts their sums from sums.\n"+
			"stride is in bytes.")
	const dst, src, stride, n, sums R = 0, 1, 2, 3, 4
	for k, name := range []string{"dst", "src", "stride", "rows", "sums"} {
		a.Arg(name, R(k))
	}
	a.LoadPair(0, 1, sums, 0)
	a.Label("row")
	a.LoadPair(2, 3, src, 0)
	a.StorePair(2, 3, dst, 0)
	a.Op3("sub", S4, 0, 0, 2)
	a.Op3("sub", S4, 1, 1, 3)
	a.I("ADD %s, %s", stride, src)
	a.I("ADD $32, %s", dst)
	a.Down(n, 1, "row")
	a.StorePair(0, 1, sums, 0)
	a.End()
}

func packTransposed() {
	a.Func("packTransposed8", "func(dst, src *int32, stride, blocks int, sums *[8]int32)",
		"packTransposed8 transposes blocks of 8×8 weights, dst[8·block+i][u] = src[u·stride+8·block+i],\n"+
			"and subtracts their sums over i from sums. stride is in bytes.")
	const dst, src, stride, n, sums, p R = 0, 1, 2, 3, 4, 5
	for k, name := range []string{"dst", "src", "stride", "blocks", "sums"} {
		a.Arg(name, R(k))
	}
	sum := v(24, 2)
	a.LoadPair(sum[0], sum[1], sums, 0)
	a.Label("block")
	a.I("MOVD %s, %s", src, p)
	for u := range V(8) {
		a.LoadPair(2*u, 2*u+1, p, 0)
		if u < 7 {
			a.I("ADD %s, %s", stride, p)
		}
	}
	for h := range V(2) { // inputs 4h … 4h+3
		out := v(16, 8) // [input][half of the units]
		for g := range V(2) {
			r := func(i V) V { return 2*(4*g+i) + h }
			a.Perm("trn1", S4, 26, r(0), r(1))
			a.Perm("trn2", S4, 27, r(0), r(1))
			a.Perm("trn1", S4, 28, r(2), r(3))
			a.Perm("trn2", S4, 29, r(2), r(3))
			a.Perm("trn1", D2, out[g], 26, 28)
			a.Perm("trn1", D2, out[2+g], 27, 29)
			a.Perm("trn2", D2, out[4+g], 26, 28)
			a.Perm("trn2", D2, out[6+g], 27, 29)
		}
		for i := range 4 {
			a.StorePair(out[2*i], out[2*i+1], dst, 32*(4*int(h)+i))
			for g := range 2 {
				a.Op3("sub", S4, sum[g], sum[g], out[2*i+g])
			}
		}
	}
	a.I("ADD $32, %s", src)
	a.I("ADD $256, %s", dst)
	a.Down(n, 1, "block")
	a.StorePair(sum[0], sum[1], sums, 0)
	a.End()
}

func odd() {
	a.Func("odd8", "func(dst *int32, stride int, a *uint64, aStride int, b *uint64, bStep int, words int, chains int32)",
		"odd8 adds chains − 2·popcount(a xor b) to dst for two rows of a and eight rows of b, over\n"+
			"a number of words: b[word][row] with bStep bytes between words. Strides are in bytes.")
	const dst, stride, x, xStride, y, yStep, n, chains R = 0, 1, 2, 3, 4, 5, 6, 7
	for k, name := range []string{"dst", "stride", "a", "aStride", "b", "bStep", "words"} {
		a.Arg(name, R(k))
	}
	a.Arg32("chains", chains)
	a.I("ADD %s, %s, %s", x, xStride, xStride)
	sum := v(0, 8) // [row of a][two rows of b], 32-bit halves of each row's count
	for _, r := range sum {
		a.Zero(r)
	}
	a.Label("word")
	a.LoadPair(8, 9, y, 0)
	a.LoadPair(10, 11, y, 32)
	for i, p := range []R{x, xStride} {
		a.RepeatNext(D2, 12+V(i), p)
		for j := range 4 {
			t := V(16 + 4*i + j)
			a.Eor(t, V(8+j), 12+V(i))
			a.Op2("cnt", B16, t, t)
			a.PairLong("uaddlp", B16, t, t)
			a.PairLong("uadalp", H8, sum[4*i+j], t)
		}
	}
	a.I("ADD %s, %s", yStep, y)
	a.Down(n, 1, "word")
	a.DupR(S4, 12, chains)
	for i := range 2 {
		a.LoadPair(8, 9, dst, 0)
		for h := range 2 {
			t := V(10 + h)
			a.Op3("addp", S4, t, sum[4*i+2*h], sum[4*i+2*h+1])
			a.Add(S4, t, t, t)
			a.Op3("sub", S4, t, 12, t)
			a.Add(S4, V(8+h), V(8+h), t)
		}
		a.StorePair(8, 9, dst, 0)
		a.I("ADD %s, %s", stride, dst)
	}
	a.End()
}
