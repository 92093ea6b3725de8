package spin

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

//go:generate go run gen_sigmoid.go

//go:embed sigmoid.bin
var sigmoidBytes []byte

// Fixed-point constants of the acceptance rule.
const (
	XBits    = 24          // fraction bits of the scaled field x
	XMax     = 12 << XBits // fields at or beyond 12 temperatures accept with certainty
	MeanBits = 22          // fraction bits of Mean

	tailShift = XBits - 11 // table step is 2⁻¹¹

	// MinTemperature is the lowest temperature above zero.
	MinTemperature = 1.0 / 256
	// BetaCold is the β of T = 0: any field but zero is beyond XMax.
	BetaCold = 1 << 62
)

// tail[i] is 2³²·σ(−2i/2¹¹) rounded to nearest.
var tail = func() []uint32 {
	t := make([]uint32, len(sigmoidBytes)/4)
	for i := range t {
		t[i] = binary.LittleEndian.Uint32(sigmoidBytes[4*i:])
	}
	return t
}()

// TailTable returns the table that Tail interpolates, for backends that keep
// it on a device: entry i is 2³²·σ(−2i/2¹¹), i = 0 … 12·2¹¹+1. It must not be
// written to.
func TailTable() []uint32 { return tail }

// Beta turns a temperature into the fixed-point β = round(2²⁴/T) that Up and
// Mean take. T = 0 gives BetaCold, the limit; T = +Inf gives 0. A negative T,
// NaN, or 0 < T < MinTemperature is an error.
func Beta(t float64) (uint64, error) {
	switch {
	case t == 0:
		return BetaCold, nil
	case t >= MinTemperature:
		return uint64(math.RoundToEven((1 << XBits) / t)), nil
	case t > 0:
		return 0, fmt.Errorf("temperature %v: want 0 or at least 1/256", t)
	}
	return 0, fmt.Errorf("temperature %v: want 0 or more", t)
}

// ScaledField returns x = min(12·2²⁴, |a|·β >> frac): the magnitude of the
// field a, which has frac fraction bits, over the temperature, with XBits
// fraction bits.
func ScaledField(a int32, beta uint64, frac uint) uint32 {
	m := uint64(a)
	if a < 0 {
		m = -m
	}
	hi, lo := bits.Mul64(m, beta)
	if hi>>frac != 0 {
		return XMax
	}
	return uint32(min(XMax, hi<<(64-frac)|lo>>frac))
}

// Tail returns S(x) = 2³²·σ(−2x) for a field x of XBits fraction bits, at most
// XMax: the constant table with linear interpolation in 64 bits.
func Tail(x uint32) uint32 {
	i, f := x>>tailShift, uint64(x&(1<<tailShift-1))
	t0, t1 := tail[i], tail[i+1]
	return t0 - uint32(uint64(t0-t1)*f>>tailShift)
}

// Up reports whether a unit with field a becomes +1 at the 32-bit draw u:
// p(+1) = σ(2a/T), with |Δp| ≤ 3e-8 for the given integer field (eqs 17, 18 of
// the thesis). With S = Tail(x), a < 0 gives +1 when u < S and a ≥ 0 when
// u < 2³² − S. At T = 0 it is the sign of a, and a fair coin at a = 0.
func Up(a int32, beta uint64, frac uint, u uint32) bool {
	s := Tail(ScaledField(a, beta, frac))
	if a < 0 {
		return u < s
	}
	return uint64(u) < 1<<32-uint64(s)
}

// Mean returns tanh(a/T), the conditional mean of a unit with field a, as
// signed fixed point with MeanBits fraction bits, from the same S as Up.
func Mean(a int32, beta uint64, frac uint) int32 {
	s := Tail(ScaledField(a, beta, frac))
	m := int32(1<<MeanBits) - int32((uint64(s)+1<<(31-MeanBits-1))>>(31-MeanBits))
	if a < 0 {
		return -m
	}
	return m
}

// Interpolate returns the field (a·m + base·(2²⁴−m) + 2²³) >> 24 between base
// (m = 0) and a (m = 2²⁴), as annealed importance sampling needs it: one fixed
// scale for the whole path.
func Interpolate(a, base int32, m uint32) int32 {
	return int32((int64(a)*int64(m) + int64(base)*int64(1<<24-m) + 1<<23) >> 24)
}
