// Package backendtest is the conformance suite of backends: jobs with golden
// digests, held against the reference backend bit for bit. A backend's test is
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, New())
//	}
package backendtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// Case is a sampling job whose result is known.
type Case struct {
	Name   string
	Sweeps int
	Golden string // digest of the final states and moments
	spec   func() backend.SamplerSpec
}

// Spec returns a fresh copy of the case's job.
func (c *Case) Spec() backend.SamplerSpec { return c.spec() }

// numbers is a stream of reproducible numbers on a binary grid, so that every
// machine builds the same networks.
type numbers struct {
	key philox.Key
	n   uint32
}

func (r *numbers) next() uint32 {
	r.n++
	return philox.Block([4]uint32{r.n, 0x5eed}, r.key)[0]
}

// float returns a number in [−scale, scale) with a 16-bit mantissa.
func (r *numbers) float(scale float32) float32 {
	return scale * (float32(r.next()>>16) - 1<<15) / (1 << 15)
}

func (r *numbers) floats(n int, scale float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = r.float(scale)
	}
	return x
}

// RandomRBM returns an RBM with uniform weights within ±scale/√visible and
// biases within ±scale/4, the same on every machine.
func RandomRBM(visible, hidden int, scale float32, seed uint64) *spin.Net[float32] {
	r := &numbers{key: philox.NewKey(seed)}
	root := float32(1)
	for root*root < float32(visible) {
		root++
	}
	return spin.RBM(visible, hidden, r.floats(visible*hidden, scale/root), r.floats(visible, scale/4), r.floats(hidden, scale/4))
}

// RandomBoltzmann returns a Boltzmann machine of two layers with couplings
// between and inside them.
func RandomBoltzmann(visible, hidden int, scale float32, seed uint64) *spin.Net[float32] {
	r := &numbers{key: philox.NewKey(seed)}
	inside := func(n int) []float32 {
		w := make([]float32, n*n)
		for i := range n {
			for j := range i {
				w[i*n+j] = r.float(scale)
				w[j*n+i] = w[i*n+j]
			}
		}
		return w
	}
	return &spin.Net[float32]{
		Layers: []int{visible, hidden},
		Bias:   r.floats(visible+hidden, scale),
		Blocks: []spin.Block[float32]{
			{A: 0, B: 1, W: r.floats(visible*hidden, scale)},
			{A: 0, B: 0, W: inside(visible)},
			{A: 1, B: 1, W: inside(hidden)},
		},
	}
}

// Torus returns an L×L Ising model with periodic boundaries as a sparse
// network of one layer; L is at least 3.
func Torus(l int, coupling, field float32) *spin.Net[float32] {
	n := &spin.Net[float32]{Layers: []int{l * l}, Bias: make([]float32, l*l)}
	b := spin.Block[float32]{RowPtr: []int{0}}
	for i := range l * l {
		n.Bias[i] = field
		x, y := i%l, i/l
		near := map[int]bool{y*l + (x+1)%l: true, y*l + (x+l-1)%l: true, (y+1)%l*l + x: true, (y+l-1)%l*l + x: true}
		for j := range l * l {
			if near[j] {
				b.Col = append(b.Col, int32(j))
				b.W = append(b.W, coupling)
			}
		}
		b.RowPtr = append(b.RowPtr, len(b.W))
	}
	n.Blocks = []spin.Block[float32]{b}
	return n
}

// deep returns three layers, the middle one coupled to both others.
func deep(sizes [3]int, seed uint64) *spin.Net[float32] {
	r := &numbers{key: philox.NewKey(seed)}
	return &spin.Net[float32]{
		Layers: sizes[:],
		Bias:   r.floats(sizes[0]+sizes[1]+sizes[2], 0.25),
		Blocks: []spin.Block[float32]{
			{A: 0, B: 1, W: r.floats(sizes[0]*sizes[1], 0.25)},
			{A: 1, B: 2, W: r.floats(sizes[1]*sizes[2], 0.25)},
		},
	}
}

// must turns a network that is known to fit into fixed point.
func must(n *spin.Net[float32]) *spin.Network {
	q, err := spin.Quantize(n)
	if err != nil {
		panic(err)
	}
	return q
}

