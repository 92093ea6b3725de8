package train

import (
	"fmt"
	"math"
	"math/bits"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/spin/fmath"
)

// maxExactGradient bounds the terms of an exact gradient: states of the smaller
// layer times units of the larger.
const maxExactGradient = 1 << 24

// maxExactMachine bounds the same with couplings inside layers: states of all
// units times pairs of units; maxExactUnits is how many units that allows.
const (
	maxExactMachine = 1 << 26
	maxExactUnits   = 17
)

// exactBits is the logarithm of the number of configurations and chains that
// exact moments are said to come from, so that they become integers: their
// resolution is 2⁻⁵² for what hidden means enter and 2⁻³⁰ for visible moments.
const exactBits = 30

// exactData is the data of a run with the exact gradient: different
// configurations and how often they occur.
type exactData struct {
	v      int
	states [][]int8
	weight []float64
}

func newExactData(s Source, c *Config) (*exactData, error) {
	v, hidden := s.Width(), c.Hidden
	if n := v + hidden; c.general() && (n > 24 || n*n<<n > maxExactMachine) {
		return nil, fmt.Errorf("--exact-gradient: %d visible and %d hidden units, want at most %d in all with --couplings %s", v, hidden, maxExactUnits, c.Couplings)
	}
	if small := min(v, hidden); small > 24 || max(v, hidden)<<small > maxExactGradient {
		return nil, fmt.Errorf("--exact-gradient: %d visible and %d hidden units have too many states: want at most 2²⁴ states times units", v, hidden)
	}
	d := &exactData{v: v}
	row := make([]uint64, s.Stride())
	seen := map[string]int{}
	for i := range s.Rows() {
		if err := s.Fill(row, i, 0); err != nil {
			return nil, err
		}
		key := fmt.Sprint(row)
		k, ok := seen[key]
		if !ok {
			k = len(d.states)
			seen[key] = k
			state := make([]int8, v)
			for u := range state {
				state[u] = int8(row[u/64]>>(u%64)&1)<<1 - 1
			}
			d.states, d.weight = append(d.states, state), append(d.weight, 0)
		}
		d.weight[k]++
	}
	for k := range d.weight {
		d.weight[k] /= float64(s.Rows())
	}
	return d, nil
}

// visible returns the probabilities of the visible states, unit i in bit i.
func (d *exactData) visible() []float64 {
	p := make([]float64, 1<<d.v)
	for k, s := range d.states {
		v := 0
		for i, x := range s {
			v |= int(x+1) / 2 << i
		}
		p[v] = d.weight[k]
	}
	return p
}

// moments are ⟨v⟩, ⟨h⟩ and ⟨v h⟩.
type moments struct {
	v, h, vh []float64
}

func newMoments(v, h int) *moments {
	return &moments{make([]float64, v), make([]float64, h), make([]float64, v*h)}
}

// add adds the moments of a state of one layer, with the means of the other, of
// weight p. x and y are the visible and hidden values.
func (m *moments) add(p float64, x, y []float64) {
	for i, v := range x {
		m.v[i] = math.FMA(p, v, m.v[i])
		pv := p * v
		row := m.vh[i*len(y) : (i+1)*len(y)]
		for a, h := range y {
			row[a] = math.FMA(pv, h, row[a])
		}
	}
	for a, h := range y {
		m.h[a] = math.FMA(p, h, m.h[a])
	}
}

// fields writes the fields of one layer given the other's values.
func fields(n *spin.Net[float32], layer int, given, dst []float64) {
	v, h, w := n.Layers[0], n.Layers[1], n.Blocks[0].W
	if layer == 1 {
		for a := range h {
			f := float64(n.Bias[v+a])
			for i, x := range given {
				f = math.FMA(float64(w[i*h+a]), x, f)
			}
			dst[a] = f
		}
		return
	}
	for i := range v {
		f := float64(n.Bias[i])
		for a, x := range given {
			f = math.FMA(float64(w[i*h+a]), x, f)
		}
		dst[i] = f
	}
}

// modelMoments sums over all states of the smaller layer.
func modelMoments(n *spin.Net[float32]) (*moments, float64) {
	v, h := n.Layers[0], n.Layers[1]
	given := 0
	if h < v {
		given = 1
	}
	small, other := n.Layers[given], n.Layers[1-given]
	bias := n.Bias[given*v:]
	s, f := make([]float64, small), make([]float64, other)
	value := func(state int) float64 {
		e := 0.0
		for i := range s {
			s[i] = float64(state>>i&1<<1 - 1)
			e = math.FMA(float64(bias[i]), s[i], e)
		}
		fields(n, 1-given, s, f)
		for _, x := range f {
			e += fmath.LnCosh2(x)
		}
		return e
	}
	var z logSum
	for state := range 1 << small {
		z.add(value(state))
	}
	logZ, m := z.value(), newMoments(v, h)
	for state := range 1 << small {
		p := fmath.Exp(math.Min(0, value(state)-logZ))
		for k, x := range f {
			f[k] = fmath.Tanh(x)
		}
		if given == 0 {
			m.add(p, s, f)
		} else {
			m.add(p, f, s)
		}
	}
	return m, logZ
}

// moments returns the moments of the data.
func (d *exactData) moments(n *spin.Net[float32]) *moments {
	m := newMoments(n.Layers[0], n.Layers[1])
	s, f := make([]float64, n.Layers[0]), make([]float64, n.Layers[1])
	for k, state := range d.states {
		for i, x := range state {
			s[i] = float64(x)
		}
		fields(n, 1, s, f)
		for a, x := range f {
			f[a] = fmath.Tanh(x)
		}
		m.add(d.weight[k], s, f)
	}
	return m
}

// exactStep puts the exact moments in the place of sampled ones.
func (r *run) exactStep() error {
	if err := r.trainer.Save(&r.state); err != nil {
		return err
	}
	n := r.state.Model
	if r.machine != nil {
		r.machine.g = exactGradient(n, r.exact.visible())
		return nil
	}
	d := r.exact.moments(n)
	m, _ := modelMoments(n)
	scale := exactBits
	if r.Tied { // the sum of all pairs stays below 2⁵³
		scale -= bits.Len(uint(len(d.vh)))
	}
	if scale < 1 {
		return fmt.Errorf("--exact-gradient: %d tied weights, want fewer than 2²⁹", len(d.vh))
	}
	var s backend.Statistics
	s.Reset(n.Layers[0], n.Layers[1], 1<<scale, 1<<scale)
	round := func(dst []int64, x []float64, bits int) {
		for i, v := range x {
			dst[i] = int64(math.RoundToEven(math.Ldexp(v, bits)))
		}
	}
	round(s.VisibleData, d.v, scale)
	round(s.VisibleModel, m.v, scale)
	round(s.HiddenData, d.h, scale+spin.MeanBits)
	round(s.HiddenModel, m.h, scale+spin.MeanBits)
	for k := range d.vh {
		d.vh[k] -= m.vh[k]
	}
	round(s.Pairs, d.vh, scale+spin.MeanBits)
	return r.rbm.SetStatistics(&s)
}
