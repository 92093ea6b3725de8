package ref

import (
	"context"
	"fmt"
	"math"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

type trainer struct {
	spec   backend.TrainerSpec
	v, h   int // numbers of visible and hidden units
	key    philox.Key
	betas  []uint64
	stream []uint32 // stream number of each layer's first unit
	state  backend.TrainerState
	net    *spin.Network
	stats  backend.Statistics
}

// NewTrainer starts training on the reference backend.
func (Backend) NewTrainer(spec backend.TrainerSpec) (backend.Trainer, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	spec.Model = backend.CopyModel(spec.Model)
	t := &trainer{
		spec: spec, v: spec.Model.Layers[0], h: spec.Model.Layers[1], key: philox.NewKey(spec.Seed),
		betas: spec.TemperatureBetas(), stream: spec.Model.StreamUnits(),
	}
	t.state.Model = backend.CopyModel(spec.Model)
	t.state.VisibleOffset, t.state.HiddenOffset = make([]float64, t.v), make([]float64, t.h)
	if spec.Algorithm != backend.CD {
		for r := range t.betas {
			b := spin.NewBatch(t.v+t.h, spec.Chains)
			for u := range b.Units {
				for c := range b.Chains {
					b.Set(u, c, philox.Draw(t.key, philox.Init, t.chain(r, c), t.unit(u), 0) < 1<<31)
				}
			}
			t.state.Chains = append(t.state.Chains, *b)
		}
	}
	t.net, _ = spin.Quantize(t.state.Model)
	return t, nil
}

// chain returns the number of chain c at temperature r.
func (t *trainer) chain(r, c int) uint32 {
	return uint32(r*t.spec.Total()) + t.spec.FirstChain + uint32(c)
}

// unit returns the stream number of a unit.
func (t *trainer) unit(u int) uint32 {
	if u < t.v {
		return t.stream[0] + uint32(u)
	}
	return t.stream[1] + uint32(u-t.v)
}

// field is the field of unit u in chain c of whole states.
func (t *trainer) field(s *spin.Batch, u, c int) int32 {
	w, a := t.net.Blocks[0].W, int64(t.net.Bias[u])
	if u < t.v {
		for j := range t.h {
			a += int64(w[u*t.h+j]) * spinOf(s, t.v+j, c)
		}
	} else {
		for i := range t.v {
			a += int64(w[i*t.h+u-t.v]) * spinOf(s, i, c)
		}
	}
	return int32(a)
}

// draw draws units [from, to) of all chains; first is the number of the first
// chain.
func (t *trainer) draw(s *spin.Batch, from, to int, stream philox.Stream, first uint32, beta, sweep uint64) {
	for u := from; u < to; u++ {
		for c := range s.Chains {
			draw := philox.Draw(t.key, stream, first+uint32(c), t.unit(u), sweep)
			s.Set(u, c, spin.Up(t.field(s, u, c), beta, t.net.Frac, draw))
		}
	}
}

// add adds factor·v_i·m_a over the chains to the pairs, and the sums of v and m
// to the given ones.
func (t *trainer) add(s *spin.Batch, factor int64, visible, hidden []int64) {
	for c := range s.Chains {
		for i := range t.v {
			visible[i] += spinOf(s, i, c)
		}
		for a := range t.h {
			m := int64(spin.Mean(t.field(s, t.v+a, c), t.betas[0], t.net.Frac))
			hidden[a] += m
			for i := range t.v {
				t.stats.Pairs[i*t.h+a] += factor * spinOf(s, i, c) * m
			}
		}
	}
}

func (t *trainer) Gather(ctx context.Context, batch backend.TrainingBatch) error {
	samples, chains, err := t.spec.Counts(&batch)
	if err != nil {
		return err
	}
	t.stats.Reset(t.v, t.h, samples, chains)
	mData, mModel := t.stats.Multipliers()
	data := spin.NewBatch(t.v+t.h, batch.Data.Chains)
	data.Rows(0, t.v).CopyFrom(batch.Data)
	t.add(data, mData, t.stats.VisibleData, t.stats.HiddenData)

	step, k := t.state.Step, uint64(t.spec.K)
	sweeps := func(s *spin.Batch, first uint32, beta uint64) error {
		for sweep := step * k; sweep < step*k+k; sweep++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			t.draw(s, 0, t.v, philox.Gibbs, first, beta, sweep)
			t.draw(s, t.v, t.v+t.h, philox.Gibbs, first, beta, sweep)
		}
		return nil
	}
	if t.spec.Algorithm == backend.CD {
		t.draw(data, t.v, t.v+t.h, philox.Data, batch.FirstSample, t.betas[0], step)
		err := sweeps(data, batch.FirstSample, t.betas[0])
		t.add(data, -mModel, t.stats.VisibleModel, t.stats.HiddenModel)
		return err
	}
	for r := int(step & 1); r+1 < len(t.betas); r += 2 {
		if err := t.exchange(ctx, r); err != nil {
			return err
		}
	}
	for r := range t.betas {
		if err := sweeps(&t.state.Chains[r], t.chain(r, 0), t.betas[r]); err != nil {
			return err
		}
	}
	t.add(&t.state.Chains[0], -mModel, t.stats.VisibleModel, t.stats.HiddenModel)
	return nil
}

