package exact

import (
	"fmt"
	"math/big"
	"math/bits"
	"runtime"
	"sync"
)

// TorusDensity counts the states of the L×L square lattice with periodic
// boundaries by |V| and energy, 2 ≤ L ≤ MaxDensityTorus, in exact integers.
// No count reaches 2⁶⁴: those of one V sum to C(L², up) ≤ 1.9e18. The result
// is kept: asking again costs nothing.
//
// The first row is fixed, all other sites are added one by one; for each
// configuration of the last L sites a polynomial counts how many unlike bonds
// and up spins the states have so far. Translations, reflections and the
// global flip leave few first rows to try. Numbers of unlike bonds have a
// parity fixed by the first row and the last L sites together, so every second
// coefficient is left out.
func TorusDensity(l int) (*Density, error) {
	if l < 2 || l > MaxDensityTorus {
		return nil, fmt.Errorf("counting the states of a %d×%d torus: want a side of 2 to %d", l, l, MaxDensityTorus)
	}
	return torusDensities[l](), nil
}

var torusDensities = func() (f [MaxDensityTorus + 1]func() *Density) {
	for l := range f {
		f[l] = sync.OnceValue(func() *Density { return countTorus(l) })
	}
	return f
}()

func countTorus(l int) *Density {
	sites := l * l
	// joint[up][u/2]: u unlike bonds, E = −2L² + 2u.
	joint := make([][]uint64, sites+1)
	for i := range joint {
		joint[i] = make([]uint64, sites+1)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for first, orbit := range firstRows(l) {
		wg.Add(1)
		free <- struct{}{}
		go func() {
			defer wg.Done()
			part := newTransfer(l, first).run()
			mu.Lock()
			for up := range part {
				for e, n := range part[up] {
					joint[up][e] += uint64(orbit.same) * n
					joint[sites-up][e] += uint64(orbit.flipped) * n
				}
			}
			mu.Unlock()
			<-free
		}()
	}
	wg.Wait()

	d := &Density{visible: sites, count: make([][]*big.Int, sites/2+1)}
	for j := range d.count {
		row := joint[j]
		for e, n := range row {
			if 2*j != sites {
				n += joint[sites-j][e] // below C(64, 31)·2 < 2⁶⁴
			}
			if n > 0 {
				for len(d.count[j]) <= e {
					d.count[j] = append(d.count[j], nil)
				}
				d.count[j][e] = new(big.Int).SetUint64(n)
			}
		}
	}
	return d
}

// orbit says how many first rows equal one by translation and reflection, and
// how many more equal it when all spins are flipped too.
type orbit struct{ same, flipped int }

func firstRows(l int) map[int]orbit {
	mask := 1<<l - 1
	canonical := func(s int) int {
		least := s
		for _, r := range []int{s, int(bits.Reverse(uint(s)) >> (bits.UintSize - l))} {
			for range l {
				r = (r<<1 | r>>(l-1)) & mask
				least = min(least, r)
			}
		}
		return least
	}
	rows := map[int]orbit{}
	for s := range 1 << l {
		same, other := canonical(s), canonical(^s&mask)
		if same <= other {
			o := rows[same]
			o.same++
			rows[same] = o
		} else {
			o := rows[other]
			o.flipped++
			rows[other] = o
		}
	}
	return rows
}

// transfer holds the polynomials of one first row: at[s] for the configuration
// s of the last L sites (bit c is column c), as rows of unlike bonds, halved,
// each with a coefficient for every number of up spins so far.
type transfer struct {
	l, first   int
	at, next   [][]uint64
	bonds, ups int // rows and columns in use
	width      int // of a row
}

func newTransfer(l, first int) *transfer {
	t := &transfer{l: l, first: first, width: l*l + 1, at: make([][]uint64, 1<<l), next: make([][]uint64, 1<<l)}
	for s := range t.at {
		t.at[s] = make([]uint64, (l*l+2)*t.width)
		t.next[s] = make([]uint64, (l*l+2)*t.width)
	}
	unlike := bits.OnesCount(uint(first ^ (first<<1|first>>(l-1))&(1<<l-1)))
	up := bits.OnesCount(uint(first))
	t.at[first][unlike/2*t.width+up] = 1
	t.bonds, t.ups = unlike/2+1, up+1
	return t
}

// parity returns that of the number of unlike bonds when s holds the last L
// sites and the row being written has got to column c: vertical bonds down a
// column are odd in number when its ends differ, and so are the bonds along
// the part of a row.
func (t *transfer) parity(s, c int) int {
	p := bits.OnesCount(uint(s ^ t.first))
	if c < t.l-1 {
		p += s ^ s>>c
	}
	return p & 1
}

func (t *transfer) run() [][]uint64 {
	for range t.l - 1 {
		for c := range t.l {
			t.add(c)
		}
	}
	return t.close()
}

// add writes the site below the one that bit c holds.
func (t *transfer) add(c int) {
	// One site adds at most 3 unlike bonds, so at most 2 rows of halves.
	bonds, ups := min(t.bonds+2, t.l*t.l+2), t.ups+1
	before := t.l - 1 // before column 0 the last row was whole
	if c > 0 {
		before = c - 1
	}
	for s := range t.at {
		next := t.next[s]
		clear(next[:bonds*t.width])
		spin := s >> c & 1
		unlike := 0
		if c > 0 {
			unlike += s>>(c-1)&1 ^ spin
		}
		if c == t.l-1 {
			unlike += s&1 ^ spin
		}
		for _, old := range []int{s, s ^ 1<<c} {
			// old's rows hold 2i + parity bonds, next's 2i' + parity.
			up := unlike + (old^s)>>c + t.parity(old, before) - t.parity(s, c)
			shift := up / 2
			from := t.at[old]
			for i := range t.bonds {
				if i+shift >= bonds {
					break
				}
				src := from[i*t.width : i*t.width+t.ups]
				dst := next[(i+shift)*t.width+spin:][:len(src)]
				for k, n := range src {
					dst[k] += n
				}
			}
		}
	}
	t.at, t.next = t.next, t.at
	t.bonds, t.ups = bonds, ups
}

// close joins the last row to the first and returns counts by up spins and
// halves of unlike bonds.
func (t *transfer) close() [][]uint64 {
	sites := t.l * t.l
	total := make([][]uint64, sites+1)
	for up := range total {
		total[up] = make([]uint64, sites+1)
	}
	for s, from := range t.at {
		unlike := bits.OnesCount(uint(s^t.first)) + t.parity(s, t.l-1)
		for i := range t.bonds {
			for up, n := range from[i*t.width : i*t.width+t.ups] {
				if n > 0 {
					total[up][i+unlike/2] += n
				}
			}
		}
	}
	return total
}
