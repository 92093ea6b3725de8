package exact

import (
	"fmt"
	"math"
	"math/big"
	"sync"

	"kadanoff/exact/bigfloat"
)

// Limits of what this package takes on.
const (
	MaxMatchVisible = 1024  // visible units of a density of states of a ring
	MaxMatchHidden  = 16384 // hidden units of a uniform RBM
	MaxRing         = 4096  // sites of a ring whose distribution of V is asked for
	MaxDensityTorus = 8     // side of a torus whose states are counted
)

// Density is a joint density of states: how many states of M spins have a
// given |V| and a given energy. Energies are counted in quanta of 4J above the
// two aligned states, which every lattice here has as its ground states.
type Density struct {
	visible int
	count   [][]*big.Int // [j][k]: |V| = M − 2j, E = E₀ + 4k

	mu     sync.Mutex
	floats map[bigfloat.Prec][][]*big.Float
}

// Visible returns M, the number of spins.
func (d *Density) Visible() int { return d.visible }

// Count returns the number of states with |V| = M − 2j and E = E₀ + 4k; it is
// zero where there are none.
func (d *Density) Count(j, k int) *big.Int {
	if j < 0 || j >= len(d.count) || k < 0 || k >= len(d.count[j]) || d.count[j][k] == nil {
		return new(big.Int)
	}
	return new(big.Int).Set(d.count[j][k])
}

// RingDegeneracy returns the number of states of a ring of m spins with the
// given numbers of up spins and of walls (bonds between unlike spins): for
// walls = 2k it is (m/k)·C(up−1, k−1)·C(m−up−1, k−1), and for no walls it is 1
// when all spins are alike.
func RingDegeneracy(m, up, walls int) *big.Int {
	switch {
	case m < 1 || up < 0 || up > m || walls < 0 || walls%2 != 0:
		return new(big.Int)
	case walls == 0:
		if up == 0 || up == m {
			return big.NewInt(1)
		}
		return new(big.Int)
	}
	k := int64(walls / 2)
	if int64(up) < k || int64(m-up) < k {
		return new(big.Int)
	}
	n := new(big.Int).Binomial(int64(up-1), k-1)
	n.Mul(n, new(big.Int).Binomial(int64(m-up-1), k-1))
	n.Mul(n, big.NewInt(int64(m)))
	return n.Quo(n, big.NewInt(k))
}

// RingDensity counts the states of a ring of m spins, 1 ≤ m ≤ MaxMatchVisible.
func RingDensity(m int) (*Density, error) {
	if m < 1 || m > MaxMatchVisible {
		return nil, fmt.Errorf("ring of %d spins: want 1 to %d", m, MaxMatchVisible)
	}
	d := &Density{visible: m, count: [][]*big.Int{{big.NewInt(2)}}}
	for j := 1; 2*j <= m; j++ {
		row := make([]*big.Int, j+1)
		n := big.NewInt(int64(m))
		if 2*j != m {
			n.Lsh(n, 1) // V and −V
		}
		for k := 1; k <= j; k++ {
			row[k] = n
			n = new(big.Int).Mul(n, big.NewInt(int64(j-k)*int64(m-j-k)))
			n.Quo(n, big.NewInt(int64(k)*int64(k+1)))
		}
		d.count = append(d.count, row)
	}
	return d, nil
}

// at returns the counts as floats of precision p.
func (d *Density) at(p bigfloat.Prec) [][]*big.Float {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.floats[p]; ok {
		return f
	}
	f := make([][]*big.Float, len(d.count))
	for j, row := range d.count {
		f[j] = make([]*big.Float, len(row))
		for k, n := range row {
			if n != nil {
				f[j][k] = p.BigInt(n)
			}
		}
	}
	d.floats = map[bigfloat.Prec][][]*big.Float{p: f}
	return f
}

// basePrec is the working precision in bits. What is taken from sums of
// positive terms alone loses nothing; matching at small K loses about 1.5 log2
// of 1/K, for which precFor adds bits.
const basePrec bigfloat.Prec = 224

func precFor(k float64) bigfloat.Prec {
	if k <= 0 || k >= 1 {
		return basePrec
	}
	_, e := math.Frexp(k)
	return basePrec + bigfloat.Prec(-2*e+63)/64*64
}

// Marginal is a distribution of |V| over M spins that is the same for V and
// −V: all that a uniform RBM can see of its data.
type Marginal struct {
	visible int
	prec    bigfloat.Prec
	p       []*big.Float // p[j] = P(|V| = M − 2j)
}

// Visible returns M.
func (m *Marginal) Visible() int { return m.visible }

// P returns the probabilities of |V| = M, M−2, …, M mod 2.
func (m *Marginal) P() []float64 {
	p := make([]float64, len(m.p))
	for j, x := range m.p {
		p[j], _ = x.Float64()
	}
	return p
}

