package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Order of chains. The four vectors of a tile of 64 chains are A0, B0, A1, B1:
// 32-bit lane 4L+k of A holds chain 8L+k and of B chain 8L+4+k (of the lower
// 32 chains in A0, B0). VPACKSSDW of A and B, which works in 128-bit lanes,
// then has the chains in their natural order.

// constant32 declares a vector.
func constant32(name string, v [16]uint32) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, x := range v {
		DATA(4*i, U32(x))
	}
	return m
}

// expand5 turns bit rows into table indices.
func expand5() {
	var dwords, bytes [16]uint32
	for l := range uint32(4) {
		copy(dwords[4*l:], []uint32{2 * l, 2*l + 1, 8 + 2*l, 9 + 2*l})
		for k := range uint32(4) {
			bytes[4*l+k] = k | (4+k)<<8 | (8+k)<<16 | (12+k)<<24
		}
	}
	dw := constant32("gatherChains", dwords)
	by := constant32("splitChains", bytes)
	text("expandAVX512", "func(index *uint32, rows *[5]*uint64, words, step int)",
		"expandAVX512 makes the indices of a group of five rows: for each word, 64 chains in\n"+
			"the order A0, B0, A1, B1, bit k of an index being the chain's spin in row k. Bits\n"+
			"from the fifth up are anything. index goes up by step bytes a word.")
	index, rows := arg("index"), arg("rows")
	n, step := arg("words"), arg("step")
	var p [5]reg.GPVirtual
	for k := range p {
		p[k] = GP64()
		MOVQ(at(rows, 8*k), p[k])
	}
	VMOVDQU32(dw, z[30])
	VMOVDQU32(by, z[31])
	for k := range p {
		g := GP32()
		MOVL(U32(1<<k), g)
		VPBROADCASTB(g, z[20+k])
	}
	off := GP64()
	XORQ(off, off)
	Label("word")
	for k := range p {
		KMOVQ(Mem{Base: p[k], Index: off, Scale: 8}, kr[k+1])
	}
	VMOVDQU8_Z(z[20], kr[1], z[0])
	for k := 1; k < 5; k++ {
		VPADDB(z[20+k], z[0], kr[k+1], z[0])
	}
	VPERMD(z[0], z[30], z[0])
	VPSHUFB(z[31], z[0], z[0])
	VMOVDQU32(z[0], at(index, 0))
	for s := 1; s < 4; s++ {
		VPSRLD(Imm(uint64(8*s)), z[0], z[s])
		VMOVDQU32(z[s], at(index, 64*s))
	}
	ADDQ(step, index)
	INCQ(off)
	CMPQ(off, n)
	JLT(LabelRef("word"))
	end()
}

// tables5 builds look-up tables.
func tables5() {
	text("tablesAVX512", "func(table, packed *int32, groups int, next *int32)",
		"tablesAVX512 makes the tables of groups·5 rows of five weights: entry e of a table\n"+
			"is the sum of the weights k whose bit is set in e. It fetches as many weights from next,\n"+
			"which the next call will want.")
	t, w, n, next := arg("table"), arg("packed"), arg("groups"), arg("next")
	for k, m := range []uint64{0xAAAA, 0xCCCC, 0xF0F0, 0xFF00} {
		mask(m, kr[k+1])
	}
	Label("group")
	for u := range 5 {
		VPBROADCASTD_Z(at(w, 20*u), kr[1], z[u])
	}
	for k := 1; k < 4; k++ {
		for u := range 5 {
			VPADDD_BCST(at(w, 20*u+4*k), z[u], kr[k+1], z[u])
		}
	}
	PREFETCHT0(at(next, 0))
	PREFETCHT0(at(next, 64))
	for u := range 5 {
		VMOVDQU32(z[u], at(t, 128*u))
		VPADDD_BCST(at(w, 20*u+16), z[u], z[5+u])
		VMOVDQU32(z[5+u], at(t, 128*u+64))
	}
	ADDQ(U32(100), w)
	ADDQ(U32(100), next)
	ADDQ(U32(640), t)
	DECQ(n)
	JNZ(LabelRef("group"))
	end()
}

