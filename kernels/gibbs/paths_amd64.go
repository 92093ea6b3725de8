//go:build amd64 && !noasm

package gibbs

import "kadanoff/kernels/isa"

var kernels = []Kernel{
	{isa.Generic, generic{}},
	{isa.AVX2, eights{}},
	{isa.AVX512, avx512{slab512}},
}

// few is Kernel.Few of a level.
func few(level isa.Level) *Kernel {
	if level < isa.AVX512 || !hasFew {
		return nil
	}
	return &fewKernel
}

var fewKernel = Kernel{isa.AVX512, fewPath{avx512{fewSlab}}}

// still is Kernel.Still of a level.
func still(level isa.Level) *Kernel {
	if level < isa.AVX512 {
		return nil
	}
	return &stillKernel
}

var stillKernel = Kernel{isa.AVX512, sixteenPath{avx512{slab512}}}
