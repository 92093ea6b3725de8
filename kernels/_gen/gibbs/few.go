package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The path for inputs of which few are up. A table has the three sums of a
// pair of inputs over which at least one is up, a row of 16 units each; a
// chain's list names the rows that it adds.

const (
	fewRow  = 64         // bytes of a row: 16 units
	fewPair = 3 * fewRow // of the rows of a pair

	fewAhead = 3 // lines that are fetched with every list
)

// transpose16x16 transposes the 16 registers of v; t is free to be used. Lane l
// of v comes out as the register out[l].
func transpose16x16(v, t [16]reg.VecPhysical) (out [16]reg.VecPhysical) {
	for i := 0; i < 16; i += 2 {
		VPUNPCKLDQ(v[i+1], v[i], t[i])
		VPUNPCKHDQ(v[i+1], v[i], t[i+1])
	}
	for i := 0; i < 16; i += 4 {
		VPUNPCKLQDQ(t[i+2], t[i], v[i])
		VPUNPCKHQDQ(t[i+2], t[i], v[i+1])
		VPUNPCKLQDQ(t[i+3], t[i+1], v[i+2])
		VPUNPCKHQDQ(t[i+3], t[i+1], v[i+3])
	}
	for j := range 4 {
		a, b, c, d := t[4*j], t[4*j+1], t[4*j+2], t[4*j+3]
		VSHUFI32X4(Imm(0x44), v[4+j], v[j], a)
		VSHUFI32X4(Imm(0xEE), v[4+j], v[j], b)
		VSHUFI32X4(Imm(0x44), v[12+j], v[8+j], c)
		VSHUFI32X4(Imm(0xEE), v[12+j], v[8+j], d)
		VSHUFI32X4(Imm(0x88), c, a, v[j])
		VSHUFI32X4(Imm(0xDD), c, a, v[4+j])
		VSHUFI32X4(Imm(0x88), d, b, v[8+j])
		VSHUFI32X4(Imm(0xDD), d, b, v[12+j])
		for l := range 4 {
			out[4*l+j] = v[4*l+j]
		}
	}
	return out
}

func halves() (v, t [16]reg.VecPhysical) {
	copy(v[:], z[:16])
	copy(t[:], z[16:])
	return v, t
}