// sums5 adds table entries: the inner loop of everything.
func sums5(vectors int) {
	const units = 5
	name := fmt.Sprintf("sums%dAVX512", vectors)
	text(name, "func(acc, table *int32, index *uint32, groups, words, accStep, indexStep int, start *int32)",
		fmt.Sprintf("%s adds, for five units and the first %d vectors of each word's chains,\n", name, vectors)+
			"the table entries of all groups to the sums in acc ([unit][64]), or to the five\n"+
			"values of start when it is not nil. acc and index go up by their step in bytes a word.")
	acc, table, index := arg("acc"), arg("table"), arg("index")
	groups, words := arg("groups"), arg("words")
	accStep, indexStep := arg("accStep"), arg("indexStep")
	start := arg("start")
	a := func(u, r int) reg.VecPhysical { return z[u*vectors+r] }
	idx := z[units*vectors:][:vectors]
	tab := z[units*vectors+vectors:][:2]
	tmp := z[units*vectors+vectors+2:]

	Label("word")
	TESTQ(start, start)
	JZ(LabelRef("load"))
	for u := range units {
		for r := range vectors {
			VPBROADCASTD(at(start, 4*u), a(u, r))
		}
	}
	JMP(LabelRef("begin"))
	Label("load")
	for u := range units {
		for r := range vectors {
			VMOVDQU32(at(acc, 256*u+64*r), a(u, r))
		}
	}
	Label("begin")
	t, x, g := GP64(), GP64(), GP64()
	MOVQ(table, t)
	MOVQ(index, x)
	MOVQ(groups, g)
	Label("group")
	for r := range vectors {
		VMOVDQU32(at(x, 64*r), idx[r])
	}
	next := 0
	for u := range units {
		VMOVDQU32(at(t, 128*u), tab[0])
		VMOVDQU32(at(t, 128*u+64), tab[1])
		for r := 0; r < vectors; r += 2 {
			// two look-ups, then two adds: strict alternation is slower
			var got [2]reg.VecPhysical
			n := min(2, vectors-r)
			for i := range n {
				got[i] = tmp[next%len(tmp)]
				next++
				VMOVDQA32(idx[r+i], got[i])
				VPERMI2D(tab[1], tab[0], got[i])
			}
			for i := range n {
				VPADDD(got[i], a(u, r+i), a(u, r+i))
			}
		}
	}
	ADDQ(U32(640), t)
	ADDQ(U32(256), x)
	DECQ(g)
	JNZ(LabelRef("group"))
	for u := range units {
		for r := range vectors {
			VMOVDQU32(a(u, r), at(acc, 256*u+64*r))
		}
	}
	ADDQ(accStep, acc)
	ADDQ(indexStep, index)
	DECQ(words)
	JNZ(LabelRef("word"))
	end()
}

const philoxRounds = 10