// exchange swaps configurations between temperatures r and r+1.
func (t *trainer) exchange(ctx context.Context, r int) error {
	x, y := &t.state.Chains[r], &t.state.Chains[r+1]
	ex, ey := make([]int64, x.Chains), make([]int64, x.Chains)
	if err := (Backend{}).Energy(ctx, backend.EnergyJob{Network: t.net, States: x}, ex); err != nil {
		return err
	}
	if err := (Backend{}).Energy(ctx, backend.EnergyJob{Network: t.net, States: y}, ey); err != nil {
		return err
	}
	for c := range ex {
		db := float64(int64(t.betas[r]) - int64(t.betas[r+1]))
		p := math.Ldexp(float64(db*float64(ex[c]-ey[c])), -24-int(t.net.Frac))
		u := philox.Draw(t.key, philox.Exchange, t.spec.FirstChain+uint32(c), uint32(r), t.state.Step)
		if p < 0 && float64(u) >= fmath.Exp(p)*(1<<32) {
			continue
		}
		for i := range x.Units {
			up := x.Up(i, c)
			x.Set(i, c, y.Up(i, c))
			y.Set(i, c, up)
		}
	}
	return nil
}

func (t *trainer) Statistics(dst *backend.Statistics) error {
	t.stats.CopyTo(dst)
	return nil
}

func (t *trainer) SetStatistics(src *backend.Statistics) error {
	if err := src.Check(t.v, t.h); err != nil {
		return err
	}
	src.CopyTo(&t.stats)
	return nil
}

// shrink is fma(−decay, w, g) − l1·sign(w).
func shrink(g, w float64, u *backend.Update) float64 {
	g = math.FMA(-u.WeightDecay, w, g)
	switch {
	case w > 0:
		g -= u.L1
	case w < 0:
		g += u.L1
	}
	return g
}

