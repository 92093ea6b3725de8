package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

// stepper is what a run asks of its trainer: backend.Trainer for RBMs, machine
// where units are coupled inside layers.
type stepper interface {
	Gather(ctx context.Context, batch backend.TrainingBatch) error
	Update(u backend.Update) error
	Save(dst *backend.TrainerState) error
	Load(src *backend.TrainerState) error
	Close() error
}

// machineBytes is what training a machine takes for each coupling: masters, the
// copy that is saved, fixed point, the packed weights of both phases and the
// sums of both.
const machineBytes = 72

// machine trains a Boltzmann machine by persistent chains of both phases: those
// of the free phase, and one for the hidden units of every row of the data,
// which goes on from where the row was last in a batch. A step makes K sweeps of
// the free chains and of those of the batch, and measures both after the last.
type machine struct {
	be       backend.Backend
	model    *spin.Net[float32]
	network  *spin.Network
	velocity []float32
	k        int
	chains   int
	seed     uint64
	step     uint64

	free, clamped backend.Sampler
	hidden        []uint64 // [rows][words] of the clamped phase, packed
	rows          []uint32 // of the batch
	g             *Gradient

	data, sums backend.Moments
	state      *spin.Batch
}

// inside returns, for each layer with couplings inside, its number and its
// units.
func (c *Config) inside(visible int) [][2]int {
	var list [][2]int
	if c.Couplings == "visible" || c.Couplings == "all" {
		list = append(list, [2]int{0, visible})
	}
	if c.Couplings == "hidden" || c.Couplings == "all" {
		list = append(list, [2]int{1, c.Hidden})
	}
	return list
}

// lateral gives a model its couplings inside layers, normally distributed.
func lateral(c *Config, m *spin.Net[float32], width float64) {
	key := philox.NewKey(c.Seed)
	for _, l := range c.inside(m.Layers[0]) {
		layer, n := l[0], l[1]
		w := make([]float32, n*n)
		for i := range n {
			for j := range i {
				w[i*n+j] = float32(width * normal(key, uint64(1+layer), uint32(i), uint32(j)))
				w[j*n+i] = w[i*n+j]
			}
		}
		m.Blocks = append(m.Blocks, spin.Block[float32]{A: layer, B: layer, W: w})
	}
}

// newMachine starts training a model on so many rows; the model is copied.
// Chains and the hidden units of all rows start from fair coins (stream
// philox.Init; sweep 2⁶² and chain = row for those).
func newMachine(ctx context.Context, be backend.Backend, model *spin.Net[float32], c *Config, rows int) (*machine, error) {
	visible, hidden := model.Layers[0], model.Layers[1]
	m := &machine{be: be, k: c.K, chains: c.Chains, seed: c.Seed}
	words := (hidden + 63) / 64
	if err := backend.CheckFit(rows, "rows", 8*float64(words), fmt.Sprintf(" with %d hidden units each", hidden), 0); err != nil {
		return nil, err
	}
	if !c.ExactGradient {
		m.hidden = make([]uint64, rows*words)
		key := philox.NewKey(c.Seed)
		for r := range rows {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			for a := range hidden {
				coin := philox.Draw(key, philox.Init, uint32(r), uint32(visible+a), 1<<62)
				m.hidden[r*words+a/64] |= uint64(coin>>31) << (a % 64)
			}
		}
	}
	return m, m.start(ctx, model)
}

// spec is that of a phase of so many chains, at the beginning of the next step.
func (m *machine) spec(ctx context.Context, chains int, stream philox.Stream) backend.SamplerSpec {
	return backend.SamplerSpec{
		Network: m.network, Chains: chains, Seed: m.seed, Stream: stream, FirstSweep: m.step * uint64(m.k),
		Moments: backend.MomentSpec{Means: true, Edges: true, Every: m.k}, Context: ctx,
	}
}

// start takes up a model at m.step, with new chains.
func (m *machine) start(ctx context.Context, model *spin.Net[float32]) error {
	var err error
	m.model = backend.CopyModel(model)
	if m.network, err = spin.QuantizeContext(ctx, model); err != nil {
		return err
	}
	if err := m.Close(); err != nil {
		return err
	}
	m.free, err = m.be.NewSampler(m.spec(ctx, m.chains, philox.Gibbs))
	return err
}

