package gemm

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"kadanoff/kernels/isa"
)

// define is Kernel.Add by its definition.
func define(m, n, depth int, alpha float32, a, b Matrix, c []float32, ldc int) {
	for i := range m {
		for j := range n {
			for l := range depth {
				x := float32(alpha * a.X[i*a.Row+l*a.Col])
				c[i*ldc+j] += float32(x * b.X[l*b.Row+j*b.Col])
			}
		}
	}
}

func numbers(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * math.Exp(8*r.Float64()-4))
	}
	return x
}

// Every path gives the bits of the definition at all sizes around those of
// tiles and blocks, with either operand transposed, and writes nothing else.
func TestPaths(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, level := range isa.Available() {
		k := For(level)
		if k.Level() > level {
			t.Errorf("For(%v) is %v", level, k.Level())
		}
		var s Scratch
		for _, size := range [][3]int{
			{1, 1, 1}, {0, 3, 2}, {3, 0, 2}, {3, 2, 0}, {2, 3, 5}, {6, 16, 7}, {8, 32, 9}, {7, 17, 31}, {13, 37, 11},
			{97, 33, 257}, {50, 64, 259}, {101, 97, 3}, {192, 3, 513}, {1, 101, 511},
		} {
			m, n, depth := size[0], size[1], size[2]
			for _, turned := range []int{0, 1, 2, 3} {
				a, b := Matrix{Row: depth + 3, Col: 1}, Matrix{Row: n + 1, Col: 1}
				if turned&1 != 0 {
					a.Row, a.Col = 1, m+2
				}
				if turned&2 != 0 {
					b.Row, b.Col = 1, depth+5
				}
				if depth == 9 { // neither rows nor columns lie together
					a.Row, a.Col, b.Row, b.Col = 2*a.Row, 2*a.Col, 3*b.Row, 3*b.Col
				}
				// Slices that end with their last element, at an odd place.
				if m > 0 && depth > 0 {
					a.X = numbers(r, a.last(m, depth)+2)[1:]
				}
				if n > 0 && depth > 0 {
					b.X = numbers(r, b.last(depth, n)+2)[1:]
				}
				ldc := n + 2
				got := numbers(r, m*ldc+7)
				want := append([]float32(nil), got...)
				alpha := []float32{1, -0.3}[turned%2]
				define(m, n, depth, alpha, a, b, want[3:], ldc)
				k.Add(&s, m, n, depth, alpha, a, b, got[3:], ldc)
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%v: %v, transposes %d: number %d is %v, want %v", level, size, turned, i-3, got[i], want[i])
					}
				}
			}
		}
	}
}

func TestPanics(t *testing.T) {
	x := func(n int) Matrix { return Matrix{make([]float32, n), 2, 1} }
	for name, f := range map[string]func(k *Kernel, s *Scratch){
		"short a": func(k *Kernel, s *Scratch) { k.Add(s, 2, 2, 2, 1, x(3), x(4), make([]float32, 4), 2) },
		"short b": func(k *Kernel, s *Scratch) { k.Add(s, 2, 2, 2, 1, x(4), x(3), make([]float32, 4), 2) },
		"short c": func(k *Kernel, s *Scratch) { k.Add(s, 2, 2, 2, 1, x(4), x(4), make([]float32, 3), 2) },
		"ldc":     func(k *Kernel, s *Scratch) { k.Add(s, 2, 2, 2, 1, x(4), x(4), make([]float32, 9), 1) },
		"m":       func(k *Kernel, s *Scratch) { k.Add(s, -1, 2, 2, 1, x(4), x(4), make([]float32, 4), 2) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			k, s := For(isa.Best()), new(Scratch)
			f(k, s)
		}()
	}
}

// BenchmarkAdd is the second layer of the thermometer, half a batch of 100:
// 50×512×256. Goal: 60 GFLOP/s
// with AVX2 (Zen 4 adds 59 and multiplies 59 billion numbers a second at 3.7 GHz).
func BenchmarkAdd(b *testing.B) {
	const m, n, depth = 50, 256, 512
	r := rand.New(rand.NewPCG(1, 2))
	x, y, c := Matrix{numbers(r, m*depth), depth, 1}, Matrix{numbers(r, depth*n), n, 1}, make([]float32, m*n)
	for _, level := range isa.Available() {
		b.Run(level.String(), func(b *testing.B) {
			k, s := For(level), new(Scratch)
			best := math.Inf(1)
			for b.Loop() {
				began := time.Now()
				k.Add(s, m, n, depth, 1, x, y, c, n)
				best = min(best, time.Since(began).Seconds())
			}
			b.ReportMetric(2*m*n*depth/best/1e9, "GFLOP/s")
		})
	}
}
