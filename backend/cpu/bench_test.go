package cpu

import (
	"context"
	"fmt"
	"testing"

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
