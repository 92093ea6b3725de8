package backend

// LeafMoments adds up weighted observables of one leaf of an enumeration: Σ w
// and, over the spins of the groups A and C in the order of the pass, Σ w s_i
// and Σ w s_i s_j. It is part of the definition of a job's result: its order of
// operations is the one whose bits every backend gives.
//
// The weights come in panels of 16 consecutive states c (fewer when C < 4). A
// panel is summed over a, its total over c, and the products of signs are
// applied to those sums; what depends on a waits for the end of the leaf.
type LeafMoments struct {
	layout Layout
	cols   int // of a panel
	low    int // spins of C within a panel

	sum        float64
	e1, e2     float64     // Σ w (E−Shift) and its square
	low16      [][]float64 // [a][cols] Σ of panels
	high       [][]float64 // [spin of C above low][a]
	colSingles []float64   // [C]
	colPairs   []float64   // [C][C], upper triangle
	withEnergy bool
}

// MomentCount returns the length of LeafSum.Sums: with m = A + C spins, m means,
// then the pairs i < j row by row, then, in the first pass, Σ w (E−Shift) and
// Σ w (E−Shift)².
func (l Layout) MomentCount(pass int) int {
	m := l.A + l.C
	n := m + m*(m-1)/2
	if pass == 0 {
		n += 2
	}
	return n
}

// NewLeafMoments returns empty sums for one leaf of a pass.
func NewLeafMoments(l Layout, pass int) *LeafMoments {
	low := min(4, l.C)
	rows := 1 << l.A
	m := &LeafMoments{layout: l, cols: 1 << low, low: low, withEnergy: pass == 0}
	m.low16 = matrix(rows, m.cols)
	m.high = matrix(l.C-low, rows)
	m.colSingles = make([]float64, l.C)
	m.colPairs = make([]float64, l.C*l.C)
	return m
}

func matrix(rows, cols int) [][]float64 {
	all := make([]float64, rows*cols)
	m := make([][]float64, rows)
	for i := range m {
		m[i] = all[i*cols : (i+1)*cols]
	}
	return m
}

// pairwise adds 2^k numbers as a balanced tree, halves first.
func pairwise(x []float64) float64 {
	if len(x) == 1 {
		return x[0]
	}
	h := len(x) / 2
	var t [8]float64
	for i := range h {
		t[i] = x[i] + x[i+h]
	}
	return pairwise(t[:h])
}

func sign(state uint64, spin int) float64 { return float64(int64(state>>spin&1)*2 - 1) }

// AddPanel adds the panel that begins with state c0 of C. w is [2^A][stride],
// of which the first min(16, 2^C) columns count; w1 and w2 are Σ w (E−Shift) and
// Σ w (E−Shift)² of the panel, ignored after the first pass.
func (m *LeafMoments) AddPanel(c0 uint64, w []float64, stride int, w1, w2 float64) {
	var col [16]float64
	free := m.layout.C - m.layout.Leaf // spins of C that vary within the leaf
	for a, acc := range m.low16 {
		row := w[a*stride : a*stride+m.cols]
		for y, x := range row {
			acc[y] += x
			col[y] += x
		}
		if free > m.low {
			r := pairwise(row)
			for k := m.low; k < free; k++ {
				m.high[k-m.low][a] += float64(sign(c0, k) * r)
			}
		}
	}
	m.sum += pairwise(col[:m.cols])
	m.e1 += w1
	m.e2 += w2
	m.addColumns(c0, col[:m.cols])
}

func (m *LeafMoments) addColumns(c0 uint64, col []float64) {
	n := m.layout.C
	var buf [16]float64
	signed := func(i, k int) float64 { // Σ col over the signs of the panel's spins i and k
		for y, x := range col {
			if i >= 0 {
				x *= sign(uint64(y), i)
			}
			if k >= 0 {
				x *= sign(uint64(y), k)
			}
			buf[y] = x
		}
		return pairwise(buf[:len(col)])
	}
	total := signed(-1, -1)
	var single [4]float64
	for i := range m.low {
		single[i] = signed(i, -1)
		m.colSingles[i] += single[i]
		for k := i + 1; k < m.low; k++ {
			m.colPairs[i*n+k] += signed(i, k)
		}
	}
	for k := m.low; k < n; k++ {
		s := sign(c0, k)
		m.colSingles[k] += float64(s * total)
		for i := range m.low {
			m.colPairs[i*n+k] += float64(s * single[i])
		}
		for i := m.low; i < k; i++ {
			m.colPairs[i*n+k] += float64(float64(s*sign(c0, i)) * total)
		}
	}
}

// AddState adds one state of weight w and energy e above the shift: the way of
// leaves that are summed state by state.
func (m *LeafMoments) AddState(a, c uint64, w, e float64) {
	m.sum += w
	m.e1 += float64(w * e)
	m.e2 += float64(float64(w*e) * e)
	y := c & uint64(m.cols-1)
	m.low16[a][y] += w
	for k := m.low; k < m.layout.C-m.layout.Leaf; k++ {
		m.high[k-m.low][a] += float64(sign(c, k) * w)
	}
	n := m.layout.C
	for k := range n {
		s := float64(sign(c, k) * w)
		m.colSingles[k] += s
		for i := range k {
			m.colPairs[i*n+k] += float64(sign(c, i) * s)
		}
	}
}

// Result returns the leaf's sums; leaf is its number.
func (m *LeafMoments) Result(leaf int, shift int64) LeafSum {
	l := m.layout
	rows := make([]float64, len(m.low16))
	for a, r := range m.low16 {
		rows[a] = pairwise(r)
	}
	// Σ_a s_i x_a
	contract := func(i int, x []float64) float64 {
		t := 0.0
		for a, v := range x {
			t += float64(sign(uint64(a), i) * v)
		}
		return t
	}
	// by[k][a] = Σ_c s_k w[a,c]
	by := matrix(l.C, len(rows))
	for k := range l.C {
		for a := range rows {
			switch {
			case k < m.low:
				var buf [16]float64
				for y, x := range m.low16[a] {
					buf[y] = sign(uint64(y), k) * x
				}
				by[k][a] = pairwise(buf[:m.cols])
			case k < l.C-l.Leaf:
				by[k][a] = m.high[k-m.low][a]
			default: // fixed by the leaf
				by[k][a] = sign(uint64(leaf), k-(l.C-l.Leaf)) * rows[a]
			}
		}
	}
	s := make([]float64, 0, l.MomentCount(0))
	for i := range l.A {
		s = append(s, contract(i, rows))
	}
	s = append(s, m.colSingles...)
	for i := range l.A {
		signed := make([]float64, len(rows))
		for a, x := range rows {
			signed[a] = sign(uint64(a), i) * x
		}
		for k := i + 1; k < l.A; k++ {
			s = append(s, contract(k, signed))
		}
		for k := range l.C {
			s = append(s, contract(i, by[k]))
		}
	}
	for i := range l.C {
		s = append(s, m.colPairs[i*l.C+i+1:(i+1)*l.C]...)
	}
	if m.withEnergy {
		s = append(s, m.e1, m.e2)
	}
	return LeafSum{Shift: shift, Sum: m.sum, Sums: s}
}
