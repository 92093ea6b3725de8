package exact

import (
	"fmt"
	"math"
	"math/big"

	"kadanoff/exact/bigfloat"
)

// UniformRBM is a restricted Boltzmann machine of M visible and N hidden units
// with one weight W for all pairs and no biases; any M ≤ MaxRing and
// N ≤ MaxMatchHidden, odd or even. Its methods sum over H (or V) alone with
// big floats: results are right to the last digit.
type UniformRBM struct {
	M, N int
	W    float64
}

// NewUniformRBM checks the sizes and that W is finite.
func NewUniformRBM(m, n int, w float64) (UniformRBM, error) {
	if err := checkUniform(m, n); err != nil {
		return UniformRBM{}, err
	}
	if math.IsNaN(w) || math.IsInf(w, 0) {
		return UniformRBM{}, fmt.Errorf("W = %v: want a finite number", w)
	}
	return UniformRBM{m, n, w}, nil
}

const uniformPrec bigfloat.Prec = 160

// marginal returns, for a layer of `own` units against one of `other` units,
// the weights of |S| = own − 2j, S the sum over the own layer:
// C_j (2 cosh SW)^other, divided by (2 cosh own·W)^other, and their sum.
func (u UniformRBM) marginal(own, other int) (weights []*big.Float, total *big.Float) {
	p := uniformPrec
	x := p.Exp(p.Float(-2 * math.Abs(u.W)))
	onePlus := p.Add(p.Int(1), p.Pow(x, own))
	weights = absVCounts(p, own)
	total = p.Int(0)
	xj := p.Int(1)
	for j := range weights {
		ratio := p.Quo(p.Add(p.Int(1), p.Pow(x, own-2*j)), onePlus)
		weights[j] = p.Mul(weights[j], p.Pow(p.Mul(xj, ratio), other))
		bigfloat.Accumulate(total, weights[j])
		xj = p.Mul(xj, x)
	}
	return weights, total
}

// LogZ returns ln Z, Z = Σ_{N₊} C(N, N₊) (2 cosh HW)^M with H = 2N₊ − N.
func (u UniformRBM) LogZ() float64 {
	p := uniformPrec
	_, total := u.marginal(u.N, u.M)
	// (2 cosh NW)^M = e^{MN|W|} (1 + e^{−2N|W|})^M
	w := p.Float(math.Abs(u.W))
	log := p.Add(p.Scale(u.M*u.N, w),
		p.Scale(u.M, p.Log(p.Add(p.Int(1), p.Exp(p.Scale(-2*u.N, w))))))
	f, _ := p.Add(log, p.Log(total)).Float64()
	return f
}

// F returns f(W) = (1/N) d ln Z/dW = (M/N) E[H tanh HW].
func (u UniformRBM) F() float64 {
	p := uniformPrec
	weights, total := u.marginal(u.N, u.M)
	sum := p.Int(0)
	for j, weight := range weights {
		h := u.N - 2*j
		e := p.Exp(p.Float(-2 * float64(h) * u.W))
		tanh := p.Quo(p.Sub(p.Int(1), e), p.Add(p.Int(1), e))
		bigfloat.Accumulate(sum, p.Mul(weight, p.Scale(h, tanh)))
	}
	f, _ := p.Quo(p.Scale(u.M, sum), p.Scale(u.N, total)).Float64()
	return f
}

// Visible returns P(V) for V = −M, −M+2, …, M.
func (u UniformRBM) Visible() []float64 { return u.spread(u.M, u.N) }

// Hidden returns P(H) for H = −N, −N+2, …, N.
func (u UniformRBM) Hidden() []float64 { return u.spread(u.N, u.M) }

func (u UniformRBM) spread(own, other int) []float64 {
	weights, total := u.marginal(own, other)
	p := make([]float64, own+1)
	for j, w := range weights {
		if 2*j != own {
			w = uniformPrec.Ldexp(w, -1)
		}
		f, _ := uniformPrec.Quo(w, total).Float64()
		p[j], p[own-j] = f, f
	}
	return p
}

// PairCorrelation returns ⟨v_i v_j⟩ for i ≠ j, (E[V²] − M)/(M(M−1)); M ≥ 2.
func (u UniformRBM) PairCorrelation() float64 {
	p := uniformPrec
	weights, total := u.marginal(u.M, u.N)
	sum := p.Int(0)
	for j, w := range weights {
		v := u.M - 2*j
		bigfloat.Accumulate(sum, p.Scale(v*v-u.M, w))
	}
	f, _ := p.Quo(sum, p.Scale(u.M*(u.M-1), total)).Float64()
	return f
}

// KLFromRing returns the Kullback–Leibler divergence Σ q ln(q/p), in nats,
// from a ring of M spins at coupling K, q, to the RBM's visible layer, p:
// K d ln Z_ring/dK − ln Z_ring − N E_q[ln 2 cosh VW] + ln Z.
func (u UniformRBM) KLFromRing(k float64) (float64, error) {
	if u.M > MaxMatchVisible {
		return 0, fmt.Errorf("%d visible units: want at most %d", u.M, MaxMatchVisible)
	}
	d, err := RingDensity(u.M)
	if err != nil {
		return 0, err
	}
	q, err := d.At(k)
	if err != nil {
		return 0, err
	}
	p := q.prec
	if math.IsInf(k, 1) {
		return 0, fmt.Errorf("K = %v: want a finite number", k)
	}
	// Σ q ln q = ln(1/Z̃) + ln z·E[k], Z̃ = Σ n z^k with z = e^{−4K} counted
	// from the aligned states.
	minus4K := p.Scale(-4, p.Float(k))
	z := p.Exp(minus4K)
	total, walls := p.Int(0), p.Int(0)
	for _, row := range d.at(p) {
		zk := p.Int(1)
		for n, count := range row {
			if count != nil {
				w := p.Mul(count, zk)
				bigfloat.Accumulate(total, w)
				bigfloat.Accumulate(walls, p.Scale(n, w))
			}
			zk = p.Mul(zk, z)
		}
	}
	kl := p.Sub(p.Mul(minus4K, p.Quo(walls, total)), p.Log(total))
	// ln p(v) = N ln(cosh VW/cosh MW) − ln Σ C (cosh VW/cosh MW)^N
	w := p.Float(math.Abs(u.W))
	x := p.Exp(p.Scale(-2, w))
	onePlus := p.Add(p.Int(1), p.Pow(x, u.M))
	sum := p.Int(0)
	for j, c := range absVCounts(p, u.M) {
		ratio := p.Mul(p.Pow(x, j), p.Quo(p.Add(p.Int(1), p.Pow(x, u.M-2*j)), onePlus))
		bigfloat.Accumulate(sum, p.Mul(c, p.Pow(ratio, u.N)))
		bigfloat.Accumulate(kl, p.Scale(-u.N, p.Mul(q.p[j], p.Log(ratio))))
	}
	f, _ := p.Add(kl, p.Log(sum)).Float64()
	return f, nil
}
