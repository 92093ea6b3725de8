package train

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"kadanoff/backend"
	"kadanoff/model/atomicfile"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// Metrics is a line of metrics.jsonl: what an epoch has come to. All but
// Seconds is the same however often the run was interrupted.
type Metrics struct {
	Epoch int     `json:"epoch"`
	Step  uint64  `json:"step"`
	Rate  float64 `json:"rate"` // of the epoch's last step, in the configuration's units

	// PseudoLogLikelihood is the mean of Σ_i ln p(v_i | all others) over a part
	// of the training data, estimated from one unit of each configuration.
	// It and free energies are left out where hidden units cannot be summed out.
	PseudoLogLikelihood *float64 `json:"pseudo_log_likelihood,omitempty"`
	// FreeEnergy is the mean over that part; its difference to that over as
	// many held-out configurations, the gap, grows when a model learns by heart.
	FreeEnergy           *float64 `json:"free_energy,omitempty"`
	ValidationFreeEnergy *float64 `json:"validation_free_energy,omitempty"`
	FreeEnergyGap        *float64 `json:"free_energy_gap,omitempty"`
	ValidationPseudo     *float64 `json:"validation_pseudo_log_likelihood,omitempty"`

	// LogZ and the likelihoods are exact, for models small enough.
	LogZ                    *float64 `json:"log_z,omitempty"`
	LogLikelihood           *float64 `json:"log_likelihood,omitempty"`
	ValidationLogLikelihood *float64 `json:"validation_log_likelihood,omitempty"`

	WeightScale   float64 `json:"weight_rms"` // root of the mean square of the ±1 weights between the layers
	FractionBits  uint    `json:"fraction_bits"`
	RoundingError float64 `json:"rounding_error"` // largest of a weight or bias in fixed point
	FieldError    float64 `json:"field_error"`    // largest change of a field that it can cause

	Seconds float64 `json:"seconds"` // since the run began, interruptions not counted
	score   float64 // what early stopping looks at: the larger the better
}

const (
	monitored     = 1000    // configurations that metrics are measured on
	monitorStates = 1 << 22 // most terms ln 2cosh for an exact log Z in every epoch
	monitorTerms  = 1 << 11 // most states of coupled hidden units to sum out of each of them
	pageEvery     = 2 * time.Second

	// A model whose pseudo-log-likelihood is so many times that of fair coins
	// has diverged, though its weights fit fixed point.
	worst = 10
)

// monitor measures a run and keeps its metrics file and page.
type monitor struct {
	r                 *run
	train, validation *spin.Batch
	file              *os.File
	lines             []Metrics // of every so-manieth epoch
	every             int
	last              []Metrics
	paged             time.Time
	reported          time.Time
	measured          uint64 // step of the last line
}

func newMonitor(ctx context.Context, r *run) (*monitor, error) {
	m := &monitor{r: r}
	var err error
	if m.train, err = Sample(cancellable{r.data, ctx}, monitored); err != nil {
		return nil, err
	}
	if v := r.o.Validation; v != nil {
		m.validation, err = Sample(cancellable{v, ctx}, monitored)
	}
	return m, err
}

// resume opens the metrics file, locked against other processes, and drops the
// lines after a step: they will be measured again.
func (m *monitor) resume(dir string, step uint64) error {
	path := filepath.Join(dir, "metrics.jsonl")
	var err error
	if m.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return err
	}
	if err := lock(m.file); err != nil {
		return fmt.Errorf("--out %s: another process is training there: want another folder", dir)
	}
	in := bufio.NewScanner(m.file)
	in.Buffer(nil, 1<<20)
	info, err := m.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() > 0 && !m.r.o.Resume { // of a run that has ended since prepare looked
		return fmt.Errorf("--out %s: holds a run already (metrics.jsonl): want --resume or another folder", dir)
	}
	size := int64(0)
	for in.Scan() {
		var line Metrics
		end := size + int64(len(in.Bytes())) + 1
		// A last line without its end was cut off in writing.
		if end > info.Size() || json.Unmarshal(in.Bytes(), &line) != nil || line.Step > step {
			break
		}
		m.remember(&line)
		m.measured, size = line.Step, end
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := m.file.Truncate(size); err != nil {
		return err
	}
	if _, err := m.file.Seek(size, 0); err != nil {
		return err
	}
	// What a process that was killed was writing.
	if err := atomicfile.Sweep(dir, "checkpoint-", "index.html", "model.safetensors"); err != nil {
		return err
	}
	return m.page(running)
}

