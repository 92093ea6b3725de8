//go:build arm64 && !noasm

package gibbs

import "kadanoff/kernels/isa"

var kernels = []Kernel{
	{isa.Generic, generic{}},
	{isa.NEON, eights{}},
}
