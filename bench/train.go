package bench

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
	"kadanoff/spin/philox"
	"kadanoff/train"
)

// training is the training step of RBMs, and the two phases of Boltzmann
// machines.
func training() Area {
	a := Area{Name: "train", Short: "training steps: data phase, model phase, statistics and update"}
	for _, k := range []int{1, 2, 3} {
		a.Checks = append(a.Checks, Check{
			Name: fmt.Sprintf("train/cd-%d-fixed-point", k),
			Run:  func(ctx context.Context, t *Target) ([]Result, error) { return fixedPoint(ctx, t, k) },
		})
	}
	a.Checks = append(a.Checks, learningChecks()...)
	a.Checks = append(a.Checks, Check{Name: "train/boltzmann-3+2", Run: boltzmannGradient})
	for _, c := range backendtest.TrainingCases() {
		a.Checks = append(a.Checks, Check{
			Name: "train/digest/" + c.Name,
			Run:  func(ctx context.Context, t *Target) ([]Result, error) { return trainingDigests(ctx, t, &c) },
		})
	}
	a.Benchmarks, a.Sized = trainBenchmarks(), trainSized
	a.Sweeps = []Sweep{{
		Name: "training step, n × n, batches of 100", Axis: "units of each layer", Sizes: []int{64, 128, 256, 512, 1024},
		Case: func(n int) string { return fmt.Sprintf("%dx%dx100", n, n) },
	}}
	return a
}

// ringW is where contrastive divergence with k sweeps comes to rest on a ring
// of 8 spins at K = 1 with 4 hidden units and one weight: the exact fixed
// points of the binomial Gibbs kernel of the number of spins up.
var ringW = map[int]float64{1: 0.31954104809714701446, 2: 0.30956999187523826482, 3: 0.30724590047447551543}

// ringDistribution returns the exact probabilities of the states of a ring of 8
// spins at K = 1, added up.
var ringDistribution = sync.OnceValue(func() []float64 {
	upTo, z := make([]float64, 256), 0.0
	for s := range upTo {
		walls := 0
		for i := range 8 {
			walls += (s>>i ^ s>>((i+1)%8)) & 1
		}
		z += math.Exp(float64(8 - 2*walls))
		upTo[s] = z
	}
	for s := range upTo {
		upTo[s] /= z
	}
	return upTo
})

// ringBatch draws n configurations of the ring for a step.
func ringBatch(seed uint64, n, step int) *spin.Batch {
	upTo, b := ringDistribution(), spin.NewBatch(8, n)
	for c := range n {
		u := math.Ldexp(float64(philox.Draw(philox.NewKey(seed), philox.Shuffle, uint32(c), 0, uint64(step))), -32)
		s := 0
		for upTo[s] < u {
			s++
		}
		for i := range 8 {
			b.Set(i, c, s>>i&1 != 0)
		}
	}
	return b
}

// fixedPoint checks that the expected step of CD-k vanishes where it should.
func fixedPoint(ctx context.Context, t *Target, k int) ([]Result, error) {
	const batch = 1024
	model := spin.RBM(8, 4, make([]float32, 32), make([]float32, 8), make([]float32, 4))
	for i := range model.Blocks[0].W {
		model.Blocks[0].W[i] = float32(ringW[k])
	}
	tr, err := t.Backend.NewTrainer(backend.TrainerSpec{Model: model, Algorithm: backend.CD, K: k, Seed: t.Seed, Tied: true})
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	var stats backend.Statistics
	sum, square, n := 0.0, 0.0, t.sample(30)
	for step := range n {
		if err := tr.Gather(ctx, backend.TrainingBatch{Data: ringBatch(t.Seed, batch, step)}); err != nil {
			return nil, err
		}
		if err := tr.Statistics(&stats); err != nil {
			return nil, err
		}
		total := int64(0)
		for _, x := range stats.Pairs {
			total += x
		}
		g := float64(total) * stats.TiedFactor(32)
		sum += g
		square += float64(g * g)
		// A step of no length: the next draws other numbers.
		if err := tr.Update(backend.Update{}); err != nil {
			return nil, err
		}
	}
	mean := sum / float64(n)
	stderr := math.Sqrt(math.Max(0, square/float64(n)-float64(mean*mean)) / float64(n-1))
	return []Result{{
		Name: fmt.Sprintf("train/cd-%d-fixed-point/step", k), Measured: mean, Error: stderr, Limit: errorsAllowed(1, n-1) * stderr,
	}}, nil
}

