package cpu

import (
	"context"

	"kadanoff/backend"
	"kadanoff/kernels/roots"
)

// rootsItem is how many couplings a member takes at a time.
const rootsItem = 1 << 13

// Roots solves the job's problems on all threads.
func (b *Backend) Roots(ctx context.Context, job backend.RootsJob, dst backend.RootsResult) error {
	if err := job.Check(dst); err != nil {
		return err
	}
	t := b.tables.Of(job.Visible, job.Hidden)
	kern := roots.For(b.level)
	solve := b.rootsOfK
	if job.K == nil {
		solve = b.rootsOfWeights
	}
	if err := solve(ctx, t, kern, job, dst.W); err != nil || dst.Residual == nil {
		return err
	}
	p := roots.Distributions{Count: job.Count, Weight: job.Weight, Low: job.Low}
	return b.pieces(ctx, job.Problems(), slowItem(job), func(lo, hi int) {
		if job.K != nil {
			t.Residuals(dst.Residual[lo:hi], dst.W[lo:hi], job.K[lo:hi])
		} else {
			t.Size.Residuals(dst.Residual[lo:hi], dst.W[lo:hi], p, lo)
		}
	})
}

// pieces calls do for [lo, hi) over n problems, size at a time.
func (b *Backend) pieces(ctx context.Context, n, size int, do func(lo, hi int)) error {
	return b.each(ctx, (n+size-1)/size, func(_, item int) {
		do(item*size, min(n, (item+1)*size))
	})
}

// slowItem is how many problems in double-double take some 20 ms.
func slowItem(job backend.RootsJob) int { return max(16, (1<<16)/(job.Values()*job.Values())) }

// rootsOfK tries all couplings, computes the intervals that the table lacked,
// and does again the items that had wanted them.
func (b *Backend) rootsOfK(ctx context.Context, t *roots.Table, kern *roots.Kernel, job backend.RootsJob, w []float64) error {
	n := len(w)
	items := (n + rootsItem - 1) / rootsItem
	again := make([]bool, items)
	missing := make([][]bool, len(b.members))
	for m := range missing {
		missing[m] = make([]bool, t.Intervals())
	}
	try := func(m, item int) bool {
		lo, hi := item*rootsItem, min(n, (item+1)*rootsItem)
		return t.Try(kern, w[lo:hi], job.K[lo:hi], missing[m])
	}
	if err := b.each(ctx, items, func(m, item int) { again[item] = !try(m, item) }); err != nil {
		return err
	}
	var build, redo []int
	for i := range t.Intervals() {
		for m := range missing {
			if missing[m][i] {
				build = append(build, i)
				break
			}
		}
	}
	for item, yes := range again {
		if yes {
			redo = append(redo, item)
		}
	}
	if err := b.each(ctx, len(build), func(_, i int) { t.Build(build[i]) }); err != nil {
		return err
	}
	for m := range missing {
		clear(missing[m])
	}
	return b.each(ctx, len(redo), func(m, i int) { try(m, redo[i]) })
}

// rootsOfWeights solves for distributions given as weights.
func (b *Backend) rootsOfWeights(ctx context.Context, t *roots.Table, kern *roots.Kernel, job backend.RootsJob, w []float64) error {
	p := roots.Distributions{Count: job.Count, Weight: job.Weight, Low: job.Low}
	return b.pieces(ctx, job.Count, slowItem(job), func(lo, hi int) {
		t.Size.Solve(kern, w[lo:hi], p, lo)
	})
}
