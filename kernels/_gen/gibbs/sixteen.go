package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sums16 adds the entries of tables half of which lie in memory, for chains so
// few that their vectors' sums stay in registers.
func sums16(first, second int) {
	const units = 2
	vectors := first + second
	name := fmt.Sprintf("sums16x%dAVX512", vectors)
	text(name, "func(acc, tables, fifths *int32, active *int32, groups int, index *uint32, accStep, indexStep int, start *int32)",
		fmt.Sprintf("%s adds, for two units and the first %d vectors of a word's chains", name, first)+
			map[bool]string{true: fmt.Sprintf(" and %d\n// of the next one's", second), false: ""}[second > 0]+
			", the sums of five inputs of groups to acc ([unit][64]), or to\n"+
			"the two values of start when it is not nil. tables has 16 sums of four inputs for both units of\n"+
			"each group, fifths the fifth input's; active are the numbers of the groups, index the indices of\n"+
			"one after the other. accStep and indexStep are the bytes from one word to the next.")
	acc, tables, fifths, active := arg("acc"), arg("tables"), arg("fifths"), arg("active")
	n, index := arg("groups"), arg("index")
	accStep, indexStep, start := arg("accStep"), arg("indexStep"), arg("start")
	sum := func(u, r int) reg.VecPhysical { return z[u*vectors+r] }
	low, high := z[units*vectors:][:units], z[units*vectors+units:][:units]
	tmp := z[units*vectors+2*units:]
	place := func(base, step reg.Register, u, r int) Mem {
		if r < first {
			return Mem{Base: base, Disp: 256*u + 64*r}
		}
		return Mem{Base: base, Index: step, Scale: 1, Disp: 256*u + 64*(r-first)}
	}
	TESTQ(start, start)
	JZ(LabelRef("load"))
	for u := range units {
		for r := range vectors {
			VPBROADCASTD(at(start, 4*u), sum(u, r))
		}
	}
	JMP(LabelRef("group"))
	Label("load")
	for u := range units {
		for r := range vectors {
			VMOVDQU32(place(acc, accStep, u, r), sum(u, r))
		}
	}
	g, t := GP64(), GP64()
	Label("group")
	MOVLQSX(at(active, 0), g)
	ADDQ(Imm(4), active)
	MOVQ(g, t)
	SHLQ(Imm(7), t)
	for u := range units {
		VMOVDQU32(Mem{Base: tables, Index: t, Scale: 1, Disp: 64 * u}, low[u])
		VPADDD_BCST(Mem{Base: fifths, Index: g, Scale: 8, Disp: 4 * u}, low[u], high[u])
	}
	next := 0
	for r := 0; r < vectors; r += 2 {
		var got [2 * units]reg.VecPhysical
		m := min(2, vectors-r)
		for i := range m {
			for u := range units {
				x := tmp[next%len(tmp)]
				next++
				got[i*units+u] = x
				if u == 0 {
					VMOVDQU32(place(index, indexStep, 0, r+i), x)
				} else {
					VMOVDQA32(got[i*units], x)
				}
			}
		}
		for i := range m {
			for u := units - 1; u >= 0; u-- {
				VPERMI2D(high[u], low[u], got[i*units+u])
			}
		}
		for i := range m {
			for u := range units {
				VPADDD(got[i*units+u], sum(u, r+i), sum(u, r+i))
			}
		}
	}
	ADDQ(U32(256), index)
	DECQ(n)
	JNZ(LabelRef("group"))
	for u := range units {
		for r := range vectors {
			VMOVDQU32(sum(u, r), place(acc, accStep, u, r))
		}
	}
	end()
}