func (t *trainer) Update(u backend.Update) error {
	if err := u.Check(); err != nil {
		return err
	}
	if err := t.stats.Check(t.v, t.h); err != nil {
		return err
	}
	s, st := &t.stats, &t.state
	if u.Momentum != 0 && len(st.Velocity) == 0 {
		st.Velocity = make([]float32, t.v*t.h+t.v+t.h)
	}
	// velocity returns what momentum adds to, and keeps the result.
	step := func(k int, x float64) float64 {
		if len(st.Velocity) > 0 {
			x = math.FMA(u.Momentum, float64(st.Velocity[k]), x)
			st.Velocity[k] = float32(x)
		}
		return x
	}
	if t.spec.Tied {
		if err := t.updateTied(&u, step); err != nil {
			return err
		}
		return t.finish()
	}
	w := st.Model.Blocks[0].W
	dv, dh := make([]float64, t.v), make([]float64, t.h)
	means := func(d, offset []float64, data, model []int64, unit float64) {
		for i := range d {
			x := float64(float64(data[i]) * (unit / float64(s.Samples)))
			d[i] = x - float64(float64(model[i])*(unit/float64(s.Chains)))
			offset[i] = math.FMA(u.OffsetRate, x-offset[i], offset[i])
		}
	}
	means(dv, st.VisibleOffset, s.VisibleData, s.VisibleModel, 1)
	means(dh, st.HiddenOffset, s.HiddenData, s.HiddenModel, 1.0/(1<<spin.MeanBits))
	factor := s.PairFactor()
	col, total := make([]float64, t.h), make([]float64, t.h)
	for i := range t.v {
		var row [8]float64
		for a := range t.h {
			k := i*t.h + a
			g := float64(float64(s.Pairs[k]) * factor)
			g = math.FMA(-st.VisibleOffset[i], dh[a], g)
			g = math.FMA(-dv[i], st.HiddenOffset[a], g)
			x := step(k, float64(u.WeightRate*shrink(g, float64(w[k]), &u)))
			w[k] = float32(float64(w[k]) + x)
			row[a%8] = math.FMA(x, st.HiddenOffset[a], row[a%8])
			col[a] = math.FMA(x, st.VisibleOffset[i], col[a])
		}
		if (i+1)%backend.UpdateRows == 0 || i == t.v-1 {
			for a := range col {
				total[a] += col[a]
			}
			clear(col)
		}
		y := step(t.v*t.h+i, float64(u.BiasRate*dv[i]))
		st.Model.Bias[i] = float32(float64(st.Model.Bias[i]) + (y - backend.LaneSum(&row)))
	}
	for a := range t.h {
		y := step(t.v*t.h+t.v+a, float64(u.BiasRate*dh[a]))
		st.Model.Bias[t.v+a] = float32(float64(st.Model.Bias[t.v+a]) + (y - total[a]))
	}
	return t.finish()
}

func (t *trainer) updateTied(u *backend.Update, step func(int, float64) float64) error {
	w, sum := t.state.Model.Blocks[0].W, int64(0)
	for _, x := range t.stats.Pairs {
		sum += x
	}
	if sum >= 1<<53 || sum <= -1<<53 {
		return fmt.Errorf("sum of %d pair statistics is beyond 2⁵³: want a smaller batch", len(t.stats.Pairs))
	}
	g := float64(float64(sum) * t.stats.TiedFactor(len(w)))
	x := float64(u.WeightRate * shrink(g, float64(w[0]), u))
	for k := range w {
		w[k] = float32(float64(w[k]) + step(k, x))
	}
	return nil
}

// finish rounds the new weights to fixed point and counts the step.
func (t *trainer) finish() error {
	net, err := spin.Quantize(t.state.Model)
	if err != nil {
		return &backend.DivergedError{Step: t.state.Step, Reason: err}
	}
	t.net = net
	t.state.Step++
	return nil
}

func (t *trainer) Save(dst *backend.TrainerState) error {
	return t.state.CopyContext(backend.Ending(dst.Context), dst)
}

func (t *trainer) Load(src *backend.TrainerState) error {
	if err := src.Check(&t.spec); err != nil {
		return err
	}
	ctx := backend.Ending(src.Context)
	net, err := spin.QuantizeContext(ctx, src.Model)
	if err != nil {
		return err
	}
	var state backend.TrainerState
	if err := src.CopyContext(ctx, &state); err != nil {
		return err
	}
	t.state, t.net = state, net
	return nil
}

func (t *trainer) Close() error { return nil }
