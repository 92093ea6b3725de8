package ising

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// SampleRing writes independent configurations of a ring of spins with
// coupling K = J/T to dst, of shape [configurations][size], each exactly from
// the Boltzmann distribution: no chain has to come to equilibrium. On two
// spins the bond counts twice, on one it is the spin with itself.
//
// With the transfer matrix T(s, s') = e^(K s s'), whose n-th power is
// proportional to 1 + s s' tⁿ, t = tanh K, spin i+1 of a ring of M, given those
// before it, equals spin i with probability
//
//	½(1 + t)(1 + σ t^(n−1))/(1 + σ tⁿ),  σ = s_i s_0,  n = M − i.
//
// Configuration r depends on the seed and on first + r only. K = +Inf is
// the limit T = 0; K = −Inf has no limit of this form on an odd ring and is an
// error there.
func SampleRing(dst []int8, size int, k float64, seed, first uint64) error {
	if size < 1 || len(dst)%size != 0 {
		return fmt.Errorf("%d spins are no configurations of a ring of %d", len(dst), size)
	}
	if math.IsNaN(k) || math.IsInf(k, -1) && size%2 != 0 {
		return fmt.Errorf("coupling %v of a ring of %d spins: want a finite one", k, size)
	}
	same := ringProbabilities(size, k)
	for r := range len(dst) / size {
		sampleRing(dst[r*size:(r+1)*size], same, seed, first+uint64(r))
	}
	return nil
}

// sampleRing draws one configuration with the probabilities of
// ringProbabilities.
func sampleRing(dst []int8, same [][2]float64, seed, number uint64) {
	rng := rand.New(rand.NewPCG(seed, number))
	dst[0] = 1
	if rng.Uint64()>>63 != 0 {
		dst[0] = -1
	}
	for i := 1; i < len(dst); i++ {
		p := same[i-1][0]
		if dst[i-1] != dst[0] {
			p = same[i-1][1]
		}
		dst[i] = dst[i-1]
		if rng.Float64() >= p {
			dst[i] = -dst[i]
		}
	}
}

// ringProbabilities returns, for each i, the probability that spin i+1 equals
// spin i when spin i equals spin 0, and when it does not.
func ringProbabilities(size int, k float64) [][2]float64 {
	// ln |tanh K|, accurate for large |K|.
	logT := math.Log1p(-2 / (math.Exp(2*math.Abs(k)) + 1))
	factor := func(sign float64, n int) float64 { // 1 + sign·tⁿ
		if k < 0 && n%2 != 0 {
			sign = -sign
		}
		switch {
		case n == 0:
			return 1 + sign
		case sign < 0:
			return -math.Expm1(float64(n) * logT)
		}
		return 1 + math.Exp(float64(n)*logT)
	}
	p := make([][2]float64, size-1)
	for i := range p {
		n := size - i
		for j, sigma := range []float64{1, -1} {
			stay, turn := factor(1, 1)*factor(sigma, n-1), factor(-1, 1)*factor(-sigma, n-1)
			// Both are 0 where spin i cannot be what it is.
			if p[i][j] = 1; turn > 0 {
				p[i][j] = stay / (stay + turn)
			}
		}
	}
	return p
}
