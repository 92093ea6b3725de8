//go:build amd64 && !noasm

package gemm

import "kadanoff/kernels/isa"

// The same tile of 10 × 2 vectors of AVX-512 is a tenth slower on Zen 4, whose
// units are 256 bits wide.
var kernels = []Kernel{
	{level: isa.Generic, rows: genericRows, cols: genericCols, tile: tileGeneric},
	{level: isa.AVX2, rows: 6, cols: 16, tile: tileAVX2},
}
