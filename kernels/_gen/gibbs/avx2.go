package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var x = []reg.VecPhysical{
	reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7,
	reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15,
}

// constantWords declares 32-bit words.
func constantWords(name string, v []uint32) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, w := range v {
		DATA(4*i, U32(w))
	}
	return m
}

const group6 = 6

func expand6() {
	lanes := GLOBL("lanes16", RODATA|NOPTR)
	for i := range 16 {
		DATA(2*i, U16(1<<i))
	}
	bit := GLOBL("entrySize", RODATA|NOPTR)
	for k := range group6 {
		for i := range 16 {
			DATA(32*k+2*i, U16(32<<k))
		}
	}
	text("expand8", "func(index *uint16, rows *[6]*uint64, words, step int)",
		"expand8 makes the indices of a group of six rows: for each word, 64 chains, bit 5+k\n"+
			"of an index being the chain's spin in row k. index goes up by step bytes a word.")
	index, rows, n, step := arg("index"), arg("rows"), arg("words"), arg("step")
	var p [group6]reg.GPVirtual
	for k := range p {
		p[k] = GP64()
		MOVQ(at(rows, 8*k), p[k])
		VMOVDQU(bit.Offset(32*k), y[10+k])
	}
	VMOVDQU(lanes, y[9])
	off := GP64()
	XORQ(off, off)
	Label("word")
	for q := range 4 {
		for k := range p {
			t := y[k]
			VPBROADCASTW(Mem{Base: p[k], Index: off, Scale: 8, Disp: 2 * q}, t)
			VPAND(y[9], t, t)
			VPCMPEQW(y[9], t, t)
			VPAND(y[10+k], t, t)
		}
		VPOR(y[1], y[0], y[0])
		VPOR(y[3], y[2], y[2])
		VPOR(y[5], y[4], y[4])
		VPOR(y[2], y[0], y[0])
		VPOR(y[4], y[0], y[0])
		VMOVDQU(y[0], at(index, 32*q))
	}
	ADDQ(step, index)
	INCQ(off)
	CMPQ(off, n)
	JLT(LabelRef("word"))
	end()
}

func tables6() {
	text("tables8", "func(table, weights *int32, groups int)",
		"tables8 makes the tables of groups of six inputs of eight units: entry e is the sum of\n"+
			"twice the weights of the inputs k whose bit is set in e.")
	t, w, n := arg("table"), arg("weights"), arg("groups")
	Label("group")
	VPXOR(y[0], y[0], y[0])
	for k := range 3 {
		VMOVDQU(at(w, 32*k), y[12])
		VPADDD(y[12], y[12], y[12])
		for e := range 1 << k {
			VPADDD(y[12], y[e], y[e|1<<k])
		}
	}
	for k := range 3 {
		VMOVDQU(at(w, 32*(3+k)), y[9+k])
		VPADDD(y[9+k], y[9+k], y[9+k])
	}
	VPXOR(y[8], y[8], y[8])
	high := 0
	for i := range 8 {
		gray := i ^ i>>1
		for k := range 3 {
			switch b := 1 << k; {
			case gray&^high&b != 0:
				VPADDD(y[9+k], y[8], y[8])
			case high&^gray&b != 0:
				VPSUBD(y[9+k], y[8], y[8])
			}
		}
		high = gray
		for e := range 8 {
			v := y[12+e%4]
			VPADDD(y[e], y[8], v)
			VMOVDQU(v, at(t, 32*(8*gray+e)))
		}
	}
	ADDQ(U32(32*group6), w)
	ADDQ(U32(2048), t)
	DECQ(n)
	JNZ(LabelRef("group"))
	end()
}