// philox512 makes the high halves of the draws.
func philox512() {
	lanes := GLOBL("philoxLanes", RODATA|NOPTR)
	for u := range 4 {
		for l := range 8 {
			DATA(64*u+8*l, U64(uint64(4*l+2*(u&1)+u>>1)))
		}
	}
	text("philoxAVX512", "func(random *uint16, chain0 uint32, groups int, keys *uint64, uniform *[2]uint64, tmp *byte)",
		"philoxAVX512 writes the high 16 bits of the draws of 64 chains for groups of eight\n"+
			"units: random[group][unit][chain]. What depends on the group alone after two rounds is\n"+
			"in uniform, what depends on the chain alone is made here and kept in tmp (768 bytes).")
	random, keys := arg("random"), arg("keys")
	chain0 := Load(Param("chain0"), GP32()).(reg.GPVirtual)
	groups, uniform, tmp := arg("groups"), arg("uniform"), arg("tmp")
	lanesPtr := GP64()
	LEAQ(lanes, lanesPtr)
	m0, m1 := z[24], z[25]
	g := GP64()
	MOVQ(U64(0xD2511F53), g)
	VPBROADCASTQ(g, m0)
	MOVQ(U64(0xCD9E8D57), g)
	VPBROADCASTQ(g, m1)
	mask(0xAAAA, kr[1])
	mask(0xAAAAAAAA, kr[2])
	half := GP64()
	MOVQ(U32(2), half)
	Label("half")
	VPBROADCASTD(chain0, z[26])
	for u := range 4 {
		p, q, y := z[u], z[4+u], z[8+u]
		VPADDD(at(lanesPtr, 64*u), z[26], p)
		VPMULUDQ(m0, p, y)               // round 0: c3 = lo(m0·chain)
		VPSRLQ(Imm(32), y, p)            // c2 = hi ^ c3 ^ k1
		VPXORQ_BCST(at(keys, 160), p, p) //
		VPMULUDQ(m1, p, q)               // round 1: c1 = lo(m1·c2)
		VPSRLQ(Imm(32), q, p)            // c0 = hi ^ c1 ^ k0
		VPXORQ_BCST(at(keys, 168), p, p) //
		for i, v := range []reg.VecPhysical{p, q, y} {
			VMOVDQU64(v, at(tmp, 64*(3*u+i)))
		}
	}
	out, uni, n := GP64(), GP64(), GP64()
	MOVQ(random, out)
	MOVQ(uniform, uni)
	MOVQ(groups, n)
	Label("group")
	var c [4][6]reg.VecPhysical // c0 … c3 and two spare, for four streams
	for u := range 4 {
		copy(c[u][:], z[6*u:6*u+6])
		VMOVDQU64(at(tmp, 64*(3*u)), c[u][0])
		VMOVDQU64(at(tmp, 64*(3*u+1)), c[u][1])
		VPBROADCASTQ(at(uni, 0), c[u][3])
		VPXORQ(at(tmp, 64*(3*u+2)), c[u][3], c[u][2]) // y ^ uniform[0]
		VPBROADCASTQ(at(uni, 8), c[u][3])
	}
	for r := 2; r < philoxRounds; r++ {
		for u := range 4 {
			VPMULUDQ(m0, c[u][0], c[u][4])
			VPMULUDQ(m1, c[u][2], c[u][5])
		}
		for u := range 4 {
			VPSRLQ(Imm(32), c[u][5], c[u][0])
			VPSRLQ(Imm(32), c[u][4], c[u][2])
		}
		for u := range 4 {
			VPTERNLOGQ_BCST(Imm(0x96), at(keys, 16*r), c[u][1], c[u][0])
			VPTERNLOGQ_BCST(Imm(0x96), at(keys, 16*r+8), c[u][3], c[u][2])
			c[u][1], c[u][3], c[u][4], c[u][5] = c[u][5], c[u][4], c[u][1], c[u][3]
		}
	}
	for w := range 4 {
		even, odd := c[0][w], c[2][w] // chains 2d and 2d+1 of dword d
		VPSHUFD(Imm(0xA0), c[1][w], kr[1], even)
		VPSHUFD(Imm(0xA0), c[3][w], kr[1], odd)
		VPSLLD(Imm(16), odd, z[26])
		VPSRLD(Imm(16), even, z[27])
		VPBLENDMW(z[26], even, kr[2], z[26])
		VPBLENDMW(odd, z[27], kr[2], z[27])
		VMOVDQU16(z[26], at(out, 256*w))
		VMOVDQU16(z[27], at(out, 256*w+128))
	}
	ADDQ(U32(1024), out)
	ADDQ(U32(16), uni)
	DECQ(n)
	JNZ(LabelRef("group"))
	ADDQ(U32(64), random)
	ADDL(U32(32), chain0)
	DECQ(half)
	JNZ(LabelRef("half"))
	end()
}

