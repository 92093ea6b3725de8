package main

import (
	"math"

	. "kadanoff/kernels/_gen/neon"
)

// Offsets of the fields of vectorArgs in kernels/roots/vector.go.
const (
	argW = 8 * iota
	argSlope
	argWeight
	argLow
	argScratch
	argTable
	argGuess
	argStride
	argLowStride
	argGroups
	argHalf
	argN
	argTop
	argOddMask
	argOneIfEven
	argM2
	argN64
	argMean0
	argStates
	argInvStates
	argLimit
)

// Fields of a row of Size.table, one row for each j.
const (
	rowCount = 8 * iota
	rowTwoV
	rowV2
	rowTwoJ
	rowExcess
	rowCountLow
	_
	_
	tableRow
)

// Slots of the scratch memory, each of all vectors, before the records.
const (
	slotW = iota
	slotLo
	slotHi
	slotSlope
	slotActive
	slotOrdinary
	slotTotal
	slotX
	slotD1
	slotXo // x for odd M, 1 for even
	slotD1o
	slotI0
	slotI1
	slotTm
	slotC0
	slotR
	slotSa
	slotSad
	slotSp
	slotSb
	slotSbd
	slotMean
	slots
)

// Fields of a record of the scratch memory, one for each k = 0 … h, each of
// all vectors.
const (
	recX  = iota // x^k
	recD         // 1 − x^k
	recP         // p of j = k, then D of j = k in polish
	recEI        // e/(1+e)
	recI         // 1/(1+e)
	recFields
)

const (
	group   = 16 * vectors // bytes of a slot
	recSize = recFields * group
)

func slot(i, u int) V               { return load(scratch, i*group+16*u) }
func put(x V, i, u int)             { a.Store(x, scratch, i*group+16*u) }
func rec(p R, field, u int) V       { return load(p, field*group+16*u) }
func putRec(x V, p R, field, u int) { a.Store(x, p, field*group+16*u) }
func arg(off int) V                 { return repeated(args, off) }
func argument(off int, r R)         { a.I("MOVD %d(%s), %s", off, args, r) }

// first makes p the record of k = 0.
func first(p R) { a.I("ADD $%d, %s, %s", slots*group, scratch, p) }

// record makes p the record of k = h − back.
func record(p R, back int) {
	argument(argHalf, p)
	if back > 0 {
		a.I("SUB $%d, %s", back, p)
	}
	a.I("MOVD $%d, %s", recSize, tmp)
	a.I("MUL %s, %s, %s", tmp, p, p)
	a.I("ADD %s, %s", scratch, p)
	a.I("ADD $%d, %s", slots*group, p)
}

// expm1 is fmath.ExpComplement: e^x and 1 − e^x, in x and another register.
func expm1(x V) (e, oneMinus V) {
	oneMinus = reg()
	scope(func() {
		n := num(-700)
		a.Op3("fmaxnm", D2, x, x, n)
		scope(func() { a.Op3("fmul", D2, n, x, num(math.Log2E)) })
		a.Op2("frintn", D2, n, n)
		scope(func() {
			fms(x, n, num(6.93147180369123816490e-01))
			fms(x, n, num(1.90821492927058770002e-10))
		})
		fact := 1.0
		var coef []float64
		for k := 2; k <= 13; k++ {
			fact *= float64(k)
			coef = append(coef, 1/fact)
		}
		s, t := num(coef[11]), reg()
		for k := 10; k >= 0; k-- {
			set(t, math.Float64bits(coef[k]))
			fma(t, s, x)
			s, t = t, s
		}
		a.Op3("fmul", D2, t, x, x)
		fma(x, t, s) // p
		// 2ⁿ: n lands in the low bits of a large number, the exponent's offset with it.
		scope(func() { a.Op3("fadd", D2, n, n, num(0x1.8p52+1023)) })
		a.Shift("shl", D2, n, n, 52)
		scope(func() { a.Op3("fsub", D2, oneMinus, num(1), n) })
		fms(oneMinus, n, x)
		fma(n, n, x)
		a.Mov(x, n)
	})
	return x, oneMinus
}

// pow raises the numbers to the power N in place.
func pow(r [vectors]V, n, bit R, step func(r, x V, bit bool)) {
	scope(func() {
		base := regs()
		for u := range r {
			a.Mov(base[u], r[u])
		}
		argument(argN, n)
		argument(argTop, bit)
		loop, end := label("pow"), label("powEnd")
		a.Label(loop)
		a.I("LSR $1, %s, %s", bit, bit)
		a.I("CBZ %s, %s", bit, end)
		for u := range r {
			step(r[u], base[u], false)
		}
		a.I("TST %s, %s", bit, n)
		a.I("BEQ %s", loop)
		for u := range r {
			step(r[u], base[u], true)
		}
		a.I("B %s", loop)
		a.Label(end)
	})
}