func sums6() {
	text("sums8", "func(acc, table *int32, index *uint16, groups, words, indexStep int, start *int32)",
		"sums8 adds, for eight units and the 64 chains of each word, the table entries of all\n"+
			"groups to the sums in acc ([chain][unit]), or to the eight values of start when it is not\n"+
			"nil. index goes up by indexStep bytes a word.")
	acc, table, index := arg("acc"), arg("table"), arg("index")
	groups, words, step, start := arg("groups"), arg("words"), arg("indexStep"), arg("start")
	Label("word")
	block, xp := GP64(), GP64()
	MOVQ(index, xp)
	MOVQ(U32(8), block)
	Label("block")
	TESTQ(start, start)
	JZ(LabelRef("load"))
	VMOVDQU(at(start, 0), y[0])
	for c := 1; c < 8; c++ {
		VMOVDQA(y[0], y[c])
	}
	JMP(LabelRef("begin"))
	Label("load")
	for c := range 8 {
		VMOVDQU(at(acc, 32*c), y[c])
	}
	Label("begin")
	t, i, g := GP64(), GP64(), GP64()
	MOVQ(table, t)
	MOVQ(xp, i)
	MOVQ(groups, g)
	Label("group")
	for c := range 8 {
		e := GP32()
		MOVWLZX(at(i, 2*c), e)
		VPADDD(Mem{Base: t, Index: e.As64(), Scale: 1}, y[c], y[c])
	}
	ADDQ(U32(128), i)
	ADDQ(U32(2048), t)
	DECQ(g)
	JNZ(LabelRef("group"))
	for c := range 8 {
		VMOVDQU(y[c], at(acc, 32*c))
	}
	ADDQ(U32(256), acc)
	ADDQ(Imm(16), xp)
	DECQ(block)
	JNZ(LabelRef("block"))
	ADDQ(step, index)
	DECQ(words)
	JNZ(LabelRef("word"))
	end()
}

func philox256() {
	lanes := GLOBL("philoxLanes256", RODATA|NOPTR)
	for i, c := range []uint64{0, 2, 1, 3, 4, 6, 5, 7} {
		DATA(8*i, U64(c))
	}
	text("philox8", "func(random *uint16, chain0 uint32, chains int, keys *[4]uint64, uniform *[2]uint64)",
		"philox8 writes the high 16 bits of the draws of a group of eight units for chains (a\n"+
			"multiple of eight): random[chain][unit]. keys are repeated four times; what depends on\n"+
			"the group alone after two rounds is in uniform.")
	random, keys, uniform, n := arg("random"), arg("keys"), arg("uniform"), arg("chains")
	chain0 := Load(Param("chain0"), GP32()).(reg.GPVirtual)
	m0, m1, chain := y[12], y[13], y[14]
	g := GP64()
	broadcast := func(v uint64, r reg.VecPhysical) {
		MOVQ(U64(v), g)
		VMOVQ(g, r.AsX())
		VPBROADCASTQ(r.AsX(), r)
	}
	broadcast(0xD2511F53, m0)
	broadcast(0xCD9E8D57, m1)
	VMOVD(chain0, chain.AsX())
	VPBROADCASTD(chain.AsX(), chain)
	broadcast(8, y[15])
	key := func(i int) Mem { return at(keys, 32*i) }
	Label("chains")
	var c [2][6]reg.VecPhysical
	for u := range 2 {
		copy(c[u][:], y[6*u:6*u+6])
		p, q, yy, t := c[u][0], c[u][1], c[u][2], c[u][3]
		VPADDD(lanes.Offset(32*u), chain, p)
		VPMULUDQ(m0, p, yy)
		VPSRLQ(Imm(32), yy, p)
		VPXOR(key(20), p, p)
		VPMULUDQ(m1, p, q)
		VPSRLQ(Imm(32), q, p)
		VPXOR(key(21), p, p)
		VPBROADCASTQ(at(uniform, 0), t)
		VPXOR(t, yy, yy)
		VPBROADCASTQ(at(uniform, 8), t)
	}
	for r := 2; r < philoxRounds; r++ {
		for u := range 2 {
			VPMULUDQ(m0, c[u][0], c[u][4])
			VPMULUDQ(m1, c[u][2], c[u][5])
			VPXOR(key(2*r), c[u][1], c[u][1])
			VPXOR(key(2*r+1), c[u][3], c[u][3])
		}
		for u := range 2 {
			VPSRLQ(Imm(32), c[u][5], c[u][0])
			VPSRLQ(Imm(32), c[u][4], c[u][2])
			VPXOR(c[u][1], c[u][0], c[u][0])
			VPXOR(c[u][3], c[u][2], c[u][2])
			c[u][1], c[u][3], c[u][4], c[u][5] = c[u][5], c[u][4], c[u][1], c[u][3]
		}
	}
	for u := range 2 {
		a, b := c[u][4], c[u][5]
		VPSLLQ(Imm(32), c[u][1], a)
		VPSLLQ(Imm(32), c[u][3], b)
		VPBLENDD(Imm(0xAA), a, c[u][0], a)
		VPBLENDD(Imm(0xAA), b, c[u][2], b)
		VPUNPCKLQDQ(b, a, c[u][0])
		VPUNPCKHQDQ(b, a, c[u][1])
		VMOVDQU(c[u][0], at(random, 64*u))
		VMOVDQU(c[u][1], at(random, 64*u+32))
	}
	VPADDD(y[15], chain, chain)
	ADDQ(U32(128), random)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("chains"))
	end()
}

