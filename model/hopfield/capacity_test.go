package hopfield

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"kadanoff/backend"
)

// Far below Hebb's capacity patterns stay, far above they are lost; the
// pseudo-inverse keeps them at either load.
func TestCapacity(t *testing.T) {
	b, err := backend.Open("cpu", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	run := func(e Experiment) *Kept {
		t.Helper()
		e.Nets, e.MaxSweeps, e.Seed = 8, 200, 3
		k, err := e.Run(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		if k.Load != float64(e.Patterns)/float64(e.Units) || !(k.Overlap.Error >= 0) || k.Settled.Mean != 1 || k.Settled.Error != 0 {
			t.Errorf("%+v: %+v", e, k)
		}
		return k
	}
	low := run(Experiment{Units: 200, Patterns: 10})
	if low.Retrieved.Mean < 0.99 || low.Overlap.Mean < 0.99 {
		t.Errorf("load 0.05: %+v", low)
	}
	high := run(Experiment{Units: 200, Patterns: 60})
	if high.Overlap.Mean > 0.7 || high.Retrieved.Mean > 0.1 || high.Overlap.Error == 0 {
		t.Errorf("load 0.3: %+v", high)
	}
	if k := run(Experiment{Units: 200, Patterns: 60, PseudoInverse: true}); k.Overlap.Mean != 1 || k.Sweeps.Mean != 0 {
		t.Errorf("pseudo-inverse at load 0.3: %+v", k)
	}
	if k := run(Experiment{Units: 200, Patterns: 10, Flips: 30}); k.Overlap.Mean < 0.99 || !(k.Sweeps.Mean >= 1) {
		t.Errorf("load 0.05 with 30 units turned over: %+v", k)
	}
	if _, err := (Experiment{Units: 10, Patterns: 1, Nets: 1, MaxSweeps: 1}).Run(context.Background(), b); err == nil || !strings.Contains(err.Error(), "1 networks") {
		t.Errorf("one network: %v", err)
	}
}

// In one step from the pattern a unit errs with the probability of a Gaussian
// crosstalk of variance (P − 1)/(N − 1) below −1, so the overlap is
// 1 − 2p = erf(√((N − 1)/2(P − 1))).
func TestFirstStep(t *testing.T) {
	b, err := backend.Open("cpu", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	k, err := Experiment{Units: 400, Patterns: 101, Nets: 20, MaxSweeps: 1, Seed: 5, Dynamics: Synchronous}.Run(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	// A unit turns over when the sum of (N − 1)(P − 1) signs is below −(N − 1).
	// The sum is even and N − 1 odd, so there are no ties, and the bound lies
	// half-way between two values of the sum.
	n, p := 399., 100.
	want := math.Erf(n / math.Sqrt(2*n*p))
	if d := math.Abs(k.Overlap.Mean - want); d > 5*k.Overlap.Error || k.Overlap.Error > 0.002 {
		t.Errorf("overlap after one step is %v ± %v, want %v", k.Overlap.Mean, k.Overlap.Error, want)
	}
}

func TestCrossing(t *testing.T) {
	curve := func(slope float64, loads ...float64) []*Kept {
		var list []*Kept
		for _, x := range loads {
			list = append(list, &Kept{Load: x, Retrieved: Measured{0.9 - slope*(x-0.14), 0.01}})
		}
		return list
	}
	loads := []float64{0.13, 0.135, 0.15, 0.16}
	small, large := curve(1, loads...), curve(5, loads...)
	c, err := Crossing(small, large)
	if err != nil || math.Abs(c.Mean-0.14) > 1e-12 || !(c.Error > 0) {
		t.Fatalf("%+v, %v: want a crossing at 0.14", c, err)
	}
	// The error is what independent noise of the points makes of the zero.
	moved := 0.
	for i := range large {
		shift := curve(5, loads...)
		shift[i].Retrieved.Mean += 1e-6
		m, err := Crossing(small, shift)
		if err != nil {
			t.Fatal(err)
		}
		moved += math.Pow((m.Mean-c.Mean)/1e-6*0.01, 2) * 2 // both curves
	}
	if math.Abs(math.Sqrt(moved)/c.Error-1) > 1e-3 {
		t.Errorf("error %v, want %v", c.Error, math.Sqrt(moved))
	}
	for what, pair := range map[string][2][]*Kept{
		"at least two": {small[:1], large[:1]}, "loads 0.13 and 0.2": {curve(1, 0.13, 0.15), curve(5, 0.2, 0.15)}, "4 and 3 loads": {small, large[:3]},
		"want a fall": {large, small}, "all loads are 0.15": {curve(1, 0.15, 0.15), curve(5, 0.15, 0.15)},
	} {
		if _, err := Crossing(pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	small[2].Retrieved.Error = 0
	large[2].Retrieved.Error = 0
	if _, err := Crossing(small, large); err == nil || !strings.Contains(err.Error(), fmt.Sprint("load ", 0.15)) {
		t.Errorf("a point without errors: %v", err)
	}
}
