package ascent

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"kadanoff/kernels/isa"
)

// guarded is a slice with guard values on both sides, off a multiple of the
// vector width.
type guarded[T comparable] struct {
	all   []T
	guard T
	x     []T
}

func guard[T comparable](x []T, mark T) guarded[T] {
	const margin = 19
	g := guarded[T]{all: make([]T, len(x)+2*margin), guard: mark}
	for i := range g.all {
		g.all[i] = mark
	}
	g.x = g.all[margin : margin+len(x) : margin+len(x)]
	copy(g.x, x)
	return g
}

func (g guarded[T]) check(t *testing.T, name string) {
	t.Helper()
	for i, x := range g.all {
		if (i < 19 || i >= 19+len(g.x)) && x != g.guard {
			t.Fatalf("%s: a guard value %d before or after the slice is %v", name, i, x)
		}
	}
}

type job struct {
	row        Row
	w, vel     guarded[float32]
	sums       guarded[int32]
	exact      guarded[float64]
	fixed      guarded[int32]
	dh, lambda guarded[float64]
	sum        guarded[float64]
	magnitude  guarded[float32]
}

func newJob(n int, seed uint64, integers, centred, shrink, moving bool) *job {
	r := rand.New(rand.NewPCG(seed, 7))
	j := &job{row: Row{
		Factor: 1e-8, Mu: r.Float64()*2 - 1, Dv: r.Float64() - 0.5, Decay: 0.01, L1: 0.003,
		Rate: 0.05, Momentum: 0.5, Scale: 1 << 23, Centred: centred, Shrink: shrink,
	}}
	f32 := func(scale float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64() * scale)
			if r.IntN(5) == 0 {
				x[i] = 0
			}
		}
		return x
	}
	f64 := func(scale float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64() * scale
		}
		return x
	}
	ints, exact := make([]int32, n), make([]float64, n)
	for i := range ints {
		ints[i] = r.Int32() - 1<<30
		exact[i] = float64(r.Int64N(1<<52) - 1<<51)
	}
	j.w = guard(f32(0.3), 77)
	if moving {
		j.vel = guard(f32(0.01), 78)
	}
	if integers {
		j.sums = guard(ints, 79)
	} else {
		j.row.Factor = 1e-15
		j.exact = guard(exact, 80)
	}
	j.fixed = guard(make([]int32, n), 81)
	j.dh, j.lambda, j.sum = guard(f64(0.3), 82), guard(f64(0.3), 83), guard(f64(1), 84)
	j.magnitude = guard(f32(0), 85)
	return j
}

func (j *job) run(k *Kernel) ([Lanes]float64, float32) {
	return k.Update(&j.row, j.w.x, j.vel.x, j.sums.x, j.exact.x, j.fixed.x,
		&Columns{Dh: j.dh.x, Lambda: j.lambda.x, Sum: j.sum.x, Magnitude: j.magnitude.x})
}

func (j *job) check(t *testing.T, name string) {
	j.w.check(t, name+": w")
	j.vel.check(t, name+": velocity")
	j.sums.check(t, name+": sums")
	j.fixed.check(t, name+": fixed")
	j.sum.check(t, name+": Sum")
	j.magnitude.check(t, name+": Magnitude")
}

// definition is Update's doc comment, once more.
func (j *job) definition() (lanes [Lanes]float64) {
	for a := range j.w.x {
		var g float64
		if j.sums.x != nil {
			g = float64(float64(j.sums.x[a]) * j.row.Factor)
		} else {
			g = float64(j.exact.x[a] * j.row.Factor)
		}
		w := float64(j.w.x[a])
		if j.row.Centred {
			g = math.FMA(-j.row.Mu, j.dh.x[a], g)
			g = math.FMA(-j.row.Dv, j.lambda.x[a], g)
		}
		if j.row.Shrink {
			g = math.FMA(-j.row.Decay, w, g)
			if w != 0 {
				g -= math.Copysign(j.row.L1, w)
			}
		}
		x := float64(j.row.Rate * g)
		if j.vel.x != nil {
			x = math.FMA(j.row.Momentum, float64(j.vel.x[a]), x)
			j.vel.x[a] = float32(x)
		}
		j.w.x[a] = float32(w + x)
		if j.row.Centred {
			lanes[a%Lanes] = math.FMA(x, j.lambda.x[a], lanes[a%Lanes])
			j.sum.x[a] = math.FMA(x, j.row.Mu, j.sum.x[a])
		}
		j.fixed.x[a] = int32(math.RoundToEven(float64(float64(j.w.x[a]) * float64(j.row.Scale))))
		j.magnitude.x[a] += float32(math.Abs(float64(j.w.x[a])))
	}
	return lanes
}

