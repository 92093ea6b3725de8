package hopfield

import (
	"fmt"
	"math"
)

// Patterns are ±1 configurations to store, row after row.
type Patterns struct {
	N int    // units of each
	X []int8 // [patterns][N]
}

// Count returns the number of patterns.
func (p Patterns) Count() int { return len(p.X) / p.N }

// Row returns a pattern.
func (p Patterns) Row(k int) []int8 { return p.X[k*p.N : (k+1)*p.N] }

// Check reports patterns that are not whole or hold anything but ±1.
func (p Patterns) Check() error {
	if p.N < 1 || len(p.X) == 0 || len(p.X)%p.N != 0 {
		return fmt.Errorf("%d spins are no patterns of %d units", len(p.X), p.N)
	}
	for i, x := range p.X {
		if x != 1 && x != -1 {
			return fmt.Errorf("pattern %d: unit %d is %d, want +1 or -1", i/p.N, i%p.N, x)
		}
	}
	return nil
}

// HebbCapacity is the load, patterns for each unit, above which random
// patterns stored by Hebb's rule are lost, in the limit of large networks:
// the value of mean-field theory with replica symmetry (D. J. Amit,
// H. Gutfreund, H. Sompolinsky, Phys. Rev. Lett. 55 (1985) 1530).
const HebbCapacity = 0.138

// Hebb returns the network with w_ij = η Σ_n x_i x_j and w_ii = 0 (eq 16), and
// no biases. η must be above 0 and finite.
func Hebb(p Patterns, eta float64) (*Net, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if !(eta > 0) || math.IsInf(eta, 0) {
		return nil, fmt.Errorf("learning rate %v: want a finite number above 0", eta)
	}
	n := &Net{N: p.N, W: make([]int32, p.N*p.N), Bias: make([]int32, p.N), Scale: eta}
	count := p.Count()
	if int64(p.N)*int64(count) >= 1<<30 {
		return nil, fmt.Errorf("%d patterns of %d units: want a product below 2³⁰", count, p.N)
	}
	// Agreements are counted 64 patterns at a time.
	words := (count + 63) / 64
	up := make([]uint64, p.N*words)
	for k := range count {
		for i, x := range p.Row(k) {
			if x > 0 {
				up[i*words+k/64] |= 1 << (k % 64)
			}
		}
	}
	for i := range p.N {
		for j := range i {
			w := int32(count - 2*differences(up[i*words:(i+1)*words], up[j*words:(j+1)*words]))
			n.W[i*p.N+j], n.W[j*p.N+i] = w, w
		}
	}
	return n, n.Check()
}

// PseudoInverse returns the network whose couplings are the projection onto
// the space of the patterns,
//
//	w_ij = (1/N) Σ_kl x_i^k (Q⁻¹)_kl x_j^l,  Q_kl = (1/N) Σ_i x_i^k x_i^l,
//
// with w_ii = 0 (L. Personnaz, I. Guyon, G. Dreyfus, J. Physique Lett. 46
// (1985) L359): every pattern is a fixed point as long as they are fewer than
// the units. Patterns that depend on each other linearly are an error.
//
// The projection is that of the patterns after Gram and Schmidt, each made
// orthogonal to those before it twice.
func PseudoInverse(p Patterns) (*Net, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	n, count := p.N, p.Count()
	if count >= n {
		return nil, fmt.Errorf("%d patterns of %d units: the pseudo-inverse rule stores fewer patterns than units", count, n)
	}
	basis := make([]float64, 0, count*n)
	for k := range count {
		v := make([]float64, n)
		for i, x := range p.Row(k) {
			v[i] = float64(x) / math.Sqrt(float64(n))
		}
		for range 2 {
			for at := 0; at < len(basis); at += n {
				u := basis[at : at+n]
				c := dot(u, v)
				for i := range v {
					v[i] -= float64(c * u[i])
				}
			}
		}
		norm := math.Sqrt(dot(v, v))
		if norm < 1e-9 {
			return nil, fmt.Errorf("pattern %d is a linear combination of those before it: the pseudo-inverse rule wants independent patterns", k)
		}
		for i := range v {
			v[i] /= norm
		}
		basis = append(basis, v...)
	}
	w := make([]float64, n*n)
	for at := 0; at < len(basis); at += n {
		u := basis[at : at+n]
		for i := range n {
			for j, x := range u[:i] {
				w[i*n+j] += float64(u[i] * x)
			}
		}
	}
	for i := range n {
		for j := range i {
			w[j*n+i] = w[i*n+j]
		}
	}
	return New(w, nil, n)
}

func dot(x, y []float64) float64 {
	s := 0.
	for i := range x {
		s += float64(x[i] * y[i])
	}
	return s
}
