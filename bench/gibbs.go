package bench

import (
	"context"
	"fmt"
	"sync"

	"kadanoff/backend/backendtest"
	"kadanoff/spin"
)

// gibbs is block Gibbs sampling: the exact checks of every sampler, and full
// sweeps v → h → v.
func gibbs() Area {
	a := Area{Name: "gibbs", Short: "block Gibbs sampling: full sweeps v → h → v, random numbers included"}
	for _, m := range machines() {
		a.Checks = append(a.Checks, m.check())
	}
	a.Checks = append(a.Checks,
		Check{Name: "gibbs/conditionals", Run: fieldRange},
		Check{Name: "gibbs/balanced", Run: balancedWeights},
		Check{Name: "gibbs/hopfield", Run: hopfieldRecall},
	)
	for _, c := range backendtest.Cases() {
		a.Checks = append(a.Checks, Check{
			Name: "gibbs/digest/" + c.Name,
			Run:  func(ctx context.Context, t *Target) ([]Result, error) { return digests(ctx, t, &c) },
		})
	}
	a.Benchmarks, a.Sized = gibbsBenchmarks(), gibbsSized
	a.Sweeps = []Sweep{{
		Name: "sweep of 256 chains, n × n", Axis: "units of each layer", Sizes: []int{64, 128, 256, 512, 1024, 2048},
		Case: func(n int) string { return fmt.Sprintf("%dx%dx256", n, n) },
	}}
	return a
}

// machine is a small machine that is sampled and enumerated.
type machine struct {
	name           string
	network        func() (*spin.Network, error)
	temperature    float64
	fixed          map[int]int // clamped units and their spins
	burnIn, stride int
	exactStart     bool // an RBM whose chains start from exact draws: it may mix slowly
	ring           bool // whose exact values have a closed form
}

func machines() []machine {
	built := func(make func() *spin.Net[float32]) func() (*spin.Network, error) {
		return func() (*spin.Network, error) { return spin.Quantize(make()) }
	}
	rbm := func(seed uint64, v, h int, w, b float32) func() (*spin.Network, error) {
		return built(func() *spin.Net[float32] { return newNumbers(seed).rbm(v, h, w, b) })
	}
	return []machine{
		{name: "rbm-4x3", network: built(small4x3), temperature: 1, burnIn: 30, stride: 1},
		{name: "rbm-1x1", network: rbm(1, 1, 1, 1, 1), temperature: 1, burnIn: 30, stride: 1},
		{name: "rbm-7x11-weak", network: rbm(2, 7, 11, 0.25, 0.25), temperature: 1, burnIn: 30, stride: 1},
		{name: "rbm-12x10-weak", network: rbm(3, 12, 10, 0.25, 0.5), temperature: 1, burnIn: 30, stride: 1},
		{name: "rbm-12x10-strong", network: rbm(4, 12, 10, 0.75, 1), temperature: 1, burnIn: 64, stride: 4},
		{name: "rbm-11x7-warm", network: rbm(5, 11, 7, 2, 2), temperature: 3.7, burnIn: 60, stride: 4},
		{name: "boltzmann-7x5", network: built(func() *spin.Net[float32] { return newNumbers(6).boltzmann(7, 5, 0.4, 0.4) }), temperature: 1, burnIn: 60, stride: 2},
		{name: "torus-4x4", network: built(func() *spin.Net[float32] { return torus(4, 0.0625) }), temperature: 3.5, burnIn: 40, stride: 2},
		// Relaxation takes 1/(1 − tanh 2/T) sweeps: 15, 4 and 2.
		{name: "ring-32/T-1.2", network: built(func() *spin.Net[float32] { return ring(32) }), temperature: 1.2, ring: true, burnIn: 300, stride: 8},
		{name: "ring-32/T-2", network: built(func() *spin.Net[float32] { return ring(32) }), temperature: 2, ring: true, burnIn: 90, stride: 4},
		{name: "ring-32/T-4", network: built(func() *spin.Net[float32] { return ring(32) }), temperature: 4, ring: true, burnIn: 40, stride: 2},
		{name: "clamped-9x7", network: rbm(7, 9, 7, 0.75, 0.5), temperature: 1, fixed: map[int]int{0: 1, 3: -1, 8: 1, 10: -1}, burnIn: 60, stride: 2},
		digitsMachine(),
	}
}

