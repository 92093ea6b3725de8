package cpu

import (
	"context"
	"math"
	"math/bits"
	"sync"

	"kadanoff/backend"
	"kadanoff/kernels/enum"
)

// The histogram sums a few spins out: of each state o of the others it counts
// the combination of E_o and the fields f that the first spins feel, 2^K states
// with one increment, and spells the combinations out at the end. The
// combination is packed into an index
//
//	(E_o + bound)/2 + Σ_q stride_q (f_q + bound_q)/2  [ + stride_M (M_o + bound_M)/2 ]
//
// which is itself a quadratic form in the spins of o. All in multiples of the
// job's grain.
type histogram struct {
	e                     *enumeration
	k                     int // spins summed out: positions 0 … k−1
	inner                 int // spins of the inner loop: k … k+inner−1
	grain                 int64
	bound                 int64   // of E_o
	fieldBound            []int64 // of f_q
	stride                []int64 // of f_q
	magStride             int64   // 0 if not wanted
	size                  int64   // of the table of counters
	linear                []int64 // of twice the index, for each spin
	constant              int64   // of twice the index
	t                     []int32 // index of the inner spins' own terms, less that of all −1
	first                 int64   // twice that of all −1
	mu                    sync.Mutex
	bins                  []uint64 // [energy][magnetisation]
	binBound, binMags, nn int64
}

// Limits of the counters' memory, of all threads together, and of the inner
// loop.
const (
	counterBudget = 200 << 20
	innerSpins    = 12
	directSpins   = 12 // below, states are counted one by one
)

func (h *histogram) j(i, k int) int64 { return int64(h.e.job.J(i, k)) / h.grain }
func (h *histogram) h(i int) int64    { return int64(h.e.job.Field[i]) / h.grain }

func magnitude(x int64) int64 { return max(x, -x) }

// newHistogram returns a histogram of empty bins.
func newHistogram(e *enumeration) *histogram {
	n := int64(e.job.Spins())
	h := &histogram{e: e, grain: e.job.Grain(), nn: n, binMags: 1}
	h.binBound = e.job.Sum() / h.grain
	if e.job.Joint {
		h.binMags = n + 1
	}
	h.bins = make([]uint64, (h.binBound+1)*h.binMags)
	return h
}

// histogram counts the states of the shard at each energy.
func (e *enumeration) histogram(ctx context.Context, part *backend.EnumeratePart) error {
	n := e.job.Spins()
	h := newHistogram(e)
	if n <= directSpins {
		h.direct()
	} else if err := h.run(ctx); err != nil {
		return err
	}
	if e.mirrored && n > directSpins {
		h.mirror()
	}
	for i, c := range h.bins {
		if c > 0 {
			b := backend.Bin{Energy: (2*(int64(i)/h.binMags) - h.binBound) * h.grain, Count: c}
			if e.job.Joint {
				b.Magnetization = int(2*(int64(i)%h.binMags)) - n
			}
			part.Bins = append(part.Bins, b)
		}
	}
	return nil
}

// mirror adds the reversals of all states.
func (h *histogram) mirror() {
	for at := int64(0); at < int64(len(h.bins)); at += h.binMags {
		row := h.bins[at : at+h.binMags]
		for i, j := 0, len(row)-1; i <= j; i, j = i+1, j-1 {
			both := row[i] + row[j]
			row[i], row[j] = both, both
		}
	}
}

// bin adds states of an energy and magnetisation, in grains.
func (h *histogram) bin(energy, mag int64, count uint64) {
	i := (energy + h.binBound) / 2
	if h.binMags > 1 {
		i = i*h.binMags + (mag+h.nn)/2
	}
	h.bins[i] += count
}

func (h *histogram) direct() {
	n := h.e.job.Spins()
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	t := tables{
		j: func(i, k int) int32 { return int32(h.j(i, k)) },
		h: func(i int) int32 { return int32(h.h(i)) },
	}
	perLeaf := 1 << (n - h.e.layout.Leaf)
	for s, energy := range t.own(0, n) {
		if s >= h.e.first*perLeaf && s < h.e.last*perLeaf {
			h.bin(int64(energy), int64(2*bits.OnesCount(uint(s))-n), 1)
		}
	}
}

// plan chooses how many spins to sum out and lays out the index.
func (h *histogram) plan(k, threads int) bool {
	n := h.e.job.Spins()
	h.k, h.inner = k, min(innerSpins, n-k-h.e.layout.Leaf)
	h.bound, h.fieldBound, h.stride = 0, make([]int64, k), make([]int64, k)
	for i := k; i < n; i++ {
		h.bound += magnitude(h.h(i))
		for l := k; l < i; l++ {
			h.bound += magnitude(h.j(i, l))
		}
	}
	h.size = h.bound + 1
	limit := int64(counterBudget / 4 / threads)
	for q := range k {
		h.fieldBound[q] = magnitude(h.h(q))
		for i := k; i < n; i++ {
			h.fieldBound[q] += magnitude(h.j(q, i))
		}
		h.stride[q] = h.size
		if h.size *= h.fieldBound[q] + 1; h.size > limit {
			return false
		}
	}
	h.magStride = 0
	if h.binMags > 1 {
		h.magStride = h.size
		h.size *= int64(n - k + 1)
	}
	// a table larger than a quarter of the counts costs more than it saves
	return h.size <= limit && (k == 0 || h.size <= 1<<(n-k-2))
}

