package gibbs

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kadanoff/kernels/isa"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// eachLevel runs a test once for every path of this machine.
func eachLevel(t *testing.T, f func(t *testing.T, k *Kernel)) {
	for i := range kernels {
		l := kernels[i].level
		if !isa.Has(l) {
			t.Logf("%v: %s", l, isa.Missing(l))
			continue
		}
		t.Run(l.String(), func(t *testing.T) { f(t, For(l)) })
		if k := For(l).Few(); k != nil {
			t.Run(l.String()+"-few", func(t *testing.T) { f(t, k) })
		}
		if k := For(l).Still(); k != nil {
			t.Run(l.String()+"-still", func(t *testing.T) { f(t, k) })
		}
	}
}

func TestFor(t *testing.T) {
	for _, l := range isa.Available() {
		k := For(l)
		if k.Level() > l || !isa.Has(k.Level()) {
			t.Errorf("For(%v) gives %v", l, k.Level())
		}
	}
	if k := For(isa.Generic); k.Level() != isa.Generic {
		t.Errorf("For(generic) gives %v", k.Level())
	}
}

const guard = 0x5a5a5a5a5a5a5a5a

// problem is a random half step with its weights unpacked.
type problem struct {
	bias   []int32
	blocks []Block
	step   Step
}

// shape of a problem: layers heard, their sizes, units, chains.
type shape struct {
	in     []int
	out    int
	chains int
}

func (s shape) String() string { return fmt.Sprintf("%v-%d-%d", s.in, s.out, s.chains) }

// newProblem makes a problem with fields of about scale and never beyond 2³¹,
// guard words around all rows.
func newProblem(r *rand.Rand, sh shape, scale float64) *problem {
	p := new(problem)
	n := 0
	for _, in := range sh.in {
		n += in
	}
	words := (sh.chains + 63) / 64
	limit := min(scale, (math.MaxInt32-1)/float64(n+1))
	weight := func() int32 { return int32((2*r.Float64() - 1) * limit) }
	for k, in := range sh.in {
		b := Block{In: in, Transposed: (k+sh.out)%2 == 1}
		rows, cols := in, sh.out
		if b.Transposed {
			rows, cols = cols, rows
		}
		b.Stride = cols + r.IntN(3)
		b.Src = make([]int32, rows*b.Stride)
		for i := range b.Src {
			b.Src[i] = weight()
		}
		p.blocks = append(p.blocks, b)
		rr := Rows{N: in, Stride: words + r.IntN(3)}
		rr.Bits = make([]uint64, in*rr.Stride)
		for i := range rr.Bits {
			rr.Bits[i] = r.Uint64()
		}
		p.step.In = append(p.step.In, rr)
	}
	for range sh.out {
		p.bias = append(p.bias, weight())
	}
	s := &p.step
	s.Out = Rows{N: sh.out, Stride: words + 1}
	s.Out.Bits = slices.Repeat([]uint64{guard}, sh.out*s.Out.Stride)
	s.Unit1, s.Word1 = sh.out, words
	s.Rule = Rule{
		Frac: 23, Beta: 1 << 24, Chains: sh.chains, Chain0: 0xfffffff0, Key: philox.NewKey(r.Uint64()),
		Stream: philox.Data, Sweep: r.Uint64(), Unit: 8 * r.Uint32N(1000),
	}
	return p
}

func (p *problem) pack(k *Kernel) {
	p.step.Weights = k.NewWeights(p.inputs(), len(p.bias))
	k.Pack(p.step.Weights, p.bias, p.blocks, 0, len(p.bias))
}

func (p *problem) inputs() int {
	n := 0
	for _, b := range p.blocks {
		n += b.In
	}
	return n
}

// want returns the rows that the definition makes of a step, guards included.
func (p *problem) want() []uint64 {
	s := &p.step
	out := slices.Clone(s.Out.Bits)
	for u := s.Unit0; u < s.Unit1; u++ {
		for w := s.Word0; w < s.Word1; w++ {
			out[u*s.Out.Stride+w] = 0
		}
		for c := 64 * s.Word0; c < min(64*s.Word1, s.Chains); c++ {
			if s.draw(field(p.bias, p.blocks, s.In, u, c), u, c) {
				out[u*s.Out.Stride+c/64] |= 1 << (c % 64)
			}
		}
	}
	return out
}

