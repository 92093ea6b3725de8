package rg

import (
	"fmt"
	"math"

	"kadanoff/model/rbm"
)

// BondRBM returns the RBM with one hidden unit on each bond of a ring of m
// spins, m ≥ 3, whose visible layer is the ring at coupling K ≥ 0 exactly (up
// to the float32 of its weights): hidden unit j joins spins j and j+1 with
// W = artanh √(tanh K) = ½ arcosh e^{2K}. It is a decimation backwards: visible
// and hidden units together are a ring of 2m spins at coupling W.
func BondRBM(m int, k float64) (*rbm.RBM, error) {
	if m < 3 {
		return nil, fmt.Errorf("ring of %d spins: want at least 3", m)
	}
	w, err := BondWeight(k)
	if err != nil {
		return nil, err
	}
	r := rbm.New(m, m)
	for j := range m {
		r.W[j*m+j] = float32(w)
		r.W[(j+1)%m*m+j] = float32(w)
	}
	return r, nil
}

// BondWeight returns ½ arcosh e^{2K}, K ≥ 0, which Decimate takes back to K.
func BondWeight(k float64) (float64, error) {
	if !(k >= 0) || math.IsInf(k, 1) {
		return 0, fmt.Errorf("K = %v: want a finite number of at least 0", k)
	}
	if k > 300 {
		return k + math.Ln2/2, nil // e^{−4K} is below any rounding
	}
	// arcosh x = ln(1 + y + √(y(y+2))), y = x − 1
	y := math.Expm1(2 * k)
	return 0.5 * math.Log1p(y+math.Sqrt(y*(y+2))), nil
}

// SublatticeRBM returns the RBM with m/2 hidden units, hidden j joined to spins
// 2j, 2j+1 and 2j+2 of a ring of m spins with weights K, w, K; m is even and at
// least 4. As w → ∞ each hidden unit copies the spin between its neighbours, so
// the visible layer becomes the ring at coupling K and the hidden layer the
// decimated ring.
func SublatticeRBM(m int, k, w float64) (*rbm.RBM, error) {
	if m < 4 || m%2 != 0 {
		return nil, fmt.Errorf("ring of %d spins: want an even number of at least 4", m)
	}
	if math.IsNaN(k) || math.IsInf(k, 0) || !(w >= 0) || math.IsInf(w, 1) {
		return nil, fmt.Errorf("K = %v and w = %v: want finite numbers, w of at least 0", k, w)
	}
	n := m / 2
	r := rbm.New(m, n)
	for j := range n {
		r.W[2*j*n+j] += float32(k)
		r.W[(2*j+1)*n+j] += float32(w)
		r.W[(2*j+2)%m*n+j] += float32(k)
	}
	return r, nil
}