// accept256 decides on 16 bits, with a parabola in each of 16 segments.
func accept256() {
	constants := GLOBL("filterConstants256", RODATA|NOPTR)
	for i, w := range []uint16{32767, filterEps, 2 * filterEps, 0x8000, 0x0080} {
		for k := range 16 {
			DATA(32*i+2*k, U16(w))
		}
	}
	limit := constantWords("filterLimit256", []uint32{0x4e800000}) // 2³⁰
	for _, each := range []bool{false, true} {
		name, doc := "acceptOne8", "the fields are multiplied by one factor to 13 fraction bits."
		if each {
			name, doc = "acceptEach8", "the fields are multiplied by factors of their own to 13 fraction bits."
		}
		text(name, "func(out *uint32, acc *int32, random *uint16, n int, filter *[6][32]uint8, factors *float32, ties *uint64) int",
			name+" decides n times 32 spins: fields acc, high halves of draws random, spins to out,\n"+
				"all in one order; "+doc+"\n"+
				"What is within filterEps of the threshold is put on the list of ties, whose length is returned.")
		out, acc, random, n := arg("out"), arg("acc"), arg("random"), arg("n")
		filter, factors, ties := arg("filter"), arg("factors"), arg("ties")
		k := func(i int) Mem { return constants.Offset(32 * i) }
		top, eps, eps2, noHigh, noLow := k(0), k(1), k(2), k(3), k(4)
		VBROADCASTSS(limit, y[15])
		if !each {
			VBROADCASTSS(at(factors, 0), y[14])
		}
		count, first := GP64(), GP64()
		XORQ(count, count)
		MOVQ(ties, first)
		Label("spins")
		for h := range 2 {
			for i := range 2 {
				v := y[i]
				VCVTDQ2PS(at(acc, 64*h+32*i), v)
				if each {
					VMULPS(at(factors, 64*h+32*i), v, v)
				} else {
					VMULPS(y[14], v, v)
				}
				VMINPS(y[15], v, v) // below, the conversion saturates by itself
				VCVTPS2DQ(v, v)
			}
			xx, m, lo, hi, s, d, q := y[2], y[3], y[4], y[5], y[6], y[7], y[8]
			VPACKSSDW(y[1], y[0], xx)
			VPERMQ(Imm(0xD8), xx, xx)
			VPABSW(xx, m)
			VPMINUW(top, m, m)
			VPSRLW(Imm(11), m, lo)
			VPSLLW(Imm(5), m, m) // the place in the segment
			VPSLLW(Imm(8), lo, hi)
			VPOR(noHigh, lo, lo)
			VPOR(noLow, hi, hi)
			for i, r := range []reg.VecPhysical{s, d, q} {
				VMOVDQU(at(filter, 64*i), r)
				VPSHUFB(lo, r, r)
				VMOVDQU(at(filter, 64*i+32), y[9])
				VPSHUFB(hi, y[9], y[9])
				VPOR(y[9], r, r)
			}
			VPMULHUW(m, q, q)
			VPSUBW(q, d, d)
			VPMULHUW(m, d, d)
			VPSUBUSW(d, s, s) // 2¹⁶·σ(−2|x|)
			VPSRAW(Imm(15), xx, xx)
			v := y[0]
			VPCMPEQW(v, v, v)
			VPXOR(xx, v, v)
			VPXOR(at(random, 32*h), v, v) // the draw, or its complement where x ≥ 0
			VPMAXUW(s, v, d)
			VPCMPEQW(v, d, d) // v ≥ s
			VPXOR(xx, d, y[10+h])
			VPSUBW(s, v, v)
			VPADDW(eps, v, v)
			VPMINUW(eps2, v, d)
			VPCMPEQW(v, d, y[12+h])
		}
		g := GP32()
		for i, o := range []reg.VecPhysical{y[10], y[12]} {
			VPACKSSWB(y[11+2*i], o, o)
			VPERMQ(Imm(0xD8), o, o)
			VPMOVMSKB(o, g)
			if i == 0 {
				MOVL(g, at(out, 0))
			}
		}
		TESTL(g, g)
		JZ(LabelRef("sure"))
		MOVL(count.As32(), at(ties, 0))
		MOVL(g, at(ties, 4))
		ADDQ(Imm(8), ties)
		Label("sure")
		ADDQ(Imm(4), out)
		ADDQ(U32(128), acc)
		ADDQ(Imm(64), random)
		if each {
			ADDQ(U32(128), factors)
		}
		INCQ(count)
		DECQ(n)
		JNZ(LabelRef("spins"))
		SUBQ(first, ties)
		SHRQ(Imm(3), ties)
		Store(ties, ReturnIndex(0))
		end()
	}
}

