package bench

import (
	"context"
	"fmt"
	"math"
	"sync"

	"kadanoff/backend"
	"kadanoff/bench/peers"
	"kadanoff/kernels/isa"
	"kadanoff/model/data"
	"kadanoff/train"
)

const (
	trainingHidden, trainingBatch = 500, 100
	trainingRate                  = 0.05 // of {0,1} units
	// Rows of an epoch of synthetic handwriting.
	fullRows, quickRows = 6000, 1000
	// Pixels of a user's data that an epoch takes at most: MNIST whole.
	mostPixels = 1 << 26
	// Steps that the model has taken before the clock starts: half an epoch of
	// MNIST, after which three of ten hidden units are up.
	trainedSteps = 300
	// Rows of the epoch of a fresh model by which programs are compared: after
	// ten steps chance has hardly come in yet.
	comparedRows = 1000
	// Programs that train alike have reconstruction errors this near to each
	// other, relatively. Of 24 seeds of ours they spread by 0.7 % (after sixty
	// steps by 7 %), so that two differ by 1 %; rbms, whose chains start
	// otherwise, is 7 % away.
	reconstructionLimit = 0.12
)

// CheckTrainingData reports whether the work that takes a user's data can take
// these.
func CheckTrainingData(d *data.Set) error {
	if d.Rows() < trainingBatch || d.Width() > mostPixels/quickRows {
		return fmt.Errorf("%s: %d rows of %d units: want at least %d rows of at most %d", d.Name, d.Rows(), d.Width(), trainingBatch, mostPixels/quickRows)
	}
	return nil
}

// trainingRivalry is an epoch of persistent contrastive divergence.
func trainingRivalry(m *trainedModels) Rivalry {
	r := Rivalry{Name: "train", Short: "an epoch of PCD-1, 500 hidden units, batches of 100, on synthetic handwriting or --data"}
	for _, size := range []Size{Quick, Full} {
		n := m.rows(size)
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("train/%dx%dx%d-%d-rows", m.width(), trainingHidden, trainingBatch, n), Asks: "train", Unit: "epoch", Sizes: []Size{size},
			Prepare: func(ctx context.Context, t *Target, folder string) (*Rival, error) {
				return trainingRival(ctx, t, folder, m, n)
			},
		})
	}
	return r
}

// trainedModels are data and the models that were trained on them. Each model is
// made when it is first asked for.
type trainedModels struct {
	set  *data.Set // nil for synthetic handwriting
	mu   sync.Mutex
	made map[int]*binaryRBM // by the number of rows
}

// handwriting are the models of synthetic handwriting.
var handwriting = &trainedModels{}

func (m *trainedModels) width() int {
	if m.set != nil {
		return m.set.Width()
	}
	return strokes(0).Width()
}

// rows returns how many rows work of a size takes, in whole batches.
func (m *trainedModels) rows(size Size) int {
	n := fullRows
	if m.set != nil {
		n = min(m.set.Rows(), mostPixels/m.set.Width())
	}
	if size == Quick {
		n = min(n, quickRows)
	}
	return n / trainingBatch * trainingBatch
}

// load reads n rows, at equal distances if there are more.
func (m *trainedModels) load(n int) (*trainingRows, error) {
	if m.set == nil {
		return newTrainingRows(strokes(n), n)
	}
	return newTrainingRows(train.Fixed{Set: m.set}, n)
}

// about says what n rows are.
func (m *trainedModels) about(n int) string {
	if m.set == nil {
		return fmt.Sprintf("%d images of synthetic handwriting", n)
	}
	return fmt.Sprintf("%d rows of %s", n, m.set)
}

// model returns the machine that has taken trainedSteps steps on n rows. The
// best path of the CPU trains it: the bits are the same on all of them.
func (m *trainedModels) model(ctx context.Context, n int) (trained *binaryRBM, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if made, ok := m.made[n]; ok {
		return made, nil
	}
	rows, err := m.load(n)
	if err != nil {
		return nil, err
	}
	sums, err := train.Sums(rows)
	if err != nil {
		return nil, err
	}
	start := newNumbers(53).rbm01(m.width(), trainingHidden, 0.02, 0)
	for i, b := range train.BaseRates(sums, n) {
		start.b[i] = float32(2 * b)
	}
	best := isa.Best()
	targets, err := Selection{Backend: "cpu", Level: &best, Seed: 1}.Open()
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := targets[0].Close(); err == nil {
			err = cerr
		}
	}()
	if trained, err = trainedFor(ctx, targets[0], start, rows, trainedSteps); err != nil {
		return nil, err
	}
	if m.made == nil {
		m.made = map[int]*binaryRBM{}
	}
	m.made[n] = trained
	return trained, nil
}