func (p *problem) check(t *testing.T, k *Kernel, sc *Scratch, name string) {
	t.Helper()
	want := p.want()
	got := p.step
	got.Out.Bits = slices.Clone(p.step.Out.Bits)
	k.Step(&got, sc)
	for i, x := range got.Out.Bits {
		if x != want[i] {
			t.Fatalf("%s: unit %d word %d is %016x, want %016x (xor %016x)", name, i/got.Out.Stride, i%got.Out.Stride, x, want[i], x^want[i])
		}
	}
}

var shapes = []shape{
	{[]int{1}, 1, 1},
	{[]int{3}, 1, 63},
	{[]int{7}, 5, 64},
	{[]int{1}, 41, 65},
	{[]int{13, 11}, 83, 100},
	{[]int{127}, 37, 131},
	{[]int{4, 1, 6}, 8, 36},
	{[]int{131}, 11, 257},
	{[]int{5}, 7, 17*64 + 3},
	{[]int{307}, 43, 68},
	{[]int{29}, 163, 33},
}

func TestStepShapes(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(1, 2))
		sc := NewScratch()
		for _, sh := range shapes {
			for _, scale := range []float64{1 << 20, 1 << 24, math.Inf(1)} {
				p := newProblem(r, sh, scale)
				p.pack(k)
				p.check(t, k, sc, sh.String())
			}
		}
	})
}

// Every range of units and words gives its part and leaves the rest alone.
func TestStepRanges(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(3, 4))
		sc := NewScratch()
		p := newProblem(r, shape{[]int{23}, 177, 211}, 1<<22)
		p.pack(k)
		for _, u := range [][2]int{{0, k.Block()}, {k.Block(), 160}, {80, 160}, {80, 177}, {177 / k.Block() * k.Block(), 177}, {0, 0}} {
			for _, w := range [][2]int{{0, 1}, {1, 3}, {2, 4}, {3, 4}, {2, 2}} {
				p.step.Unit0, p.step.Unit1, p.step.Word0, p.step.Word1 = u[0], u[1], w[0], w[1]
				p.check(t, k, sc, fmt.Sprint("units ", u, " words ", w))
			}
		}
	})
}

// A half step cut into calls of one Epoch is the half step, whatever else its
// Scratch does in between.
func TestStepEpoch(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(33, 34))
		sc := NewScratch()
		p := newProblem(r, shape{[]int{23}, 177, 290}, 1<<22)
		for range p.step.Chains {
			p.step.Betas = append(p.step.Betas, betaOf(t, temperatures[r.IntN(len(temperatures))]))
		}
		p.pack(k)
		want := p.want()
		list := &ListStep{Rule: Rule{Frac: 20, Beta: 1 << 24, Chains: 64}, Units: []int32{0}, RowPtr: []int{0, 0}, Bias: []int32{5}, State: Rows{Bits: []uint64{0}, Stride: 1, N: 1}, Word1: 1}
		other := newProblem(r, shape{[]int{29}, 40, 130}, 1<<22)
		other.pack(k)
		m := make([]int32, 40*192)
		p.step.Epoch = 5
		for i, u := range []int{160, 0, 80} {
			p.step.Unit0, p.step.Unit1 = u, min(u+UnitBlock, 177)
			k.Step(&p.step, sc)
			switch i {
			case 0:
				k.List(list, sc)
			case 1:
				other.step.Epoch = 6
				k.Means(m, 192, &other.step, sc)
				k.SpinMeans(make([]int32, 29*40), 40, randomRows(r, 29, 130), m, 192, 0, 40, 0, 3, 130, 60, sc)
			}
		}
		for i, x := range p.step.Out.Bits {
			if x != want[i] {
				t.Fatalf("unit %d word %d is %016x, want %016x", i/p.step.Out.Stride, i%p.step.Out.Stride, x, want[i])
			}
		}
	})
}

