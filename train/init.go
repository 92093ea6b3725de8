package train

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"kadanoff/backend"
	"kadanoff/model/modelfile"
	"kadanoff/spin"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

// normal returns a number from a distribution of mean 0 and variance 1 that is
// close to the normal one: the sum of twelve uniform numbers (Irwin and Hall).
// It is exact arithmetic and so the same on every machine. Stream philox.Init,
// sweeps from 2⁶³ on, four for each block of couplings.
func normal(key philox.Key, block uint64, i, a uint32) float64 {
	sum := uint64(0)
	for j := range uint64(3) {
		for _, w := range philox.Block(philox.Counter(philox.Init, a, i, 1<<63|block<<2|j), key) {
			sum += uint64(w)
		}
	}
	return math.Ldexp(float64(int64(sum)-6<<32), -32)
}

// BaseRates returns the biases of independent ±1 units with the means of the
// data, b_i = artanh(Σ v_i/(n+2)): one configuration of each sign is added, so
// that no bias is infinite.
func BaseRates(sums []int64, n int) []float64 {
	b := make([]float64, len(sums))
	for i, s := range sums {
		up, down := float64(int64(n)+2+s), float64(int64(n)+2-s)
		b[i] = (fmath.Log(up) - fmath.Log(down)) / 2
	}
	return b
}

// initial returns the model that a run begins with: weights of width InitWidth
// and hidden biases 0 in the units of the configuration, visible biases from
// the data, all divided by the temperature. A tied model has the weight
// InitWidth and no biases.
//
// It returns the context's error soon after ctx ends.
func initial(ctx context.Context, c *Config, visible int, sums []int64, rows int) (*spin.Net[float32], error) {
	// Beside the trainer, a model and what it is measured by.
	perWeight := float64(backend.TrainingBytes + 8)
	if c.Momentum > 0 {
		perWeight += 8 // velocities, and a copy of them to save
	}
	if c.Batch+c.Chains > backend.JointChains || c.Algorithm == "cd" && 2*c.Batch > backend.JointChains {
		perWeight += 8 // sums of large batches
	}
	if c.general() {
		// Both phases have the weights twice in fixed point and twice as sums.
		inside := 0.0
		for _, n := range c.inside(visible) {
			inside += float64(n[1]) * float64(n[1])
		}
		perWeight = machineBytes * (1 + inside/(float64(visible)*float64(c.Hidden)))
	}
	if err := backend.CheckMemory(fmt.Sprintf("training %d×%d weights", visible, c.Hidden), perWeight*float64(visible)*float64(c.Hidden)); err != nil {
		return nil, err
	}
	m := &modelfile.RBM{
		Units: c.Units, Visible: visible, Hidden: c.Hidden,
		W: make([]float32, visible*c.Hidden), B: make([]float32, visible), C: make([]float32, c.Hidden),
	}
	width := c.InitWidth / c.Temperature
	if c.Tied {
		for i := range m.W {
			m.W[i] = float32(width)
		}
		return spin.RBM(visible, c.Hidden, m.W, m.B, m.C), nil
	}
	key := philox.NewKey(c.Seed)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(visible, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < visible && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				for a := range c.Hidden {
					m.W[i*c.Hidden+a] = float32(width * normal(key, 0, uint32(i), uint32(a)))
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i, b := range BaseRates(sums, rows) {
		if c.Units == modelfile.Binary {
			b *= 2
		}
		m.B[i] = float32(b)
	}
	net, _, err := spinModel(m)
	if err == nil && c.general() {
		lateral(c, net, width)
	}
	return net, err
}