// accept512 decides on 16 bits and lists what they do not decide.
func accept512(variant string) {
	name := "accept" + variant + "AVX512"
	doc := name + " decides n times 64 spins: fields acc (order A0, B0, A1, B1), high halves\n" +
		"of draws random, spins to out; each goes up by its step in bytes. What is within filterEps of\n" +
		"the threshold is put on the list of ties, whose length is returned.\n"
	switch variant {
	case "Shift":
		doc += "The fields are shifted right to 13 fraction bits."
	case "One":
		doc += "The fields are multiplied by one factor to 13 fraction bits."
	case "Each":
		doc += "The fields are multiplied by a factor for each chain to 13 fraction bits."
	}
	text(name, "func(out *uint64, acc *int32, random *uint16, n, outStep, accStep, randomStep int, filter *uint16, shift uint64, factors *float32, factorStep int, ties *uint64) int", doc)
	out, acc, random := arg("out"), arg("acc"), arg("random")
	n, outStep, accStep, randomStep := arg("n"), arg("outStep"), arg("accStep"), arg("randomStep")
	filter, ties := arg("filter"), arg("ties")
	v0, v1, d0, d1 := z[16], z[17], z[18], z[19]
	top, eps, eps2 := z[20], z[21], z[22]
	for i, v := range []reg.VecPhysical{v0, v1, d0, d1} {
		VMOVDQU16(at(filter, 64*i), v)
	}
	broadcast := func(x uint64, v reg.VecPhysical) {
		g := GP32()
		MOVL(U32(x), g)
		VPBROADCASTW(g, v)
	}
	broadcast(32767, top)
	broadcast(filterEps, eps)
	broadcast(2*filterEps, eps2)
	var factors, factorStep reg.GPVirtual
	switch variant {
	case "Shift":
		g := arg("shift")
		VMOVQ(g, reg.X23)
	case "One":
		factors = arg("factors")
		VBROADCASTSS(at(factors, 0), z[23])
	case "Each":
		factors, factorStep = arg("factors"), arg("factorStep")
	}
	if variant != "Shift" {
		g := GP32()
		MOVL(U32(0x4e800000), g) // 2³⁰
		VPBROADCASTD(g, z[24])
	}
	count, first := GP64(), GP64()
	XORQ(count, count)
	MOVQ(ties, first)
	Label("spin")
	for h := range 2 {
		for i := range 2 {
			src, v := at(acc, 128*h+64*i), z[i]
			switch variant {
			case "Shift":
				VMOVDQU32(src, v)
				VPSRAD(reg.X23, v, v)
			default:
				VCVTDQ2PS(src, v)
				if variant == "One" {
					VMULPS(z[23], v, v)
				} else {
					VMULPS(at(factors, 128*h+64*i), v, v)
				}
				VMINPS(z[24], v, v) // below, the conversion saturates by itself
				VCVTPS2DQ(v, v)
			}
		}
		x, m, s, d, v := z[2], z[3], z[4], z[5], z[3]
		VPACKSSDW(z[1], z[0], x)
		VPABSW(x, m)
		VPMINUW(top, m, m)
		VPSRLW(Imm(9), m, s)
		VMOVDQA32(s, d)
		VPSLLW(Imm(7), m, m)
		VPERMI2W(v1, v0, s)
		VPERMI2W(d1, d0, d)
		VPMULHUW(m, d, d)
		VPSUBUSW(d, s, s) // 2¹⁶·σ(−2|x|)
		VPSRAW(Imm(15), x, v)
		VPTERNLOGQ(Imm(0x99), at(random, 64*h), v, v) // the draw, or its complement where x ≥ 0
		VPCMPUW(Imm(1), s, v, kr[1])                  // v < s
		VPMOVW2M(x, kr[2])
		KXNORD(kr[2], kr[1], kr[1])
		KMOVD(kr[1], at(out, 4*h))
		VPSUBW(s, v, v)
		VPADDW(eps, v, v)
		VPCMPUW(Imm(2), eps2, v, kr[3])
		KORTESTD(kr[3], kr[3])
		skip := fmt.Sprintf("sure%d", h)
		JZ(LabelRef(skip))
		g := GP64()
		LEAQ(Mem{Base: count, Disp: h}, g)
		MOVL(g.As32(), at(ties, 0))
		KMOVD(kr[3], at(ties, 4))
		ADDQ(Imm(8), ties)
		Label(skip)
	}
	ADDQ(outStep, out)
	ADDQ(accStep, acc)
	ADDQ(randomStep, random)
	if variant == "Each" {
		ADDQ(factorStep, factors)
	}
	ADDQ(Imm(2), count)
	DECQ(n)
	JNZ(LabelRef("spin"))
	SUBQ(first, ties)
	SHRQ(Imm(3), ties)
	Store(ties, ReturnIndex(0))
	end()
}

// filterEps is the largest distance of the filter's threshold from the exact
// one, in units of 2⁻¹⁶; the tests prove it.
const filterEps = 14

func mix512() {
	text("mixAVX512", "func(acc *int32, words, step int, m, c int64)",
		"mixAVX512 replaces 64 fields a at acc by (a·m + c) >> 24, words times, step bytes apart.")
	acc, n, step := arg("acc"), arg("words"), arg("step")
	m, c := arg("m"), arg("c")
	VPBROADCASTQ(m, z[0])
	VPBROADCASTQ(c, z[1])
	mask(0xAAAA, kr[1])
	Label("word")
	for r := range 4 {
		even, odd := z[2+2*r], z[3+2*r]
		VMOVDQU32(at(acc, 64*r), even)
		VPSRLQ(Imm(32), even, odd)
		VPMULDQ(z[0], even, even)
		VPMULDQ(z[0], odd, odd)
		VPADDQ(z[1], even, even)
		VPADDQ(z[1], odd, odd)
		VPSRLQ(Imm(24), even, even)
		VPSLLQ(Imm(8), odd, odd)
		VMOVDQA32(odd, kr[1], even)
		VMOVDQU32(even, at(acc, 64*r))
	}
	ADDQ(step, acc)
	DECQ(n)
	JNZ(LabelRef("word"))
	end()
}

