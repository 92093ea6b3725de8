package enum

import (
	"math"
	"time"

	"kadanoff/kernels/isa"
)

// Rates are what the arithmetic of one core allows in a second, for comparison
// with what a path reaches: the operations of the inner loops in registers
// alone. Zero means that this build or machine cannot measure it.
type Rates struct {
	AddMin float64 // states of MinPlus: one add and one minimum
	MulAdd float64 // states of Product: one multiply-add
	Factor float64 // factors of Factors: one multiply-add and one product
}

// Probe measures the rates for a level, in a few milliseconds.
func Probe(level isa.Level) Rates { return probe(For(level).level) }

// probeChains is how many states a vector lane takes in a round of a probe.
const probeChains = 12

// rate returns how often a second f(n) does what it does work times in each of
// its n rounds: the best of several runs.
func rate(work float64, f func(n int)) float64 {
	const rounds = 10000
	best := math.Inf(1)
	for range 16 {
		start := time.Now()
		f(rounds)
		best = min(best, time.Since(start).Seconds())
	}
	return work * rounds / best
}