func mulStep(r, x V, bit bool) {
	if bit {
		a.Op3("fmul", D2, r, r, x)
	} else {
		a.Op3("fmul", D2, r, r, r)
	}
}

// The general registers of each, and two of pow.
const (
	cp      = free + iota // record of j
	cq                    // record of h−j
	cRow                  // constants of j
	cWeight               // weights of j
	cN
	powN
	powBit
	stride
	cLow
	lowStride
)

// each runs body for j = 1 … h.
func each(name string, body func()) {
	first(cp)
	a.I("ADD $%d, %s", recSize, cp)
	argument(argTable, cRow)
	a.I("ADD $%d, %s", tableRow, cRow)
	record(cq, 1)
	argument(argStride, stride)
	argument(argWeight, cWeight)
	a.I("ADD %s, %s", stride, cWeight)
	argument(argHalf, cN)
	loop := label(name)
	a.Label(loop)
	body()
	a.I("ADD $%d, %s", recSize, cp)
	a.I("SUB $%d, %s", recSize, cq)
	a.I("ADD $%d, %s", tableRow, cRow)
	a.I("ADD %s, %s", stride, cWeight)
	a.Down(cN, 1, loop)
}

// oddSlots stores what odd M multiplies with: x and 1 − x, or 1 and 0.
func oddSlots(x, d1 V, u int) {
	odd, even := arg(argOddMask), arg(argOneIfEven)
	t := and(x, odd)
	a.Orr(t, t, even)
	put(t, slotXo, u)
	put(and(d1, odd), slotD1o, u)
}

// powers fills slots and records from slotW as Size.eval begins: everything
// but the sums, and without p if full is false.
func powers(full bool) {
	each1(func(u int) {
		x, d1 := expm1(mul(slot(slotW, u), num(-2)))
		put(x, slotX, u)
		put(d1, slotD1, u)
		oddSlots(x, d1, u)
	})
	scope(func() {
		x, d := regs(), regs()
		scope(func() {
			one := num(1)
			first(cp)
			for u := range vectors {
				a.Mov(x[u], one)
				a.Zero(d[u])
				putRec(x[u], cp, recX, u)
				putRec(d[u], cp, recD, u)
			}
		})
		scope(func() {
			var x1, d1 [vectors]V
			for u := range vectors {
				x1[u], d1[u] = slot(slotX, u), slot(slotD1, u)
			}
			each("powers", func() {
				for u := range vectors {
					fma(d[u], x[u], d1[u])
					a.Op3("fmul", D2, x[u], x[u], x1[u])
					putRec(x[u], cp, recX, u)
					putRec(d[u], cp, recD, u)
				}
			})
		})
		// x and d are those of h now.
		record(cq, 1)
		each1(func(u int) {
			e0, xo := mul(x[u], x[u]), slot(slotXo, u)
			fma(d[u], x[u], d[u]) // 1 − x^{2h}
			fma(d[u], e0, slot(slotD1o, u))
			a.Op3("fmul", D2, e0, e0, xo)
			e1 := rec(cq, recX, u)
			a.Op3("fmul", D2, e1, e1, e1)
			a.Op3("fmul", D2, e1, e1, xo)
			one := num(1)
			i0, p1 := div(one, plus(e0, one)), plus(e1, one)
			put(i0, slotI0, u)
			put(div(one, p1), slotI1, u)
			put(mul(d[u], i0), slotTm, u)
			put(mul(mul(mul(e0, i0), i0), arg(argM2)), slotC0, u)
			put(mul(p1, i0), slotR, u)
		})
	})
	each("terms", func() {
		scope(func() {
			r := regs()
			if full {
				a.I("SUB $%d, %s, %s", recSize, cp, powN)
			}
			one := num(1)
			each1(func(u int) {
				e := rec(cq, recX, u)
				a.Op3("fmul", D2, e, e, e)
				a.Op3("fmul", D2, e, e, slot(slotXo, u))
				p1 := plus(e, one)
				i := div(one, p1)
				putRec(i, cp, recI, u)
				putRec(mul(e, i), cp, recEI, u)
				if full {
					a.Op3("fmul", D2, r[u], mul(rec(powN, recX, u), p1), slot(slotI1, u))
				}
			})
			if full {
				pow(r, powN, powBit, mulStep)
				count := repeated(cRow, rowCount)
				for u := range vectors {
					a.Op3("fmul", D2, r[u], r[u], count)
					putRec(r[u], cp, recP, u)
				}
			}
		})
	})
}

