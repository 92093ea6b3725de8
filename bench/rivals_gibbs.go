package bench

import (
	"context"
	"fmt"
	"math"
	"sync"

	"kadanoff/backend"
	"kadanoff/bench/peers"
	"kadanoff/spin"
	"kadanoff/train"
)

// binaryRBM is an RBM of {0,1} units, as peers have it, and the same one of ±1
// units, as we have it.
type binaryRBM struct {
	visible, hidden int
	w, b, c         []float32
}

// rbm01 returns an RBM with weights within ±w and biases within ±b.
func (r *numbers) rbm01(visible, hidden int, w, b float32) *binaryRBM {
	return &binaryRBM{visible, hidden, r.uniforms(visible*hidden, w), r.uniforms(visible, b), r.uniforms(hidden, b)}
}

// centred moves the biases so that each field of a unit is as often positive as
// negative when the units of the other layer are fair coins.
func (m *binaryRBM) centred() *binaryRBM {
	for i := range m.b {
		for a := range m.c {
			w := m.w[i*m.hidden+a] / 2
			m.b[i] -= w
			m.c[a] -= w
		}
	}
	return m
}

// spins returns the model of ±1 units with the same distribution: W = W₀₁/4,
// b = b₀₁/2 + Σ_a W₀₁/4, c likewise. The sum of its Boltzmann weights is e^shift
// times that of the {0,1} model.
func (m *binaryRBM) spins() (net *spin.Net[float32], shift float64) {
	w, b, c := make([]float32, len(m.w)), make([]float32, m.visible), make([]float32, m.hidden)
	sb, sc := make([]float64, m.visible), make([]float64, m.hidden)
	for i := range sb {
		for a := range sc {
			x := m.w[i*m.hidden+a] / 4
			w[i*m.hidden+a] = x
			sb[i] += float64(x)
			sc[a] += float64(x)
			shift += float64(x)
		}
	}
	for i := range b {
		x := float64(m.b[i])/2 + sb[i]
		b[i] = float32(x)
		shift -= x
	}
	for a := range c {
		x := float64(m.c[a])/2 + sc[a]
		c[a] = float32(x)
		shift -= x
	}
	return spin.RBM(m.visible, m.hidden, w, b, c), shift
}

// put gives the model to the workers.
func (m *binaryRBM) put(p *problem) {
	p.number("visible", float64(m.visible))
	p.number("hidden", float64(m.hidden))
	put(p, "w", m.w, m.visible, m.hidden)
	put(p, "b", m.b, m.visible)
	put(p, "c", m.c, m.hidden)
}

// gibbsRivalry is block Gibbs sampling.
func gibbsRivalry() Rivalry {
	r := Rivalry{Name: "gibbs", Short: "sweeps v → h → v of RBMs, both layers sampled, random numbers included"}
	for i, c := range gibbsCases[:4] {
		sizes := []Size{Full}
		if i >= 2 {
			sizes = append(sizes, Quick)
		}
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("gibbs/%dx%dx%d", c.visible, c.hidden, c.chains), Asks: "gibbs", Unit: "sweep", Sizes: sizes,
			Prepare: func(_ context.Context, t *Target, folder string) (*Rival, error) { return c.rival(t, folder) },
		})
	}
	return r
}

// Sweeps of which averages are compared; those of the workers are in
// scripts/moments.py.
const (
	momentBurnIn = 10
	momentSweeps = 40
)

func (c gibbsCase) rival(t *Target, folder string) (*Rival, error) {
	m := newNumbers(51).rbm01(c.visible, c.hidden, 8/rootScale(c.visible), 0.5).centred()
	net, _ := m.spins()
	q, err := spin.Quantize(net)
	if err != nil {
		return nil, err
	}
	p := newProblem(folder, t)
	p.number("chains", float64(c.chains))
	m.put(p)
	if p.err != nil {
		return nil, p.err
	}
	work, err := gibbsWork(t, q, c.chains)
	if err != nil {
		return nil, err
	}
	var once sync.Once
	var mean, stderr []float64
	var momentsErr error
	return &Rival{Ours: work, Problem: p.Problem, Compared: "one- and two-point moments",
		Compare: func(ctx context.Context, r *peers.Result) (Result, error) {
			once.Do(func() { mean, stderr, momentsErr = visibleMoments(ctx, t, q, c.chains) })
			if momentsErr != nil {
				return Result{}, momentsErr
			}
			theirs, err := array(r, "mean", len(mean))
			if err != nil {
				return Result{}, err
			}
			errors, err := array(r, "error", len(mean))
			if err != nil {
				return Result{}, err
			}
			cs := make([]comparison, len(mean))
			for i := range cs {
				cs[i] = comparison{exact: mean[i], measured: theirs[i], error: math.Hypot(stderr[i], errors[i]), samples: float64(c.chains)}
			}
			return farthest("", cs, c.chains-1), nil
		}}, nil
}

