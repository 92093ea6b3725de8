package bench

import (
	"fmt"
	"math"
	"math/bits"

	"kadanoff/spin"
)

// distribution is the Boltzmann distribution of a small network, by summing
// over all its states in float64.
type distribution struct {
	means []float64 // [units] ⟨s_i⟩
	pairs []float64 // [units][units] ⟨s_i s_j⟩
	// states[x] is the probability of the first units being in state x, bit i
	// for unit first+i, summed over everything else.
	states       []float64
	first, count int
}

// couplings returns the network's weights over the temperature as a symmetric
// matrix over all units, and the biases.
func couplings(n *spin.Network, temperature float64) (j [][]float64, h []float64) {
	u := n.Units()
	scale := math.Ldexp(1/temperature, -int(n.Frac))
	j, h = make([][]float64, u), make([]float64, u)
	for i := range j {
		j[i] = make([]float64, u)
		h[i] = float64(n.Bias[i]) * scale
	}
	ptr, col, w := n.Neighbors()
	for i := range u {
		for k := ptr[i]; k < ptr[i+1]; k++ {
			j[i][col[k]] += float64(w[k]) * scale
		}
	}
	return j, h
}

// maxFree is the largest number of units whose states are enumerated.
const maxFree = 20

// enumerate sums over all states of the network's units, those that are fixed
// (±1; 0 for free) excepted. The probabilities are of the states of layer 0.
func enumerate(n *spin.Network, temperature float64, fixed []int) (*distribution, error) {
	units := n.Units()
	j, h := couplings(n, temperature)
	s := make([]float64, units)
	var free []int
	for i := range s {
		s[i] = -1
		if fixed != nil && fixed[i] != 0 {
			s[i] = float64(fixed[i])
		} else {
			free = append(free, i)
		}
	}
	if len(free) > maxFree || n.Layers[0] > maxFree {
		return nil, fmt.Errorf("%d free units, want at most %d to enumerate", len(free), maxFree)
	}
	d := newDistribution(units, 0, n.Layers[0])
	field := make([]float64, units)
	energy := 0.0
	for i := range s {
		for k := range s {
			field[i] += j[i][k] * s[k]
		}
		energy -= s[i] * (h[i] + field[i]/2)
	}
	// Gray code: state g differs from the one before in one unit.
	energies := make([]float64, 1<<len(free))
	lowest := math.Inf(1)
	walk := func(visit func(g int)) {
		for g := range energies {
			if g > 0 {
				u := free[bits.TrailingZeros(uint(g))]
				energy += 2 * s[u] * (h[u] + field[u])
				s[u] = -s[u]
				for k := range s {
					field[k] += 2 * s[u] * j[k][u]
				}
			}
			visit(g)
		}
	}
	walk(func(g int) {
		energies[g] = energy
		lowest = min(lowest, energy)
	})
	z := 0.0
	for g, e := range energies {
		energies[g] = math.Exp(lowest - e)
		z += energies[g]
	}
	for _, u := range free {
		s[u] = -1
	}
	clear(field)
	for i := range s {
		for k := range s {
			field[i] += j[i][k] * s[k]
		}
	}
	walk(func(g int) { d.add(energies[g]/z, s) })
	d.mirror()
	return d, nil
}

func newDistribution(units, first, count int) *distribution {
	return &distribution{
		means: make([]float64, units), pairs: make([]float64, units*units),
		states: make([]float64, 1<<count), first: first, count: count,
	}
}

// add adds a configuration of values, spins or conditional means that are
// independent of each other, with weight p.
func (d *distribution) add(p float64, s []float64) {
	n, x := len(s), 0
	for i := range d.count {
		if s[d.first+i] > 0 {
			x |= 1 << i
		}
	}
	d.states[x] += p
	for i, si := range s {
		ps := p * si
		d.means[i] += ps
		row := d.pairs[i*n : i*n+n]
		for k := i + 1; k < n; k++ {
			row[k] += ps * s[k]
		}
	}
}

// mirror fills the lower triangle of the pairs and their diagonal.
func (d *distribution) mirror() {
	n := len(d.means)
	for i := range n {
		d.pairs[i*n+i] = 1
		for k := range i {
			d.pairs[i*n+k] = d.pairs[k*n+i]
		}
	}
}

// enumerateRBM sums over all states of the smaller layer of an RBM, the other
// one by its conditional means. The probabilities are of the smaller layer.
func enumerateRBM(n *spin.Network, temperature float64) (*distribution, error) {
	outer, inner := 0, 1
	if n.Layers[1] < n.Layers[0] {
		outer, inner = 1, 0
	}
	count, units := n.Layers[outer], n.Units()
	if count > maxFree {
		return nil, fmt.Errorf("layers of %d and %d units: want one of at most %d to enumerate", n.Layers[0], n.Layers[1], maxFree)
	}
	j, h := couplings(n, temperature)
	fo, fi := n.First(outer), n.First(inner)
	fields := append([]float64(nil), h[fi:fi+n.Layers[inner]]...)
	s := make([]float64, units)
	bias := 0.0
	for o := fo; o < fo+count; o++ {
		s[o] = -1
		bias -= h[o]
		for a := range fields {
			fields[a] -= j[fi+a][o]
		}
	}
	start := append([]float64(nil), fields...)
	d := newDistribution(units, fo, count)
	logs := make([]float64, 1<<count)
	walk := func(visit func(g int)) {
		for g := range logs {
			if g > 0 {
				o := fo + bits.TrailingZeros(uint(g))
				s[o] = -s[o]
				bias += 2 * s[o] * h[o]
				for a := range fields {
					fields[a] += 2 * s[o] * j[fi+a][o]
				}
			}
			visit(g)
		}
	}
	highest := math.Inf(-1)
	walk(func(g int) {
		logs[g] = bias
		for _, f := range fields {
			f = math.Abs(f)
			logs[g] += f + math.Log1p(math.Exp(-2*f))
		}
		highest = max(highest, logs[g])
	})
	z := 0.0
	for g, l := range logs {
		logs[g] = math.Exp(l - highest)
		z += logs[g]
	}
	for o := fo; o < fo+count; o++ {
		s[o] = -1
	}
	copy(fields, start)
	walk(func(g int) {
		for a, f := range fields {
			s[fi+a] = math.Tanh(f)
		}
		d.add(logs[g]/z, s)
	})
	d.mirror()
	return d, nil
}