// term is D of the record at cp; twoV and twoJ are those of its row.
func term(u int, twoV, twoJ V) V {
	d := slot(slotTm, u)
	scope(func() {
		n := rec(cp, recD, u)
		fma(n, rec(cp, recX, u), n)
		a.Op3("fmul", D2, n, n, slot(slotI0, u))
		t := mul(twoV, rec(cp, recEI, u))
		a.Op3("fmul", D2, d, twoJ, d)
		fma(d, t, n)
	})
	return d
}

// eval is Size.eval: the sums go to their slots.
func eval() {
	powers(true)
	scope(func() {
		sa, sad, sp, sb, sbd := regs(), regs(), regs(), regs(), regs()
		all := [][vectors]V{sa, sad, sp, sb, sbd}
		for _, s := range all {
			for _, r := range s {
				a.Zero(r)
			}
		}
		hidden, four := arg(argN64), num(4)
		each("sums", func() {
			scope(func() {
				twoV, twoJ, v2 := repeated(cRow, rowTwoV), repeated(cRow, rowTwoJ), repeated(cRow, rowV2)
				each1(func(u int) {
					d := term(u, twoV, twoJ)
					dp := slot(slotC0, u)
					scope(func() {
						t := rec(cp, recEI, u)
						a.Op3("fmul", D2, t, t, rec(cp, recI, u))
						fms(dp, v2, t)
					})
					a.Op3("fmul", D2, dp, dp, four)
					scope(func() {
						q := load(cWeight, 16*u)
						fma(sa[u], q, d)
						fma(sad[u], q, dp)
					})
					p := rec(cp, recP, u)
					a.Op3("fadd", D2, sp[u], sp[u], p)
					fma(sb[u], p, d)
					fms(dp, mul(hidden, d), d)
					fma(sbd[u], p, dp)
				})
			})
		})
		for i, s := range all {
			for u, r := range s {
				put(r, slotSa+i, u)
			}
		}
	})
}

// begin begins a function over the groups of its arguments.
func begin(name, doc string) {
	a.Func(name, "func(a *byte)", doc)
	a.Arg("a", args)
	argument(argScratch, scratch)
	a.Address("rootsConstants", consts)
	a.Label("group")
}

// finish moves on to the next group and closes the function.
func finish() {
	a.Label("end")
	for _, off := range []int{argW, argSlope, argWeight, argLow} {
		argument(off, tmp)
		a.I("ADD $%d, %s", group, tmp)
		a.I("MOVD %s, %d(%s)", tmp, off, args)
	}
	argument(argGroups, tmp)
	a.I("SUB $1, %s", tmp)
	a.I("MOVD %s, %d(%s)", tmp, argGroups, args)
	a.I("CBNZ %s, group", tmp)
	a.End()
}

func newton() {
	begin("newtonNEON", "newtonNEON is Size.newton for whole groups of eight; a is a vectorArgs.")
	start()
	a.I("MOVD $24, %s", outer) // maxNewton
	a.Label("step")
	eval()
	scope(func() {
		left, r := zero(), regs()
		each1(func(u int) { a.Op3("fmul", D2, r[u], slot(slotX, u), slot(slotR, u)) })
		pow(r, powN, powBit, mulStep)
		each1(func(u int) {
			f, d := reg(), reg()
			scope(func() {
				p := num(2)
				fma(p, r[u], slot(slotSp, u))
				sa, sb := slot(slotSa, u), slot(slotSb, u)
				ub := mul(r[u], sb)
				x, y := mul(sa, p), mul(ub, slot(slotTotal, u))
				ratio := div(sub(x, y), plus(x, y))
				a2 := mul(ratio, ratio)
				c1, c2 := num(2.0/3), num(2)
				fma(c1, a2, num(2.0/5))
				fma(c2, a2, c1)
				a.Op3("fmul", D2, f, ratio, c2)
				a.Op3("fsub", D2, d, div(slot(slotSad, u), sa), div(slot(slotSbd, u), sb))
				fms(d, arg(argN64), div(ub, p))
			})
			w, active := slot(slotW, u), slot(slotActive, u)
			scope(func() { put(sel(active, d, slot(slotSlope, u)), slotSlope, u) })
			below := reg()
			a.Op2("fcmlt", D2, below, f)
			lo, hi := sel(below, w, slot(slotLo, u)), sel(below, slot(slotHi, u), w)
			put(lo, slotLo, u)
			put(hi, slotHi, u)
			next := sub(w, div(f, d))
			in := and(op("fcmge", next, lo), op("fcmge", hi, next))
			mid := mul(sub(hi, lo), num(0.5))
			a.Op3("fadd", D2, mid, mid, lo)
			a.Op3("fminnm", D2, mid, mid, plus(w, w))
			next = sel(in, next, mid)
			size := sub(next, w)
			a.Op2("fabs", D2, size, size)
			done := op("fcmge", mul(w, num(0x1p-24)), size)
			put(sel(active, next, w), slotW, u)
			a.Bic(active, active, done)
			put(active, slotActive, u)
			a.Orr(left, left, active)
		})
		a.I("SUBS $1, %s, %s", outer, outer)
		a.I("BEQ out")
		anySet(left, "step")
	})
	a.Label("out")
	argument(argW, cp)
	argument(argSlope, cq)
	each1(func(u int) {
		ok := slot(slotOrdinary, u)
		a.Bic(ok, ok, slot(slotActive, u))
		w := and(slot(slotW, u), ok)
		a.Store(w, cp, 16*u)
		a.Store(mul(and(slot(slotSlope, u), ok), w), cq, 16*u)
	})
	finish()
}

