//go:build amd64 && !noasm

package gibbs

import (
	"math"

	"kadanoff/spin/philox"
)

// What the vector paths share.

// vectorScratch is the part of Scratch that only they use.
type vectorScratch struct {
	philox  philoxState
	keys    [22][4]uint64 // keys of philox, repeated four times
	block   []byte        // working memory of the random numbers
	random  []uint16      // high halves of the draws of a slab
	rows    []uint16      // the same in rows of chains
	factors []float32     // what takes fields to 13 fraction bits
	ties    []uint64      // what the filter leaves: number of 32 spins below, set of spins above
	table   []byte        // tables of a block of groups
	bytes   []uint8       // spins of eight units, a byte for each chain
}

// constant returns what is added to a·M before the shift.
func (m *Mix) constant(u int) int64 {
	c := int64(1 << 23)
	if m.Base != nil {
		c += int64(m.Base[u]) * int64(1<<24-m.M)
	}
	return c
}

// factor returns what takes a field to 13 fraction bits at a β.
func factor(beta uint64, frac uint) float32 {
	return float32(math.Ldexp(float64(beta), -11-int(frac)))
}

// philoxState is what the draws of a step share: the keys of the rounds,
// constants of the first two, and what depends on a group alone.
type philoxState struct {
	keys    [22]uint64 // k0, k1 of each round; then constants of rounds 0 and 1
	high    uint32     // high half of Mul1·sweep
	stream  uint32
	uniform [slab512 / 8][2]uint64
}

func (p *philoxState) start(r *Rule) {
	k := r.Key
	for i := range philox.Rounds {
		p.keys[2*i], p.keys[2*i+1] = uint64(k[0]), uint64(k[1])
		k[0] += philox.Weyl0
		k[1] += philox.Weyl1
	}
	m := philox.Mul1 * (r.Sweep & math.MaxUint32)
	p.keys[20] = r.Sweep>>32 ^ p.keys[1]
	p.keys[21] = m&math.MaxUint32 ^ p.keys[2]
	p.high = uint32(m >> 32)
	p.stream = uint32(r.Stream) << 24
}

// groups sets uniform for n groups of eight units.
func (p *philoxState) groups(first uint32, n int) {
	for i := range n {
		c0 := p.high ^ (first + uint32(i) | p.stream) ^ uint32(p.keys[0])
		m := philox.Mul0 * uint64(c0)
		p.uniform[i] = [2]uint64{m>>32 ^ p.keys[3], m & math.MaxUint32}
	}
}

// decide applies the exact rule to a spin of which the field and the high half
// of the draw are known.
func (r *Rule) decide(a int32, high uint16, u, c int) uint64 {
	low := func() uint32 {
		return uint32(philox.Low16(r.Key, r.Stream, r.Chain0+uint32(c), r.Unit+uint32(u), r.Sweep))
	}
	return decider{r.beta(c), r.Frac}.up(a, uint32(high), low)
}
