package backend

import "kadanoff/spin"

// Reset sets the sums to zero, in the shapes that spec asks for on network n.
func (m *Moments) Reset(n *spin.Network, spec MomentSpec) {
	units := n.Units()
	m.Samples = 0
	m.Means = zeros(m.Means, units, spec.Means)
	m.Pairs = zeros(m.Pairs, units*units, spec.AllPairs)
	if !spec.Edges {
		m.Edges = nil
		return
	}
	if len(m.Edges) != len(n.Blocks) {
		m.Edges = make([][]int64, len(n.Blocks))
	}
	for k := range m.Edges {
		m.Edges[k] = zeros(m.Edges[k], n.Stored(k), true)
	}
}

// zeros returns x or a new slice of n zeros, or nil if nothing is wanted.
func zeros(x []int64, n int, want bool) []int64 {
	switch {
	case !want:
		return nil
	case len(x) == n:
		clear(x)
		return x
	}
	return make([]int64, n)
}

// CopyTo copies the sums to dst, reusing its slices where they fit.
func (m *Moments) CopyTo(dst *Moments) {
	dst.Samples = m.Samples
	dst.Means = append(dst.Means[:0], m.Means...)
	dst.Pairs = append(dst.Pairs[:0], m.Pairs...)
	dst.Edges = append(dst.Edges[:0], make([][]int64, len(m.Edges))...)
	for k, e := range m.Edges {
		dst.Edges[k] = append([]int64(nil), e...)
	}
}
