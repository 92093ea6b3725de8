package ref

import (
	"context"
	"math"

	"kadanoff/backend"
	"kadanoff/spin/fmath"
)

// Energy computes E = −Σ W_ij s_i s_j − Σ Bias_i s_i of each chain.
func (Backend) Energy(ctx context.Context, job backend.EnergyJob, dst []int64) error {
	if err := job.CheckContext(ctx, dst); err != nil {
		return err
	}
	n, s := job.Network, job.States
	for c := range dst {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := int64(0)
		for u, b := range n.Bias {
			e -= int64(b) * spinOf(s, u, c)
		}
		for k := range n.Blocks {
			b := &n.Blocks[k]
			fa, fb := n.First(b.A), n.First(b.B)
			b.Each(n.Layers[b.B], func(i, j int, w int32) {
				if b.A != b.B || i < j { // pairs inside a layer are stored twice
					e -= int64(w) * spinOf(s, fa+i, c) * spinOf(s, fb+j, c)
				}
			})
		}
		dst[c] = e
	}
	return nil
}

// FreeEnergy computes F(v) = −Σ_i b_i v_i − Σ_a ln 2cosh(c_a + Σ_i W_ia v_i) of
// each chain at each point of the path.
func (Backend) FreeEnergy(ctx context.Context, job backend.FreeEnergyJob, dst []float64) error {
	if err := job.CheckContext(ctx, dst); err != nil {
		return err
	}
	n, s := job.Network, job.States
	summed, given := job.Summed, 1-job.Summed
	fs, fg := n.First(summed), n.First(given)
	base, mix := job.Base, job.Mix
	if mix == nil {
		mix = []uint32{backend.MixOne}
	}
	if base == nil {
		base = make([]int32, n.Units())
	}
	w, hidden := n.Blocks[0].W, n.Layers[1]
	unit := math.Ldexp(1, -int(n.Frac))
	x := make([]float64, n.Layers[summed])
	for c := range s.Chains {
		if err := ctx.Err(); err != nil {
			return err
		}
		var b1, b0 int64
		for i := range s.Units {
			b1 += int64(n.Bias[fg+i]) * spinOf(s, i, c)
			b0 += int64(base[fg+i]) * spinOf(s, i, c)
		}
		for p, m := range mix {
			at := math.Ldexp(float64(m), -24)
			for a := range x {
				field := int64(n.Bias[fs+a])
				for i := range s.Units {
					row, col := i, a
					if summed == 0 {
						row, col = a, i
					}
					field += int64(w[row*hidden+col]) * spinOf(s, i, c)
				}
				x[a] = math.FMA(float64(field), at, float64(float64(base[fs+a])*(1-at))) * unit
			}
			dst[p*s.Chains+c] = -(float64(math.FMA(float64(b1), at, float64(float64(b0)*(1-at)))*unit) + fmath.SumLnCosh2(x))
		}
	}
	return nil
}

// Means iterates h = tanh(c + Wᵀv), v = tanh(b + W h). Each field is one chain
// of fused multiply-adds in ascending order of the units heard, beginning with
// the bias, in units of the last fraction bit.
func (Backend) Means(ctx context.Context, job backend.MeansJob) error {
	if err := job.CheckContext(ctx); err != nil {
		return err
	}
	n := job.Network
	visible, hidden, w := n.Layers[0], n.Layers[1], n.Blocks[0].W
	unit := math.Ldexp(1, -int(n.Frac))
	h := make([]float64, hidden)
	for c := range job.Chains {
		v := job.Visible[c*visible : (c+1)*visible]
		for range job.Steps {
			if err := ctx.Err(); err != nil {
				return err
			}
			for a := range h {
				f := float64(n.Bias[visible+a])
				for i, x := range v {
					f = math.FMA(float64(w[i*hidden+a]), x, f)
				}
				h[a] = fmath.Tanh(f * unit)
			}
			for i := range v {
				f := float64(n.Bias[i])
				for a, x := range h {
					f = math.FMA(float64(w[i*hidden+a]), x, f)
				}
				v[i] = fmath.Tanh(f * unit)
			}
		}
		if job.Hidden != nil {
			copy(job.Hidden[c*hidden:(c+1)*hidden], h)
		}
	}
	return nil
}
