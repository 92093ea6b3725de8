package backend

// RBMMoments adds up the observables of one leaf of an RBM's states, a part of
// the definition of the result. Tiles have 8 rows, states of L, and 16 columns,
// states of G; what lies outside the model has weight 0.
type RBMMoments struct {
	// Panel takes, for each other unit, what kernels/enum's Responses adds up:
	// [Others][4][16], over the tiles of one panel.
	Panel []float64
	// Total takes the sums over a tile: [block of rows][Others].
	Total [][]float64

	s     *RBMStates
	leaf  int
	rows  []float64 // [2^L, at least 8] Σ w
	cols  [16]float64
	own   []float64 // [G] Σ w s_a
	r     []float64
	pairs []float64 // [Others][Units]
}

// NewRBMMoments returns empty sums for a leaf.
func NewRBMMoments(s *RBMStates, leaf int) *RBMMoments {
	rows := max(8, 1<<s.L)
	return &RBMMoments{
		Panel: make([]float64, 64*s.Others),
		Total: matrix(rows/8, s.Others),
		s:     s, leaf: leaf,
		rows:  make([]float64, rows),
		own:   make([]float64, s.G),
		r:     make([]float64, s.Others),
		pairs: make([]float64, s.Others*s.Units),
	}
}

// AddWeights adds the weights w [8][16] of a block of rows.
func (m *RBMMoments) AddWeights(block int, w []float64) {
	for i := range 8 {
		row := w[16*i : 16*i+16]
		m.rows[8*block+i] += pairwise(row)
		for j, x := range row {
			m.cols[j] += x
		}
	}
}

// spread adds x [16], the sums over a panel's columns, times the signs of the
// units of G, to dst [G], and returns Σ x.
func (m *RBMMoments) spread(g0 uint64, x, dst []float64) float64 {
	t := pairwise(x)
	var buf [16]float64
	for a := range dst {
		if a >= 4 {
			dst[a] += sign(g0, a) * t
			continue
		}
		for y, v := range x {
			buf[y] = sign(uint64(y), a) * v
		}
		dst[a] += pairwise(buf[:])
	}
	return t
}

// EndPanel adds the panel that began with state g0 of G, counted from the
// leaf's first, and empties Panel.
func (m *RBMMoments) EndPanel(g0 uint64) {
	s := m.s
	g0 |= uint64(m.leaf) << (s.G - s.Leaf)
	m.spread(g0, m.cols[:], m.own)
	clear(m.cols[:])
	for u := range s.Others {
		p := m.Panel[64*u : 64*u+64]
		pairs := m.pairs[u*s.Units : (u+1)*s.Units]
		m.r[u] += m.spread(g0, p[:16], pairs[s.L:])
		for k := range min(3, s.L) {
			pairs[k] += pairwise(p[16*k+16 : 16*k+32])
		}
	}
	clear(m.Panel)
}

// Sums returns the leaf's sums, as RBMLeaf has them.
func (m *RBMMoments) Sums() []float64 {
	s := m.s
	out := make([]float64, 0, s.Units+s.Others*(s.Units+1))
	for a := range s.L {
		t := 0.0
		for l, w := range m.rows[:1<<s.L] {
			t += sign(uint64(l), a) * w
		}
		out = append(out, t)
	}
	out = append(out, m.own...)
	for u := range s.Others {
		for a := 3; a < s.L; a++ {
			t := 0.0
			for block := range m.Total {
				t += sign(uint64(block), a-3) * m.Total[block][u]
			}
			m.pairs[u*s.Units+a] = t
		}
	}
	out = append(out, m.r...)
	return append(out, m.pairs...)
}
