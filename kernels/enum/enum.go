// Package enum holds the inner loops that visit all 2^N states of a network
// of ±1 units.
//
// The spins are split into three groups a, b and c, so that an energy is
// P[a,b] + Q[b,c] + R[a,c] and a sum or a minimum over all states is a product
// of matrices: (+, ×) of Boltzmann factors for the partition function, (min, +)
// of energies for the ground state. The loops work on a tile of 8 rows (states
// of a) by 16 float64 or 32 int32 columns (states of c); P is packed [b][8],
// Q [b][16 or 32], and b is the inner index.
//
// Every path gives the same bits. Kernels panic on slices of the wrong length.
package enum

import (
	"fmt"

	"kadanoff/kernels/isa"
)

// The shape of a tile.
const (
	Rows = 8  // rows of a tile
	Cols = 16 // columns of a float64 tile
	Wide = 32 // columns of an int32 tile
)

// Kernel is one path through the package: the same functions on one
// instruction set. A Kernel is safe for concurrent use.
type Kernel struct {
	level isa.Level
	paths
}

// paths are the functions of one instruction set; their arguments have been
// checked.
type paths struct {
	minPlus    func(dst, p, q, r *int32, n int) int32
	countEqual func(p, q, r *int32, n int, energy int32) int32
	product    func(dst, p, q *float64, n int)
	trace      func(sum, c, r *float64)
	addRows16  func(dst, pattern, base, column *int32, rows int)
	addRows32  func(dst, pattern, base, column *int32, rows int)
	boltzmann  func(dst *float64, energy *int32, n int, scale float64)
	exp        func(dst, x *float64, n int)
	factors    func(mantissa *float64, exponent *int64, y, x *float64, n int)
	scaledSum  func(sum, mantissa *float64, exponent *int64, rowMantissa, colMantissa *float64, rowExponent, colExponent *int64) int64
	responses  func(sums, total, weight, y, x *float64, n int)
	count      func(table []uint32, index []int32)
}

var kernels = table()

// For returns the best path at or below the level. Generic is plain Go.
func For(level isa.Level) *Kernel {
	if k, ok := kernels[level]; ok && isa.Has(level) {
		return k
	}
	if level == isa.AVX512 {
		return For(isa.AVX2)
	}
	return kernels[isa.Generic]
}

// Level returns the instruction set of the path.
func (k *Kernel) Level() isa.Level { return k.level }

func want(name string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("enum: len(%s) = %d, want %d", name, got, want))
	}
}

// MinPlus is the (min, +) product of an 8-row panel and a 32-column panel:
//
//	dst[32i+j] = r[32i+j] + min over b of (p[8b+i] + q[32b+j])
//
// and returns the smallest element of dst. p is [n][8] with n >= 1, q [n][32],
// r and dst [8][32]. Sums wrap; energies that keep |P|+|Q|+|R| below 2^31 do
// not.
func (k *Kernel) MinPlus(dst, p, q, r []int32) int32 {
	n := len(p) / Rows
	if n < 1 {
		panic("enum: MinPlus over no states")
	}
	want("p", len(p), Rows*n)
	want("q", len(q), Wide*n)
	want("r", len(r), Rows*Wide)
	want("dst", len(dst), Rows*Wide)
	return k.minPlus(&dst[0], &p[0], &q[0], &r[0], n)
}

// CountEqual counts the states of a tile that have a given energy:
//
//	for all b, i, j: if r[32i+j] + p[8b+i] + q[32b+j] == energy { count++ }
//
// Shapes are those of MinPlus, with n < 2^22.
func (k *Kernel) CountEqual(p, q, r []int32, energy int32) int64 {
	n := len(p) / Rows
	if n < 1 || n >= 1<<22 {
		panic(fmt.Sprintf("enum: CountEqual over %d states", n))
	}
	want("p", len(p), Rows*n)
	want("q", len(q), Wide*n)
	want("r", len(r), Rows*Wide)
	return int64(k.countEqual(&p[0], &q[0], &r[0], n, energy))
}

// Product is the matrix product of an 8-row and a 16-column panel, each
// element one chain of fused multiply-adds in the order of b:
//
//	s := 0.0
//	for b := range n { s = math.FMA(p[8b+i], q[16b+j], s) }
//	dst[16i+j] = s
//
// p is [n][8] with n >= 1, q [n][16], dst [8][16].
func (k *Kernel) Product(dst, p, q []float64) {
	n := len(p) / Rows
	if n < 1 {
		panic("enum: Product over no states")
	}
	want("p", len(p), Rows*n)
	want("q", len(q), Cols*n)
	want("dst", len(dst), Rows*Cols)
	k.product(&dst[0], &p[0], &q[0], n)
}

// Trace adds the elementwise product of two tiles to a sum in 8 virtual lanes:
//
//	for e := range 128 { sum[e%8] = math.FMA(c[e], r[e], sum[e%8]) }
//
// c and r are [8][16], sum has 8 elements.
func (k *Kernel) Trace(sum, c, r []float64) {
	want("sum", len(sum), 8)
	want("c", len(c), Rows*Cols)
	want("r", len(r), Rows*Cols)
	k.trace(&sum[0], &c[0], &r[0])
}