func store512() {
	lo := GLOBL("mergeLow", RODATA|NOPTR)
	for i, q := range []uint64{0, 1, 8, 9, 2, 3, 10, 11} {
		DATA(8*i, U64(q))
	}
	hi := GLOBL("mergeHigh", RODATA|NOPTR)
	for i, q := range []uint64{4, 5, 12, 13, 6, 7, 14, 15} {
		DATA(8*i, U64(q))
	}
	text("storeAVX512", "func(dst, acc *int32, words, step int)",
		"storeAVX512 writes words times 64 fields in natural order; acc goes up by step bytes a word.")
	dst, acc, n, step := arg("dst"), arg("acc"), arg("words"), arg("step")
	VMOVDQU64(lo, z[0])
	VMOVDQU64(hi, z[1])
	Label("word")
	for h := range 2 {
		a, b, c := z[2+3*h], z[3+3*h], z[4+3*h]
		VMOVDQU32(at(acc, 128*h), a)
		VMOVDQU32(at(acc, 128*h+64), b)
		VMOVDQA32(a, c)
		VPERMT2Q(b, z[0], a)
		VPERMT2Q(b, z[1], c)
		VMOVDQU32(a, at(dst, 128*h))
		VMOVDQU32(c, at(dst, 128*h+64))
	}
	ADDQ(U32(256), dst)
	ADDQ(step, acc)
	DECQ(n)
	JNZ(LabelRef("word"))
	end()
}

// transpose512 writes fields with a row for each chain.
func transpose512() {
	text("transposeAVX512", "func(dst, acc *int32, stride int, columns uint64)",
		"transposeAVX512 writes the fields of 16 units ([unit][64] from acc) in 64 chains to\n"+
			"rows of dst, stride bytes apart; the bits of columns say which units.")
	dst, acc, stride := arg("dst"), arg("acc"), arg("stride")
	k := arg("columns")
	KMOVW(k.As32(), kr[1])
	row, group := GP64(), GP64()
	four := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, four) // three rows
	for r := range 4 {
		var v [16]reg.VecPhysical
		for i := range v {
			v[i] = z[i]
			VMOVDQU32(at(acc, 256*i+64*r), v[i])
		}
		free := z[16:32]
		// 4×4 transposes inside 128-bit lanes, then of the lanes
		var t [16]reg.VecPhysical
		for i := 0; i < 16; i += 2 {
			t[i], t[i+1] = free[i], free[i+1]
			VPUNPCKLDQ(v[i+1], v[i], t[i])
			VPUNPCKHDQ(v[i+1], v[i], t[i+1])
		}
		for i := 0; i < 16; i += 4 {
			VPUNPCKLQDQ(t[i+2], t[i], v[i])
			VPUNPCKHQDQ(t[i+2], t[i], v[i+1])
			VPUNPCKLQDQ(t[i+3], t[i+1], v[i+2])
			VPUNPCKHQDQ(t[i+3], t[i+1], v[i+3])
		}
		// v[4q+k]: lane L has units 4q … 4q+3 of chain lane 4L+k
		MOVQ(dst, row)
		if d := []int{0, 4, 32, 36}[r]; d > 0 {
			MOVQ(U32(uint64(d)), group)
			IMULQ(stride, group)
			ADDQ(group, row)
		}
		var w [4][4]reg.VecPhysical // [k][L]
		for j := range 4 {
			a, b, c, d := free[4*j], free[4*j+1], free[4*j+2], free[4*j+3]
			VSHUFI32X4(Imm(0x44), v[4+j], v[j], a) // units 0–3, 4–7 in L 0, 1
			VSHUFI32X4(Imm(0xEE), v[4+j], v[j], b) // in L 2, 3
			VSHUFI32X4(Imm(0x44), v[12+j], v[8+j], c)
			VSHUFI32X4(Imm(0xEE), v[12+j], v[8+j], d)
			// the sources are dead: reuse them
			VSHUFI32X4(Imm(0x88), c, a, v[j])
			VSHUFI32X4(Imm(0xDD), c, a, v[4+j])
			VSHUFI32X4(Imm(0x88), d, b, v[8+j])
			VSHUFI32X4(Imm(0xDD), d, b, v[12+j])
			w[j] = [4]reg.VecPhysical{v[j], v[4+j], v[8+j], v[12+j]}
		}
		for l := range 4 {
			VMOVDQU32(w[0][l], kr[1], at(row, 0))
			VMOVDQU32(w[1][l], kr[1], Mem{Base: row, Index: stride, Scale: 1})
			VMOVDQU32(w[2][l], kr[1], Mem{Base: row, Index: stride, Scale: 2})
			VMOVDQU32(w[3][l], kr[1], Mem{Base: row, Index: four, Scale: 1})
			for _, m := range []Mem{{Base: row}, {Base: row, Index: stride, Scale: 1}, {Base: row, Index: stride, Scale: 2}, {Base: row, Index: four, Scale: 1}} {
				m.Disp = 160 // where the next slab of 40 units goes
				PREFETCHT1(m)
			}
			if l < 3 {
				LEAQ(Mem{Base: row, Index: stride, Scale: 8}, row)
			}
		}
	}
	end()
}

