package exact

import (
	"fmt"
	"math"
)

// CDFixedPoint returns the uniform weight at which the expected CD-k update of
// a uniform RBM with n hidden units vanishes, the visible chain started from
// the marginal m and h_a replaced by its conditional mean in both phases:
//
//	E_m[V tanh VW] = E_{m P^k}[V tanh VW],
//
// where P is a block Gibbs step seen on V alone: H = 2·Bin(N, σ(2VW)) − N, then
// V′ = 2·Bin(M, σ(2HW)) − M. k → ∞ gives W(K). Computed in float64; the
// relative error is near 1e-13. It is an error when the spins of m agree no
// more than by chance, so that W = 0 is the fixed point, or when all are
// aligned and there is none.
func (m *Marginal) CDFixedPoint(n, k int) (float64, error) {
	if k < 1 {
		return 0, fmt.Errorf("CD-%d: want at least one step", k)
	}
	root, err := m.Solve(n)
	if err != nil {
		return 0, err
	}
	if root.W == 0 || math.IsInf(root.W, 1) {
		return 0, fmt.Errorf("no fixed point of CD-%d: W = %v solves the matching", k, root.W)
	}
	data := m.spread()
	update := func(w float64) float64 {
		toHidden, toVisible := binomialKernel(m.visible, n, w), binomialKernel(n, m.visible, w)
		v := data
		h := make([]float64, n+1)
		for range k {
			apply(h, toHidden, v)
			next := make([]float64, m.visible+1)
			apply(next, toVisible, h)
			v = next
		}
		// Σ (data − model) V tanh VW, V and −V together.
		sum := 0.0
		for up := m.visible/2 + 1; up <= m.visible; up++ {
			s := float64(2*up - m.visible)
			sum += 2 * (data[up] - v[up]) * s * math.Tanh(s*w)
		}
		return sum
	}
	// The update is positive below its fixed point and negative above.
	lo, hi := root.W, root.W
	for update(lo) < 0 {
		lo /= 1.25
	}
	for update(hi) > 0 {
		hi *= 1.25
	}
	return bisect(update, lo, hi), nil
}

// bisect returns the zero of a function that is positive at lo and negative at
// hi, to the last digit.
func bisect(f func(float64) float64, lo, hi float64) float64 {
	for {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			return mid
		}
		switch y := f(mid); {
		case y > 0:
			lo = mid
		case y < 0:
			hi = mid
		default:
			return mid
		}
	}
}

// spread returns P(V) for V = −M, −M+2, …, M.
func (m *Marginal) spread() []float64 {
	p := make([]float64, m.visible+1)
	for j, x := range m.P() {
		if 2*j != m.visible {
			x /= 2
		}
		p[j], p[m.visible-j] = x, x
	}
	return p
}

// binomialKernel returns P(b of `to` units up | a of `from` up) as [a][b]: each
// is up with probability σ(2SW), S = 2a − from.
func binomialKernel(from, to int, w float64) [][]float64 {
	logC := make([]float64, to+1)
	for b := 1; b <= to; b++ {
		logC[b] = logC[b-1] + math.Log(float64(to-b+1)/float64(b))
	}
	kernel := make([][]float64, from+1)
	for a := range kernel {
		x := 2 * float64(2*a-from) * w
		logUp, logDown := -math.Log1p(math.Exp(-x)), -math.Log1p(math.Exp(x))
		if x > 700 {
			logDown = -x
		}
		if x < -700 {
			logUp = x
		}
		kernel[a] = make([]float64, to+1)
		sum := 0.0
		for b := range kernel[a] {
			kernel[a][b] = math.Exp(logC[b] + float64(b)*logUp + float64(to-b)*logDown)
			sum += kernel[a][b]
		}
		for b := range kernel[a] {
			kernel[a][b] /= sum
		}
	}
	return kernel
}

func apply(dst []float64, kernel [][]float64, p []float64) {
	clear(dst)
	for a, row := range kernel {
		for b, x := range row {
			dst[b] += p[a] * x
		}
	}
}