func rows256() {
	text("rows8", "func(dst *[8]uint64, bytes *uint8, words int)",
		"rows8 turns 64 bytes into eight words, words times: bit c of word k is bit k of byte c.")
	dst, src, n := arg("dst"), arg("bytes"), arg("words")
	Label("word")
	for h := range 2 {
		VMOVDQU(at(src, 32*h), y[h])
	}
	for k := 7; k >= 0; k-- {
		for h := range 2 {
			g := GP32()
			VPMOVMSKB(y[h], g)
			MOVL(g, at(dst, 8*k+4*h))
			if k > 0 {
				VPADDB(y[h], y[h], y[h])
			}
		}
	}
	ADDQ(Imm(64), dst)
	ADDQ(Imm(64), src)
	DECQ(n)
	JNZ(LabelRef("word"))
	end()
}

func mix256() {
	text("mix8", "func(acc *int32, n int, m int64, c *[8]int64)",
		"mix8 replaces n times eight fields a at acc by (a·m + c) >> 24; c has the constants of\n"+
			"the lanes 0, 2, 4, 6, 1, 3, 5, 7.")
	acc, n, m, c := arg("acc"), arg("n"), arg("m"), arg("c")
	VMOVQ(m, x[0])
	VPBROADCASTQ(x[0], y[0])
	VMOVDQU(at(c, 0), y[1])
	VMOVDQU(at(c, 32), y[2])
	Label("eight")
	VMOVDQU(at(acc, 0), y[3])
	VPSRLQ(Imm(32), y[3], y[4])
	VPMULDQ(y[0], y[3], y[3])
	VPMULDQ(y[0], y[4], y[4])
	VPADDQ(y[1], y[3], y[3])
	VPADDQ(y[2], y[4], y[4])
	VPSRLQ(Imm(24), y[3], y[3])
	VPSLLQ(Imm(8), y[4], y[4])
	VPBLENDD(Imm(0xAA), y[4], y[3], y[3])
	VMOVDQU(y[3], at(acc, 0))
	ADDQ(Imm(32), acc)
	DECQ(n)
	JNZ(LabelRef("eight"))
	end()
}

