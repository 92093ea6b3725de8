package roots

// ring is the target of a ring of M spins, as counts by pairs of walls.
type ring struct{ counts [][]dd }

// at fills q with the ring's weights at K > 0: with z = e^(−4K) a state with
// 2k walls weighs z^k, so
//
//	weight(|V| < M) = z·Σ_{k≥1} n(V,k) z^(k−1),  weight(M) = 2.
func (c *ring) at(k float64, q *target) {
	q.scale = dd{4 * k, 0}
	z, _ := q.scale.neg().expm1()
	var sum dd
	for j := 1; j < len(c.counts); j++ {
		n := c.counts[j]
		p := n[len(n)-1]
		for i := len(n) - 2; i >= 0; i-- {
			p = p.mul(z).add(n[i])
		}
		q.low[j], q.lowF[j] = p, p.hi
		sum = sum.add(p)
	}
	q.total = sum.mul(z).addFloat(2)
}

func newTarget(s *Size) *target {
	return &target{low: make([]dd, s.h+1), lowF: make([]float64, s.h+1)}
}
