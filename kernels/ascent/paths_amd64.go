//go:build amd64 && !noasm

package ascent

import "kadanoff/kernels/isa"

func table() []Kernel {
	return []Kernel{
		{isa.Generic, nil, nil},
		{isa.AVX2, rowAVX2, addAVX2},
		{isa.AVX512, rowAVX512, addAVX512},
	}
}
