// Command enum writes the NEON path of package kernels/enum.
package main

import (
	"fmt"
	"math"

	. "kadanoff/kernels/_gen/neon"
)

var a = New()

func main() {
	minPlus()
	countEqual()
	product()
	trace()
	addRows(16)
	addRows(32)
	boltzmann()
	exponential()
	factors()
	scaledSum()
	responses()
	count()
	a.Generate()
}

// The register tiles: rows by four registers of columns, 16 in all.
const (
	tileRows = 4
	vecs     = 4
	wideRow  = 32 * 4 // bytes of a row of 32 int32
	row      = 16 * 8 // bytes of a row of 16 float64
)

// v returns n registers from first on.
func v(first, n int) (r []V) {
	for i := range n {
		r = append(r, V(first+i))
	}
	return r
}

func function(name, doc, signature string, args ...string) {
	a.Func(name+"NEON", signature, name+"NEON "+doc)
	for i, n := range args {
		a.Arg(n, R(i))
	}
}

// tiles runs over the register tiles of an 8-row tile with rows of rowBytes.
func tiles(rowBytes int, tile func(name string, i0, c0 int)) {
	for i0 := 0; i0 < 8; i0 += tileRows {
		for c0 := 0; c0 < rowBytes; c0 += 16 * vecs {
			tile(fmt.Sprintf("inner_%d_%d", i0, c0), i0, c0)
		}
	}
}

// inner is the loop over the inner index: body with p and q at R10 and R11,
// which go up by a row of eight and one of rowBytes.
func inner(name string, p, q, n R, size, rowBytes int, body func(p, q R)) {
	a.I("MOVD %s, R10", p)
	a.I("MOVD %s, R11", q)
	a.I("MOVD %s, R12", n)
	a.Label(name)
	body(10, 11)
	a.I("ADD $%d, R10", 8*size)
	a.I("ADD $%d, R11", rowBytes)
	a.Down(12, 1, name)
}

func minPlus() {
	function("minPlus", "is Kernel.MinPlus for n inner indices.", "func(dst, p, q, r *int32, n int) int32", "dst", "p", "q", "r", "n")
	const dst, pp, qq, r, n, c R = 0, 1, 2, 3, 4, 5
	acc, q, s := v(0, 16), v(16, 4), v(22, 4)
	const p, b, least, biggest V = 20, 21, 26, 27
	a.I("MOVD $%d, %s", math.MaxInt32, c)
	a.DupR(S4, biggest, c)
	a.Mov(least, biggest)
	tiles(wideRow, func(name string, i0, c0 int) {
		for _, x := range acc {
			a.Mov(x, biggest)
		}
		inner(name, pp, qq, n, 4, wideRow, func(rp, rq R) {
			a.Load(p, rp, 4*i0)
			a.LoadPair(q[0], q[1], rq, c0)
			a.LoadPair(q[2], q[3], rq, c0+32)
			for i := range tileRows {
				a.Dup(S4, b, p, i)
				for k := range vecs {
					a.Add(S4, s[k], b, q[k])
				}
				for k := range vecs {
					a.Op3("smin", S4, acc[i*vecs+k], acc[i*vecs+k], s[k])
				}
			}
		})
		for k, x := range acc {
			d := (i0+k/vecs)*wideRow + c0 + k%vecs*16
			a.Load(p, r, d)
			a.Add(S4, x, x, p)
			a.Store(x, dst, d)
			a.Op3("smin", S4, least, least, x)
		}
	})
	a.Across("sminv", S4, least, least)
	a.Umov(S4, c, least, 0)
	a.Return32(c)
	a.End()
}

func countEqual() {
	function("countEqual", "is Kernel.CountEqual for n inner indices.", "func(p, q, r *int32, n int, energy int32) int32", "p", "q", "r", "n")
	const pp, qq, r, n, energy R = 0, 1, 2, 3, 4
	a.Arg32("energy", energy)
	target, q, s := v(0, 16), v(16, 4), v(22, 4)
	const p, b, total, e V = 20, 21, 26, 28 // two totals
	a.DupR(S4, e, energy)
	a.Zero(total)
	a.Zero(total + 1)
	tiles(wideRow, func(name string, i0, c0 int) {
		for k, x := range target {
			a.Load(p, r, (i0+k/vecs)*wideRow+c0+k%vecs*16)
			a.Op3("sub", S4, x, e, p)
		}
		inner(name, pp, qq, n, 4, wideRow, func(rp, rq R) {
			a.Load(p, rp, 4*i0)
			a.LoadPair(q[0], q[1], rq, c0)
			a.LoadPair(q[2], q[3], rq, c0+32)
			for i := range tileRows {
				a.Dup(S4, b, p, i)
				for k := range vecs {
					a.Add(S4, s[k], b, q[k])
				}
				for k := range vecs {
					a.Op3("cmeq", S4, s[k], s[k], target[i*vecs+k])
				}
				for k := range vecs {
					t := total + V(k%2)
					a.Op3("sub", S4, t, t, s[k])
				}
			}
		})
	})
	a.Add(S4, total, total, total+1)
	a.Across("addv", S4, total, total)
	a.Umov(S4, energy, total, 0)
	a.Return32(energy)
	a.End()
}

