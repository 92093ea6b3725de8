//go:build arm64 && !noasm

package gibbs

import "kadanoff/kernels/isa"

var vectorPaths = []vectorPath{{isa.NEON, filter8of, draws8of}}