// fewLists writes the lists of chains.
func fewLists() {
	bit := func(name string, x uint64) Mem {
		m := GLOBL(name, RODATA|NOPTR)
		DATA(0, U64(x))
		return m
	}
	firsts, seconds := bit("firstOfPair", 0x5555555555555555), bit("secondOfPair", 0xaaaaaaaaaaaaaaaa)
	text("fewListsAVX512", "func(end *[2]uintptr, bits *uint64, step int, slots *[32]uint16, masks *uint64, words, chains int, to, toStep uint32, all int)",
		"fewListsAVX512 makes the lists of chains. The spins of a chain are words of bits, step bytes\n"+
			"from one chain to the next; with x = bits[w] & masks[w], each pair of bits of x that is not zero\n"+
			"gives slots[w][pair] + 64·pair, and zeros fill the last four. end[0] is where lists are written and\n"+
			"end[1] where heads are, to + 2³²·fours of the list, with to going up by toStep from one chain to\n"+
			"the next; a chain with no list has no head unless all is 1. Both ends are moved. 64 bytes behind\n"+
			"the lists are overwritten.")
	// parameters that are needed once a chain stay in memory
	end0, bits, masks := arg("end"), arg("bits"), arg("masks")
	words, chains := arg("words"), arg("chains")
	to := Load(Param("to"), GP32()).(reg.GPVirtual)
	list, head := GP64(), GP64()
	MOVQ(at(end0, 0), list)
	MOVQ(at(end0, 8), head)
	for i, x := range []uint32{fewRow, 2 * fewRow} {
		g := GP32()
		MOVL(U32(x), g)
		VPBROADCASTW(g, z[1+i])
	}
	VPXORQ(z[3], z[3], z[3])
	w, p, slot := GP64(), GP64(), GP64()
	Label("chain")
	MOVQ(list, p)
	XORQ(w, w)
	Load(Param("slots"), slot)
	Label("word")
	x, y := GP64(), GP64()
	MOVQ(Mem{Base: masks, Index: w, Scale: 8}, x)
	ANDQ(Mem{Base: bits, Index: w, Scale: 8}, x)
	PEXTQ(seconds, x, y)
	PEXTQ(firsts, x, x)
	KMOVD(x.As32(), kr[1])
	KMOVD(y.As32(), kr[2])
	KORD(kr[1], kr[2], kr[3])
	ORQ(y, x)
	VMOVDQU16(at(slot, 0), z[0])
	VPADDW(z[1], z[0], kr[1], z[0])
	VPADDW(z[2], z[0], kr[2], z[0])
	VPCOMPRESSW_Z(z[0], kr[3], z[0])
	VMOVDQU16(z[0], at(p, 0))
	POPCNTQ(x, x)
	LEAQ(Mem{Base: p, Index: x, Scale: 2}, p)
	ADDQ(Imm(64), slot)
	INCQ(w)
	CMPQ(w, words)
	JLT(LabelRef("word"))
	VMOVDQU64(z[3], at(p, 0))
	SUBQ(list, p)
	ADDQ(Imm(7), p)
	SHRQ(Imm(3), p)
	MOVL(to, at(head, 0))
	MOVL(p.As32(), at(head, 4))
	LEAQ(Mem{Base: list, Index: p, Scale: 8}, list)
	// the head stays where there is a list
	q := arg("all")
	ORQ(p, q)
	NEGQ(q)
	SBBQ(q, q) // −1 unless it was zero
	ANDQ(Imm(8), q)
	ADDQ(q, head)
	toStep := Load(Param("toStep"), GP32()).(reg.GPVirtual)
	ADDL(toStep, to)
	ADDQ(arg("step"), bits)
	DECQ(chains)
	JNZ(LabelRef("chain"))
	MOVQ(list, at(end0, 0))
	MOVQ(head, at(end0, 8))
	end()
}

// fewTables makes the rows of pairs of inputs.
func fewTables() {
	text("fewTablesAVX512", "func(table, w *int32, pairs *[2]int32, n int)",
		"fewTablesAVX512 writes three rows of 16 for each pair of inputs, whose weights are pairs[k][0]\n"+
			"and pairs[k][1] bytes from w: those of the first, of the second, and their sum.")
	table, w, pairs, n := arg("table"), arg("w"), arg("pairs"), arg("n")
	a, b := GP64(), GP64()
	Label("pair")
	MOVLQSX(at(pairs, 0), a)
	MOVLQSX(at(pairs, 4), b)
	VMOVDQU32(Mem{Base: w, Index: a, Scale: 1}, z[0])
	VMOVDQU32(Mem{Base: w, Index: b, Scale: 1}, z[1])
	VPADDD(z[0], z[1], z[2])
	VMOVDQA32(z[0], at(table, 0))
	VMOVDQA32(z[1], at(table, fewRow))
	VMOVDQA32(z[2], at(table, 2*fewRow))
	ADDQ(U32(fewPair), table)
	ADDQ(Imm(8), pairs)
	DECQ(n)
	JNZ(LabelRef("pair"))
	end()
}

