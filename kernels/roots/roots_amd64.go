//go:build amd64 && !noasm

package roots

import (
	"math"
	"runtime"
	"unsafe"

	"kadanoff/kernels/isa"
)

func init() {
	kernels[isa.AVX2] = &Kernel{isa.AVX2, tableAVX2, vectorSolve(8, newtonAVX2, polishAVX2)}
	kernels[isa.AVX512] = &Kernel{isa.AVX512, tableAVX512, vectorSolve(16, newtonAVX512, polishAVX512)}
}

// vectorArgs are the arguments of the assembly; kernels/_gen/roots knows the
// order of its fields. The first four pointers and groups are moved on as it
// runs. Strides are in bytes.
type vectorArgs struct {
	w, slope, weight, low *float64
	scratch, table, guess *float64
	stride, lowStride     int
	groups                int
	half, n, top          int
	oddMask, oneIfEven    uint64
	m2, n64, mean0        float64
	states, invStates     float64
	limit                 float64
}

// The assembly's scratch memory, in vectors: slots, and fields of a record for
// each of the h+1 powers.
const (
	scratchSlots  = 22
	scratchFields = 5
)

// zeros are the low parts of weights that have none.
var zeros [16]float64

// vectorSolve makes a Kernel.solve of assembly that takes whole groups of
// problems; what is left over is padded to one.
func vectorSolve(group int, newton, polish func(*byte)) func(*Size, []float64, []float64, *Distributions, int, *solver) {
	return func(s *Size, w, slope []float64, p *Distributions, first int, v *solver) {
		h := s.h
		if need := (scratchSlots + scratchFields*(h+1)) * group; len(v.vectors) < need {
			v.vectors = make([]float64, need)
		}
		run := func(w, slope, weight, low []float64, stride, lowStride, groups int) {
			a := vectorArgs{
				w: &w[0], slope: &slope[0], weight: &weight[0], low: &low[0],
				scratch: &v.vectors[0], table: &s.table[0], guess: &s.guess.rows[0],
				stride: 8 * stride, lowStride: 8 * lowStride, groups: groups,
				half: h, n: s.N, top: topBit(s.N),
				m2: float64(s.M * s.M), n64: float64(s.N), mean0: s.guess.mean0,
				states: s.states, invStates: s.invStates, limit: s.polishLimit(),
			}
			if s.odd {
				a.oddMask = math.MaxUint64
			} else {
				a.oneIfEven = math.Float64bits(1)
			}
			b := a
			newton((*byte)(unsafe.Pointer(&a)))
			// Without low parts one vector of zeros serves all groups.
			if lowStride == 0 {
				for g := range groups {
					c := b
					c.groups = 1
					c.w, c.slope, c.weight = &w[g*group], &slope[g*group], &weight[g*group]
					polish((*byte)(unsafe.Pointer(&c)))
				}
			} else {
				polish((*byte)(unsafe.Pointer(&b)))
			}
			runtime.KeepAlive(&a)
		}
		low, lowStride := zeros[:], 0
		whole := len(w) / group * group
		if whole > 0 {
			if p.Low != nil {
				low, lowStride = p.Low[first:], p.Count
			}
			run(w[:whole], slope[:whole], p.Weight[first:], low, p.Count, lowStride, whole/group)
		}
		rest := len(w) - whole
		if rest == 0 {
			return
		}
		if need := 2 * group * (h + 2); len(v.pad) < need {
			v.pad = make([]float64, need)
		}
		pw, pl := v.pad[:group*(h+1)], v.pad[group*(h+1):2*group*(h+1)]
		res := v.pad[2*group*(h+1):][:2*group]
		for j := range h + 1 {
			for l := range group {
				i := j*p.Count + first + whole + min(l, rest-1)
				pw[j*group+l] = p.Weight[i]
				pl[j*group+l] = 0
				if p.Low != nil {
					pl[j*group+l] = p.Low[i]
				}
			}
		}
		run(res[:group], res[group:], pw, pl, group, group, 1)
		copy(w[whole:], res[:rest])
		copy(slope[whole:], res[group:][:rest])
	}
}