// visibleMoments returns ⟨v_i⟩ and ⟨v_i v_{i+1}⟩ over sweeps of chains that
// start from fair coins, with standard errors from the spread between chains.
func visibleMoments(ctx context.Context, t *Target, q *spin.Network, chains int) (mean, stderr []float64, err error) {
	s, err := t.Backend.NewSampler(backend.SamplerSpec{Network: q, Chains: chains, Seed: t.Seed})
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	if err := s.Sweep(ctx, momentBurnIn); err != nil {
		return nil, nil, err
	}
	n := q.Layers[0]
	sums := make([]int16, 2*n*chains)
	state := spin.NewBatch(q.Units(), chains)
	for range momentSweeps {
		if err := s.Sweep(ctx, 1); err != nil {
			return nil, nil, err
		}
		if err := s.State(state); err != nil {
			return nil, nil, err
		}
		for i := range n {
			here, next := state.Row(i), state.Row((i+1)%n)
			for c := range chains {
				a, b := here[c/64]>>(c%64)&1, next[c/64]>>(c%64)&1
				sums[i*chains+c] += int16(2*a) - 1
				sums[(n+i)*chains+c] += 1 - int16(2*(a^b))
			}
		}
	}
	mean, stderr = make([]float64, 2*n), make([]float64, 2*n)
	for i := range mean {
		sum, square := 0.0, 0.0
		for _, x := range sums[i*chains : (i+1)*chains] {
			y := float64(x) / momentSweeps
			sum += y
			square += float64(y * y)
		}
		k := float64(chains)
		mean[i] = sum / k
		stderr[i] = math.Sqrt(math.Max(0, square/k-float64(mean[i]*mean[i])) / (k - 1))
	}
	return mean, stderr, nil
}

// trainingRivalry is an epoch of persistent contrastive divergence.
func trainingRivalry() Rivalry {
	r := Rivalry{Name: "train", Short: "an epoch of PCD-1, 784×500, batches of 100"}
	for rows, size := range map[int]Size{6000: Full, 1000: Quick} {
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("train/784x500x100-%d-rows", rows), Asks: "train", Unit: "epoch", Sizes: []Size{size},
			Prepare: func(ctx context.Context, t *Target, folder string) (*Rival, error) {
				return trainingRival(ctx, t, folder, rows)
			},
		})
	}
	return r
}

const (
	trainingVisible, trainingHidden, trainingBatch = 784, 500, 100
	trainingRate                                   = 0.05 // of {0,1} units
	// Programs that train alike have reconstruction errors this near to each
	// other, relatively: seven times the spread between seeds, 1.4 %.
	reconstructionLimit = 0.1
)

// patterned is a source of rows that resemble one of ten patterns, each pixel wrong with
// probability 1/16: something to learn.
type patterned struct {
	rows   []uint64 // [n][stride]
	n      int
	order  []uint32
	random *numbers
}

func newPatterned(n int) *patterned {
	r := newNumbers(52)
	p := &patterned{n: n, order: make([]uint32, n), random: r}
	stride := p.Stride()
	patterns := make([]uint64, 10*stride)
	bits := func(dst []uint64, fill func() uint64) {
		for u := range trainingVisible {
			dst[u/64] |= fill() << (u % 64)
		}
	}
	for k := range 10 {
		bits(patterns[k*stride:][:stride], func() uint64 { return uint64((r.next() >> 30) / 3) })
	}
	p.rows = make([]uint64, n*stride)
	for i := range n {
		row := p.rows[i*stride:][:stride]
		bits(row, func() uint64 { return uint64((r.next() >> 28) / 15) })
		for w := range row {
			row[w] ^= patterns[i%10*stride+w]
		}
		p.order[i] = uint32(i)
	}
	return p
}

// Rows, Width, Stride and Fill implement train.Source.
func (p *patterned) Rows() int   { return p.n }
func (p *patterned) Width() int  { return trainingVisible }
func (p *patterned) Stride() int { return (trainingVisible + 63) / 64 }
func (p *patterned) Fill(dst []uint64, i int, _ uint64) error {
	copy(dst, p.rows[int(p.order[i])*p.Stride():][:p.Stride()])
	return nil
}

func (p *patterned) shuffle() {
	for i := p.n - 1; i > 0; i-- {
		j := int(uint64(p.random.next()) * uint64(i+1) >> 32)
		p.order[i], p.order[j] = p.order[j], p.order[i]
	}
}

// bytes returns the rows as they are stored, one byte a pixel.
func (p *patterned) bytes() []uint8 {
	b := make([]uint8, 0, p.n*trainingVisible)
	for i := range p.n {
		for u := range trainingVisible {
			b = append(b, uint8(p.rows[i*p.Stride()+u/64]>>(u%64)&1))
		}
	}
	return b
}

