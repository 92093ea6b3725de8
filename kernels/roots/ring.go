package roots

import "kadanoff/spin/fmath"

// ring is the target of a ring of M spins, as counts by pairs of walls.
type ring struct{ counts [][]fmath.DD }

// at fills q with the ring's weights at K > 0: with z = e^(−4K) a state with
// 2k walls weighs z^k, so
//
//	weight(|V| < M) = z·Σ_{k≥1} n(V,k) z^(k−1),  weight(M) = 2.
func (c *ring) at(k float64, q *target) {
	q.scale = fmath.DD{Hi: 4 * k}
	z, _ := q.scale.Neg().ExpComplement()
	var sum fmath.DD
	for j := 1; j < len(c.counts); j++ {
		n := c.counts[j]
		p := n[len(n)-1]
		for i := len(n) - 2; i >= 0; i-- {
			p = p.Mul(z).Add(n[i])
		}
		q.low[j], q.lowF[j] = p, p.Hi
		sum = sum.Add(p)
	}
	q.total = sum.Mul(z).AddFloat(2)
}

func newTarget(s *Size) *target {
	return &target{low: make([]fmath.DD, s.h+1), lowF: make([]float64, s.h+1)}
}
