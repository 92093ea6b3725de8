//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"gorgonia.org/cu"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
)

// Enumerate finds the minimum, the histogram and the sums of Boltzmann factors
// on the devices. The CPU backend searches for the lowest states, does branch
// and bound and moments, and sums leaves that are far above their bounds.
func (b *Backend) Enumerate(ctx context.Context, job *backend.EnumerateJob) (*backend.EnumeratePart, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	if job.BranchAndBound || b.auto && job.Spins() < manySpins {
		return b.Backend.Enumerate(ctx, job)
	}
	e := &enumeration{b: b, job: job, layout: job.Layout()}
	e.first, e.last = job.Range()
	e.mirrored = e.layout.Leaf > 0 && !slices.ContainsFunc(job.Field, func(h int32) bool { return h != 0 })
	part := &backend.EnumeratePart{First: e.first, Last: e.last, Ground: math.MaxInt64}
	wantBins := job.Histogram || job.Joint || job.FromHistogram()
	e.plan(wantBins)
	if !job.SumsOnly && job.Lowest > 0 {
		p, err := e.onCPU(ctx, lowestWork, func(j *backend.EnumerateJob) { j.Betas, j.Moments = nil, false })
		if err != nil {
			return nil, err
		}
		part.Ground, part.GroundStates, part.Lowest = p.Ground, p.GroundStates, p.Lowest
	}
	if e.first == e.last {
		part.Sums = e.noSums()
		return part, ctx.Err()
	}
	energies := energyOf(job)
	if !job.SumsOnly && job.Lowest == 0 {
		if err := e.minimum(ctx, energies, part); err != nil {
			return nil, err
		}
	}
	if wantBins {
		if err := e.histogram(ctx, part); err != nil {
			return nil, err
		}
	}
	if job.FromHistogram() {
		return part, nil
	}
	if job.Moments {
		p, err := e.onCPU(ctx, momentsWork*float64(len(job.Betas)), func(j *backend.EnumerateJob) { j.SumsOnly, j.Lowest = true, 0 })
		if err != nil {
			return nil, err
		}
		part.Sums = p.Sums
		return part, nil
	}
	for _, beta := range job.Betas {
		leaves, err := e.partition(ctx, energies, beta)
		if err != nil {
			return nil, err
		}
		part.Sums = append(part.Sums, [][]backend.LeafSum{leaves})
	}
	return part, ctx.Err()
}

// manySpins is how many spins a device has to have for all of it to be busy.
const manySpins = 28

// enumeration is a job under way.
type enumeration struct {
	b           *Backend
	job         *backend.EnumerateJob
	layout      backend.Layout
	first, last int
	// mirrored says that the job has no fields: a state has the energy of its
	// reversal, and the lower half of the leaves stands for both.
	mirrored bool

	mu          sync.Mutex
	done, total float64 // of the work, a pass over all states as the unit
}

// Work of the passes that the CPU does.
const (
	lowestWork  = 20.
	momentsWork = 200.
)

func (e *enumeration) plan(bins bool) {
	j := e.job
	switch {
	case j.SumsOnly:
	case j.Lowest > 0:
		e.total += lowestWork
	default:
		e.total++
	}
	if bins {
		e.total++
	}
	switch n := float64(len(j.Betas)); {
	case j.FromHistogram():
	case j.Moments:
		e.total += momentsWork * n
	default:
		e.total += n
	}
}

// add counts work and reports progress.
func (e *enumeration) add(work float64) {
	if e.job.Progress == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done += work
	e.job.Progress(min(1, e.done/e.total))
}

// onCPU lets the CPU backend do a part of the job.
func (e *enumeration) onCPU(ctx context.Context, work float64, change func(*backend.EnumerateJob)) (*backend.EnumeratePart, error) {
	j := *e.job
	j.Histogram, j.Joint = false, false
	change(&j)
	before := 0.0
	j.Progress = func(f float64) {
		e.add((f - before) * work)
		before = f
	}
	p, err := e.b.Backend.Enumerate(ctx, &j)
	if err == nil {
		j.Progress(1)
	}
	return p, err
}

