// Package elem applies the elementary functions of spin/fmath to slices:
// log-partition functions of hidden layers and mean-field iterations. All
// paths give fmath's bits.
package elem

import (
	"fmt"
	"math"

	"kadanoff/kernels/isa"
	"kadanoff/spin/fmath"
)

// Kernel is one path's set of kernels.
type Kernel struct {
	level isa.Level
	lanes int // the functions below take multiples of this; the rest is scalar

	coshRun func(sum, product *float64, a *int32, stride int, rest *float64, n int, at, unit float64)
	tanh    func(x *float64, n int, unit float64)
	axpy    func(dst, x *float64, n int, f float64)
}

// For returns the best path at or below the level.
func For(level isa.Level) *Kernel {
	best := &kernels[0]
	for i := range kernels {
		if k := &kernels[i]; k.level <= level && isa.Has(k.level) {
			best = k
		}
	}
	return best
}

// Level returns the instruction set of the path.
func (k *Kernel) Level() isa.Level { return k.level }

// whole returns how many of n elements the vector part takes.
func (k *Kernel) whole(n int) int {
	if k.lanes == 0 {
		return 0
	}
	return n - n%k.lanes
}

// SumLnCosh2 adds up the logarithms of hidden units' sums over their two states:
//
//	for c in range dst:
//	    for u in range rest: x[u] = FMA(a[u·stride + c], at, rest[u])·unit
//	    dst[c] = fmath.SumLnCosh2(x)
//
// for fields a in fixed point with last bit unit, a power of two, at the point
// at of a path of interpolation (1, with rest 0, for the fields themselves).
// It may read a up to the next multiple of eight of len(dst) in each row.
func (k *Kernel) SumLnCosh2(dst []float64, a []int32, stride int, rest []float64, at, unit float64) {
	n := len(dst)
	if n == 0 {
		return
	}
	if rows := len(rest); n > stride || rows > 0 && len(a) < (rows-1)*stride+n {
		panic(fmt.Sprintf("elem: %d sums of %d rows of %d fields with stride %d", n, rows, len(a), stride))
	}
	clear(dst)
	whole := k.whole(n)
	if k.lanes > 0 {
		if padded := (n + k.lanes - 1) / k.lanes * k.lanes; padded <= stride && (len(rest)-1)*stride+padded <= len(a) {
			whole = padded
		}
	}
	for u := 0; u < len(rest); u += fmath.CoshRun {
		run, fields := rest[u:min(u+fmath.CoshRun, len(rest))], a[u*stride:]
		var sum, product [8]float64
		for c := 0; c < whole; c += k.lanes {
			k.coshRun(&sum[0], &product[0], &fields[c], 4*stride, &run[0], len(run), at, unit)
			for i := range min(k.lanes, n-c) {
				dst[c+i] += sum[i] + fmath.Log(product[i])
			}
		}
		var x [fmath.CoshRun]float64
		for c := whole; c < n; c++ {
			for j, r := range run {
				x[j] = math.FMA(float64(fields[j*stride+c]), at, r) * unit
			}
			dst[c] += fmath.SumLnCosh2(x[:len(run)])
		}
	}
}

// Tanh is
//
//	for i in range x:
//	    x[i] = fmath.Tanh(x[i]·unit)
func (k *Kernel) Tanh(x []float64, unit float64) {
	n := k.whole(len(x))
	if n > 0 {
		k.tanh(&x[0], n, unit)
	}
	for i, v := range x[n:] {
		x[n+i] = fmath.Tanh(v * unit)
	}
}

// Axpy is
//
//	for i in range dst:
//	    dst[i] = FMA(x[i], f, dst[i])
func (k *Kernel) Axpy(dst, x []float64, f float64) {
	if len(dst) != len(x) {
		panic(fmt.Sprintf("elem: %d sums of %d terms", len(dst), len(x)))
	}
	n := k.whole(len(x))
	if n > 0 {
		k.axpy(&dst[0], &x[0], n, f)
	}
	for i, v := range x[n:] {
		dst[n+i] = math.FMA(v, f, dst[n+i])
	}
}
