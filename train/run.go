package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"kadanoff/backend"
	"kadanoff/comm"
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

	// Group is the processes that share the run; nil for this one alone. All
	// of them call Run with the same settings and data. Rank 0 alone reads and
	// writes Dir, measures and logs.
	Group comm.Group
	// Timed, if not nil, is called after every step, on every process.
	Timed func(StepTimes)
	// Code returns the exit code that an error asks for: when one process
	// fails in a way that all know of, all end with its code. Nil stands for 1.
	Code func(error) int
}

// StepTimes says where the time of a step went.
type StepTimes struct {
	Read   time.Duration // waiting for the batch
	Sample time.Duration // data and model phase
	Pack   time.Duration // statistics into and out of the memory that is added up
	Sum    time.Duration // adding up over the processes: waiting for the slowest, and the network
	Update time.Duration
	Bytes  int // that a process gave into the sum
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
	trainer stepper
	rbm     backend.Trainer // the trainer of an RBM
	machine *machine        // that of one with couplings inside layers
	exact   *exactData      // of ExactGradient

	perEpoch uint64 // steps
	total    uint64
	order    []uint32
	epoch    uint64 // that order belongs to
	batch    *spin.Batch
	loaded   uint64 // step that batch belongs to, plus 1
	rows     []uint64
	digest   string
	held     string // digest of the held-out data, or noneHeld
	monitor  *monitor
	best     best
	started  time.Time
	seconds  float64 // before this process

	looping   time.Time // when the first step of this process began
	firstStep uint64

	saved     time.Time // when the last checkpoint was written
	savedStep uint64
	ranks     ranks
	times     StepTimes
	state     backend.TrainerState
	log       func(format string, args ...any)
}

// best is the model that early stopping returns to.
type best struct {
	score float64 // validation score, the larger the better
	epoch int     // 0 for none yet
	model *spin.Net[float32]
}

// Run trains a model on data and returns when it is done, when ctx ends, or
// when it cannot go on. Whatever the reason, the last checkpoint in o.Dir
// continues it, on any number of processes: the result does not depend on them.
//
// On several processes, an error that is a *comm.PeerError has reached all of
// them; any other leaves the others waiting, and the caller must end the group.
func Run(ctx context.Context, be backend.Backend, c Config, data Source, o Options) (*Result, error) {
	o.Keep = max(o.Keep, 1)
	r := &run{Config: c, o: o, be: be, data: data, started: time.Now(), log: o.Log, epoch: ^uint64(0)}
	r.ranks = ranks{Group: o.Group, code: o.Code}
	if r.ranks.Group == nil {
		r.ranks.Group = comm.One()
	}
	if r.ranks.code == nil {
		r.ranks.code = func(error) int { return 1 }
	}
	if r.log == nil || !r.ranks.root() {
		r.log = func(string, ...any) {}
	}
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	defer r.trainer.Close()
	if r.monitor != nil {
		defer r.monitor.close()
	}
	res, err := r.loop(ctx)
	if r.monitor != nil && (err != nil || !res.Finished) {
		// Whoever looks at the page sees that nothing goes on. A page that
		// cannot be written does not hide why.
		_ = r.monitor.page(r.whyStopped(ctx, res, err))
	}
	return res, err
}

// whyStopped says in a word why a run ended before it was finished.
func (r *run) whyStopped(ctx context.Context, res *Result, err error) string {
	switch {
	case err == nil:
		return "stopped: " + res.Reason
	case ctx.Err() != nil:
		return "stopped: " + context.Cause(ctx).Error()
	}
	return "stopped: " + err.Error()
}

// check completes the settings and reports what is wrong with them.
func (r *run) check() error {
	c := &r.Config
	if c.Chains == 0 && c.Algorithm != "cd" {
		c.Chains = min(c.Batch, r.data.Rows())
	}
	c.Batch = min(c.Batch, r.data.Rows())
	if c.ExactGradient {
		c.Batch = r.data.Rows()
	}
	if err := c.Check(); err != nil {
		return err
	}
	if c.general() && r.ranks.many() {
		return fmt.Errorf("--couplings %s: want one process, not %d", c.Couplings, r.ranks.Size())
	}
	if c.Patience > 0 && r.o.Validation == nil {
		return fmt.Errorf("--patience %d: early stopping wants --validation FILE", c.Patience)
	}
	if c.Patience > 0 && (c.Couplings == "hidden" || c.Couplings == "all") && 1<<min(c.Hidden, 30) > monitorTerms {
		return fmt.Errorf("--patience %d: %d hidden units coupled to each other cannot be summed out for a validation score", c.Patience, c.Hidden)
	}
	if v := r.o.Validation; v != nil && v.Width() != r.data.Width() {
		return fmt.Errorf("validation data have %d units, the training data %d", v.Width(), r.data.Width())
	}
	return nil
}

