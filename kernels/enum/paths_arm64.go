//go:build arm64 && !noasm

package enum

import "kadanoff/kernels/isa"

func table() map[isa.Level]*Kernel {
	return map[isa.Level]*Kernel{
		isa.Generic: {isa.Generic, generic},
		isa.NEON: {isa.NEON, paths{
			minPlus:    minPlusNEON,
			countEqual: countEqualNEON,
			product:    productNEON,
			trace:      traceNEON,
			addRows16:  addRows16NEON,
			addRows32:  addRows32NEON,
			boltzmann:  boltzmannNEON,
			exp:        expNEON,
			factors:    factorsNEON,
			scaledSum:  scaledSumNEON,
			responses:  responsesNEON,
			count:      count,
		}},
	}
}

func count(table []uint32, index []int32) { countNEON(&table[0], &index[0], len(index)) }
