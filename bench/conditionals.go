package bench

import (
	"context"
	"math"
	"math/bits"

	"kadanoff/backend"
	"kadanoff/spin"
)

// conditionals is a job in which the visible layer of an RBM is clamped to a
// pattern for each chain, so that every hidden unit is an independent coin of
// known probability σ(2a/T) in every sweep.
type conditionals struct {
	network      *spin.Network
	temperatures []float64 // one for each chain
	patterns     *spin.Batch
	sweeps       int
}

// run samples the job on a target. Its results, each the farthest of many
// comparisons:
//
//   - probability: the number of +1 against Σ σ(2a/T), for each interval of a/T
//   - weights: Σ (s − tanh(a/T))·v for each weight, the most powerful test for
//     a change of it
//   - chains: Σ (s − tanh(a/T))·tanh(a/T) for each chain, which finds chains
//     that are taken for others
//   - units, neighbours, sweeps: products of two hidden units, of a unit in
//     chains c and c+1, of a unit in two sweeps, which find random numbers
//     that are used twice
func (j *conditionals) run(ctx context.Context, t *Target, name string) (results []Result, err error) {
	n := j.network
	visible, hidden, chains := n.Layers[0], n.Layers[1], j.patterns.Chains
	spec := backend.SamplerSpec{Network: n, Chains: chains, Seed: t.Seed, Temperatures: j.temperatures, Clamped: make([]bool, n.Units())}
	for i := range visible {
		spec.Clamped[i] = true
	}
	sampler, err := t.Backend.NewSampler(spec)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := sampler.Close(); err == nil {
			err = cerr
		}
	}()
	state := spin.NewBatch(n.Units(), chains)
	state.Rows(0, visible).CopyFrom(j.patterns)
	if err := sampler.SetState(state); err != nil {
		return nil, err
	}
	c := newCounter(j)
	previous := make([]uint64, hidden*state.Words)
	for sweep := range j.sweeps {
		if err := sampler.Sweep(ctx, 1); err != nil {
			return nil, err
		}
		if err := sampler.State(state); err != nil {
			return nil, err
		}
		c.count(state.Rows(visible, visible+hidden), previous, sweep > 0)
		copy(previous, state.Bits[visible*state.Words:])
	}
	return c.results(name), nil
}

// counter adds up what a conditionals job gives.
type counter struct {
	*conditionals
	visible, hidden, chains int
	ups                     []int32   // [hidden][chains] sweeps in which the unit was +1
	x                       []float64 // [hidden][chains] a/T
	mean                    []float64 // [hidden][chains] tanh(a/T)
	units                   []int64   // [hidden][hidden] Σ s s' over chains and sweeps, upper triangle
	neighbours, lagged      []int64   // [hidden] Σ s s' with the next chain, with the sweep before
}

func newCounter(j *conditionals) *counter {
	c := &counter{conditionals: j, visible: j.network.Layers[0], hidden: j.network.Layers[1], chains: j.patterns.Chains}
	c.ups = make([]int32, c.hidden*c.chains)
	c.x = make([]float64, c.hidden*c.chains)
	c.mean = make([]float64, c.hidden*c.chains)
	c.units = make([]int64, c.hidden*c.hidden)
	c.neighbours, c.lagged = make([]int64, c.hidden), make([]int64, c.hidden)
	w, unit := j.network.Blocks[0].W, math.Ldexp(1, -int(j.network.Frac))
	for a := range c.hidden {
		for k := range c.chains {
			field := int64(j.network.Bias[c.visible+a])
			for i := range c.visible {
				field += int64(w[i*c.hidden+a]) * int64(j.patterns.Spin(i, k))
			}
			x := float64(field) * unit / j.temperatures[k]
			if field == 0 {
				x = 0 // also at T = 0
			}
			c.x[a*c.chains+k], c.mean[a*c.chains+k] = x, math.Tanh(x)
		}
	}
	return c
}

