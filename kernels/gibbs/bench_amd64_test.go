//go:build amd64 && !noasm

package gibbs

import (
	"testing"
	"unsafe"

	"kadanoff/kernels/isa"
)

// The look-ups alone, tables and indices ready, at 784×512×1024. Goal: 80 % of
// the rate of VPERMI2D with AVX-512, 2.5 times the FMA peak with AVX2.
func BenchmarkLookups(b *testing.B) {
	const in, out, words = 784, 512, 16
	macs := float64(in * out * words * 64)
	if isa.Has(isa.AVX512) {
		b.Run("avx512", func(b *testing.B) {
			const groups = (in + group5 - 1) / group5
			table, acc := grow[int32](nil, groupBlock5*unitBlock5*32), grow[int32](nil, words*slab512*64)
			for i := range table {
				table[i] = int32(i) // untouched memory would be one page of zeros many times over
			}
			index := grow[uint32](nil, words*groups*64)
			for i := range index {
				index[i] = uint32(i * 2654435761 >> 7)
			}
			measure(b, For(isa.AVX512), out*words*64, macs, 0, func() {
				for u := 0; u < out; u += slab512 {
					for g := 0; g < groups; g += groupBlock5 {
						n := min(groupBlock5, groups-g)
						for v := u; v < min(out, u+slab512); v += unitBlock5 {
							sums4AVX512(&acc[(v-u)*64], &table[0], &index[g*64], n, words, 4*64*slab512, groups*256, nil)
						}
					}
				}
			})
		})
	}
	if isa.Has(isa.AVX2) {
		b.Run("avx2", func(b *testing.B) {
			const groups = (in + group6 - 1) / group6
			table, acc := grow[int32](nil, groupBlock6*64*8), grow[int32](nil, words*64*8)
			for i := range table {
				table[i] = int32(i)
			}
			index := grow[uint16](nil, words*groups*64)
			for i := range index {
				index[i] = uint16(i*2654435761>>7) & 63 * 32
			}
			measure(b, For(isa.AVX2), out*words*64, macs, 0, func() {
				for u := 0; u < out; u += 8 {
					for g := 0; g < groups; g += groupBlock6 {
						sums8(&acc[0], &table[0], (*uint16)(unsafe.Pointer(&index[g*64])), min(groupBlock6, groups-g), words, groups*128, nil)
					}
				}
			})
		})
	}
}
