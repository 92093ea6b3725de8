package enum

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kadanoff/kernels/isa"
	"kadanoff/spin/fmath"
)

// guarded returns a slice of n elements between guard values, at an odd offset
// of its array, and a function that reports whether the guards are whole.
func guarded[T comparable](n int, guard T) ([]T, func() bool) {
	const pad = 7
	all := make([]T, n+2*pad)
	for i := range all {
		all[i] = guard
	}
	return all[pad : pad+n : pad+n], func() bool {
		for i := range pad {
			if all[i] != guard || all[pad+n+i] != guard {
				return false
			}
		}
		return true
	}
}

func onPaths(t *testing.T, f func(t *testing.T, k *Kernel, rng *rand.Rand)) {
	for _, l := range isa.Available() {
		t.Run(l.String(), func(t *testing.T) {
			k := For(l)
			if k.Level() != l {
				t.Fatalf("For(%v) is %v", l, k.Level())
			}
			f(t, k, rand.New(rand.NewPCG(1, 2)))
		})
	}
}

func equalBits(t *testing.T, name string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			t.Fatalf("%s[%d] = %v (%x), want %v (%x)", name, i, got[i], math.Float64bits(got[i]), want[i], math.Float64bits(want[i]))
		}
	}
}

func TestMinPlus(t *testing.T) {
	onPaths(t, func(t *testing.T, k *Kernel, rng *rand.Rand) {
		for _, n := range []int{1, 2, 3, 7, 31, 127} {
			fill := func(n int) []int32 {
				s, _ := guarded[int32](n, math.MinInt32)
				for i := range s {
					s[i] = int32(rng.IntN(1<<30)) - 1<<29
				}
				return s
			}
			p, q, r := fill(8*n), fill(32*n), fill(256)
			dst, whole := guarded[int32](256, -77)
			got := k.MinPlus(dst, p, q, r)
			least := int32(math.MaxInt32)
			for i := range 8 {
				for j := range 32 {
					m := int32(math.MaxInt32)
					for b := range n {
						m = min(m, p[8*b+i]+q[32*b+j])
					}
					m += r[32*i+j]
					least = min(least, m)
					if dst[32*i+j] != m {
						t.Fatalf("n = %d: dst[%d,%d] = %d, want %d", n, i, j, dst[32*i+j], m)
					}
				}
			}
			if got != least || !whole() {
				t.Fatalf("n = %d: least %d, want %d; guards whole: %v", n, got, least, whole())
			}
		}
	})
}

func TestCountEqual(t *testing.T) {
	onPaths(t, func(t *testing.T, k *Kernel, rng *rand.Rand) {
		for _, n := range []int{1, 2, 3, 7, 31, 127} {
			fill := func(n int) []int32 {
				s, _ := guarded[int32](n, 0)
				for i := range s {
					s[i] = int32(rng.IntN(5))
				}
				return s
			}
			p, q, r := fill(8*n), fill(32*n), fill(256)
			for energy := int32(-1); energy < 14; energy++ {
				want := int64(0)
				for e := range 256 * n {
					if b, i, j := e/256, e/32%8, e%32; p[8*b+i]+q[32*b+j]+r[32*i+j] == energy {
						want++
					}
				}
				if got := k.CountEqual(p, q, r, energy); got != want {
					t.Fatalf("n = %d: %d states of energy %d, want %d", n, got, energy, want)
				}
			}
		}
	})
}