// Split returns the probabilities of P as sums of two float64, high the nearest
// and low what it leaves: about 32 digits where neither underflows.
func (m *Marginal) Split() (high, low []float64) {
	high, low = m.P(), make([]float64, len(m.p))
	for j, x := range m.p {
		low[j], _ = m.prec.Sub(x, m.prec.Float(high[j])).Float64()
	}
	return high, low
}

// AbsV returns E|V|.
func (m *Marginal) AbsV() float64 {
	sum := m.prec.Int(0)
	for j, x := range m.p {
		bigfloat.Accumulate(sum, m.prec.Scale(m.visible-2*j, x))
	}
	f, _ := sum.Float64()
	return f
}

// Chi returns E[V²]/M.
func (m *Marginal) Chi() float64 {
	f, _ := m.prec.Add(m.chiExcess(), m.prec.Int(1)).Float64()
	return f
}

// chiExcess returns E[V²]/M − 1, which is positive when the spins agree more
// than chance makes them.
func (m *Marginal) chiExcess() *big.Float {
	loss := m.prec.Int(0)
	for j, x := range m.p {
		bigfloat.Accumulate(loss, m.prec.Scale(4*j*(m.visible-j), x)) // M² − V²
	}
	return m.prec.Quo(m.prec.Sub(m.prec.Int(m.visible*(m.visible-1)), loss), m.prec.Int(m.visible))
}

func (m *Marginal) normalise() {
	total := m.prec.Int(0)
	for _, x := range m.p {
		bigfloat.Accumulate(total, x)
	}
	for j, x := range m.p {
		m.p[j] = m.prec.Quo(x, total)
	}
}

// At returns the distribution of |V| at coupling K, |K| ≤ 1e8. K = +Inf is
// the limit of zero temperature: the aligned states alone.
func (d *Density) At(k float64) (*Marginal, error) {
	if math.IsInf(k, 1) {
		return Aligned(d.visible), nil
	}
	if !(math.Abs(k) <= 1e8) {
		return nil, fmt.Errorf("K = %v: want a number between -1e8 and 1e8", k)
	}
	return d.atBig(bigfloat.Prec(64).Float(k), precFor(k)), nil
}

// AtTemperature returns the distribution of |V| at temperature T ≥ 1e-8 (K is
// 1/T, not its nearest float64), or of the aligned states at T = 0.
func (d *Density) AtTemperature(t float64) (*Marginal, error) {
	if t == 0 {
		return Aligned(d.visible), nil
	}
	if !(t >= 1e-8) || math.IsInf(t, 1) {
		return nil, fmt.Errorf("T = %v: want 0 or a number of at least 1e-8", t)
	}
	prec := precFor(1 / t)
	return d.atBig(prec.Quo(prec.Int(1), prec.Float(t)), prec), nil
}

func (d *Density) atBig(k *big.Float, prec bigfloat.Prec) *Marginal {
	z := prec.Exp(prec.Scale(-4, k)) // of one quantum
	m := &Marginal{visible: d.visible, prec: prec}
	for _, row := range d.at(prec) {
		sum := prec.Int(0)
		for k := len(row) - 1; k >= 0; k-- {
			sum.Mul(sum, z)
			if row[k] != nil {
				bigfloat.Accumulate(sum, row[k])
			}
		}
		m.p = append(m.p, sum)
	}
	m.normalise()
	return m
}

// Aligned returns the distribution of |V| of the two aligned states of m
// spins: that of every lattice here at T = 0.
func Aligned(m int) *Marginal {
	a := &Marginal{visible: m, prec: basePrec, p: make([]*big.Float, m/2+1)}
	for j := range a.p {
		a.p[j] = basePrec.Int(0)
	}
	a.p[0] = basePrec.Int(1)
	return a
}

// Mix returns the mixture of marginals of the same size with the given
// positive weights, which need not sum to one.
func Mix(weights []float64, parts ...*Marginal) (*Marginal, error) {
	if len(parts) == 0 || len(weights) != len(parts) {
		return nil, fmt.Errorf("mixture of %d distributions with %d weights: want as many weights", len(parts), len(weights))
	}
	mix := &Marginal{visible: parts[0].visible}
	for i, m := range parts {
		if m.visible != mix.visible {
			return nil, fmt.Errorf("mixture of distributions over %d and %d spins", mix.visible, m.visible)
		}
		if !(weights[i] > 0) || math.IsInf(weights[i], 1) {
			return nil, fmt.Errorf("mixture with weight %v: want a positive number", weights[i])
		}
		mix.prec = max(mix.prec, m.prec)
	}
	for j := range parts[0].p {
		sum := mix.prec.Int(0)
		for i, m := range parts {
			bigfloat.Accumulate(sum, mix.prec.Mul(mix.prec.Float(weights[i]), m.p[j]))
		}
		mix.p = append(mix.p, sum)
	}
	mix.normalise()
	return mix, nil
}
