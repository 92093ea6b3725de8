//go:build arm64 && !noasm

package elem

import "kadanoff/kernels/isa"

var kernels = []Kernel{
	{level: isa.Generic},
	{level: isa.NEON, lanes: 8, coshRun: coshRunNEON, tanh: tanhNEON, axpy: axpyNEON},
}
