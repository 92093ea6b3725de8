//go:build gpu && cgo

package cuda

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gorgonia.org/cu"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/bench"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
)

// rates are what a device does in a second at best, or what a job needs of it.
type rates struct {
	Tensor       float64 `json:"tensor"`       // int8 products added up by tensor cores
	Double       float64 `json:"double"`       // fused multiply-adds of float64 outside them
	Integer      float64 `json:"integer"`      // additions or minima of 32 bits
	Instructions float64 `json:"instructions"` // instructions of a thread, of any kind
	Shared       float64 `json:"shared"`       // words of shared memory
	Memory       float64 `json:"memory"`       // bytes of the device's memory
}

// resources are the names of the fields of rates, as records have them.
var resources = []string{"tensor cores", "float64", "integers", "instructions", "shared memory", "memory"}

func (r *rates) of(resource string) float64 {
	return []float64{r.Tensor, r.Double, r.Integer, r.Instructions, r.Shared, r.Memory}[slices.Index(resources, resource)]
}

// least is the time that a job takes at least on a device, and what decides
// that; 0 where the device's rates are not known.
func least(job, device *rates) (seconds float64, decides string) {
	for _, name := range resources {
		if rate := device.of(name); rate > 0 && job.of(name)/rate > seconds {
			seconds, decides = job.of(name)/rate, name
		}
	}
	return seconds, decides
}

// perClock is what a multiprocessor does in a clock: int8 products and float64
// fused multiply-adds, from NVIDIA's peak rates over multiprocessors and boost
// clock.
var perClock = map[string]struct{ tensor, double float64 }{
	"sm_80": {2048, 32}, "sm_86": {1024, 2}, "sm_89": {1024, 2}, "sm_90": {4096, 64}, "sm_100": {8192, 64}, "sm_120": {1024, 2},
}

// peaksOf returns the rates of device n, 0 where they are not known.
func peaksOf(n int) (r rates, err error) {
	info, dev, err := probe(n)
	if err != nil {
		return r, err
	}
	var values [4]float64
	for i, a := range []cu.DeviceAttribute{cu.MultiprocessorCount, cu.ClockRate, cu.MemoryClockRate, cu.GlobalMemoryBusWidth} {
		x, err := dev.Attribute(a)
		if err != nil {
			return r, err
		}
		values[i] = float64(x)
	}
	clocks, sm := values[0]*values[1]*1e3, perClock[info.ISA]
	// Four schedulers with a warp each; half of the lanes add integers.
	return rates{
		Tensor: sm.tensor * clocks, Double: sm.double * clocks, Integer: 64 * clocks, Instructions: 128 * clocks, Shared: 32 * clocks,
		Memory: 2 * values[2] * 1e3 * values[3] / 8,
	}, nil
}

func TestPeaks(t *testing.T) {
	simulated(t)
	got, err := peaksOf(0)
	// One multiprocessor of compute capability 8.0 at 1 GHz, and 1024 bits of
	// memory at 2·1 GHz.
	if want := (rates{2048e9, 32e9, 64e9, 128e9, 32e9, 256e9}); err != nil || got != want {
		t.Errorf("the simulated device does %+v, %v; want %+v", got, err, want)
	}
	seconds, decides := least(&rates{Tensor: 2048e9, Double: 64e9, Memory: 256e9}, &got)
	if seconds != 2 || decides != "float64" {
		t.Errorf("a job takes %g s, as %s allow; want 2 s, float64", seconds, decides)
	}
	if seconds, decides := least(&rates{Tensor: 1}, &rates{}); seconds != 0 || decides != "" {
		t.Errorf("on an unknown device a job takes %g s, as %s allow", seconds, decides)
	}
	t.Setenv("CUSIM_CAPABILITY", "87")
	if got, err = peaksOf(0); err != nil || got.Tensor != 0 || got.Instructions == 0 {
		t.Errorf("a device that the table lacks does %+v, %v", got, err)
	}
}

