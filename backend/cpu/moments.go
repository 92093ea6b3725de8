package cpu

import (
	"errors"
	"math"
	"math/bits"

	"kadanoff/backend"
	"kadanoff/kernels/gibbs"
)

// pending holds the moments of recent sweeps in 32 bits, as the counting
// kernels add them up, until they are carried over to 64.
type pending struct {
	samples int64
	edges   [][]int32 // dense blocks
	pairs   []int32   // [rows][rows]
	items   []momentItem
}

// momentItem is what one member claims: rows [row0, row1) of one kind of sum.
type momentItem struct {
	kind       momentKind
	block      int
	row0, row1 int
}

type momentKind uint8

const (
	meanSums momentKind = iota
	denseEdges
	sparseEdges
	pairSums
)

func (p *pending) reset(s *sampler) {
	*p = pending{edges: make([][]int32, len(s.shape.Blocks))}
	cut := func(kind momentKind, block, rows, size int) {
		for r := 0; r < rows; r += size {
			p.items = append(p.items, momentItem{kind, block, r, min(rows, r+size)})
		}
	}
	if s.spec.Means {
		cut(meanSums, 0, len(s.row), 256)
	}
	if s.spec.Edges {
		for k := range s.shape.Blocks {
			b := &s.shape.Blocks[k]
			if b.Sparse() {
				cut(sparseEdges, k, len(b.RowPtr)-1, 64)
				continue
			}
			p.edges[k] = make([]int32, s.shape.Stored(k))
			cut(denseEdges, k, s.shape.Layers[b.A], 32)
		}
	}
	if s.spec.AllPairs {
		p.pairs = make([]int32, s.rows.N*s.rows.N)
		cut(pairSums, 0, s.rows.N, 32)
	}
}

// layer returns the rows of a layer.
func (s *sampler) layer(l int) gibbs.Rows {
	return gibbs.Rows{Bits: s.rows.Bits[s.first[l]*s.words:], Stride: s.words, N: s.shape.Layers[l]}
}

// add does a member's part of adding up the current states.
func (p *pending) add(s *sampler, t *team, member int) {
	sc := s.b.members[member].scratch
	for i := t.claim(member, len(p.items)); i < len(p.items); i = t.claim(member, len(p.items)) {
		switch it := p.items[i]; it.kind {
		case meanSums:
			for u := it.row0; u < it.row1; u++ {
				s.sums.Means[u] += spinSum(s.rows.Row(int(s.row[u]))[:s.words], s.chains)
			}
		case denseEdges:
			b := &s.shape.Blocks[it.block]
			s.b.gibbs.Counts(p.edges[it.block], s.shape.Layers[b.B], s.layer(b.A), s.layer(b.B), it.row0, it.row1, 0, s.words, s.chains, sc)
		case sparseEdges:
			b := &s.shape.Blocks[it.block]
			for r := it.row0; r < it.row1; r++ {
				from := s.layer(b.A).Row(r)[:s.words]
				for k := b.RowPtr[r]; k < b.RowPtr[r+1]; k++ {
					s.sums.Edges[it.block][k] += product(from, s.layer(b.B).Row(int(b.Col[k])), s.chains)
				}
			}
		case pairSums:
			s.b.gibbs.Counts(p.pairs, s.rows.N, s.rows, s.rows, it.row0, it.row1, 0, s.words, s.chains, sc)
		}
	}
}

// added counts the samples that add summed and carries over when the next
// ones could overflow 32 bits.
func (p *pending) added(s *sampler) {
	s.sums.Samples += int64(s.chains)
	p.samples += int64(s.chains)
	if p.samples > math.MaxInt32-int64(s.chains) {
		p.carry(s)
	}
}

// carry moves the 32-bit sums to the 64-bit ones.
func (p *pending) carry(s *sampler) {
	p.samples = 0
	for k, e := range p.edges {
		for i, x := range e {
			s.sums.Edges[k][i] += int64(x)
		}
		clear(e)
	}
	if p.pairs == nil {
		return
	}
	for u, r := range s.row {
		for v, q := range s.row {
			s.sums.Pairs[u*len(s.row)+v] += int64(p.pairs[int(r)*s.rows.N+int(q)])
		}
	}
	clear(p.pairs)
}

func (s *sampler) Moments(dst *backend.Moments) error {
	if dst == nil {
		return errors.New("no moments to write to")
	}
	s.pending.carry(s)
	s.sums.CopyTo(dst)
	return nil
}

func (s *sampler) ResetMoments() error {
	s.sums.Reset(s.shape, s.spec)
	s.pending.samples = 0
	for _, e := range s.pending.edges {
		clear(e)
	}
	clear(s.pending.pairs)
	return nil
}

// spinSum returns Σ s over the chains of a row.
func spinSum(row []uint64, chains int) int64 {
	n := 0
	for _, w := range row {
		n += bits.OnesCount64(w)
	}
	return 2*int64(n) - int64(chains)
}

// product returns Σ s t over the chains of two rows.
func product(a, b []uint64, chains int) int64 {
	n := 0
	for i, w := range a {
		n += bits.OnesCount64(w ^ b[i])
	}
	return int64(chains) - 2*int64(n)
}