func list256() {
	var bits []uint32
	for i := range 32 {
		bits = append(bits, 1<<i)
	}
	lanes := constantWords("lanes32", bits)
	text("list8", "func(acc *int32, state *uint64, stride int, col, weight *int32, n, words int, start int32)",
		"list8 makes the fields of a unit with n neighbours in words times 64 chains: start plus\n"+
			"twice the weights of the neighbours that are up. stride is in bytes.")
	acc, state, stride := arg("acc"), arg("state"), arg("stride")
	col, weight, n, words := arg("col"), arg("weight"), arg("n"), arg("words")
	start := Load(Param("start"), GP32()).(reg.GPVirtual)
	for i := range 4 {
		VMOVDQU(lanes.Offset(32*i), y[8+i])
	}
	Label("word")
	for r := range 8 {
		VPXOR(y[r], y[r], y[r])
	}
	i, p := GP64(), GP64()
	XORQ(i, i)
	JMP(LabelRef("test"))
	Label("neighbour")
	MOVLQSX(Mem{Base: col, Index: i, Scale: 4}, p)
	IMULQ(stride, p)
	VPBROADCASTD(Mem{Base: weight, Index: i, Scale: 4}, y[12])
	for h := range 2 {
		VPBROADCASTD(Mem{Base: state, Index: p, Scale: 1, Disp: 4 * h}, y[13])
		for r := range 4 {
			t := y[14+r%2]
			VPAND(y[8+r], y[13], t)
			VPCMPEQD(y[8+r], t, t)
			VPAND(y[12], t, t)
			VPADDD(t, y[4*h+r], y[4*h+r])
		}
	}
	INCQ(i)
	Label("test")
	CMPQ(i, n)
	JLT(LabelRef("neighbour"))
	VMOVD(start, x[12])
	VPBROADCASTD(x[12], y[12])
	for r := range 8 {
		VPADDD(y[r], y[r], y[r])
		VPADDD(y[12], y[r], y[r])
		VMOVDQU(y[r], at(acc, 32*r))
	}
	ADDQ(U32(256), acc)
	ADDQ(Imm(8), state)
	DECQ(words)
	JNZ(LabelRef("word"))
	end()
}

// transpose16 turns draws [chain][unit] into rows of chains.
func transpose16() {
	text("transposeDraws8", "func(dst, src *uint16, n, step int)",
		"transposeDraws8 writes 8·n times eight 16-bit words [chain][unit] to dst[unit][chain], rows\n"+
			"step bytes apart.")
	dst, src, n, step := arg("dst"), arg("src"), arg("n"), arg("step")
	three := GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, three)
	Label("eight")
	for i := range 8 {
		VMOVDQU(at(src, 16*i), x[i])
	}
	for i := 0; i < 8; i += 2 {
		VPUNPCKLWD(x[i+1], x[i], x[8+i])
		VPUNPCKHWD(x[i+1], x[i], x[9+i])
	}
	for i := 0; i < 8; i += 4 {
		for j := range 2 { // units 0–3, 4–7
			VPUNPCKLDQ(x[8+i+2+j], x[8+i+j], x[i+2*j])
			VPUNPCKHDQ(x[8+i+2+j], x[8+i+j], x[i+2*j+1])
		}
	}
	low, high := GP64(), GP64()
	MOVQ(dst, low)
	LEAQ(Mem{Base: dst, Index: step, Scale: 4}, high)
	for j := range 4 { // pairs of units
		VPUNPCKLQDQ(x[4+j], x[j], x[8+2*j])
		VPUNPCKHQDQ(x[4+j], x[j], x[9+2*j])
	}
	for u := range 8 {
		base := low
		if u >= 4 {
			base = high
		}
		m := []Mem{at(base, 0), {Base: base, Index: step, Scale: 1}, {Base: base, Index: step, Scale: 2}, {Base: base, Index: three, Scale: 1}}[u%4]
		VMOVDQU(x[8+u], m)
	}
	ADDQ(Imm(16), dst)
	ADDQ(U32(128), src)
	DECQ(n)
	JNZ(LabelRef("eight"))
	end()
}