func list512() {
	text("listAVX512", "func(acc *int32, state *uint64, stride int, col, weight *int32, n, words int, start int32)",
		"listAVX512 makes the fields of a unit with n neighbours in words times 64 chains, order\n"+
			"A0, B0, A1, B1: start plus twice the weights of the neighbours that are up. stride is in bytes.")
	acc, state, stride := arg("acc"), arg("state"), arg("stride")
	col, weight, n, words := arg("col"), arg("weight"), arg("n"), arg("words")
	start := Load(Param("start"), GP32()).(reg.GPVirtual)
	VPBROADCASTD(start, z[8])
	Label("word")
	for r := range 4 {
		VPXORD(z[r], z[r], z[r])
	}
	i, p := GP64(), GP64()
	XORQ(i, i)
	JMP(LabelRef("test"))
	Label("neighbour")
	MOVLQSX(Mem{Base: col, Index: i, Scale: 4}, p)
	IMULQ(stride, p)
	VPBROADCASTD(Mem{Base: weight, Index: i, Scale: 4}, z[4])
	for r := range 4 {
		KMOVW(Mem{Base: state, Index: p, Scale: 1, Disp: 2 * r}, kr[r+1])
		VPADDD(z[4], z[r], kr[r+1], z[r])
	}
	INCQ(i)
	Label("test")
	CMPQ(i, n)
	JLT(LabelRef("neighbour"))
	for r := range 4 {
		VPADDD(z[r], z[r], z[r])
		VPADDD(z[8], z[r], z[r])
	}
	for h := range 2 {
		VSHUFI32X4(Imm(0x88), z[2*h+1], z[2*h], z[4])
		VSHUFI32X4(Imm(0xDD), z[2*h+1], z[2*h], z[5])
		VMOVDQU32(z[4], at(acc, 128*h))
		VMOVDQU32(z[5], at(acc, 128*h+64))
	}
	ADDQ(U32(256), acc)
	ADDQ(Imm(8), state)
	DECQ(words)
	JNZ(LabelRef("word"))
	end()
}

// packTables take weights from registers with two rows each, and from one with
// the fifth row, to the place 5u+k of unit u in row k.
var packTables [4]Mem

// packMasks puts into k1 and k2 where the fifth row goes, into k3 and k4 where
// rows lie in their registers, and into k5 the second part of 25 weights.
func packMasks() {
	var m4 [2]uint64
	for i := range 25 {
		if i%5 == 4 {
			m4[i/16] |= 1 << (i % 16)
		}
	}
	mask(m4[0], kr[1])
	mask(m4[1], kr[2])
	mask(0x1f, kr[3])
	mask(0x1f00, kr[4])
	mask(0x1ff, kr[5])
}

// pack512 gathers row-major weights of five inputs.
func pack512() {
	// Two rows lie in one register, eight lanes each; unit u of row k goes to
	// place 5u+k.
	table := func(name string, first int, rows [2]int) Mem {
		var v [16]uint32
		for i := range v {
			u, k := (first+i)/5, (first+i)%5
			if u > 4 {
				u = 0 // not stored
			}
			for j, row := range rows {
				if k == row {
					v[i] = uint32(8*j + u)
				}
			}
			if k >= 2 && k < 4 && rows[0] == 0 {
				v[i] = uint32(16 + 8*(k-2) + u)
			}
		}
		return constant32(name, v)
	}
	packTables = [4]Mem{
		table("packLow", 0, [2]int{0, 1}), table("packHigh", 16, [2]int{0, 1}),
		table("packLow4", 0, [2]int{4, -1}), table("packHigh4", 16, [2]int{4, -1}),
	}
	text("packAVX512", "func(dst *int32, dstStep int, rows *[5]*int32, units int)",
		"packAVX512 packs units (a multiple of five) of five rows: dst[5u+k] = 2·rows[k][u] for\n"+
			"u < 5; dst goes up by dstStep bytes and the rows by five weights for the next five units.")
	dst, step, rows, n := arg("dst"), arg("dstStep"), arg("rows"), arg("units")
	var p [5]reg.GPVirtual
	for k := range p {
		p[k] = GP64()
		MOVQ(at(rows, 8*k), p[k])
	}
	for i, m := range packTables {
		VMOVDQU32(m, z[16+i])
	}
	packMasks()
	off := GP64()
	XORQ(off, off)
	row := func(k, disp int) Mem { return Mem{Base: p[k], Index: off, Scale: 4, Disp: disp} }
	Label("block")
	for k := 0; k < 4; k += 2 {
		VMOVDQU32_Z(row(k, 0), kr[3], z[k])
		VMOVDQU32(row(k+1, -32), kr[4], z[k])
	}
	VMOVDQU32_Z(row(4, 0), kr[3], z[4])
	for i := range 2 {
		VMOVDQA32(z[16+i], z[6+i])
		VPERMI2D(z[2], z[0], z[6+i])
		VPERMD(z[4], z[18+i], kr[1+i], z[6+i])
		VPADDD(z[6+i], z[6+i], z[6+i])
	}
	VMOVDQU32(z[6], at(dst, 0))
	VMOVDQU32(z[7], kr[5], at(dst, 64))
	ADDQ(step, dst)
	ADDQ(Imm(5), off)
	CMPQ(off, n)
	JLT(LabelRef("block"))
	end()
}