// boltzmannGradient checks the gradient of a machine with couplings inside both
// layers against enumeration (eqs 23 and 24 of the thesis).
func boltzmannGradient(ctx context.Context, t *Target) ([]Result, error) {
	net := &spin.Net[float32]{
		Layers: []int{3, 2}, Bias: make([]float32, 5),
		Blocks: []spin.Block[float32]{
			{A: 0, B: 1, W: []float32{0.4, -0.4, 0, 0.3, -0.4, -0.1}},
			{A: 0, B: 0, W: []float32{0, -0.2, 0.1, -0.2, 0, -0.3, 0.1, -0.3, 0}},
			{A: 1, B: 1, W: []float32{0, -0.5, -0.5, 0}},
		},
	}
	exact := [][]float64{
		{-0.02148725837239980672, 0.07269495456898443338, 0.08070403620371312829, -0.14211647446074573451, -0.05088537429829197542, 0.08391607096001260495},
		{0, 0.32289939521732596137, -0.04544141525320470511, 0.32289939521732596137, 0, 0.26441765555804755917, -0.04544141525320470511, 0.26441765555804755917, 0},
		{0, 0.00078497027347651844, 0.00078497027347651844, 0},
	}
	// P(v) = (s+1)/36 for state s: 36 rows, over and over.
	const copies = 32
	data := spin.NewBatch(3, 36*copies)
	c := 0
	for s := range 8 {
		for range (s + 1) * copies {
			for i := range 3 {
				data.Set(i, c, s>>i&1 != 0)
			}
			c++
		}
	}
	b, err := train.NewBoltzmann(t.Backend, net, data, train.BoltzmannConfig{Chains: data.Chains, K: 6, Seed: t.Seed})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if _, err := b.Gradient(ctx); err != nil { // burn-in
		return nil, err
	}
	n := t.sample(60)
	sum, square := map[[2]int]float64{}, map[[2]int]float64{}
	for range n {
		g, err := b.Gradient(ctx)
		if err != nil {
			return nil, err
		}
		for k, block := range g.Blocks {
			for i, x := range block {
				sum[[2]int{k, i}] += x
				square[[2]int{k, i}] += float64(x * x)
			}
		}
	}
	var cs []comparison
	for k, block := range exact {
		for i, x := range block {
			if x == 0 {
				continue // a unit with itself
			}
			mean := sum[[2]int{k, i}] / float64(n)
			variance := math.Max(0, square[[2]int{k, i}]/float64(n)-float64(mean*mean))
			cs = append(cs, comparison{exact: x, measured: mean, error: math.Sqrt(variance / float64(n-1)), samples: float64(n * data.Chains)})
		}
	}
	return []Result{farthest("train/boltzmann-3+2/gradient", cs, n-1)}, nil
}

// trainingDigests checks that a training job has the golden digest with any
// number of threads, and with data and chains in several trainers.
func trainingDigests(ctx context.Context, t *Target, c *backendtest.TrainingCase) (results []Result, err error) {
	one := func(t *Target, parts int) error {
		got, err := c.Digest(ctx, t.Backend, parts)
		if err != nil {
			return err
		}
		r := Result{Name: fmt.Sprintf("train/digest/%s/parts-%d", c.Name, parts), Threads: t.Threads, Unit: "digests that differ"}
		if got != c.Golden {
			r.Measured = 1
		}
		results = append(results, r)
		return nil
	}
	if t.Name == "ref" {
		return results, one(t, 1)
	}
	err = t.eachThreads([]int{1, 2, 3}, func(i int, with *Target) error { return one(with, min(1+i, c.Batch)) })
	return results, err
}

// trainCase is a step of PCD-1 with as many chains as a batch has rows. Its
// connections are those of three half steps and of two products of spins with
// means.
type trainCase struct {
	visible, hidden, batch int
	goals                  map[isa.Level]float64
	slow                   bool
}

var trainCases = []trainCase{
	// Data are coins, the hardest case; the goals are what has been reached.
	{784, 500, 100, map[isa.Level]float64{isa.AVX512: 1.07e11, isa.AVX2: 6.5e10, isa.Generic: 7e9}, false},
}

// strokesSteps is a step of PCD-1 of a trained model on synthetic handwriting,
// as it is with real data. Goal: an epoch of MNIST in 0.62 s on one Zen 4 core,
// 600 steps of 1.03 ms, five times what torch and numpy need.
func strokesSteps() Benchmark {
	return Benchmark{
		Name: fmt.Sprintf("train/strokes-%dx%dx%d", strokes(0).Width(), trainingHidden, trainingBatch), Unit: "connections/s",
		Goal: perThread(map[isa.Level]float64{isa.AVX512: 1.9e11, isa.AVX2: 9e10, isa.Generic: 7e9}),
		Prepare: func(ctx context.Context, t *Target) (*Work, error) {
			model, err := handwriting.model(ctx, quickRows)
			if err != nil {
				return nil, err
			}
			rows, err := handwriting.load(quickRows)
			if err != nil {
				return nil, err
			}
			var batches []*spin.Batch
			for from := 0; from < rows.n; from += trainingBatch {
				b, err := train.Load(rows, from, from+trainingBatch, 0)
				if err != nil {
					return nil, err
				}
				batches = append(batches, b)
			}
			tr, err := newTrainer01(t, model)
			if err != nil {
				return nil, err
			}
			return trainingSteps(tr, batches, model.visible, model.hidden), nil
		},
	}
}

