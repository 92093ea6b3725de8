package hopfield

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kadanoff/backend"
	_ "kadanoff/backend/cpu"
	_ "kadanoff/backend/ref"
)

// backends opens the reference, and the CPU on every instruction set it has.
func backends(t *testing.T) map[string]backend.Backend {
	t.Helper()
	all := map[string]backend.Backend{}
	for _, o := range []struct{ name, isa string }{{"ref", ""}, {"cpu", "generic"}, {"cpu", "avx2"}, {"cpu", "avx512"}, {"cpu", "neon"}} {
		b, err := backend.Open(o.name, backend.Options{ISA: o.isa, Threads: 2})
		if err != nil {
			continue
		}
		t.Cleanup(func() { b.Close() })
		all[o.name+o.isa] = b
	}
	if all["ref"] == nil || all["cpugeneric"] == nil {
		t.Fatalf("backends %v: want at least ref and generic", all)
	}
	return all
}

var two = Patterns{N: 8, X: []int8{
	1, 1, 1, 1, -1, -1, -1, -1,
	1, -1, 1, -1, 1, -1, 1, -1,
}}

// Two orthogonal patterns on eight units: couplings, energies and all fixed
// points were found by hand and by counting.
func TestTwoPatterns(t *testing.T) {
	n, err := Hebb(two, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{0, 0, 2, 0, 0, -2, 0, -2}; !slices.Equal(n.W[:8], want) {
		t.Errorf("row 0 is %v, want %v", n.W[:8], want)
	}
	var fixed []int
	x := make([]int8, 8)
	for s := range 256 {
		for i := range x {
			x[i] = int8(s>>i&1)*2 - 1
		}
		if n.Energy(x) < -24 {
			t.Errorf("energy %v of state %d is below the lowest", n.Energy(x), s)
		}
		if n.Fixed(x) {
			fixed = append(fixed, s)
			if n.Energy(x) != -24 {
				t.Errorf("energy %v of fixed point %d", n.Energy(x), s)
			}
		}
	}
	if want := []int{0x0f, 0x55, 0xaa, 0xf0}; !slices.Equal(fixed, want) {
		t.Errorf("fixed points %x, want the patterns and their opposites %x", fixed, want)
	}
}

// net draws a network with biases and small integer couplings, so that fields
// are often 0.
func net(t *rapid.T, units int) *Net {
	w, b := make([]float64, units*units), make([]float64, units)
	draw := rapid.IntRange(-2, 2)
	for i := range units {
		for j := range i {
			w[i*units+j] = float64(draw.Draw(t, "w"))
			w[j*units+i] = w[i*units+j]
		}
		b[i] = float64(draw.Draw(t, "b"))
	}
	n, err := New(w, b, units)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func state(t *rapid.T, units int) []int8 {
	x := make([]int8, units)
	for i := range x {
		x[i] = rapid.SampledFrom([]int8{-1, 1}).Draw(t, "x")
	}
	return x
}

// The energy of eq (12), the gap of eq (15), and that no single update raises
// the energy.
func TestEnergyNeverRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.IntRange(1, 9).Draw(t, "units")
		n, x := net(t, units), state(t, units)
		e := 0.
		for i := range units {
			e -= float64(n.Bias[i]) * n.Scale * float64(x[i])
			for j := range i {
				e -= float64(n.W[i*units+j]) * n.Scale * float64(x[i]) * float64(x[j])
			}
		}
		if n.Energy(x) != e {
			t.Fatalf("energy %v, want %v", n.Energy(x), e)
		}
		for range 20 {
			i := rapid.IntRange(0, units-1).Draw(t, "unit")
			before, a := n.IntegerEnergy(x), n.Activation(x, i)
			x[i] = -x[i]
			if gap := n.IntegerEnergy(x) - before; gap != 2*a*int64(-x[i]) {
				t.Fatalf("turning unit %d over changes the energy by %d, activation %d", i, gap, a)
			}
			x[i] = n.Threshold(x, i)
			if n.IntegerEnergy(x) > before {
				t.Fatalf("updating unit %d raises the energy from %d to %d", i, before, n.IntegerEnergy(x))
			}
		}
	})
}

