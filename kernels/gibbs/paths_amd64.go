//go:build amd64 && !noasm

package gibbs

import "kadanoff/kernels/isa"

var kernels = []Kernel{
	{isa.Generic, generic{}},
	{isa.AVX2, eights{}},
	{isa.AVX512, avx512{}},
}
