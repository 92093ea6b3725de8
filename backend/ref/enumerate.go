package ref

import (
	"cmp"
	"context"
	"math"
	"slices"

	"kadanoff/backend"
	"kadanoff/spin/fmath"
)

// states visits the states of an enumeration one at a time.
type states struct {
	job   *backend.EnumerateJob
	order []int // spin at each position of a state
}

// own returns −Σ J s s − Σ h s over the pairs and fields within positions
// [lo, hi).
func (v states) own(s uint64, lo, hi int) int64 {
	e := int64(0)
	for i := lo; i < hi; i++ {
		e -= int64(v.job.Field[v.order[i]]) * sign(s, i)
		e += v.cross(s, i, i+1, i+1, hi)
	}
	return e
}

// cross returns −Σ J s s over pairs of positions in [lo, hi) and [from, to).
func (v states) cross(s uint64, lo, hi, from, to int) int64 {
	e := int64(0)
	for i := lo; i < hi; i++ {
		for k := from; k < to; k++ {
			e -= int64(v.job.J(v.order[i], v.order[k])) * sign(s, i) * sign(s, k)
		}
	}
	return e
}

func sign(s uint64, i int) int64 { return int64(s>>i&1)*2 - 1 }

// Enumerate visits every state by itself.
func (Backend) Enumerate(ctx context.Context, job *backend.EnumerateJob) (*backend.EnumeratePart, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	n, l := job.Spins(), job.Layout()
	first, last := job.Range()
	part := &backend.EnumeratePart{First: first, Last: last, Ground: math.MaxInt64}
	passes := job.Passes()
	natural := states{job, passes[0]}
	perLeaf := uint64(1) << (n - l.Leaf)
	bins := map[backend.Bin]uint64{}
	wantBins := job.Histogram || job.Joint || job.FromHistogram()
	for s := uint64(first) * perLeaf; s < uint64(last)*perLeaf; s++ {
		if s%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		e := natural.own(s, 0, n)
		if !job.SumsOnly {
			if e < part.Ground {
				part.Ground, part.GroundStates = e, 0
			}
			if e == part.Ground {
				part.GroundStates++
			}
		}
		keepLowest(&part.Lowest, backend.EnumeratedState{Energy: e, State: s}, job.Lowest)
		if wantBins {
			b := backend.Bin{Energy: e}
			if job.Joint {
				for i := range n {
					b.Magnetization += int(sign(s, i))
				}
			}
			bins[b]++
		}
	}
	for b, c := range bins {
		b.Count = c
		part.Bins = append(part.Bins, b)
	}
	slices.SortFunc(part.Bins, func(a, b backend.Bin) int {
		return cmp.Or(cmp.Compare(a.Energy, b.Energy), cmp.Compare(a.Magnetization, b.Magnetization))
	})
	if job.FromHistogram() {
		return part, nil
	}
	for _, beta := range job.Betas {
		var sums [][]backend.LeafSum
		for pass, order := range passes {
			var leaves []backend.LeafSum
			for leaf := first; leaf < last; leaf++ {
				s, err := states{job, order}.sumLeaf(ctx, leaf, pass, beta)
				if err != nil {
					return nil, err
				}
				leaves = append(leaves, s)
			}
			sums = append(sums, leaves)
		}
		part.Sums = append(part.Sums, sums)
	}
	return part, nil
}