// loadColumns reads four values of p for a tile's rows and a tile's columns of q.
func loadColumns(p, q []V, rp, rq R, i0, c0 int) {
	a.LoadPair(p[0], p[1], rp, 8*i0)
	a.LoadPair(q[0], q[1], rq, c0)
	a.LoadPair(q[2], q[3], rq, c0+32)
}

func product() {
	function("product", "is Kernel.Product for n inner indices.", "func(dst, p, q *float64, n int)", "dst", "p", "q", "n")
	const dst, pp, qq, n R = 0, 1, 2, 3
	acc, q, p := v(0, 16), v(16, 4), v(20, 2)
	tiles(row, func(name string, i0, c0 int) {
		for _, x := range acc {
			a.Zero(x)
		}
		inner(name, pp, qq, n, 8, row, func(rp, rq R) {
			loadColumns(p, q, rp, rq, i0, c0)
			for i := range tileRows {
				for k := range vecs {
					a.ByLane("fmla", acc[i*vecs+k], q[k], p[i/2], i%2)
				}
			}
		})
		for i := range tileRows {
			for k := 0; k < vecs; k += 2 {
				a.StorePair(acc[i*vecs+k], acc[i*vecs+k+1], dst, (i0+i)*row+c0+16*k)
			}
		}
	})
	a.End()
}

func trace() {
	function("trace", "is Kernel.Trace.", "func(sum, c, r *float64)", "sum", "c", "r")
	const sum, c, r R = 0, 1, 2
	acc := v(0, 4)
	for k := 0; k < 4; k += 2 {
		a.LoadPair(acc[k], acc[k+1], sum, 16*k)
	}
	for d := 0; d < 8*row; d += 32 {
		t := V(8 + d/32%4*4)
		a.LoadPair(t, t+1, c, d)
		a.LoadPair(t+2, t+3, r, d)
		k := d / 16 % 4
		a.Op3("fmla", D2, acc[k], t, t+2)
		a.Op3("fmla", D2, acc[k+1], t+1, t+3)
	}
	for k := 0; k < 4; k += 2 {
		a.StorePair(acc[k], acc[k+1], sum, 16*k)
	}
	a.End()
}

func addRows(width int) {
	function(fmt.Sprintf("addRows%d", width), fmt.Sprintf("is Kernel.AddRows for rows of %d columns.", width),
		"func(dst, pattern, base, column *int32, rows int)", "dst", "pattern", "base", "column", "rows")
	const dst, pattern, base, column, rows R = 0, 1, 2, 3, 4
	col, x := v(0, width/4), v(8, width/4)
	for k := 0; k < len(col); k += 2 {
		a.LoadPair(col[k], col[k+1], column, 16*k)
	}
	a.Label("row")
	a.RepeatNext(S4, 16, base)
	for k := 0; k < len(col); k += 2 {
		a.LoadPair(x[k], x[k+1], pattern, 16*k)
		for h := range 2 {
			a.Add(S4, x[k+h], x[k+h], 16)
			a.Add(S4, x[k+h], x[k+h], col[k+h])
		}
		a.StorePair(x[k], x[k+1], dst, 16*k)
	}
	a.I("ADD $%d, %s", 4*width, pattern)
	a.I("ADD $%d, %s", 4*width, dst)
	a.Down(rows, 1, "row")
	a.End()
}

// The registers of Exp, four of each.
var ex, en, eq, et, eb = v(0, 4), v(4, 4), v(8, 4), v(12, 4), v(16, 4)

func boltzmann() {
	function("boltzmann", "is Kernel.Boltzmann for n elements, a positive multiple of 16.",
		"func(dst *float64, energy *int32, n int, scale float64)", "dst", "energy", "n", "scale")
	const dst, energy, n, scale, c R = 0, 1, 2, 3, 4
	f := NewFmath(a, c, 24)
	a.DupR(D2, 29, scale)
	a.Label("next")
	a.LoadPair(et[0], et[1], energy, 0)
	for k := range 4 {
		a.ShiftLong("sshll", S2, ex[k], et[k/2], 0, k%2 == 1)
		a.Op2("scvtf", D2, ex[k], ex[k])
		a.Op3("fmul", D2, ex[k], ex[k], 29)
	}
	f.Exp(ex, en, eq, et, eb)
	a.StorePair(ex[0], ex[1], dst, 0)
	a.StorePair(ex[2], ex[3], dst, 32)
	a.I("ADD $32, %s", energy)
	a.I("ADD $64, %s", dst)
	a.Down(n, 8, "next")
	a.End()
}