// largest is the last of n jobs that the device might do in the given time at
// best, the first if it can do none. So slower devices get smaller jobs.
func largest(device *rates, n int, seconds float64, job func(i int) *rates) int {
	for i := n - 1; i > 0; i-- {
		if s, _ := least(job(i), device); s <= seconds {
			return i
		}
	}
	return 0
}

// predictions are rates that docs/gpu.md derives for an H100.
var predictions = map[string][2]float64{
	"gibbs/784x500x4096":         {107e12, 140e12},
	"gibbs/784x500x4096-digits2": {131e12, 184e12},
	"gibbs/784x500x4096-digits4": {90e12, 112e12},
	"train/784x500-pcd1-100":     {6.7e3, 10e3},
	"anneal/784x500x4096":        {68e6, 82e6},
	"enumerate/minimum-34":       {5e12, 5e12},
	"enumerate/logz-34":          {9e12, 9e12},
	"enumerate/histogram-34":     {1e12, 1e12},
	"enumerate/rbm-784x22":       {5e9, 5e9},
	"roots/8x4-weights-1048576":  {0.45e9, 0.45e9},
	"means/784x500x4096":         {9e12, 9e12},
}

// work is what a benchmark does.
type work struct {
	name  string
	unit  string
	units float64 // of one time
	job   rates   // what one time needs
	do    func(n int) error
}

// measure times calls of do, which repeats something n times, in pieces of at
// least two milliseconds: five at least and half a second long, three where one
// time takes longer than that.
func measure(b *testing.B, w work) {
	b.Helper()
	peaks, err := peaksOf(0)
	if err != nil {
		b.Fatal(err)
	}
	repeat := func(n int) float64 {
		start := time.Now()
		if err := w.do(n); err != nil {
			b.Fatal(err)
		}
		return time.Since(start).Seconds() / float64(n)
	}
	n, enough := 1, 5
	once := repeat(n)
	for ; once*float64(n) < 2e-3; once = repeat(n) {
		n *= 2
	}
	if once > 0.5 {
		enough = 3
	}
	var seconds []float64
	for start := time.Now(); len(seconds) < enough || time.Since(start) < time.Second/2; {
		seconds = append(seconds, repeat(n))
	}
	for b.Loop() {
		repeat(1)
	}
	info, _, err := probe(0)
	if err != nil {
		b.Fatal(err)
	}
	sorted := slices.Sorted(slices.Values(seconds))
	r := bench.Record{
		Kind: bench.KindBench, Name: w.name, Backend: "cuda", ISA: info.ISA, Threads: 1, Value: w.units / sorted[0], Unit: w.unit,
		MinS: sorted[0], MedianS: sorted[len(sorted)/2], Repeats: len(seconds), SamplesS: seconds, Bytes: w.job.Memory,
	}
	at, decides := least(&w.job, &peaks)
	r.LimitFraction, r.LimitedBy = at/r.MinS, decides
	b.ReportMetric(r.Value, strings.ReplaceAll(w.unit, " ", "-"))
	b.ReportMetric(r.MinS*1e6, "µs")
	b.ReportMetric(r.LimitFraction, "of-peak")
	if err := send(finding{Record: &r}); err != nil {
		b.Fatal(err)
	}
	if peaks.Tensor > 0 && !(r.LimitFraction > 0 && r.LimitFraction <= 1) {
		b.Errorf("%s: %.3g of the peak of its %s", w.name, r.LimitFraction, decides)
	}
}

// randomNetwork is an RBM whose weights take the given number of digits.
func randomNetwork(t testing.TB, visible, hidden, digits int) *spin.Network {
	t.Helper()
	scale := float32(0.7 * math.Sqrt(float64(visible))) // weights within ±0.7
	if digits == 2 {
		scale = 0.1
	}
	n := backendtest.RandomRBM(visible, hidden, scale, 1)
	if digits == 4 {
		n.Blocks[0].W[0] = 3
	}
	q := quantized(t, n)
	if d := kernels.Digits(q.Blocks[0].W); d != digits {
		t.Fatalf("weights of %d digits, want %d", d, digits)
	}
	return q
}