func (h *histogram) run(ctx context.Context) error {
	half := h.e.half()
	threads := min(half.threads, half.last-half.first)
	if threads == 0 {
		return nil
	}
	k := 3
	for ; k > 0 && !h.plan(k, threads); k-- {
	}
	if k == 0 {
		for ; !h.plan(0, threads); threads-- {
		}
	}
	h.prepare()
	var workers []*histogramWorker
	err := eachLeaf(ctx, half, threads, 2, func() *histogramWorker {
		w := h.newWorker()
		h.mu.Lock()
		defer h.mu.Unlock()
		workers = append(workers, w)
		return w
	}, func(ctx context.Context, w *histogramWorker, leaf int) error { return w.leaf(ctx, leaf) })
	if err != nil {
		return err
	}
	for _, w := range workers {
		w.flush()
	}
	return nil
}

// prepare lays out the quadratic form that plan has chosen.
func (h *histogram) prepare() {
	n := h.e.job.Spins()
	h.linear = make([]int64, n)
	h.constant = h.bound + h.magStride*int64(n-h.k)
	for q := range h.k {
		h.constant += h.stride[q] * (h.fieldBound[q] + h.h(q))
	}
	for i := h.k; i < n; i++ {
		h.linear[i] = -h.h(i) + h.magStride
		for q := range h.k {
			h.linear[i] += h.stride[q] * h.j(q, i)
		}
	}
	// The inner spins' own terms, of twice the index.
	twice := make([]int64, 1<<h.inner)
	for s := range twice {
		for i := range h.inner {
			x := h.linear[h.k+i]
			for l := range i {
				x -= h.j(h.k+i, h.k+l) * int64(signed(uint64(s), l))
			}
			twice[s] += x * int64(signed(uint64(s), i))
		}
	}
	h.first = twice[0]
	h.t = make([]int32, len(twice))
	for s, x := range twice {
		h.t[s] = int32((x - h.first) / 2)
	}
}

// histogramWorker counts the states of one thread.
type histogramWorker struct {
	h       *histogram
	table   []uint32
	counted uint64 // since the last flush
	index   []int32
	base    []int32
	col     []int32
}

func (h *histogram) newWorker() *histogramWorker {
	return &histogramWorker{
		h:     h,
		table: make([]uint32, h.size),
		index: make([]int32, len(h.t)),
		base:  make([]int32, len(h.t)/enum.Cols),
		col:   make([]int32, enum.Cols),
	}
}

// leaf walks the outer spins in Gray order, those that the leaf fixes aside.
func (w *histogramWorker) leaf(ctx context.Context, leaf int) error {
	h := w.h
	n, free := h.e.job.Spins(), h.e.job.Spins()-h.e.layout.Leaf
	lo := h.k + h.inner // outer spins are lo … n−1
	s := make([]int64, n)
	for i := lo; i < n; i++ {
		s[i] = -1
		if i >= free {
			s[i] = int64(signed(uint64(leaf), i-free))
		}
	}
	// field[i] is the factor of outer spin i in twice the index, g[k] that of
	// inner spin k less its own terms.
	field, g := make([]int64, n), make([]int64, h.inner)
	own := int64(0)
	for i := lo; i < n; i++ {
		field[i] = h.linear[i]
		for l := lo; l < n; l++ {
			field[i] -= h.j(i, l) * s[l]
		}
		own += s[i] * (field[i] + h.linear[i])
		for k := range g {
			g[k] -= h.j(i, h.k+k) * s[i]
		}
	}
	own /= 2
	for step := uint64(0); step < 1<<(free-lo); step++ {
		if step > 0 {
			i := lo + bits.TrailingZeros64(step)
			own -= 2 * s[i] * field[i]
			s[i] = -s[i]
			for l := lo; l < n; l++ {
				field[l] -= 2 * h.j(i, l) * s[i]
			}
			for k := range g {
				g[k] -= 2 * h.j(i, h.k+k) * s[i]
			}
		}
		if step%16 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		w.count(own, g)
	}
	return nil
}

// count counts all states of the inner spins for one state of the outer ones.
func (w *histogramWorker) count(own int64, g []int64) {
	h := w.h
	if w.counted+uint64(len(w.index)) > math.MaxUint32 {
		w.flush()
	}
	w.counted += uint64(len(w.index))
	twice := h.constant + h.first + own
	for _, x := range g {
		twice -= x
	}
	w.base[0] = int32(twice / 2)
	for k, x := range g[4:] {
		for r := range 1 << k {
			w.base[r+1<<k] = w.base[r] + int32(x)
		}
	}
	w.col[0] = 0
	for k, x := range g[:4] {
		for y := range 1 << k {
			w.col[y+1<<k] = w.col[y] + int32(x)
		}
	}
	h.e.kernel.AddRows(w.index, h.t, w.base, w.col)
	h.e.kernel.Count(w.table, w.index)
}

// flush spells out what has been counted.
func (w *histogramWorker) flush() {
	h := w.h
	h.mu.Lock()
	defer h.mu.Unlock()
	pairs := make([]int64, 1<<h.k) // energies of the spins summed out, among themselves
	for x := range pairs {
		for i := range h.k {
			for l := range i {
				pairs[x] -= h.j(i, l) * int64(signed(uint64(x), i)*signed(uint64(x), l))
			}
		}
	}
	f := make([]int64, h.k)
	energies := h.bound + 1
	for row := range h.size / energies {
		line := w.table[row*energies : (row+1)*energies]
		rest := row
		for q := range f {
			f[q] = 2*(rest%(h.fieldBound[q]+1)) - h.fieldBound[q]
			rest /= h.fieldBound[q] + 1
		}
		mag := 2*rest - (h.nn - int64(h.k))
		for i, c := range line {
			if c == 0 {
				continue
			}
			for x, own := range pairs {
				e, m := 2*int64(i)-h.bound+own, mag
				for q := range f {
					s := int64(signed(uint64(x), q))
					e -= s * f[q]
					m += s
				}
				h.bin(e, m, uint64(c))
			}
			line[i] = 0
		}
	}
	w.counted = 0
}
