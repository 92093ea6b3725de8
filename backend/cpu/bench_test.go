package cpu

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kadanoff/backend"
	"kadanoff/kernels/isa"
)

// One sweep v → h → v of all chains. Goals in connections a second on one core
// at 3.7 GHz with one 512-bit FMA a cycle (AVX-512 path): 784×500×1000
// 1.9e11, 64×64×4096 9.5e10, 256×256×256 1.5e11, 4096×4096×256 1.5e11.
func BenchmarkSweep(b *testing.B) {
	for _, size := range [][3]int{{784, 500, 1000}, {784, 500, 100}, {64, 64, 4096}, {256, 256, 256}, {4096, 4096, 256}} {
		q := quantized(b, size[0], size[1])
		for _, level := range isa.Available() {
			for _, threads := range []int{1, 2} {
				if level == isa.Generic && size[0] > 1000 {
					continue
				}
				b.Run(fmt.Sprintf("%dx%dx%d/%v/%d-threads", size[0], size[1], size[2], level, threads), func(b *testing.B) {
					s, err := open(b, level, threads).NewSampler(backend.SamplerSpec{Network: q, Chains: size[2]})
					if err != nil {
						b.Fatal(err)
					}
					for b.Loop() {
						if err := s.Sweep(context.Background(), 1); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(2*float64(b.N)*float64(size[0]*size[1]*size[2])/b.Elapsed().Seconds()/1e9, "Gconn/s")
				})
			}
		}
	}
}

// Two threads against one, taking turns in one process: the least time of many
// calls of each, since other programs may want the cores. Goal: 1.9 times as
// fast for whole sweeps of all shapes, also one sweep at a time.
func BenchmarkTwoThreads(b *testing.B) {
	ctx := context.Background()
	compare := func(name string, call func(threads int) func()) {
		b.Run(name, func(b *testing.B) {
			calls := []func(){call(1), call(2)}
			least := []time.Duration{time.Hour, time.Hour}
			for b.Loop() {
				for range 50 {
					for k, do := range calls {
						do() // the other's data have left the caches
						start := time.Now()
						do()
						least[k] = min(least[k], time.Since(start))
					}
				}
			}
			b.ReportMetric(float64(least[0].Microseconds()), "µs/1-thread")
			b.ReportMetric(float64(least[1].Microseconds()), "µs/2-threads")
			b.ReportMetric(float64(least[0])/float64(least[1]), "times")
		})
	}
	for _, size := range [][3]int{{784, 500, 1000}, {784, 500, 100}, {64, 64, 4096}, {256, 256, 256}, {4096, 4096, 256}} {
		q := quantized(b, size[0], size[1])
		compare(fmt.Sprintf("gibbs/%dx%dx%d", size[0], size[1], size[2]), func(threads int) func() {
			s, err := open(b, isa.Best(), threads).NewSampler(backend.SamplerSpec{Network: q, Chains: size[2]})
			if err != nil {
				b.Fatal(err)
			}
			return func() {
				if err := s.Sweep(ctx, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, c := range [][3]int{{1024, 1, 20}, {1024, 1, 1}, {512, 1, 20}, {4096, 1, 1}, {64, 2048, 1}} {
		compare(fmt.Sprintf("lattice/L=%d/replicas=%d/sweeps=%d", c[0], c[1], c[2]), func(threads int) func() {
			l := openIsing(b, open(b, isa.Best(), threads), backend.LatticeSpec{Width: c[0], Height: c[0], Replicas: c[1], Temperatures: []float64{2.269}})
			return func() {
				if err := l.Sweep(ctx, c[2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
