package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"kadanoff/backend"
	kernel "kadanoff/kernels/gibbs"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
)

// gibbsCase is a sweep v → h → v of an RBM whose speed has a goal.
type gibbsCase struct {
	visible, hidden, chains int
	// goals in connections/s for one thread of an AMD Zen 4 core at 3.7 GHz,
	// where the look-up of AVX-512 reaches 69 connections a cycle and that of
	// AVX2 40 (2.5 float32 FMA peaks) before random numbers and acceptance. Plain
	// Go should keep what it has reached.
	goals map[isa.Level]float64
	slow  bool
}

var gibbsCases = []gibbsCase{
	{784, 500, 1000, map[isa.Level]float64{isa.AVX512: 1.9e11, isa.AVX2: 1.2e11, isa.Generic: 2.2e10}, false},
	{64, 64, 4096, map[isa.Level]float64{isa.AVX512: 8.8e10, isa.AVX2: 5.0e10, isa.Generic: 4.5e9}, false},
	{256, 256, 256, map[isa.Level]float64{isa.AVX512: 1.4e11, isa.AVX2: 9.0e10, isa.Generic: 1.1e10}, false},
	// A training batch: less than a quarter below 1000 chains.
	{784, 500, 100, map[isa.Level]float64{isa.AVX512: 1.43e11, isa.AVX2: 9.0e10, isa.Generic: 9.5e9}, false},
	{4096, 4096, 256, map[isa.Level]float64{isa.AVX512: 1.5e11, isa.AVX2: 9.0e10, isa.Generic: 2.2e10}, true},
}

func gibbsBenchmarks() []Benchmark {
	var bs []Benchmark
	for _, c := range gibbsCases {
		bs = append(bs, c.benchmark())
	}
	return bs
}

func (c gibbsCase) benchmark() Benchmark {
	return Benchmark{
		Name: fmt.Sprintf("gibbs/%dx%dx%d", c.visible, c.hidden, c.chains),
		Unit: "connections/s", Goal: perThread(c.goals), Slow: c.slow,
		Prepare: func(_ context.Context, t *Target) (*Work, error) {
			// Fields of order one, as in a trained machine.
			n := newNumbers(21).rbm(c.visible, c.hidden, 2/rootScale(c.visible), 0.25)
			q, err := spin.Quantize(n)
			if err != nil {
				return nil, err
			}
			return gibbsWork(t, q, c.chains)
		},
	}
}

// Largest sizes that --case takes.
const (
	mostUnits   = 1 << 16
	mostWeights = 1 << 28
	mostSpins   = 1 << 32
)

// gibbsSized makes a benchmark from visible×hidden×chains.
func gibbsSized(size string) (Benchmark, error) {
	var c gibbsCase
	parts := strings.Split(size, "x")
	for i, n := range []*int{&c.visible, &c.hidden, &c.chains} {
		if len(parts) != 3 {
			break
		}
		*n, _ = strconv.Atoi(parts[i])
	}
	most := max(c.visible, c.hidden)
	if min(c.visible, c.hidden, c.chains) < 1 || most > mostUnits || int64(c.visible)*int64(c.hidden) > mostWeights || int64(c.chains) > mostSpins/int64(most) {
		return Benchmark{}, fmt.Errorf("want VISIBLExHIDDENxCHAINS, layers of at most %d units and %d weights", mostUnits, mostWeights)
	}
	return c.benchmark(), nil
}

// gibbsWork is a full sweep of an RBM: both layers of all chains.
func gibbsWork(t *Target, n *spin.Network, chains int) (*Work, error) {
	s, err := t.Backend.NewSampler(backend.SamplerSpec{Network: n, Chains: chains, Seed: t.Seed})
	if err != nil {
		return nil, err
	}
	return &Work{
		Do:    s.Sweep,
		Limit: lookRate(t),
		// Both halves read the weights, and each layer is read and written.
		Bytes: 2*4*float64(n.Layers[0])*float64(n.Layers[1]) + 2*float64(n.Layers[0]+n.Layers[1])*float64(chains)/8,
		Units: 2 * float64(n.Layers[0]) * float64(n.Layers[1]) * float64(chains),
		Close: s.Close,
	}, nil
}

// lookRate returns the connections a second that the look-ups of the target's
// path could do alone on all its threads, 0 where nothing limits it that way.
func lookRate(t *Target) float64 {
	if t.Name != "cpu" {
		return 0
	}
	return probe(t.Level).Look * float64(t.Threads)
}

// probes holds the instruction rates that were measured in this process.
var probes struct {
	sync.Mutex
	rates map[isa.Level]kernel.Rates
}

// probe measures the instruction rates of a level, once.
func probe(l isa.Level) kernel.Rates {
	probes.Lock()
	defer probes.Unlock()
	r, ok := probes.rates[l]
	if !ok {
		if probes.rates == nil {
			probes.rates = map[isa.Level]kernel.Rates{}
		}
		r = kernel.Probe(l)
		probes.rates[l] = r
	}
	return r
}

// rates lists the instruction rates of the CPU targets' instruction sets.
func rates(targets []*Target) []Rates {
	var list []Rates
	for _, t := range targets {
		if t.Name == "cpu" {
			r := probe(t.Level)
			list = append(list, Rates{ISA: t.ISA, Clock: r.Clock, FMA: r.FMA, Look: r.Look, Limited: r.Limited})
		}
	}
	return list
}

// rootScale returns the least power of two whose square is at least n: a root
// that is the same on every machine.
func rootScale(n int) float32 {
	r := float32(1)
	for r*r < float32(n) {
		r *= 2
	}
	return r
}