func trainingRival(ctx context.Context, t *Target, folder string, rows int) (*Rival, error) {
	m := newNumbers(53).rbm01(trainingVisible, trainingHidden, 0.02, 0)
	data := newPatterned(rows)
	pixels := data.bytes()
	p := newProblem(folder, t)
	p.number("batch", trainingBatch)
	p.number("rate", trainingRate)
	m.put(p)
	put(p, "data", pixels, rows, trainingVisible)
	if p.err != nil {
		return nil, p.err
	}
	tr, err := newTrainer01(t, m)
	if err != nil {
		return nil, err
	}
	work := &Work{Close: tr.Close, Do: func(ctx context.Context, n int) error {
		for range n {
			if err := epoch(ctx, tr, data); err != nil {
				return err
			}
		}
		return nil
	}}
	ours := sync.OnceValues(func() (float64, error) {
		fresh, err := newTrainer01(t, m)
		if err != nil {
			return 0, err
		}
		defer fresh.Close()
		if err := epoch(ctx, fresh, data); err != nil {
			return 0, err
		}
		var state backend.TrainerState
		if err := fresh.Save(&state); err != nil {
			return 0, err
		}
		return reconstruction(pixels, binaryOf(state.Model)), nil
	})
	return &Rival{Ours: work, Problem: p.Problem, Compared: "reconstruction error after an epoch",
		Compare: func(_ context.Context, r *peers.Result) (Result, error) {
			want, err := ours()
			if err != nil {
				return Result{}, err
			}
			theirs := &binaryRBM{visible: m.visible, hidden: m.hidden}
			for name, to := range map[string]*[]float32{"w": &theirs.w, "b": &theirs.b, "c": &theirs.c} {
				n := map[string]int{"w": len(m.w), "b": m.visible, "c": m.hidden}[name]
				x, err := array(r, name, n)
				if err != nil {
					return Result{}, err
				}
				for _, v := range x {
					*to = append(*to, float32(v))
				}
			}
			return Result{Exact: want, Measured: reconstruction(pixels, theirs), Limit: reconstructionLimit * want}, nil
		}}, nil
}

// newTrainer01 starts a trainer whose steps are those of plain {0,1} units.
func newTrainer01(t *Target, m *binaryRBM) (backend.Trainer, error) {
	net, _ := m.spins()
	tr, err := t.Backend.NewTrainer(backend.TrainerSpec{Model: net, Algorithm: backend.PCD, K: 1, Seed: t.Seed, Chains: trainingBatch})
	if err != nil {
		return nil, err
	}
	var state backend.TrainerState
	if err = tr.Save(&state); err == nil {
		for _, offsets := range [][]float64{state.VisibleOffset, state.HiddenOffset} {
			for i := range offsets {
				offsets[i] = -1
			}
		}
		err = tr.Load(&state)
	}
	if err != nil {
		_ = tr.Close()
		return nil, err
	}
	return tr, nil
}

// epoch trains on all rows once, in a new order.
func epoch(ctx context.Context, tr backend.Trainer, data *patterned) error {
	data.shuffle()
	for from := 0; from < data.n; from += trainingBatch {
		b, err := train.Load(data, from, from+trainingBatch, 0)
		if err != nil {
			return err
		}
		if err := tr.Gather(ctx, backend.TrainingBatch{Data: b}); err != nil {
			return err
		}
		if err := tr.Update(backend.Update{WeightRate: trainingRate / 16, BiasRate: trainingRate / 4}); err != nil {
			return err
		}
	}
	return nil
}

// binaryOf is the inverse of spins.
func binaryOf(net *spin.Net[float32]) *binaryRBM {
	m := &binaryRBM{visible: net.Layers[0], hidden: net.Layers[1]}
	b, c := make([]float64, m.visible), make([]float64, m.hidden)
	for k, x := range net.Blocks[0].W {
		m.w = append(m.w, 4*x)
		b[k/m.hidden] -= float64(x)
		c[k%m.hidden] -= float64(x)
	}
	for i, x := range b {
		m.b = append(m.b, float32(2*(x+float64(net.Bias[i]))))
	}
	for a, x := range c {
		m.c = append(m.c, float32(2*(x+float64(net.Bias[m.visible+a]))))
	}
	return m
}

// reconstruction returns the mean square of v − σ(σ(vW + c)Wᵀ + b) over the
// first rows of pixels.
func reconstruction(pixels []uint8, m *binaryRBM) float64 {
	const rows = 200
	h, back := make([]float64, m.hidden), make([]float64, m.visible)
	sum := 0.0
	for r := range rows {
		v := pixels[r*m.visible:][:m.visible]
		for a := range h {
			h[a] = float64(m.c[a])
		}
		for i, on := range v {
			if on != 0 {
				for a, w := range m.w[i*m.hidden:][:m.hidden] {
					h[a] += float64(w)
				}
			}
		}
		for a := range h {
			h[a] = 1 / (1 + math.Exp(-h[a]))
		}
		for i := range back {
			x := float64(m.b[i])
			for a, w := range m.w[i*m.hidden:][:m.hidden] {
				x += float64(w) * h[a]
			}
			d := float64(v[i]) - 1/(1+math.Exp(-x))
			sum += d * d
		}
	}
	return sum / float64(rows*m.visible)
}
