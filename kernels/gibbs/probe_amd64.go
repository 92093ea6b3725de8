//go:build amd64 && !noasm

package gibbs

import (
	"math"
	"time"

	"kadanoff/kernels/isa"
)

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

// rate returns how often a second f(n) does what it does work times in each
// of its n rounds: the best of several runs.
func rate(work float64, f func(n int)) float64 {
	const rounds = 4000
	best := math.Inf(1)
	for range 60 {
		start := time.Now()
		f(rounds)
		best = min(best, time.Since(start).Seconds())
	}
	return work * rounds / best
}
