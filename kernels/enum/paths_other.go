//go:build (!amd64 && !arm64) || noasm

package enum

import "kadanoff/kernels/isa"

func table() map[isa.Level]*Kernel {
	return map[isa.Level]*Kernel{isa.Generic: {isa.Generic, generic}}
}
