//go:build arm64 && !noasm

package elem

import "kadanoff/kernels/isa"

var kernels = []Kernel{
	{level: isa.Generic},
	{level: isa.NEON, lanes: 8, addLnCosh2: addLnCosh2NEON, tanh: tanhNEON, axpy: axpyNEON},
}
