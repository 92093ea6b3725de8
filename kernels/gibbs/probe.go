package gibbs

import (
	"math"
	"time"

	"kadanoff/kernels/isa"
)

// Rates are what one core does a second at best, for comparison with what a
// path reaches. Zero means that this build or machine cannot measure it.
type Rates struct {
	Clock   float64 // cycles
	FMA     float64 // float32 multiply-adds with the widest registers of the level
	Look    float64 // weights applied by the look-ups alone that limit the path's sums
	Limited string  // the instruction that Look counts
}

// Probe measures the rates for a level, in a few milliseconds.
func Probe(level isa.Level) Rates { return probe(For(level).level) }

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