// noSums are the sums of no leaves.
func (e *enumeration) noSums() [][][]backend.LeafSum {
	if e.job.FromHistogram() {
		return nil
	}
	sums := make([][][]backend.LeafSum, len(e.job.Betas))
	for i := range sums {
		sums[i] = make([][]backend.LeafSum, len(e.job.Passes()))
	}
	return sums
}

// quadratic is a function Σ linear·σ + Σ square·σσ of the values σ of spins: 1
// where a spin is up, else low.
type quadratic struct {
	layout backend.Layout
	linear []int32
	square func(i, k int) int32
	low    int32
}

// energyOf is the energy of a job, σ = ±1.
func energyOf(job *backend.EnumerateJob) *quadratic {
	q := &quadratic{layout: job.Layout(), square: func(i, k int) int32 { return -job.J(i, k) }, low: -1}
	for _, h := range job.Field {
		q.linear = append(q.linear, -h)
	}
	return q
}

// binOf numbers the bins of a job's histogram, σ = 0 or 1, less the constant
// that it returns too.
func binOf(job *backend.EnumerateJob) (q *quadratic, constant int32) {
	n, grain := job.Spins(), job.Grain()
	times, each := int64(1), int64(0)
	if job.Joint {
		times, each = int64(n+1), 1
	}
	q = &quadratic{layout: job.Layout(), square: func(i, k int) int32 { return int32(-2 * int64(job.J(i, k)) / grain * times) }}
	start := job.Sum() // of the state with all spins down
	for i, h := range job.Field {
		x := -int64(h)
		for k := range n {
			x += int64(job.J(i, k))
			if k < i {
				start -= int64(job.J(i, k))
			}
		}
		start += int64(h)
		q.linear = append(q.linear, int32(x/grain*times+each))
	}
	return q, int32(start / (2 * grain) * times)
}

// own returns the values of the states of n spins from lo on among themselves.
func (q *quadratic) own(lo, n int) []int32 {
	e, f := make([]int32, 1<<n), make([]int32, 1<<n)
	for i := range n { // spin i joins the spins below it
		f[0] = q.linear[lo+i]
		for k := range i {
			f[0] += q.low * q.square(lo+i, lo+k)
		}
		for k := range i {
			step := (1 - q.low) * q.square(lo+i, lo+k)
			for s := range 1 << k {
				f[s+1<<k] = f[s] + step
			}
		}
		for s := range 1 << i {
			e[s+1<<i] = e[s] + f[s]
			e[s] += q.low * f[s]
		}
	}
	return e
}

// factors returns, [spin of C][state], the factor of the spin's value that
// the states of m spins from at on have.
func (q *quadratic) factors(at, m int) []int32 {
	first := q.layout.A + q.layout.B
	all := make([]int32, q.layout.C<<m)
	for k := range q.layout.C {
		f := all[k<<m:][:1<<m]
		for i := range m {
			f[0] += q.low * q.square(at+i, first+k)
		}
		for i := range m {
			step := (1 - q.low) * q.square(at+i, first+k)
			for s := range 1 << i {
				f[s+1<<i] = f[s] + step
			}
		}
	}
	return all
}

// enumTables are the parts of a quadratic that no panel changes.
type enumTables struct {
	layout         backend.Layout
	low            int32
	na, nb         int
	p, eb, fa, fb  []int32
	linear, square []int32 // of C
	cols           int     // states of a panel
	panels         int     // of a leaf
}

func (q *quadratic) tables() *enumTables {
	l := q.layout
	t := &enumTables{layout: l, low: q.low, na: 1 << l.A, nb: 1 << l.B, eb: q.own(l.A, l.B), fa: q.factors(0, l.A), fb: q.factors(l.A, l.B)}
	t.p = q.own(0, l.A+l.B)
	for s := range t.p {
		t.p[s] -= t.eb[s>>l.A]
	}
	at := l.A + l.B
	t.linear, t.square = q.linear[at:], make([]int32, l.C*l.C)
	for i := range l.C {
		for k := range l.C {
			t.square[i*l.C+k] = q.square(at+i, at+k)
		}
	}
	t.cols = min(kernels.PanelColumns, 1<<l.C)
	t.panels = 1 << (l.C - l.Leaf) / t.cols
	return t
}

// enumDevice is a job on one device.
type enumDevice struct {
	d     *device
	t     *enumTables
	leaf0 int // its first
	p, eb, fa, fb, linear, square,
	q, r, pf, out, list, shift memory
}

