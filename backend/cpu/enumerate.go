package cpu

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"kadanoff/backend"
	"kadanoff/kernels/enum"
	"kadanoff/spin/fmath"
)

// enumeration is a job under way on all threads.
type enumeration struct {
	job     *backend.EnumerateJob
	layout  backend.Layout
	kernel  *enum.Kernel
	threads int

	first, last int // leaves of the shard
	// mirrored says that the job has no fields: the states of the lower half of
	// the leaves stand for their reversals in the upper half, too, where what is
	// wanted does not depend on rounding.
	mirrored bool
	work     *progress
}

// Enumerate visits the states of the job's shard.
func (b *Backend) Enumerate(ctx context.Context, job *backend.EnumerateJob) (*backend.EnumeratePart, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	e := &enumeration{job: job, layout: job.Layout(), kernel: enum.For(b.level), threads: b.team.size, work: &progress{}}
	e.first, e.last = job.Range()
	e.mirrored = e.layout.Leaf > 0 && !slices.ContainsFunc(job.Field, func(h int32) bool { return h != 0 })
	part := &backend.EnumeratePart{First: e.first, Last: e.last, Ground: math.MaxInt64}
	if job.BranchAndBound {
		return part, e.branchAndBound(ctx, part)
	}
	wantBins := job.Histogram || job.Joint || job.FromHistogram()
	passes := job.Passes()
	e.work.report = job.Progress
	e.work.total = 1
	if wantBins {
		e.work.total += 2
	}
	if !job.FromHistogram() {
		each := 2.0
		if job.Moments {
			each = 2 * float64(5+len(passes))
		}
		e.work.total += each * float64(len(job.Betas))
	}
	e.work.total *= float64(e.last - e.first)

	natural := newTables(job, passes[0])
	if !job.SumsOnly {
		if err := e.minimum(ctx, natural, part); err != nil {
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
	part.Sums = make([][][]backend.LeafSum, len(job.Betas))
	for pass, order := range passes {
		t := natural
		if pass > 0 {
			t = newTables(job, order)
		}
		for i, beta := range job.Betas {
			leaves, err := e.partition(ctx, t, pass, beta)
			if err != nil {
				return nil, err
			}
			part.Sums[i] = append(part.Sums[i], leaves)
		}
	}
	return part, nil
}

// half returns the enumeration without the leaves that others stand for.
func (e *enumeration) half() *enumeration {
	if !e.mirrored {
		return e
	}
	h := *e
	h.last = max(h.first, min(h.last, e.layout.Leaves()/2))
	return &h
}

// progress counts leaves, weighted by what they cost, and reports the fraction.
type progress struct {
	mu          sync.Mutex
	done, total float64
	report      func(float64)
}

func (p *progress) add(cost float64) {
	if p.report == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += cost
	p.report(min(1, p.done/p.total))
}

// eachLeaf calls do for every leaf of the shard, on at most threads goroutines,
// each with a worker of its own.
func eachLeaf[W any](ctx context.Context, e *enumeration, threads int, cost float64, newWorker func() W, do func(ctx context.Context, w W, leaf int) error) error {
	var next atomic.Int64
	next.Store(int64(e.first))
	threads = max(1, min(threads, e.last-e.first))
	errs := make([]error, threads)
	var wait sync.WaitGroup
	for t := range threads {
		wait.Go(func() {
			w := newWorker()
			for {
				leaf := int(next.Add(1)) - 1
				if leaf >= e.last || errs[t] != nil {
					return
				}
				if errs[t] = ctx.Err(); errs[t] == nil {
					errs[t] = do(ctx, w, leaf)
					e.work.add(cost)
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// minimum finds the ground states and the lowest states of the shard.
func (e *enumeration) minimum(ctx context.Context, t *tables, part *backend.EnumeratePart) error {
	low := newLowest(e.job.Lowest)
	times := uint64(1)
	if e.mirrored {
		times, low.all = 2, 1<<e.job.Spins()-1
	}
	var mu sync.Mutex
	var best atomic.Int64
	best.Store(math.MaxInt64)
	err := eachLeaf(ctx, e.half(), e.threads, float64(times), func() *minWorker { return newMinWorker(e, t, low) }, func(ctx context.Context, w *minWorker, leaf int) error {
		least, count, err := w.leaf(ctx, leaf, best.Load())
		if err != nil || count == 0 {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if int64(least) < part.Ground {
			part.Ground, part.GroundStates = int64(least), 0
			best.Store(int64(least))
		}
		if int64(least) == part.Ground {
			part.GroundStates += times * count
		}
		return nil
	})
	if err == nil {
		part.Lowest = low.sorted()
	}
	return err
}

// minWorker holds one thread's panels of energies.
type minWorker struct {
	panel *panel
	tile  []int32
	least []int32 // of each tile of the leaf
	take  *lowestBatch
}

func newMinWorker(e *enumeration, t *tables, low *lowest) *minWorker {
	return &minWorker{
		panel: newPanel(e, t, enum.Wide),
		tile:  make([]int32, enum.Rows*enum.Wide),
		take:  low.batch(),
	}
}

// leaf returns the leaf's minimum and, unless that is above best, how many
// states have it (else 0).
func (w *minWorker) leaf(ctx context.Context, leaf int, best int64) (least int32, count uint64, err error) {
	p := w.panel
	w.least = w.least[:0]
	least = math.MaxInt32
	defer w.take.flush()
	for ok := p.start(leaf); ok; ok = p.next() {
		p.energies()
		for block := range p.t.blocks {
			if err := ctx.Err(); err != nil { // a tile can hold 2^17 of the lowest states
				return 0, 0, err
			}
			m := p.minPlus(w.tile, block)
			w.least = append(w.least, m)
			least = min(least, m)
			w.take.tile(p, block, w.tile, m)
		}
	}
	if int64(least) > best {
		return least, 0, nil
	}
	// again over the tiles that hold the minimum
	i := 0
	for ok := p.start(leaf); ok; ok = p.next() {
		built := false
		for block := range p.t.blocks {
			if w.least[i] == least {
				if !built {
					p.energies()
					built = true
				}
				count += uint64(p.countEqual(block, least))
			}
			i++
		}
	}
	return least, count, nil
}

// partition sums the Boltzmann factors of every leaf in one pass.
func (e *enumeration) partition(ctx context.Context, t *tables, pass int, beta float64) ([]backend.LeafSum, error) {
	leaves := make([]backend.LeafSum, e.last-e.first)
	scale := -float64(beta * e.job.Step())
	f := newFactors(e, t, scale, e.job.Moments && pass == 0)
	cost := 2.0
	if f.withEnergy {
		cost = 12
	}
	err := eachLeaf(ctx, e, e.threads, cost, func() *sumWorker { return newSumWorker(e, f) }, func(ctx context.Context, w *sumWorker, leaf int) error {
		s, err := w.leaf(ctx, leaf, pass)
		if err == nil && s.Sum < backend.Tiny {
			s, err = w.leafByStates(ctx, leaf, pass, e.job.Window(beta))
		}
		leaves[leaf-e.first] = s
		return err
	})
	return leaves, err
}

// factors holds the Boltzmann factors of P, packed [block][b][8]; withEnergy,
// each block is [3][b][8]: P e², P e and P, e the energy above its minimum.
type factors struct {
	t          *tables
	scale      float64
	shift      int32
	withEnergy bool
	p          []float64
}

func newFactors(e *enumeration, t *tables, scale float64, withEnergy bool) *factors {
	f := &factors{t: t, scale: scale, shift: slices.Min(t.p), withEnergy: withEnergy}
	part := t.nb * enum.Rows
	above := make([]int32, part)
	copies := 1
	if withEnergy {
		copies = 3
	}
	f.p = make([]float64, copies*len(t.p))
	for block := range t.blocks {
		for i, x := range t.p[block*part : (block+1)*part] {
			above[i] = x - f.shift
		}
		dst := f.p[block*copies*part : (block+1)*copies*part]
		last := dst[(copies-1)*part:]
		boltzmann(e.kernel, last, above, scale)
		if withEnergy {
			for i, x := range last {
				d := float64(above[i])
				dst[i], dst[part+i] = float64(d*d)*x, d*x
			}
		}
	}
	return f
}

// boltzmann fills dst, whose length is a multiple of 8.
func boltzmann(k *enum.Kernel, dst []float64, energy []int32, scale float64) {
	whole := len(dst) &^ 15
	if whole > 0 {
		k.Boltzmann(dst[:whole], energy[:whole], scale)
	}
	if whole < len(dst) {
		var e [16]int32
		var x [16]float64
		copy(e[:], energy[whole:])
		k.Boltzmann(x[:], e[:], scale)
		copy(dst[whole:], x[:])
	}
}

// sumWorker holds one thread's panels of Boltzmann factors.
type sumWorker struct {
	e     *enumeration
	f     *factors
	panel *panel
	q, r  []float64
	c     []float64 // a tile
	lane  []float64

	// moments only
	w      []float64 // weights of a panel, [rows][16]
	q1, q2 []float64 // [Q; Qe] and [Q; 2Qe; Qe²]
	c1, c2 []float64
}

func newSumWorker(e *enumeration, f *factors) *sumWorker {
	t := f.t
	w := &sumWorker{
		e: e, f: f, panel: newPanel(e, t, enum.Cols),
		q:    make([]float64, t.nb*enum.Cols),
		r:    make([]float64, t.rows*enum.Cols),
		c:    make([]float64, enum.Rows*enum.Cols),
		lane: make([]float64, 8),
	}
	if e.job.Moments {
		w.w = make([]float64, t.rows*enum.Cols)
	}
	if f.withEnergy {
		w.q1 = make([]float64, 2*len(w.q))
		w.q2 = make([]float64, 3*len(w.q))
		w.c1 = make([]float64, enum.Rows*enum.Cols)
		w.c2 = make([]float64, enum.Rows*enum.Cols)
	}
	return w
}

// leaf is backend.LeafSum in its own order.
func (w *sumWorker) leaf(ctx context.Context, leaf, pass int) (backend.LeafSum, error) {
	p, f, k := w.panel, w.f, w.e.kernel
	t := f.t
	var moments *backend.LeafMoments
	if w.e.job.Moments {
		moments = backend.NewLeafMoments(w.e.layout, pass)
	}
	ok := p.start(leaf)
	shiftQ, shiftR := p.bounds(leaf)
	sum := 0.0
	part := t.nb * enum.Rows
	copies := len(f.p) / len(t.p)
	for ; ok; ok = p.next() {
		if err := ctx.Err(); err != nil {
			return backend.LeafSum{}, err
		}
		p.energiesAbove(shiftQ, shiftR)
		k.Boltzmann(w.q, p.q, f.scale)
		k.Boltzmann(w.r, p.r, f.scale)
		p.silence(w.r)
		if f.withEnergy {
			w.weighQ()
		}
		clear(w.lane)
		var lane1, lane2 [8]float64
		for block := range t.blocks {
			fp := f.p[block*copies*part : (block+1)*copies*part]
			r := w.r[block*enum.Rows*enum.Cols : (block+1)*enum.Rows*enum.Cols]
			k.Product(w.c, fp[(copies-1)*part:], w.q)
			k.Trace(w.lane, w.c, r)
			if moments == nil {
				continue
			}
			weights := w.w[block*enum.Rows*enum.Cols : (block+1)*enum.Rows*enum.Cols]
			for i, x := range w.c {
				weights[i] = x * r[i]
			}
			if f.withEnergy {
				k.Product(w.c1, fp[part:], w.q1)
				k.Product(w.c2, fp, w.q2)
				e := p.r[block*enum.Rows*enum.Cols : (block+1)*enum.Rows*enum.Cols]
				for i, x := range weights {
					d := float64(e[i])
					rt1 := float64(r[i] * w.c1[i])
					lane1[i%8] += math.FMA(d, x, rt1)
					lane2[i%8] += math.FMA(float64(d*d), x, math.FMA(2*d, rt1, float64(r[i]*w.c2[i])))
				}
			}
		}
		sum += enum.Reduce(w.lane)
		if moments != nil {
			moments.AddPanel(p.c0, w.w, enum.Cols, enum.Reduce(lane1[:]), enum.Reduce(lane2[:]))
		}
	}
	shift := int64(f.shift) + int64(shiftQ) + int64(shiftR)
	if moments != nil && sum >= backend.Tiny {
		return moments.Result(leaf, shift), nil
	}
	return backend.LeafSum{Shift: shift, Sum: sum}, nil
}

// weighQ fills q1 and q2 from q and its energies.
func (w *sumWorker) weighQ() {
	n := len(w.q)
	copy(w.q1, w.q)
	copy(w.q2, w.q)
	for i, x := range w.q {
		d := float64(w.panel.q[i])
		w.q1[n+i] = d * x
		w.q2[n+i] = 2 * d * x
		w.q2[2*n+i] = float64(d*d) * x
	}
}

// leafByStates sums the states of a leaf within the window above its minimum.
func (w *sumWorker) leafByStates(ctx context.Context, leaf, pass int, window int64) (backend.LeafSum, error) {
	t := w.f.t
	low := newMinWorker(w.e, t, newLowest(0))
	least, _, err := low.leaf(ctx, leaf, math.MinInt64)
	if err != nil {
		return backend.LeafSum{}, err
	}
	limit := min(int64(least)+window, math.MaxInt32)
	moments := backend.NewLeafMoments(w.e.layout, pass)
	sum := 0.0
	p := low.panel
	near := make([][]int32, enum.Wide) // for each column, the rows with states in the window
	for ok := p.start(leaf); ok; ok = p.next() {
		if err := ctx.Err(); err != nil {
			return backend.LeafSum{}, err
		}
		p.energies()
		for j := range near {
			near[j] = near[j][:0]
		}
		for block := range t.blocks {
			if int64(p.minPlus(low.tile, block)) > limit {
				continue
			}
			for i := range enum.Rows {
				for j, x := range low.tile[i*enum.Wide : (i+1)*enum.Wide] {
					if int64(x) <= limit && p.real(block*enum.Rows+i, j) {
						near[j] = append(near[j], int32(block*enum.Rows+i))
					}
				}
			}
		}
		for j, rows := range near {
			if err := ctx.Err(); err != nil {
				return backend.LeafSum{}, err
			}
			for _, a := range rows {
				p.eachB(int(a), j, func(_ int, energy int32) {
					if int64(energy) > limit {
						return
					}
					d := float64(int64(energy) - int64(least))
					x := fmath.Exp(d * w.f.scale)
					sum += x
					if w.e.job.Moments {
						moments.AddState(uint64(a), p.c0+uint64(j), x, d)
					}
				})
			}
		}
	}
	if w.e.job.Moments {
		return moments.Result(leaf, int64(least)), nil
	}
	return backend.LeafSum{Shift: int64(least), Sum: sum}, nil
}
