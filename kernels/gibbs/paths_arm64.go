//go:build arm64 && !noasm

package gibbs

import "kadanoff/kernels/isa"

var kernels = []Kernel{
	{isa.Generic, generic{}},
	{isa.NEON, eights{}},
}

// few is Kernel.Few of a level.
func few(isa.Level) *Kernel { return nil }

// fewScratch is the part of Scratch that lists of spins that are up take.
type fewScratch struct{}

// still is Kernel.Still of a level.
func still(isa.Level) *Kernel { return nil }
