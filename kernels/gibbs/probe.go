package gibbs

import "kadanoff/kernels/isa"

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
