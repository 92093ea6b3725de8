//go:build arm64 && !noasm

package roots

import "kadanoff/kernels/isa"

func init() {
	kernels[isa.NEON] = &Kernel{isa.NEON, tableNEON, vectorSolve(8, newtonNEON, polishNEON)}
}