// Calls of one Epoch for some of the words that the first was for are the half
// step, in any order.
func TestStepEpochWords(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(35, 36))
		sc := NewScratch()
		for _, chains := range []int{290, 310, 1101} {
			p := newProblem(r, shape{[]int{23}, 177, chains}, 1<<22)
			for range p.step.Chains {
				p.step.Betas = append(p.step.Betas, betaOf(t, temperatures[r.IntN(len(temperatures))]))
			}
			p.pack(k)
			want := p.want()
			p.step.Epoch = uint64(chains)
			part := func(u0, u1, w0, w1 int) {
				p.step.Unit0, p.step.Unit1, p.step.Word0, p.step.Word1 = u0, u1, w0, w1
				k.Step(&p.step, sc)
			}
			words := (chains + 63) / 64
			part(80, 160, 0, words)
			for _, u := range []int{160, 0} {
				for _, w := range [][2]int{{1, 3}, {0, 1}, {words - 1, words}, {4, words - 1}, {3, 4}} {
					part(u, min(u+80, 177), w[0], w[1])
				}
			}
			for i, x := range p.step.Out.Bits {
				if x != want[i] {
					t.Fatalf("%d chains: unit %d word %d is %016x, want %016x", chains, i/p.step.Out.Stride, i%p.step.Out.Stride, x, want[i])
				}
			}
		}
	})
}

var temperatures = []float64{0, spin.MinTemperature, 0.3, 1, 2.5, 1e6, math.Inf(1)}

// Inputs that are −1 in every chain are passed over, wherever they lie.
func TestStepDark(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(41, 42))
		sc := NewScratch()
		for _, share := range []float64{0.3, 0.6, 0.9, 1} {
			for _, sh := range []shape{{[]int{3}, 7, 100}, {[]int{211}, 43, 100}, {[]int{97, 113}, 83, 67}, {[]int{499}, 13, 577}} {
				p := newProblem(r, sh, 1<<22)
				p.pack(k)
				for _, in := range p.step.In {
					dark := false
					for i := range in.N {
						if i%8 == 0 {
							dark = r.Float64() < share
						}
						if dark {
							clear(in.Row(i)[:p.step.Word1])
						}
					}
				}
				p.check(t, k, sc, fmt.Sprintf("%v, %g dark", sh, share))
			}
		}
	})
}

func betaOf(t *testing.T, temp float64) uint64 {
	b, err := spin.Beta(temp)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every temperature and every number of fraction bits, and a temperature for
// each chain.
func TestStepTemperatures(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(5, 6))
		sc := NewScratch()
		for frac := uint(spin.MinFrac); frac <= spin.MaxFrac; frac++ {
			for _, scale := range []float64{1, math.Ldexp(0.3, int(frac)), math.Inf(1)} {
				p := newProblem(r, shape{[]int{19}, 23, 130}, scale)
				p.step.Frac = frac
				p.pack(k)
				for _, temp := range temperatures {
					p.step.Beta = betaOf(t, temp)
					p.check(t, k, sc, fmt.Sprintf("frac %d T %v scale %v", frac, temp, scale))
				}
				for range p.step.Chains {
					p.step.Betas = append(p.step.Betas, betaOf(t, temperatures[r.IntN(len(temperatures))]))
				}
				p.check(t, k, sc, fmt.Sprintf("frac %d, a T for each chain, scale %v", frac, scale))
			}
		}
	})
}

// Fields at the ends of int32, made by one weight and a bias.
func TestStepExtremes(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(7, 8))
		sc := NewScratch()
		for _, a := range []int32{math.MaxInt32, -math.MaxInt32, 1<<30 + 1, 1 << 30, -1 << 30, 0, 1} {
			p := newProblem(r, shape{[]int{2}, 16, 128}, 1)
			for i := range p.bias {
				p.bias[i] = 0
			}
			clear(p.blocks[0].Src)
			for u := range p.bias {
				if u%2 == 0 {
					p.bias[u] = a
				} else if p.blocks[0].Transposed {
					p.blocks[0].Src[u*p.blocks[0].Stride+1] = a
				} else {
					p.blocks[0].Src[p.blocks[0].Stride+u] = a
				}
			}
			p.pack(k)
			for _, temp := range temperatures {
				p.step.Beta = betaOf(t, temp)
				p.check(t, k, sc, fmt.Sprint("field ", a, " T ", temp))
			}
		}
	})
}

func TestStepMix(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(9, 10))
		sc := NewScratch()
		for _, scale := range []float64{1 << 20, math.Inf(1)} {
			p := newProblem(r, shape{[]int{31}, 61, 100}, scale)
			p.pack(k)
			for _, m := range []uint32{0, 1, 1 << 23, 12345678, 1<<24 - 1, 1 << 24} {
				p.step.Mix = Mix{On: true, M: m}
				p.check(t, k, sc, fmt.Sprint("no base, m ", m))
				for range p.bias {
					p.step.Mix.Base = append(p.step.Mix.Base, int32((2*r.Float64()-1)*min(scale, math.MaxInt32)))
				}
				p.check(t, k, sc, fmt.Sprint("m ", m))
			}
		}
	})
}

