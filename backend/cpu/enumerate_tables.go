package cpu

import (
	"math"
	"math/bits"

	"kadanoff/backend"
	"kadanoff/kernels/enum"
)

// tables holds the energies of an enumeration that no panel changes, for one
// order of the spins.
type tables struct {
	layout       backend.Layout
	j            func(i, k int) int32 // by position
	h            func(i int) int32
	na, nb       int     // states of A and B
	rows, blocks int     // of A, padded to whole tiles of 8 rows
	ea, eb       []int32 // energies within the group, fields included
	p            []int32 // E_a + E_ab, packed [block][b][8]; padded rows are 0
	// fa[k][a] is the factor of s_k in E_ac, fb[k][b] in E_bc, k counting the
	// spins of C.
	fa, fb [][]int32
}

func newTables(job *backend.EnumerateJob, order []int) *tables {
	l := job.Layout()
	t := &tables{
		layout: l,
		j:      func(i, k int) int32 { return job.J(order[i], order[k]) },
		h:      func(i int) int32 { return job.Field[order[i]] },
		na:     1 << l.A,
		nb:     1 << l.B,
	}
	t.rows = max(t.na, enum.Rows)
	t.blocks = t.rows / enum.Rows
	t.ea = t.own(0, l.A)
	t.eb = t.own(l.A, l.B)
	t.fa = t.fields(0, l.A, l.A+l.B, l.C)
	for k := range t.fa {
		t.fa[k] = append(t.fa[k], make([]int32, t.rows-t.na)...)
	}
	t.fb = t.fields(l.A, l.B, l.A+l.B, l.C)
	t.p = make([]int32, t.rows*t.nb)
	fab := t.fields(0, l.A, l.A, l.B)
	row := make([]int32, t.nb)
	for a := range t.na {
		row[0] = t.ea[a]
		for k := range l.B {
			row[0] -= fab[k][a]
		}
		for k := range l.B {
			for y := range 1 << k {
				row[y+1<<k] = row[y] + 2*fab[k][a]
			}
		}
		at := a/enum.Rows*t.nb*enum.Rows + a%enum.Rows
		for b, e := range row {
			t.p[at+b*enum.Rows] = e
		}
	}
	return t
}

// own returns the energies of the states of n positions from lo on, among
// themselves and with their fields.
func (t *tables) own(lo, n int) []int32 {
	e := make([]int32, 1<<n)
	for i := range n { // adds spin i to the states of the spins below it
		f := make([]int32, 1<<i) // factor of s_i
		f[0] = -t.h(lo + i)
		for k := range i {
			f[0] += t.j(lo+i, lo+k)
		}
		for k := range i {
			for s := range 1 << k {
				f[s+1<<k] = f[s] - 2*t.j(lo+i, lo+k)
			}
		}
		for s := range 1 << i {
			e[s+1<<i] = e[s] + f[s]
			e[s] -= f[s]
		}
	}
	return e
}

// fields returns, for each of n positions from lo on, the factor of its spin in
// the energy it shares with each state of the m positions from at on.
func (t *tables) fields(at, m, lo, n int) [][]int32 {
	f := make([][]int32, n)
	for k := range f {
		f[k] = make([]int32, 1<<m)
		for i := range m {
			f[k][0] += t.j(at+i, lo+k)
		}
		for i := range m {
			for s := range 1 << i {
				f[k][s+1<<i] = f[k][s] - 2*t.j(at+i, lo+k)
			}
		}
	}
	return f
}

// padding is the energy that makes a state outside the model lose against all
// others: every real minimum is at most 0, and a padded one at least 1.
const padding = 1 << 30

// panel builds the energies Q[b,c] and R[a,c] of a panel of consecutive states
// c, and walks the panels of a leaf.
type panel struct {
	t       *tables
	kernel  *enum.Kernel
	width   int // columns
	low     int // spins of C within a panel
	columns int // that belong to the model

	c0, end      uint64 // first state of the panel, and beyond the leaf
	baseA, baseB []int32
	patA, patB   []int32 // what the low spins of C add, [state][width]
	own          []int32 // energies of the low spins of C among themselves
	col, none    []int32

	q, r []int32 // [nb][width], [rows][width]
}

func newPanel(e *enumeration, t *tables, width int) *panel {
	p := &panel{t: t, kernel: e.kernel, width: width}
	p.low = min(bits.Len(uint(width))-1, t.layout.C)
	p.columns = 1 << p.low
	p.baseA, p.baseB = make([]int32, t.rows), make([]int32, t.nb)
	p.patA, p.patB = p.pattern(t.fa, t.rows), p.pattern(t.fb, t.nb)
	for a := range t.rows {
		for y := range width {
			if !p.real(a, y) {
				p.patA[a*width+y] = padding
			}
		}
	}
	p.own = t.own(t.layout.A+t.layout.B, p.low)
	p.col, p.none = make([]int32, width), make([]int32, width)
	p.q, p.r = make([]int32, t.nb*width), make([]int32, t.rows*width)
	return p
}

// real reports whether row a and column y belong to the model.
func (p *panel) real(a, y int) bool { return a < p.t.na && y < p.columns }

