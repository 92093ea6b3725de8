package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kadanoff/backend"
	"kadanoff/model/modelfile"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// Options say how a run goes on around what Config decides.
type Options struct {
	Dir        string // where model, metrics and checkpoints go
	Resume     bool   // continue what Dir holds
	Validation Source // held-out data; nil for none
	Name       string // what the data are called on the page
	Shape      []int  // of a configuration, for images

	CheckpointTime  time.Duration // a checkpoint every so often, 0 for never
	CheckpointSteps uint64        // and every so many steps, 0 for never
	Keep            int           // checkpoints kept, at least 1
	TimeLimit       time.Duration // stop after it, 0 for none

	// Checkpoint, if not nil, asks for a checkpoint now and then goes on.
	Checkpoint <-chan os.Signal
	// Log, if not nil, receives lines on how the run goes.
	Log func(format string, args ...any)
}

// Result is how a run ended.
type Result struct {
	Epochs   int     `json:"epochs"` // whole ones
	Steps    uint64  `json:"steps"`
	Finished bool    `json:"finished"` // all epochs, or stopped early
	Seconds  float64 `json:"seconds"`  // of this process
	Reason   string  `json:"reason,omitempty"`
	Model    string  `json:"model,omitempty"` // path of the model file
}

// run is a training run.
type run struct {
	Config
	o       Options
	be      backend.Backend
	data    Source
	trainer backend.Trainer
	exact   *exactData // of ExactGradient

	perEpoch uint64 // steps
	total    uint64
	order    []uint32
	epoch    uint64 // that order belongs to
	batch    *spin.Batch
	rows     []uint64
	digest   string
	monitor  *monitor
	best     best
	started  time.Time
	seconds  float64 // before this process
	state    backend.TrainerState
	log      func(format string, args ...any)
}

// best is the model that early stopping returns to.
type best struct {
	score float64 // validation score, the larger the better
	epoch int     // 0 for none yet
	model *spin.Net[float32]
}

