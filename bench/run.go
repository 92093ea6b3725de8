package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"kadanoff/kernels/isa"
)

// Plan says what a run does.
type Plan struct {
	Selection
	Areas      []Area
	Checks     bool
	Benchmarks bool
	// Cases, if any, are the benchmarks wanted: names with or without the area.
	Cases []string
	// AllPaths times every target; otherwise the best one, and in a full run
	// the others with one thread.
	AllPaths bool
	// Scaling times the best target with 2, 4, 8, … threads too, where the
	// plan names no number of threads.
	Scaling bool
	// Sizes times the sweeps of the areas on the best target with one thread,
	// unless Cases name what is wanted.
	Sizes bool
	// Progress, if not nil, is told what has been done; it may be called from
	// several goroutines, one at a time.
	Progress func(done, total int, what string)
}

// Time that benchmarks take in all, shared equally between areas: a budget for
// timing alone. Checks come on top.
const (
	quickBudget = 4 * time.Second
	fullBudget  = 50 * time.Second
	// mostPerWork is the longest that one benchmark is timed on one target.
	quickPerWork = 200 * time.Millisecond
	fullPerWork  = time.Second
	// A whole run, checks included, aims to end by then: where checks have
	// taken longer, on a slow or busy machine, timings become shorter.
	quickRun = 15 * time.Second
	fullRun  = 100 * time.Second
)

// share returns the budget for each target of the first of the timings that
// are left, elapsed after the run began, if the time left is shared equally.
func (p *Plan) share(elapsed time.Duration, left []timing) time.Duration {
	end := quickRun
	if p.Size == Full {
		end = fullRun
	}
	works := 0
	for _, tm := range left {
		works += len(tm.targets)
	}
	return max(0, end-elapsed) / time.Duration(max(works, 1))
}

// Run carries out a plan on targets, which stay open. It returns the records
// made so far with any error, which is the context's if that ended.
func Run(ctx context.Context, p *Plan, targets []*Target) (*Report, error) {
	start := time.Now()
	report := &Report{Machine: ThisMachine(), Quick: p.Size == Quick, Records: []Record{}}
	watch, watched := watchLoad()
	timings, extra, err := p.timings(targets)
	defer func() {
		for _, t := range extra {
			_ = t.Close()
		}
	}()
	if err != nil {
		return report, err
	}
	progress := newProgress(p, targets, timings)
	if p.Checks {
		records, err := p.runChecks(ctx, targets, progress)
		report.Records = append(report.Records, records...)
		if err != nil {
			return report, err
		}
	}
	for i, tm := range timings {
		tm.budget = min(tm.budget, p.share(time.Since(start), timings[i:]))
		records, err := tm.run(ctx)
		report.Records = append(report.Records, records...)
		if err != nil {
			return report, err
		}
		progress.done(tm.benchmark.Name)
	}
	if p.Benchmarks {
		report.Machine.Rates, report.Machine.MemoryRate = rates(targets), memoryRate()
	}
	if watched {
		others := watch.others()
		report.Machine.OtherCores = &others
	}
	return report, nil
}

type progress struct {
	mu           sync.Mutex
	tell         func(done, total int, what string)
	count, total int
}

func newProgress(p *Plan, targets []*Target, timings []timing) *progress {
	g := &progress{tell: p.Progress, total: len(timings)}
	if p.Checks {
		for _, a := range p.Areas {
			g.total += len(a.Checks) * len(targets)
		}
	}
	return g
}

func (g *progress) done(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
	if g.tell != nil {
		g.tell(g.count, g.total, what)
	}
}

// runChecks runs every check on every target, as many at once as there are
// cores. The records come in the order of areas, checks and targets.
func (p *Plan) runChecks(ctx context.Context, targets []*Target, progress *progress) ([]Record, error) {
	type job struct {
		check   *Check
		target  *Target
		records []Record
		err     error
	}
	var jobs []*job
	for _, a := range p.Areas {
		for i := range a.Checks {
			for _, t := range targets {
				jobs = append(jobs, &job{check: &a.Checks[i], target: t})
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan *job)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for j := range queue {
				results, err := j.check.Run(ctx, j.target)
				if err != nil {
					j.err = fmt.Errorf("%s on %s: %w", j.check.Name, j.target, err)
					cancel()
					continue
				}
				for _, r := range results {
					j.records = append(j.records, j.target.check(r))
				}
				progress.done(j.check.Name)
			}
		})
	}
	for _, j := range jobs {
		if ctx.Err() != nil {
			break
		}
		queue <- j
	}
	close(queue)
	workers.Wait()
	var records []Record
	var failed error
	for _, j := range jobs {
		records = append(records, j.records...)
		// The error that cancelled the others is the one to report.
		if j.err != nil && (failed == nil || errors.Is(failed, context.Canceled)) {
			failed = j.err
		}
	}
	if failed == nil {
		failed = ctx.Err()
	}
	return records, failed
}

// timing is one benchmark on the targets that it is timed on together.
type timing struct {
	benchmark *Benchmark
	targets   []*Target
	budget    time.Duration // for each target
}

