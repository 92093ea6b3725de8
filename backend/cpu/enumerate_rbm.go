package cpu

import (
	"context"
	"math/bits"
	"sync"

	"kadanoff/backend"
	"kadanoff/kernels/enum"
)

// EnumerateRBM visits the states of the smaller layer: products of 1 + e^2u over
// the units of the other, in tiles of 8 states of the lowest units by 16 of the
// rest.
func (b *Backend) EnumerateRBM(ctx context.Context, job *backend.EnumerateRBMJob) (*backend.RBMEnumeration, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	s := job.States()
	leaves := make([]backend.RBMLeaf, s.Leaves())
	e := &enumeration{
		threads: b.team.size, last: len(leaves),
		work: &progress{report: job.Progress, total: float64(len(leaves))},
	}
	var err error
	if s.Split == 0 {
		err = eachLeaf(ctx, e, e.threads, 1, func() struct{} { return struct{}{} }, func(ctx context.Context, _ struct{}, leaf int) (err error) {
			leaves[leaf], err = s.LeafByStates(ctx, leaf, job.Moments)
			return err
		})
	} else {
		t := newRBMTables(s, enum.For(b.level), e.threads)
		err = eachLeaf(ctx, e, e.threads, 1, func() *rbmWorker { return newRBMWorker(t) }, func(ctx context.Context, w *rbmWorker, leaf int) (err error) {
			leaves[leaf], err = w.leaf(ctx, leaf, job.Moments)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return job.Finish(leaves)
}

// outside is the exponent of what pads a tile.
const outside = -1 << 40

// rbmTables holds what depends on the lowest units only.
type rbmTables struct {
	s        *backend.RBMStates
	kernel   *enum.Kernel
	blocks   int
	y        []float64 // e^(2u) with biases, [block][Others][8]
	mantissa []float64 // weights of the rows, [rows]
	exponent []int64
	pattern  []int64 // fields of the lowest units of G, [Others][16], the rest at 0
	cols     int     // states of G within a panel
	low      int     // units of G within a panel
	lowOwn   []int64 // c·s of those units, [cols]
	column   []int64 // Σ_i w_ia of each unit of G
}

func newRBMTables(s *backend.RBMStates, k *enum.Kernel, threads int) *rbmTables {
	rows := max(enum.Rows, 1<<s.L)
	t := &rbmTables{
		s: s, kernel: k, blocks: rows / enum.Rows,
		y:        make([]float64, rows*s.Others),
		mantissa: make([]float64, rows),
		exponent: make([]int64, rows),
		low:      min(4, s.G),
		column:   make([]int64, s.G),
	}
	t.cols = 1 << t.low
	for a := range s.G {
		for i := range s.Others {
			t.column[a] += int64(s.W[i*s.Units+s.L+a])
		}
	}
	var wait sync.WaitGroup
	for first := range threads {
		wait.Go(func() {
			for block := first; block < t.blocks; block += threads {
				t.fillBlock(block)
			}
		})
	}
	wait.Wait()
	t.pattern = make([]int64, s.Others*enum.Cols)
	for i := range s.Others {
		for y := range t.cols {
			for a := range t.low {
				t.pattern[i*enum.Cols+y] += int64(s.W[i*s.Units+s.L+a]) * int64(signed(uint64(y), a))
			}
		}
	}
	t.lowOwn = make([]int64, t.cols)
	for y := range t.lowOwn {
		for a := range t.low {
			t.lowOwn[y] += int64(s.Own[s.L+a]) * int64(signed(uint64(y), a))
		}
	}
	return t
}

func (t *rbmTables) fillBlock(block int) {
	s := t.s
	y := t.y[block*s.Others*enum.Rows : (block+1)*s.Others*enum.Rows]
	for r := range enum.Rows {
		l := block*enum.Rows + r
		if l >= 1<<s.L {
			t.exponent[l] = outside
			for i := range s.Others {
				y[i*enum.Rows+r] = outsideField
			}
			continue
		}
		x := int64(0)
		for a := range s.L {
			x += int64(s.Own[a]) * int64(signed(uint64(l), a))
		}
		for i := range s.Others {
			u := int64(s.Bias[i])
			for a, w := range s.W[i*s.Units : i*s.Units+s.L] {
				u += int64(w) * int64(signed(uint64(l), a))
			}
			x -= u
			y[i*enum.Rows+r] = 2 * float64(u) * s.Unit
		}
		t.mantissa[l], t.exponent[l] = backend.SplitExp(float64(x) * s.Unit)
	}
	t.exp(y)
}

// outsideField is an exponent of e that gives 0.
const outsideField = -1000

// exp replaces x by e^x; the length is a multiple of 8.
func (t *rbmTables) exp(x []float64) {
	whole := len(x) &^ 15
	if whole > 0 {
		t.kernel.Exp(x[:whole], x[:whole])
	}
	if whole < len(x) {
		var buf [16]float64
		copy(buf[:], x[whole:])
		t.kernel.Exp(buf[:], buf[:])
		copy(x[whole:], buf[:])
	}
}

// rbmWorker holds one thread's panel.
type rbmWorker struct {
	t        *rbmTables
	high     []int64   // fields of the higher units of G, [Others]
	x        []float64 // e^(2u) of G, [Others][16]
	mantissa []float64 // weights of the columns
	exponent []int64
	man      []float64 // a tile
	exp      []int64
	lane     []float64
	weight   []float64
}

func newRBMWorker(t *rbmTables) *rbmWorker {
	return &rbmWorker{
		t: t, high: make([]int64, t.s.Others),
		x:        make([]float64, t.s.Others*enum.Cols),
		mantissa: make([]float64, enum.Cols), exponent: make([]int64, enum.Cols),
		man: make([]float64, enum.Rows*enum.Cols), exp: make([]int64, enum.Rows*enum.Cols),
		lane: make([]float64, 8), weight: make([]float64, enum.Rows*enum.Cols),
	}
}

// leaf is backend.RBMLeaf in its own order.
func (w *rbmWorker) leaf(ctx context.Context, leaf int, moments bool) (backend.RBMLeaf, error) {
	t, s := w.t, w.t.s
	var f backend.RBMLeaf
	err := w.eachPanel(ctx, leaf, func(uint64) {
		for block := range t.blocks {
			w.products(block)
			at := block * enum.Rows
			top := t.kernel.ScaledSum(w.lane, w.man, w.exp, t.mantissa[at:at+enum.Rows], w.mantissa, t.exponent[at:at+enum.Rows], w.exponent)
			f.Add(top, enum.Reduce(w.lane))
		}
	})
	if err != nil || !moments {
		return f, err
	}
	m := backend.NewRBMMoments(s, leaf)
	err = w.eachPanel(ctx, leaf, func(g uint64) {
		for block := range t.blocks {
			w.products(block)
			for e := range w.weight {
				i, j := e/enum.Cols, e%enum.Cols
				l := block*enum.Rows + i
				x := float64(float64(t.mantissa[l]*w.mantissa[j]) * w.man[e])
				w.weight[e] = backend.ScaledBy(x, w.exp[e]+t.exponent[l]+w.exponent[j]-f.Exponent)
			}
			m.AddWeights(block, w.weight)
			t.kernel.Responses(m.Panel, m.Total[block], w.weight, t.block(block), w.x)
		}
		m.EndPanel(g)
	})
	f.Sums = m.Sums()
	return f, err
}

func (t *rbmTables) block(i int) []float64 {
	n := t.s.Others * enum.Rows
	return t.y[i*n : (i+1)*n]
}

// products fills man and exp with the products of a block of rows.
func (w *rbmWorker) products(block int) {
	s, y := w.t.s, w.t.block(block)
	for e := range w.man {
		w.man[e], w.exp[e] = 1, 0
	}
	for from := 0; from < s.Others; from += s.Split {
		to := min(s.Others, from+s.Split)
		w.t.kernel.Factors(w.man, w.exp, y[from*enum.Rows:to*enum.Rows], w.x[from*enum.Cols:to*enum.Cols])
	}
}

// eachPanel calls do for every panel of a leaf, its columns filled; g counts from
// the leaf's first state of G.
func (w *rbmWorker) eachPanel(ctx context.Context, leaf int, do func(g uint64)) error {
	t, s := w.t, w.t.s
	free := s.G - s.Leaf
	state := uint64(leaf) << free
	own, fields := int64(0), int64(0) // c·s and Σ_i u of the higher units
	clear(w.high)
	turn := func(a int, factor int64) {
		own += factor * int64(s.Own[s.L+a])
		fields += factor * t.column[a]
		for i := range w.high {
			w.high[i] += factor * int64(s.W[i*s.Units+s.L+a])
		}
	}
	for a := t.low; a < s.G; a++ {
		turn(a, int64(signed(state, a)))
	}
	for g := uint64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.fill(own, fields)
		do(g)
		before := state
		g += uint64(t.cols)
		state += uint64(t.cols)
		if g >= 1<<free {
			return nil
		}
		for x := before ^ state; x != 0; x &= x - 1 {
			a := bits.TrailingZeros64(x)
			turn(a, 2*int64(signed(state, a)))
		}
	}
}

// fill computes the columns of a panel.
func (w *rbmWorker) fill(own, fields int64) {
	t, s := w.t, w.t.s
	for i, u := range w.high {
		pattern := t.pattern[i*enum.Cols : (i+1)*enum.Cols]
		x := w.x[i*enum.Cols : (i+1)*enum.Cols]
		for y := range x {
			x[y] = 2 * float64(u+pattern[y]) * s.Unit
		}
	}
	t.exp(w.x)
	for y := range w.exponent {
		if y >= t.cols {
			w.mantissa[y], w.exponent[y] = 0, outside
			continue
		}
		x := own + t.lowOwn[y] - fields
		for a := range t.low {
			x -= t.column[a] * int64(signed(uint64(y), a))
		}
		w.mantissa[y], w.exponent[y] = backend.SplitExp(float64(x) * s.Unit)
	}
}
