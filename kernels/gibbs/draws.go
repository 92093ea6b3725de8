package gibbs

import (
	"math"

	"kadanoff/spin/philox"
)

// philoxState is what the draws of a step share: the keys of the rounds,
// constants of the first two, and what depends on a group alone.
type philoxState struct {
	keys    [22]uint64 // k0, k1 of each round; then constants of rounds 0 and 1
	high    uint32     // high half of Mul1·sweep
	stream  uint32
	uniform [UnitBlock / 8][2]uint64
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

// block returns the four words of a chain in the i-th group of uniform.
func (p *philoxState) block(chain uint32, i int) (c0, c1, c2, c3 uint32) {
	y := philox.Mul0 * uint64(chain)
	q := philox.Mul1 * uint64(uint32(y>>32)^uint32(p.keys[20]))
	c0, c1 = uint32(q>>32)^uint32(p.keys[21]), uint32(q)
	c2, c3 = uint32(y)^uint32(p.uniform[i][0]), uint32(p.uniform[i][1])
	for r := 4; r < 2*philox.Rounds; r += 2 {
		p0, p1 := philox.Mul0*uint64(c0), philox.Mul1*uint64(c2)
		c0, c1 = uint32(p1>>32)^c1^uint32(p.keys[r]), uint32(p1)
		c2, c3 = uint32(p0>>32)^c3^uint32(p.keys[r+1]), uint32(p0)
	}
	return c0, c1, c2, c3
}
