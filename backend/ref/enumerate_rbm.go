package ref

import (
	"context"
	"math"

	"kadanoff/backend"
	"kadanoff/spin/fmath"
)

// EnumerateRBM visits every state of the smaller layer.
func (Backend) EnumerateRBM(ctx context.Context, job *backend.EnumerateRBMJob) (*backend.RBMEnumeration, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	s := job.States()
	var leaves []backend.RBMLeaf
	for leaf := range s.Leaves() {
		sum := rbmLeaf
		if s.Split == 0 {
			sum = (*backend.RBMStates).LeafByStates
		}
		f, err := sum(s, ctx, leaf, job.Moments)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, f)
	}
	return job.Finish(leaves)
}

// part returns the field of unit i from the units [lo, hi) alone.
func part(s *backend.RBMStates, i, lo, hi int, state uint64) int64 {
	u := int64(0)
	for a := lo; a < hi; a++ {
		u += int64(s.W[i*s.Units+a]) * sign(state, a)
	}
	return u
}

// weight returns e^(c·s − Σ u) of the units [lo, hi), the biases of the others
// included if wanted.
func weight(s *backend.RBMStates, lo, hi int, state uint64, biases bool) (float64, int64) {
	x := int64(0)
	for a := lo; a < hi; a++ {
		x += int64(s.Own[a]) * sign(state, a)
	}
	for i := range s.Others {
		x -= part(s, i, lo, hi, state)
		if biases {
			x -= int64(s.Bias[i])
		}
	}
	return backend.SplitExp(float64(x) * s.Unit)
}

// rbmLeaf sums a leaf as backend.RBMLeaf says.
func rbmLeaf(s *backend.RBMStates, ctx context.Context, leaf int, moments bool) (backend.RBMLeaf, error) {
	var f backend.RBMLeaf
	n, free := s.Units, s.G-s.Leaf
	rows, cols := min(8, 1<<s.L), min(16, 1<<free)
	double := func(u int64) float64 { return fmath.Exp(2 * float64(u) * s.Unit) }
	// tile calls f for each state of a tile with its product.
	type product struct {
		state    uint64
		mantissa float64
		exponent int64
	}
	tile := func(l0, g0 uint64) []product {
		var out []product
		for i := range uint64(rows) {
			for y := range uint64(cols) {
				p := product{state: (uint64(leaf)<<free|(g0+y))<<s.L | l0 + i, mantissa: 1}
				for u := range s.Others {
					low := double(int64(s.Bias[u]) + part(s, u, 0, s.L, p.state))
					high := double(part(s, u, s.L, n, p.state))
					p.mantissa *= math.FMA(low, high, 1)
					if (u+1)%s.Split == 0 || u+1 == s.Others {
						m, e := math.Frexp(p.mantissa)
						p.mantissa, p.exponent = 2*m, p.exponent+int64(e)-1
					}
				}
				lm, le := weight(s, 0, s.L, p.state, true)
				gm, ge := weight(s, s.L, n, p.state, false)
				p.mantissa = float64(float64(lm*gm) * p.mantissa)
				p.exponent += le + ge
				out = append(out, p)
			}
		}
		return out
	}
	each := func(do func(l0, g0 uint64, tile []product)) error {
		for g0 := uint64(0); g0 < 1<<free; g0 += uint64(cols) {
			if err := ctx.Err(); err != nil {
				return err
			}
			for l0 := uint64(0); l0 < 1<<s.L; l0 += uint64(rows) {
				do(l0, g0, tile(l0, g0))
			}
		}
		return nil
	}
	err := each(func(_, _ uint64, tile []product) {
		top := int64(math.MinInt64)
		for _, p := range tile {
			top = max(top, p.exponent)
		}
		var lane [8]float64
		for k, p := range tile {
			y := k % cols
			lane[y%8] = math.FMA(backend.ScaledBy(1, p.exponent-top), p.mantissa, lane[y%8])
		}
		f.Add(top, reduce(lane))
	})
	if err != nil || !moments {
		return f, err
	}
	m := backend.NewRBMMoments(s, leaf)
	err = each(func(l0, g0 uint64, tile []product) {
		w := make([]float64, 8*16)
		for k, p := range tile {
			w[k/cols*16+k%cols] = backend.ScaledBy(p.mantissa, p.exponent-f.Exponent)
		}
		block := int(l0 / 8)
		m.AddWeights(block, w)
		for u := range s.Others {
			var lane [8]float64
			for j := range cols {
				var r [8]float64
				for i := range rows {
					state := tile[i*cols+j].state
					low := double(int64(s.Bias[u]) + part(s, u, 0, s.L, state))
					r[i] = w[16*i+j] / math.FMA(low, double(part(s, u, s.L, n, state)), 1)
				}
				// Σ_i ± r_i, a balanced tree of neighbouring rows
				tree := func(bit int) float64 {
					at := func(i int) float64 {
						if bit >= 0 && i>>bit&1 == 0 {
							return -r[i]
						}
						return r[i]
					}
					return ((at(0) + at(1)) + (at(2) + at(3))) + ((at(4) + at(5)) + (at(6) + at(7)))
				}
				for k := range 4 {
					m.Panel[64*u+16*k+j] += tree(k - 1)
				}
				if x := tree(-1); j < 8 {
					lane[j] = x
				} else {
					lane[j-8] += x
				}
			}
			m.Total[block][u] += reduce(lane)
		}
		if l0+uint64(rows) == 1<<s.L {
			m.EndPanel(g0)
		}
	})
	f.Sums = m.Sums()
	return f, err
}
