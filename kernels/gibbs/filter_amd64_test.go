//go:build amd64 && !noasm

package gibbs

import "kadanoff/kernels/isa"

var vectorPaths = []vectorPath{
	{isa.AVX2, filter8of, draws8of},
	{isa.AVX512, filter512of, draws512of},
}

func filter512of(r *Rule) filter {
	sc := NewScratch()
	sc.factors512(r, 0, 1)
	return func(acc *[64]int32, random *[64]uint16) (up, tie uint64) {
		var a [64]int32
		for c, x := range acc {
			a[lane(c)] = x
		}
		for _, t := range sc.accept512(r, &up, &a[0], &random[0], 1, 0, 0, 0, 0, 0) {
			tie |= t >> 32 << (32 * (t & 1))
		}
		return up, tie
	}
}

func draws512of(r *Rule, group uint32) func(c, u int) uint16 {
	sc := NewScratch()
	sc.philox.start(r)
	sc.factors512(r, 0, 1)
	sc.random = grow(sc.random, 8*64)
	sc.philox.groups(group, 1)
	sc.draw512(&sc.random[0], r.Chain0, 1)
	return func(c, u int) uint16 { return sc.random[64*u+c] }
}