func TestBenchmarkNetworks(t *testing.T) {
	for _, c := range gibbsShapes {
		if c.visible*c.hidden < 1<<20 {
			randomNetwork(t, c.visible, c.hidden, c.digits)
		}
	}
}

// gibbsShape is a sweep of an RBM.
type gibbsShape struct{ visible, hidden, chains, digits int }

var gibbsShapes = []gibbsShape{
	{64, 64, 4096, 3}, {256, 256, 256, 3}, {784, 500, 100, 3}, {784, 500, 1000, 3}, {784, 500, 4096, 3}, {784, 500, 4096, 2}, {784, 500, 4096, 4},
	{784, 500, 16384, 3}, {4096, 4096, 256, 3},
}

func (g gibbsShape) name() string {
	name := fmt.Sprintf("%dx%dx%d", g.visible, g.hidden, g.chains)
	if g.digits != 3 {
		name += fmt.Sprintf("-digits%d", g.digits)
	}
	return name
}

// connections is how often a half step applies a weight.
func (g gibbsShape) connections() float64 {
	return float64(g.visible) * float64(g.hidden) * float64(g.chains)
}

// needs is what the given number of half steps needs: products, and weights and
// spins read, and spins written.
func (g gibbsShape) needs(halves float64) *rates {
	weights, spins := float64(g.visible)*float64(g.hidden), float64(g.visible+g.hidden)*float64(g.chains)
	return &rates{Tensor: halves * float64(g.digits) * g.connections(), Memory: halves * (float64(g.digits)*weights + spins/8)}
}

