//go:build (!amd64 && !arm64) || noasm

package elem

import "kadanoff/kernels/isa"

var kernels = []Kernel{{level: isa.Generic}}
