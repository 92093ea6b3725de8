package bench

import (
	"errors"
	"fmt"
	"math"

	"kadanoff/exact"
	"kadanoff/spin"
)

// distribution is what is known exactly about a network: means and pair
// correlations of some of its units, and the probabilities of the states of
// some.
type distribution struct {
	units  []int     // the units whose moments are known, ascending
	means  []float64 // [units] ⟨s⟩
	pairs  []float64 // [units][units] ⟨s s'⟩
	listed []int     // the units whose states are listed
	states []float64 // probability of each state of listed, bit i for its unit i
}

// Limits of what is enumerated.
const (
	maxListed = 12      // units whose states make a histogram, where there is a choice
	maxTerms  = 1 << 27 // states of the smaller layer times units of the other
	maxPairs  = 1 << 28 // states times pairs of units whose moments are summed
)

// tooLarge reports why an RBM of these layers cannot be enumerated; it is
// empty when it can.
func tooLarge(visible, hidden int) string {
	small, large := min(visible, hidden), max(visible, hidden)
	if small > exact.MaxListed || large<<small > maxTerms {
		return fmt.Sprintf("neither layer of %d×%d units is small enough to enumerate", visible, hidden)
	}
	return ""
}

// floatRBM returns the machine that a network of two layers is at a temperature.
func floatRBM(n *spin.Network, temperature float64) exact.RBM {
	visible, hidden := n.Layers[0], n.Layers[1]
	unit := math.Ldexp(1/temperature, -int(n.Frac))
	return exact.RBM{
		Visible: visible, Hidden: hidden, W: scaled(n.Blocks[0].W, unit),
		B: scaled(n.Bias[:visible], unit), C: scaled(n.Bias[visible:], unit),
	}
}

// exactStart returns states of an RBM drawn with their exact probabilities.
func exactStart(n *spin.Network, temperature float64) (func(chains int) *spin.Batch, error) {
	d, err := floatRBM(n, temperature).Drawer()
	if err != nil {
		return nil, err
	}
	return func(chains int) *spin.Batch {
		r := newNumbers(17)
		uniform := func() float64 { return math.Ldexp(float64(uint64(r.next())<<32|uint64(r.next())), -64) }
		b := spin.NewBatch(n.Units(), chains)
		v, h := make([]int8, n.Layers[0]), make([]int8, n.Layers[1])
		for c := range chains {
			d.Draw(v, h, uniform)
			b.Rows(0, len(v)).SetInt8(v, c)
			b.Rows(len(v), n.Units()).SetInt8(h, c)
		}
		return b
	}, nil
}

// exactRBM enumerates the states of the smaller layer of an RBM. Of a larger
// layer with too many pairs, evenly spread units are taken.
func exactRBM(n *spin.Network, temperature float64) (*distribution, error) {
	visible, hidden := n.Layers[0], n.Layers[1]
	if reason := tooLarge(visible, hidden); reason != "" {
		return nil, errors.New(reason)
	}
	r := floatRBM(n, temperature)
	small, large := hidden, visible
	first, other := visible, 0 // first units of the small and of the large layer
	if hidden > visible {
		r, small, large, first, other = r.Transpose(), visible, hidden, 0, visible
	}
	take := large
	for take > 1 && take*take<<small > maxPairs {
		take--
	}
	picked := make([]int, take)
	for k := range picked {
		picked[k] = k * large / take
	}
	m, err := r.PartialMoments(picked)
	if err != nil {
		return nil, err
	}
	d := &distribution{}
	add := func(from, count int, mean []float64) {
		for k := range count {
			u := from + k
			if from == other {
				u = other + picked[k]
			}
			d.units, d.means = append(d.units, u), append(d.means, mean[k])
		}
	}
	if other == 0 {
		add(0, take, m.V)
		add(first, small, m.H)
	} else {
		add(0, small, m.H)
		add(other, take, m.V)
	}
	d.pairs = make([]float64, len(d.units)*len(d.units))
	for i, u := range d.units {
		for k, w := range d.units {
			d.pairs[i*len(d.units)+k] = pairOf(m, picked, other, first, u, w)
		}
	}
	// The histogram is of the visible layer if that is small, else of the
	// smaller one.
	if other == 0 && visible <= maxListed {
		d.listed = span(0, visible)
	} else {
		d.listed, r = span(first, small), r.Transpose()
	}
	d.states, err = r.VisibleDistribution()
	return d, err
}