// keepLowest inserts s into a sorted list of at most k states.
func keepLowest(list *[]backend.EnumeratedState, s backend.EnumeratedState, k int) {
	at, _ := slices.BinarySearchFunc(*list, s, func(a, b backend.EnumeratedState) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
	if at >= k {
		return
	}
	*list = slices.Insert(*list, at, s)
	if len(*list) > k {
		*list = (*list)[:k]
	}
}

// parts holds the three parts of the energies of a leaf; c counts from the
// leaf's first state of C.
type parts struct {
	a, b, c int // numbers of states
	p       []int64
	q       []int64
	r       []int64
	shift   [3]int64 // lower bounds of p, q and r
}

func (v states) parts(leaf int) parts {
	l := v.job.Layout()
	x := parts{a: 1 << l.A, b: 1 << l.B, c: 1 << (l.C - l.Leaf)}
	state := func(a, b, c int) uint64 {
		return uint64(a) | uint64(b)<<l.A | (uint64(leaf)<<(l.C-l.Leaf)|uint64(c))<<(l.A+l.B)
	}
	ab, n := l.A+l.B, l.A+l.B+l.C
	for a := range x.a {
		for b := range x.b {
			s := state(a, b, 0)
			x.p = append(x.p, v.own(s, 0, l.A)+v.cross(s, 0, l.A, l.A, ab))
		}
	}
	for b := range x.b {
		for c := range x.c {
			s := state(0, b, c)
			x.q = append(x.q, v.own(s, l.A, ab)+v.cross(s, l.A, ab, ab, n))
		}
	}
	minC, minAC := int64(math.MaxInt64), int64(math.MaxInt64)
	for a := range x.a {
		for c := range x.c {
			s := state(a, 0, c)
			own, cross := v.own(s, ab, n), v.cross(s, 0, l.A, ab, n)
			minC, minAC = min(minC, own), min(minAC, cross)
			x.r = append(x.r, own+cross)
		}
	}
	x.shift = [3]int64{slices.Min(x.p), slices.Min(x.q), minC + minAC}
	return x
}

// sumLeaf sums a leaf as backend.LeafSum says.
func (v states) sumLeaf(ctx context.Context, leaf, pass int, beta float64) (backend.LeafSum, error) {
	job, l, x := v.job, v.job.Layout(), v.parts(leaf)
	scale := -float64(beta * job.Step())
	weigh := func(e []int64, shift int64) []float64 {
		w := make([]float64, len(e))
		for i := range e {
			w[i] = fmath.Exp(float64(e[i]-shift) * scale)
		}
		return w
	}
	p, q, r := weigh(x.p, x.shift[0]), weigh(x.q, x.shift[1]), weigh(x.r, x.shift[2])
	above := func(e []int64, i, part int) float64 { return float64(e[i] - x.shift[part]) }
	firstC := uint64(leaf) << (l.C - l.Leaf)
	cols := min(16, x.c)
	moments := backend.NewLeafMoments(l, pass)
	sum := 0.0
	for c0 := 0; c0 < x.c; c0 += cols {
		if err := ctx.Err(); err != nil {
			return backend.LeafSum{}, err
		}
		var lane, lane1, lane2 [8]float64
		panel := make([]float64, x.a*cols)
		for a := range x.a {
			for y := range cols {
				c := c0 + y
				t := 0.0
				for b := range x.b {
					t = math.FMA(p[a*x.b+b], q[b*x.c+c], t)
				}
				rac := r[a*x.c+c]
				lane[y%8] = math.FMA(t, rac, lane[y%8])
				w := float64(t * rac)
				panel[a*cols+y] = w
				if !job.Moments || pass > 0 {
					continue
				}
				// Σ_b with one factor, and with two, of the energy in P and Q
				t1, t2 := 0.0, 0.0
				for b := range x.b {
					t1 = math.FMA(above(x.p, a*x.b+b, 0)*p[a*x.b+b], q[b*x.c+c], t1)
				}
				for b := range x.b {
					t1 = math.FMA(p[a*x.b+b], above(x.q, b*x.c+c, 1)*q[b*x.c+c], t1)
				}
				for b := range x.b {
					e := above(x.p, a*x.b+b, 0)
					t2 = math.FMA(float64(e*e)*p[a*x.b+b], q[b*x.c+c], t2)
				}
				for b := range x.b {
					t2 = math.FMA(above(x.p, a*x.b+b, 0)*p[a*x.b+b], 2*above(x.q, b*x.c+c, 1)*q[b*x.c+c], t2)
				}
				for b := range x.b {
					e := above(x.q, b*x.c+c, 1)
					t2 = math.FMA(p[a*x.b+b], float64(e*e)*q[b*x.c+c], t2)
				}
				e := above(x.r, a*x.c+c, 2)
				rt1 := float64(rac * t1)
				lane1[y%8] += math.FMA(e, w, rt1)
				lane2[y%8] += math.FMA(float64(e*e), w, math.FMA(2*e, rt1, float64(rac*t2)))
			}
		}
		sum += reduce(lane)
		if job.Moments {
			moments.AddPanel(firstC+uint64(c0), panel, cols, reduce(lane1), reduce(lane2))
		}
	}
	if sum < backend.Tiny {
		return v.sumStates(x, leaf, pass, beta), nil
	}
	shift := x.shift[0] + x.shift[1] + x.shift[2]
	if job.Moments {
		return moments.Result(leaf, shift), nil
	}
	return backend.LeafSum{Shift: shift, Sum: sum}, nil
}

// sumStates sums a leaf state by state, relative to its minimum.
func (v states) sumStates(x parts, leaf, pass int, beta float64) backend.LeafSum {
	l, scale, window := v.job.Layout(), -float64(beta*v.job.Step()), v.job.Window(beta)
	energy := func(a, b, c int) int64 { return x.p[a*x.b+b] + x.q[b*x.c+c] + x.r[a*x.c+c] }
	shift := int64(math.MaxInt64)
	each := func(f func(a, b, c int, e int64)) {
		for c := range x.c {
			for a := range x.a {
				for b := range x.b {
					f(a, b, c, energy(a, b, c))
				}
			}
		}
	}
	each(func(_, _, _ int, e int64) { shift = min(shift, e) })
	moments := backend.NewLeafMoments(l, pass)
	sum := 0.0
	each(func(a, _, c int, e int64) {
		if e -= shift; e <= window {
			w := fmath.Exp(float64(e) * scale)
			sum += w
			if v.job.Moments {
				moments.AddState(uint64(a), uint64(leaf)<<(l.C-l.Leaf)|uint64(c), w, float64(e))
			}
		}
	})
	if v.job.Moments {
		return moments.Result(leaf, shift)
	}
	return backend.LeafSum{Shift: shift, Sum: sum}
}

// reduce adds the 8 virtual lanes of a sum.
func reduce(s [8]float64) float64 {
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}