func (x *enumDevice) load() error {
	for _, y := range []struct {
		m *memory
		s []int32
	}{{&x.p, x.t.p}, {&x.eb, x.t.eb}, {&x.fa, x.t.fa}, {&x.fb, x.t.fb}, {&x.linear, x.t.linear}, {&x.square, x.t.square}} {
		if err := fill(y.m, y.s); err != nil {
			return err
		}
	}
	return nil
}

func (x *enumDevice) free() error {
	var errs []error
	for _, m := range []*memory{&x.p, &x.eb, &x.fa, &x.fb, &x.linear, &x.square, &x.q, &x.r, &x.pf, &x.out, &x.list, &x.shift} {
		errs = append(errs, m.free())
	}
	return cmp.Or(errs...)
}

// batch is how many panels of values of so many bytes fit a piece.
func (x *enumDevice) batch(bytes int) int {
	return max(1, pieceBytes/(bytes*kernels.PanelColumns*(x.t.na+x.t.nb)))
}

// values makes the values of n panels from panel first on.
func (x *enumDevice) values(first, n int) error {
	t := x.t
	if err := hold[int32](&x.q, int64(n)*int64(t.nb)*kernels.PanelColumns); err != nil {
		return err
	}
	if err := hold[int32](&x.r, int64(n)*int64(t.na)*kernels.PanelColumns); err != nil {
		return err
	}
	return x.d.launch("enum_values", n, 1, 1, 128, x.eb.u(0), x.fa.u(0), x.fb.u(0), x.linear.u(0), x.square.u(0), x.q.u(0), x.r.u(0),
		uint64(t.na), uint64(t.nb), uint64(t.layout.C), uint64(t.low), uint64(first)*kernels.PanelColumns)
}

// each calls do on every device for its share of the leaves from first to last,
// some panels at a time; do must leave nothing queued. start and end come before
// and after; leaf1 is where the device's leaves end.
func (e *enumeration) each(ctx context.Context, t *enumTables, last, bytes int,
	start func(x *enumDevice, leaf1 int) error,
	do func(x *enumDevice, panel, n int) error, end func(x *enumDevice) error) error {
	return e.b.shares(last-e.first, 1, func(d *device, lo, hi int) error {
		lo, hi = e.first+lo, e.first+hi
		x := &enumDevice{d: d, t: t, leaf0: lo}
		const doing = "enumerating"
		err := d.do(doing, func() error {
			if err := x.load(); err != nil {
				return err
			}
			return start(x, hi)
		})
		at, total := lo*t.panels, (hi-lo)*t.panels
		if err == nil {
			err = paced(ctx, total, x.batch(bytes), func(n int) error {
				err := d.do(doing, func() error { return do(x, at, n) })
				at += n
				e.add(float64(n) / float64((last-e.first)*t.panels))
				return err
			})
		}
		if err == nil {
			err = d.do(doing, func() error { return end(x) })
		}
		return cmp.Or(err, d.do("freeing an enumeration", x.free))
	})
}

// half is where the leaves end that others do not stand for, and for how many
// states each of theirs stands.
func (e *enumeration) half() (last int, times uint64) {
	if !e.mirrored {
		return e.last, 1
	}
	return max(e.first, min(e.last, e.layout.Leaves()/2)), 2
}

func nothing(*enumDevice) error { return nil }