// check makes the check that samples the machine. Its exact values are summed
// once, by the first target that asks.
func (m machine) check() Check {
	exact := sync.OnceValues(func() (*sampling, error) {
		n, err := m.network()
		if err != nil {
			return nil, err
		}
		s := &sampling{network: n, temperature: m.temperature, burnIn: m.burnIn, stride: m.stride}
		if m.fixed != nil {
			s.fixed = make([]int, s.network.Units())
			for u, v := range m.fixed {
				s.fixed[u] = v
			}
		}
		if m.exactStart {
			if s.start, err = exactStart(n, m.temperature); err != nil {
				return nil, err
			}
		}
		switch {
		case m.ring:
			s.exact, err = exactRing(n.Units(), m.temperature)
		case len(s.network.Layers) == 2 && len(s.network.Blocks) == 1 && s.fixed == nil:
			s.exact, err = exactRBM(s.network, m.temperature)
		default:
			s.exact, err = exactNetwork(s.network, m.temperature, s.fixed)
		}
		return s, err
	})
	return Check{Name: "gibbs/" + m.name, Run: func(ctx context.Context, t *Target) ([]Result, error) {
		s, err := exact()
		if err != nil {
			return nil, err
		}
		job := *s
		job.chains, job.times = t.chains(), t.sample(10)
		if t.scalar() && job.operations() > mostScalar {
			return nil, nil
		}
		return job.run(ctx, t, "gibbs/"+m.name)
	}}
}

// fieldRange checks the conditional probabilities over the whole range of
// fields, at many temperatures: each chain has its own pattern and its own
// temperature.
func fieldRange(ctx context.Context, t *Target) ([]Result, error) {
	const visible, hidden, chains = 19, 37, 1024
	r := newNumbers(11)
	n, err := spin.Quantize(r.rbm(visible, hidden, 2, 2))
	if err != nil {
		return nil, err
	}
	j := &conditionals{network: n, patterns: r.coins(visible, chains), sweeps: t.sample(12)}
	ladder := []float64{0.3, 0.8, 1.25, 1.7, 2.5, 4, 9, 0, 1e6}
	for c := range chains {
		j.temperatures = append(j.temperatures, ladder[c%len(ladder)])
	}
	return j.run(ctx, t, "gibbs/conditionals")
}

// balancedWeights checks the weights themselves.
func balancedWeights(ctx context.Context, t *Target) ([]Result, error) {
	const pairs, hidden, chains = 9, 17, 1024
	network, patterns := newNumbers(12).balanced(pairs, hidden, chains)
	n, err := spin.Quantize(network)
	if err != nil {
		return nil, err
	}
	j := &conditionals{network: n, patterns: patterns, sweeps: t.sample(40)}
	for range chains {
		j.temperatures = append(j.temperatures, 0.75)
	}
	return j.run(ctx, t, "gibbs/balanced")
}

// digests checks that the samples of a job have the golden digest, with 1, 2,
// 3 and 7 threads, which say nothing of a device, and with the chains in 1, 2
// and 3 samplers.
func digests(ctx context.Context, t *Target, c *backendtest.Case) (results []Result, err error) {
	one := func(t *Target, parts int) error {
		got, err := c.Digest(ctx, t.Backend, parts)
		if err != nil {
			return err
		}
		r := Result{Name: fmt.Sprintf("gibbs/digest/%s/parts-%d", c.Name, parts), Threads: t.Threads, Unit: "digests that differ"}
		if got != c.Golden {
			r.Measured = 1
		}
		results = append(results, r)
		return nil
	}
	if t.Name == "ref" {
		return results, one(t, 3)
	}
	threads := []int{1, 2, 3, 7}
	if t.device() {
		threads = threads[:3]
	}
	err = t.eachThreads(threads, func(i int, with *Target) error { return one(with, 1+i%3) })
	return results, err
}
