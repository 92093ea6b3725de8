package bench

import (
	"context"
	"slices"
	"time"
)

// Timing bounds.
const (
	leastSample  = 2 * time.Millisecond // one sample repeats the work until it lasts this long
	leastSamples = 3
	mostSamples  = 200
)

// timed is work that is being timed.
type timed struct {
	*Work
	inner   int         // times that make one sample
	once    bool        // it takes so long that its first time is its only sample
	seconds []float64   // of one time, for each sample
	failed  error       // why Optional work ended
	noise   disturbance // while its samples were taken
}

// pace says how works take turns.
type pace struct {
	budget time.Duration // for each work
	sample time.Duration // what a sample lasts at least
	once   time.Duration // what takes longer the first time is not repeated, if not 0
	pause  time.Duration // before each turn, so that threads of the last one are asleep
	watch  func() load   // if not nil, begins to watch what else is busy
}

// usual is the pace of works in one process.
func usual(budget time.Duration) pace {
	return pace{budget: budget, sample: leastSample, once: max(time.Second, 4*budget)}
}

// interleave times several works in turn, one sample of each in every round,
// so that what else happens on the machine falls on all of them alike. It
// stops when the budget for each is used up, after leastSamples rounds at
// least, or when ctx ends. What is too slow for that is timed once.
func interleave(ctx context.Context, p pace, works []*timed) error {
	for _, w := range works {
		if err := w.optional(ctx, w.calibrate(ctx, p)); err != nil {
			return err
		}
	}
	end := time.Now().Add(p.budget * time.Duration(len(works)))
	for round := 0; round < mostSamples && (round < leastSamples || time.Now().Before(end)); round++ {
		for _, w := range works {
			if w.failed != nil || w.once {
				continue
			}
			if p.pause > 0 {
				time.Sleep(p.pause)
			}
			var l load
			if p.watch != nil {
				l = p.watch()
			}
			seconds, err := w.measure(ctx, w.inner)
			if err := w.optional(ctx, err); err != nil {
				return err
			}
			if w.failed != nil {
				continue
			}
			if p.watch != nil {
				w.noise.add(l)
			}
			w.seconds = append(w.seconds, seconds/float64(w.inner))
		}
	}
	return nil
}

// optional keeps an error of optional work, unless the context has ended.
func (w *timed) optional(ctx context.Context, err error) error {
	if err != nil && w.Optional && ctx.Err() == nil {
		w.failed = err
		return nil
	}
	return err
}

// measure does the work n times and returns the seconds that took.
func (w *timed) measure(ctx context.Context, n int) (float64, error) {
	if w.Measure != nil {
		return w.Measure(ctx, n)
	}
	start := time.Now()
	err := w.Do(ctx, n)
	return time.Since(start).Seconds(), err
}

// calibrate warms the work up and finds how often it must be repeated for one
// sample. Work that is too slow to be repeated has its sample then.
func (w *timed) calibrate(ctx context.Context, p pace) error {
	first, err := w.measure(ctx, 1)
	if err != nil {
		return err
	}
	if w.inner = 1; p.once > 0 && first > p.once.Seconds() {
		w.once, w.seconds = true, []float64{first}
		return nil
	}
	for {
		seconds, err := w.measure(ctx, w.inner)
		if err != nil {
			return err
		}
		if seconds >= p.sample.Seconds() {
			return nil
		}
		grow := min(p.sample.Seconds()/max(seconds, 1e-9)*1.2, 100)
		w.inner = max(w.inner+1, int(float64(w.inner)*grow))
	}
}

// record makes the samples into a record of benchmark b on target t.
func (w *timed) record(b *Benchmark, t *Target) Record {
	sorted := slices.Clone(w.seconds)
	r := Record{
		Kind: KindBench, Name: b.Name, Backend: t.Name, ISA: t.ISA, Threads: t.Threads, Unit: b.Unit,
		MinS: slices.Min(sorted), MedianS: median(sorted), Repeats: len(w.seconds), SamplesS: w.seconds,
	}
	r.Value = w.Units / r.MinS
	if b.Goal != nil {
		r.Goal = b.Goal(t)
	}
	if w.Limit > 0 {
		r.LimitFraction = r.Value / w.Limit
	}
	if r.Bytes = w.Bytes; b.Sweep != nil {
		r.Sweep, r.Axis, r.Size = b.Sweep.Name, b.Sweep.Axis, b.Size
	}
	return r
}
