// Command roots writes the NEON path of package kernels/roots.
package main

import (
	"fmt"
	"math"

	. "kadanoff/kernels/_gen/neon"
)

var a = New()

func main() {
	table()
	newton()
	polish()
	a.Words("rootsConstants", constants...)
	a.Generate()
}

// vectors is how many registers of two problems go through every phase
// together: one alone would wait for its own divisions and exponential most of
// the time.
const vectors = 4

// The general registers. What phases use for a while comes after these.
const (
	args R = iota
	scratch
	consts // of the constants
	tmp
	outer // of loops over groups and steps
	free
)

// Vector registers are taken one after the other and given back at the end of
// a scope.
var taken V

func reg() V {
	if taken == 32 {
		panic("out of registers")
	}
	taken++
	return taken - 1
}

func regs() (r [vectors]V) {
	for u := range r {
		r[u] = reg()
	}
	return r
}

func scope(body func()) {
	was := taken
	body()
	taken = was
}

// each1 runs body for every vector, each in a scope.
func each1(body func(u int)) {
	for u := range vectors {
		scope(func() { body(u) })
	}
}

// constants are the 64-bit words that set loads, each twice.
var constants []uint64

// set loads a 64-bit constant into all lanes of r.
func set(r V, x uint64) {
	at := 0
	for ; at < len(constants) && constants[at] != x; at += 2 {
	}
	if at == len(constants) {
		constants = append(constants, x, x)
	}
	a.Load(r, consts, 8*at)
}

// bits is set of a new register, num of a float64.
func bits(x uint64) V {
	r := reg()
	set(r, x)
	return r
}

func num(x float64) V { return bits(math.Float64bits(x)) }

func zero() V {
	r := reg()
	a.Zero(r)
	return r
}

// repeated loads a word at p+off into all lanes.
func repeated(p R, off int) V {
	r := reg()
	if off == 0 {
		a.Repeat(D2, r, p)
		return r
	}
	a.I("ADD $%d, %s, %s", off, p, tmp)
	a.Repeat(D2, r, tmp)
	return r
}

func load(p R, off int) V {
	r := reg()
	a.Load(r, p, off)
	return r
}

// Arithmetic into a new register.
func op(name string, x, y V) V {
	r := reg()
	a.Op3(name, D2, r, x, y)
	return r
}

func mul(x, y V) V  { return op("fmul", x, y) }
func plus(x, y V) V { return op("fadd", x, y) }
func sub(x, y V) V  { return op("fsub", x, y) }
func div(x, y V) V  { return op("fdiv", x, y) }
func and(x, y V) V {
	r := reg()
	a.And(r, x, y)
	return r
}

// fma adds x·y to acc, fms subtracts it.
func fma(acc, x, y V) { a.Op3("fmla", D2, acc, x, y) }
func fms(acc, x, y V) { a.Op3("fmls", D2, acc, x, y) }

// sel returns x where mask is all ones, y elsewhere.
func sel(mask, x, y V) V {
	r := reg()
	a.Mov(r, mask)
	a.Op3("bsl", B16, r, x, y)
	return r
}

// anySet jumps to the label if some bit of the mask is set, with memory in it.
func anySet(mask V, label string) {
	a.Across("umaxv", S4, mask, mask)
	a.Umov(S4, tmp, mask, 0)
	a.I("CBNZ %s, %s", tmp, label)
}

// The shape of a table's row, as in table.go.
const (
	degree   = 13
	rowShift = 7 // log₂ of a row's bytes
)

