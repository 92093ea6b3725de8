//go:build amd64 && !noasm

package enum

import "kadanoff/kernels/isa"

func probe(l isa.Level) Rates {
	switch l {
	case isa.AVX512:
		return Rates{rate(16*probeChains, probeAddMinAVX512), rate(8*probeChains, probeMulAddAVX512), rate(8*probeChains, probeFactorAVX512)}
	case isa.AVX2:
		return Rates{rate(8*probeChains, probeAddMinAVX2), rate(4*probeChains, probeMulAddAVX2), rate(4*probeChains, probeFactorAVX2)}
	}
	return Rates{}
}