func mustJSON(line *Metrics) []byte {
	text, err := json.Marshal(line)
	if err != nil {
		panic("train: metrics that are not numbers: " + err.Error())
	}
	return text
}

// sync makes sure that the metrics file is on the disk.
func (m *monitor) sync() error { return m.file.Sync() }

func (m *monitor) close() error { return m.file.Close() }

// measure makes the metrics of an epoch and writes them.
func (m *monitor) measure(ctx context.Context, epoch int, step uint64, seconds float64) (*Metrics, error) {
	r := m.r
	weights, square := r.state.Model.Blocks[0].W, 0.0
	for _, w := range weights {
		square = math.FMA(float64(w), float64(w), square)
	}
	q, err := spin.Quantize(r.state.Model)
	if err != nil {
		return nil, &backend.DivergedError{Step: step, Reason: err}
	}
	line := &Metrics{
		Epoch: epoch, Step: step, Rate: r.Rate * r.Schedule.Rate(step-1, r.total), FractionBits: q.Frac,
		RoundingError: q.RoundingError, FieldError: q.FieldError, Seconds: seconds,
	}
	line.WeightScale = r.Temperature * math.Sqrt(square/float64(len(weights)))
	if weights = nil; r.Patience == 0 {
		r.forget() // its fixed point is all that is measured
	}
	if sum := newMarginal(q); sum.sums(0) && sum.rowTerms() <= monitorTerms {
		if err := m.likelihoods(ctx, sum, line); err != nil {
			return nil, err
		}
	}
	var text bytes.Buffer
	text.Write(mustJSON(line))
	text.WriteByte('\n')
	if _, err := m.file.Write(text.Bytes()); err != nil {
		return nil, err
	}
	m.remember(line)
	m.measured = step
	m.report(line)
	if time.Since(m.paged) >= pageEvery {
		if err := m.page(running); err != nil {
			return nil, err
		}
	}
	return line, nil
}

// likelihoods measures what free energies are needed for.
func (m *monitor) likelihoods(ctx context.Context, q *marginal, line *Metrics) error {
	pseudo, free, err := m.judged(ctx, q, line.Step)
	if err != nil {
		return err
	}
	line.PseudoLogLikelihood, line.FreeEnergy, line.score = &pseudo, &free, pseudo
	if m.validation != nil {
		pseudo, held, err := m.pseudo(ctx, q, m.validation, uint64(line.Epoch))
		if err != nil {
			return err
		}
		gap := held - free
		line.ValidationFreeEnergy, line.FreeEnergyGap, line.ValidationPseudo = &held, &gap, &pseudo
		line.score = pseudo
	}
	if _, terms := q.cheapest(); terms > monitorStates {
		return nil
	}
	logZ, err := ExactLogZ(ctx, m.r.be, q.q)
	if err != nil {
		return err
	}
	ll := -free - logZ
	line.LogZ, line.LogLikelihood = &logZ, &ll
	if m.validation != nil {
		vl := -*line.ValidationFreeEnergy - logZ
		line.ValidationLogLikelihood, line.score = &vl, vl
	}
	return nil
}

// judged is pseudo for the training data; a *backend.DivergedError says that
// the model after a step has diverged, though its weights fit fixed point.
func (m *monitor) judged(ctx context.Context, q *marginal, step uint64) (pseudo, free float64, err error) {
	epoch := (step + m.r.perEpoch - 1) / m.r.perEpoch
	if pseudo, free, err = m.pseudo(ctx, q, m.train, epoch); err != nil {
		return 0, 0, err
	}
	if math.IsNaN(free) || math.IsInf(free, 0) {
		return 0, 0, &backend.DivergedError{Step: step - 1, Reason: fmt.Errorf("the free energy of the data is %v", free)}
	}
	if coins := -math.Ln2 * float64(q.q.Layers[0]); pseudo < worst*coins {
		return 0, 0, &backend.DivergedError{Step: step - 1, Reason: fmt.Errorf("the pseudo-log-likelihood is %.6g, and %.6g for fair coins", pseudo, coins)}
	}
	return pseudo, free, nil
}

