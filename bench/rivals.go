package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"kadanoff/bench/peers"
	"kadanoff/model/data"
	"kadanoff/model/npy"
)

// Rivalry is a kind of work that peers do beside ours.
type Rivalry struct {
	Name  string // as --task takes it
	Short string
	Cases []RivalCase
}

// RivalCase is one problem that ours and the peers solve, with what both
// compute held against each other.
type RivalCase struct {
	Name  string // area/case
	Asks  string // the workers' name of the task
	Unit  string // of work that is timed, as sweep
	Sizes []Size // of runs that include it
	// Prepare makes the problem, in folder, and ours for a target.
	Prepare func(ctx context.Context, t *Target, folder string) (*Rival, error)
}

// Rival is a case that is ready.
type Rival struct {
	Ours     *Work // one time is one Unit
	Problem  peers.Problem
	Data     string // what was trained on, if anything
	Compared string // what Compare compares
	// Compare holds a peer's result against what is right: an exact value or
	// ours.
	Compare func(ctx context.Context, r *peers.Result) (Result, error)
	// Check, if not nil, holds ours against an exact value first.
	Check func(ctx context.Context) (Result, error)
}

// Rivalries returns all kinds of work, in the order in which they run. Training
// and annealing take d, which CheckTrainingData takes, in place of synthetic
// handwriting, unless it is nil.
func Rivalries(d *data.Set) []Rivalry {
	models := handwriting
	if d != nil {
		models = &trainedModels{set: d}
	}
	return []Rivalry{
		gibbsRivalry(),
		trainingRivalry(models),
		enumerationRivalry(),
		rbmRivalry(),
		latticeRivalry(),
		rootsRivalry(),
		annealingRivalry(models),
	}
}

// RivalPlan says what a run beside peers does.
type RivalPlan struct {
	Selection
	Rivalries []Rivalry
	Peers     []peers.Peer
	// Start starts the worker of a peer whose scripts are in dir.
	Start func(ctx context.Context, dir string, p peers.Peer) (*peers.Worker, error)
	// Limit is how long a worker may take for one answer.
	Limit time.Duration
	// Progress is as in Plan.
	Progress func(done, total int, what string)
}

// Budgets for each program in each case. Samples are longer than those of
// programs in one process, whose caches and threads do not have to wake up.
const (
	quickRivalBudget = 60 * time.Millisecond
	fullRivalBudget  = 400 * time.Millisecond
	rivalSample      = 20 * time.Millisecond
	rivalPause       = 3 * time.Millisecond
)

// What makes times noisy: that many cores busy with other processes, or a
// median so far above the minimum.
const (
	noisyCores  = 0.3
	noisySpread = 1.3
)

// rivalWorker is a peer that is running, or why it is not.
type rivalWorker struct {
	peers.Peer
	*peers.Worker
	missing error
}

// RunRivals carries out a plan on a target. A peer that cannot do its part is a
// record with a note.
func RunRivals(ctx context.Context, p *RivalPlan, t *Target) (*Report, error) {
	report := &Report{Machine: ThisMachine(), Quick: t.Size == Quick, Records: []Record{}}
	dir, err := os.MkdirTemp("", "rbmbench-peers-")
	if err != nil {
		return report, err
	}
	defer os.RemoveAll(dir)
	if err := peers.Unpack(dir); err != nil {
		return report, err
	}
	// Where the system does not let us choose cores, it chooses.
	if cores, restore, err := pin(t.Threads); err == nil {
		defer restore()
		report.Machine.Pinned = cores
	}
	watch, watched := watchLoad()

	var cases []RivalCase
	for _, r := range p.Rivalries {
		for _, c := range r.Cases {
			if slices.Contains(c.Sizes, t.Size) {
				cases = append(cases, c)
			}
		}
	}
	total, done := len(p.Peers)+len(cases), 0
	tell := func(what string) {
		if p.Progress != nil {
			p.Progress(done, total, what)
		}
		done++
	}
	var all []*rivalWorker
	defer func() {
		for _, w := range all {
			if w.Worker != nil {
				w.Close()
			}
		}
	}()
	for _, peer := range p.Peers {
		tell("starts " + peer.Name)
		w := &rivalWorker{Peer: peer}
		if w.Worker, w.missing = p.Start(ctx, dir, peer); w.missing != nil && ctx.Err() != nil {
			return report, ctx.Err()
		}
		all = append(all, w)
		if w.missing != nil {
			report.Records = append(report.Records, w.note(t, "peers", w.missing))
		}
	}
	if !slices.ContainsFunc(all, func(w *rivalWorker) bool { return w.missing == nil }) {
		first := report.Records[0]
		return report, fmt.Errorf("%w (%s: %s)", ErrNoPeers, first.Peer, first.Note)
	}
	for _, c := range cases {
		tell(c.Name)
		records, err := c.run(ctx, p, t, dir, all)
		report.Records = append(report.Records, records...)
		if err != nil {
			return report, err
		}
	}
	if watched {
		watch.ours = nil
		for _, w := range all {
			if w.Worker != nil {
				watch.ours = append(watch.ours, w.PID)
			}
		}
		others := watch.others()
		report.Machine.OtherCores = &others
	}
	return report, nil
}