// begin makes the trainer, at the beginning of the run or where the last
// checkpoint left it.
func (r *run) begin(ctx context.Context) (err error) {
	if err = r.check(); err == nil {
		r.digest, err = digest(cancellable{r.data, ctx})
	}
	if r.held = noneHeld; err == nil && r.o.Validation != nil {
		r.held, err = digest(cancellable{r.o.Validation, ctx})
	}
	if n := r.ranks.Size(); err == nil && r.Algorithm != "cd" && r.Chains < n {
		err = fmt.Errorf("--chains %d: want at least one for each of %d processes", r.Chains, n)
	}
	if err := r.ranks.agree(err); err != nil {
		return err
	}
	if err := r.sameJob(); err != nil {
		return err
	}
	r.perEpoch = uint64((r.data.Rows() + r.Batch - 1) / r.Batch)
	r.total = r.perEpoch * uint64(r.Epochs)
	var found *checkpoint
	if r.ranks.root() {
		found, err = prepare(r.o.Dir, r.o.Resume, r.log)
	}
	if err := r.ranks.agree(err); err != nil {
		return err
	}
	if found, err = r.spread(found); err != nil {
		return err
	}
	return r.ranks.agree(r.open(ctx, found))
}

// open makes the trainer, at its beginning or at the checkpoint found.
func (r *run) open(ctx context.Context, found *checkpoint) error {
	data := cancellable{r.data, ctx}
	total, err := Sums(data)
	if err != nil {
		return err
	}
	model, err := initial(ctx, &r.Config, r.data.Width(), total, r.data.Rows())
	if err != nil {
		return err
	}
	spec := backend.TrainerSpec{
		Model: model, Algorithm: r.algorithm(), K: r.K, Seed: r.Seed, Chains: r.Chains,
		Temperatures: r.ladder(), Tied: r.Tied, Context: ctx,
	}
	if r.algorithm() != backend.CD {
		from, to := share(r.Chains, r.ranks.Size(), r.ranks.Rank())
		spec.FirstChain, spec.Chains, spec.TotalChains = uint32(from), to-from, r.Chains
	}
	if r.ExactGradient {
		if r.exact, err = newExactData(data, &r.Config); err != nil {
			return err
		}
	}
	if r.general() {
		r.machine, err = newMachine(ctx, r.be, model, &r.Config, r.data.Rows())
		r.trainer = r.machine
	} else {
		r.rbm, err = r.be.NewTrainer(spec)
		r.trainer = r.rbm
	}
	if err != nil {
		return err
	}
	weights := len(model.Blocks[0].W)
	model, spec.Model = nil, nil
	release(weights)
	if r.ranks.root() {
		if r.monitor, err = newMonitor(ctx, r); err != nil {
			return err
		}
	}
	if found != nil {
		if err := r.restore(found); err != nil {
			return err
		}
		return r.resumeMonitor()
	}
	if !r.Center && r.Units != modelfile.Binary {
		return r.resumeMonitor()
	}
	if err := r.trainer.Save(&r.state); err != nil {
		return err
	}
	if r.Center {
		for i := range r.state.VisibleOffset {
			r.state.VisibleOffset[i] = float64(total[i]) / float64(r.data.Rows())
		}
	} else {
		// A plain RBM of {0,1} units is a centred one of ±1 units with these
		// offsets: x = (v − (−1))/2.
		fill(r.state.VisibleOffset, -1)
		fill(r.state.HiddenOffset, -1)
	}
	if err := r.trainer.Load(&r.state); err != nil {
		return err
	}
	r.forget()
	return r.resumeMonitor()
}

// largeModel is the number of weights from which on memory is given back when
// it is not needed any more: the collector would wait until as much again had
// been asked for.
const largeModel = 1 << 22

