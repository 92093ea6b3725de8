// Package ascent holds the inner loops that turn the statistics of a training
// step into new weights: one row of the weight matrix at a time, float32
// masters through float64 arithmetic to fixed point.
//
// The order of operations is that of backend.Update, and every path gives the
// same bits. Kernels panic on slices of the wrong length.
package ascent

import (
	"fmt"
	"math"
	"unsafe"

	"kadanoff/kernels/isa"
)

// Lanes is the number of lanes of the sums along a row.
const Lanes = 8

// Row is what all columns of a row share.
type Row struct {
	Factor       float64 // turns pair statistics into a gradient
	Mu, Dv       float64 // μ_i and Δv_i, used when Centred
	Decay, L1    float64 // used when Shrink
	Rate         float64
	Momentum     float64 // used where there are velocities
	Scale        float32 // 2^frac of the fixed point
	Centred      bool
	Shrink       bool
	lanes        [Lanes]float64
	magnitudes   [Lanes]float32
	n            uintptr
	w, velocity  *float32
	sums32       *int32
	sums64       *float64
	fixed        *int32
	dh, lambda   *float64
	column       *float64
	columnWeight *float32
}

// Columns are the vectors along a row that all rows share, each of the length
// of a row. Dh, Lambda and Sum are not looked at unless the row is Centred.
type Columns struct {
	Dh, Lambda []float64 // Δh_a and λ_a
	Sum        []float64 // Σ_i x_ia μ_i is added here
	Magnitude  []float32 // Σ_i |W_ia| is added here, in float32
}

// Kernel is one path through the package. A Kernel is safe for concurrent use.
type Kernel struct {
	level isa.Level
	row   func(r *byte) // of a *Row
	add   func(dst *float64, src *int32, k float64, n int)
}

var kernels = table()

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

// Update makes the new weights of a row from its pair statistics, which are in
// sums or, when that is nil, integers in exact. It is, with n = len(w),
//
//	for a in [0, n):
//	    g = sums[a]·Factor
//	    if Centred: g = fma(−Mu, Dh[a], g);  g = fma(−Dv, Lambda[a], g)
//	    if Shrink: g = fma(−Decay, w[a], g);  g = g − L1·sign(w[a])
//	    x = Rate·g
//	    if velocity: x = fma(Momentum, velocity[a], x);  velocity[a] = float32(x)
//	    w[a] = float32(w[a] + x)
//	    if Centred: lane[a%8] = fma(x, Lambda[a], lane[a%8]);  Sum[a] = fma(x, Mu, Sum[a])
//	    fixed[a] = int32(w[a]·Scale), to nearest even
//	    Magnitude[a] += |w[a]|
//
// in float64. It returns the lanes and Σ |w[a]|, which like Magnitude is a
// float32 sum in any order: a bound, not a result. fixed is of no use where
// |w[a]·Scale| ≥ 2³¹. velocity is nil without momentum.
func (k *Kernel) Update(r *Row, w, velocity []float32, sums []int32, exact []float64, fixed []int32, c *Columns) (lanes [Lanes]float64, magnitude float32) {
	n := len(w)
	want("fixed", len(fixed), n)
	want("Magnitude", len(c.Magnitude), n)
	if velocity != nil {
		want("velocity", len(velocity), n)
	}
	if sums != nil {
		want("sums", len(sums), n)
	} else {
		want("exact", len(exact), n)
	}
	if r.Centred {
		want("Dh", len(c.Dh), n)
		want("Lambda", len(c.Lambda), n)
		want("Sum", len(c.Sum), n)
	}
	r.lanes, r.magnitudes = [Lanes]float64{}, [Lanes]float32{}
	from := 0
	if k.row != nil && n >= Lanes {
		from = n &^ (Lanes - 1)
		r.n = uintptr(from)
		r.w, r.fixed, r.columnWeight = &w[0], &fixed[0], &c.Magnitude[0]
		r.velocity, r.sums32, r.sums64 = nil, nil, nil
		if velocity != nil {
			r.velocity = &velocity[0]
		}
		if sums != nil {
			r.sums32 = &sums[0]
		} else {
			r.sums64 = &exact[0]
		}
		if r.Centred {
			r.dh, r.lambda, r.column = &c.Dh[0], &c.Lambda[0], &c.Sum[0]
		}
		k.row((*byte)(unsafe.Pointer(r)))
	}
	update(r, from, w, velocity, sums, exact, fixed, c)
	for _, m := range r.magnitudes {
		magnitude += m
	}
	return r.lanes, magnitude
}

// update is Update from column from on, in plain Go.
func update(r *Row, from int, w, velocity []float32, sums []int32, exact []float64, fixed []int32, c *Columns) {
	scale := float64(r.Scale)
	for a := from; a < len(w); a++ {
		var g float64
		if sums != nil {
			g = float64(sums[a])
		} else {
			g = exact[a]
		}
		g = float64(g * r.Factor)
		old := float64(w[a])
		if r.Centred {
			g = math.FMA(-r.Mu, c.Dh[a], g)
			g = math.FMA(-r.Dv, c.Lambda[a], g)
		}
		if r.Shrink {
			g = math.FMA(-r.Decay, old, g)
			switch {
			case old > 0:
				g -= r.L1
			case old < 0:
				g += r.L1
			}
		}
		x := float64(r.Rate * g)
		if velocity != nil {
			x = math.FMA(r.Momentum, float64(velocity[a]), x)
			velocity[a] = float32(x)
		}
		next := float32(old + x)
		w[a] = next
		if r.Centred {
			r.lanes[a%Lanes] = math.FMA(x, c.Lambda[a], r.lanes[a%Lanes])
			c.Sum[a] = math.FMA(x, r.Mu, c.Sum[a])
		}
		fixed[a] = int32(math.RoundToEven(float64(float64(next) * scale)))
		m := float32(math.Abs(float64(next)))
		r.magnitudes[a%Lanes] += m
		c.Magnitude[a] += m
	}
}

// Add adds k·src[a] to dst[a] for all a; dst stays exact while its integers
// are below 2⁵³.
func (k *Kernel) Add(dst []float64, src []int32, factor int64) {
	want("src", len(src), len(dst))
	from := 0
	if k.add != nil && len(dst) >= Lanes {
		from = len(dst) &^ (Lanes - 1)
		k.add(&dst[0], &src[0], float64(factor), from)
	}
	for a := from; a < len(dst); a++ {
		dst[a] = math.FMA(float64(factor), float64(src[a]), dst[a])
	}
}

func want(name string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("ascent: len(%s) = %d, want %d", name, got, want))
	}
}