// packBoth512 packs five rows of a layer in both directions.
func packBoth512() {
	// Two rows lie in one register, eight lanes each, and the fifth in one of
	// its own. Row by row, the first register takes rows 0 to 2 and a weight of
	// row 3, the second the others.
	var low, high [16]uint32
	for i := range uint32(25) {
		k, u := i/5, i%5
		if i < 16 {
			low[i] = 8*k + u
		} else {
			high[i-16] = 8*(k-2) + u
		}
	}
	lo, hi := constant32("packRowsLow", low), constant32("packRowsHigh", high)
	text("packBothAVX512", "func(up *int32, upStep int, down *int32, rows *[5]*int32, units int, sums *[48]int32)",
		"packBothAVX512 packs units (a multiple of five) of five rows for both directions: up as\n"+
			"packAVX512, and down[25·b + 5k+u] = 2·rows[k][5b+u] for u < 5. It writes minus the sums of row k to\n"+
			"the eight values from sums[8k] on, which are to be added up.")
	up, upStep, down := arg("up"), arg("upStep"), arg("down")
	rows, n, sums := arg("rows"), arg("units"), arg("sums")
	var p [5]reg.GPVirtual
	for k := range p {
		p[k] = GP64()
		MOVQ(at(rows, 8*k), p[k])
	}
	for i, m := range []Mem{packTables[0], packTables[1], packTables[2], packTables[3], lo, hi} {
		VMOVDQU32(m, z[16+i])
	}
	packMasks()
	for i := range 3 {
		VPXORD(z[24+i], z[24+i], z[24+i])
	}
	off := GP64()
	XORQ(off, off)
	row := func(k, disp int) Mem { return Mem{Base: p[k], Index: off, Scale: 4, Disp: disp} }
	Label("block")
	for k := 0; k < 4; k += 2 {
		VMOVDQU32_Z(row(k, 0), kr[3], z[k])
		VMOVDQU32(row(k+1, -32), kr[4], z[k])
	}
	VMOVDQU32_Z(row(4, 0), kr[3], z[4])
	for i := range 3 {
		VPSUBD(z[2*i], z[24+i], z[24+i])
		VPADDD(z[2*i], z[2*i], z[2*i])
	}
	for i := range 2 {
		VMOVDQA32(z[16+i], z[6+i])
		VPERMI2D(z[2], z[0], z[6+i])
		VPERMD(z[4], z[18+i], kr[1+i], z[6+i])
		VMOVDQA32(z[20+i], z[8+i])
	}
	VPERMI2D(z[2], z[0], z[8])
	VPERMI2D(z[4], z[2], z[9])
	// the next five rows go behind these, block by block
	PREFETCHT0(at(up, 136))
	PREFETCHT0(at(up, 199))
	VMOVDQU32(z[6], at(up, 0))
	VMOVDQU32(z[7], kr[5], at(up, 64))
	VMOVDQU32(z[8], at(down, 0))
	VMOVDQU32(z[9], kr[5], at(down, 64))
	ADDQ(upStep, up)
	ADDQ(U32(100), down)
	ADDQ(Imm(5), off)
	CMPQ(off, n)
	JLT(LabelRef("block"))
	for i := range 3 {
		VMOVDQU32(z[24+i], at(sums, 64*i))
	}
	end()
}