// start looks at the weights, sets slotTotal and the masks, and starts.
func start() {
	argument(argWeight, cWeight)
	argument(argTable, cRow)
	argument(argStride, stride)
	scope(func() {
		total, deficit, excess, least := regs(), regs(), regs(), regs()
		for u := range vectors {
			a.Zero(total[u])
			a.Zero(deficit[u])
			a.Zero(excess[u])
			a.Load(least[u], cWeight, 16*u)
		}
		argument(argHalf, cN)
		a.I("ADD $1, %s", cN)
		a.Label("moments")
		scope(func() {
			twoJ, row := repeated(cRow, rowTwoJ), repeated(cRow, rowExcess)
			each1(func(u int) {
				q := load(cWeight, 16*u)
				a.Op3("fadd", D2, total[u], total[u], q)
				fma(deficit[u], q, twoJ)
				fma(excess[u], q, row)
				a.Op3("fmin", D2, least[u], least[u], q)
			})
		})
		a.I("ADD %s, %s", stride, cWeight)
		a.I("ADD $%d, %s", tableRow, cRow)
		a.Down(cN, 1, "moments")
		argument(argGuess, cp)
		each1(func(u int) {
			ok := reg()
			a.Op2("fcmge", D2, ok, least[u])
			also := func(mask V) { a.And(ok, ok, mask) }
			scope(func() {
				also(op("fcmge", total[u], num(0x1p-400)))
				also(op("fcmge", num(0x1p400), total[u]))
				also(op("fcmge", deficit[u], mul(total[u], num(0x1p-400))))
			})
			a.Op2("fcmgt", D2, excess[u], excess[u])
			also(excess[u])
			put(ok, slotOrdinary, u)
			put(ok, slotActive, u)
			put(total[u], slotTotal, u)
			y := reg()
			a.Op2("fneg", D2, y, deficit[u])
			scope(func() { fma(y, arg(argMean0), total[u]) })
			a.Op3("fdiv", D2, y, y, deficit[u])
			// numbers in the range of the table, whatever the weights are
			scope(func() { a.Op3("fmaxnm", D2, y, y, num(0x1p-20)) })
			scope(func() { a.Op3("fminnm", D2, y, y, num(0x1.fffffffffffffp63)) })
			idx := reg()
			a.Shift("ushr", D2, idx, y, 48)
			scope(func() { a.Op3("sub", D2, idx, idx, bits((1023-20)<<4)) })
			// a row is y₀, w₀, dw and nothing
			var row [2][2]V
			for l, p := range []R{cq, cRow} {
				a.Umov(D2, p, idx, l)
				a.I("ADD %s<<5, %s, %s", p, cp, p)
				row[l] = [2]V{load(p, 0), load(p, 16)}
			}
			y0, w0 := reg(), reg()
			a.Perm("zip1", D2, y0, row[0][0], row[1][0])
			a.Perm("zip2", D2, w0, row[0][0], row[1][0])
			a.Perm("zip1", D2, idx, row[0][1], row[1][1])
			a.Op3("fsub", D2, y, y, y0)
			fma(w0, y, idx)
			scope(func() { put(sel(ok, w0, num(1)), slotW, u) })
			scope(func() { put(num(math.Inf(1)), slotHi, u) })
			none := zero()
			put(none, slotLo, u)
			put(none, slotSlope, u)
		})
	})
}

