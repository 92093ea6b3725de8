//go:build (!amd64 && !arm64) || noasm

package gibbs

import "kadanoff/kernels/isa"

var kernels = []Kernel{{isa.Generic, generic{}}}

// few is Kernel.Few of a level.
func few(isa.Level) *Kernel { return nil }

// still is Kernel.Still of a level.
func still(isa.Level) *Kernel { return nil }
