package roots

import (
	"math"

	"kadanoff/spin/fmath"
)

// guessTable gives a start for Newton's method from the mean of M − |V|: the
// root of the ring that has the same mean. It is right to 1e-4 for a ring, so
// that two steps do, and to a few percent for lattices and mixtures of
// temperatures. With δ the mean and δ₀ its value at K = 0 the table runs over
//
//	y = (δ₀ − δ)/δ
//
// in intervals chosen by the exponent and the four leading bits of y; W is
// linear in each.
type guessTable struct {
	rows  []float64 // lower end of y, W there, dW/dy, unused
	mean0 float64   // δ₀
}

// Range and resolution of the guess table.
const (
	guessLow   = 0x1p-20
	guessTop   = 0x1.fffffffffffffp63
	guessShift = 48 // 52 − four bits
	guessFirst = (1023 - 20) << 4
	guessCount = 84 << 4
)

func (s *Size) newGuessTable() *guessTable {
	t := newScratch(s)
	g := &guessTable{rows: make([]float64, 4*guessCount)}
	for j, c := range s.count {
		g.mean0 = math.FMA(c, float64(2*j), g.mean0)
	}
	g.mean0 *= s.invStates
	counts := ringCounts(s.M)
	q := newTarget(s)
	at := func(i int) float64 { return math.Float64frombits(uint64(guessFirst+i) << guessShift) }
	// Each end starts where the one before was found.
	k, w := guessLow, 1e-3/float64(s.M*s.N)
	solve := func(y float64) float64 {
		b := bracket{0, math.Inf(1)}
		for range maxSteps {
			got, slope := g.ringMean(counts, k, q)
			next := b.step(k, fmath.Log(got)-fmath.Log(y), slope/got)
			small := math.Abs(next-k) <= 0x1p-16*k
			k = next
			if small {
				break
			}
		}
		g.ringMean(counts, k, q)
		w = s.solveFloat(q, w, t)
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

// ringMean fills q with the ring at k, in float64, and returns its y and dy/dk.
func (g *guessTable) ringMean(counts [][]fmath.DD, k float64, q *target) (y, slope float64) {
	z, _ := fmath.ExpComplement(-4 * k)
	var all, allD, mean, meanD float64 // Σ low, Σ low·2j and their derivatives in z
	for j := 1; j < len(counts); j++ {
		var p, d float64
		for i := len(counts[j]) - 1; i >= 0; i-- {
			d = math.FMA(d, z, p)
			p = math.FMA(p, z, counts[j][i].Hi)
		}
		q.lowF[j] = p
		all += p
		allD += d
		mean = math.FMA(p, float64(2*j), mean)
		meanD = math.FMA(d, float64(2*j), meanD)
	}
	q.scale.Hi = 4 * k
	q.total.Hi = math.FMA(all, z, 2)
	deficit := float64(mean * z)
	y = math.FMA(g.mean0, q.total.Hi, -deficit) / deficit
	// d/dk = −4z d/dz of δ₀·total/deficit.
	a := float64(math.FMA(allD, z, all) * deficit)
	b := float64(math.FMA(meanD, z, mean) * q.total.Hi)
	return y, -4 * z * g.mean0 * (a - b) / float64(deficit*deficit)
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
