//go:build gpu && cgo

package cuda

import (
	"cmp"
	"errors"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
)

// sums are the counts behind the moments, 64 bits wide, on the device: how
// often units, and pairs of units, were +1 together.
type sums struct {
	samples int64
	ones    memory // [places]
	pairs   memory // [places][places], tiles on and above the diagonal; all pairs
	edges   []edgeSums
}

// edgeSums counts the edges of one block; not needed beside all pairs.
type edgeSums struct {
	counts memory // as the block is stored
	ends   memory // places of a sparse block's edges, two for each
}

func (m *sums) reset(s *sampler) error {
	m.samples = 0
	spec := s.spec.Moments
	if !spec.Any() {
		return nil
	}
	places := int64(s.words) * kernels.WordUnits
	if err := clean(&m.ones, places); err != nil {
		return err
	}
	if spec.AllPairs {
		return clean(&m.pairs, places*places)
	}
	if !spec.Edges {
		return nil
	}
	if m.edges == nil {
		m.edges = make([]edgeSums, len(s.network.Blocks))
	}
	for k := range m.edges {
		b, e := &s.network.Blocks[k], &m.edges[k]
		if err := clean(&e.counts, int64(len(b.W))); err != nil {
			return err
		}
		if !b.Sparse() || e.ends.bytes > 0 {
			continue
		}
		ends := make([]int32, 0, 2*len(b.W))
		fa, fb := s.network.First(b.A), s.network.First(b.B)
		b.Each(s.network.Layers[b.B], func(i, j int, _ int32) { ends = append(ends, s.place[fa+i], s.place[fb+j]) })
		if err := fill(&e.ends, ends); err != nil {
			return err
		}
	}
	return nil
}

// clean makes room for n counts of zero.
func clean(m *memory, n int64) error {
	if err := hold[uint64](m, n); err != nil {
		return err
	}
	return m.zero()
}

func (m *sums) free() error {
	errs := []error{m.ones.free(), m.pairs.free()}
	for i := range m.edges {
		errs = append(errs, m.edges[i].counts.free(), m.edges[i].ends.free())
	}
	return cmp.Or(errs...)
}

// add queues the counting of the present spins.
func (m *sums) add(s *sampler) error {
	m.samples += int64(s.chains)
	return m.queue(s)
}

func (m *sums) queue(s *sampler) error {
	if err := s.toRows(); err != nil {
		return err
	}
	words, places := s.stride/32, s.words*kernels.WordUnits
	if err := s.d.launch("count_ones", blocks(int64(places), 4), 1, 1, 128, s.rows.u(0), m.ones.u(0), uint64(places), uint64(words)); err != nil {
		return err
	}
	if s.spec.Moments.AllPairs {
		return m.countPairs(s, &m.pairs, 0, 0, places, places, 1)
	}
	for k := range m.edges {
		b, e := &s.network.Blocks[k], &m.edges[k]
		n := int64(len(b.W))
		if n == 0 {
			continue
		}
		var err error
		if b.Sparse() {
			err = s.d.launch("count_edges", blocks(n, 4), 1, 1, 128, s.rows.u(0), e.ends.u(0), e.counts.u(0), uint64(n), uint64(words))
		} else {
			err = m.countPairs(s, &e.counts, s.first[b.A]*kernels.WordUnits, s.first[b.B]*kernels.WordUnits, s.network.Layers[b.A], s.network.Layers[b.B], 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *sums) countPairs(s *sampler, to *memory, a0, b0, na, nb int, upper uint64) error {
	words := s.stride / 32
	return s.d.launch("count_pairs", blocks(int64(na), kernels.PairTile), blocks(int64(nb), kernels.PairTile), blocks(int64(words), kernels.PairWords), 128,
		s.rows.u(0), to.u(0), uint64(a0), uint64(b0), uint64(na), uint64(nb), uint64(words), upper)
}

func (s *sampler) Moments(dst *backend.Moments) error {
	if dst == nil {
		return errors.New("no moments to write to")
	}
	dst.Reset(s.network, s.spec.Moments)
	if !s.spec.Moments.Any() {
		return s.usable()
	}
	m, places := &s.sums, s.words*kernels.WordUnits
	ones := make([]int64, places)
	var pairs []int64
	if s.spec.Moments.AllPairs {
		pairs = make([]int64, places*places)
	}
	if err := s.on("copying its moments", func() error {
		err := fetch(ones, &m.ones)
		if err == nil {
			err = fetch(pairs, &m.pairs)
		}
		for k := range m.edges {
			if err == nil {
				err = fetch(dst.Edges[k], &m.edges[k].counts)
			}
		}
		return err
	}); err != nil {
		return err
	}
	n := m.samples
	dst.Samples = n
	for u := range dst.Means {
		dst.Means[u] = 2*ones[s.place[u]] - n
	}
	// product is Σ s s' of two places with the given count.
	product := func(p, q int32, both int64) int64 { return n - 2*ones[p] - 2*ones[q] + 4*both }
	pair := func(u, v int) int64 {
		p, q := s.place[u], s.place[v]
		if p > q {
			p, q = q, p
		}
		return product(p, q, pairs[int(p)*places+int(q)])
	}
	units := len(s.place)
	for i := range dst.Pairs {
		dst.Pairs[i] = pair(i/units, i%units)
	}
	for k, e := range dst.Edges {
		b, at := &s.network.Blocks[k], 0
		fa, fb := s.network.First(b.A), s.network.First(b.B)
		b.Each(s.network.Layers[b.B], func(i, j int, _ int32) {
			if pairs != nil {
				e[at] = pair(fa+i, fb+j)
			} else {
				e[at] = product(s.place[fa+i], s.place[fb+j], e[at])
			}
			at++
		})
	}
	return nil
}

func (s *sampler) ResetMoments() error {
	return s.on("clearing its moments", func() error { return s.sums.reset(s) })
}