func exponential() {
	function("exp", "is Kernel.Exp for n elements, a positive multiple of 16.", "func(dst, x *float64, n int)", "dst", "x", "n")
	const dst, src, n, c R = 0, 1, 2, 3
	f := NewFmath(a, c, 24)
	a.Label("next")
	a.LoadPair(ex[0], ex[1], src, 0)
	a.LoadPair(ex[2], ex[3], src, 32)
	f.Exp(ex, en, eq, et, eb)
	a.StorePair(ex[0], ex[1], dst, 0)
	a.StorePair(ex[2], ex[3], dst, 32)
	a.I("ADD $64, %s", src)
	a.I("ADD $64, %s", dst)
	a.Down(n, 8, "next")
	a.End()
}

// word is a 64-bit constant and the register that holds it.
type word struct {
	r V
	w uint64
}

// words loads constants by way of c.
func words(c R, x ...word) {
	for _, x := range x {
		a.I("MOVD $0x%x, %s", x.w, c)
		a.DupR(D2, x.r, c)
	}
}

func factors() {
	function("factors", "is Kernel.Factors for n units.", "func(mantissa *float64, exponent *int64, y, x *float64, n int)",
		"mantissa", "exponent", "y", "x", "n")
	const man, exp, yy, xx, n, c R = 0, 1, 2, 3, 4, 5
	acc, q, p, f := v(0, 16), v(16, 4), v(20, 2), v(22, 4)
	const one, bias, mantissa V = 26, 27, 28
	words(c, word{one, math.Float64bits(1)}, word{bias, 1023}, word{mantissa, 1<<52 - 1})
	tiles(row, func(name string, i0, c0 int) {
		at := func(k int) int { return (i0+k/vecs)*row + c0 + k%vecs*16 }
		for k, x := range acc {
			a.Load(x, man, at(k))
		}
		inner(name, yy, xx, n, 8, row, func(rp, rq R) {
			loadColumns(p, q, rp, rq, i0, c0)
			for i := range tileRows {
				for k := range vecs {
					a.Mov(f[k], one)
				}
				for k := range vecs {
					a.ByLane("fmla", f[k], q[k], p[i/2], i%2)
				}
				for k := range vecs {
					a.Op3("fmul", D2, acc[i*vecs+k], acc[i*vecs+k], f[k])
				}
			}
		})
		// split off the exponents: every product is a normal number >= 1
		for k, x := range acc {
			e := f[k%4]
			a.Load(e, exp, at(k))
			a.Shift("usra", D2, e, x, 52)
			a.Op3("sub", D2, e, e, bias)
			a.And(x, x, mantissa)
			a.Orr(x, x, one)
			a.Store(e, exp, at(k))
			a.Store(x, man, at(k))
		}
	})
	a.End()
}

func scaledSum() {
	function("scaledSum", "is Kernel.ScaledSum.",
		"func(sum, mantissa *float64, exponent *int64, rowMantissa, colMantissa *float64, rowExponent, colExponent *int64) int64",
		"sum", "mantissa", "exponent", "rowMantissa", "colMantissa", "rowExponent", "colExponent")
	const sum, man, exp, rm, cm, re, ce, c R = 0, 1, 2, 3, 4, 5, 6, 7
	columns, acc := v(0, 8), v(8, 4)
	const rowValue, e, t, top, bias V = 12, 13, 14, 16, 17
	load := func(from R) {
		for k := 0; k < 8; k += 2 {
			a.LoadPair(columns[k], columns[k+1], from, 16*k)
		}
	}
	maxInto := func(x, acc V) {
		a.Op3("cmgt", D2, t, x, acc)
		a.Op3("bit", B16, acc, x, t)
	}
	load(ce)
	for i := range 8 {
		a.RepeatNext(D2, rowValue, re)
		for k := range 8 {
			d := i*row + 16*k
			a.Load(e, exp, d)
			a.Add(D2, e, e, rowValue)
			a.Add(D2, e, e, columns[k])
			a.Store(e, exp, d)
			if i+k == 0 {
				a.Mov(top, e)
			} else {
				maxInto(e, top)
			}
		}
	}
	a.Dup(D2, e, top, 1)
	maxInto(e, top)
	a.Umov(D2, c, top, 0)
	a.Return(c)
	a.Dup(D2, top, top, 0)
	words(c, word{bias, 1023})
	for _, x := range acc {
		a.Zero(x)
	}
	load(cm)
	for i := range 8 {
		a.RepeatNext(D2, rowValue, rm)
		for k := range 8 {
			d := i*row + 16*k
			a.Load(e, exp, d)
			a.Op3("sub", D2, e, e, top)
			a.Add(D2, e, e, bias)
			a.Op2("cmgt", D2, t, e)
			a.And(e, e, t) // 2^e, or 0 where it is below the normal numbers
			a.Shift("shl", D2, e, e, 52)
			a.Op3("fmul", D2, t, rowValue, columns[k])
			a.Load(15, man, d)
			a.Op3("fmul", D2, t, t, 15)
			a.Op3("fmla", D2, acc[k%4], e, t)
		}
	}
	for k := 0; k < 4; k += 2 {
		a.StorePair(acc[k], acc[k+1], sum, 16*k)
	}
	a.End()
}

