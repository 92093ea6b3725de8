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

	addLnCosh2 func(dst *float64, a *int32, n int, at, rest, unit float64)
	tanh       func(x *float64, n int, unit float64)
	axpy       func(dst, x *float64, n int, f float64)
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

// AddLnCosh2 adds the logarithms of a hidden unit's sums over its two states:
//
//	for c in range a:
//	    dst[c] += fmath.LnCosh2(FMA(a[c], at, rest)·unit)
//
// for fields a in fixed point with last bit unit, at the point at of a path of
// interpolation (1, with rest 0, for the fields themselves).
func (k *Kernel) AddLnCosh2(dst []float64, a []int32, at, rest, unit float64) {
	if len(dst) != len(a) {
		panic(fmt.Sprintf("elem: %d sums for %d fields", len(dst), len(a)))
	}
	n := k.whole(len(a))
	if n > 0 {
		k.addLnCosh2(&dst[0], &a[0], n, at, rest, unit)
	}
	for c, x := range a[n:] {
		dst[n+c] += fmath.LnCosh2(math.FMA(float64(x), at, rest) * unit)
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
