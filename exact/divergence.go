package exact

import (
	"fmt"
	"math"
)

// RingStates returns the probabilities of all 2^M states of a ring of M spins
// at coupling K, M ≤ MaxListed; bit i of a state is spin i.
func RingStates(m int, k float64) ([]float64, error) {
	r, err := NewRing(m, k)
	if err != nil {
		return nil, err
	}
	if m > MaxListed {
		return nil, fmt.Errorf("listing the states of a ring of %d spins: want at most %d", m, MaxListed)
	}
	logZ := r.LogZ()
	p := make([]float64, 1<<m)
	for s := range p {
		bonds := 0.0
		for i := range m {
			bonds += spin(s, i) * spin(s, (i+1)%m)
		}
		p[s] = math.Exp(k*bonds - logZ)
	}
	return p, nil
}

// Divergence returns the Kullback–Leibler divergence Σ q ln(q/p), in nats,
// from the distribution q over visible states (as VisibleDistribution lists
// them) to the machine's own, and its gradient, added up in the fields of an
// RBM of the same shape:
//
//	∂KL/∂W_ia = ⟨v_i h_a⟩_p − ⟨v_i h_a⟩_q, and so for the biases,
//
// where h has its conditional distribution under q (eqs 20–22, 34, 35). States
// with q = 0 count nothing.
func (r RBM) Divergence(q []float64) (kl float64, gradient RBM, err error) {
	p, err := r.VisibleDistribution()
	if err != nil {
		return 0, RBM{}, err
	}
	if len(q) != len(p) {
		return 0, RBM{}, fmt.Errorf("%d probabilities for the states of %d visible units: want %d", len(q), r.Visible, len(p))
	}
	g := RBM{Visible: r.Visible, Hidden: r.Hidden,
		W: make([]float64, len(r.W)), B: make([]float64, len(r.B)), C: make([]float64, len(r.C))}
	v, h := make([]float64, r.Visible), make([]float64, r.Hidden)
	for s := range p {
		kl += divergenceTerm(q[s], p[s])
		for i := range v {
			v[i] = spin(s, i)
		}
		r.HiddenMeans(h, v)
		d := p[s] - q[s]
		for i := range v {
			g.B[i] += d * v[i]
			for a := range h {
				g.W[i*r.Hidden+a] += d * v[i] * h[a]
			}
		}
		for a := range h {
			g.C[a] += d * h[a]
		}
	}
	return kl, g, nil
}

// divergenceTerm returns q ln(q/p) − q + p ≥ 0, precise also where p is near q.
func divergenceTerm(q, p float64) float64 {
	if q == 0 {
		return p
	}
	t := (p - q) / q
	if math.Abs(t) < 1e-3 {
		// t − ln(1+t) = t²/2 − t³/3 + …
		sum, power := 0.0, t*t
		for n := 2.0; n < 8; n++ {
			sum += power / n
			power *= -t
		}
		return q * sum
	}
	return q*math.Log(q/p) + (p - q)
}