func TestFieldsAndMeans(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(11, 12))
		sc := NewScratch()
		for i, sh := range shapes {
			p := newProblem(r, sh, 1<<22)
			p.pack(k)
			s := &p.step
			s.Beta = betaOf(t, temperatures[i%len(temperatures)])
			if i%3 == 1 {
				for range s.Chains {
					s.Betas = append(s.Betas, betaOf(t, temperatures[r.IntN(len(temperatures))]))
				}
			}
			s.Word0 = s.Word1 / 2
			stride := 64*s.Word1 + 3
			fields := slices.Repeat([]int32{77}, sh.out*stride)
			means := slices.Clone(fields)
			k.Fields(fields, stride, s, sc)
			k.Means(means, stride, s, sc)
			for j := range fields {
				u, c := j/stride, j%stride
				var a, m int32
				switch {
				case c < 64*s.Word0 || c >= 64*s.Word1:
					a, m = 77, 77
				case c < s.Chains:
					a = field(p.bias, p.blocks, s.In, u, c)
					m = spin.Mean(a, s.beta(c), s.Frac)
				}
				if fields[j] != a || means[j] != m {
					t.Fatalf("%v: unit %d chain %d has field %d and mean %d, want %d and %d", sh, u, c, fields[j], means[j], a, m)
				}
			}
		}
	})
}

// Means over the whole range of fields.
func TestMeans(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(13, 14))
		for _, temp := range temperatures {
			for _, frac := range []uint{spin.MinFrac, 17, spin.MaxFrac} {
				row := make([]int32, 1013)
				for i := range row {
					row[i] = int32(r.Uint32()) >> r.UintN(32)
				}
				copy(row, []int32{0, 1, -1, math.MaxInt32, -math.MaxInt32, 12 << frac, -12 << frac, 12<<frac - 1})
				got := slices.Clone(row)
				k.path.means(got, []uint64{betaOf(t, temp)}, frac)
				for i, a := range row {
					if want := spin.Mean(a, betaOf(t, temp), frac); got[i] != want {
						t.Fatalf("T %v frac %d: mean of %d is %d, want %d", temp, frac, a, got[i], want)
					}
				}
			}
		}
	})
}

// Packing a part of the units, and packing again, leaves the other units alone.
func TestPackRanges(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(15, 16))
		sc := NewScratch()
		for _, sh := range []shape{{[]int{17, 3}, 201, 64}, {[]int{3, 17}, 200, 64}} {
			old := newProblem(r, sh, 1<<24)
			old.pack(k)
			w := old.step.Weights
			p := newProblem(r, sh, 1<<24)
			p.step.Weights = w
			for _, u := range [][2]int{{160, sh.out}, {0, 80}, {80, 160}} {
				k.Pack(w, p.bias, p.blocks, u[0], u[1])
			}
			p.check(t, k, sc, "packed in parts")
			k.Pack(w, nil, p.blocks, 80, 160)
			clear(p.bias[80:160])
			p.check(t, k, sc, "no bias")
		}
	})
}

// Both directions packed from rows, block by block and in any order, are what
// Pack makes.
func TestPackBoth(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(21, 22))
		for _, size := range [][2]int{{1, 1}, {3, 5}, {5, 3}, {7, 13}, {16, 10}, {23, 67}, {41, 128}, {89, 101}} {
			v, h := size[0], size[1]
			stride := h + r.IntN(4)
			src := make([]int32, v*stride)
			for i := range src {
				src[i] = int32(r.Uint32()) >> 10
			}
			bias := make([]int32, v+h)
			for i := range bias {
				bias[i] = int32(r.Uint32()) >> 8
			}
			want := [2]*Weights{k.NewWeights(v, h), k.NewWeights(h, v)}
			k.Pack(want[0], bias[v:], []Block{{Src: src, Stride: stride, In: v}}, 0, h)
			k.Pack(want[1], bias[:v], []Block{{Src: src, Stride: stride, Transposed: true, In: h}}, 0, v)

			got := [2]*Weights{k.NewWeights(v, h), k.NewWeights(h, v)}
			rows, columns := make([]int32, v+1), make([]int32, h+1)
			rows[v], columns[h] = 77, 77
			step := (1 + r.IntN(3)) * k.RowBlock()
			for i := (v - 1) / step * step; i >= 0; i -= step {
				n := min(step, v-i)
				k.PackBoth(got[0], got[1], src[i*stride:(i+n-1)*stride+h], stride, i, i+n, rows, columns)
			}
			if rows[v] != 77 || columns[h] != 77 {
				t.Fatalf("%d×%d: a sum beyond the last is changed", v, h)
			}
			k.SetBias(got[0], bias[v:], columns[:h])
			k.SetBias(got[1], bias[:v], rows[:v])
			for d, w := range want {
				if !slices.Equal(got[d].data, w.data) || !slices.Equal(got[d].offset, w.offset) {
					t.Fatalf("%d×%d: direction %d is not what Pack makes", v, h, d)
				}
			}
		}
	})
}

