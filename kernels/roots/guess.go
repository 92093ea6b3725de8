package roots

import (
	"math"

	"kadanoff/spin/fmath"
)

// guessTable gives a start for Newton's method from the mean of M − |V|. A
// machine of weight W whose own mean is the given one is close to the root for
// any distribution in which large |V| go with large |V| squared: both agree at
// the ends, W → 0 and W → ∞. With δ the mean and δ₀ its value at W = 0 the
// table runs over
//
//	y = (δ₀ − δ)/δ
//
// in intervals chosen by the exponent and the two leading bits of y; W is
// linear in each.
type guessTable struct {
	rows  []float64 // lower end of y, W there, dW/dy, unused
	mean0 float64   // δ₀
}

// Range and resolution of the guess table.
const (
	guessLow   = 0x1p-20
	guessTop   = 0x1.fffffffffffffp63
	guessShift = 50 // 52 − two bits
	guessFirst = (1023 - 20) << 2
	guessCount = 84 << 2
)

func (s *Size) newGuessTable() *guessTable {
	t := newScratch(s)
	g := &guessTable{rows: make([]float64, 4*guessCount)}
	g.mean0, _ = s.meanDeficit(0, t)
	at := func(i int) float64 { return math.Float64frombits(uint64(guessFirst+i) << guessShift) }
	// Each end starts where the one before was found.
	w := 1e-3 / float64(s.M*s.N)
	solve := func(y float64) float64 {
		b := bracket{0, math.Inf(1)}
		target := fmath.Log(g.mean0 / (1 + y))
		for range maxSteps {
			mean, slope := s.meanDeficit(w, t)
			next := b.step(w, target-fmath.Log(mean), -slope)
			small := math.Abs(next-w) <= 0x1p-20*w
			w = next
			if small {
				break
			}
		}
		return w
	}
	y0, w0 := at(0), solve(at(0))
	for i := range guessCount {
		y1 := at(i + 1)
		w1 := solve(y1)
		r := g.rows[4*i:]
		r[0], r[1], r[2] = y0, w0, (w1-w0)/(y1-y0)
		y0, w0 = y1, w1
	}
	return g
}

// meanDeficit returns E_p[M − |V|] of the machine at w and d ln(that)/dw.
func (s *Size) meanDeficit(w float64, t *scratch) (mean, slope float64) {
	r := s.eval(s.none, w, t)
	var n, nd float64
	for j := 1; j <= s.h; j++ {
		c := float64(t.p[j] * float64(2*j))
		n += c
		nd = math.FMA(c, t.term[j], nd)
	}
	u := fmath.PowInt(r.u, s.N)
	p := math.FMA(u, r.sp, 2)
	mean = float64(u*n) / p
	// d ln p/dW = −N·D for every state, relative to |V| = M.
	slope = -float64(s.N) * (nd/n - float64(u*r.sb)/p)
	return mean, slope
}

// start returns the guess for a total weight, and the weighted sum of M − |V|.
func (g *guessTable) start(total, deficit float64) float64 {
	y := math.FMA(g.mean0, total, -deficit) / deficit
	if !(y > guessLow) {
		y = guessLow
	}
	if !(y < guessTop) {
		y = guessTop
	}
	r := g.rows[4*(math.Float64bits(y)>>guessShift-guessFirst):]
	return math.FMA(y-r[0], r[2], r[1])
}