func polish() {
	begin("polishNEON", "polishNEON is Size.polish for whole groups of eight, in the lanes whose slope asks for it; a is a vectorArgs.")
	argument(argW, cp)
	argument(argSlope, cq)
	scope(func() {
		left := zero()
		each1(func(u int) {
			s := load(cq, 16*u)
			some := and(op("fcmge", s, num(1e-6)), op("fcmgt", arg(argLimit), s))
			put(some, slotActive, u)
			a.Orr(left, left, some)
			put(load(cp, 16*u), slotW, u)
		})
		anySet(left, "work")
	})
	a.I("B end")
	a.Label("work")
	powers(false)
	each1(func(u int) {
		y1, dy1 := expm1(mul(slot(slotW, u), num(-1)))
		oddSlots(y1, dy1, u)
	})
	scope(func() {
		total, mean := regs(), regs()
		argument(argWeight, cWeight)
		for u := range vectors {
			a.Load(total[u], cWeight, 16*u)
			a.Zero(mean[u])
		}
		each("mean", func() {
			scope(func() {
				twoV, twoJ, count := repeated(cRow, rowTwoV), repeated(cRow, rowTwoJ), repeated(cRow, rowCount)
				each1(func(u int) {
					d := term(u, twoV, twoJ)
					putRec(d, cp, recP, u)
					a.Op3("fadd", D2, total[u], total[u], load(cWeight, 16*u))
					fma(mean[u], count, d)
				})
			})
		})
		inv, none := arg(argInvStates), zero()
		first(cp)
		each1(func(u int) {
			put(total[u], slotTotal, u)
			put(mul(total[u], inv), slotC0, u) // λ
			put(mul(mean[u], inv), slotMean, u)
			put(none, slotSa, u) // Σ a(D − D̄)
			put(none, slotSb, u) // Σ c·b(D − D̄)
			put(none, slotSp, u) // Σ c·b
			putRec(none, cp, recP, u)
		})
	})
	// j = 0 … h here.
	argument(argTable, cRow)
	argument(argWeight, cWeight)
	argument(argStride, stride)
	argument(argLow, cLow)
	argument(argLowStride, lowStride)
	record(cq, 0)
	argument(argHalf, cN)
	a.I("ADD $1, %s", cN)
	a.Label("differences")
	scope(func() {
		b := regs()
		half, two := num(0.5), num(2)
		each1(func(u int) {
			y, dy := rec(cq, recX, u), rec(cq, recD, u)
			fma(dy, y, slot(slotD1o, u))
			a.Op3("fmul", D2, y, y, slot(slotXo, u))
			a.Op3("fmul", D2, b[u], dy, half)
			a.Op3("fmul", D2, b[u], b[u], dy)
			a.Op3("fdiv", D2, b[u], b[u], y)
		})
		pow(b, powN, powBit, func(r, x V, bit bool) {
			scope(func() {
				if bit {
					t := plus(r, x)
					fma(t, r, x)
					a.Mov(r, t)
				} else {
					a.Op3("fmul", D2, r, r, plus(r, two))
				}
			})
		})
		count, countLow := repeated(cRow, rowCount), repeated(cRow, rowCountLow)
		each1(func(u int) {
			a.Op3("fmul", D2, b[u], b[u], count)
			lambda, x := slot(slotC0, u), load(cWeight, 16*u)
			fms(x, lambda, count)
			a.Op3("fadd", D2, x, x, load(cLow, 16*u))
			fms(x, lambda, countLow)
			d := sub(rec(cp, recP, u), slot(slotMean, u))
			eq, ep := slot(slotSa, u), slot(slotSb, u)
			fma(eq, x, d)
			fma(ep, b[u], d)
			put(eq, slotSa, u)
			put(ep, slotSb, u)
			put(plus(b[u], slot(slotSp, u)), slotSp, u)
		})
	})
	a.I("ADD $%d, %s", recSize, cp)
	a.I("SUB $%d, %s", recSize, cq)
	a.I("ADD $%d, %s", tableRow, cRow)
	a.I("ADD %s, %s", stride, cWeight)
	a.I("ADD %s, %s", lowStride, cLow)
	a.Down(cN, 1, "differences")
	argument(argW, cp)
	argument(argSlope, cq)
	each1(func(u int) {
		ep := div(slot(slotSb, u), plus(slot(slotSp, u), arg(argStates)))
		d := sub(div(slot(slotSa, u), slot(slotTotal, u)), ep)
		w := slot(slotW, u)
		x := div(mul(w, div(d, plus(slot(slotMean, u), ep))), load(cq, 16*u))
		a.Store(sel(slot(slotActive, u), sub(w, x), w), cp, 16*u)
	})
	finish()
}