// record is the beginning of a peer's record.
func (w *rivalWorker) record(t *Target, name string) Record {
	r := Record{Kind: KindPeer, Name: name, Peer: w.Name, Backend: t.Name, ISA: t.ISA, Threads: t.Threads, Seed: t.Seed}
	if w.Worker != nil {
		r.Version = w.Version
	}
	return r
}

func (w *rivalWorker) note(t *Target, name string, why error) Record {
	r := w.record(t, name)
	r.Note = why.Error()
	return r
}

// run times a case on ours and on every peer that has its task.
func (c *RivalCase) run(ctx context.Context, p *RivalPlan, t *Target, dir string, all []*rivalWorker) (records []Record, err error) {
	folder := filepath.Join(dir, strings.ReplaceAll(c.Name, "/", "-"))
	if err := os.Mkdir(folder, 0o777); err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	r, err := c.Prepare(ctx, t, folder)
	if err != nil {
		return nil, fmt.Errorf("%s on %s: %w", c.Name, t, err)
	}
	if r.Ours.Close != nil {
		defer func() {
			if cerr := r.Ours.Close(); err == nil {
				err = cerr
			}
		}()
	}
	ours := &timed{Work: r.Ours}
	works := []*timed{ours}
	of := map[*rivalWorker]*timed{}
	var asked []*rivalWorker
	var pids []int
	for _, w := range all {
		if w.missing != nil || !slices.Contains(w.Tasks, c.Asks) {
			continue
		}
		asked, pids = append(asked, w), append(pids, w.PID)
		own := r.Problem
		own.Folder = filepath.Join(folder, w.Script)
		if err := os.Mkdir(own.Folder, 0o777); err != nil {
			return nil, err
		}
		work := &timed{Work: &Work{Optional: true, Measure: func(ctx context.Context, n int) (float64, error) { return w.Run(ctx, n, p.Limit) }}}
		if err := work.optional(ctx, w.Prepare(ctx, c.Asks, own, p.Limit)); err != nil {
			return nil, err
		}
		of[w] = work
		if work.failed == nil {
			works = append(works, work)
		}
	}
	if len(works) > 1 {
		way := pace{budget: quickRivalBudget, sample: rivalSample, pause: rivalPause}
		if t.Size == Full {
			way.budget = fullRivalBudget
		}
		if _, ok := watchLoad(); ok {
			way.watch = func() load { l, _ := watchLoad(pids...); return l }
		}
		if err := interleave(ctx, way, works); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		if r.Check != nil {
			result, err := r.Check(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			result.Name = "peers/" + c.Name + "/" + strings.ReplaceAll(r.Compared, " ", "-")
			records = append(records, t.check(result))
		}
		mine := ours.record(&Benchmark{Name: "peers/" + c.Name, Unit: c.Unit + "s/s"}, t)
		mine.Value = 1 / mine.MinS
		records = append(records, mine)
	}
	for _, w := range asked {
		rec, err := c.finish(ctx, p, t, r, w, of[w], ours)
		if err != nil {
			return records, err
		}
		records = append(records, rec)
	}
	return records, nil
}

// finish compares a peer's result and makes its record.
func (c *RivalCase) finish(ctx context.Context, p *RivalPlan, t *Target, r *Rival, w *rivalWorker, work, ours *timed) (Record, error) {
	if work.failed != nil {
		return w.note(t, c.Name, work.failed), nil
	}
	found, err := w.Result(ctx, p.Limit)
	if err != nil {
		return w.note(t, c.Name, fmt.Errorf("no result: %w", err)), ctx.Err()
	}
	result, err := r.Compare(ctx, found)
	if errors.Is(err, errResult) {
		return w.note(t, c.Name, err), nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", c.Name, err)
	}
	rec := w.record(t, c.Name)
	rec.Unit, rec.Data, rec.Compared = c.Unit, r.Data, r.Compared
	rec.MinS, rec.MedianS = slices.Min(work.seconds), median(slices.Clone(work.seconds))
	rec.Repeats, rec.SamplesS = len(work.seconds), work.seconds
	rec.OursMinS, rec.OursMedianS = slices.Min(ours.seconds), median(slices.Clone(ours.seconds))
	rec.Ratio, rec.RatioMedian = rec.MinS/rec.OursMinS, rec.MedianS/rec.OursMedianS
	rec.Exact, rec.Measured, rec.Error, rec.Limit, rec.Pass = result.Exact, result.Measured, result.Error, result.Limit, result.Pass()
	if work.noise.wall > 0 {
		both := disturbance{work.noise.wall + ours.noise.wall, work.noise.others + ours.noise.others}
		busy := both.cores()
		rec.OtherCores = &busy
		rec.Noisy = busy > noisyCores
	}
	rec.Noisy = rec.Noisy || rec.MedianS > noisySpread*rec.MinS || rec.OursMedianS > noisySpread*rec.OursMinS
	return rec, nil
}

// ErrNoPeers says that a run beside peers found none.
var ErrNoPeers = errors.New("none of the peers is installed")

// errResult marks a peer's result that is not what was asked for.
var errResult = errors.New("no result")

// value returns a number of a result.
func value(r *peers.Result, name string) (float64, error) {
	x, ok := r.Values[name]
	if !ok {
		return 0, fmt.Errorf("%w: no number %q", errResult, name)
	}
	return x, nil
}

// array reads an array of n numbers of a result; n = 0 takes any number.
func array(r *peers.Result, name string, n int) ([]float64, error) {
	f, err := npy.Open(r.Arrays[name])
	if err != nil {
		return nil, fmt.Errorf("%w: array %q: %w", errResult, name, err)
	}
	defer f.Close()
	if n == 0 {
		n = min(f.Len(), 1<<16)
	}
	if f.Len() != n || n == 0 {
		return nil, fmt.Errorf("%w: array %q has %d numbers, want %d", errResult, name, f.Len(), n)
	}
	return f.All()
}

// problem collects what workers are asked.
type problem struct {
	peers.Problem
	err error
}

func newProblem(folder string, t *Target) *problem {
	return &problem{Problem: peers.Problem{
		Folder: folder, Numbers: map[string]float64{"seed": float64(t.Seed)}, Files: map[string]string{},
	}}
}

func (p *problem) number(name string, x float64) { p.Numbers[name] = x }

// put writes an array for the workers.
func put[T npy.Number](p *problem, name string, x []T, shape ...int) {
	if p.err == nil {
		p.Files[name] = filepath.Join(p.Folder, name+".npy")
		p.err = npy.WriteFile(p.Files[name], x, shape...)
	}
}

// Interpreters returns the Pythons that peers are looked for in, by default: the
// environments of make peers, KADANOFF_PYTHON, and the one of the path.
func Interpreters() []string {
	inside := "bin/python"
	if runtime.GOOS == "windows" {
		inside = "Scripts/python.exe"
	}
	roots := []string{"."}
	if exe, err := os.Executable(); err == nil { // which make puts into bin/
		roots = append(roots, filepath.Join(filepath.Dir(exe), ".."))
	}
	var list []string
	for _, root := range roots {
		for _, env := range []string{"venv", "venv-ising"} {
			if p := filepath.Join(root, "bench", "peers", env, inside); !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	if p := os.Getenv("KADANOFF_PYTHON"); p != "" {
		list = append(list, p)
	}
	return append(list, "python3")
}
