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
	exact        *coinMeans // made by run where it is nil
}

// mostSums is the largest number of sums of a kind, for each weight or each pair
// of hidden units, that a job adds up. A larger machine has as many of its
// weights and pairs looked at, spread over all units.
const mostSums = 1 << 20

// every returns the distance between those looked at of n in each of rows.
func every(rows, n int) int { return max(1, (rows*n+mostSums-1)/mostSums) }

// coinMeans are what each hidden unit is in each chain.
type coinMeans struct {
	x    []float64 // [hidden][chains] a/T
	mean []float64 // [hidden][chains] tanh(a/T)
}

// means makes the exact means of the job.
func (j *conditionals) means(ctx context.Context) (*coinMeans, error) {
	visible, hidden, chains := j.network.Layers[0], j.network.Layers[1], j.patterns.Chains
	m := &coinMeans{x: make([]float64, hidden*chains), mean: make([]float64, hidden*chains)}
	w, unit := j.network.Blocks[0].W, math.Ldexp(1, -int(j.network.Frac))
	field := make([]int64, hidden)
	for k := range chains {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for a := range field {
			field[a] = int64(j.network.Bias[visible+a])
		}
		for i := range visible {
			s := int64(j.patterns.Spin(i, k))
			for a, x := range w[i*hidden : (i+1)*hidden] {
				field[a] += s * int64(x)
			}
		}
		for a, f := range field {
			x := float64(f) * unit / j.temperatures[k]
			if f == 0 {
				x = 0 // also at T = 0
			}
			m.x[a*chains+k], m.mean[a*chains+k] = x, math.Tanh(x)
		}
	}
	return m, nil
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
	if j.exact == nil {
		if j.exact, err = j.means(ctx); err != nil {
			return nil, err
		}
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
	return c.results(ctx, name)
}

// counter adds up what a conditionals job gives.
type counter struct {
	*conditionals
	visible, hidden, chains int
	*coinMeans
	ups                []int32 // [hidden][chains] sweeps in which the unit was +1
	step               int     // between the pairs of units that are looked at
	units              []int64 // for each of them, Σ s s' over chains and sweeps
	neighbours, lagged []int64 // [hidden] Σ s s' with the next chain, with the sweep before
}

func newCounter(j *conditionals) *counter {
	c := &counter{
		conditionals: j, visible: j.network.Layers[0], hidden: j.network.Layers[1], chains: j.patterns.Chains, coinMeans: j.exact,
	}
	c.step = every(c.hidden, c.hidden)
	pairs := 0
	for a := range c.hidden {
		c.eachPair(a, func(int) { pairs++ })
	}
	c.ups = make([]int32, c.hidden*c.chains)
	c.units = make([]int64, pairs)
	c.neighbours, c.lagged = make([]int64, c.hidden), make([]int64, c.hidden)
	return c
}

// eachPair calls do for the hidden units after a that are looked at beside it.
func (c *counter) eachPair(a int, do func(b int)) {
	for b := a + 1 + a%c.step; b < c.hidden; b += c.step {
		do(b)
	}
}

func (c *counter) count(hidden *spin.Batch, previous []uint64, again bool) {
	pair := 0
	for a := range c.hidden {
		row := hidden.Row(a)
		ups := c.ups[a*c.chains : (a+1)*c.chains]
		for k := range ups {
			ups[k] += int32(row[k>>6] >> (k & 63) & 1)
		}
		c.eachPair(a, func(b int) {
			other, differ := hidden.Row(b), 0
			for w, x := range row {
				differ += bits.OnesCount64(x ^ other[w])
			}
			c.units[pair] += int64(c.chains - 2*differ)
			pair++
		})
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
	cs := make([]comparison, 0, len(sums))
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

func (c *counter) results(ctx context.Context, name string) ([]Result, error) {
	sweeps := float64(c.sweeps)
	last := int(2*xEnd/xStep) + 1
	probability := make([]sum, last+1)
	step := every(c.hidden, c.visible)
	weights := make([]sum, 0, c.hidden*((c.visible+step-1)/step))
	chains := make([]sum, c.chains)
	for a := range c.hidden {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		from := len(weights)
		for i := a % step; i < c.visible; i += step {
			weights = append(weights, sum{})
		}
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
			for n := range weights[from:] {
				w := &weights[from+n]
				w.measured += (s - sweeps*m) * float64(c.patterns.Spin(a%step+n*step, k))
				w.variance += v
				w.terms += sweeps
			}
		}
	}
	units := make([]sum, 0, len(c.units))
	neighbours, lagged := make([]sum, c.hidden), make([]sum, c.hidden)
	product := func(p *sum, times, m1, m2 float64) {
		m := m1 * m2
		p.exact += times * m
		p.variance += times * (1 - m*m)
		p.terms += times
	}
	for a := range c.hidden {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ma := c.mean[a*c.chains : (a+1)*c.chains]
		c.eachPair(a, func(b int) {
			p := sum{measured: float64(c.units[len(units)])}
			mb := c.mean[b*c.chains : (b+1)*c.chains]
			for k, m := range ma {
				product(&p, sweeps, m, mb[k])
			}
			units = append(units, p)
		})
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
	}, nil
}