// fewSums adds rows of a table.
func fewSums() {
	text("fewSumsAVX512", "func(dst *int32, table, list *uint16, heads *uint64, n int, start, ahead *int32)",
		"fewSumsAVX512 adds rows to the sums of n lists: with heads[k] = to + 2³²·fours, the 16 values that\n"+
			"lie to bytes from dst, or those of start where it is not nil, plus the rows that lie as many bytes\n"+
			"from table as the next 4·fours values of list say. Without start, fours is not zero. Three lines\n"+
			"from ahead on are fetched into L2 with every list.")
	dst, table, list, heads, n := arg("dst"), arg("table"), arg("list"), arg("heads"), arg("n")
	start, ahead := arg("start"), arg("ahead")
	to, fours := GP64(), GP64()
	x := GP64()
	r := []reg.GPVirtual{GP64(), GP64(), GP64()}
	four := func() {
		MOVQ(at(list, 0), x)
		ADDQ(Imm(8), list)
		MOVWLZX(x.As16(), r[0].As32())
		VPADDD(Mem{Base: table, Index: r[0], Scale: 1}, z[0], z[0])
		MOVQ(x, r[1])
		SHRQ(Imm(16), r[1])
		MOVWLZX(r[1].As16(), r[1].As32())
		VPADDD(Mem{Base: table, Index: r[1], Scale: 1}, z[1], z[1])
		MOVQ(x, r[2])
		SHRQ(Imm(32), r[2])
		MOVWLZX(r[2].As16(), r[2].As32())
		VPADDD(Mem{Base: table, Index: r[2], Scale: 1}, z[0], z[0])
		SHRQ(Imm(48), x)
		VPADDD(Mem{Base: table, Index: x, Scale: 1}, z[1], z[1])
	}
	TESTQ(start, start)
	JZ(LabelRef("more"))
	VMOVDQU32(at(start, 0), z[2])
	for _, fresh := range []bool{true, false} {
		name := map[bool]string{true: "fresh", false: "more"}[fresh]
		Label(name)
		MOVL(at(heads, 0), to.As32())
		MOVL(at(heads, 4), fours.As32())
		ADDQ(Imm(8), heads)
		for i := range fewAhead {
			PREFETCHT1(at(ahead, 64*i))
		}
		ADDQ(Imm(64*fewAhead), ahead)
		VPXORD(z[1], z[1], z[1])
		if fresh {
			VMOVDQA32(z[2], z[0])
			TESTQ(fours, fours)
			JZ(LabelRef(name + "Done"))
		} else {
			VMOVDQU32(Mem{Base: dst, Index: to, Scale: 1}, z[0])
		}
		Label(name + "Four")
		four()
		DECQ(fours)
		JNZ(LabelRef(name + "Four"))
		Label(name + "Done")
		VPADDD(z[1], z[0], z[0])
		VMOVDQU32(z[0], Mem{Base: dst, Index: to, Scale: 1})
		DECQ(n)
		JNZ(LabelRef(name))
		end()
	}
}

// fewOrder takes sums in rows of units to fields of units in vectors of chains.
func fewOrder() {
	text("fewOrderAVX512", "func(acc, sums *int32, words, step int)",
		"fewOrderAVX512 takes sums[chain][16] of words times 64 chains to acc[unit][64] in the order A0,\n"+
			"B0, A1, B1; acc goes up by step bytes a word.")
	acc, sums, words, step := arg("acc"), arg("sums"), arg("words"), arg("step")
	Label("word")
	for r, first := range []int{0, 4, 32, 36} {
		v, t := halves()
		for i := range v {
			VMOVDQA32(at(sums, fewRow*(first+i/4*8+i%4)), v[i])
		}
		out := transpose16x16(v, t)
		for i, x := range out {
			VMOVDQA32(x, at(acc, 256*i+64*r))
		}
	}
	ADDQ(U32(64*fewRow), sums)
	ADDQ(step, acc)
	DECQ(words)
	JNZ(LabelRef("word"))
	end()
}

