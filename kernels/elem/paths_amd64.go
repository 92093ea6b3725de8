//go:build amd64 && !noasm

package elem

import "kadanoff/kernels/isa"

var kernels = []Kernel{
	{level: isa.Generic},
	{level: isa.AVX2, lanes: 4, coshRun: coshRunAVX2, tanh: tanhAVX2, axpy: axpyAVX2},
	{level: isa.AVX512, lanes: 8, coshRun: coshRunAVX512, tanh: tanhAVX512, axpy: axpyAVX512},
}
