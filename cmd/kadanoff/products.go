package main

import (
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	tensors "gorgonia.org/tensor"

	"kadanoff/kernels/gemm"
	"kadanoff/kernels/isa"
)

// products is the linear algebra of gorgonia: gonum's, but for products of
// float32 matrices, most of the time of a thermometer, of which gonum makes a
// twelfth as many. Its bits do not depend on the instruction set.
type products struct {
	gonum.Implementation
	kernel  *gemm.Kernel
	scratch *sync.Pool // of *gemm.Scratch
}

// useProducts gives gorgonia the products of an instruction set.
func useProducts(level isa.Level) { tensors.Use(newProducts(level)) }

func newProducts(level isa.Level) products {
	return products{kernel: gemm.For(level), scratch: &sync.Pool{New: func() any { return new(gemm.Scratch) }}}
}

// Sgemm is C = alpha·A·B + beta·C with A and B transposed as asked.
func (p products) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= beta
		}
	}
	matrix := func(x []float32, ld int, t blas.Transpose) gemm.Matrix {
		if t == blas.NoTrans {
			return gemm.Matrix{X: x, Row: ld, Col: 1}
		}
		return gemm.Matrix{X: x, Row: 1, Col: ld}
	}
	s := p.scratch.Get().(*gemm.Scratch)
	defer p.scratch.Put(s)
	p.kernel.Add(s, m, n, k, alpha, matrix(a, lda, tA), matrix(b, ldb, tB), c, ldc)
}
