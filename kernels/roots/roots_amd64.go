//go:build amd64 && !noasm

package roots

import "kadanoff/kernels/isa"

func init() {
	kernels[isa.AVX2] = &Kernel{isa.AVX2, tableAVX2, vectorSolve(8, newtonAVX2, polishAVX2)}
	kernels[isa.AVX512] = &Kernel{isa.AVX512, tableAVX512, vectorSolve(16, newtonAVX512, polishAVX512)}
}
