package cpu

import (
	"slices"
	"sync"
	"sync/atomic"

	"kadanoff/backend"
	"kadanoff/kernels/enum"
)

// lowest keeps the k lowest states that any thread has seen: an unordered list
// of up to 2k, cut back to k whenever it is full.
type lowest struct {
	k     int
	all   uint64 // all spins, if each state also stands for its reversal; else 0
	mu    sync.Mutex
	list  []backend.EnumeratedState
	limit atomic.Pointer[backend.EnumeratedState] // the k-th so far; nil before there are k
}

func newLowest(k int) *lowest { return &lowest{k: k} }

func compareStates(a, b backend.EnumeratedState) int {
	switch {
	case a.Less(b):
		return -1
	case b.Less(a):
		return 1
	}
	return 0
}

// add takes candidates.
func (l *lowest) add(s []backend.EnumeratedState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if need := len(l.list) + len(s); need > cap(l.list) && need <= 2*l.k { // no more than the list can need
		l.list = slices.Grow(l.list, min(max(len(s), len(l.list)), 2*l.k-len(l.list)))
	}
	for _, x := range s {
		if t := l.limit.Load(); t != nil && !x.Less(*t) {
			continue
		}
		l.list = append(l.list, x)
		if len(l.list) >= 2*l.k {
			l.cut()
		}
	}
	if l.limit.Load() == nil && len(l.list) > l.k {
		l.cut()
	}
}

// cut keeps the k lowest and lowers the limit.
func (l *lowest) cut() {
	selectLowest(l.list, l.k)
	l.list = l.list[:l.k]
	top := slices.MaxFunc(l.list, compareStates)
	l.limit.Store(&top)
}

// selectLowest moves the k lowest states to the front (Hoare's selection).
func selectLowest(s []backend.EnumeratedState, k int) {
	for lo, hi := 0, len(s)-1; lo < hi; {
		pivot := s[lo+(hi-lo)/2]
		i, j := lo, hi
		for i <= j {
			for s[i].Less(pivot) {
				i++
			}
			for pivot.Less(s[j]) {
				j--
			}
			if i <= j {
				s[i], s[j] = s[j], s[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return
		}
	}
}

func (l *lowest) sorted() []backend.EnumeratedState {
	slices.SortFunc(l.list, compareStates)
	return l.list[:min(len(l.list), l.k)]
}

// lowestBatch collects one thread's candidates.
type lowestBatch struct {
	low  *lowest
	list []backend.EnumeratedState
}

func (l *lowest) batch() *lowestBatch { return &lowestBatch{low: l} }

func (b *lowestBatch) flush() {
	if len(b.list) > 0 {
		b.low.add(b.list)
		b.list = b.list[:0]
	}
}

// batchSize is how many candidates a thread collects before it shares them.
const batchSize = 1024

// tile takes the states of a tile that may be among the lowest; least is the
// smallest of the tile's minima over b.
func (b *lowestBatch) tile(p *panel, block int, minima []int32, least int32) {
	if b.low.k == 0 {
		return
	}
	limit := b.low.limit.Load()
	if limit != nil && int64(least) > limit.Energy {
		return
	}
	l := p.t.layout
	for i := range enum.Rows {
		for y, m := range minima[i*enum.Wide : (i+1)*enum.Wide] {
			a := block*enum.Rows + i
			first := backend.EnumeratedState{Energy: int64(m), State: uint64(a) | (p.c0+uint64(y))<<(l.A+l.B)}
			if !p.real(a, y) || limit != nil && !first.Less(*limit) {
				continue
			}
			p.eachB(a, y, func(s int, energy int32) {
				x := backend.EnumeratedState{Energy: int64(energy), State: first.State | uint64(s)<<l.A}
				if limit != nil && !x.Less(*limit) {
					return
				}
				b.list = append(b.list, x)
				if all := b.low.all; all != 0 {
					b.list = append(b.list, backend.EnumeratedState{Energy: x.Energy, State: x.State ^ all})
				}
			})
			if len(b.list) >= batchSize {
				b.flush()
				limit = b.low.limit.Load()
			}
		}
	}
}