func chainsOn(b *testing.B, spec backend.SamplerSpec) backend.Sampler {
	b.Helper()
	s, err := open(b).NewSampler(spec)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func sweeps(s backend.Sampler) func(int) error {
	return func(n int) error { return s.Sweep(context.Background(), n) }
}

// What a device may need at its peak for one time, so that a shape is timed on
// it.
const longest = 250e-6

// What docs/gpu.md predicts for an H100: a sweep of 784×500 weights in three
// digits and 4096 chains in 23 to 30 µs.
func BenchmarkGibbs(b *testing.B) {
	for i, g := range gibbsShapes {
		b.Run(g.name(), func(b *testing.B) {
			open(b)
			peaks, err := peaksOf(0)
			if err != nil {
				b.Fatal(err)
			}
			if s, _ := least(g.needs(2), &peaks); s > longest && i > 0 {
				b.Skipf("%.2g s at this device's peak, want %.2g at most", s, longest)
			}
			s := chainsOn(b, backend.SamplerSpec{Network: randomNetwork(b, g.visible, g.hidden, g.digits), Chains: g.chains})
			measure(b, work{"gibbs/" + g.name(), "connections/s", 2 * g.connections(), *g.needs(2), sweeps(s)})
		})
	}
}

// shapeFor is the largest number of chains of 784×500 units for the device, of
// work that needs as much as some half steps.
func shapeFor(b *testing.B, halves float64) gibbsShape {
	b.Helper()
	open(b)
	peaks, err := peaksOf(0)
	if err != nil {
		b.Fatal(err)
	}
	shape := func(i int) gibbsShape { return gibbsShape{784, 500, []int{64, 256, 1024, 4096}[i], 3} }
	return shape(largest(&peaks, 4, longest, func(i int) *rates { return shape(i).needs(halves) }))
}

// A sweep with means and edge sums of all weights.
func BenchmarkMoments(b *testing.B) {
	g := shapeFor(b, 3)
	s := chainsOn(b, backend.SamplerSpec{Network: randomNetwork(b, 784, 500, 3), Chains: g.chains, Moments: backend.MomentSpec{Means: true, Edges: true}})
	job := *g.needs(2)
	job.Tensor += g.connections()
	job.Memory += 2 * 8 * 784 * 500
	measure(b, work{"moments/" + g.name(), "connections/s", 3 * g.connections(), job, sweeps(s)})
}

// The lists, on a torus: memory decides.
func BenchmarkLists(b *testing.B) {
	const side = 64
	chains := shapeFor(b, 2).chains
	s := chainsOn(b, backend.SamplerSpec{Network: quantized(b, backendtest.Torus(side, 1, 0)), Chains: chains})
	updates := float64(side * side * chains)
	// The spins are read and written once for each of the two colours.
	measure(b, work{fmt.Sprintf("lists/torus-64x64x%d", chains), "updates/s", updates, rates{Memory: 2 * 2 * updates / 8}, sweeps(s)})
}

// What docs/gpu.md predicts for an H100: a step of PCD-1 of 784×500 weights on
// 100 configurations and 100 chains in 100 to 150 µs.
func BenchmarkTrainingStep(b *testing.B) {
	const visible, hidden, batch = 784, 500, 100
	tr, err := open(b).NewTrainer(backend.TrainerSpec{
		Model: backendtest.RandomRBM(visible, hidden, 0.5, 1), Algorithm: backend.PCD, K: 1, Chains: batch,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tr.Close() })
	c := backendtest.TrainingCase{Name: "step", Batch: batch}
	data := backend.TrainingBatch{Data: c.Data(visible, 0)}
	// Two products for means, two half steps and two sums of pairs; 64 bytes
	// for each weight: masters, sums of both sides, changes, fixed point, digits.
	job := rates{Tensor: 6 * 3 * visible * hidden * batch, Memory: 64 * visible * hidden}
	measure(b, work{"train/784x500-pcd1-100", "steps/s", 1, job, repeated(func() error {
		if err := tr.Gather(context.Background(), data); err != nil {
			return err
		}
		return tr.Update(backend.Update{WeightRate: 0.001, BiasRate: 0.001})
	})})
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
	const points = 17
	g, n := shapeFor(b, 2), randomNetwork(b, 784, 500, 3)
	s := chainsOn(b, backend.SamplerSpec{Network: n, Chains: g.chains, Base: make([]int32, n.Units())})
	way, weights := make([]uint32, points), make([]float64, g.chains)
	for i := range way {
		way[i] = uint32(i) << 18
	}
	job := *g.needs(2 * (points - 1))
	job.Double = (points - 1) * 2 * 25 * 500 * float64(g.chains)
	measure(b, work{"anneal/" + g.name(), "chain temperatures/s", float64(g.chains * (points - 1)), job, repeated(func() error {
		_, err := s.(backend.Annealer).Anneal(context.Background(), n.Bias, way, weights, nil)
		return err
	})})
}

// All states, 2^34 of them on a fast device: a minimum, log Z, a histogram.
func BenchmarkEnumerate(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*backend.EnumerateJob)
		needs  rates // of a state
	}{
		{"minimum", func(*backend.EnumerateJob) {}, rates{Integer: 2}},
		{"logz", func(j *backend.EnumerateJob) { j.SumsOnly, j.Betas = true, []float64{0.5} }, rates{Double: 1}},
		{"histogram", func(j *backend.EnumerateJob) { j.SumsOnly, j.Histogram = true, true }, rates{Shared: 1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			device := open(b)
			peaks, err := peaksOf(0)
			if err != nil {
				b.Fatal(err)
			}
			const smallest, most, budget = 22, 34, 3e-3
			needs := func(i int) *rates {
				states := math.Exp2(float64(smallest + i))
				return &rates{Integer: c.needs.Integer * states, Double: c.needs.Double * states, Shared: c.needs.Shared * states}
			}
			i := largest(&peaks, most-smallest+1, budget, needs)
			spins := smallest + i
			job := backendtest.RandomIsing(spins, 1, 1, 1)
			c.change(job)
			measure(b, work{fmt.Sprintf("enumerate/%s-%d", c.name, spins), "states/s", math.Exp2(float64(spins)), *needs(i), repeated(func() error {
				_, err := device.Enumerate(context.Background(), job)
				return err
			})})
		})
	}
}