// means256 is spin.Mean, for all vector paths.
func means256() {
	constants := GLOBL("meanConstants", RODATA|NOPTR)
	for i, w := range []uint64{12 << 24, 1<<13 - 1, 1<<32 - 1, 1 << 8, 1 << 22} {
		for k := range 4 {
			DATA(32*i+8*k, U64(w))
		}
	}
	even := constantWords("evenWords", []uint32{0, 2, 4, 6, 0, 2, 4, 6})
	text("means8", "func(dst *int32, n int, betas *uint64, betaStep int, frac uint64, tail *uint32)",
		"means8 replaces n times four fields by spin.Mean of them. betas, four at a time and below\n"+
			"2³², goes up by betaStep bytes; tail is spin.TailTable.")
	dst, n, betas, step := arg("dst"), arg("n"), arg("betas"), arg("betaStep")
	frac, tail := arg("frac"), arg("tail")
	limit, place, low, half, one := y[8], y[9], y[10], y[11], y[12]
	for i, r := range []reg.VecPhysical{limit, place, low, half, one} {
		VMOVDQU(constants.Offset(32*i), r)
	}
	VMOVDQU(even, y[13])
	VMOVQ(frac, x[14])
	Label("four")
	v, s, f, d, g := y[0], y[1], y[2], y[3], y[4]
	VPMOVSXDQ(at(dst, 0), v)
	VPABSD(v, v) // the low words; the high ones are not read
	VPMULUDQ(at(betas, 0), v, v)
	VPSRLQ(x[14], v, v)
	VPCMPGTQ(limit, v, d)
	VBLENDVPD(d, limit, v, v)
	VPAND(place, v, f)
	VPSRLQ(Imm(13), v, v)
	// t0 and t1 of each lane, by four loads: a gather is slower
	VEXTRACTI128(Imm(1), v, g.AsX())
	var i [4]reg.GPVirtual
	for k, x := range []reg.Register{v.AsX(), g.AsX()} {
		i[2*k], i[2*k+1] = GP64(), GP64()
		VMOVQ(x, i[2*k])
		VPEXTRQ(Imm(1), x, i[2*k+1])
	}
	entry := func(k int) Mem { return Mem{Base: tail, Index: i[k], Scale: 4} }
	VMOVQ(entry(0), s.AsX())
	VMOVHPS(entry(1), s.AsX(), s.AsX())
	VMOVQ(entry(2), g.AsX())
	VMOVHPS(entry(3), g.AsX(), g.AsX())
	VINSERTI128(Imm(1), g.AsX(), s, s)
	VPSRLQ(Imm(32), s, d)
	VPAND(low, s, s)
	VPSUBQ(d, s, d)
	VPMULUDQ(f, d, d)
	VPSRLQ(Imm(13), d, d)
	VPSUBQ(d, s, s)
	VPADDQ(half, s, s)
	VPSRLQ(Imm(9), s, s)
	VPSUBQ(s, one, s)
	VPERMD(s, y[13], s)
	VMOVDQU(at(dst, 0), x[5])
	VPSIGND(x[5], s.AsX(), s.AsX())
	VMOVDQU(s.AsX(), at(dst, 0))
	ADDQ(Imm(16), dst)
	ADDQ(step, betas)
	DECQ(n)
	JNZ(LabelRef("four"))
	end()
}

// pack8 copies weights into the layout [out/8][in][8].
func pack8() {
	text("pack8", "func(dst, src *int32, stride, rows int, sums *[8]int32)",
		"pack8 copies eight weights of each row to dst[row][8] and subtracts their sums from sums.\n"+
			"stride is in bytes.")
	dst, src, stride, n, sums := arg("dst"), arg("src"), arg("stride"), arg("rows"), arg("sums")
	VMOVDQU(at(sums, 0), y[0])
	Label("row")
	VMOVDQU(at(src, 0), y[1])
	VMOVDQU(y[1], at(dst, 0))
	VPSUBD(y[1], y[0], y[0])
	ADDQ(stride, src)
	ADDQ(Imm(32), dst)
	DECQ(n)
	JNZ(LabelRef("row"))
	VMOVDQU(y[0], at(sums, 0))
	end()

	text("packTransposed8", "func(dst, src *int32, stride, blocks int, sums *[8]int32)",
		"packTransposed8 transposes blocks of 8×8 weights, dst[8·block+i][u] = src[u·stride+8·block+i],\n"+
			"and subtracts their sums over i from sums. stride is in bytes.")
	dst, src, stride, n, sums = arg("dst"), arg("src"), arg("stride"), arg("blocks"), arg("sums")
	three, fourth := GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	Label("block")
	LEAQ(Mem{Base: src, Index: stride, Scale: 4}, fourth)
	// rows u and u+4 in the halves of one register, by 16 bytes
	for h := range 2 {
		for u, m := range []Mem{at(src, 16*h), {Base: src, Index: stride, Scale: 1, Disp: 16 * h}, {Base: src, Index: stride, Scale: 2, Disp: 16 * h}, {Base: src, Index: three, Scale: 1, Disp: 16 * h}} {
			VMOVDQU(m, x[4*h+u])
			m.Base = fourth
			VINSERTI128(Imm(1), m, y[4*h+u], y[4*h+u])
		}
	}
	for h := range 2 {
		a, t := y[4*h:], y[8:]
		VPUNPCKLDQ(a[1], a[0], t[0])
		VPUNPCKHDQ(a[1], a[0], t[1])
		VPUNPCKLDQ(a[3], a[2], t[2])
		VPUNPCKHDQ(a[3], a[2], t[3])
		VPUNPCKLQDQ(t[2], t[0], t[4])
		VPUNPCKHQDQ(t[2], t[0], t[5])
		VPUNPCKLQDQ(t[3], t[1], t[6])
		VPUNPCKHQDQ(t[3], t[1], t[7])
		for i := range 4 {
			VMOVDQU(t[4+i], at(dst, 128*h+32*i))
		}
		VPADDD(t[4], t[5], t[4])
		VPADDD(t[6], t[7], t[6])
		VPADDD(t[4], t[6], t[4])
		VMOVDQU(at(sums, 0), t[5])
		VPSUBD(t[4], t[5], t[5])
		VMOVDQU(t[5], at(sums, 0))
	}
	ADDQ(Imm(32), src)
	ADDQ(U32(256), dst)
	DECQ(n)
	JNZ(LabelRef("block"))
	end()
}

