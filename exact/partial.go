package exact

import (
	"fmt"
	"math"
)

// PartialMoments returns ln Z and the moments of all hidden units and of the
// visible units listed, for machines whose visible layer is too large for all
// its pairs: V, VV and VH have an entry for each unit listed, in that order.
// The hidden layer, at most MaxEnumerated units, is summed over.
func (r RBM) PartialMoments(visible []int) (*Moments, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Hidden > MaxEnumerated {
		return nil, fmt.Errorf("summing over %d hidden units: want at most %d", r.Hidden, MaxEnumerated)
	}
	for _, i := range visible {
		if i < 0 || i >= r.Visible {
			return nil, fmt.Errorf("visible unit %d: want 0 to %d", i, r.Visible-1)
		}
	}
	l := r.overHidden()
	logs, logZ := l.logWeights()
	nv, nh := len(visible), r.Hidden
	m := &Moments{LogZ: logZ, V: make([]float64, nv), H: make([]float64, nh),
		VV: make([]float64, nv*nv), HH: make([]float64, nh*nh), VH: make([]float64, nv*nh)}
	mean := make([]float64, nv)
	l.each(func(s int, _ float64, fields []float64) {
		p := math.Exp(logs[s] - logZ)
		if p == 0 {
			return
		}
		for k, i := range visible {
			mean[k] = math.Tanh(fields[i])
			m.V[k] += p * mean[k]
			for j := range k {
				m.VV[k*nv+j] += p * mean[k] * mean[j]
			}
		}
		for a := range nh {
			h := p * spin(s, a)
			m.H[a] += h
			for b := range a {
				m.HH[a*nh+b] += h * spin(s, b)
			}
			for k, x := range mean {
				m.VH[k*nh+a] += h * x
			}
		}
	})
	mirror(m.VV, nv)
	mirror(m.HH, nh)
	return m, nil
}
