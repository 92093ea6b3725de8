//go:build (!amd64 && !arm64) || noasm

package ascent

import "kadanoff/kernels/isa"

func table() []Kernel { return []Kernel{{isa.Generic, nil, nil}} }