func (c *counter) count(hidden *spin.Batch, previous []uint64, again bool) {
	for a := range c.hidden {
		row := hidden.Row(a)
		ups := c.ups[a*c.chains : (a+1)*c.chains]
		for k := range ups {
			ups[k] += int32(row[k>>6] >> (k & 63) & 1)
		}
		for b := a + 1; b < c.hidden; b++ {
			other, differ := hidden.Row(b), 0
			for w, x := range row {
				differ += bits.OnesCount64(x ^ other[w])
			}
			c.units[a*c.hidden+b] += int64(c.chains - 2*differ)
		}
		differ := 0
		for w, x := range row {
			next := x >> 1
			if w+1 < len(row) {
				next |= row[w+1] << 63
			} else {
				next |= x & (1 << 63) // the last chain has no neighbour: equal to itself
			}
			differ += bits.OnesCount64(x ^ next)
		}
		c.neighbours[a] += int64(c.chains-1) - 2*int64(differ)
		if again {
			differ = 0
			for w, x := range row {
				differ += bits.OnesCount64(x ^ previous[a*hidden.Words+w])
			}
			c.lagged[a] += int64(c.chains) - 2*int64(differ)
		}
	}
}

// sum is a sum of products of coins, with its exact mean and variance.
type sum struct{ exact, measured, variance, terms float64 }

func (s *sum) comparison() comparison {
	return comparison{
		exact: s.exact / s.terms, measured: s.measured / s.terms,
		error: math.Sqrt(max(s.variance, 0)) / s.terms, samples: s.terms,
	}
}

// far returns the farthest of the sums that have terms.
func far(name string, sums []sum) Result {
	var cs []comparison
	for i := range sums {
		if sums[i].terms > 0 {
			cs = append(cs, sums[i].comparison())
		}
	}
	return farthest(name, cs, 0)
}

// Intervals of a/T: steps of 1/4 from −xEnd to xEnd, and all beyond.
const (
	xEnd  = 7.0
	xStep = 0.25
)

func (c *counter) results(name string) []Result {
	sweeps := float64(c.sweeps)
	last := int(2*xEnd/xStep) + 1
	probability := make([]sum, last+1)
	weights := make([]sum, c.visible*c.hidden)
	chains := make([]sum, c.chains)
	for a := range c.hidden {
		for k := range c.chains {
			m := c.mean[a*c.chains+k]
			s := 2*float64(c.ups[a*c.chains+k]) - sweeps // Σ s over sweeps
			v := sweeps * (1 - m*m)
			// The number of +1 is a sum of bits; x = ±Inf belongs to the ends.
			p := &probability[int(min(max((c.x[a*c.chains+k]+xEnd)/xStep+1, 0), float64(last)))]
			p.exact += sweeps * (1 + m) / 2
			p.measured += float64(c.ups[a*c.chains+k])
			p.variance += v / 4
			p.terms += sweeps
			q := &chains[k]
			q.measured += (s - sweeps*m) * m
			q.variance += v * m * m
			q.terms += sweeps
			for i := range c.visible {
				w := &weights[i*c.hidden+a]
				w.measured += (s - sweeps*m) * float64(c.patterns.Spin(i, k))
				w.variance += v
				w.terms += sweeps
			}
		}
	}
	units := make([]sum, 0, c.hidden*(c.hidden-1)/2)
	neighbours, lagged := make([]sum, c.hidden), make([]sum, c.hidden)
	product := func(p *sum, times, m1, m2 float64) {
		m := m1 * m2
		p.exact += times * m
		p.variance += times * (1 - m*m)
		p.terms += times
	}
	for a := range c.hidden {
		ma := c.mean[a*c.chains : (a+1)*c.chains]
		for b := a + 1; b < c.hidden; b++ {
			p := sum{measured: float64(c.units[a*c.hidden+b])}
			mb := c.mean[b*c.chains : (b+1)*c.chains]
			for k, m := range ma {
				product(&p, sweeps, m, mb[k])
			}
			units = append(units, p)
		}
		neighbours[a].measured = float64(c.neighbours[a])
		lagged[a].measured = float64(c.lagged[a])
		for k, m := range ma {
			if k+1 < c.chains {
				product(&neighbours[a], sweeps, m, ma[k+1])
			}
			product(&lagged[a], sweeps-1, m, m)
		}
		// Products that share a coin are correlated where its mean is not 0.
		for k := 1; k+1 < c.chains; k++ {
			neighbours[a].variance += 2 * sweeps * ma[k-1] * ma[k+1] * (1 - ma[k]*ma[k])
		}
		for _, m := range ma {
			lagged[a].variance += 2 * max(sweeps-2, 0) * m * m * (1 - m*m)
		}
	}
	return []Result{
		far(name+"/probability", probability),
		far(name+"/weights", weights),
		far(name+"/chains", chains),
		far(name+"/units", units),
		far(name+"/neighbours", neighbours),
		far(name+"/sweeps", lagged),
	}
}