func packTransposed512() {
	text("packTransposedAVX512", "func(dst, src *int32, groups int) int32",
		"packTransposedAVX512 packs five consecutive weights for each group, dst[25g+k] = 2·src[5g+k],\n"+
			"and returns the sum of the weights.")
	dst, src, n := arg("dst"), arg("src"), arg("groups")
	mask(0x1f, kr[1])
	VPXORD(z[0], z[0], z[0])
	Label("group")
	VMOVDQU32_Z(at(src, 0), kr[1], reg.Y1)
	VPADDD(reg.Y1, reg.Y0, reg.Y0)
	VPADDD(reg.Y1, reg.Y1, reg.Y1)
	VMOVDQU32(reg.Y1, kr[1], at(dst, 0))
	ADDQ(Imm(20), src)
	ADDQ(Imm(100), dst)
	DECQ(n)
	JNZ(LabelRef("group"))
	VEXTRACTI128(Imm(1), reg.Y0, reg.X1)
	VPADDD(reg.X1, reg.X0, reg.X0)
	VPSHUFD(Imm(0x4E), reg.X0, reg.X1)
	VPADDD(reg.X1, reg.X0, reg.X0)
	VPSHUFD(Imm(0xB1), reg.X0, reg.X1)
	VPADDD(reg.X1, reg.X0, reg.X0)
	sum := GP32()
	VMOVD(reg.X0, sum)
	Store(sum, ReturnIndex(0))
	end()
}

// counts512 counts unequal bits (AVX512_VPOPCNTDQ).
func counts512() {
	text("oddAVX512", "func(dst *int32, stride int, a *uint64, aStride int, b *uint64, bStep int, words int, chains int32, columns uint64)",
		"oddAVX512 adds chains − 2·popcount(a xor b) to dst for four rows of a and 16 rows of b,\n"+
			"over a number of words: b[word][row] with bStep bytes between words. Strides are in bytes.")
	dst, stride, a, aStride := arg("dst"), arg("stride"), arg("a"), arg("aStride")
	b, bStep, n := arg("b"), arg("bStep"), arg("words")
	chains := Load(Param("chains"), GP32()).(reg.GPVirtual)
	VPBROADCASTD(chains, z[31])
	k := arg("columns")
	KMOVW(k.As32(), kr[1])
	for i := range 8 {
		VPXORD(z[i], z[i], z[i])
	}
	three := GP64()
	LEAQ(Mem{Base: aStride, Index: aStride, Scale: 2}, three)
	Label("word")
	rows := []Mem{at(a, 0), {Base: a, Index: aStride, Scale: 1}, {Base: a, Index: aStride, Scale: 2}, {Base: a, Index: three, Scale: 1}}
	VMOVDQU64(at(b, 0), z[8])
	VMOVDQU64(at(b, 64), z[9])
	for i, m := range rows {
		for j := range 2 {
			t := z[16+2*i+j]
			VPXORQ_BCST(m, z[8+j], t)
			VPOPCNTQ(t, t)
			VPADDQ(t, z[2*i+j], z[2*i+j])
		}
	}
	ADDQ(Imm(8), a)
	ADDQ(bStep, b)
	DECQ(n)
	JNZ(LabelRef("word"))
	for i := range rows {
		VPMOVQD(z[2*i], reg.Y16)
		VPMOVQD(z[2*i+1], reg.Y17)
		VINSERTI64X4(Imm(1), reg.Y17, z[16], z[16])
		VPADDD(z[16], z[16], z[16])
		VPSUBD(z[16], z[31], z[16])
		VMOVDQU32_Z(at(dst, 0), kr[1], z[17])
		VPADDD(z[17], z[16], z[16])
		VMOVDQU32(z[16], kr[1], at(dst, 0))
		if i < 3 {
			ADDQ(stride, dst)
		}
	}
	end()
}

func columnSums512() {
	text("columnSumsAVX512", "func(dst, src *int32, stride, rows int, columns uint64)",
		"columnSumsAVX512 subtracts the sums of up to 64 columns from dst; the bits of columns say\n"+
			"which. stride is in bytes.")
	dst, src, stride, n := arg("dst"), arg("src"), arg("stride"), arg("rows")
	k := arg("columns")
	for r := range 4 {
		KMOVW(k.As32(), kr[r+1])
		SHRQ(Imm(16), k)
		VMOVDQU32_Z(at(dst, 64*r), kr[r+1], z[r])
	}
	Label("row")
	for r := range 4 {
		VMOVDQU32_Z(at(src, 64*r), kr[r+1], z[4+r])
		VPSUBD(z[4+r], z[r], z[r])
	}
	ADDQ(stride, src)
	DECQ(n)
	JNZ(LabelRef("row"))
	for r := range 4 {
		VMOVDQU32(z[r], kr[r+1], at(dst, 64*r))
	}
	end()
}
