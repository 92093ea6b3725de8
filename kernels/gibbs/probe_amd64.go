//go:build amd64 && !noasm

package gibbs

import "kadanoff/kernels/isa"

func probe(l isa.Level) Rates {
	r := Rates{Clock: rate(8*3, probeClock)}
	switch l {
	case isa.AVX512:
		r.FMA = rate(12*16, probeFMA512)
		r.Look = rate(12*16*group5, probePermute512)
		r.Limited = "VPERMI2D"
	case isa.AVX2:
		buf := grow[byte](nil, 12*32)
		r.FMA = rate(12*8, probeFMA256)
		r.Look = rate(12*8*6, func(n int) { probeLoad256(n, &buf[0]) })
		r.Limited = "VPADDD from L1"
	}
	return r
}
