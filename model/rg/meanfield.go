package rg

import (
	"fmt"
	"math"

	"kadanoff/model/rbm"
)

// Reconstruct writes to dst the mean-field image of a real-valued visible
// configuration through an RBM (eqs 50, 51):
//
//	h = tanh(Wᵀv + c),   v′ = tanh(W h + b).
//
// dst and v have the machine's visible size and may be the same slice; the
// hidden means are returned. Repeated, this is the RBM's flow. Bulk runs of it
// are the Means job of a backend.
func Reconstruct(dst, v []float64, r *rbm.RBM) (hidden []float64) {
	if len(dst) != r.Visible || len(v) != r.Visible {
		panic(fmt.Sprintf("rg: %d and %d values for %d visible units", len(dst), len(v), r.Visible))
	}
	hidden = make([]float64, r.Hidden)
	for a, c := range r.C {
		hidden[a] = float64(c)
	}
	for i, x := range v {
		for a, w := range r.W[i*r.Hidden : (i+1)*r.Hidden] {
			hidden[a] = math.FMA(float64(w), x, hidden[a])
		}
	}
	for a, x := range hidden {
		hidden[a] = math.Tanh(x)
	}
	for i, b := range r.B {
		x := float64(b)
		for a, w := range r.W[i*r.Hidden : (i+1)*r.Hidden] {
			x = math.FMA(float64(w), hidden[a], x)
		}
		dst[i] = math.Tanh(x)
	}
	return hidden
}