func TestUpdate(t *testing.T) {
	for _, level := range isa.Available() {
		k := For(level)
		for _, n := range []int{1, 2, 7, 8, 9, 13, 16, 31, 64, 101, 503} {
			for variant := range 16 {
				on := func(bit int) bool { return variant>>bit&1 != 0 }
				name := fmt.Sprintf("%v, %d columns, variant %04b", level, n, variant)
				got := newJob(n, uint64(n*16+variant), on(0), on(1), on(2), on(3))
				want := newJob(n, uint64(n*16+variant), on(0), on(1), on(2), on(3))
				lanes, bound := got.run(k)
				wantLanes := want.definition()
				got.check(t, name)
				if lanes != wantLanes {
					t.Fatalf("%s: lanes %v, want %v", name, lanes, wantLanes)
				}
				total := 0.0
				for a, w := range want.w.x {
					total += math.Abs(float64(w))
					if math.Float32bits(got.w.x[a]) != math.Float32bits(w) {
						t.Fatalf("%s: weight %d is %v, want %v", name, a, got.w.x[a], w)
					}
					if got.fixed.x[a] != want.fixed.x[a] {
						t.Fatalf("%s: fixed weight %d is %d, want %d", name, a, got.fixed.x[a], want.fixed.x[a])
					}
					if math.Float64bits(got.sum.x[a]) != math.Float64bits(want.sum.x[a]) {
						t.Fatalf("%s: column sum %d is %v, want %v", name, a, got.sum.x[a], want.sum.x[a])
					}
					if want.vel.x != nil && math.Float32bits(got.vel.x[a]) != math.Float32bits(want.vel.x[a]) {
						t.Fatalf("%s: velocity %d is %v, want %v", name, a, got.vel.x[a], want.vel.x[a])
					}
					if math.Abs(float64(got.magnitude.x[a]-want.magnitude.x[a])) > 1e-6 {
						t.Fatalf("%s: magnitude %d is %v, want %v", name, a, got.magnitude.x[a], want.magnitude.x[a])
					}
				}
				if math.Abs(float64(bound)-total) > 1e-4*total {
					t.Fatalf("%s: Σ|w| = %v, want %v", name, bound, total)
				}
			}
		}
	}
}

// A difference in one parameter must show: the comparison has power.
func TestUpdateSees(t *testing.T) {
	for name, edit := range map[string]func(*job){
		"a weight": func(j *job) { j.w.x[3] = math.Nextafter32(j.w.x[3], 9) },
		"a sum":    func(j *job) { j.sums.x[60] += 64 },
		"λ":        func(j *job) { j.lambda.x[17] += 1e-3 },
		"Δv":       func(j *job) { j.row.Dv += 1e-3 },
		"decay":    func(j *job) { j.row.Decay += 1e-3 },
		"L1":       func(j *job) { j.row.L1 += 1e-3 },
	} {
		a, b := newJob(61, 1, true, true, true, true), newJob(61, 1, true, true, true, true)
		edit(b)
		lanes, _ := a.run(For(isa.Best()))
		others, _ := b.run(For(isa.Best()))
		same := lanes == others
		for i := range a.w.x {
			same = same && a.w.x[i] == b.w.x[i] && a.sum.x[i] == b.sum.x[i]
		}
		if same {
			t.Errorf("a change of %s does not show", name)
		}
	}
}

func TestAdd(t *testing.T) {
	for _, level := range isa.Available() {
		for _, n := range []int{1, 5, 8, 11, 64, 103} {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			src, dst := make([]int32, n), make([]float64, n)
			for i := range src {
				src[i], dst[i] = r.Int32()-1<<30, float64(r.Int64N(1<<52)-1<<51)
			}
			want := make([]float64, n)
			for i := range want {
				want[i] = float64(int64(dst[i]) - 1999*int64(src[i]))
			}
			g := guard(dst, 5)
			For(level).Add(g.x, src, -1999)
			g.check(t, level.String())
			for i, w := range want {
				if g.x[i] != w {
					t.Fatalf("%v, %d columns: sum %d is %v, want %v", level, n, i, g.x[i], w)
				}
			}
		}
	}
}

// Goal: a row of 500 in 0.2 µs, so that the update of 784×500 weights is a
// tenth of a training step.
func BenchmarkUpdate(b *testing.B) {
	for _, level := range isa.Available() {
		for _, centred := range []bool{false, true} {
			b.Run(fmt.Sprintf("%v/centred=%v", level, centred), func(b *testing.B) {
				j := newJob(500, 1, true, centred, false, false)
				j.row.Rate = 0
				k := For(level)
				for b.Loop() {
					j.run(k)
				}
			})
		}
	}
}
