//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"kadanoff/backend"
	"kadanoff/kernels/roots"
)

// Roots solves the job's problems on the devices; what float64 does not
// decide, the polynomials of a table and residuals, all in double-double, come
// from the CPU.
func (b *Backend) Roots(ctx context.Context, job backend.RootsJob, dst backend.RootsResult) error {
	if err := job.Check(dst); err != nil {
		return err
	}
	// A table look-up takes less time than bringing its K to the device.
	if b.auto && (job.K != nil || job.Count*job.Values() < manyWeights*b.Backend.Info().Threads) {
		return b.Backend.Roots(ctx, job, dst)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t := b.tables.Of(job.Visible, job.Hidden)
	solve := b.rootsOfWeights
	if job.K != nil {
		solve = b.rootsOfK
	}
	if err := solve(ctx, t, job, dst.W); err != nil || dst.Residual == nil {
		return err
	}
	p := roots.Distributions{Count: job.Count, Weight: job.Weight, Low: job.Low}
	const size = 16
	return b.onThreads(ctx, blocks(int64(len(dst.W)), size), func(i int) {
		lo, hi := i*size, min(len(dst.W), (i+1)*size)
		if job.K != nil {
			t.Residuals(dst.Residual[lo:hi], dst.W[lo:hi], job.K[lo:hi])
		} else {
			t.Size.Residuals(dst.Residual[lo:hi], dst.W[lo:hi], p, lo)
		}
	})
}

// manyWeights is how many weights of distributions for each thread of the CPU
// are worth a device.
const manyWeights = 1 << 16

// onThreads calls do for items 0 … n−1 on as many goroutines as the CPU backend
// has threads, until ctx ends.
func (b *Backend) onThreads(ctx context.Context, n int, do func(i int)) error {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(n, b.Backend.Info().Threads) {
		wait.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	wait.Wait()
	return ctx.Err()
}

// rootsPiece is how many couplings are a piece.
const rootsPiece = 1 << 20

// rootsOfK evaluates the table's polynomials; those that were not known yet, and
// all K outside the table, are left to the CPU.
func (b *Backend) rootsOfK(ctx context.Context, t *roots.Table, job backend.RootsJob, w []float64) error {
	missing, outside := make([]bool, t.Intervals()), []int(nil)
	for i, k := range job.K {
		if at, ok := t.Interval(k); ok {
			missing[at] = true
		} else {
			outside = append(outside, i)
		}
	}
	var build []int
	for i, m := range missing {
		if m {
			build = append(build, i)
		}
	}
	if err := b.onThreads(ctx, len(build), func(i int) { t.Build(build[i]) }); err != nil {
		return err
	}
	p := t.Polynomials()
	err := b.shares(len(w), 1, func(d *device, lo, hi int) error {
		var rows, k, out memory
		const doing = "looking up roots"
		err := d.do(doing, func() error { return fill(&rows, p.Rows) })
		if err == nil {
			err = eachPiece(ctx, lo, hi, rootsPiece, func(lo, hi int) error {
				return d.do(doing, func() error {
					if err := fill(&k, job.K[lo:hi]); err != nil {
						return err
					}
					if err := hold[float64](&out, int64(hi-lo)); err != nil {
						return err
					}
					if err := d.launch("roots_table", blocks(int64(hi-lo), 128), 1, 1, 128, k.u(0), out.u(0), rows.u(0), uint64(hi-lo),
						p.First, uint64(t.Intervals()), uint64(p.Shift)); err != nil {
						return err
					}
					return fetch(w[lo:hi], &out)
				})
			})
		}
		return cmp.Or(err, d.do("freeing roots", func() error { return cmp.Or(rows.free(), k.free(), out.free()) }))
	})
	for _, i := range outside {
		w[i] = t.At(job.K[i])
	}
	return err
}

// rootsOfWeights solves for distributions given as weights, and has the CPU
// look at those that float64 leaves open.
func (b *Backend) rootsOfWeights(ctx context.Context, t *roots.Table, job backend.RootsJob, w []float64) error {
	c := t.Size.Constants()
	values := job.Values()
	var mu sync.Mutex
	var open []int
	err := b.shares(job.Count, 1, func(d *device, lo, hi int) error {
		s := rootSolver{d: d, job: &job, c: &c}
		const doing = "solving for roots"
		err := d.do(doing, s.load)
		if err == nil {
			size := min(max(pieceBytes/(8*values*5), 128), rootsPiece)
			err = eachPiece(ctx, lo, hi, size, func(lo, hi int) error {
				slope := make([]float64, hi-lo)
				if err := d.do(doing, func() error { return s.run(lo, hi, w[lo:hi], slope) }); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				for i, x := range slope {
					if !(x >= roots.PolishFloor) || w[lo+i] != w[lo+i] {
						open = append(open, lo+i)
					}
				}
				return nil
			})
		}
		return cmp.Or(err, d.do("freeing roots", s.free))
	})
	if err != nil || len(open) == 0 {
		return err
	}
	slices.Sort(open)
	rest := backend.RootsJob{Visible: job.Visible, Hidden: job.Hidden, Count: len(open), Weight: pick(job.Weight, job.Count, open), Low: pick(job.Low, job.Count, open)}
	found := backend.RootsResult{W: make([]float64, len(open))}
	if err := b.Backend.Roots(ctx, rest, found); err != nil {
		return err
	}
	for k, i := range open {
		w[i] = found.W[k]
	}
	return nil
}

// pick takes columns out of rows of the given length.
func pick(x []float64, length int, columns []int) []float64 {
	var out []float64
	for at := 0; at < len(x); at += length {
		for _, i := range columns {
			out = append(out, x[at+i])
		}
	}
	return out
}

// rootSolver is distributions on one device.
type rootSolver struct {
	d                                              *device
	job                                            *backend.RootsJob
	c                                              *roots.Constants
	values, guess, weight, low, scratch, w, slopes memory
}

func (s *rootSolver) load() error {
	if err := fill(&s.values, s.c.Values); err != nil {
		return err
	}
	return fill(&s.guess, s.c.Guess)
}

// run solves problems lo to hi.
func (s *rootSolver) run(lo, hi int, w, slope []float64) error {
	n, values := hi-lo, s.job.Values()
	columns := func(x []float64) []float64 {
		out := make([]float64, 0, n*values)
		for j := range values {
			out = append(out, x[j*s.job.Count+lo:j*s.job.Count+hi]...)
		}
		return out
	}
	if err := fill(&s.weight, columns(s.job.Weight)); err != nil {
		return err
	}
	low := uint64(0)
	if s.job.Low != nil {
		if err := fill(&s.low, columns(s.job.Low)); err != nil {
			return err
		}
		low = s.low.u(0)
	}
	for _, err := range []error{
		hold[float64](&s.scratch, 3*int64(n)*int64(values)), hold[float64](&s.w, int64(n)), hold[float64](&s.slopes, int64(n)),
	} {
		if err != nil {
			return err
		}
	}
	f := math.Float64bits
	if err := s.d.launch("roots_newton", blocks(int64(n), 128), 1, 1, 128, s.weight.u(0), low, s.values.u(0), s.guess.u(0), s.scratch.u(0), s.w.u(0), s.slopes.u(0),
		uint64(n), uint64(s.job.Visible), uint64(s.job.Hidden), f(s.c.Mean), f(s.c.States), f(s.c.InvStates), f(roots.PolishFloor), f(s.c.PolishLimit)); err != nil {
		return err
	}
	return cmp.Or(fetch(w, &s.w), fetch(slope, &s.slopes))
}

func (s *rootSolver) free() error {
	var errs []error
	for _, m := range []*memory{&s.values, &s.guess, &s.weight, &s.low, &s.scratch, &s.w, &s.slopes} {
		errs = append(errs, m.free())
	}
	return cmp.Or(errs...)
}
