package exact

import (
	"fmt"
	"math"
)

// Limits of the enumerations.
const (
	MaxEnumerated = 24 // units summed over one by one: 2²⁴ states
	MaxListed     = 20 // units whose states are listed: 2²⁰ numbers
)

// RBM is a restricted Boltzmann machine of ±1 units with float64 parameters:
// E(v, h) = −Σ W_ia v_i h_a − Σ b_i v_i − Σ c_a h_a, P ∝ e^{−E}. W[i·Hidden+a]
// joins visible i and hidden a.
//
// In state indices bit i is unit i, 1 for +1. The enumerations run over the
// states of the smaller layer, at most MaxEnumerated units; the relative error
// of a probability and of ln Z is of the order of 1e-15 times the largest
// energy.
type RBM struct {
	Visible, Hidden int
	W, B, C         []float64
}

func (r RBM) check() error {
	if r.Visible < 1 || r.Hidden < 1 {
		return fmt.Errorf("RBM of %d visible and %d hidden units: want at least one of each", r.Visible, r.Hidden)
	}
	if len(r.W) != r.Visible*r.Hidden || len(r.B) != r.Visible || len(r.C) != r.Hidden {
		return fmt.Errorf("RBM of %d visible and %d hidden units with %d weights, %d visible and %d hidden biases",
			r.Visible, r.Hidden, len(r.W), len(r.B), len(r.C))
	}
	if n := min(r.Visible, r.Hidden); n > MaxEnumerated {
		return fmt.Errorf("enumerating an RBM whose smaller layer has %d units: want at most %d", n, MaxEnumerated)
	}
	return nil
}

// Transpose returns the machine with its layers exchanged.
func (r RBM) Transpose() RBM {
	t := RBM{Visible: r.Hidden, Hidden: r.Visible, B: r.C, C: r.B, W: make([]float64, len(r.W))}
	for i := range r.Visible {
		for a := range r.Hidden {
			t.W[a*r.Visible+i] = r.W[i*r.Hidden+a]
		}
	}
	return t
}

// Log2Cosh returns ln(2 cosh x) without overflow.
func Log2Cosh(x float64) float64 {
	a := math.Abs(x)
	return a + math.Log1p(math.Exp(-2*a))
}

func spin(s, i int) float64 { return float64(s>>i&1*2 - 1) }

// HiddenMeans writes E[h_a | v] = tanh(Σ_i W_ia v_i + c_a) to dst for the ±1
// (or mean) values v.
func (r RBM) HiddenMeans(dst, v []float64) {
	copy(dst, r.C)
	for i, x := range v {
		for a, w := range r.W[i*r.Hidden : (i+1)*r.Hidden] {
			dst[a] += w * x
		}
	}
	for a := range dst {
		dst[a] = math.Tanh(dst[a])
	}
}

// HiddenProbabilities writes P(h_a = +1 | v) = σ(2(Σ_i W_ia v_i + c_a)) to dst.
func (r RBM) HiddenProbabilities(dst, v []float64) {
	r.HiddenMeans(dst, v)
	for a := range dst {
		dst[a] = (1 + dst[a]) / 2
	}
}

// FreeEnergy returns −Σ b_i v_i − Σ_a ln 2 cosh(Σ_i W_ia v_i + c_a), which is
// −ln of the unnormalised probability of v.
func (r RBM) FreeEnergy(v []float64) float64 {
	field := append([]float64(nil), r.C...)
	f := 0.0
	for i, x := range v {
		f -= r.B[i] * x
		for a, w := range r.W[i*r.Hidden : (i+1)*r.Hidden] {
			field[a] += w * x
		}
	}
	for _, x := range field {
		f -= Log2Cosh(x)
	}
	return f
}

// layer holds, for the machine seen from one layer, what the sum over that
// layer's states needs: the fields on the other layer as sums of two tables.
type layer struct {
	own, other int
	low        int          // units in the first table
	fields     [2][]float64 // [state of its units][other unit]
	bias       [2][]float64 // Σ b s of its units
}

// overHidden prepares the sum over the states of the hidden layer.
func (r RBM) overHidden() layer {
	l := layer{own: r.Hidden, other: r.Visible, low: r.Hidden / 2}
	for part, units := range [2][2]int{{0, l.low}, {l.low, l.own}} {
		n := units[1] - units[0]
		l.fields[part] = make([]float64, l.other<<n)
		l.bias[part] = make([]float64, 1<<n)
		for s := range 1 << n {
			f := l.fields[part][s*l.other : (s+1)*l.other]
			if part == 0 {
				copy(f, r.B)
			}
			for k := range n {
				a := units[0] + k
				l.bias[part][s] += r.C[a] * spin(s, k)
				for i := range f {
					f[i] += r.W[i*r.Hidden+a] * spin(s, k)
				}
			}
		}
	}
	return l
}