// pairOf looks up ⟨s_u s_w⟩ in the moments of a machine whose visible units
// begin at unit large and whose hidden units begin at unit small.
func pairOf(m *exact.Moments, picked []int, large, small, u, w int) float64 {
	place := func(u int) (hidden bool, k int) {
		if in := u >= small && u < small+len(m.H); in {
			return true, u - small
		}
		for k, i := range picked {
			if large+i == u {
				return false, k
			}
		}
		panic("bench: unit without moments")
	}
	hu, i := place(u)
	hw, k := place(w)
	switch {
	case hu && hw:
		return m.HH[i*len(m.H)+k]
	case hu:
		return m.VH[k*len(m.H)+i]
	case hw:
		return m.VH[i*len(m.H)+k]
	}
	return m.VV[i*len(m.V)+k]
}

// exactNetwork enumerates all states of the free units of a network; fixed is
// ±1 for the others and 0 for free ones, or nil.
func exactNetwork(n *spin.Network, temperature float64, fixed []int) (*distribution, error) {
	unit := math.Ldexp(1, -int(n.Frac))
	d := &distribution{}
	place := make([]int, n.Units())
	for u := range place {
		place[u] = -1
		if fixed == nil || fixed[u] == 0 {
			place[u] = len(d.units)
			d.units = append(d.units, u)
			if u < n.Layers[0] {
				d.listed = append(d.listed, u)
			}
		}
	}
	count := len(d.units)
	b := exact.Boltzmann{J: make([]float64, count*count), Field: make([]float64, count), T: temperature}
	ptr, col, w := n.Neighbors()
	for i, u := range d.units {
		b.Field[i] = float64(n.Bias[u]) * unit
		for k := ptr[u]; k < ptr[u+1]; k++ {
			if j := place[col[k]]; j >= 0 {
				b.J[i*count+j] = float64(w[k]) * unit
			} else {
				b.Field[i] += float64(w[k]) * unit * float64(fixed[col[k]])
			}
		}
	}
	var err error
	if _, d.means, d.pairs, err = b.Moments(); err != nil {
		return nil, err
	}
	all, err := b.Distribution()
	if err != nil {
		return nil, err
	}
	// Units of the first layer come first, so their state is the low bits.
	d.states = make([]float64, 1<<len(d.listed))
	for s, p := range all {
		d.states[s&(len(d.states)-1)] += p
	}
	return d, nil
}

// exactRing is a ring of spins with coupling 1, in closed form. Its nearest
// neighbours' correlation is the energy. The states listed are those of eight
// spins in a row: with t = tanh 1/T, steps of the transfer matrix over n bonds
// have the weights ½(1 + s s' tⁿ).
func exactRing(spins int, temperature float64) (*distribution, error) {
	r, err := exact.NewRing(spins, 1/temperature)
	if err != nil {
		return nil, err
	}
	d := &distribution{units: span(0, spins), means: make([]float64, spins), listed: span(0, 8)}
	for i := range spins {
		for j := range spins {
			d.pairs = append(d.pairs, r.Correlation(j-i))
		}
	}
	t, n := math.Tanh(1/temperature), len(d.listed)
	bonds := func(a, b, n int) float64 { // of bits a and b
		return (1 + float64(1-2*(a^b))*math.Pow(t, float64(n))) / 2
	}
	for s := range 1 << n {
		p := bonds(s&1, s>>(n-1)&1, spins-n+1) / (1 + math.Pow(t, float64(spins)))
		for i := range n - 1 {
			p *= bonds(s>>i&1, s>>(i+1)&1, 1)
		}
		d.states = append(d.states, p)
	}
	return d, nil
}

func scaled(x []int32, unit float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v) * unit
	}
	return y
}

// span returns the numbers from, from+1, … of n units.
func span(from, n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = from + i
	}
	return s
}