func TestList(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(17, 18))
		sc := NewScratch()
		for _, n := range []int{1, 5, 43, 211} {
			for _, chains := range []int{1, 63, 65, 130, 17*64 + 5} {
				for _, temp := range temperatures {
					s := &ListStep{Word1: (chains + 63) / 64}
					s.Rule = Rule{Frac: 20, Beta: betaOf(t, temp), Chains: chains, Chain0: 7, Key: philox.NewKey(r.Uint64()), Sweep: r.Uint64(), Unit: 16}
					if r.IntN(3) == 0 {
						for range chains {
							s.Betas = append(s.Betas, betaOf(t, temperatures[r.IntN(len(temperatures))]))
						}
					}
					if r.IntN(3) == 0 {
						s.Mix = Mix{On: true, M: r.Uint32N(1 << 24), Base: make([]int32, n)}
						for i := range s.Mix.Base {
							s.Mix.Base[i] = int32(r.Uint32()) >> 10
						}
					}
					s.State = Rows{N: n, Stride: s.Word1 + 1}
					s.State.Bits = slices.Repeat([]uint64{guard}, n*s.State.Stride)
					s.RowPtr = []int{0}
					for u := range n {
						for range s.Word1 {
							s.State.Bits[u*s.State.Stride+r.IntN(s.Word1)] = r.Uint64()
						}
						s.Bias = append(s.Bias, int32(r.Uint32())>>12)
						if u%3 == 0 { // units of the list hear the others
							s.Units = append(s.Units, int32(u))
							for range r.IntN(9) {
								if v := r.IntN(n); v%3 != 0 {
									s.Col = append(s.Col, int32(v))
									s.W = append(s.W, int32(r.Uint32())>>12)
								}
							}
						}
						s.RowPtr = append(s.RowPtr, len(s.Col))
					}
					s.Word0 = r.IntN(s.Word1)
					want := slices.Clone(s.State.Bits)
					for _, u := range s.Units {
						var blocks []Block
						var in []Rows
						for j := s.RowPtr[u]; j < s.RowPtr[u+1]; j++ {
							blocks = append(blocks, Block{Src: []int32{s.W[j]}, Stride: 1, In: 1})
							in = append(in, Rows{Bits: s.State.Row(int(s.Col[j])), N: 1})
						}
						for w := s.Word0; w < s.Word1; w++ {
							want[int(u)*s.State.Stride+w] = 0
						}
						for c := 64 * s.Word0; c < min(chains, 64*s.Word1); c++ {
							if s.draw(field(s.Bias[u:u+1], blocks, in, 0, c), int(u), c) {
								want[int(u)*s.State.Stride+c/64] |= 1 << (c % 64)
							}
						}
					}
					k.List(s, sc)
					for i, x := range s.State.Bits {
						if x != want[i] {
							t.Fatalf("%d units, %d chains, T %v: unit %d word %d is %016x, want %016x", n, chains, temp, i/s.State.Stride, i%s.State.Stride, x, want[i])
						}
					}
				}
			}
		}
	})
}

// randomRows returns rows of random spins with zero bits beyond the last
// chain, in a stride wider than they need.
func randomRows(r *rand.Rand, n, chains int) Rows {
	words := (chains + 63) / 64
	m := Rows{N: n, Stride: words + 2, Bits: make([]uint64, n*(words+2))}
	for i := range n {
		for w := range words {
			m.Bits[i*m.Stride+w] = r.Uint64()
		}
		m.Bits[i*m.Stride+words-1] &= spin.TailMask(chains)
		m.Bits[i*m.Stride+words] = guard
	}
	return m
}

