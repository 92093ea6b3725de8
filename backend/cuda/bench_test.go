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

// peaks returns the device's int8 products a second and bytes a second of its
// memory; 0 where it is not known.
func peaks(b *testing.B) (products, bytes float64) {
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
	return int8PerClock[info.ISA] * ask(cu.MultiprocessorCount) * ask(cu.ClockRate) * 1e3,
		2 * ask(cu.MemoryClockRate) * 1e3 * ask(cu.GlobalMemoryBusWidth) / 8
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
			products, _ := peaks(b)
			least := 0.
			if products > 0 {
				least = connections * float64(digits) / products
			}
			measure(b, sweeps(s), fmt.Sprintf("gibbs/784x500x4096-digits%d", digits), "connections/s", connections, least)
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
	_, bytes := peaks(b)
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