func TestProductAndTrace(t *testing.T) {
	onPaths(t, func(t *testing.T, k *Kernel, rng *rand.Rand) {
		for _, n := range []int{1, 2, 3, 7, 31, 127} {
			fill := func(n int) []float64 {
				s, _ := guarded(n, math.NaN())
				for i := range s {
					s[i] = rng.ExpFloat64()
				}
				return s
			}
			p, q, r := fill(8*n), fill(16*n), fill(128)
			dst, whole := guarded(128, -7.5)
			sum, wholeSum := guarded(8, -7.5)
			clear(sum)
			wantSum := make([]float64, 8)
			want := make([]float64, 128)
			for range 2 { // the second call adds to the first
				k.Product(dst, p, q)
				k.Trace(sum, dst, r)
				for i := range 8 {
					for j := range 16 {
						s := 0.0
						for b := range n {
							s = math.FMA(p[8*b+i], q[16*b+j], s)
						}
						want[16*i+j] = s
						wantSum[j%8] = math.FMA(s, r[16*i+j], wantSum[j%8])
					}
				}
			}
			equalBits(t, "dst", dst, want)
			equalBits(t, "sum", sum, wantSum)
			if !whole() || !wholeSum() {
				t.Fatalf("n = %d: guards broken", n)
			}
		}
	})
}

func TestAddRows(t *testing.T) {
	onPaths(t, func(t *testing.T, k *Kernel, rng *rand.Rand) {
		for _, w := range []int{16, 32} {
			for _, rows := range []int{1, 2, 5, 13} {
				fill := func(n int) []int32 {
					s, _ := guarded[int32](n, 1)
					for i := range s {
						s[i] = rng.Int32()
					}
					return s
				}
				pattern, base, column := fill(w*rows), fill(rows), fill(w)
				dst, whole := guarded[int32](w*rows, -77)
				k.AddRows(dst, pattern, base, column)
				for e := range dst {
					if want := pattern[e] + base[e/w] + column[e%w]; dst[e] != want {
						t.Fatalf("width %d, %d rows: dst[%d] = %d, want %d", w, rows, e, dst[e], want)
					}
				}
				if !whole() {
					t.Fatalf("width %d, %d rows: guards broken", w, rows)
				}
			}
		}
	})
}

func TestExp(t *testing.T) {
	onPaths(t, func(t *testing.T, k *Kernel, rng *rand.Rand) {
		const n = 16 * 61
		x, _ := guarded(n, math.NaN())
		for i := range x {
			x[i] = (rng.Float64() - 0.5) * 1416
		}
		copy(x, []float64{0, math.Copysign(0, -1), 1, -1, -707.99, -708, -708.01, -746, -1e300, 707.9, 708, 0.3466, -0.3466, math.Inf(-1), 5e-324, -1e9})
		want := make([]float64, n)
		for i := range x {
			want[i] = fmath.Exp(x[i])
		}
		dst, whole := guarded(n, -7.5)
		k.Exp(dst, x)
		equalBits(t, "exp", dst, want)

		e, _ := guarded[int32](n, 0)
		for i := range e {
			e[i] = int32(rng.IntN(3000)) - 100
			want[i] = fmath.Exp(float64(e[i]) * -0.37)
		}
		k.Boltzmann(dst, e, -0.37)
		equalBits(t, "boltzmann", dst, want)
		if !whole() {
			t.Fatal("guards broken")
		}
	})
}

