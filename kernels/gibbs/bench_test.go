package gibbs

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"kadanoff/kernels/isa"
)

// benchShapes are the half steps that are measured, with the goal for each
// path in cycles for a spin update on a core with one 512-bit look-up a cycle
// (Zen 4), Philox of ten rounds included.
var benchShapes = []struct {
	in, out, chains int
	goal            map[isa.Level]float64
}{
	{784, 512, 1024, map[isa.Level]float64{isa.AVX512: 14.5}},
	{64, 64, 4096, map[isa.Level]float64{isa.AVX512: 2.7}},
	{256, 256, 256, map[isa.Level]float64{isa.AVX512: 6.6}},
	{4096, 4096, 256, map[isa.Level]float64{isa.AVX512: 98}},
	{784, 500, 128, nil},
	{784, 500, 100, nil}, // loses less than 25 % against 128
}

func benchProblem(in, out, chains int) *problem {
	return newProblem(rand.New(rand.NewPCG(1, 2)), shape{[]int{in}, out, chains}, float64(int(1)<<23)/float64(in)*4)
}

// measure runs f and reports its best time, since other work on the machine
// only adds to it, with cycles for each unit of work and fractions of the
// limits.
func measure(b *testing.B, k *Kernel, spins, macs, goal float64, f func()) {
	s := math.Inf(1)
	for b.Loop() {
		start := time.Now()
		f()
		s = min(s, time.Since(start).Seconds())
	}
	r := Probe(k.level)
	b.ReportMetric(s*1e6, "best-us")
	b.ReportMetric(spins/s/1e9, "Gspins/s")
	b.ReportMetric(macs/s/1e9, "Gmac/s")
	if r.Clock > 0 {
		b.ReportMetric(s*r.Clock/spins, "cycles/spin")
		b.ReportMetric(macs/s/r.Clock, "mac/cycle")
	}
	if r.Look > 0 {
		b.ReportMetric(macs/s/r.Look, "of-limit")
		b.ReportMetric(macs/s/r.FMA, "of-FMA-peak")
	}
	if goal > 0 && r.Clock > 0 {
		b.ReportMetric(goal/(s*r.Clock/spins), "of-goal")
	}
	b.ReportMetric(0, "ns/op")
}

func eachLevelB(b *testing.B, f func(b *testing.B, k *Kernel)) {
	for i := range kernels {
		if l := kernels[i].level; isa.Has(l) {
			b.Run(l.String(), func(b *testing.B) { f(b, For(l)) })
		}
	}
}

func BenchmarkStep(b *testing.B) {
	eachLevelB(b, func(b *testing.B, k *Kernel) {
		for _, c := range benchShapes {
			b.Run(fmt.Sprintf("%dx%dx%d", c.in, c.out, c.chains), func(b *testing.B) {
				p := benchProblem(c.in, c.out, c.chains)
				p.pack(k)
				sc := NewScratch()
				spins := float64(c.out) * float64(c.chains)
				measure(b, k, spins, spins*float64(c.in), c.goal[k.level], func() { k.Step(&p.step, sc) })
			})
		}
	})
}

// The sums alone: goal 80 % of the look-up limit with AVX-512, 2.5 times the
// FMA peak with AVX2.
func BenchmarkSums(b *testing.B) {
	eachLevelB(b, func(b *testing.B, k *Kernel) {
		for _, c := range benchShapes {
			b.Run(fmt.Sprintf("%dx%dx%d", c.in, c.out, c.chains), func(b *testing.B) {
				p := benchProblem(c.in, c.out, c.chains)
				p.pack(k)
				sc := NewScratch()
				spins := float64(c.out) * float64(c.chains)
				measure(b, k, spins, spins*float64(c.in), 0, func() { k.each(&p.step, sc, func(u, u1, w0, w1 int) {}) })
			})
		}
	})
}

func BenchmarkPack(b *testing.B) {
	eachLevelB(b, func(b *testing.B, k *Kernel) {
		for _, transposed := range []bool{false, true} {
			b.Run(fmt.Sprintf("784x500/transposed=%v", transposed), func(b *testing.B) {
				p := benchProblem(784, 500+b2i(transposed), 64)
				p.pack(k)
				n := float64(784 * len(p.bias))
				measure(b, k, n, n, 0, func() { k.Pack(p.step.Weights, p.bias, p.blocks, 0, len(p.bias)) })
			})
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func BenchmarkMoments(b *testing.B) {
	eachLevelB(b, func(b *testing.B, k *Kernel) {
		const in, out, chains = 784, 500, 100
		r := rand.New(rand.NewPCG(1, 2))
		v, h := randomRows(r, in, chains), randomRows(r, out, chains)
		dst, m := make([]int32, in*out), make([]int32, out*128)
		for i := range m {
			m[i] = r.Int32N(1 << 22)
		}
		sc := NewScratch()
		b.Run("SpinMeans/784x500x100", func(b *testing.B) {
			measure(b, k, in*out*chains, in*out*chains, 0, func() { k.SpinMeans(dst, out, v, m, 128, 0, out, 0, 2, chains, chains, sc) })
		})
		b.Run("Counts/784x500x100", func(b *testing.B) {
			measure(b, k, in*out*chains, in*out*chains, 0, func() { k.Counts(dst, out, v, h, 0, in, 0, 2, chains, sc) })
		})
		p := benchProblem(in, out, chains)
		p.pack(k)
		b.Run("Means/784x500x100", func(b *testing.B) {
			measure(b, k, out*chains, in*out*chains, 0, func() { k.Means(m, 128, &p.step, sc) })
		})
	})
}

// A 32×32 checkerboard with 128 chains: one colour, four neighbours a unit.
func BenchmarkList(b *testing.B) {
	const size, chains = 32, 128
	n := size * size
	r := rand.New(rand.NewPCG(1, 2))
	s := &ListStep{State: randomRows(r, n, chains), Bias: make([]int32, n), RowPtr: []int{0}, Word1: chains / 64}
	s.Rule = Rule{Frac: 20, Beta: 1 << 23, Chains: chains}
	for u := range n {
		x, y := u%size, u/size
		for _, v := range [][2]int{{x + 1, y}, {x + size - 1, y}, {x, y + 1}, {x, y + size - 1}} {
			s.Col = append(s.Col, int32(v[0]%size+v[1]%size*size))
			s.W = append(s.W, 1<<20)
		}
		s.RowPtr = append(s.RowPtr, len(s.Col))
		if (x+y)%2 == 0 {
			s.Units = append(s.Units, int32(u))
		}
	}
	eachLevelB(b, func(b *testing.B, k *Kernel) {
		sc := NewScratch()
		spins := float64(len(s.Units) * chains)
		measure(b, k, spins, 4*spins, 0, func() { k.List(s, sc) })
	})
}