func ladder(n int) []float64 {
	t := []float64{0, spin.MinTemperature, 0.25, 0.75, 1, 1.5, 3, 20, 1e6}
	out := make([]float64, n)
	for i := range out {
		out[i] = t[i%len(t)]
	}
	return out
}

var moments = backend.MomentSpec{Means: true, Edges: true, AllPairs: true}

// Cases returns the sampling jobs of the suite.
func Cases() []Case {
	return []Case{
		{"one-unit-each", 9, "a833768f9c0b00a2dc09c816042b136f6f3f55a8ad5aa0a6a5384950d8d2f427", func() backend.SamplerSpec {
			return backend.SamplerSpec{Network: must(RandomRBM(1, 1, 1, 1)), Chains: 1, Seed: 1, Moments: moments}
		}},
		{"rbm-7x5", 11, "326e0deb95afaad0dcb367c37b3596481ea4d7e45f38beb2e0bafd75a9120265", func() backend.SamplerSpec {
			return backend.SamplerSpec{Network: must(RandomRBM(7, 5, 2, 2)), Chains: 67, Seed: 2, Moments: moments}
		}},
		{"rbm-101x83", 3, "4aaa3857480ada5d178234f8891d94977b33ab77c1221b7271a896410b61c1cb", func() backend.SamplerSpec {
			return backend.SamplerSpec{
				Network: must(RandomRBM(101, 83, 4, 3)), Chains: 197, Seed: 3 << 40, Moments: moments,
				FirstChain: 1<<32 - 500, FirstSweep: 1<<40 - 1,
			}
		}},
		{"rbm-5x3-many-chains", 4, "439e3e3c94044d83f2dd766ab4e048c80a260cfdbfde1e41d476043941615375", func() backend.SamplerSpec {
			return backend.SamplerSpec{Network: must(RandomRBM(5, 3, 2, 4)), Chains: 2111, Seed: 4, Moments: moments}
		}},
		{"rbm-tempered", 5, "4dc875d4de5d74612f27ac3f579b3a75d95f12afc2c3be7029a0ecb94e0465b2", func() backend.SamplerSpec {
			return backend.SamplerSpec{
				Network: must(RandomRBM(43, 41, 3, 5)), Chains: 131, Seed: 5,
				Temperatures: ladder(131), Moments: moments,
			}
		}},
		{"rbm-cold", 4, "ceb1da46a72100969aa3d2e583e8230c5623fe2afddc860331d8f4e9ecdbcb4e", func() backend.SamplerSpec {
			n := RandomRBM(19, 13, 3, 6)
			clear(n.Bias) // fields of zero must toss a coin
			for i := range n.Blocks[0].W {
				n.Blocks[0].W[i] = float32(int(n.Blocks[0].W[i] * 4))
			}
			return backend.SamplerSpec{Network: must(n), Chains: 90, Seed: 6, Temperatures: []float64{0}, Moments: moments}
		}},
		{"rbm-few-fraction-bits", 4, "8856c0b9063094adc2163ba21406a9404f2634937a43db4842b557c5b28a4cce", func() backend.SamplerSpec {
			return backend.SamplerSpec{
				Network: must(RandomRBM(23, 29, 100000, 7)), Chains: 65, Seed: 7,
				Temperatures: []float64{40000}, Moments: moments,
			}
		}},
		{"rbm-clamped", 5, "2a01b3840eafe42aaebe34d426453a8c57081e1d00844eb6f122a001a9b06315", func() backend.SamplerSpec {
			clamped := make([]bool, 60)
			for _, u := range []int{0, 3, 36, 37, 59} {
				clamped[u] = true
			}
			return backend.SamplerSpec{Network: must(RandomRBM(37, 23, 3, 8)), Chains: 100, Seed: 8, Clamped: clamped, Moments: moments}
		}},
		{"rbm-interpolated", 5, "311030e926d9935bf1751aa85bc63e059b01277f8a52f48551053793dd8c405c", func() backend.SamplerSpec {
			n := must(RandomRBM(31, 47, 3, 9))
			base := make([]int32, 31+47)
			for i := range 31 {
				base[i] = int32(i-15) << 19
			}
			return backend.SamplerSpec{Network: n, Chains: 71, Seed: 9, Stream: philox.AIS, Base: base, Mix: 5 << 20, Moments: moments}
		}},
		{"boltzmann-13x7", 6, "84fdb89ce6298b2bdf3f42321144fe2d85ae27362865f0ec11843e738a988ba0", func() backend.SamplerSpec {
			return backend.SamplerSpec{Network: must(RandomBoltzmann(13, 7, 0.4, 10)), Chains: 73, Seed: 10, Moments: moments}
		}},
		{"boltzmann-own-colours", 5, "4536200f12548f9da02b20e3d3b5640fa9ef8410dcb2b916a82602517ec450ea", func() backend.SamplerSpec {
			colors := make([]int, 9)
			for u := range colors {
				colors[u] = (u*4 + 2) % 9
			}
			return backend.SamplerSpec{
				Network: must(RandomBoltzmann(5, 4, 0.6, 11)), Chains: 300, Seed: 11,
				Colors: colors, Temperatures: ladder(300), Moments: moments,
			}
		}},
		{"torus-6x6", 6, "f64acc5524268347ab370dcb24bf1be44744a69e9773a2cb3b884a2a32e3d39a", func() backend.SamplerSpec {
			return backend.SamplerSpec{
				Network: must(Torus(6, 1, 0.125)), Chains: 129, Seed: 12,
				Temperatures: []float64{2.269}, Moments: moments,
			}
		}},
		{"deep-17x11x13", 5, "8fb8176c410c6c9918863452e6e37d5b2fd50f07949a184a16b2ac8e1923d6e3", func() backend.SamplerSpec {
			return backend.SamplerSpec{Network: must(deep([3]int{17, 11, 13}, 13)), Chains: 66, Seed: 13, Moments: moments}
		}},
		{"rbm-321x203", 2, "0a30bca99608c90d82e6378b300aa463895f65aba5130d50250a6dac65879548", func() backend.SamplerSpec {
			return backend.SamplerSpec{Network: must(RandomRBM(321, 203, 4, 14)), Chains: 100, Seed: 14, Moments: moments}
		}},
	}
}