func table() {
	a.Func("tableNEON", "func(w, k, rows []float64, first, count, shift uint64) int", "tableNEON is tableGeneric, two lanes at a time.")
	const w, k, n, rows, first, count, shift, i R = 4, 5, 6, 7, 8, 9, 10, 11
	a.Arg("w_base", w)
	a.Arg("k_base", k)
	a.Arg("k_len", n)
	a.Arg("rows_base", rows)
	a.Arg("first", first)
	a.Arg("count", count)
	a.Arg("shift", shift)
	a.Address("rootsConstants", consts)
	general := func(r R) V {
		v := reg()
		a.DupR(D2, v, r)
		return v
	}
	vFirst, vCount := general(first), general(count)
	a.I("NEG %s, %s", shift, shift)
	right := general(shift)
	a.I("ADD $52, %s", shift)
	left := general(shift)
	mantissa, one, half := bits(1<<52-1), num(1), num(1.5)
	r, s, idx := regs(), regs(), regs()
	a.I("MOVD ZR, %s", i)

	a.Label("loop")
	a.I("CMP %s, %s", n, i)
	a.I("BGE done")
	scope(func() {
		bad, other := zero(), zero()
		each1(func(u int) {
			x := load(k, 16*u)
			a.Op3("ushl", D2, idx[u], x, right)
			a.Op3("sub", D2, idx[u], idx[u], vFirst)
			a.Op3("ushl", D2, r[u], x, left)
			a.Op3("cmhs", D2, x, idx[u], vCount)
			a.Orr(bad, bad, x)
			a.And(r[u], r[u], mantissa)
			a.Orr(r[u], r[u], one)
			a.Op3("fsub", D2, r[u], r[u], half)
			a.Shift("shl", D2, idx[u], idx[u], rowShift)
		})
		anySet(bad, "done")
		scope(func() {
			x := reg()
			a.Dup(D2, bad, idx[0], 0)
			for u := range idx {
				a.Eor(x, bad, idx[u])
				a.Orr(other, other, x)
			}
		})
		anySet(other, "mixed")
	})
	// all lanes in one row
	scope(func() {
		a.Umov(D2, tmp, idx[0], 0)
		a.I("ADD %s, %s, %s", rows, tmp, tmp)
		from, to := s, regs()
		pair := reg()
		for d := degree; d >= 0; d-- {
			if d%2 == 1 {
				a.Load(pair, tmp, 8*(d-1))
			}
			for u := range to {
				a.Dup(D2, to[u], pair, d%2)
				if d < degree {
					fma(to[u], from[u], r[u])
				}
			}
			from, to = to, from
		}
		// an even number of steps: the result is in s
	})
	a.Label("store")
	scope(func() {
		bad := zero()
		each1(func(u int) {
			x := reg()
			a.Op2("fcmeq", D2, x, s[u])
			a.Orr(bad, bad, x)
		})
		anySet(bad, "done")
	})
	for u := 0; u < vectors; u += 2 {
		a.StorePair(s[u], s[u+1], w, 16*u)
	}
	a.I("ADD $64, %s", w)
	a.I("ADD $64, %s", k)
	a.I("ADD $8, %s", i)
	a.I("B loop")

	a.Label("mixed")
	each1(func(u int) {
		lane := [2]R{12, 13}
		for l, p := range lane {
			a.Umov(D2, p, idx[u], l)
			a.I("ADD %s, %s, %s", rows, p, p)
		}
		acc, c := [2]V{reg(), s[u]}, reg()
		for d := degree; d > 0; d -= 2 {
			scope(func() {
				x, y := load(lane[0], 8*(d-1)), load(lane[1], 8*(d-1))
				if d == degree {
					a.Perm("zip2", D2, acc[0], x, y)
				} else {
					a.Perm("zip2", D2, c, x, y)
					fma(c, acc[1], r[u])
					a.Mov(acc[0], c)
				}
				a.Perm("zip1", D2, acc[1], x, y)
				fma(acc[1], acc[0], r[u])
			})
		}
	})
	a.I("B store")

	a.Label("done")
	a.Return(i)
	a.End()
	taken = 0
}

var made int

// label makes a label of its own.
func label(s string) string {
	made++
	return fmt.Sprintf("%s%d", s, made)
}
