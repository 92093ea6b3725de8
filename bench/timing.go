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
	inner   int       // times that make one sample
	seconds []float64 // of one time, for each sample
}

// interleave times several works in turn, one sample of each in every round,
// so that what else happens on the machine falls on all of them alike. It
// stops when the budget for each is used up, after leastSamples rounds at
// least, or when ctx ends.
func interleave(ctx context.Context, budget time.Duration, works []*timed) error {
	for _, w := range works {
		if err := w.calibrate(ctx); err != nil {
			return err
		}
	}
	end := time.Now().Add(budget * time.Duration(len(works)))
	for round := 0; round < mostSamples && (round < leastSamples || time.Now().Before(end)); round++ {
		for _, w := range works {
			start := time.Now()
			if err := w.Do(ctx, w.inner); err != nil {
				return err
			}
			w.seconds = append(w.seconds, time.Since(start).Seconds()/float64(w.inner))
		}
	}
	return nil
}

// calibrate warms the work up and finds how often it must be repeated for one
// sample.
func (w *timed) calibrate(ctx context.Context) error {
	if err := w.Do(ctx, 1); err != nil {
		return err
	}
	for w.inner = 1; ; {
		start := time.Now()
		if err := w.Do(ctx, w.inner); err != nil {
			return err
		}
		d := max(time.Since(start), time.Nanosecond)
		if d >= leastSample {
			return nil
		}
		grow := min(float64(leastSample)/float64(d)*1.2, 100)
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
	return r
}
