package enum

import (
	"math"
	"unsafe"

	"kadanoff/spin/fmath"
)

// The definitions in plain Go. They take pointers, as the assembly does, so
// that one signature serves every path.

var generic = paths{
	minPlus:    minPlusGeneric,
	countEqual: countEqualGeneric,
	product:    productGeneric,
	trace:      traceGeneric,
	addRows16: func(dst, pattern, base, column *int32, rows int) {
		addRowsGeneric(slice(dst, 16*rows), slice(pattern, 16*rows), slice(base, rows), slice(column, 16))
	},
	addRows32: func(dst, pattern, base, column *int32, rows int) {
		addRowsGeneric(slice(dst, 32*rows), slice(pattern, 32*rows), slice(base, rows), slice(column, 32))
	},
	boltzmann: func(dst *float64, energy *int32, n int, scale float64) {
		d := slice(dst, n)
		for i, e := range slice(energy, n) {
			d[i] = fmath.Exp(float64(e) * scale)
		}
	},
	exp: func(dst, x *float64, n int) {
		d := slice(dst, n)
		for i, v := range slice(x, n) {
			d[i] = fmath.Exp(v)
		}
	},
	factors:   factorsGeneric,
	scaledSum: scaledSumGeneric,
	responses: responsesGeneric,
	count:     countGeneric,
}

func slice[T any](p *T, n int) []T { return unsafe.Slice(p, n) }

func minPlusGeneric(dst, p, q, r *int32, n int) int32 {
	d, ps, qs, rs := slice(dst, Rows*Wide), slice(p, Rows*n), slice(q, Wide*n), slice(r, Rows*Wide)
	for e := range d {
		d[e] = math.MaxInt32
	}
	for b := range n {
		row := qs[Wide*b : Wide*b+Wide]
		for i, x := range ps[Rows*b : Rows*b+Rows] {
			out := d[Wide*i : Wide*i+Wide]
			for j, y := range row {
				out[j] = min(out[j], x+y)
			}
		}
	}
	least := int32(math.MaxInt32)
	for e := range d {
		d[e] += rs[e]
		least = min(least, d[e])
	}
	return least
}

func countEqualGeneric(p, q, r *int32, n int, energy int32) int32 {
	ps, qs, rs := slice(p, Rows*n), slice(q, Wide*n), slice(r, Rows*Wide)
	count := int32(0)
	for b := range n {
		row := qs[Wide*b : Wide*b+Wide]
		for i, x := range ps[Rows*b : Rows*b+Rows] {
			for j, y := range row {
				if rs[Wide*i+j]+x+y == energy {
					count++
				}
			}
		}
	}
	return count
}

func productGeneric(dst, p, q *float64, n int) {
	d, ps, qs := slice(dst, Rows*Cols), slice(p, Rows*n), slice(q, Cols*n)
	clear(d)
	for b := range n {
		row := qs[Cols*b : Cols*b+Cols]
		for i, x := range ps[Rows*b : Rows*b+Rows] {
			out := d[Cols*i : Cols*i+Cols]
			for j, y := range row {
				out[j] = math.FMA(x, y, out[j])
			}
		}
	}
}

func traceGeneric(sum, c, r *float64) {
	s, rs := slice(sum, 8), slice(r, Rows*Cols)
	for e, x := range slice(c, Rows*Cols) {
		s[e%8] = math.FMA(x, rs[e], s[e%8])
	}
}

func addRowsGeneric(dst, pattern, base, column []int32) {
	w := len(column)
	for i, b := range base {
		out, in := dst[w*i:w*i+w], pattern[w*i:w*i+w]
		for j, c := range column {
			out[j] = in[j] + b + c
		}
	}
}

func factorsGeneric(mantissa *float64, exponent *int64, y, x *float64, n int) {
	man, exp, ys, xs := slice(mantissa, Rows*Cols), slice(exponent, Rows*Cols), slice(y, Rows*n), slice(x, Cols*n)
	for u := range n {
		row := xs[Cols*u : Cols*u+Cols]
		for i, a := range ys[Rows*u : Rows*u+Rows] {
			out := man[Cols*i : Cols*i+Cols]
			for j, b := range row {
				out[j] *= math.FMA(a, b, 1)
			}
		}
	}
	for e, m := range man {
		bits := math.Float64bits(m)
		exp[e] += int64(bits>>52) - 1023
		man[e] = math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	}
}

func scaledSumGeneric(sum, mantissa *float64, exponent *int64, rowMantissa, colMantissa *float64, rowExponent, colExponent *int64) int64 {
	s, man, exp := slice(sum, 8), slice(mantissa, Rows*Cols), slice(exponent, Rows*Cols)
	rm, cm, re, ce := slice(rowMantissa, Rows), slice(colMantissa, Cols), slice(rowExponent, Rows), slice(colExponent, Cols)
	top := int64(math.MinInt64)
	for e := range exp {
		exp[e] += re[e/Cols] + ce[e%Cols]
		top = max(top, exp[e])
	}
	clear(s)
	for e, m := range man {
		w := float64(float64(rm[e/Cols]*cm[e%Cols]) * m)
		p := math.Float64frombits(uint64(max(exp[e]-top+1023, 0)) << 52)
		s[e%8] = math.FMA(p, w, s[e%8])
	}
	return top
}

func responsesGeneric(sums, total, weight, y, x *float64, n int) {
	ss, ts, ws := slice(sums, 4*Cols*n), slice(total, n), slice(weight, Rows*Cols)
	ys, xs := slice(y, Rows*n), slice(x, Cols*n)
	for u := range n {
		var lane [8]float64
		for j, b := range xs[Cols*u : Cols*u+Cols] {
			var r [Rows]float64
			for i, a := range ys[Rows*u : Rows*u+Rows] {
				r[i] = ws[Cols*i+j] / math.FMA(a, b, 1)
			}
			var half, bit0, bit1 [2]float64
			for h := range 2 {
				q := r[4*h : 4*h+4]
				a0, a1 := q[0]+q[1], q[2]+q[3]
				bit0[h] = (q[1] - q[0]) + (q[3] - q[2])
				half[h], bit1[h] = a0+a1, a1-a0
			}
			sum := half[0] + half[1]
			s := ss[4*Cols*u+j : 4*Cols*(u+1)]
			s[0] += sum
			s[Cols] += bit0[0] + bit0[1]
			s[2*Cols] += bit1[0] + bit1[1]
			s[3*Cols] += half[1] - half[0]
			if j < 8 {
				lane[j] = sum
			} else {
				lane[j-8] += sum
			}
		}
		ts[u] += Reduce(lane[:])
	}
}

func countGeneric(table []uint32, index []int32) {
	for _, i := range index {
		table[i]++
	}
}