// trainingSteps takes steps that are so small that the model stays what it is.
func trainingSteps(tr backend.Trainer, batches []*spin.Batch, visible, hidden int) *Work {
	step, weights := 0, float64(visible)*float64(hidden)
	return &Work{
		Do: func(ctx context.Context, times int) error {
			for range times {
				if err := tr.Gather(ctx, backend.TrainingBatch{Data: batches[step%len(batches)]}); err != nil {
					return err
				}
				if err := tr.Update(backend.Update{WeightRate: 1e-6, BiasRate: 1e-6}); err != nil {
					return err
				}
				step++
			}
			return nil
		},
		Units: 5 * weights * float64(batches[0].Chains),
		// Three half steps read the weights; the update reads and writes
		// the masters and writes the weights.
		Bytes: 6 * 4 * weights,
		Close: tr.Close,
	}
}

func trainBenchmarks() []Benchmark {
	var bs []Benchmark
	for _, c := range trainCases {
		bs = append(bs, c.benchmark())
	}
	return append(bs, strokesSteps(), annealing(784, 500, 100))
}

// annealingSteps is how many temperatures one time of annealing walks.
const annealingSteps = 10

// annealing is annealed importance sampling: ten temperatures of all chains,
// with both free energies at each. Its connections are those of the half steps.
// Goal: 0.73 ms a temperature on one Zen 4 core, four times what numpy needs.
func annealing(visible, hidden, chains int) Benchmark {
	return Benchmark{
		Name: fmt.Sprintf("train/ais-%dx%dx%d", visible, hidden, chains), Unit: "connections/s",
		Goal: perThread(map[isa.Level]float64{isa.AVX512: 1.07e11, isa.AVX2: 6e10, isa.Generic: 7e9}),
		Prepare: func(_ context.Context, t *Target) (*Work, error) {
			q, err := spin.Quantize(newNumbers(32).rbm(visible, hidden, 2/rootScale(visible), 0.25))
			if err != nil {
				return nil, err
			}
			s, err := t.Backend.NewSampler(backend.SamplerSpec{
				Network: q, Chains: chains, Seed: t.Seed, Stream: philox.AIS, Base: make([]int32, q.Units()),
			})
			if err != nil {
				return nil, err
			}
			a, ok := s.(backend.Annealer)
			if !ok {
				return nil, s.Close()
			}
			weights := make([]float64, chains)
			return &Work{
				Do: func(ctx context.Context, n int) error {
					way := make([]uint32, n*annealingSteps+1)
					for k := range way {
						way[k] = uint32(k * (backend.MixOne / (len(way) - 1)))
					}
					_, err := a.Anneal(ctx, q.Bias, way, weights, nil)
					return err
				},
				Units: annealingSteps * 2 * float64(visible) * float64(hidden) * float64(chains),
				Bytes: annealingSteps * 2 * 4 * float64(visible) * float64(hidden),
				Close: s.Close,
			}, nil
		},
	}
}

func (c trainCase) benchmark() Benchmark {
	return Benchmark{
		Name: fmt.Sprintf("train/%dx%dx%d", c.visible, c.hidden, c.batch),
		Unit: "connections/s", Goal: perThread(c.goals), Slow: c.slow,
		Prepare: func(_ context.Context, t *Target) (*Work, error) {
			n := newNumbers(31)
			tr, err := t.Backend.NewTrainer(backend.TrainerSpec{
				Model:     n.rbm(c.visible, c.hidden, 2/rootScale(c.visible), 0.25),
				Algorithm: backend.PCD, K: 1, Seed: t.Seed, Chains: c.batch,
			})
			if err != nil {
				return nil, err
			}
			return trainingSteps(tr, []*spin.Batch{n.coins(c.visible, c.batch)}, c.visible, c.hidden), nil
		},
	}
}

// trainSized makes a benchmark from visible×hidden×batch, or of annealing from
// ais-visible×hidden×chains.
func trainSized(size string) (Benchmark, error) {
	var c trainCase
	size, ais := strings.CutPrefix(size, "ais-")
	parts := strings.Split(size, "x")
	for i, n := range []*int{&c.visible, &c.hidden, &c.batch} {
		if len(parts) != 3 {
			break
		}
		*n, _ = strconv.Atoi(parts[i])
	}
	most := max(c.visible, c.hidden)
	if min(c.visible, c.hidden, c.batch) < 1 || most > mostUnits || int64(c.visible)*int64(c.hidden) > mostWeights || int64(c.batch) > mostSpins/int64(most) {
		return Benchmark{}, fmt.Errorf("want VISIBLExHIDDENxBATCH or ais-VISIBLExHIDDENxCHAINS, layers of at most %d units and %d weights", mostUnits, mostWeights)
	}
	if ais {
		return annealing(c.visible, c.hidden, c.batch), nil
	}
	return c.benchmark(), nil
}