// fewMeans makes the rows of pairs of chains.
func fewMeans() {
	text("fewMeansAVX512", "func(table, m *int32, stride, units, chains int, signs, total *int32)",
		"fewMeansAVX512 makes tables of the means of 16 units, those beyond units being zero: with\n"+
			"x_ac = m[a·stride/4 + c]·(1 or −1 where signs[c] is 0 or −1) it writes, for each pair of chains, three\n"+
			"rows, 2x of the first, of the second, and their sum, and −Σ_c x_ac to total. Tables are written in\n"+
			"eights of pairs.")
	table, m, stride, units, chains := arg("table"), arg("m"), arg("stride"), arg("units"), arg("chains")
	signs, total := arg("signs"), arg("total")
	VPXORD(z[0], z[0], z[0])
	VMOVDQU32(z[0], at(total, 0))
	Label("chains")
	ones := GP64()
	MOVQ(I32(-1), ones)
	BZHIQ(chains, ones, ones)
	CMPQ(chains, Imm(16))
	JLT(LabelRef("few"))
	MOVQ(I32(-1), ones)
	Label("few")
	KMOVW(ones.As32(), kr[1])
	v, t := halves()
	VMOVDQU32_Z(at(signs, 0), kr[1], t[0])
	row := GP64()
	MOVQ(m, row)
	for i := range v {
		VPXORD(v[i], v[i], v[i])
	}
	for i := range v {
		CMPQ(units, Imm(uint64(i)))
		JLE(LabelRef("loaded"))
		VMOVDQU32_Z(at(row, 0), kr[1], v[i])
		VPXORD(t[0], v[i], v[i])
		VPSUBD(t[0], v[i], v[i])
		ADDQ(stride, row)
	}
	Label("loaded")
	out := transpose16x16(v, t)
	VMOVDQU32(at(total, 0), t[0])
	for _, x := range out {
		VPSUBD(x, t[0], t[0])
	}
	VMOVDQU32(t[0], at(total, 0))
	for i := range out {
		VPADDD(out[i], out[i], out[i])
	}
	for i := 0; i < 16; i += 2 {
		VPADDD(out[i], out[i+1], t[1])
		VMOVDQA32(out[i], at(table, i/2*fewPair))
		VMOVDQA32(out[i+1], at(table, i/2*fewPair+fewRow))
		VMOVDQA32(t[1], at(table, i/2*fewPair+2*fewRow))
	}
	ADDQ(U32(8*fewPair), table)
	ADDQ(Imm(64), m)
	ADDQ(Imm(64), signs)
	SUBQ(Imm(16), chains)
	JG(LabelRef("chains"))
	end()
}

// fewPack packs 16 rows of a layer in both directions.
func fewPack() {
	text("fewPackAVX512", "func(up *int32, upStep int, down, src *int32, stride, units int, rows, columns *int32)",
		"fewPackAVX512 packs 16 rows of units weights, stride bytes apart: up[k][a mod 16] = 2·src[k][a], up\n"+
			"going up by upStep bytes with every 16 units, and down[a][k] the same, with zeros for units from the\n"+
			"last up to a multiple of 16. rows[k] −= Σ_a src[k][a] and columns[a] −= Σ_k src[k][a].")
	up, upStep, down, src := arg("up"), arg("upStep"), arg("down"), arg("src")
	stride, units, rows, columns := arg("stride"), arg("units"), arg("rows"), arg("columns")
	ones, row := GP64(), GP64()
	Label("units")
	MOVQ(I32(-1), ones)
	CMPQ(units, Imm(16))
	JGE(LabelRef("whole"))
	BZHIQ(units, ones, ones)
	Label("whole")
	KMOVW(ones.As32(), kr[1])
	v, t := halves()
	MOVQ(src, row)
	for i := range v {
		VMOVDQU32_Z(at(row, 0), kr[1], v[i])
		if i < 15 {
			ADDQ(stride, row)
		}
	}
	VMOVDQU32_Z(at(columns, 0), kr[1], t[0])
	for i, x := range v {
		VPSUBD(x, t[0], t[0])
		VPADDD(x, x, t[1+i%2])
		VMOVDQU32(t[1+i%2], at(up, fewRow*i))
	}
	VMOVDQU32(t[0], kr[1], at(columns, 0))
	out := transpose16x16(v, t)
	VMOVDQU32(at(rows, 0), t[0])
	for i, x := range out {
		VPSUBD(x, t[0], t[0])
		VPADDD(x, x, t[1+i%2])
		VMOVDQU32(t[1+i%2], at(down, fewRow*i))
	}
	VMOVDQU32(t[0], at(rows, 0))
	ADDQ(upStep, up)
	ADDQ(U32(16*fewRow), down)
	ADDQ(Imm(64), src)
	ADDQ(Imm(64), columns)
	SUBQ(Imm(16), units)
	JG(LabelRef("units"))
	end()
}
