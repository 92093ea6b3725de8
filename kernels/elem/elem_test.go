package elem

import (
	"math"
	"math/rand/v2"
	"testing"

	"kadanoff/kernels/isa"
	"kadanoff/spin/fmath"
)

const guard = 0x1.fedcbap9

// guarded returns n values from f with guard values on both sides.
func guarded(n, off int, f func(i int) float64) (all, x []float64) {
	all = make([]float64, n+2*off)
	for i := range all {
		all[i] = guard
	}
	x = all[off : off+n : off+n]
	for i := range x {
		x[i] = f(i)
	}
	return all, x
}

func compare(t *testing.T, what string, all, want []float64, off int) {
	t.Helper()
	for i, x := range all {
		w := guard
		if i >= off && i < off+len(want) {
			w = want[i-off]
		}
		if math.Float64bits(x) != math.Float64bits(w) {
			t.Fatalf("%s: element %d is %v, want %v", what, i-off, x, w)
		}
	}
}

func TestPaths(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, level := range isa.Available() {
		k := For(level)
		if k.Level() != level {
			t.Errorf("For(%v) is %v", level, k.Level())
		}
		for _, n := range []int{0, 1, 3, 4, 7, 8, 13, 64, 257} {
			for _, off := range []int{1, 3} {
				for _, frac := range []int{11, 20, 23} {
					unit := math.Ldexp(1, -frac)
					a := make([]int32, n)
					for i := range a {
						a[i] = int32(r.Uint32()) >> r.IntN(31)
					}
					for _, at := range []float64{1, 0.3125, 0} {
						rest := (1 - at) * float64(int32(r.Uint32()))
						all, dst := guarded(n, off, func(int) float64 { return r.NormFloat64() })
						want := make([]float64, n)
						for i := range want {
							want[i] = dst[i] + fmath.LnCosh2(math.FMA(float64(a[i]), at, rest)*unit)
						}
						k.AddLnCosh2(dst, a, at, rest, unit)
						compare(t, level.String()+" AddLnCosh2", all, want, off)
					}
				}
				all, x := guarded(n, off, func(int) float64 { return r.NormFloat64() * math.Exp(20*r.Float64()-12) })
				want := make([]float64, n)
				for i := range want {
					want[i] = fmath.Tanh(x[i] * 0.3)
				}
				k.Tanh(x, 0.3)
				compare(t, level.String()+" Tanh", all, want, off)

				all, dst := guarded(n, off, func(int) float64 { return r.NormFloat64() })
				_, y := guarded(n, 1, func(int) float64 { return r.NormFloat64() })
				for i := range want {
					want[i] = math.FMA(y[i], 0.7, dst[i])
				}
				k.Axpy(dst, y, 0.7)
				compare(t, level.String()+" Axpy", all, want, off)
			}
		}
		for _, x := range []float64{0, math.Copysign(0, -1), 1e-300, -1e-300, 20, -20, 1e6, -1e6, 0.17, 0.18} {
			v := []float64{x, x, x, x, x, x, x, x}
			k.Tanh(v, 1)
			if math.Float64bits(v[0]) != math.Float64bits(fmath.Tanh(x)) {
				t.Errorf("%v: Tanh(%v) = %v, want %v", level, x, v[0], fmath.Tanh(x))
			}
		}
	}
}

// Goal on a core with one 512-bit FMA a cycle: 8 cycles an element, three
// quarters of it multiply-adds (29 for a vector of 8) and one division.
func BenchmarkAddLnCosh2(b *testing.B) {
	for _, level := range isa.Available() {
		b.Run(level.String(), func(b *testing.B) {
			k, dst, a := For(level), make([]float64, 1024), make([]int32, 1024)
			for i := range a {
				a[i] = int32(i-512) << 14
			}
			for b.Loop() {
				k.AddLnCosh2(dst, a, 1, 0, 1.0/(1<<23))
			}
			b.ReportMetric(float64(b.N)*1024/b.Elapsed().Seconds()/1e9, "G/s")
		})
	}
}
