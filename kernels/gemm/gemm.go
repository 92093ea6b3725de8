// Package gemm multiplies matrices of float32. All paths give the same bits:
// products are rounded before they are added, and sums run over k in order.
package gemm

import (
	"fmt"
	"unsafe"

	"kadanoff/kernels/isa"
)

// Kernel is one path. It is safe for concurrent use.
type Kernel struct {
	level      isa.Level
	rows, cols int // of a tile
	// tile adds the product of a [k][rows] and b [k][cols] to c, of stride ldc;
	// k is at least 1.
	tile func(c *float32, ldc int, a, b *float32, k int)
}

// For returns the best path at or below the level.
func For(level isa.Level) *Kernel {
	best := &kernels[0]
	for i := range kernels {
		if k := &kernels[i]; k.level <= level && isa.Has(k.level) {
			best = k
		}
	}
	return best
}

// Level returns the instruction set of the path.
func (k *Kernel) Level() isa.Level { return k.level }

// Matrix is a matrix within a slice: element (i, j) is X[i·Row + j·Col]. The
// transpose has Row and Col exchanged.
type Matrix struct {
	X        []float32
	Row, Col int
}

// last returns the index of the last element of a matrix of m×n.
func (x Matrix) last(m, n int) int { return (m-1)*x.Row + (n-1)*x.Col }

// Blocks of the operands, packed: a panel of B is read from the first cache,
// the block of A stays in the second.
const (
	blockK = 256
	blockM = 96
)

// Scratch is the packed operands of one goroutine. The zero value is ready.
type Scratch struct{ a, b, edge []float32 }

// Add adds a product of A, m×k, and B, k×n, to C, m×n with rows of ldc:
//
//	for i in range m: for j in range n:
//	    for l in range k: c[i·ldc + j] = c[i·ldc + j] + alpha·a(i,l) · b(l,j)
//
// where alpha·a(i,l), each product and each sum are rounded to float32.
func (k *Kernel) Add(s *Scratch, m, n, depth int, alpha float32, a, b Matrix, c []float32, ldc int) {
	if m < 0 || n < 0 || depth < 0 || ldc < n || m > 0 && n > 0 && (len(c) < (m-1)*ldc+n ||
		depth > 0 && (len(a.X) <= a.last(m, depth) || len(b.X) <= b.last(depth, n) || min(a.Row, a.Col, b.Row, b.Col) < 0)) {
		panic(fmt.Sprintf("gemm: %d×%d×%d with %d, %d and %d numbers", m, depth, n, len(a.X), len(b.X), len(c)))
	}
	if n == 0 {
		return
	}
	s.reserve(k, n)
	for from := 0; from < depth; from += blockK {
		to := min(depth, from+blockK)
		k.packB(s.b, b, from, to, n)
		for top := 0; top < m; top += blockM {
			bottom := min(m, top+blockM)
			k.packA(s.a, a, alpha, top, bottom, from, to)
			for j := 0; j < n; j += k.cols {
				for i := top; i < bottom; i += k.rows {
					k.place(s, c, ldc, i, min(k.rows, bottom-i), j, min(k.cols, n-j),
						&s.a[(i-top)*(to-from)], &s.b[j*(to-from)], to-from)
				}
			}
		}
	}
}

// place adds one tile, by way of the edge where it is not whole.
func (k *Kernel) place(s *Scratch, c []float32, ldc, i, rows, j, cols int, a, b *float32, depth int) {
	if rows == k.rows && cols == k.cols {
		k.tile(&c[i*ldc+j], ldc, a, b, depth)
		return
	}
	for r := range rows {
		copy(s.edge[r*k.cols:], c[(i+r)*ldc+j:][:cols])
	}
	k.tile(&s.edge[0], k.cols, a, b, depth)
	for r := range rows {
		copy(c[(i+r)*ldc+j:][:cols], s.edge[r*k.cols:])
	}
}

func (s *Scratch) reserve(k *Kernel, n int) {
	grow := func(x *[]float32, size int) {
		if len(*x) < size {
			*x = make([]float32, size)
		}
	}
	grow(&s.a, (blockM+k.rows)*blockK)
	grow(&s.b, (n+k.cols)*blockK)
	grow(&s.edge, k.rows*k.cols)
}

// packA packs alpha·A, rows top to bottom and columns from to to, as panels of
// [to − from][k.rows]; rows that are not there are 0.
func (k *Kernel) packA(dst []float32, a Matrix, alpha float32, top, bottom, from, to int) {
	for i := top; i < bottom; i += k.rows {
		panel := dst[:k.rows*(to-from)]
		dst = dst[len(panel):]
		pack(panel, k.rows, min(k.rows, bottom-i), to-from, a.X[i*a.Row+from*a.Col:], a.Row, a.Col)
		if alpha != 1 {
			for x := range panel {
				panel[x] *= alpha
			}
		}
	}
}

// packB packs rows from to to of B as panels of [to − from][k.cols].
func (k *Kernel) packB(dst []float32, b Matrix, from, to, n int) {
	for j := 0; j < n; j += k.cols {
		panel := dst[:k.cols*(to-from)]
		dst = dst[len(panel):]
		pack(panel, k.cols, min(k.cols, n-j), to-from, b.X[from*b.Row+j*b.Col:], b.Col, b.Row)
	}
}

// pack writes panel[l][x] = src[x·across + l·along] for x below have, and 0 for
// the others of width, in the order in which src is read best.
func pack(panel []float32, width, have, depth int, src []float32, across, along int) {
	if have < width {
		clear(panel)
	}
	switch {
	case across == 1:
		for l := range depth {
			copy(panel[l*width:][:have], src[l*along:])
		}
	case along == 1:
		for x := range have {
			to := panel[x:]
			for l, v := range src[x*across:][:depth] {
				to[l*width] = v
			}
		}
	default:
		for l := range depth {
			for x := range have {
				panel[l*width+x] = src[x*across+l*along]
			}
		}
	}
}

// Tiles of the path in plain Go.
const (
	genericRows = 4
	genericCols = 4
)

// tileGeneric is a tile in plain Go.
func tileGeneric(c *float32, ldc int, a, b *float32, depth int) {
	cs, as, bs := span(c, (genericRows-1)*ldc+genericCols), span(a, depth*genericRows), span(b, depth*genericCols)
	var sum [genericRows][genericCols]float32
	for r := range sum {
		copy(sum[r][:], cs[r*ldc:])
	}
	for l := range depth {
		x, y := as[l*genericRows:][:genericRows], bs[l*genericCols:][:genericCols]
		for r := range sum {
			for j := range sum[r] {
				sum[r][j] += float32(x[r] * y[j])
			}
		}
	}
	for r := range sum {
		copy(cs[r*ldc:], sum[r][:])
	}
}

func span(p *float32, n int) []float32 { return unsafe.Slice(p, n) }
