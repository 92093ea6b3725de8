package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// BoltzmannConfig says how a Boltzmann machine is trained.
type BoltzmannConfig struct {
	Chains int // of the free phase
	K      int // sweeps of both phases in a step, all of them measured
	Seed   uint64
	// Temperature T of the machine, P ∝ e^(−E/T); 0 stands for 1. The gradient
	// then has a factor 1/T.
	Temperature float64
}

// Boltzmann trains a machine whose units may all be coupled: the visible ones
// are layer 0, all others are hidden. The gradient of ln P(data) with respect to
// a coupling is (⟨s_i s_j⟩_clamped − ⟨s_i s_j⟩_free)/T (eqs 23 and 24 of the
// thesis): in the clamped phase the visible units are held at the data and the
// hidden ones sampled, in the free phase all are. Chains of both phases
// persist from step to step.
type Boltzmann struct {
	model         *spin.Net[float32]
	clamped, free backend.Sampler
	c             BoltzmannConfig
	beta          float64
	data, chains  backend.Moments
}

// Gradient is the gradient of the mean log-likelihood in the shape of a model.
type Gradient struct {
	Bias   []float64
	Blocks [][]float64 // as the model's blocks are stored
}

// NewBoltzmann starts training model on data, one row of layer 0 for each
// clamped chain. The model is copied.
func NewBoltzmann(be backend.Backend, model *spin.Net[float32], data *spin.Batch, c BoltzmannConfig) (*Boltzmann, error) {
	q, err := spin.Quantize(model)
	if err != nil {
		return nil, err
	}
	if err := backend.CheckStates(data, model.Layers[0], -1); err != nil {
		return nil, err
	}
	if data.Chains < 1 || c.Chains < 1 || c.K < 1 {
		return nil, errors.New("a Boltzmann machine wants at least one row of data, one chain and one sweep")
	}
	if c.Temperature == 0 {
		c.Temperature = 1
	}
	if !(c.Temperature >= spin.MinTemperature) || math.IsInf(c.Temperature, 1) {
		return nil, fmt.Errorf("temperature %v: want a finite one of at least 1/256", c.Temperature)
	}
	b := &Boltzmann{model: backend.CopyModel(model), c: c, beta: 1 / c.Temperature}
	spec := backend.SamplerSpec{
		Network: q, Chains: c.Chains, Seed: c.Seed, Stream: philox.Gibbs,
		Temperatures: []float64{c.Temperature}, Moments: backend.MomentSpec{Means: true, Edges: true},
	}
	if b.free, err = be.NewSampler(spec); err != nil {
		return nil, err
	}
	spec.Chains, spec.Stream, spec.Clamped = data.Chains, philox.Data, make([]bool, q.Units())
	for i := range model.Layers[0] {
		spec.Clamped[i] = true
	}
	if b.clamped, err = be.NewSampler(spec); err != nil {
		b.free.Close()
		return nil, err
	}
	state := spin.NewBatch(q.Units(), data.Chains)
	if err = b.clamped.State(state); err == nil {
		state.Rows(0, data.Units).CopyFrom(data)
		err = b.clamped.SetState(state)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Model returns the model as it is, which must not be written to.
func (b *Boltzmann) Model() *spin.Net[float32] { return b.model }

// Gradient runs both phases for K sweeps and returns the gradient that they
// have measured.
func (b *Boltzmann) Gradient(ctx context.Context) (*Gradient, error) {
	if err := measure(ctx, b.clamped, b.c.K, &b.data); err != nil {
		return nil, err
	}
	if err := measure(ctx, b.free, b.c.K, &b.chains); err != nil {
		return nil, err
	}
	return difference(&b.data, &b.chains, b.beta), nil
}

// measure runs a phase for k sweeps and reads what it has added up.
func measure(ctx context.Context, s backend.Sampler, k int, m *backend.Moments) error {
	if err := s.ResetMoments(); err != nil {
		return err
	}
	if err := s.Sweep(ctx, k); err != nil {
		return err
	}
	return s.Moments(m)
}

// difference returns β times the moments of the clamped phase less those of the
// free one.
func difference(clamped, free *backend.Moments, beta float64) *Gradient {
	fd, fm := beta/float64(clamped.Samples), beta/float64(free.Samples)
	minus := func(d, m []int64) []float64 {
		g := make([]float64, len(d))
		for i := range g {
			g[i] = float64(float64(d[i])*fd) - float64(float64(m[i])*fm)
		}
		return g
	}
	g := &Gradient{Bias: minus(clamped.Means, free.Means)}
	for k := range clamped.Edges {
		g.Blocks = append(g.Blocks, minus(clamped.Edges[k], free.Edges[k]))
	}
	return g
}

// Step runs both phases and moves the model up the gradient by rate. A
// *backend.DivergedError says that it has left fixed point.
func (b *Boltzmann) Step(ctx context.Context, rate float64) error {
	step := b.free.Sweeps()
	g, err := b.Gradient(ctx)
	if err != nil {
		return err
	}
	ascend(b.model, nil, g, backend.Update{WeightRate: rate, BiasRate: rate})
	q, err := spin.Quantize(b.model)
	if err != nil {
		return &backend.DivergedError{Step: step / uint64(b.c.K), Reason: err}
	}
	if err := b.clamped.SetNetwork(q); err != nil {
		return err
	}
	return b.free.SetNetwork(q)
}

// ascend moves a model up a gradient. With w a coupling or bias, and decay and
// L1 for couplings alone,
//
//	g = fma(−WeightDecay, w, g);  g = g − L1·sign(w)
//	x = fma(Momentum, velocity, rate·g)
//	w ← float32(w + x),  velocity ← float32(x)
//
// The velocities are those of all blocks, as they are stored, and of the biases;
// nil stands for no momentum. The diagonal of a block inside a layer stays zero.
func ascend(m *spin.Net[float32], velocity []float32, g *Gradient, u backend.Update) {
	at := 0
	move := func(w *float32, g, rate float64) {
		x := float64(rate * g)
		if velocity != nil {
			x = math.FMA(u.Momentum, float64(velocity[at]), x)
			velocity[at] = float32(x)
		}
		*w = float32(float64(*w) + x)
	}
	for k, gk := range g.Blocks {
		w := m.Blocks[k].W
		for i, x := range gk {
			if w[i] != 0 || !diagonal(m, k, i) {
				x = math.FMA(-u.WeightDecay, float64(w[i]), x)
				switch {
				case w[i] > 0:
					x -= u.L1
				case w[i] < 0:
					x += u.L1
				}
				move(&w[i], x, u.WeightRate)
			}
			at++
		}
	}
	for i, x := range g.Bias {
		move(&m.Bias[i], x, u.BiasRate)
		at++
	}
}

// diagonal reports whether entry i of a block couples a unit to itself.
func diagonal(m *spin.Net[float32], block, i int) bool {
	b := &m.Blocks[block]
	if b.A != b.B || b.Sparse() {
		return false
	}
	n := m.Layers[b.A]
	return i/n == i%n
}

// Close frees the chains.
func (b *Boltzmann) Close() error {
	return errors.Join(b.clamped.Close(), b.free.Close())
}
