package bench

import (
	"context"
	"math"
	"math/bits"

	"kadanoff/backend"
	"kadanoff/spin"
)

// groupChains is the number of chains whose sums are kept together. Chains are
// independent, so the spread between groups gives the standard error of a mean
// with the correlation in time included, and the effective sample size.
const groupChains = 16

// sampling is a job whose moments and distribution are known.
type sampling struct {
	network     *spin.Network
	temperature float64
	fixed       []int // ±1 for clamped units, 0 for free ones; nil if all are free
	// start, if not nil, draws the first states with their exact
	// probabilities: a right sampler then has the right distribution from the
	// first sweep on, however slowly it would find it.
	start  func(chains int) *spin.Batch
	chains int // a multiple of 64
	burnIn int // sweeps before the first observation
	stride int // sweeps from one observation to the next
	times  int // observations
	exact  *distribution
}

// mostScalar is the largest number of operations of a job that the reference
// backend is given: some ten seconds.
const mostScalar = 1 << 32

// operations estimates what a job costs one chain at a time: a multiplication
// for each coupling in each sweep, and for each pair of units that is counted.
func (s *sampling) operations() int64 {
	units, couplings := s.network.Units(), 0
	for _, b := range s.network.Blocks {
		couplings += 2 * len(b.W)
	}
	sweeps := int64(s.burnIn + s.stride*s.times)
	return int64(s.chains) * (sweeps*int64(couplings+units*16) + int64(s.times)*int64(units*units))
}

