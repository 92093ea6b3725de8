package roots

import "math/big"

// The reference is the equation as it is written down, in big floats: f from
// the sum over hidden states, g from the ring's counts, each with tanh. It
// shares nothing with the package.

type bigSize struct {
	m, n int
	prec uint
}

// newReference has enough bits for M tanh MW − f, which is about e^(−4K), or for two
// visible units (4e^(−8K/N))^(N/2)/2^N.
func newReference(m, n int, k float64) bigSize {
	prec := uint(200 + 6*k)
	if m == 2 {
		prec += 3 * uint(n)
	}
	return bigSize{m, n, prec}
}

func (s bigSize) num(x float64) *big.Float { return new(big.Float).SetPrec(s.prec).SetFloat64(x) }
func (s bigSize) mul(a, b *big.Float) *big.Float {
	return new(big.Float).SetPrec(s.prec).Mul(a, b)
}
func (s bigSize) add(a, b *big.Float) *big.Float {
	return new(big.Float).SetPrec(s.prec).Add(a, b)
}
func (s bigSize) sub(a, b *big.Float) *big.Float {
	return new(big.Float).SetPrec(s.prec).Sub(a, b)
}
func (s bigSize) quo(a, b *big.Float) *big.Float {
	return new(big.Float).SetPrec(s.prec).Quo(a, b)
}

// exp is the Taylor series after 2⁻⁶⁴ scaling.
func (s bigSize) exp(x *big.Float) *big.Float {
	const halvings = 64
	wide := bigSize{prec: s.prec + 2*halvings}
	r := new(big.Float).SetPrec(wide.prec).Set(x)
	r.SetMantExp(r, -halvings)
	sum, term := wide.num(1), wide.num(1)
	for k := 1; ; k++ {
		term = wide.quo(wide.mul(term, r), wide.num(float64(k)))
		if term.Sign() == 0 || term.MantExp(nil) < -int(wide.prec)-8 {
			break
		}
		sum = wide.add(sum, term)
	}
	for range halvings {
		sum = wide.mul(sum, sum)
	}
	return sum.SetPrec(s.prec)
}

func (s bigSize) binomial(n, k int) *big.Float {
	return new(big.Float).SetPrec(s.prec).SetInt(new(big.Int).Binomial(int64(n), int64(k)))
}

// powers returns e^(−2kW) for k = 0 … n.
func (s bigSize) powers(w *big.Float, n int) []*big.Float {
	e := s.exp(s.mul(w, s.num(-2)))
	p := []*big.Float{s.num(1)}
	for range n {
		p = append(p, s.mul(p[len(p)-1], e))
	}
	return p
}

// tanh is (1 − p)/(1 + p).
func (s bigSize) tanh(p *big.Float) *big.Float {
	return s.quo(s.sub(s.num(1), p), s.add(s.num(1), p))
}

// f is (1/N) d ln Z/dW of the machine, Z = Σ_H C(N, (N+H)/2)(2cosh HW)^M.
func (s bigSize) f(w *big.Float) *big.Float {
	p := s.powers(w, s.n)
	num, den := s.num(0), s.num(0)
	for k := 0; k <= s.n; k++ {
		h := max(2*k-s.n, s.n-2*k)
		// cosh HW relative to H = N.
		c := s.quo(s.add(s.num(1), p[h]), s.add(s.num(1), p[s.n]))
		c = s.power(s.mul(c, p[(s.n-h)/2]), s.m)
		c = s.mul(c, s.binomial(s.n, k))
		den = s.add(den, c)
		num = s.add(num, s.mul(c, s.mul(s.num(float64(h)), s.tanh(p[h]))))
	}
	return s.quo(s.mul(num, s.num(float64(s.m))), s.mul(den, s.num(float64(s.n))))
}

func (s bigSize) power(a *big.Float, n int) *big.Float {
	r, b := s.num(1), a
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			r = s.mul(r, b)
		}
		b = s.mul(b, b)
	}
	return r
}

// ring returns the weights of |V| = M−2j of a ring at K, relative to the
// aligned states: Σ over pairs of walls.
func (s bigSize) ring(k float64) []*big.Float {
	z := s.exp(s.mul(s.num(k), s.num(-4)))
	q := []*big.Float{s.num(2)}
	for j := 1; 2*j <= s.m; j++ {
		sum, p := s.num(0), s.num(1)
		for w := 1; w <= j; w++ {
			p = s.mul(p, z)
			c := s.mul(s.binomial(s.m-j-1, w-1), s.binomial(j-1, w-1))
			c = s.quo(s.mul(c, s.num(float64(s.m))), s.num(float64(w)))
			sum = s.add(sum, s.mul(c, p))
		}
		if 2*j != s.m {
			sum = s.add(sum, sum)
		}
		q = append(q, sum)
	}
	return q
}

func (s bigSize) g(w *big.Float, q []*big.Float) *big.Float {
	p := s.powers(w, s.m)
	num, den := s.num(0), s.num(0)
	for j, x := range q {
		v := s.m - 2*j
		den = s.add(den, x)
		num = s.add(num, s.mul(x, s.mul(s.num(float64(v)), s.tanh(p[v]))))
	}
	return s.quo(num, den)
}

// within reports whether f − g changes its sign between w(1−tol) and w(1+tol).
func (s bigSize) within(w, tol float64, q []*big.Float) bool {
	at := func(sign float64) int {
		x := s.mul(s.num(w), s.add(s.num(1), s.num(sign*tol)))
		return s.f(x).Cmp(s.g(x, q))
	}
	return at(-1) < 0 && at(1) > 0
}
