//go:build (amd64 || arm64) && !noasm

package gibbs

import (
	"math"
	"testing"
	"unsafe"

	"kadanoff/kernels/isa"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// filter decides 64 spins in natural order.
type filter func(acc *[64]int32, random *[64]uint16) (up, tie uint64)

// vectorPath is what one path makes of a rule: its filter, and the high halves
// of the draws of a group of eight units in 64 chains.
type vectorPath struct {
	level  isa.Level
	filter func(*Rule) filter
	draws  func(r *Rule, group uint32) (at func(c, u int) uint16)
}

func draws8of(r *Rule, group uint32) func(c, u int) uint16 {
	sc := NewScratch()
	sc.start8(r, 0, 1, 1)
	sc.draw8(r, group, 0, 1)
	return func(c, u int) uint16 { return sc.random[8*c+u] }
}

func filter8of(r *Rule) filter {
	sc := NewScratch()
	sc.start8(r, 0, 1, 1)
	return func(acc *[64]int32, random *[64]uint16) (up, tie uint64) {
		for _, t := range sc.accept8(r, (*uint32)(unsafe.Pointer(&up)), &acc[0], &random[0], 2) {
			tie |= t >> 32 << (32 * (t & 1))
		}
		return up, tie
	}
}

// What the filter is sure of is what the rule says, whatever the low half of
// the draw: for fields at both ends of every step of 2⁻¹³ and all the draws
// near the threshold. It is sure of nearly everything.
func TestFilter(t *testing.T) {
	one := func(temp float64) uint64 { return betaOf(t, temp) }
	each := make([]uint64, 64)
	for i := range each {
		each[i] = one(0.7)
	}
	for _, path := range vectorPaths {
		if !isa.Has(path.level) {
			t.Log(isa.Missing(path.level))
			continue
		}
		for _, c := range []struct {
			name string
			rule Rule
			step int
		}{
			{"T=1", Rule{Frac: 23, Beta: one(1)}, 1},
			{"T=1 in 13 bits", Rule{Frac: 13, Beta: one(1)}, 1},
			{"T=1 in 11 bits", Rule{Frac: 11, Beta: one(1)}, 1},
			{"T=2.5", Rule{Frac: 20, Beta: one(2.5)}, 3},
			{"T=0.7 for each", Rule{Frac: 23, Betas: each}, 3},
			{"T=1/256", Rule{Frac: 23, Beta: one(1. / 256)}, 7},
			{"T=0", Rule{Frac: 17, Beta: one(0)}, 101},
		} {
			r := c.rule
			r.Chains = 64
			f := path.filter(&r)
			ties, all := 0, 0
			check := func(a int32) {
				s := spin.Tail(spin.ScaledField(a, r.beta(0), r.Frac)) >> 16
				if a >= 0 {
					s = 0xffff - s
				}
				var acc [64]int32
				var random [64]uint16
				for i := range acc {
					acc[i] = a
					random[i] = uint16(min(0xffff, max(0, int(s)-32+i)))
				}
				up, tie := f(&acc, &random)
				for i, u := range random {
					lo, hi := spin.Up(a, r.beta(0), r.Frac, uint32(u)<<16), spin.Up(a, r.beta(0), r.Frac, uint32(u)<<16|0xffff)
					got := up>>i&1 != 0
					if tie>>i&1 == 0 && (got != lo || got != hi) {
						t.Fatalf("%v %s: field %d and draw %04x…: the filter is sure of %v, the rule says %v to %v", path.level, c.name, a, u, got, lo, hi)
					}
				}
				for i := range random {
					if u := int(s) - 32 + i; u >= 0 && u <= 0xffff {
						ties += int(tie >> i & 1)
					}
				}
				all++
			}
			// the field that 2⁻¹³ stands for
			scale := math.Ldexp(1, int(r.Frac)-13) * (1 << 24) / float64(max(1, r.beta(0)))
			for m := 0; m < 33000; m += c.step {
				for _, a := range []float64{math.Ceil(float64(m) * scale), math.Ceil(float64(m+1)*scale) - 1} {
					if a = math.Min(a, math.MaxInt32); a >= 0 {
						check(int32(a))
						check(-int32(a))
					}
				}
			}
			for b := range 31 {
				check(math.MaxInt32 >> b)
				check(-math.MaxInt32 >> b)
			}
			if mean := float64(ties) / float64(all); mean > 2*filterEps+2 {
				t.Errorf("%v %s: %v draws of 65536 left open, want at most %d", path.level, c.name, mean, 2*filterEps+2)
			}
		}
	}
}

// filterEps is the constant of the assembly: on 16 bits a threshold is open
// to this distance.
const filterEps = 14

// The high halves that the vector paths make are those of the generator.
func TestDraws(t *testing.T) {
	r := Rule{Chains: 64, Chain0: math.MaxUint32 - 30, Key: philox.NewKey(0x0123456789abcdef), Stream: philox.AIS, Sweep: 0xfedcba9876543210}
	const group = 0x00abcdef
	check := func(t *testing.T, at func(c, u int) uint16) {
		for c := range 64 {
			for u := range 8 {
				want := philox.High16(r.Key, r.Stream, r.Chain0+uint32(c), 8*group+uint32(u), r.Sweep)
				if got := at(c, u); got != want {
					t.Fatalf("chain %d unit %d: %04x, want %04x", c, u, got, want)
				}
			}
		}
	}
	for _, path := range vectorPaths {
		if isa.Has(path.level) {
			t.Run(path.level.String(), func(t *testing.T) { check(t, path.draws(&r, group)) })
		}
	}
}