// sound reports a model in r.state, after a step, that has diverged. What an
// epoch's metrics have judged is not judged again.
func (m *monitor) sound(step uint64) error {
	if step == m.measured || step == 0 {
		return nil
	}
	q, err := spin.Quantize(m.r.state.Model)
	if err != nil {
		return &backend.DivergedError{Step: step - 1, Reason: err}
	}
	sum := newMarginal(q)
	if !sum.sums(0) || sum.rowTerms() > monitorTerms {
		return nil
	}
	_, _, err = m.judged(context.Background(), sum, step)
	q, sum = nil, nil
	release(len(m.r.state.Model.Blocks[0].W))
	return err
}

// How often the run speaks: at the ends of epochs, and where those are long.
const (
	reportEpochs = time.Second
	reportSteps  = 10 * time.Second
)

// report logs how the run goes at the end of an epoch.
func (m *monitor) report(line *Metrics) {
	if line.Epoch < m.r.Epochs && time.Since(m.reported) < reportEpochs {
		return
	}
	text := m.pace(line.Step)
	if p := line.PseudoLogLikelihood; p != nil {
		text += fmt.Sprintf(", pseudo-likelihood %.4f", *p)
	}
	m.say(text)
}

// progress logs how far the run has come, within an epoch that takes long.
func (m *monitor) progress(step uint64) {
	if since := time.Since(m.reported); since >= reportSteps && time.Since(m.r.looping) >= reportSteps {
		m.say(m.pace(step))
	}
}

func (m *monitor) say(text string) {
	m.reported = time.Now()
	m.r.log("%s", text)
}

// pace says how far the run has come, how fast this process goes and how long
// it will take to the last epoch.
func (m *monitor) pace(step uint64) string {
	r := m.r
	epoch, part := step/r.perEpoch, ""
	if in := step % r.perEpoch; in > 0 {
		epoch, part = epoch+1, fmt.Sprintf(" (%.0f %%)", 100*float64(in)/float64(r.perEpoch))
	}
	each := time.Since(r.looping).Seconds() / float64(max(1, step-r.firstStep))
	left := time.Duration(each * float64(r.total-step) * float64(time.Second))
	return fmt.Sprintf("epoch %d of %d%s, step %d of %d, %.3g ms a step, about %v left",
		epoch, r.Epochs, part, step, r.total, 1000*each, left.Round(time.Second))
}

// pseudo returns the pseudo-log-likelihood and the mean free energy of the ±1
// model. With F the free energy and v′ the configuration with unit i turned,
// ln p(v_i | others) = −ln(1 + e^(F(v) − F(v′))); one unit drawn for each
// configuration stands for all (stream philox.Shuffle, chain = configuration,
// unit 8, sweep = epoch).
func (m *monitor) pseudo(ctx context.Context, q *marginal, v *spin.Batch, epoch uint64) (pseudo, free float64, err error) {
	n, units := v.Chains, v.Units
	both := spin.NewBatch(units, 2*n)
	key := philox.NewKey(m.r.Seed)
	turn := make([]int, n)
	for c := range n {
		turn[c] = int(uint64(philox.Draw(key, philox.Shuffle, uint32(c), 8, epoch)) * uint64(units) >> 32)
	}
	for i := range units {
		for c := range n {
			up := v.Up(i, c)
			both.Set(i, c, up)
			both.Set(i, n+c, up != (turn[c] == i))
		}
	}
	f := make([]float64, 2*n)
	if err := q.free(ctx, m.r.be, 0, both, f); err != nil {
		return 0, 0, err
	}
	for c := range n {
		pseudo -= softplus(f[c] - f[n+c])
		free += f[c]
	}
	return pseudo * float64(units) / float64(n), free / float64(n), nil
}