// follow is Recall for one probe, update by update.
func follow(n *Net, x []int8, o RecallOptions) (end []int8, settled bool, sweeps int) {
	x = slices.Clone(x)
	update := func() bool {
		old := slices.Clone(x)
		for i := range x {
			from := x
			if o.Dynamics == Synchronous {
				from = old
			}
			if o.Clamped == nil || !o.Clamped[i] {
				x[i] = n.Threshold(from, i)
			}
		}
		return !slices.Equal(x, old)
	}
	for sweeps < o.MaxSweeps && update() {
		sweeps++
	}
	end = slices.Clone(x)
	return end, !update(), sweeps
}

// Every backend does what the definition does, at odd sizes, with ties,
// biases and clamped units, whether or not probes settle.
func TestRecallIsTheRule(t *testing.T) {
	all := backends(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for _, units := range []int{1, 2, 7, 23, 67} {
		for name, b := range all {
			for _, o := range []RecallOptions{
				{MaxSweeps: 1}, {MaxSweeps: 40}, {Dynamics: Synchronous, MaxSweeps: 1},
				{Dynamics: Synchronous, MaxSweeps: 2}, {Dynamics: Synchronous, MaxSweeps: 41}, {Dynamics: Synchronous, MaxSweeps: 40},
				{MaxSweeps: 40, Clamped: make([]bool, units)}, {Dynamics: Synchronous, MaxSweeps: 7, Clamped: make([]bool, units)},
			} {
				w, bias := make([]float64, units*units), make([]float64, units)
				for i := range units {
					for j := range i {
						w[i*units+j] = float64(rng.IntN(5) - 2)
						w[j*units+i] = w[i*units+j]
					}
					bias[i] = float64(rng.IntN(3) - 1)
				}
				for i := range o.Clamped {
					o.Clamped[i] = rng.IntN(3) == 0
				}
				n, err := New(w, bias, units)
				if err != nil {
					t.Fatal(err)
				}
				probes := Random(rng, units, 71)
				r, err := n.Recall(context.Background(), b, probes.Batch(), o)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]int8, units)
				for k := range probes.Count() {
					want, settled, sweeps := follow(n, probes.Row(k), o)
					r.States.PutInt8(got, k)
					if !slices.Equal(got, want) || r.Settled[k] != settled || r.Sweeps[k] != sweeps {
						t.Fatalf("%s, %d units, %+v: probe %d ends at %v, %v, %d; want %v, %v, %d",
							name, units, o, k, got, r.Settled[k], r.Sweeps[k], want, settled, sweeps)
					}
				}
			}
		}
	}
}

func TestHebbIsTheSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, count := range []int{1, 3, 64, 65, 131} {
		p := Random(rng, 17, count)
		n, err := Hebb(p, 0.25)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 17 {
			for j := range 17 {
				want := int32(0)
				for k := range count {
					want += int32(p.Row(k)[i]) * int32(p.Row(k)[j])
				}
				if i == j {
					want = 0
				}
				if n.W[i*17+j] != want || n.Scale != 0.25 {
					t.Fatalf("w[%d, %d] = %v·%v, want η times %d", i, j, n.W[i*17+j], n.Scale, want)
				}
			}
		}
	}
}

// The couplings keep every pattern as it is, far above Hebb's capacity.
func TestPseudoInverse(t *testing.T) {
	const units = 61
	p := Random(rand.New(rand.NewPCG(2, 2)), units, 37)
	n, err := PseudoInverse(p)
	if err != nil {
		t.Fatal(err)
	}
	// The projection of a pattern is the pattern: a_i + P_ii x_i = x_i, and
	// the trace of P, which is not in W, is the number of patterns.
	trace := 0.
	for i := range units {
		own := 1 - float64(n.Activation(p.Row(0), i))*n.Scale*float64(p.Row(0)[i])
		trace += own
		for k := range p.Count() {
			if got := float64(n.Activation(p.Row(k), i)) * n.Scale; math.Abs(got-(1-own)*float64(p.Row(k)[i])) > 1e-6 {
				t.Fatalf("pattern %d, unit %d: activation %v, want %v", k, i, got, (1-own)*float64(p.Row(k)[i]))
			}
		}
	}
	if math.Abs(trace-37) > 1e-6 {
		t.Errorf("trace of the projection is %v, want 37", trace)
	}
	for k := range p.Count() {
		if !n.Fixed(p.Row(k)) {
			t.Errorf("pattern %d is not fixed", k)
		}
	}
	hebb, err := Hebb(p, 1)
	if err != nil {
		t.Fatal(err)
	}
	if hebb.Fixed(p.Row(0)) && hebb.Fixed(p.Row(1)) && hebb.Fixed(p.Row(2)) {
		t.Error("Hebb's rule keeps patterns at four times its capacity: the comparison shows nothing")
	}
}

