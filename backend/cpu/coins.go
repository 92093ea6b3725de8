package cpu

import (
	"context"

	"kadanoff/kernels/gibbs"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// coins are fair tosses for rows of new chains: those of unit u of the rows are
// draws of unit first+u, and bit c of chain0+c, for from ≤ c < to. The bits are
// zero before. The high bit of a draw decides.
type coins struct {
	rows     gibbs.Rows
	first    uint32 // a multiple of eight
	key      philox.Key
	chain0   uint32
	from, to int
	sweep    uint64
}

// coinWords is how many words of eight rows an item of tosses takes.
const coinWords = 256

// toss tosses the coins, on the whole team.
func (b *Backend) toss(ctx context.Context, c coins) error {
	groups, w0, w1 := (c.rows.N+7)/8, c.from/64, (c.to+63)/64
	parts := (w1 - w0 + coinWords - 1) / coinWords
	return b.each(ctx, groups*parts, func(_, i int) {
		group, at := i/parts, w0+i%parts*coinWords
		for w := at; w < min(w1, at+coinWords); w++ {
			c.word(group, w)
		}
	})
}

// word tosses for a word of eight units.
func (c *coins) word(group, w int) {
	mask := ^uint64(0)
	if 64*w < c.from {
		mask &^= 1<<(c.from-64*w) - 1
	}
	if 64*w+64 > c.to {
		mask &= spin.TailMask(c.to)
	}
	var up [8]uint64
	for k := range 64 {
		block := philox.Block(philox.Counter(philox.Init, c.chain0+uint32(64*w+k), c.first>>3+uint32(group), c.sweep), c.key)
		for u := range up {
			up[u] |= uint64(^block[u>>1]>>(15+u&1*16)&1) << k
		}
	}
	for u := range min(8, c.rows.N-8*group) {
		c.rows.Row(8*group + u)[w] |= up[u] & mask
	}
}