func (p *panel) pattern(f [][]int32, rows int) []int32 {
	pat := make([]int32, rows*p.width)
	for s := range rows {
		for y := range p.columns {
			for k := range p.low {
				pat[s*p.width+y] += f[k][s] * signed(uint64(y), k)
			}
		}
	}
	return pat
}

func signed(s uint64, i int) int32 { return int32(s>>i&1)*2 - 1 }

// start goes to the first panel of a leaf and reports that there is one.
func (p *panel) start(leaf int) bool {
	l := p.t.layout
	free := l.C - l.Leaf
	p.c0 = uint64(leaf) << free
	p.end = p.c0 + 1<<free
	clear(p.baseA)
	copy(p.baseB, p.t.eb)
	for k := p.low; k < l.C; k++ {
		s := signed(p.c0, k)
		addTo(p.baseA, p.t.fa[k], s)
		addTo(p.baseB, p.t.fb[k], s)
	}
	return true
}

func addTo(dst, x []int32, factor int32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += factor * x[i]
	}
}

// next goes to the next panel of the leaf and reports whether there is one.
func (p *panel) next() bool {
	before := p.c0
	p.c0 += 1 << p.low
	if p.c0 >= p.end {
		return false
	}
	for x := before ^ p.c0; x != 0; x &= x - 1 {
		k := bits.TrailingZeros64(x)
		addTo(p.baseA, p.t.fa[k], 2*signed(p.c0, k))
		addTo(p.baseB, p.t.fb[k], 2*signed(p.c0, k))
	}
	return true
}

// columnEnergies fills col with E_c less a shift.
func (p *panel) columnEnergies(shift int32) {
	t, at := p.t, p.t.layout.A+p.t.layout.B
	n := t.layout.C
	e := int32(0)
	var f [8]int32 // factors of the low spins
	for k := p.low; k < n; k++ {
		s := signed(p.c0, k)
		g := t.h(at + k)
		for i := p.low; i < k; i++ {
			g += t.j(at+k, at+i) * signed(p.c0, i)
		}
		e -= s * g
		for i := range p.low {
			f[i] -= s * t.j(at+k, at+i)
		}
	}
	for y := range p.columns {
		x := e + p.own[y]
		for i := range p.low {
			x += f[i] * signed(uint64(y), i)
		}
		p.col[y] = x - shift
	}
}

// energies fills q and r.
func (p *panel) energies() { p.energiesAbove(0, 0) }

// energiesAbove fills q and r with energies relative to shifts.
func (p *panel) energiesAbove(shiftQ, shiftR int32) {
	p.columnEnergies(shiftR)
	for y := range p.none {
		p.none[y] = -shiftQ
	}
	p.kernel.AddRows(p.q, p.patB, p.baseB, p.none)
	p.kernel.AddRows(p.r, p.patA, p.baseA, p.col)
}

// bounds returns the minimum of Q over a leaf and the sum of the minima of E_c
// and E_ac; the panel is at the leaf's start and stays there.
func (p *panel) bounds(leaf int) (q, r int32) {
	l := p.t.layout
	free := l.C - l.Leaf
	// the free spins of C follow the fields of b and of a
	minimum := func(base []int32, f [][]int32, n int) int32 {
		m := int32(math.MaxInt32)
		for s, e := range base[:n] {
			for k := range free {
				x := f[k][s]
				if k >= p.low {
					e += x // base has this spin at −1
				}
				e -= max(x, -x)
			}
			m = min(m, e)
		}
		return m
	}
	q = minimum(p.baseB, p.t.fb, p.t.nb)
	r = minimum(p.baseA, p.t.fa, p.t.na)
	least := int32(math.MaxInt32)
	c0 := p.c0
	for ; p.c0 < p.end; p.c0 += 1 << p.low {
		p.columnEnergies(0)
		for _, e := range p.col[:p.columns] {
			least = min(least, e)
		}
	}
	p.c0 = c0
	return q, r + least
}

// silence sets the weights of rows and columns outside the model to 0.
func (p *panel) silence(r []float64) {
	if p.t.rows == p.t.na && p.columns == p.width {
		return
	}
	for i := range r {
		if !p.real(i/p.width, i%p.width) {
			r[i] = 0
		}
	}
}

func (p *panel) block(i int) (pb, rb []int32) {
	n, w := p.t.nb*enum.Rows, enum.Rows*p.width
	return p.t.p[i*n : (i+1)*n], p.r[i*w : (i+1)*w]
}

// minPlus fills a tile with the minima over b and returns the smallest.
func (p *panel) minPlus(tile []int32, block int) int32 {
	pb, rb := p.block(block)
	return p.kernel.MinPlus(tile, pb, p.q, rb)
}

// countEqual returns how many states of a block of rows have the energy; those
// outside the model must not.
func (p *panel) countEqual(block int, energy int32) int64 {
	pb, rb := p.block(block)
	return p.kernel.CountEqual(pb, p.q, rb, energy)
}

// eachB calls f for every b with the energy of state (a, b, column y).
func (p *panel) eachB(a, y int, f func(b int, energy int32)) {
	pb, rb := p.block(a / enum.Rows)
	i := a % enum.Rows
	e := rb[i*p.width+y]
	for b := range p.t.nb {
		f(b, e+pb[b*enum.Rows+i]+p.q[b*p.width+y])
	}
}