func TestRefuses(t *testing.T) {
	must := func(what string, err error, words ...string) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
			return
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", what, err, w)
			}
		}
	}
	_, err := New([]float64{0, 1, 2, 0}, nil, 2)
	must("asymmetric", err, "units 0 and 1", "1 one way and 2")
	_, err = New([]float64{1, 0, 0, 0}, nil, 2)
	must("self-coupling", err, "unit 0 is coupled to itself")
	_, err = New([]float64{0, math.NaN(), math.NaN(), 0}, nil, 2)
	must("NaN", err, "NaN")
	_, err = New([]float64{0, math.Inf(1), math.Inf(1), 0}, nil, 2)
	must("infinity", err, "not finite")
	_, err = New([]float64{0}, []float64{math.Inf(1)}, 1)
	must("bias", err, "not finite")
	_, err = New([]float64{0, 0}, nil, 1)
	must("shape", err, "2 couplings")
	_, err = Hebb(Patterns{N: 2, X: []int8{1, 0}}, 1)
	must("zero in a pattern", err, "unit 1 is 0", "+1 or -1")
	_, err = Hebb(Patterns{N: 2, X: []int8{1, 1, 1}}, 1)
	must("broken pattern", err, "3 spins")
	_, err = Hebb(two, math.Inf(1))
	must("rate", err, "learning rate")
	_, err = PseudoInverse(Patterns{N: 3, X: []int8{1, 1, 1, -1, -1, -1}})
	must("dependent", err, "pattern 1 is a linear combination")
	_, err = PseudoInverse(Patterns{N: 1, X: []int8{1}})
	must("too many", err, "fewer patterns than units")
	_, err = two.Corrupt(rand.New(rand.NewPCG(1, 1)), 9)
	must("flips", err, "9 units")
	b, err := backend.Open("ref", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := Hebb(two, 1)
	_, err = n.Recall(context.Background(), b, two.Batch(), RecallOptions{})
	must("sweeps", err, "0 sweeps")
	_, err = n.Recall(context.Background(), b, two.Batch(), RecallOptions{MaxSweeps: 1, Clamped: []bool{true}})
	must("clamped", err, "1 marks")
	_, err = n.Recall(context.Background(), b, Random(rand.New(rand.NewPCG(1, 1)), 7, 1).Batch(), RecallOptions{MaxSweeps: 1})
	must("probe", err, "7 units")
}

// A weight far larger or smaller than 1 keeps its digits.
func TestNewScales(t *testing.T) {
	for _, size := range []float64{1e-300, 1e-9, 1, 3e7, 1e200} {
		n, err := New([]float64{0, size, size, 0}, []float64{size / 3, 0}, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ got, want float64 }{
			{float64(n.W[1]) * n.Scale, size}, {float64(n.Bias[0]) * n.Scale, size / 3},
		} {
			if math.Abs(c.got/c.want-1) > 1e-8 {
				t.Errorf("%v came back as %v", c.want, c.got)
			}
		}
	}
	if n, err := New(make([]float64, 9), nil, 3); err != nil || n.Activation([]int8{1, -1, 1}, 1) != 0 {
		t.Errorf("network without couplings: %v, %v", n, err)
	}
}

func ExampleNet_Recall() {
	p := Random(rand.New(rand.NewPCG(1, 0)), 100, 5)
	n, err := Hebb(p, 1./100)
	if err != nil {
		panic(err)
	}
	probes, err := p.Corrupt(rand.New(rand.NewPCG(1, 1)), 20)
	if err != nil {
		panic(err)
	}
	b, err := backend.Open("auto", backend.Options{})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	r, err := n.Recall(context.Background(), b, probes.Batch(), RecallOptions{MaxSweeps: 100})
	if err != nil {
		panic(err)
	}
	fmt.Println("before", p.Overlaps(probes.Batch()))
	fmt.Println("after ", p.Overlaps(r.States))
	// Output:
	// before [0.6 0.6 0.6 0.6 0.6]
	// after  [1 1 1 1 1]
}