// Digest runs the case on b, its chains cut into the given number of samplers,
// and returns the SHA-256 of all final states and summed moments, in hex.
func (c *Case) Digest(ctx context.Context, b backend.Backend, parts int) (string, error) {
	spec := c.spec()
	total, temps := spec.Chains, spec.Temperatures
	units := spec.Network.Units()
	hash := sha256.New()
	var sum backend.Moments
	first := spec.FirstChain
	for p := range parts {
		lo, hi := total*p/parts, total*(p+1)/parts
		if lo == hi {
			continue
		}
		spec.Chains, spec.FirstChain = hi-lo, first+uint32(lo)
		if len(temps) > 1 {
			spec.Temperatures = temps[lo:hi]
		}
		s, err := b.NewSampler(spec)
		if err != nil {
			return "", err
		}
		state := spin.NewBatch(units, spec.Chains)
		var m backend.Moments
		err = s.Sweep(ctx, c.Sweeps)
		if err == nil {
			err = s.State(state)
		}
		if err == nil {
			err = s.Moments(&m)
		}
		if cerr := s.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return "", err
		}
		row := make([]int8, units)
		raw := make([]byte, units)
		for chain := range spec.Chains {
			state.PutInt8(row, chain)
			for i, x := range row {
				raw[i] = byte(x)
			}
			hash.Write(raw)
		}
		if p == 0 || sum.Samples == 0 {
			sum = m
			continue
		}
		sum.Samples += m.Samples
		add(sum.Means, m.Means)
		add(sum.Pairs, m.Pairs)
		for k := range sum.Edges {
			add(sum.Edges[k], m.Edges[k])
		}
	}
	_ = binary.Write(hash, binary.LittleEndian, sum.Samples)
	for _, x := range append([][]int64{sum.Means, sum.Pairs}, sum.Edges...) {
		_ = binary.Write(hash, binary.LittleEndian, x)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func add(dst, src []int64) {
	for i, x := range src {
		dst[i] += x
	}
}

// CheckDigest runs the case and returns an error if the digest is not the
// golden one.
func (c *Case) CheckDigest(ctx context.Context, b backend.Backend, parts int) error {
	got, err := c.Digest(ctx, b, parts)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	if got != c.Golden {
		return fmt.Errorf("%s: digest %s, want %s", c.Name, got, c.Golden)
	}
	return nil
}
