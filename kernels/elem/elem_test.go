package elem

import (
	"fmt"
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

// Sums over units are fmath's, whatever the padding of the rows and the
// number of runs.
func TestSumLnCosh2(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, level := range isa.Available() {
		k := For(level)
		for i, n := range []int{0, 1, 3, 4, 7, 8, 13, 64, 101} {
			for _, units := range []int{0, 1, 2, 37, fmath.CoshRun, fmath.CoshRun + 1, 2*fmath.CoshRun + 89} {
				stride := n + []int{0, 1, 8}[(i+units)%3]
				frac := []int{11, 20, 23}[units%3]
				unit := math.Ldexp(1, -frac)
				a, rest := make([]int32, units*stride), make([]float64, units)
				for j := range a {
					a[j] = int32(r.Uint32()) >> r.IntN(31)
				}
				for _, at := range []float64{1, 0.3125, 0} {
					for u := range rest {
						rest[u] = (1 - at) * float64(int32(r.Uint32()))
					}
					all, dst := guarded(n, 3, func(int) float64 { return r.NormFloat64() })
					want, x := make([]float64, n), make([]float64, units)
					for c := range want {
						for u := range x {
							x[u] = math.FMA(float64(a[u*stride+c]), at, rest[u]) * unit
						}
						want[c] = fmath.SumLnCosh2(x)
					}
					k.SumLnCosh2(dst, a, stride, rest, at, unit)
					compare(t, fmt.Sprintf("%v SumLnCosh2, %d units", level, units), all, want, 3)
				}
			}
		}
	}
}

// Goal on a core with one 512-bit FMA a cycle: 3 cycles a term, nearly all of
// it multiply-adds (20 for a vector of 8).
func BenchmarkSumLnCosh2(b *testing.B) {
	const chains, units = 100, 500
	for _, level := range isa.Available() {
		b.Run(level.String(), func(b *testing.B) {
			k, dst, a, rest := For(level), make([]float64, chains), make([]int32, units*128), make([]float64, units)
			for i := range a {
				a[i] = int32(i%1024-512) << 14
			}
			for b.Loop() {
				k.SumLnCosh2(dst, a, 128, rest, 1, 1.0/(1<<23))
			}
			b.ReportMetric(float64(b.N)*chains*units/b.Elapsed().Seconds()/1e9, "G/s")
		})
	}
}
