package exact

import (
	"math/big"

	"kadanoff/exact/bigfloat"
)

// jet is a function of K at one point: its value, slope and second derivative.
type jet struct{ v, d, dd *big.Float }

// jets is arithmetic on jets at one precision.
type jets struct{ bigfloat.Prec }

func (p jets) constant(x *big.Float) jet { return jet{x, p.Int(0), p.Int(0)} }

func (p jets) add(a, b jet) jet { return jet{p.Add(a.v, b.v), p.Add(a.d, b.d), p.Add(a.dd, b.dd)} }

func (p jets) sub(a, b jet) jet { return jet{p.Sub(a.v, b.v), p.Sub(a.d, b.d), p.Sub(a.dd, b.dd)} }

func (p jets) mul(a, b jet) jet {
	cross := p.Ldexp(p.Mul(a.d, b.d), 1)
	return jet{
		p.Mul(a.v, b.v),
		p.Add(p.Mul(a.d, b.v), p.Mul(a.v, b.d)),
		p.Add(cross, p.Add(p.Mul(a.dd, b.v), p.Mul(a.v, b.dd))),
	}
}

// quo returns q with a = q·b, differentiated twice.
func (p jets) quo(a, b jet) jet {
	v := p.Quo(a.v, b.v)
	d := p.Quo(p.Sub(a.d, p.Mul(v, b.d)), b.v)
	dd := p.Sub(a.dd, p.Add(p.Ldexp(p.Mul(d, b.d), 1), p.Mul(v, b.dd)))
	return jet{v, d, p.Quo(dd, b.v)}
}

// sqrt returns r with r² = a.
func (p jets) sqrt(a jet) jet {
	v := p.Sqrt(a.v)
	twice := p.Ldexp(v, 1)
	d := p.Quo(a.d, twice)
	return jet{v, d, p.Quo(p.Sub(a.dd, p.Ldexp(p.Mul(d, d), 1)), twice)}
}

// log returns ln a.
func (p jets) log(a jet) jet {
	d := p.Quo(a.d, a.v)
	return jet{p.Log(a.v), d, p.Sub(p.Quo(a.dd, a.v), p.Mul(d, d))}
}

// pow returns a^n for n ≥ 1.
func (p jets) pow(a jet, n int) jet {
	r, have := a, false
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			if have {
				r = p.mul(r, a)
			} else {
				r, have = a, true
			}
		}
		if n > 1 {
			a = p.mul(a, a)
		}
	}
	return r
}
