//go:build gpu && cgo

package cuda

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"gorgonia.org/cu"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
)

// record is a benchmark's outcome in the words of the commands' JSON.
type record struct {
	Kind          string  `json:"kind"`
	Name          string  `json:"name"`
	Backend       string  `json:"backend"`
	ISA           string  `json:"isa"`
	Threads       int     `json:"threads"`
	Value         float64 `json:"value"`
	Unit          string  `json:"unit"`
	MinS          float64 `json:"min_s"`
	MedianS       float64 `json:"median_s"`
	Repeats       int     `json:"repeats"`
	LimitFraction float64 `json:"limit_fraction,omitempty"`
}

var records []record

// writeRecords writes what the benchmarks measured, and on what.
func writeRecords(path string) error {
	text, err := json.MarshalIndent(struct {
		Machine backend.Info `json:"machine"`
		Records []record     `json:"records"`
	}{devices()[0], records}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// int8PerClock is what the tensor cores of a multiprocessor can multiply and
// add in a clock, signed bytes: NVIDIA's peak rates over multiprocessors and
// boost clock.
var int8PerClock = map[string]float64{"sm_80": 2048, "sm_86": 1024, "sm_89": 1024, "sm_90": 4096}

// doublePerClock is the same for fused multiply-adds of float64, outside the
// tensor cores.
var doublePerClock = map[string]float64{"sm_80": 32, "sm_86": 2, "sm_89": 2, "sm_90": 64}

// peaks returns the device's int8 products and float64 fused multiply-adds a
// second, and bytes a second of its memory; 0 where it is not known.
func peaks(b *testing.B) (products, doubles, bytes float64) {
	dev, err := cu.GetDevice(0)
	if err != nil {
		b.Fatal(err)
	}
	ask := func(a cu.DeviceAttribute) float64 {
		x, err := dev.Attribute(a)
		if err != nil {
			b.Fatal(err)
		}
		return float64(x)
	}
	info, _, err := probe(0)
	if err != nil {
		b.Fatal(err)
	}
	clocks := ask(cu.MultiprocessorCount) * ask(cu.ClockRate) * 1e3
	return int8PerClock[info.ISA] * clocks, doublePerClock[info.ISA] * clocks,
		2 * ask(cu.MemoryClockRate) * 1e3 * ask(cu.GlobalMemoryBusWidth) / 8
}

// over is work over a rate, 0 where that is not known.
func over(work, rate float64) float64 {
	if rate == 0 {
		return 0
	}
	return work / rate
}

// measure times calls of do, which repeats something n times, until half a
// second has gone by, at least five times and in pieces of at least two
// milliseconds. work is units of one repeat, least the seconds that the
// device's peak would need for it.
func measure(b *testing.B, do func(n int) error, name, unit string, work, least float64) {
	b.Helper()
	repeat := func(n int) float64 {
		start := time.Now()
		if err := do(n); err != nil {
			b.Fatal(err)
		}
		return time.Since(start).Seconds() / float64(n)
	}
	n := 1
	for repeat(n)*float64(n) < 2e-3 {
		n *= 2
	}
	var seconds []float64
	for start := time.Now(); len(seconds) < 5 || time.Since(start) < time.Second/2; {
		seconds = append(seconds, repeat(n))
	}
	for b.Loop() {
		repeat(1)
	}
	slices.Sort(seconds)
	info := devices()[0]
	r := record{
		Kind: "bench", Name: name, Backend: "cuda", ISA: info.ISA, Threads: 1, Value: work / seconds[0], Unit: unit,
		MinS: seconds[0], MedianS: seconds[len(seconds)/2], Repeats: len(seconds), LimitFraction: least / seconds[0],
	}
	records = append(records, r)
	b.ReportMetric(r.Value, unit)
	b.ReportMetric(r.MinS*1e6, "µs")
	b.ReportMetric(r.LimitFraction, "of-peak")
}

// benchmarkNetwork is 784×500 weights that take the given number of digits.
func benchmarkNetwork(t testing.TB, digits int) *spin.Network {
	t.Helper()
	n := backendtest.RandomRBM(784, 500, map[int]float32{2: 0.1, 3: 20, 4: 20}[digits], 1)
	if digits == 4 {
		n.Blocks[0].W[0] = 3
	}
	return quantized(t, n)
}

func TestBenchmarkNetwork(t *testing.T) {
	for digits := 2; digits <= 4; digits++ {
		if d := kernels.Digits(benchmarkNetwork(t, digits).Blocks[0].W); d != digits {
			t.Errorf("%d digits, want %d", d, digits)
		}
	}
}

func sweeps(s backend.Sampler) func(int) error {
	return func(n int) error { return s.Sweep(context.Background(), n) }
}

func sampler4096(b *testing.B, digits int, m backend.MomentSpec) backend.Sampler {
	b.Helper()
	s, err := open(b).NewSampler(backend.SamplerSpec{Network: benchmarkNetwork(b, digits), Chains: 4096, Moments: m})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// What docs/gpu.md predicts for an H100: a sweep of 784×500 weights in three
// digits and 4096 chains in 23 to 30 µs.
func BenchmarkGibbs(b *testing.B) {
	connections := 2. * 784 * 500 * 4096
	for digits := 2; digits <= 4; digits++ {
		b.Run(fmt.Sprintf("digits%d", digits), func(b *testing.B) {
			s := sampler4096(b, digits, backend.MomentSpec{})
			products, _, _ := peaks(b)
			measure(b, sweeps(s), fmt.Sprintf("gibbs/784x500x4096-digits%d", digits), "connections/s", connections, over(connections*float64(digits), products))
		})
	}
}

// A sweep with means and edge sums of all weights.
func BenchmarkMoments(b *testing.B) {
	connections := 3. * 784 * 500 * 4096
	s := sampler4096(b, 3, backend.MomentSpec{Means: true, Edges: true})
	measure(b, sweeps(s), "moments/784x500x4096", "connections/s", connections, 0)
}

// The lists, on a torus: memory decides.
func BenchmarkLists(b *testing.B) {
	const side, chains = 64, 4096
	s, err := open(b).NewSampler(backend.SamplerSpec{Network: quantized(b, backendtest.Torus(side, 1, 0)), Chains: chains})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	_, _, bytes := peaks(b)
	updates := float64(side * side * chains)
	// The spins are read and written once for each of the two colours.
	measure(b, sweeps(s), "lists/torus-64x64x4096", "updates/s", updates, 2*2*updates/8/bytes)
}

// What docs/gpu.md predicts for an H100: a step of PCD-1 of 784×500 weights on
// 100 configurations and 100 chains in 100 to 150 µs.
func BenchmarkTrainingStep(b *testing.B) {
	tr, err := open(b).NewTrainer(backend.TrainerSpec{
		Model: backendtest.RandomRBM(784, 500, 0.5, 1), Algorithm: backend.PCD, K: 1, Chains: 100,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tr.Close() })
	c := backendtest.TrainingCase{Name: "step", Batch: 100}
	data := backend.TrainingBatch{Data: c.Data(784, 0)}
	measure(b, func(n int) error {
		for range n {
			if err := tr.Gather(context.Background(), data); err != nil {
				return err
			}
			if err := tr.Update(backend.Update{WeightRate: 0.001, BiasRate: 0.001}); err != nil {
				return err
			}
		}
		return nil
	}, "train/784x500-pcd1-batch100", "steps/s", 1, 0)
}

// repeated calls f n times.
func repeated(f func() error) func(int) error {
	return func(n int) error {
		for range n {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	}
}

// A temperature of annealed importance sampling: a product for each layer, two
// free energies.
func BenchmarkAnneal(b *testing.B) {
	const chains, points = 4096, 65
	n := benchmarkNetwork(b, 3)
	s, err := open(b).NewSampler(backend.SamplerSpec{Network: n, Chains: chains, Base: make([]int32, n.Units())})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	way, weights := make([]uint32, points), make([]float64, chains)
	for i := range way {
		way[i] = uint32(i) << 18
	}
	measure(b, repeated(func() error {
		_, err := s.(backend.Annealer).Anneal(context.Background(), n.Bias, way, weights, nil)
		return err
	}), "anneal/784x500x4096", "chain temperatures/s", chains*(points-1), 0)
}

// All 2^34 states: a minimum, log Z, a histogram.
func BenchmarkEnumerate(b *testing.B) {
	const spins = 34
	states := float64(uint64(1) << spins)
	for name, change := range map[string]func(*backend.EnumerateJob){
		"minimum":   func(*backend.EnumerateJob) {},
		"logz":      func(j *backend.EnumerateJob) { j.SumsOnly, j.Betas = true, []float64{0.5} },
		"histogram": func(j *backend.EnumerateJob) { j.SumsOnly, j.Histogram = true, true },
	} {
		b.Run(name, func(b *testing.B) {
			c := open(b)
			_, doubles, _ := peaks(b)
			job := backendtest.RandomIsing(spins, 1, 1, 1)
			change(job)
			least := 0.
			if name == "logz" {
				least = over(states, doubles)
			}
			measure(b, repeated(func() error {
				_, err := c.Enumerate(context.Background(), job)
				return err
			}), "enumerate/"+name+"-34", "states/s", states, least)
		})
	}
}

// log Z of 784×22 units: a fused multiply-add and a product for each state and
// visible unit.
func BenchmarkEnumerateRBM(b *testing.B) {
	c := open(b)
	_, doubles, _ := peaks(b)
	job := &backend.EnumerateRBMJob{Network: quantized(b, backendtest.RandomRBM(784, 22, 1, 1))}
	const states = 1 << 22
	measure(b, repeated(func() error {
		_, err := c.EnumerateRBM(context.Background(), job)
		return err
	}), "enumerate/rbm-784x22", "states/s", states, over(2*784*states, doubles))
}

// Lattices of a million sites: one, and as many as fill a device.
func BenchmarkLattice(b *testing.B) {
	const side = 1024
	for _, replicas := range []int{1, 64} {
		b.Run(fmt.Sprint(replicas), func(b *testing.B) {
			l, err := open(b).NewLattice(backend.LatticeSpec{Width: side, Height: side, Replicas: replicas, Temperatures: []float64{2.269}, Random: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { l.Close() })
			measure(b, func(n int) error { return l.Sweep(context.Background(), n) }, fmt.Sprintf("lattice/1024x1024x%d", replicas), "flips/s",
				side*side*float64(replicas), 0)
		})
	}
}

// Distributions of eight visible units, solved by Newton's method.
func BenchmarkRoots(b *testing.B) {
	job := backend.RootsJob{Visible: 8, Hidden: 4, Count: 1 << 20}
	for j := range job.Values() {
		for i := range job.Count {
			job.Weight = append(job.Weight, []float64{2, 16, 56, 112, 70}[j]*(1+float64(i%1000+1)/4000*float64(4-j)))
		}
	}
	c, dst := open(b), backend.RootsResult{W: make([]float64, job.Count)}
	measure(b, repeated(func() error { return c.Roots(context.Background(), job, dst) }), "roots/8x4-weights", "roots/s", float64(job.Count), 0)
}

// Mean-field iteration of 784×500 units.
func BenchmarkMeans(b *testing.B) {
	const chains, steps = 4096, 16
	c := open(b)
	_, doubles, _ := peaks(b)
	job := backend.MeansJob{Network: benchmarkNetwork(b, 3), Chains: chains, Steps: steps, Visible: make([]float64, chains*784)}
	work := 2. * 784 * 500 * chains * steps
	measure(b, repeated(func() error { return c.Means(context.Background(), job) }), "means/784x500x4096", "connections/s", work, over(work, doubles))
}
