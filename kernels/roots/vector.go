//go:build (amd64 || arm64) && !noasm

package roots

import (
	"math"
	"runtime"
	"unsafe"

	"kadanoff/spin/fmath"
)

// vectorArgs are the arguments of the assembly; kernels/_gen/roots and
// kernels/_gen/neon/roots know the order of its fields. The first four pointers and groups are moved on as it
// runs. Strides are in bytes.
type vectorArgs struct {
	w, slope, weight, low *float64
	scratch, table, guess *float64
	stride, lowStride     int
	groups                int
	half, n, top          int
	oddMask, oneIfEven    uint64
	m2, n64, mean0        float64
	states, invStates     float64
	limit                 float64
}

// The assembly's scratch memory, in vectors: slots, and fields of a record for
// each of the h+1 powers.
const (
	scratchSlots  = 22
	scratchFields = 5
)

// batch is how many problems are gathered at a time, a multiple of any group.
const batch = 64

// vectorScratch holds the assembly's scratch memory, and some problems side by
// side as the assembly takes them.
type vectorScratch struct {
	vectors     []float64
	index       []int // which problems
	w, slope    [batch]float64
	weight, low []float64 // [h+1][batch]
}

// pack copies the problems of g.index, filling the last group of that size
// with copies of the last problem. It returns the number of groups.
func (g *vectorScratch) pack(s *Size, p *Distributions, group int) int {
	n := len(g.index)
	groups := (n + group - 1) / group
	if len(g.weight) < batch*(s.h+1) {
		g.weight = make([]float64, batch*(s.h+1))
		g.low = make([]float64, batch*(s.h+1))
	}
	for j := range s.h + 1 {
		from := p.Weight[j*p.Count:]
		to := g.weight[j*batch:][:groups*group]
		for l, i := range g.index {
			to[l] = from[i]
		}
		for l := n; l < len(to); l++ {
			to[l] = to[n-1]
		}
		if p.Low == nil {
			continue
		}
		from = p.Low[j*p.Count:]
		to = g.low[j*batch:][:groups*group]
		for l, i := range g.index {
			to[l] = from[i]
		}
		for l := n; l < len(to); l++ {
			to[l] = to[n-1]
		}
	}
	if p.Low == nil {
		clear(g.low)
	}
	return groups
}

// vectorSolve makes a Kernel.solve of assembly that takes whole groups of
// problems. What is left over, and what needs polishing, is gathered into
// groups first.
func vectorSolve(group int, newton, polish func(*byte)) func(*Size, []float64, []float64, *Distributions, int, *solver) {
	return func(s *Size, w, slope []float64, p *Distributions, first int, v *solver) {
		g := &v.vector
		if need := (scratchSlots + scratchFields*(s.h+1)) * group; len(g.vectors) < need {
			g.vectors = make([]float64, need)
		}
		a := vectorArgs{
			scratch: &g.vectors[0], table: &s.table[0], guess: &s.guess.rows[0],
			half: s.h, n: s.N, top: fmath.TopBit(s.N),
			m2: float64(s.M * s.M), n64: float64(s.N), mean0: s.guess.mean0,
			states: s.states, invStates: s.invStates, limit: s.polishLimit(),
		}
		if s.odd {
			a.oddMask = math.MaxUint64
		} else {
			a.oneIfEven = math.Float64bits(1)
		}
		run := func(f func(*byte), w, slope, weight, low []float64, stride, groups int) {
			b := a
			b.w, b.slope, b.weight, b.low = &w[0], &slope[0], &weight[0], &low[0]
			b.stride, b.lowStride, b.groups = 8*stride, 8*stride, groups
			f((*byte)(unsafe.Pointer(&b)))
			runtime.KeepAlive(&b)
		}
		whole := len(w) / group * group
		if whole > 0 {
			run(newton, w, slope, p.Weight[first:], p.Weight[first:], p.Count, whole/group)
		}
		if whole < len(w) {
			g.index = g.index[:0]
			for i := whole; i < len(w); i++ {
				g.index = append(g.index, first+i)
			}
			groups := g.pack(s, p, group)
			run(newton, g.w[:], g.slope[:], g.weight, g.low, batch, groups)
			copy(w[whole:], g.w[:])
			copy(slope[whole:], g.slope[:])
		}
		limit := a.limit
		for i := 0; i < len(w); {
			g.index = g.index[:0]
			for ; i < len(w) && len(g.index) < batch; i++ {
				if slope[i] >= polishFloor && slope[i] < limit {
					g.w[len(g.index)], g.slope[len(g.index)] = w[i], slope[i]
					g.index = append(g.index, first+i)
				}
			}
			if len(g.index) == 0 {
				return
			}
			run(polish, g.w[:], g.slope[:], g.weight, g.low, batch, g.pack(s, p, group))
			for l, k := range g.index {
				w[k-first] = g.w[l]
			}
		}
	}
}
