package roots

import (
	"math"
	"sync"
)

// Tables keeps the tables of the sizes that were asked for last. The zero
// value is empty; it may be used by several goroutines at a time.
type Tables struct {
	mu   sync.Mutex
	list []*Table // last used first
}

// maxTables bounds the tables kept; the largest takes 200 KB.
const maxTables = 64

// Of returns the table for a size, empty if it is new. It panics as NewSize
// does.
func (r *Tables) Of(visible, hidden int) *Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, t := range r.list {
		if t.Size.M == visible && t.Size.N == hidden {
			copy(r.list[1:], r.list[:i])
			r.list[0] = t
			return t
		}
	}
	t := NewTable(NewSize(visible, hidden))
	if len(r.list) < maxTables {
		r.list = append(r.list, nil)
	}
	copy(r.list[1:], r.list)
	r.list[0] = t
	return t
}

// Interval returns which interval of the table a K falls into, or false if it
// falls into none and At does not take a polynomial.
func (t *Table) Interval(k float64) (int, bool) {
	i := math.Float64bits(k)>>t.shift - t.first
	return int(i), i < t.count
}

// Polynomials is a table as a device wants it: 16 numbers for each interval, of
// which the coefficients come first, low powers first. Interval i has the K
// whose bits >> Shift are First + i.
type Polynomials struct {
	Rows  []float64
	First uint64
	Shift uint
}

// Polynomials returns a copy of what is known of the table; the rows of other
// intervals are zero.
func (t *Table) Polynomials() Polynomials {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return Polynomials{append([]float64(nil), t.rows...), t.first, t.shift}
}

// Constants is what the float64 iteration for distributions needs of a size.
type Constants struct {
	// Values has eight numbers for each j = 0 … ⌊M/2⌋, |V| = M−2j: the number of
	// configurations, 2|V|, V², 2j, V²−M, what the number has beyond float64, 0, 0.
	Values            []float64
	States, InvStates float64   // 2^M and 2^−M
	Guess             []float64 // lower end, W there, slope and nothing for each interval of y
	Mean              float64   // of M − |V| at W = 0
	PolishLimit       float64   // W·dF/dW below which the root is polished
}

// Constants returns the constants of the size.
func (s *Size) Constants() Constants {
	s.guessOnce.Do(func() { s.guess = s.newGuessTable() })
	return Constants{s.table, s.states, s.invStates, s.guess.rows, s.guess.mean0, s.polishLimit()}
}

// PolishFloor is the W·dF/dW below which a root of the float64 iteration has too
// few digits: Solve computes it anew.
const PolishFloor = polishFloor