// Run trains a model on data and returns when it is done, when ctx ends, or
// when it cannot go on. Whatever the reason, the last checkpoint in o.Dir
// continues it.
func Run(ctx context.Context, be backend.Backend, c Config, data Source, o Options) (*Result, error) {
	if c.Chains == 0 && c.Algorithm != "cd" {
		c.Chains = min(c.Batch, data.Rows())
	}
	c.Batch = min(c.Batch, data.Rows())
	if c.ExactGradient {
		c.Batch = data.Rows()
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.Patience > 0 && o.Validation == nil {
		return nil, fmt.Errorf("--patience %d: early stopping wants --validation FILE", c.Patience)
	}
	if o.Validation != nil && o.Validation.Width() != data.Width() {
		return nil, fmt.Errorf("validation data have %d units, the training data %d", o.Validation.Width(), data.Width())
	}
	o.Keep = max(o.Keep, 1)
	r := &run{Config: c, o: o, be: be, data: data, started: time.Now(), log: o.Log, epoch: ^uint64(0)}
	if r.log == nil {
		r.log = func(string, ...any) {}
	}
	r.perEpoch = uint64((data.Rows() + c.Batch - 1) / c.Batch)
	r.total = r.perEpoch * uint64(c.Epochs)
	var err error
	if r.digest, err = digest(data); err != nil {
		return nil, err
	}
	found, err := prepare(o.Dir, o.Resume, r.log)
	if err != nil {
		return nil, err
	}
	if err := r.open(found); err != nil {
		return nil, err
	}
	defer r.trainer.Close()
	defer r.monitor.close()
	return r.loop(ctx)
}

// open makes the trainer, at its beginning or at the checkpoint found.
func (r *run) open(found *checkpoint) error {
	total, err := Sums(r.data)
	if err != nil {
		return err
	}
	model, err := initial(&r.Config, r.data.Width(), total, r.data.Rows())
	if err != nil {
		return err
	}
	spec := backend.TrainerSpec{
		Model: model, Algorithm: r.algorithm(), K: r.K, Seed: r.Seed, Chains: r.Chains,
		Temperatures: r.ladder(), Tied: r.Tied,
	}
	if r.ExactGradient {
		if r.exact, err = newExactData(r.data, r.Hidden); err != nil {
			return err
		}
	}
	if r.trainer, err = r.be.NewTrainer(spec); err != nil {
		return err
	}
	if r.monitor, err = newMonitor(r); err != nil {
		return err
	}
	if found != nil {
		if err := r.restore(found); err != nil {
			return err
		}
		return r.monitor.resume(r.o.Dir, r.state.Step)
	}
	if err := r.trainer.Save(&r.state); err != nil {
		return err
	}
	if r.Center {
		for i := range r.state.VisibleOffset {
			r.state.VisibleOffset[i] = float64(total[i]) / float64(r.data.Rows())
		}
	} else if r.Units == modelfile.Binary {
		// A plain RBM of {0,1} units is a centred one of ±1 units with these
		// offsets: x = (v − (−1))/2.
		fill(r.state.VisibleOffset, -1)
		fill(r.state.HiddenOffset, -1)
	}
	if err := r.trainer.Load(&r.state); err != nil {
		return err
	}
	return r.monitor.resume(r.o.Dir, 0)
}

func fill(x []float64, v float64) {
	for i := range x {
		x[i] = v
	}
}

// restore continues at a checkpoint.
func (r *run) restore(c *checkpoint) error {
	if d := r.differs(&c.meta.Config); d != "" {
		return fmt.Errorf("%s: %s: want the settings of the run that is resumed", c.path, d)
	}
	if c.meta.Data != r.digest {
		return fmt.Errorf("%s: the data are not those that the run began with", c.path)
	}
	r.state, r.best, r.seconds = c.state, c.best, c.meta.Seconds
	if err := r.trainer.Load(&r.state); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	r.log("resuming at step %d of %d (%s)", c.state.Step, r.total, filepath.Base(c.path))
	return nil
}

// loop runs steps until the end.
func (r *run) loop(ctx context.Context) (*Result, error) {
	step := r.state.Step
	last, lastStep := time.Now(), step
	done := r.over(step)
	for !done {
		var stop error
		select {
		case <-ctx.Done():
			stop = context.Cause(ctx)
			if errors.Is(ctx.Err(), context.Canceled) {
				stop = ctx.Err()
			}
		case s := <-r.o.Checkpoint:
			if err := r.save(step); err != nil {
				return nil, err
			}
			r.log("%v: checkpoint at step %d", s, step)
		default:
		}
		limit := r.o.TimeLimit > 0 && time.Since(r.started) > r.o.TimeLimit
		if stop != nil || limit {
			if err := r.save(step); err != nil {
				return nil, err
			}
			if stop != nil {
				return nil, stop
			}
			return r.result(step, false, "time limit"), nil
		}
		if err := r.step(step); err != nil {
			return nil, err
		}
		step++
		if step%r.perEpoch == 0 {
			if err := r.endEpoch(ctx, step); err != nil {
				return nil, err
			}
		}
		done = r.over(step)
		due := r.o.CheckpointSteps > 0 && step%r.o.CheckpointSteps == 0 ||
			r.o.CheckpointTime > 0 && step > lastStep && time.Since(last) >= r.o.CheckpointTime
		if due || done {
			if err := r.save(step); err != nil {
				return nil, err
			}
			last, lastStep = time.Now(), step
		}
	}
	reason := ""
	if step < r.total {
		reason = fmt.Sprintf("no better validation score in %d epochs", r.Patience)
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	res := r.result(step, true, reason)
	res.Model = r.path("model.safetensors")
	return res, nil
}

func (r *run) path(name string) string { return filepath.Join(r.o.Dir, name) }

func (r *run) result(step uint64, finished bool, reason string) *Result {
	return &Result{
		Epochs: int(step / r.perEpoch), Steps: step, Finished: finished,
		Seconds: time.Since(r.started).Seconds(), Reason: reason,
	}
}

// over reports whether nothing is left to do after a number of steps.
func (r *run) over(step uint64) bool {
	if step >= r.total {
		return true
	}
	return r.Patience > 0 && r.best.epoch > 0 && step%r.perEpoch == 0 && int(step/r.perEpoch) >= r.best.epoch+r.Patience
}

// step runs one step. It is not cut short: half a step could not be continued.
func (r *run) step(step uint64) error {
	if r.exact != nil {
		if err := r.exactStep(); err != nil {
			return err
		}
	} else {
		batch, err := r.load(step)
		if err != nil {
			return err
		}
		if err := r.trainer.Gather(context.Background(), backend.TrainingBatch{Data: batch}); err != nil {
			return err
		}
	}
	return r.trainer.Update(r.update(r.Rate * r.Schedule.Rate(step, r.total)))
}

// load reads the batch of a step.
func (r *run) load(step uint64) (*spin.Batch, error) {
	epoch, at := step/r.perEpoch, int(step%r.perEpoch)*r.Batch
	if epoch != r.epoch {
		if r.order == nil {
			r.order = make([]uint32, r.data.Rows())
		}
		permutation(r.order, philox.NewKey(r.Seed), epoch)
		r.epoch = epoch
	}
	n, stride := min(r.Batch, r.data.Rows()-at), r.data.Stride()
	if r.batch == nil || r.batch.Chains != n {
		r.batch = spin.NewBatch(r.data.Width(), n)
		r.rows = make([]uint64, n*stride)
	}
	for j := range n {
		if err := r.data.Fill(r.rows[j*stride:][:stride], int(r.order[at+j]), epoch); err != nil {
			return nil, err
		}
	}
	pack(r.batch, r.rows, stride)
	return r.batch, nil
}

// endEpoch measures the model and keeps the best.
func (r *run) endEpoch(ctx context.Context, step uint64) error {
	epoch := int(step / r.perEpoch)
	if err := r.trainer.Save(&r.state); err != nil {
		return err
	}
	seconds := r.seconds + time.Since(r.started).Seconds()
	m, err := r.monitor.measure(context.WithoutCancel(ctx), epoch, step, seconds)
	if err != nil {
		return err
	}
	if r.Patience > 0 && (r.best.epoch == 0 || m.score > r.best.score) {
		r.best = best{score: m.score, epoch: epoch, model: backend.CopyModel(r.state.Model)}
	}
	return nil
}

// model returns the model that the run yields, in the units of its file.
func (r *run) model() (*modelfile.RBM, error) {
	net := r.state.Model
	if r.Patience > 0 && r.best.model != nil {
		net = r.best.model
	}
	v, h := net.Layers[0], net.Layers[1]
	m := &modelfile.RBM{
		Units: modelfile.Spin, Visible: v, Hidden: h,
		W: net.Blocks[0].W, B: net.Bias[:v], C: net.Bias[v:],
	}
	out, _, err := m.Convert(r.Units)
	return out, err
}

// finish writes the model and the page.
func (r *run) finish() error {
	if err := r.trainer.Save(&r.state); err != nil {
		return err
	}
	m, err := r.model()
	if err != nil {
		return err
	}
	if err := modelfile.Save(r.path("model.safetensors"), &modelfile.Model{RBM: m}); err != nil {
		return err
	}
	return r.monitor.page(true)
}