func responses() {
	function("responses", "is Kernel.Responses for n units.", "func(sums, total, weight, y, x *float64, n int)",
		"sums", "total", "weight", "y", "x", "n")
	const sums, total, weight, yy, xx, n, c R = 0, 1, 2, 3, 4, 5, 6
	r, f, all, y := v(0, 8), v(8, 4), v(16, 8), v(24, 4)
	const one, x, z V = 28, 29, 30
	words(c, word{one, math.Float64bits(1)})
	a.Label("unit")
	a.LoadPair(y[0], y[1], yy, 0)
	a.LoadPair(y[2], y[3], yy, 32)
	for k := range 8 { // vectors of columns
		a.Load(x, xx, 16*k)
		for i := range 8 {
			f := f[i%4]
			a.Mov(f, one)
			a.ByLane("fmla", f, x, y[i/2], i%2)
			a.Load(r[i], weight, i*row+16*k)
			a.Op3("fdiv", D2, r[i], r[i], f)
		}
		// butterfly puts i+j into sum and j−i into j
		butterfly := func(sum, i, j V) {
			a.Op3("fadd", D2, sum, i, j)
			a.Op3("fsub", D2, j, j, i)
		}
		var half [2]V
		for h := range 2 {
			q := r[4*h : 4*h+4]
			half[h] = V(12 + h)
			butterfly(f[0], q[0], q[1])
			butterfly(f[1], q[2], q[3])
			a.Op3("fadd", D2, q[1], q[1], q[3]) // bit 0
			butterfly(half[h], f[0], f[1])
			a.Mov(q[2], f[1]) // bit 1
		}
		butterfly(all[k], half[0], half[1])
		a.Op3("fadd", D2, r[1], r[1], r[5])
		a.Op3("fadd", D2, r[2], r[2], r[6])
		for i, s := range []V{all[k], r[1], r[2], half[1]} {
			a.Load(z, sums, i*row+16*k)
			a.Op3("fadd", D2, z, z, s)
			a.Store(z, sums, i*row+16*k)
		}
	}
	// column l with l+8, then the 8 lanes as Reduce does
	for k := range 4 {
		a.Op3("fadd", D2, all[k], all[k], all[k+4])
	}
	a.Op3("fadd", D2, all[0], all[0], all[2])
	a.Op3("fadd", D2, all[1], all[1], all[3])
	a.Op3("fadd", D2, all[0], all[0], all[1])
	a.Op3("faddp", D2, all[0], all[0], all[0])
	a.LoadD(z, total, 0)
	a.Op3("fadd", D2, z, z, all[0])
	a.StoreD(z, total, 0)
	a.I("ADD $8, %s", total)
	a.I("ADD $%d, %s", 4*row, sums)
	a.I("ADD $64, %s", yy)
	a.I("ADD $%d, %s", row, xx)
	a.Down(n, 1, "unit")
	a.End()
}

func count() {
	function("count", "is Kernel.Count for n indices, a positive multiple of 8.", "func(table *uint32, index *int32, n int)", "table", "index", "n")
	a.Label("next")
	for k := range 4 {
		a.I("LDPW %d(R1), (R%d, R%d)", 8*k, 3+2*k, 4+2*k)
	}
	for k := range 8 {
		a.I("MOVWU (R0)(R%d<<2), R11", 3+k)
		a.I("ADD $1, R11")
		a.I("MOVW R11, (R0)(R%d<<2)", 3+k)
	}
	a.I("ADD $32, R1")
	a.Down(2, 8, "next")
	a.End()
}