// each calls visit with every state of the layer, its bias term and the fields
// on the other layer's units, biases included; fields are reused.
func (l layer) each(visit func(s int, bias float64, fields []float64)) {
	fields := make([]float64, l.other)
	mask := 1<<l.low - 1
	for s := range 1 << l.own {
		lo, hi := s&mask, s>>l.low
		f0, f1 := l.fields[0][lo*l.other:][:l.other], l.fields[1][hi*l.other:][:l.other]
		for i := range fields {
			fields[i] = f0[i] + f1[i]
		}
		visit(s, l.bias[0][lo]+l.bias[1][hi], fields)
	}
}

// logWeights returns the logarithm of each state's weight, the other layer
// summed out, their maximum and the logarithm of the sum of the weights.
func (l layer) logWeights() (logs []float64, logZ float64) {
	logs = make([]float64, 1<<l.own)
	l.each(func(s int, bias float64, fields []float64) {
		// Σ ln 2cosh x = Σ |x| + ln Π (1 + e^{−2|x|}), the product in runs that
		// cannot overflow.
		sum, product := bias, 1.0
		for i, x := range fields {
			a := math.Abs(x)
			sum += a
			product *= 1 + math.Exp(-2*a)
			if i&511 == 511 {
				sum += math.Log(product)
				product = 1
			}
		}
		logs[s] = sum + math.Log(product)
	})
	return logs, logSum(logs)
}

// logSum returns ln Σ e^x.
func logSum(xs []float64) float64 {
	most := math.Inf(-1)
	for _, x := range xs {
		most = max(most, x)
	}
	if math.IsInf(most, 0) {
		return most
	}
	return most + math.Log(sumExp(xs, most))
}

// sumExp returns Σ e^{x−shift} with a running compensation.
func sumExp(xs []float64, shift float64) float64 {
	sum, lost := 0.0, 0.0
	for _, x := range xs {
		y := math.Exp(x-shift) - lost
		t := sum + y
		lost = (t - sum) - y
		sum = t
	}
	return sum
}

// LogZ returns ln Σ_{v,h} e^{−E}.
func (r RBM) LogZ() (float64, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	_, logZ := r.smaller().overHidden().logWeights()
	return logZ, nil
}

// smaller returns the machine, transposed when that makes the hidden layer
// the smaller one.
func (r RBM) smaller() RBM {
	if r.Hidden > r.Visible {
		return r.Transpose()
	}
	return r
}

// Moments are the means and pair correlations of an RBM's units. Correlations
// within a layer are full square matrices with ones on the diagonal.
type Moments struct {
	LogZ   float64
	V, H   []float64 // ⟨v_i⟩, ⟨h_a⟩
	VV, HH []float64 // [i·Visible+j], [a·Hidden+b]
	VH     []float64 // [i·Hidden+a]
}

// Moments returns ln Z, all means and all pair correlations.
func (r RBM) Moments() (*Moments, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Hidden > r.Visible {
		t, err := r.Transpose().Moments()
		if err != nil {
			return nil, err
		}
		m := &Moments{LogZ: t.LogZ, V: t.H, H: t.V, VV: t.HH, HH: t.VV, VH: make([]float64, len(t.VH))}
		for i := range r.Visible {
			for a := range r.Hidden {
				m.VH[i*r.Hidden+a] = t.VH[a*r.Visible+i]
			}
		}
		return m, nil
	}
	l := r.overHidden()
	logs, logZ := l.logWeights()
	nv, nh := r.Visible, r.Hidden
	m := &Moments{LogZ: logZ, V: make([]float64, nv), H: make([]float64, nh),
		VV: make([]float64, nv*nv), HH: make([]float64, nh*nh), VH: make([]float64, nv*nh)}
	mean := make([]float64, nv)
	weighted := make([]float64, nv)
	l.each(func(s int, _ float64, fields []float64) {
		p := math.Exp(logs[s] - logZ)
		if p == 0 {
			return
		}
		for i, x := range fields {
			mean[i] = math.Tanh(x)
			weighted[i] = p * mean[i]
			m.V[i] += weighted[i]
		}
		for i := 1; i < nv; i++ {
			row := m.VV[i*nv : i*nv+i]
			for j := range row {
				row[j] += weighted[i] * mean[j]
			}
		}
		for a := range nh {
			h := spin(s, a)
			m.H[a] += p * h
			for b := range a {
				m.HH[a*nh+b] += p * h * spin(s, b)
			}
			for i, w := range weighted {
				m.VH[i*nh+a] += w * h
			}
		}
	})
	mirror(m.VV, nv)
	mirror(m.HH, nh)
	return m, nil
}