// AddRows builds a panel of energies from a pattern that no panel changes, one
// number for each row and one for each column:
//
//	dst[w*i+j] = pattern[w*i+j] + base[i] + column[j]
//
// w = len(column) is 16 or 32, base has at least one element and pattern and
// dst have w for each element of base. Sums wrap.
func (k *Kernel) AddRows(dst, pattern, base, column []int32) {
	w := len(column)
	if len(base) == 0 {
		panic("enum: AddRows of no rows")
	}
	want("pattern", len(pattern), w*len(base))
	want("dst", len(dst), w*len(base))
	switch w {
	case Cols:
		k.addRows16(&dst[0], &pattern[0], &base[0], &column[0], len(base))
	case Wide:
		k.addRows32(&dst[0], &pattern[0], &base[0], &column[0], len(base))
	default:
		panic(fmt.Sprintf("enum: AddRows of width %d, want %d or %d", w, Cols, Wide))
	}
}

// Boltzmann sets dst[i] = fmath.Exp(float64(energy[i]) * scale); scale is -β
// times the unit of energy. The length is a positive multiple of 16.
func (k *Kernel) Boltzmann(dst []float64, energy []int32, scale float64) {
	checkExp(len(dst), len(energy))
	k.boltzmann(&dst[0], &energy[0], len(dst), scale)
}

// Exp sets dst[i] = fmath.Exp(x[i]), x[i] <= 708. The length is a positive
// multiple of 16.
func (k *Kernel) Exp(dst, x []float64) {
	checkExp(len(dst), len(x))
	k.exp(&dst[0], &x[0], len(dst))
}

func checkExp(dst, src int) {
	want("dst", dst, src)
	if dst == 0 || dst%16 != 0 {
		panic(fmt.Sprintf("enum: length %d, want a positive multiple of 16", dst))
	}
}

// Factors multiplies a tile of products, kept as mantissa·2^exponent, by one
// factor for each of n >= 1 units, and splits the exponents off again:
//
//	m := mantissa[16i+j]
//	for u := range n { m *= math.FMA(y[8u+i], x[16u+j], 1) }
//	mantissa[16i+j], exponent[16i+j] = m·2^-e, exponent[16i+j] + e  with 1 <= m·2^-e < 2
//
// y is [n][8] and x [n][16], both >= 0; mantissa is [8][16] in [1, 2), and the
// product must stay below 2^1024.
func (k *Kernel) Factors(mantissa []float64, exponent []int64, y, x []float64) {
	n := len(y) / Rows
	if n < 1 {
		panic("enum: Factors of no units")
	}
	want("y", len(y), Rows*n)
	want("x", len(x), Cols*n)
	want("mantissa", len(mantissa), Rows*Cols)
	want("exponent", len(exponent), Rows*Cols)
	k.factors(&mantissa[0], &exponent[0], &y[0], &x[0], n)
}

// ScaledSum sums a tile of numbers mantissa·2^exponent, each times the weight
// of its row and of its column, and returns the exponent of the result:
//
//	exponent[16i+j] += rowExponent[i] + colExponent[j]
//	top := the largest exponent
//	for e := range 128 {
//		w := rowMantissa[e/16] * colMantissa[e%16] * mantissa[e]
//		sum[e%8] = math.FMA(2^(exponent[e]-top), w, sum[e%8])
//	}
//
// with sum starting at 0 and powers below the normal numbers taken as 0: the
// total is 2^top times the sum of the 8 lanes.
func (k *Kernel) ScaledSum(sum, mantissa []float64, exponent []int64, rowMantissa, colMantissa []float64, rowExponent, colExponent []int64) (top int64) {
	want("sum", len(sum), 8)
	want("mantissa", len(mantissa), Rows*Cols)
	want("exponent", len(exponent), Rows*Cols)
	want("rowMantissa", len(rowMantissa), Rows)
	want("colMantissa", len(colMantissa), Cols)
	want("rowExponent", len(rowExponent), Rows)
	want("colExponent", len(colExponent), Cols)
	return k.scaledSum(&sum[0], &mantissa[0], &exponent[0], &rowMantissa[0], &colMantissa[0], &rowExponent[0], &colExponent[0])
}

// Responses adds up the weighted mean responses 1/(1+yx) of n >= 1 units over a
// tile of states. With r_i[j] = weight[16i+j] / math.FMA(y[8u+i], x[16u+j], 1)
// of unit u, row i and column j, it adds to sums[4u+k], a row of 16,
//
//	k = 0: Σ_i r_i    k = 1, 2, 3: Σ_i ±r_i, + where bit k-1 of i is set
//
// as balanced trees, neighbouring rows first, and to total[u] the sum of row
// k = 0 over its columns: j with j+8, then as Reduce does. weight is [8][16],
// y [n][8], x [n][16], sums [n][4][16], total [n].
func (k *Kernel) Responses(sums, total, weight, y, x []float64) {
	n := len(total)
	if n < 1 {
		panic("enum: Responses of no units")
	}
	want("sums", len(sums), 4*Cols*n)
	want("weight", len(weight), Rows*Cols)
	want("y", len(y), Rows*n)
	want("x", len(x), Cols*n)
	k.responses(&sums[0], &total[0], &weight[0], &y[0], &x[0], n)
}

// Count counts indices: for each i, table[index[i]]++. Indices must lie within
// the table: the vector paths do not check them. The length of index is a
// multiple of 8.
func (k *Kernel) Count(table []uint32, index []int32) {
	if len(index) == 0 {
		return
	}
	if len(index)%8 != 0 || len(table) == 0 {
		panic(fmt.Sprintf("enum: Count of %d indices in %d counters", len(index), len(table)))
	}
	k.count(table, index)
}

// Reduce adds the 8 virtual lanes of a sum in the one order that every path
// uses.
func Reduce(s []float64) float64 {
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}
