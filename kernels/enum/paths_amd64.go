//go:build amd64 && !noasm

package enum

import "kadanoff/kernels/isa"

func table() map[isa.Level]*Kernel {
	return map[isa.Level]*Kernel{
		isa.Generic: {isa.Generic, generic},
		isa.AVX2: {isa.AVX2, paths{
			minPlus:    minPlusAVX2,
			countEqual: countEqualAVX2,
			product:    productAVX2,
			trace:      traceAVX2,
			addRows16:  addRows16AVX2,
			addRows32:  addRows32AVX2,
			boltzmann:  boltzmannAVX2,
			exp:        expAVX2,
			factors:    factorsAVX2,
			scaledSum:  scaledSumAVX2,
			responses:  responsesAVX2,
			count:      count,
		}},
		isa.AVX512: {isa.AVX512, paths{
			minPlus:    minPlusAVX512,
			countEqual: countEqualAVX512,
			product:    productAVX512,
			trace:      traceAVX512,
			addRows16:  addRows16AVX512,
			addRows32:  addRows32AVX512,
			boltzmann:  boltzmannAVX512,
			exp:        expAVX512,
			factors:    factorsAVX512,
			scaledSum:  scaledSumAVX512,
			responses:  responsesAVX512,
			count:      count,
		}},
	}
}

func count(table []uint32, index []int32) { countAMD64(&table[0], &index[0], len(index)) }
