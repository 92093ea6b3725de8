package cpu

import (
	"context"
	"math"
	"slices"

	"kadanoff/backend"
)

// search is an exact branch and bound over the spins in an order of its own.
// With the first d spins fixed, the energy of what follows is at least
//
//	E_d − Σ_j |f_j| + rest_d
//
// where f_j is the field that free spin j feels from the fixed ones (and h_j)
// and rest_d the minimum of the couplings among the free spins, found by the
// same search on fewer spins, shortest tail first.
type search struct {
	ctx   context.Context
	n     int
	order []int     // spin at each depth
	j     [][]int32 // by depth
	h     []int32
	rest  []int64 // [depth]

	// of the running search
	first   int // depth at which it begins
	state   uint64
	limit   int64 // energies above are skipped
	found   func(energy int64, state uint64)
	field   [][]int32 // [depth][spin]: fields at that depth
	nodes   uint64
	stopped error
}

// branchAndBound fills in the ground states and the lowest states.
func (e *enumeration) branchAndBound(ctx context.Context, part *backend.EnumeratePart) error {
	s := newSearch(ctx, e.job)
	// shortest tails first; tails have no fields
	for d := s.n - 2; d >= 1; d-- {
		// the tail's minimum, from what is known of the tail one shorter and a
		// greedy state
		s.rest[d] = s.minimum(d, nil)
		if s.stopped != nil {
			return s.stopped
		}
	}
	low := newLowest(max(e.job.Lowest, 1))
	s.limit = s.greedy(0, s.h)
	ground := int64(math.MaxInt64)
	k := e.job.Lowest
	if k > 1 {
		s.limit = math.MaxInt64 >> 1
	}
	s.run(0, s.h, func(energy int64, state uint64) {
		if energy < ground {
			ground, part.GroundStates = energy, 0
		}
		if energy == ground {
			part.GroundStates++
		}
		if k > 0 {
			low.add([]backend.EnumeratedState{{Energy: energy, State: state}})
		}
		if k <= 1 {
			s.limit = ground
		} else if t := low.limit.Load(); t != nil {
			s.limit = max(ground, t.Energy)
		}
	})
	part.Ground = ground
	if k > 0 {
		part.Lowest = low.sorted()
	}
	return s.stopped
}

func newSearch(ctx context.Context, job *backend.EnumerateJob) *search {
	n := job.Spins()
	s := &search{ctx: ctx, n: n, rest: make([]int64, n+1)}
	// strongly coupled spins first: their fields bound the others most
	weight := make([]int64, n)
	for i := range n {
		s.order = append(s.order, i)
		for k := range n {
			weight[i] += magnitude(int64(job.J(i, k)))
		}
	}
	slices.SortStableFunc(s.order, func(a, b int) int { return int(min(max(weight[b]-weight[a], -1), 1)) })
	for _, a := range s.order {
		s.h = append(s.h, job.Field[a])
		row := make([]int32, n)
		for k, b := range s.order {
			row[k] = job.J(a, b)
		}
		s.j = append(s.j, row)
	}
	for range n + 1 {
		s.field = append(s.field, make([]int32, n))
	}
	return s
}

// minimum returns the lowest energy of the spins from depth d on, with the
// given fields (nil for none).
func (s *search) minimum(d int, h []int32) int64 {
	if h == nil {
		h = make([]int32, s.n)
	}
	s.limit = s.greedy(d, h)
	best := s.limit
	s.limit-- // a state as good as the greedy one adds nothing
	s.run(d, h, func(energy int64, _ uint64) {
		best = energy
		s.limit = energy - 1
	})
	return best
}

// greedy returns the lowest energy that descents from a few states reach, each
// by steepest single flips.
func (s *search) greedy(d int, h []int32) int64 {
	best := int64(math.MaxInt64)
	spin := make([]int64, s.n)
	f := make([]int64, s.n)
	x := uint64(0x9e3779b97f4a7c15)
	for range 4 * (s.n - d) {
		e := int64(0)
		for i := d; i < s.n; i++ { // a xorshift: any start will do
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			spin[i] = int64(x>>40&1)*2 - 1
		}
		for i := d; i < s.n; i++ {
			f[i] = int64(h[i])
			for k := d; k < s.n; k++ {
				f[i] += int64(s.j[i][k]) * spin[k]
			}
			e -= spin[i] * (f[i] + int64(h[i]))
		}
		e /= 2
		for {
			at, gain := -1, int64(0)
			for i := d; i < s.n; i++ {
				if g := spin[i] * f[i]; g < gain {
					at, gain = i, g
				}
			}
			if at < 0 {
				break
			}
			e += 2 * gain
			spin[at] = -spin[at]
			for k := d; k < s.n; k++ {
				f[k] += 2 * int64(s.j[at][k]) * spin[at]
			}
		}
		best = min(best, e)
	}
	return best
}

// run visits every state of the spins from depth d on whose energy is not above
// limit, which found may lower. Spins before d stay out.
func (s *search) run(d int, h []int32, found func(energy int64, state uint64)) {
	s.first, s.state, s.found = d, 0, found
	copy(s.field[d], h)
	s.descend(d, 0)
}

// checkEvery is how many nodes are visited between looks at the context.
const checkEvery = 1 << 16

func (s *search) descend(d int, energy int64) {
	if d == s.n {
		s.found(energy, s.state)
		return
	}
	if s.nodes++; s.nodes%checkEvery == 0 && s.stopped == nil {
		s.stopped = s.ctx.Err()
	}
	if s.stopped != nil {
		return
	}
	f := s.field[d][:s.n]
	own := int64(f[d])
	up := own > 0
	for range 2 {
		sign := int32(-1)
		if up {
			sign = 1
		}
		e := energy - own*int64(sign)
		bound := e + s.rest[d+1]
		next, row := s.field[d+1][:s.n], s.j[d][:s.n]
		for i := d + 1; i < len(f); i++ {
			x := f[i] + sign*row[i]
			next[i] = x
			bound -= int64(max(x, -x))
		}
		if bound <= s.limit {
			if up {
				s.state |= 1 << s.order[d]
			}
			s.descend(d+1, e)
			s.state &^= 1 << s.order[d]
		}
		if d == s.first && d > 0 {
			return // a tail has no fields: its states come in pairs
		}
		up = !up
	}
}