// timings lists what is to be timed, and the targets that were opened for it.
func (p *Plan) timings(targets []*Target) (timings []timing, opened []*Target, err error) {
	if !p.Benchmarks {
		return nil, nil, nil
	}
	on := targets
	if len(on) > 1 && on[0].scalar() {
		on = on[1:] // the reference backend is timed only when it is all there is
	}
	// Other devices stand beside the CPU, whose threads say nothing of them.
	cpus := slices.IndexFunc(on, (*Target).device)
	if cpus < 0 {
		cpus = len(on)
	}
	devices := on[cpus:]
	best := on[max(cpus, 1)-1]
	if on = on[:cpus:cpus]; !p.AllPaths && p.Size == Quick && cpus > 0 {
		on = []*Target{best}
	}
	if p.Threads == 0 && best.Threads > 1 && cpus > 0 {
		// One thread on each path, all of them on the best.
		var single []*Target
		for _, t := range on {
			one, err := t.With(1)
			if err != nil {
				return nil, opened, err
			}
			opened, single = append(opened, one), append(single, one)
		}
		if p.Scaling {
			for n := 2; n < best.Threads; n *= 2 {
				some, err := best.With(n)
				if err != nil {
					return nil, opened, err
				}
				opened, single = append(opened, some), append(single, some)
			}
		}
		on = append(single, best)
	}
	on = append(on, devices...)
	budget, most := quickBudget, quickPerWork
	if p.Size == Full {
		budget, most = fullBudget, fullPerWork
	}
	for _, a := range p.Areas {
		first := len(timings)
		for i := range a.Benchmarks {
			b := &a.Benchmarks[i]
			if p.wants(a.Name, b) {
				timings = append(timings, timing{benchmark: b, targets: on})
			}
		}
		n := (len(timings) - first) * len(on)
		for i := range timings[first:] {
			timings[first+i].budget = min(most, budget/time.Duration(len(p.Areas)*n))
		}
	}
	if p.Sizes && len(p.Cases) == 0 && !best.scalar() {
		one := best
		for _, t := range on {
			if t.Threads == 1 && t.ISA == best.ISA {
				one = t
			}
		}
		sweeps, err := p.sweeps(one, most)
		if err != nil {
			return nil, opened, err
		}
		timings = append(timings, sweeps...)
	}
	return timings, opened, nil
}

// sweeps lists the benchmarks of growing sizes.
func (p *Plan) sweeps(t *Target, most time.Duration) (timings []timing, err error) {
	for _, a := range p.Areas {
		for i := range a.Sweeps {
			for _, size := range a.Sweeps[i].Sizes {
				b, err := a.Sized(a.Sweeps[i].Case(size))
				if err != nil {
					return nil, fmt.Errorf("sizes of %s: %w", a.Name, err)
				}
				b.Sweep, b.Size = &a.Sweeps[i], size
				timings = append(timings, timing{benchmark: &b, targets: []*Target{t}, budget: most / 4})
			}
		}
	}
	return timings, nil
}

// wants reports whether the plan includes a benchmark.
func (p *Plan) wants(area string, b *Benchmark) bool {
	if len(p.Cases) == 0 {
		return !b.Slow || p.Size == Full
	}
	for _, c := range p.Cases {
		if c == b.Name || c == strings.TrimPrefix(b.Name, area+"/") {
			return true
		}
	}
	return false
}

// AddCases makes the plan time these cases of its areas only: names of
// benchmarks, or sizes that an area can make one for.
func (p *Plan) AddCases(cases []string) error {
	for _, c := range cases {
		found := false
		var names []string
		one := Plan{Cases: []string{c}}
		for i := range p.Areas {
			a := &p.Areas[i]
			for k := range a.Benchmarks {
				found = found || one.wants(a.Name, &a.Benchmarks[k])
				names = append(names, strings.TrimPrefix(a.Benchmarks[k].Name, a.Name+"/"))
			}
			if !found && a.Sized != nil {
				b, err := a.Sized(c)
				if err != nil {
					return fmt.Errorf("--case %q: %w, as %s", c, err, strings.Join(names, ", "))
				}
				a.Benchmarks = append(a.Benchmarks[:len(a.Benchmarks):len(a.Benchmarks)], b)
				found = true
			}
		}
		if !found {
			return fmt.Errorf("--case %q: want one of %s", c, strings.Join(names, ", "))
		}
	}
	p.Cases = append(p.Cases, cases...)
	return nil
}

// run prepares the work on every target and times it.
func (tm *timing) run(ctx context.Context) (records []Record, err error) {
	var works []*timed
	var on []*Target
	defer func() {
		for _, w := range works {
			if w.Close == nil {
				continue
			}
			if cerr := w.Close(); err == nil {
				err = cerr
			}
		}
	}()
	for _, t := range tm.targets {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w, err := tm.benchmark.Prepare(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", tm.benchmark.Name, t, err)
		}
		if w != nil {
			works, on = append(works, &timed{Work: w}), append(on, t)
		}
	}
	if len(works) == 0 {
		return nil, nil
	}
	if err := interleave(ctx, usual(tm.budget), works); err != nil {
		return nil, fmt.Errorf("%s: %w", tm.benchmark.Name, err)
	}
	for i, w := range works {
		records = append(records, w.record(tm.benchmark, on[i]))
	}
	return records, nil
}

// perThread returns a goal for each thread and instruction set; sets that it
// does not name have none.
func perThread(goals map[isa.Level]float64) func(*Target) float64 {
	return func(t *Target) float64 {
		if t.scalar() || t.Name == "cuda" {
			return 0
		}
		return goals[t.Level] * float64(t.Threads)
	}
}