// log Z of 784×22 units: a fused multiply-add and a product for each state and
// visible unit.
func BenchmarkEnumerateRBM(b *testing.B) {
	const visible, smallest, most = 784, 12, 22
	device := open(b)
	peaks, err := peaksOf(0)
	if err != nil {
		b.Fatal(err)
	}
	needs := func(i int) *rates { return &rates{Double: 2 * visible * math.Exp2(float64(smallest+i))} }
	i := largest(&peaks, most-smallest+1, 3e-3, needs)
	hidden := smallest + i
	job := &backend.EnumerateRBMJob{Network: quantized(b, backendtest.RandomRBM(visible, hidden, 1, 1))}
	measure(b, work{fmt.Sprintf("enumerate/rbm-%dx%d", visible, hidden), "states/s", math.Exp2(float64(hidden)), *needs(i), repeated(func() error {
		_, err := device.EnumerateRBM(context.Background(), job)
		return err
	})})
}

// Lattices of a million sites: one, and as many as fill a device. 310
// instructions of a thread flip 64 spins.
func BenchmarkLattice(b *testing.B) {
	const side = 1024
	for _, replicas := range []int{1, 64} {
		b.Run(fmt.Sprint(replicas), func(b *testing.B) {
			device := open(b)
			peaks, err := peaksOf(0)
			if err != nil {
				b.Fatal(err)
			}
			sites := float64(side * side * replicas)
			job := rates{Instructions: 310. / 64 * sites, Memory: 2 * sites / 8}
			if s, _ := least(&job, &peaks); s > longest && replicas > 1 {
				b.Skipf("%.2g s at this device's peak, want %.2g at most", s, longest)
			}
			l, err := device.NewLattice(backend.LatticeSpec{Width: side, Height: side, Replicas: replicas, Temperatures: []float64{2.269}, Random: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { l.Close() })
			measure(b, work{fmt.Sprintf("lattice/1024x1024x%d", replicas), "flips/s", sites, job, func(n int) error { return l.Sweep(context.Background(), n) }})
		})
	}
}

// Distributions of eight visible units, solved by Newton's method in some 1300
// operations each.
func BenchmarkRoots(b *testing.B) {
	c := open(b)
	peaks, err := peaksOf(0)
	if err != nil {
		b.Fatal(err)
	}
	counts := []int{1 << 14, 1 << 16, 1 << 18, 1 << 20}
	needs := func(i int) *rates { return &rates{Double: 1300 * float64(counts[i])} }
	i := largest(&peaks, len(counts), longest, needs)
	job := backend.RootsJob{Visible: 8, Hidden: 4, Count: counts[i]}
	for j := range job.Values() {
		for i := range job.Count {
			job.Weight = append(job.Weight, []float64{2, 16, 56, 112, 70}[j]*(1+float64(i%1000+1)/4000*float64(4-j)))
		}
	}
	dst := backend.RootsResult{W: make([]float64, job.Count)}
	measure(b, work{fmt.Sprintf("roots/8x4-weights-%d", job.Count), "roots/s", float64(job.Count), *needs(i), repeated(func() error {
		return c.Roots(context.Background(), job, dst)
	})})
}

// Mean-field iteration of 784×500 units.
func BenchmarkMeans(b *testing.B) {
	const steps = 4
	c := open(b)
	peaks, err := peaksOf(0)
	if err != nil {
		b.Fatal(err)
	}
	shape := func(i int) gibbsShape { return gibbsShape{784, 500, []int{16, 256, 1024, 4096}[i], 3} }
	needs := func(i int) *rates { return &rates{Double: 2 * steps * shape(i).connections()} }
	i := largest(&peaks, 4, 3e-3, needs)
	g := shape(i)
	job := backend.MeansJob{Network: randomNetwork(b, 784, 500, 3), Chains: g.chains, Steps: steps, Visible: make([]float64, g.chains*784)}
	measure(b, work{"means/" + g.name(), "connections/s", 2 * steps * g.connections(), *needs(i), repeated(func() error { return c.Means(context.Background(), job) })})
}
