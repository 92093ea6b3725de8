//go:build !amd64 || noasm

package gemm

import "kadanoff/kernels/isa"

var kernels = []Kernel{{level: isa.Generic, rows: genericRows, cols: genericCols, tile: tileGeneric}}
