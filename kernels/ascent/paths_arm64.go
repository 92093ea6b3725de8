//go:build arm64 && !noasm

package ascent

import "kadanoff/kernels/isa"

func table() []Kernel {
	return []Kernel{
		{isa.Generic, nil, nil},
		{isa.NEON, rowNEON, addNEON},
	}
}