func TestFactorsAndScaledSum(t *testing.T) {
	onPaths(t, func(t *testing.T, k *Kernel, rng *rand.Rand) {
		for _, n := range []int{1, 3, 7, 31} {
			fill := func(n int) []float64 {
				s, _ := guarded(n, math.NaN())
				for i := range s {
					s[i] = fmath.Exp(rng.NormFloat64())
				}
				return s
			}
			y, x := fill(8*n), fill(16*n)
			man, whole := guarded(128, -7.5)
			exp, wholeExp := guarded[int64](128, -77)
			wantMan, wantExp := make([]float64, 128), make([]int64, 128)
			for e := range man {
				man[e], exp[e] = 1+rng.Float64(), int64(rng.IntN(4000))-2000
				m := man[e]
				for u := range n {
					m *= math.FMA(y[8*u+e/16], x[16*u+e%16], 1)
				}
				f, ex := math.Frexp(m)
				wantMan[e], wantExp[e] = 2*f, exp[e]+int64(ex)-1
			}
			k.Factors(man, exp, y, x)
			equalBits(t, "mantissa", man, wantMan)
			if !slices.Equal(exp, wantExp) || !whole() || !wholeExp() {
				t.Fatalf("n = %d: exponents differ or guards are broken", n)
			}
			rm, cm := fill(8), fill(16)
			re, ce := make([]int64, 8), make([]int64, 16)
			for i := range ce {
				ce[i] = int64(rng.IntN(50))
				re[i/2] = int64(rng.IntN(50)) - 70
			}
			top := int64(math.MinInt64)
			for e := range wantExp {
				wantExp[e] += re[e/16] + ce[e%16]
				top = max(top, wantExp[e])
			}
			want := make([]float64, 8)
			for e := range wantExp {
				scale := 0.0
				if d := wantExp[e] - top; d >= -1022 {
					scale = math.Ldexp(1, int(d))
				}
				want[e%8] = math.FMA(scale, rm[e/16]*cm[e%16]*man[e], want[e%8])
			}
			sum, wholeSum := guarded(8, -7.5)
			if got := k.ScaledSum(sum, man, exp, rm, cm, re, ce); got != top {
				t.Fatalf("n = %d: exponent %d, want %d", n, got, top)
			}
			equalBits(t, "sum", sum, want)
			if !wholeSum() {
				t.Fatal("guards broken")
			}
		}
	})
}

func TestResponses(t *testing.T) {
	onPaths(t, func(t *testing.T, k *Kernel, rng *rand.Rand) {
		for _, n := range []int{1, 3, 7, 31} {
			fill := func(n int) []float64 {
				s, _ := guarded(n, math.NaN())
				for i := range s {
					s[i] = fmath.Exp(rng.NormFloat64())
				}
				return s
			}
			weight, y, x := fill(128), fill(8*n), fill(16*n)
			sums, wholeSums := guarded(64*n, -7.5)
			total, wholeTotal := guarded(n, -7.5)
			wantSums, wantTotal := fill(64*n), fill(n)
			copy(sums, wantSums)
			copy(total, wantTotal)
			k.Responses(sums, total, weight, y, x)
			for u := range n {
				var row [16]float64
				for j := range 16 {
					r := func(i int) float64 { return weight[16*i+j] / math.FMA(y[8*u+i], x[16*u+j], 1) }
					tree := func(sign func(i int) float64) float64 {
						pair := func(i int) float64 { return sign(i)*r(i) + sign(i+1)*r(i+1) }
						return (pair(0) + pair(2)) + (pair(4) + pair(6))
					}
					row[j] = tree(func(int) float64 { return 1 })
					wantSums[64*u+j] += row[j]
					for b := range 3 {
						s := tree(func(i int) float64 { return float64(i>>b&1*2 - 1) })
						wantSums[64*u+16*(b+1)+j] += s
					}
				}
				var lane [8]float64
				for l := range lane {
					lane[l] = row[l] + row[l+8]
				}
				wantTotal[u] += Reduce(lane[:])
			}
			equalBits(t, "sums", sums, wantSums)
			equalBits(t, "total", total, wantTotal)
			if !wholeSums() || !wholeTotal() {
				t.Fatal("guards broken")
			}
		}
	})
}

func TestCount(t *testing.T) {
	onPaths(t, func(t *testing.T, k *Kernel, rng *rand.Rand) {
		for _, n := range []int{0, 8, 24, 104, 1000} {
			const levels = 37
			table, whole := guarded[uint32](levels, 9)
			clear(table)
			index, _ := guarded[int32](n, -1)
			want := make([]uint32, levels)
			for i := range index {
				index[i] = int32(rng.IntN(levels))
				want[index[i]]++
			}
			k.Count(table, index)
			if !slices.Equal(table, want) || !whole() {
				t.Fatalf("n = %d: %v, want %v", n, table, want)
			}
		}
	})
}