func TestCounts(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(19, 20))
		sc := NewScratch()
		for _, d := range [][3]int{{1, 1, 1}, {3, 7, 63}, {37, 67, 65}, {5, 131, 1000}, {131, 5, 2049}, {41, 32, 520}} {
			a, b := randomRows(r, d[0], d[2]), randomRows(r, d[1], d[2])
			words := (d[2] + 63) / 64
			for _, w := range [][2]int{{0, words}, {words / 2, words}, {0, words / 2}} {
				stride := d[1] + 1
				dst := make([]int32, d[0]*stride)
				for i := range dst {
					dst[i] = int32(i)
				}
				i0 := d[0] / 3
				k.Counts(dst, stride, a, b, i0, d[0], w[0], w[1], d[2], sc)
				for x := range dst {
					i, j, want := x/stride, x%stride, int32(x)
					if i >= i0 && j < d[1] {
						for c := 64 * w[0]; c < min(64*w[1], d[2]); c++ {
							if up([]Rows{a}, i, c) == up([]Rows{b}, j, c) {
								want++
							} else {
								want--
							}
						}
					}
					if dst[x] != want {
						t.Fatalf("%v words %v: count of %d, %d is %d, want %d", d, w, i, j, dst[x], want)
					}
				}
			}
		}
	})
}

func TestPairAndRowCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, chains := range []int{1, 64, 200} {
		s := randomRows(r, 13, chains)
		i, j := []int32{0, 3, 12, 5}, []int32{1, 3, 0, 7}
		words := (chains + 63) / 64
		for w0 := range words {
			pairs, rows := []int64{5, 6, 7, 8}, make([]int64, 13)
			PairCounts(pairs, s, i, j, w0, words, chains)
			RowCounts(rows, s, w0, words, chains)
			for k := range pairs {
				want := int64(5 + k)
				for c := 64 * w0; c < chains; c++ {
					if up([]Rows{s}, int(i[k]), c) == up([]Rows{s}, int(j[k]), c) {
						want++
					} else {
						want--
					}
				}
				if pairs[k] != want {
					t.Errorf("%d chains: pair %d is %d, want %d", chains, k, pairs[k], want)
				}
			}
			for u, got := range rows {
				want := int64(0)
				for c := 64 * w0; c < chains; c++ {
					if up([]Rows{s}, u, c) {
						want++
					} else {
						want--
					}
				}
				if got != want {
					t.Errorf("%d chains: row %d is %d, want %d", chains, u, got, want)
				}
			}
		}
	}
}

func TestSpinMeans(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(23, 24))
		sc := NewScratch()
		for _, d := range [][3]int{{1, 1, 1}, {3, 7, 63}, {67, 37, 65}, {5, 131, 256}, {131, 85, 100}, {1100, 3, 17}} {
			v, units, chains := randomRows(r, d[0], d[2]), d[1], d[2]
			words := (chains + 63) / 64
			mStride, stride := 64*words+1, units+3
			m := make([]int32, units*mStride)
			for i := range m {
				m[i] = r.Int32N(2<<spin.MeanBits+1) - 1<<spin.MeanBits
				if r.IntN(4) == 0 {
					m[i] = 1 << spin.MeanBits
				}
			}
			for _, a0 := range []int{0, units / UnitBlock * UnitBlock} {
				for w0 := range words {
					minus := r.IntN(chains + 2)
					dst := slices.Repeat([]int32{77}, d[0]*stride)
					k.SpinMeans(dst, stride, v, m, mStride, a0, units, w0, words, chains, minus, sc)
					for x, got := range dst {
						i, a, want := x/stride, x%stride, int32(77)
						if a >= a0 && a < units {
							want = 0
							for c := 64 * w0; c < chains; c++ {
								if up([]Rows{v}, i, c) == (c < minus) {
									want += m[a*mStride+c]
								} else {
									want -= m[a*mStride+c]
								}
							}
						}
						if got != want {
							t.Fatalf("%v from word %d, minus from %d: sum of row %d and unit %d is %d, want %d", d, w0, minus, i, a, got, want)
						}
					}
				}
			}
		}
	})
}

func TestTranspose64(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	var a, b [64]uint64
	for i := range a {
		a[i] = r.Uint64()
	}
	b = a
	transpose64(&b)
	for i := range a {
		for j := range b {
			if a[i]>>j&1 != b[j]>>i&1 {
				t.Fatalf("bit %d, %d", i, j)
			}
		}
	}
}