// run samples the job on a target and compares means, pair correlations and
// distribution with the exact ones, what the backend adds up with what is
// counted here from its states, and clamped units with what they were.
func (s *sampling) run(ctx context.Context, t *Target, name string) (results []Result, err error) {
	n := s.network
	units := n.Units()
	spec := backend.SamplerSpec{
		Network: n, Chains: s.chains, Seed: t.Seed, Temperatures: []float64{s.temperature},
		Moments: backend.MomentSpec{Means: true, AllPairs: true, Every: s.stride},
	}
	if s.fixed != nil {
		spec.Clamped = make([]bool, units)
		for u, v := range s.fixed {
			spec.Clamped[u] = v != 0
		}
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
	state := spin.NewBatch(units, s.chains)
	if s.fixed != nil {
		if err := sampler.State(state); err != nil {
			return nil, err
		}
		for u, v := range s.fixed {
			for c := range s.chains {
				if v != 0 {
					state.Set(u, c, v > 0)
				}
			}
		}
		if err := sampler.SetState(state); err != nil {
			return nil, err
		}
	}
	if s.start != nil {
		if err := sampler.SetState(s.start(s.chains)); err != nil {
			return nil, err
		}
	}
	if err := sampler.Sweep(ctx, s.burnIn); err != nil {
		return nil, err
	}
	if err := sampler.ResetMoments(); err != nil {
		return nil, err
	}
	o := newObserver(state, s)
	flips := 0
	for range s.times {
		if err := sampler.Sweep(ctx, s.stride); err != nil {
			return nil, err
		}
		if err := sampler.State(state); err != nil {
			return nil, err
		}
		o.observe(state)
		for u, v := range s.fixed {
			for _, w := range state.Row(u) {
				switch {
				case v > 0:
					flips += bits.OnesCount64(^w)
				case v < 0:
					flips += bits.OnesCount64(w)
				}
			}
		}
	}
	var m backend.Moments
	if err := sampler.Moments(&m); err != nil {
		return nil, err
	}
	results = o.results(name, s)
	results = append(results, Result{Name: name + "/sums", Measured: float64(o.differ(&m)), Unit: "sums that differ"})
	if s.fixed != nil {
		results = append(results, Result{Name: name + "/clamped", Measured: float64(flips), Unit: "flips"})
	}
	return results, nil
}

// observer adds up spins and products of two spins over chains and times.
type observer struct {
	exact  *distribution
	words  int
	times  int
	means  [][]int32 // [unit][group] Σ s, of the units of exact
	pairs  [][]int32 // [pair][group] Σ s s', pairs i < k in order
	counts []int32   // [states][group], of exact.states; nil if there are too many
	index  [64]int
}

func newObserver(state *spin.Batch, s *sampling) *observer {
	o := &observer{exact: s.exact, words: state.Words}
	groups, units := state.Chains/groupChains, len(s.exact.units)
	if n := len(s.exact.states); n <= s.chains*s.times/2 {
		o.counts = make([]int32, n*groups)
	}
	zeros := func(n int) [][]int32 {
		x := make([][]int32, n)
		for i := range x {
			x[i] = make([]int32, groups)
		}
		return x
	}
	o.means, o.pairs = zeros(units), zeros(units*(units-1)/2)
	return o
}

// addGroups adds groupChains − 2·(number of set bits) of each 16 bits of a word.
func addGroups(sums []int32, word int, w uint64) {
	g := sums[word*4 : word*4+4]
	g[0] += groupChains - 2*int32(bits.OnesCount16(uint16(w)))
	g[1] += groupChains - 2*int32(bits.OnesCount16(uint16(w>>16)))
	g[2] += groupChains - 2*int32(bits.OnesCount16(uint16(w>>32)))
	g[3] += groupChains - 2*int32(bits.OnesCount16(uint16(w>>48)))
}

func (o *observer) observe(b *spin.Batch) {
	o.times++
	pair := 0
	for i, u := range o.exact.units {
		ri := b.Row(u)
		for w, x := range ri {
			addGroups(o.means[i], w, ^x)
		}
		for _, v := range o.exact.units[i+1:] {
			rk, sums := b.Row(v), o.pairs[pair]
			for w, x := range ri {
				addGroups(sums, w, x^rk[w])
			}
			pair++
		}
	}
	if o.counts == nil {
		return
	}
	groups := o.words * 64 / groupChains
	for w := range o.words {
		clear(o.index[:])
		for i, u := range o.exact.listed {
			x := b.Row(u)[w]
			for c := range o.index {
				o.index[c] |= int(x>>c&1) << i
			}
		}
		for c, x := range o.index {
			o.counts[x*groups+(w*64+c)/groupChains]++
		}
	}
}

// differ returns how many of a backend's sums are not those counted here.
func (o *observer) differ(m *backend.Moments) int {
	bad, units := 0, len(m.Means)
	want := func(got, want int64) {
		if got != want {
			bad++
		}
	}
	want(m.Samples, int64(o.times)*int64(o.words)*64)
	pair := 0
	for i, u := range o.exact.units {
		want(m.Means[u], total(o.means[i]))
		want(m.Pairs[u*units+u], m.Samples)
		for _, v := range o.exact.units[i+1:] {
			sum := total(o.pairs[pair])
			want(m.Pairs[u*units+v], sum)
			want(m.Pairs[v*units+u], sum)
			pair++
		}
	}
	return bad
}

func total(x []int32) int64 {
	s := int64(0)
	for _, v := range x {
		s += int64(v)
	}
	return s
}

// results compares with the exact distribution.
func (o *observer) results(name string, s *sampling) []Result {
	groups := len(o.means[0])
	samples := float64(o.times) * float64(groups*groupChains)
	// inflation is the largest ratio of a mean's variance to that of as many
	// independent samples: twice the integrated autocorrelation time.
	inflation := 1.0
	compare := func(sums []int32, exact float64) comparison {
		mean := float64(total(sums)) / samples
		perGroup, ss := float64(o.times*groupChains), 0.0
		for _, x := range sums {
			d := float64(x)/perGroup - mean
			ss += d * d
		}
		variance := ss / float64(groups-1) / float64(groups)
		floor := (1 - exact*exact) / samples
		if floor*samples > 1e-3 { // a quantity that hardly varies says nothing about time
			inflation = max(inflation, variance/floor)
		}
		return comparison{exact: exact, measured: mean, error: math.Sqrt(max(variance, floor, 0))}
	}
	var means, pairs []comparison
	pair := 0
	units := len(s.exact.units)
	for i := range units {
		means = append(means, compare(o.means[i], s.exact.means[i]))
		for k := i + 1; k < units; k++ {
			pairs = append(pairs, compare(o.pairs[pair], s.exact.pairs[i*units+k]))
			pair++
		}
	}
	independent := samples / inflation
	for _, cs := range [][]comparison{means, pairs} {
		for i := range cs {
			cs[i].samples = independent
		}
	}
	results := []Result{
		farthest(name+"/means", means, groups-1),
		farthest(name+"/pair-correlations", pairs, groups-1),
	}
	if o.counts != nil {
		results = append(results, distributionResults(name, o.counts, groups, float64(o.times*groupChains), s.exact.states)...)
	}
	return results
}