func TestShapesPanic(t *testing.T) {
	k := For(isa.Generic)
	f := func(n int) []float64 { return make([]float64, n) }
	i := func(n int) []int32 { return make([]int32, n) }
	for name, call := range map[string]func(){
		"MinPlus of nothing":   func() { k.MinPlus(i(256), nil, nil, i(256)) },
		"MinPlus, q short":     func() { k.MinPlus(i(256), i(16), i(63), i(256)) },
		"Product, dst short":   func() { k.Product(f(127), f(8), f(16)) },
		"Trace, sum short":     func() { k.Trace(f(7), f(128), f(128)) },
		"AddRows of width 8":   func() { k.AddRows(i(8), i(8), i(1), i(8)) },
		"AddRows of nothing":   func() { k.AddRows(nil, nil, nil, i(16)) },
		"Exp of 17":            func() { k.Exp(f(17), f(17)) },
		"Boltzmann of nothing": func() { k.Boltzmann(nil, nil, 1) },
		"Factors, x short":     func() { k.Factors(f(128), make([]int64, 128), f(8), f(15)) },
		"Count of 7":           func() { k.Count(make([]uint32, 3), i(7)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", name)
				}
			}()
			call()
		}()
	}
}

// Goals on one core of a Zen 4 with AVX-512: MinPlus 80 % of one add and one
// min for 16 states at two a cycle, Product 70 % of one multiply-add for 8
// states a cycle.
func BenchmarkMinPlus(b *testing.B) {
	for _, l := range isa.Available() {
		b.Run(l.String(), func(b *testing.B) {
			const n = 1024
			p, q := make([]int32, 8*n), make([]int32, 32*n)
			dst, r := make([]int32, 256), make([]int32, 256)
			k := For(l)
			for b.Loop() {
				k.MinPlus(dst, p, q, r)
			}
			report(b, 256*n, "states")
		})
	}
}

func BenchmarkProduct(b *testing.B) {
	for _, l := range isa.Available() {
		b.Run(l.String(), func(b *testing.B) {
			const n = 1024
			p, q, dst := make([]float64, 8*n), make([]float64, 16*n), make([]float64, 128)
			k := For(l)
			for b.Loop() {
				k.Product(dst, p, q)
			}
			report(b, 128*n, "states")
		})
	}
}

func BenchmarkFactors(b *testing.B) {
	for _, l := range isa.Available() {
		b.Run(l.String(), func(b *testing.B) {
			const n = 64
			y, x := make([]float64, 8*n), make([]float64, 16*n)
			for i := range x {
				x[i] = 0.3
			}
			for i := range y {
				y[i] = 0.4
			}
			man, exp := make([]float64, 128), make([]int64, 128)
			for i := range man {
				man[i] = 1
			}
			k := For(l)
			for b.Loop() {
				k.Factors(man, exp, y, x)
			}
			report(b, 128*n, "factors")
		})
	}
}

func BenchmarkExp(b *testing.B) {
	for _, l := range isa.Available() {
		b.Run(l.String(), func(b *testing.B) {
			x := make([]float64, 4096)
			for i := range x {
				x[i] = -float64(i) / 10
			}
			k := For(l)
			for b.Loop() {
				k.Exp(x, x)
			}
			report(b, len(x), "exp")
		})
	}
}

func report(b *testing.B, perCall int, unit string) {
	b.ReportMetric(float64(perCall)*float64(b.N)/b.Elapsed().Seconds()/1e9, fmt.Sprintf("G%s/s", unit))
}

func TestProbe(t *testing.T) {
	for _, l := range isa.Available() {
		r := Probe(l)
		t.Logf("%v: %+v", l, r)
		if known := l == isa.AVX2 || l == isa.AVX512; known != (r.AddMin > 0 && r.MulAdd > 0 && r.Factor > 0) {
			t.Errorf("%v: %+v", l, r)
		}
	}
}