// minimum finds the ground states of the shard.
func (e *enumeration) minimum(ctx context.Context, q *quadratic, part *backend.EnumeratePart) error {
	last, times := e.half()
	if last == e.first {
		return nil
	}
	t := q.tables()
	var mu sync.Mutex
	best := func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return part.Ground
	}
	return e.each(ctx, t, last, 4, func(*enumDevice, int) error { return nil }, func(x *enumDevice, panel, n int) error {
		if err := x.values(panel, n); err != nil {
			return err
		}
		least := make([]int32, n)
		for i := range least {
			least[i] = math.MaxInt32
		}
		if err := fill(&x.out, least); err != nil {
			return err
		}
		if err := x.d.launch("enum_minimum", n, 1, 1, 128, x.p.u(0), x.q.u(0), x.r.u(0), x.out.u(0), uint64(t.na), uint64(t.nb), uint64(t.cols)); err != nil {
			return err
		}
		if err := fetch(least, &x.out); err != nil {
			return err
		}
		ground := slices.Min(least)
		if int64(ground) > best() {
			return nil
		}
		var list []int32
		for i, m := range least {
			if m == ground {
				list = append(list, int32(i))
			}
		}
		count := []uint64{0}
		if err := fill(&x.list, list); err != nil {
			return err
		}
		if err := fill(&x.out, count); err != nil {
			return err
		}
		if err := x.d.launch("enum_count", len(list), 1, 1, 128, x.list.u(0), x.p.u(0), x.q.u(0), x.r.u(0), x.out.u(0),
			uint64(t.na), uint64(t.nb), uint64(t.cols), uint64(uint32(ground))); err != nil {
			return err
		}
		if err := fetch(count, &x.out); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if int64(ground) < part.Ground {
			part.Ground, part.GroundStates = int64(ground), 0
		}
		if int64(ground) == part.Ground {
			part.GroundStates += times * count[0]
		}
		return nil
	}, nothing)
}

// histogram counts the states of the shard at each energy.
func (e *enumeration) histogram(ctx context.Context, part *backend.EnumeratePart) error {
	job := e.job
	last, times := e.half()
	q, constant := binOf(job)
	t := q.tables()
	for s := range t.p {
		t.p[s] += constant
	}
	bins := int(job.HistogramBins())
	copies := 0
	if bins <= kernels.EnumCounters {
		for copies = 32; copies*bins > kernels.EnumCounters; copies /= 2 {
		}
	}
	total := make([]uint64, bins)
	var mu sync.Mutex
	if last > e.first {
		if err := e.each(ctx, t, last, 4, func(x *enumDevice, _ int) error { return clean(&x.out, int64(bins)) }, func(x *enumDevice, panel, n int) error {
			if err := x.values(panel, n); err != nil {
				return err
			}
			if err := x.d.launch("enum_histogram", n, 1, 1, 128, x.p.u(0), x.q.u(0), x.r.u(0), x.out.u(0),
				uint64(t.na), uint64(t.nb), uint64(t.cols), uint64(bins), uint64(copies)); err != nil {
				return err
			}
			return cu.Synchronize()
		}, func(x *enumDevice) error {
			counts := make([]uint64, bins)
			if err := fetch(counts, &x.out); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for i, n := range counts {
				total[i] += n
			}
			return nil
		}); err != nil {
			return err
		}
	}
	n, step := job.Spins(), 2*job.Grain()
	width := 1
	if job.Joint {
		width = n + 1
	}
	for i, count := range total {
		bin := backend.Bin{Energy: int64(i/width)*step - job.Sum(), Count: count}
		up := i % width
		if job.Joint {
			bin.Magnetization = 2*up - n
		}
		if times == 2 { // the reversed states
			bin.Count += total[i-up+width-1-up]
		}
		if bin.Count > 0 {
			part.Bins = append(part.Bins, bin)
		}
	}
	return nil
}