// mirror fills the upper triangle from the lower, and the diagonal with ones.
func mirror(c []float64, n int) {
	for i := range n {
		c[i*n+i] = 1
		for j := range i {
			c[j*n+i] = c[i*n+j]
		}
	}
}

// VisibleDistribution returns P(v) for all 2^Visible visible states; Visible
// is at most MaxListed.
func (r RBM) VisibleDistribution() ([]float64, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Visible > MaxListed {
		return nil, fmt.Errorf("listing the states of %d visible units: want at most %d", r.Visible, MaxListed)
	}
	logs, logZ := r.Transpose().overHidden().logWeights()
	for s, x := range logs {
		logs[s] = math.Exp(x - logZ)
	}
	return logs, nil
}

// Boltzmann is a fully connected Boltzmann machine of n ±1 units:
// E = −Σ_{i<j} J_ij x_i x_j − Σ h_i x_i, P ∝ e^{−E/T}. J[i·n+j] is symmetric;
// its diagonal is not used. n is at most MaxEnumerated.
type Boltzmann struct {
	J     []float64
	Field []float64
	T     float64
}

func (b Boltzmann) check() error {
	n := len(b.Field)
	if n < 1 || n > MaxEnumerated {
		return fmt.Errorf("enumerating a Boltzmann machine of %d units: want 1 to %d", n, MaxEnumerated)
	}
	if len(b.J) != n*n {
		return fmt.Errorf("Boltzmann machine of %d units with %d couplings: want %d", n, len(b.J), n*n)
	}
	if !(b.T > 0) {
		return fmt.Errorf("T = %v: want a positive number", b.T)
	}
	for i := range n {
		for j := range i {
			if b.J[i*n+j] != b.J[j*n+i] {
				return fmt.Errorf("couplings of units %d and %d differ: %v and %v", j, i, b.J[j*n+i], b.J[i*n+j])
			}
		}
	}
	return nil
}

// energies lists −E/T of all states, each built from the state without its
// highest +1.
func (b Boltzmann) energies() []float64 {
	n := len(b.Field)
	logs := make([]float64, 1<<n)
	for i := range n {
		for j := range i {
			logs[0] += b.J[i*n+j]
		}
		logs[0] -= b.Field[i]
	}
	for i := range n {
		bit := 1 << i
		for s := range bit {
			// Turning unit i from −1 to +1 while those above are −1.
			field := b.Field[i]
			for j := range n {
				if j != i {
					field += b.J[i*n+j] * spin(s, j)
				}
			}
			logs[s|bit] = logs[s] + 2*field
		}
	}
	for s := range logs {
		logs[s] /= b.T
	}
	return logs
}

// LogZ returns ln Σ_x e^{−E/T}.
func (b Boltzmann) LogZ() (float64, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	return logSum(b.energies()), nil
}

// Distribution returns P(x) for all states; n is at most MaxListed.
func (b Boltzmann) Distribution() ([]float64, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if n := len(b.Field); n > MaxListed {
		return nil, fmt.Errorf("listing the states of %d units: want at most %d", n, MaxListed)
	}
	p := b.energies()
	logZ := logSum(p)
	for s, x := range p {
		p[s] = math.Exp(x - logZ)
	}
	return p, nil
}

// Moments returns ln Z, the means and the pair correlations [i·n+j].
func (b Boltzmann) Moments() (logZ float64, mean, pair []float64, err error) {
	if err := b.check(); err != nil {
		return 0, nil, nil, err
	}
	n := len(b.Field)
	logs := b.energies()
	logZ = logSum(logs)
	mean, pair = make([]float64, n), make([]float64, n*n)
	for s, x := range logs {
		p := math.Exp(x - logZ)
		for i := range n {
			pi := p * spin(s, i)
			mean[i] += pi
			for j := range i {
				pair[i*n+j] += pi * spin(s, j)
			}
		}
	}
	mirror(pair, n)
	return logZ, mean, pair, nil
}
