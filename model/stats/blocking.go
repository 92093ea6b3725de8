package stats

import (
	"errors"
	"math"
)

// Block is the estimate of a mean's error at one block length.
type Block struct {
	Length     int     // measurements averaged into each block
	Blocks     int     // complete blocks
	Error      float64 // √(variance of the block means / blocks)
	ErrorError float64 // Error/√(2(blocks − 1)), the error of Error
}

// Blocking returns the naive error of the mean of x over blocks of 1, 2, 4, …
// measurements, down to two blocks (Flyvbjerg and Petersen). The error grows
// with the block length until blocks are independent and is flat from there.
// Measurements at the end that fill no block are left out at that length.
func Blocking(x []float64) []Block {
	var out []Block
	b := append([]float64(nil), x...)
	for length := 1; len(b) >= 2; length *= 2 {
		m := mean([][]float64{b})
		s := 0.0
		for _, v := range b {
			s += (v - m) * (v - m)
		}
		k := float64(len(b))
		e := math.Sqrt(s / (k * (k - 1)))
		out = append(out, Block{Length: length, Blocks: len(b), Error: e, ErrorError: e / math.Sqrt(2*(k-1))})
		for i := 0; i+1 < len(b); i += 2 {
			b[i/2] = (b[i] + b[i+1]) / 2
		}
		b = b[:len(b)/2]
	}
	return out
}

// Plateau picks the error of the mean from a blocking analysis: the first
// block length B with B³ > 2N·R², where R is the ratio of the error at that
// length to the naive error (U. Wolff; R. M. Lee et al., Phys. Rev. E 83
// (2011) 066706, eq. 8). It fails when no length meets the rule: the series is
// then too short for its autocorrelation time and the largest error seen is
// returned as a lower bound.
func Plateau(blocks []Block) (Block, error) {
	if len(blocks) == 0 {
		return Block{}, errNoChains
	}
	n := float64(blocks[0].Blocks)
	worst := blocks[0]
	for _, b := range blocks {
		if b.Error > worst.Error {
			worst = b
		}
		ratio := 1.0
		if blocks[0].Error > 0 {
			ratio = b.Error / blocks[0].Error
		}
		l := float64(b.Length)
		if l*l*l > 2*n*ratio*ratio*ratio*ratio {
			return b, nil
		}
	}
	return worst, errors.New("stats: no plateau in the blocked errors: the series is too short")
}