// partition sums the Boltzmann factors of every leaf.
func (e *enumeration) partition(ctx context.Context, q *quadratic, beta float64) ([]backend.LeafSum, error) {
	t := q.tables()
	scale := -float64(beta * e.job.Step())
	leaves := make([]backend.LeafSum, e.last-e.first)
	shiftP := slices.Min(t.p)
	f := math.Float64bits(scale)
	err := e.each(ctx, t, e.last, 8, func(x *enumDevice, leaf1 int) error {
		shifts := make([]int32, 0, 2*(leaf1-x.leaf0))
		for leaf := x.leaf0; leaf < leaf1; leaf++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			shiftQ, shiftR := t.bounds(leaf)
			shifts = append(shifts, shiftQ, shiftR)
			leaves[leaf-e.first].Shift = int64(shiftP) + int64(shiftQ) + int64(shiftR)
		}
		if err := fill(&x.shift, shifts); err != nil {
			return err
		}
		if err := hold[float64](&x.pf, int64(len(t.p))); err != nil {
			return err
		}
		return x.d.launch("enum_weights", blocks(int64(len(t.p)), 128), 1, 1, 128, x.p.u(0), x.pf.u(0), uint64(len(t.p)), uint64(uint32(shiftP)), f)
	}, func(x *enumDevice, panel, n int) error {
		if err := hold[float64](&x.q, int64(n)*int64(t.nb)*kernels.PanelColumns); err != nil {
			return err
		}
		if err := hold[float64](&x.r, int64(n)*int64(t.na)*kernels.PanelColumns); err != nil {
			return err
		}
		if err := hold[float64](&x.out, int64(n)); err != nil {
			return err
		}
		l := t.layout
		if err := x.d.launch("enum_factors", n, 1, 1, 128, x.eb.u(0), x.fa.u(0), x.fb.u(0), x.linear.u(0), x.square.u(0), x.shift.u(0), x.q.u(0), x.r.u(0),
			uint64(t.na), uint64(t.nb), uint64(l.C), uint64(l.C-l.Leaf), uint64(panel)*kernels.PanelColumns, uint64(x.leaf0), f); err != nil {
			return err
		}
		if err := x.d.launch("enum_sums", n, 1, 1, 128, x.pf.u(0), x.q.u(0), x.r.u(0), x.out.u(0), uint64(t.na), uint64(t.nb)); err != nil {
			return err
		}
		sums := make([]float64, n)
		if err := fetch(sums, &x.out); err != nil {
			return err
		}
		for i, s := range sums {
			leaves[(panel+i)/t.panels-e.first].Sum += s
		}
		return nil
	}, nothing)
	if err != nil {
		return nil, err
	}
	for i := range leaves {
		if leaves[i].Sum >= backend.Tiny {
			continue
		}
		if leaves[i], err = e.byStates(ctx, e.first+i, beta); err != nil {
			return nil, err
		}
	}
	return leaves, nil
}

// byStates has the CPU sum one leaf, state by state.
func (e *enumeration) byStates(ctx context.Context, leaf int, beta float64) (backend.LeafSum, error) {
	j := *e.job
	j.Histogram, j.Joint, j.Progress = false, false, nil
	j.SumsOnly, j.Lowest = true, 0
	j.Betas = []float64{beta}
	j.Shard, j.Shards = leaf, e.layout.Leaves()
	p, err := e.b.Backend.Enumerate(ctx, &j)
	if err != nil {
		return backend.LeafSum{}, err
	}
	return p.Sums[0][0][0], nil
}

// bounds returns the minimum of Q over a leaf, and the sum of those of the two
// parts of R.
func (t *enumTables) bounds(leaf int) (shiftQ, shiftR int32) {
	l := t.layout
	free := l.C - l.Leaf
	value := func(k int) int32 { // of a spin that names the leaf
		if leaf>>(k-free)&1 == 1 {
			return 1
		}
		return -1
	}
	minimum := func(own, f []int32, n int) int32 {
		sum := make([]int32, n)
		copy(sum, own)
		for k := range l.C {
			g := f[k*n:][:n]
			switch {
			case k < free:
				for s, x := range g {
					sum[s] -= max(x, -x)
				}
			case value(k) > 0:
				for s, x := range g {
					sum[s] += x
				}
			default:
				for s, x := range g {
					sum[s] -= x
				}
			}
		}
		return slices.Min(sum)
	}
	// The energies of the free spins of C in the leaf's field.
	e, f := make([]int32, 1<<free), make([]int32, 1<<free)
	for i := range l.C {
		g := t.linear[i]
		if i >= free {
			for k := free; k < i; k++ {
				g += t.square[i*l.C+k] * value(k)
			}
			e[0] += g * value(i)
			continue
		}
	}
	for s := range e {
		e[s] = e[0]
	}
	for i := range free {
		f[0] = t.linear[i]
		for k := free; k < l.C; k++ {
			f[0] += t.square[i*l.C+k] * value(k)
		}
		for k := range i {
			f[0] -= t.square[i*l.C+k]
		}
		for k := range i {
			for s := range 1 << k {
				f[s+1<<k] = f[s] + 2*t.square[i*l.C+k]
			}
		}
		for s := range 1 << i {
			e[s+1<<i] = e[s] + f[s]
			e[s] -= f[s]
		}
	}
	return minimum(t.eb, t.fb, t.nb), minimum(nil, t.fa, t.na) + slices.Min(e)
}