// clamp makes sure that the clamped phase has n chains and is at the step.
func (m *machine) clamp(ctx context.Context, n int) error {
	if m.clamped != nil {
		if m.state.Chains == n && m.clamped.Sweeps() == m.step*uint64(m.k) {
			return nil
		}
		if err := m.clamped.Close(); err != nil {
			return err
		}
		m.clamped = nil
	}
	spec := m.spec(ctx, n, philox.Data)
	spec.Clamped = make([]bool, m.network.Units())
	for i := range m.model.Layers[0] {
		spec.Clamped[i] = true
	}
	m.state = spin.NewBatch(m.network.Units(), n)
	var err error
	m.clamped, err = m.be.NewSampler(spec)
	return err
}

// Gather runs both phases on a batch, the rows of which are in m.rows.
func (m *machine) Gather(ctx context.Context, batch backend.TrainingBatch) error {
	n, visible, hidden := batch.Data.Chains, m.model.Layers[0], m.model.Layers[1]
	if err := m.clamp(ctx, n); err != nil {
		return err
	}
	words := (hidden + 63) / 64
	packed := make([]uint64, n*words)
	for j, r := range m.rows {
		copy(packed[j*words:][:words], m.hidden[int(r)*words:])
	}
	m.state.Rows(0, visible).CopyFrom(batch.Data)
	pack(m.state.Rows(visible, visible+hidden), packed, words)
	if err := m.clamped.SetState(m.state); err != nil {
		return err
	}
	if err := measure(ctx, m.clamped, m.k, &m.data); err != nil {
		return err
	}
	if err := m.clamped.State(m.state); err != nil {
		return err
	}
	unpack(packed, m.state.Rows(visible, visible+hidden), words)
	for j, r := range m.rows {
		copy(m.hidden[int(r)*words:][:words], packed[j*words:])
	}
	if err := measure(ctx, m.free, m.k, &m.sums); err != nil {
		return err
	}
	m.g = difference(&m.data, &m.sums, 1)
	return nil
}

// Update moves the model up the gradient and counts the step.
func (m *machine) Update(u backend.Update) error {
	if u.Momentum > 0 && m.velocity == nil {
		m.velocity = make([]float32, parameters(m.model))
	}
	ascend(m.model, m.velocity, m.g, u)
	q, err := spin.Quantize(m.model)
	if err != nil {
		return &backend.DivergedError{Step: m.step, Reason: err}
	}
	m.network = q
	m.step++
	for _, s := range []backend.Sampler{m.free, m.clamped} {
		if s != nil {
			if err := s.SetNetwork(q); err != nil {
				return err
			}
		}
	}
	return nil
}

// parameters returns the number of couplings, as they are stored, and biases.
func parameters(m *spin.Net[float32]) int {
	n := len(m.Bias)
	for k := range m.Blocks {
		n += len(m.Blocks[k].W)
	}
	return n
}

// Save copies the state: chains are those of the free phase, all units, and the
// hidden units of all rows.
func (m *machine) Save(dst *backend.TrainerState) error {
	visible, hidden := m.model.Layers[0], m.model.Layers[1]
	dst.Step, dst.Model = m.step, backend.CopyModel(m.model)
	dst.Velocity = append([]float32(nil), m.velocity...)
	dst.VisibleOffset, dst.HiddenOffset = make([]float64, visible), make([]float64, hidden)
	words := (hidden + 63) / 64
	rows := spin.NewBatch(hidden, len(m.hidden)/words)
	pack(rows, m.hidden, words)
	dst.Chains = []spin.Batch{*spin.NewBatch(visible+hidden, m.chains), *rows}
	return m.free.State(&dst.Chains[0])
}