// release gives back memory that is no longer in use to the system, for a model
// of so many weights.
func release(weights int) {
	if weights >= largeModel {
		debug.FreeOSMemory()
	}
}

// forget lets go of the copy of a large model, and of what was made of it.
func (r *run) forget() {
	weights := r.data.Width() * r.Hidden
	if weights >= largeModel {
		r.state.Model, r.state.Velocity, r.state.Chains = nil, nil, nil
		release(weights)
	}
}

// resumeMonitor opens the metrics on the rank that writes them.
func (r *run) resumeMonitor() error {
	if r.monitor == nil {
		return nil
	}
	return r.monitor.resume(r.o.Dir, r.state.Step)
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
	if was := c.meta.Validation; was != "" && was != r.held {
		return fmt.Errorf("%s: --validation: the held-out data are not those that the run began with", c.path)
	}
	r.state, r.best, r.seconds = c.state, c.best, c.meta.Seconds
	r.state.Chains = r.part(c.state.Chains)
	if err := r.trainer.Load(&r.state); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	r.log("resuming at step %d of %d (%s)", c.state.Step, r.total, filepath.Base(c.path))
	return nil
}

// loop runs steps until the end.
func (r *run) loop(ctx context.Context) (*Result, error) {
	step := r.state.Step
	r.saved, r.savedStep = time.Now(), step
	r.looping, r.firstStep = r.saved, step
	for done := r.over(step); !done; {
		// What several ranks want is known after the sums of the next step.
		var now, own requests
		if r.ranks.many() {
			now = r.ranks.asked
		} else {
			now = r.requests(ctx, step)
		}
		if now != (requests{}) {
			if err := r.save(step); err != nil {
				return nil, err
			}
			if now.stop > 0 {
				return nil, r.stopped(ctx)
			}
			if now.limit > 0 {
				return r.result(step, false, "time limit"), nil
			}
		}
		if r.ranks.many() {
			own = r.requests(ctx, step)
		}
		if err := r.step(step, own); err != nil {
			return nil, err
		}
		step++
		if step%r.perEpoch == 0 {
			if err := r.endEpoch(ctx, step); err != nil {
				return nil, err
			}
		}
		if r.monitor != nil {
			r.monitor.progress(step)
		}
		done = r.over(step)
		if done || r.o.CheckpointSteps > 0 && step%r.o.CheckpointSteps == 0 {
			if err := r.save(step); err != nil {
				return nil, err
			}
		}
	}
	reason := ""
	if step < r.total {
		reason = fmt.Sprintf("no better validation score in %d epochs", r.Patience)
	}
	var err error
	if r.ranks.root() {
		err = r.finish()
	}
	if err := r.ranks.agree(err); err != nil {
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
func (r *run) step(step uint64, own requests) error {
	if r.exact != nil {
		if err := r.exactStep(); err != nil {
			return err
		}
		if r.ranks.many() {
			if err := r.ranks.sumRequests(own); err != nil {
				return err
			}
		}
	} else if err := r.sample(step, own); err != nil {
		return err
	}
	began := time.Now()
	err := r.trainer.Update(r.update(r.Rate * r.Schedule.Rate(step, r.total)))
	r.times.Update = time.Since(began)
	if r.o.Timed != nil {
		r.o.Timed(r.times)
	}
	if diverged := (*backend.DivergedError)(nil); errors.As(err, &diverged) {
		return r.ranks.agree(err) // all ranks have the same weights
	}
	return err
}

// sample runs the data and model phases of a step.
func (r *run) sample(step uint64, own requests) error {
	began := time.Now()
	if err := r.load(step); err != nil {
		return err
	}
	r.times = StepTimes{Read: time.Since(began)}
	at := int(step%r.perEpoch) * r.Batch
	n := min(r.Batch, r.data.Rows()-at)
	first, _ := share(n, r.ranks.Size(), r.ranks.Rank())
	// Chains of CD start at the configurations: without any there are none.
	began = time.Now()
	gathered := r.batch.Chains > 0 || r.algorithm() != backend.CD
	if gathered {
		batch := backend.TrainingBatch{Data: r.batch, FirstSample: uint32(first), Samples: n}
		if r.machine != nil {
			r.machine.rows = r.order[at : at+n]
		}
		if err := r.trainer.Gather(context.Background(), batch); err != nil {
			return err
		}
	}
	r.times.Sample = time.Since(began)
	if !r.ranks.many() {
		return nil
	}
	// The next batch is read while sums are under way.
	next := make(chan error, 1)
	go func() {
		if step+1 == r.total {
			next <- nil
			return
		}
		next <- r.load(step + 1)
	}()
	chains := r.Chains
	if r.algorithm() == backend.CD {
		chains = n
	}
	err := r.reduce(gathered, n, chains, own)
	began = time.Now()
	readErr := <-next
	r.times.Read += time.Since(began)
	if err == nil {
		err = readErr
	}
	return err
}

// load reads this rank's part of the batch of a step.
func (r *run) load(step uint64) error {
	if r.loaded == step+1 {
		return nil
	}
	epoch, at := step/r.perEpoch, int(step%r.perEpoch)*r.Batch
	if epoch != r.epoch {
		if r.order == nil {
			r.order = make([]uint32, r.data.Rows())
		}
		permutation(r.order, philox.NewKey(r.Seed), epoch)
		r.epoch = epoch
	}
	from, to := share(min(r.Batch, r.data.Rows()-at), r.ranks.Size(), r.ranks.Rank())
	n, stride := to-from, r.data.Stride()
	if r.batch == nil || r.batch.Chains != n {
		r.batch = spin.NewBatch(r.data.Width(), n)
		r.rows = make([]uint64, n*stride)
	}
	for j := range n {
		if err := r.data.Fill(r.rows[j*stride:][:stride], int(r.order[at+from+j]), epoch); err != nil {
			return err
		}
	}
	pack(r.batch, r.rows, stride)
	r.loaded = step + 1
	return nil
}

// endEpoch measures the model and keeps the best.
func (r *run) endEpoch(ctx context.Context, step uint64) error {
	epoch := int(step / r.perEpoch)
	if err := r.trainer.Save(&r.state); err != nil {
		return err
	}
	if err := r.sameModel(); err != nil {
		return err
	}
	var err error
	score := make([]float64, 1)
	if r.ranks.root() {
		seconds := r.seconds + time.Since(r.started).Seconds()
		var m *Metrics
		if m, err = r.monitor.measure(context.WithoutCancel(ctx), epoch, step, seconds); err == nil {
			score[0] = m.score
		}
	}
	if r.Patience == 0 {
		r.forget()
	}
	if err := r.ranks.agree(err); err != nil || r.Patience == 0 {
		return err
	}
	if err := r.ranks.Bcast(comm.Bytes(score), 0); err != nil {
		return err
	}
	if r.best.epoch == 0 || score[0] > r.best.score {
		r.best = best{score: score[0], epoch: epoch, model: backend.CopyModel(r.state.Model)}
	}
	r.forget()
	return nil
}

// model returns the model that the run yields, in the units of its file and for
// the temperature of the configuration.
func (r *run) model() (*modelfile.Model, error) {
	net := r.state.Model
	if r.Patience > 0 && r.best.model != nil {
		net = r.best.model
	}
	if r.general() {
		m, err := modelfile.FromNet(net)
		if err == nil && r.Temperature != 1 {
			m, err = m.Scaled(r.Temperature)
		}
		return &modelfile.Model{Network: m}, err
	}
	v, h := net.Layers[0], net.Layers[1]
	m := &modelfile.RBM{
		Units: modelfile.Spin, Visible: v, Hidden: h,
		W: net.Blocks[0].W, B: net.Bias[:v], C: net.Bias[v:],
	}
	if r.Units == modelfile.Spin && r.Temperature == 1 {
		return &modelfile.Model{RBM: m}, nil
	}
	out, _, err := m.Convert(r.Units)
	if err == nil && r.Temperature != 1 {
		out, err = out.Scaled(r.Temperature)
	}
	return &modelfile.Model{RBM: out}, err
}

// finish writes the model and the page.
func (r *run) finish() error {
	if err := r.trainer.Save(&r.state); err != nil {
		return err
	}
	// A process that was killed when it had written the last checkpoint has
	// left one too many.
	if err := r.prune(checkpointPath(r.o.Dir, r.state.Step)); err != nil {
		return err
	}
	m, err := r.model()
	if err != nil {
		return err
	}
	if err := modelfile.Save(r.path("model.safetensors"), m); err != nil {
		return err
	}
	return r.monitor.page(finished)
}