// trainedFor returns what a model is after some steps.
func trainedFor(ctx context.Context, t *Target, m *binaryRBM, rows *trainingRows, steps int) (trained *binaryRBM, err error) {
	tr, err := newTrainer01(t, m)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := tr.Close(); err == nil {
			err = cerr
		}
	}()
	for left := steps; left > 0; left -= rows.n / trainingBatch {
		if err := epoch(ctx, tr, rows, left); err != nil {
			return nil, err
		}
	}
	var state backend.TrainerState
	if err := tr.Save(&state); err != nil {
		return nil, err
	}
	return binaryOf(state.Model), nil
}

// trainingRows is a train.Source of rows in memory, in an order that changes.
type trainingRows struct {
	rows     []uint64 // [n][stride]
	n, width int
	order    []uint32
	random   *numbers
}

// newTrainingRows reads n rows of a source at equal distances.
func newTrainingRows(s train.Source, n int) (*trainingRows, error) {
	r := &trainingRows{n: n, width: s.Width(), order: make([]uint32, n), random: newNumbers(56)}
	r.rows = make([]uint64, n*r.Stride())
	for i := range n {
		if err := s.Fill(r.rows[i*r.Stride():][:r.Stride()], int(int64(i)*int64(s.Rows())/int64(n)), 0); err != nil {
			return nil, err
		}
		r.order[i] = uint32(i)
	}
	return r, nil
}

// Rows, Width, Stride and Fill implement train.Source.
func (r *trainingRows) Rows() int   { return r.n }
func (r *trainingRows) Width() int  { return r.width }
func (r *trainingRows) Stride() int { return (r.width + 63) / 64 }
func (r *trainingRows) Fill(dst []uint64, i int, _ uint64) error {
	copy(dst, r.rows[int(r.order[i])*r.Stride():][:r.Stride()])
	return nil
}

// first returns the first rows in their own order.
func (r *trainingRows) first(n int) *trainingRows {
	x := &trainingRows{rows: r.rows, n: min(n, r.n), width: r.width, random: newNumbers(57)}
	for i := range x.n {
		x.order = append(x.order, uint32(i))
	}
	return x
}

func (r *trainingRows) shuffle() {
	for i := r.n - 1; i > 0; i-- {
		j := int(uint64(r.random.next()) * uint64(i+1) >> 32)
		r.order[i], r.order[j] = r.order[j], r.order[i]
	}
}

// bytes returns the rows as they are stored, one byte a pixel.
func (r *trainingRows) bytes() []uint8 {
	b := make([]uint8, 0, r.n*r.width)
	for i := range r.n {
		for u := range r.width {
			b = append(b, uint8(r.rows[i*r.Stride()+u/64]>>(u%64)&1))
		}
	}
	return b
}

// trainingRival times epochs that go on from a trained model, and compares what
// a few steps make of a fresh one, for which they matter most.
func trainingRival(ctx context.Context, t *Target, folder string, models *trainedModels, n int) (*Rival, error) {
	trained, err := models.model(ctx, n)
	if err != nil {
		return nil, err
	}
	rows, err := models.load(n)
	if err != nil {
		return nil, err
	}
	fresh := newNumbers(53).rbm01(rows.width, trainingHidden, 0.02, 0)
	pixels := rows.bytes()
	p := newProblem(folder, t)
	p.number("batch", trainingBatch)
	p.number("rate", trainingRate)
	p.number("compared", comparedRows)
	trained.put(p, "")
	fresh.put(p, "fresh_")
	put(p, "data", pixels, n, rows.width)
	if p.err != nil {
		return nil, p.err
	}
	tr, err := newTrainer01(t, trained)
	if err != nil {
		return nil, err
	}
	work := &Work{Close: tr.Close, Do: func(ctx context.Context, times int) error {
		for range times {
			if err := epoch(ctx, tr, rows, n/trainingBatch); err != nil {
				return err
			}
		}
		return nil
	}}
	var want float64
	return &Rival{Ours: work, Problem: p.Problem, Data: models.about(n), Compared: "reconstruction error after the first steps",
		Compare: func(ctx context.Context, r *peers.Result) (Result, error) {
			if want == 0 {
				few := rows.first(comparedRows)
				after, err := trainedFor(ctx, t, fresh, few, few.n/trainingBatch)
				if err != nil {
					return Result{}, err
				}
				want = reconstruction(pixels, after)
			}
			theirs := &binaryRBM{visible: fresh.visible, hidden: fresh.hidden}
			for name, to := range map[string]*[]float32{"w": &theirs.w, "b": &theirs.b, "c": &theirs.c} {
				n := map[string]int{"w": len(fresh.w), "b": fresh.visible, "c": fresh.hidden}[name]
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

// epoch trains on the rows once, in a new order, for a number of steps at most.
func epoch(ctx context.Context, tr backend.Trainer, rows *trainingRows, most int) error {
	rows.shuffle()
	for step := range min(most, rows.n/trainingBatch) {
		b, err := train.Load(rows, step*trainingBatch, (step+1)*trainingBatch, 0)
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

// reconstruction returns the mean square of v − σ(σ(vW + c)Wᵀ + b) over the
// first rows of pixels, 200 at most.
func reconstruction(pixels []uint8, m *binaryRBM) float64 {
	rows := min(200, len(pixels)/m.visible)
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