// Load replaces the state.
func (m *machine) Load(src *backend.TrainerState) error {
	visible, hidden := m.model.Layers[0], m.model.Layers[1]
	words := (hidden + 63) / 64
	if src.Model.Units() != visible+hidden || len(src.Model.Blocks) != len(m.model.Blocks) || len(src.Chains) != 2 ||
		backend.CheckStates(&src.Chains[1], hidden, len(m.hidden)/words) != nil {
		return errors.New("training state is not that of this machine and data")
	}
	m.step, m.velocity = src.Step, append([]float32(nil), src.Velocity...)
	if len(m.velocity) == 0 {
		m.velocity = nil
	}
	unpack(m.hidden, &src.Chains[1], words)
	if err := m.start(context.Background(), src.Model); err != nil {
		return err
	}
	return m.free.SetState(&src.Chains[0])
}

// Close frees the chains.
func (m *machine) Close() error {
	var err error
	for _, s := range []*backend.Sampler{&m.free, &m.clamped} {
		if *s != nil {
			err = errors.Join(err, (*s).Close())
			*s = nil
		}
	}
	return err
}

// unpack is the opposite of pack.
func unpack(rows []uint64, src *spin.Batch, stride int) {
	var block [64]uint64
	for w := range src.Words {
		n := min(64, src.Chains-64*w)
		for b := range stride {
			units := min(64, src.Units-64*b)
			clear(block[units:])
			for i := range units {
				block[i] = src.Bits[(64*b+i)*src.Words+w]
			}
			transpose(&block)
			for c := range n {
				rows[(64*w+c)*stride+b] = block[c]
			}
		}
	}
}

// exactGradient returns (⟨s_i s_j⟩_clamped − ⟨s_i s_j⟩_free) and the same of
// single units (eqs 23 and 24) by adding up all states; data are the
// probabilities of the visible states.
func exactGradient(m *spin.Net[float32], data []float64) *Gradient {
	visible, units := m.Layers[0], m.Units()
	log := make([]float64, 1<<units)
	s := make([]float64, units)
	spins := func(state int) {
		for u := range s {
			s[u] = float64(state>>u&1<<1 - 1)
		}
	}
	var z logSum
	marginal := make([]logSum, 1<<visible)
	for state := range log {
		spins(state)
		e := 0.0
		for u, b := range m.Bias {
			e = math.FMA(float64(b), s[u], e)
		}
		eachPair(m, func(_, _, i, j int, w float32) { e = math.FMA(float64(w), s[i]*s[j], e) })
		log[state] = e
		z.add(e)
		marginal[state&(1<<visible-1)].add(e)
	}
	logs := make([]float64, len(marginal))
	for v := range logs {
		logs[v] = marginal[v].value()
	}
	g := &Gradient{Bias: make([]float64, units)}
	for k := range m.Blocks {
		g.Blocks = append(g.Blocks, make([]float64, len(m.Blocks[k].W)))
	}
	logZ := z.value()
	for state, e := range log {
		v := state & (1<<visible - 1)
		p := -fmath.Exp(math.Min(0, e-logZ))
		if q := data[v]; q > 0 {
			p = math.FMA(q, fmath.Exp(math.Min(0, e-logs[v])), p)
		}
		spins(state)
		for u := range s {
			g.Bias[u] = math.FMA(p, s[u], g.Bias[u])
		}
		eachPair(m, func(k, at, i, j int, _ float32) {
			g.Blocks[k][at] = math.FMA(p, s[i]*s[j], g.Blocks[k][at])
		})
	}
	for k := range m.Blocks { // the other triangles
		if b := &m.Blocks[k]; b.A == b.B {
			n := m.Layers[b.A]
			for i := range n {
				for j := range i {
					g.Blocks[k][i*n+j] = g.Blocks[k][j*n+i]
				}
			}
		}
	}
	return g
}

// eachPair calls f for every pair of coupled units i and j of a model with dense
// blocks, once; at is the place of the coupling in block k.
func eachPair(m *spin.Net[float32], f func(k, at, i, j int, w float32)) {
	for k := range m.Blocks {
		b := &m.Blocks[k]
		fa, fb, nb := m.First(b.A), m.First(b.B), m.Layers[b.B]
		for at, w := range b.W {
			i, j := at/nb, at%nb
			if b.A != b.B || i < j {
				f(k, at, fa+i, fb+j, w)
			}
		}
	}
}