// counts256 counts unequal bits by look-up of half bytes (Muła).
func counts256() {
	nibbles := GLOBL("nibbleCounts", RODATA|NOPTR)
	for i := range 32 {
		DATA(i, U8(uint8([]uint8{0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4}[i%16])))
	}
	low := GLOBL("nibbleMask", RODATA|NOPTR)
	for i := range 32 {
		DATA(i, U8(15))
	}
	text("odd8", "func(dst *int32, stride int, a *uint64, aStride int, b *uint64, bStep int, words int, chains int32)",
		"odd8 adds chains − 2·popcount(a xor b) to dst for two rows of a and eight rows of b, over\n"+
			"a number of words: b[word][row] with bStep bytes between words. Strides are in bytes.")
	dst, stride, a, aStride := arg("dst"), arg("stride"), arg("a"), arg("aStride")
	b, bStep, n := arg("b"), arg("bStep"), arg("words")
	chains := Load(Param("chains"), GP32()).(reg.GPVirtual)
	VMOVDQU(nibbles, y[15])
	VMOVDQU(low, y[14])
	VPXOR(y[13], y[13], y[13])
	for i := range 4 {
		VPXOR(y[i], y[i], y[i])
	}
	Label("word")
	VMOVDQU(at(b, 0), y[4])
	VMOVDQU(at(b, 32), y[5])
	for i, m := range []Mem{at(a, 0), {Base: a, Index: aStride, Scale: 1}} {
		VPBROADCASTQ(m, y[6])
		for j := range 2 {
			v, w := y[7+2*j], y[8+2*j]
			VPXOR(y[4+j], y[6], v)
			VPSRLW(Imm(4), v, w)
			VPAND(y[14], v, v)
			VPAND(y[14], w, w)
			VPSHUFB(v, y[15], v)
			VPSHUFB(w, y[15], w)
			VPADDB(v, w, v)
			VPSADBW(y[13], v, v)
			VPADDQ(v, y[2*i+j], y[2*i+j])
		}
	}
	ADDQ(Imm(8), a)
	ADDQ(bStep, b)
	DECQ(n)
	JNZ(LabelRef("word"))
	VMOVD(chains, x[12])
	VPBROADCASTD(x[12], y[12])
	for i := range 2 {
		// the sums of rows 0 … 3 and 4 … 7 are in 64-bit lanes
		VSHUFPS(Imm(0x88), y[2*i+1], y[2*i], y[4])
		VPERMQ(Imm(0xD8), y[4], y[4])
		VPADDD(y[4], y[4], y[4])
		VPSUBD(y[4], y[12], y[4])
		VPADDD(at(dst, 0), y[4], y[4])
		VMOVDQU(y[4], at(dst, 0))
		if i == 0 {
			ADDQ(stride, dst)
		}
	}
	end()
}
