package roots

import (
	"fmt"
	"sync"

	"kadanoff/spin/fmath"
)

// Largest numbers of units that a Size can have: the binomials and the ring's
// counts stay far inside the float64 range.
const (
	MaxVisible = 256
	MaxHidden  = 1024
)

// Size holds what depends on the numbers of units only: M visible and N
// hidden units, ±1, all weights W, no biases. A Size is not changed after
// NewSize and may be shared.
//
// Index j = 0 … h, h = ⌊M/2⌋, stands for |V| = M − 2j, V being the sum of the
// visible units.
type Size struct {
	M, N int
	h    int
	odd  bool

	binom             []fmath.DD // number of configurations with |V| = M−2j
	count, countLow   []float64  // binom in two parts
	states, invStates float64    // 2^M and 2^−M
	value             []float64  // |V| = M−2j

	table []float64 // for each j: count, 2|V|, V², 2j, V²−M, countLow, 0, 0

	guessOnce sync.Once
	guess     *guessTable
}

// NewSize returns the constants of M visible and N hidden units. It panics
// unless 2 ≤ M ≤ MaxVisible and 1 ≤ N ≤ MaxHidden.
func NewSize(m, n int) *Size {
	if m < 2 || m > MaxVisible || n < 1 || n > MaxHidden {
		panic(fmt.Sprintf("roots: %d visible and %d hidden units: want 2 to %d and 1 to %d", m, n, MaxVisible, MaxHidden))
	}
	s := &Size{M: m, N: n, h: m / 2, odd: m%2 == 1, states: fmath.Pow2(float64(m)), invStates: fmath.Pow2(float64(-m))}
	c := fmath.DD{Hi: 2}
	for j := 0; j <= s.h; j++ {
		b := c
		if m-2*j == 0 {
			b = c.Scale(0.5) // V = 0 is its own mirror image
		}
		s.binom = append(s.binom, b)
		s.count = append(s.count, b.Hi)
		s.countLow = append(s.countLow, b.Lo)
		s.value = append(s.value, float64(m-2*j))
		c = c.MulFloat(float64(m - j)).Div(fmath.DD{Hi: float64(j + 1)})
	}
	for j, v := range s.value {
		s.table = append(s.table, s.count[j], 2*v, v*v, float64(2*j), v*v-float64(m), s.countLow[j], 0, 0)
	}
	return s
}

// Values returns the number of values that |V| takes: M, M−2, … down to 0 or 1.
func (s *Size) Values() int { return s.h + 1 }

// ringCounts returns the numbers of configurations of the ring of M spins by
// |V| = M−2j (j ≥ 1) and by pairs of walls: n[j][k−1] have 2k walls,
//
//	(M/k) C(M−j−1, k−1) C(j−1, k−1), k = 1 … j, twice unless V = 0.
func ringCounts(m int) [][]fmath.DD {
	n := make([][]fmath.DD, m/2+1)
	for j := 1; j <= m/2; j++ {
		c := fmath.DD{Hi: float64(2 * m)}
		if m-2*j == 0 {
			c.Hi = float64(m)
		}
		for k := 1; k <= j; k++ {
			n[j] = append(n[j], c)
			c = c.MulFloat(float64((m - j - k) * (j - k))).Div(fmath.DD{Hi: float64(k * (k + 1))})
		}
	}
	return n
}
