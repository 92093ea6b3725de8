package bench

import (
	"context"
	"math"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/exact"
)

// runRoots runs all checks of the area.
func runRoots(t *testing.T, b backend.Backend) map[string]Result {
	t.Helper()
	all := map[string]Result{}
	for _, c := range roots().Checks {
		results, err := c.Run(context.Background(), refTarget(b))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		for _, r := range results {
			all[r.Name] = r
		}
	}
	return all
}

func TestRootsPass(t *testing.T) {
	for _, r := range runRoots(t, ref.New()) {
		if !r.Pass() {
			t.Errorf("%s: measured %v, limit %v", r.Name, r.Measured, r.Limit)
		}
	}
}

// faultyRoots changes every W by a part of it, and one of a thousand by more.
type faultyRoots struct {
	ref.Backend
	part, once float64
}

func (f faultyRoots) Roots(ctx context.Context, job backend.RootsJob, dst backend.RootsResult) error {
	err := f.Backend.Roots(ctx, job, dst)
	for i := range dst.W {
		dst.W[i] *= 1 + f.part
		if i%1000 == 3 {
			dst.W[i] *= 1 + f.once
		}
	}
	return err
}

func TestRootFaultsAreSeen(t *testing.T) {
	for _, c := range []struct {
		fault faultyRoots
		fail  []string
	}{
		{faultyRoots{part: 2e-12}, []string{"roots/couplings/w", "roots/temperatures/w", "roots/closed-forms/2-visible", "roots/closed-forms/3-visible", "roots/digest/all"}},
		{faultyRoots{once: 0.1}, []string{"roots/couplings/w", "roots/temperatures/w", "roots/monotony/8x4", "roots/digest/all"}},
		{faultyRoots{part: math.NaN()}, []string{"roots/couplings/w", "roots/temperatures/w", "roots/monotony/8x4", "roots/digest/all"}},
	} {
		results := runRoots(t, c.fault)
		for _, name := range c.fail {
			if r, ok := results[name]; !ok || r.Pass() {
				t.Errorf("%+v: %s passes: %+v", c.fault, name, r)
			}
		}
	}
}

// faultyResiduals gives residuals of the wrong sign.
type faultyResiduals struct{ ref.Backend }

func (f faultyResiduals) Roots(ctx context.Context, job backend.RootsJob, dst backend.RootsResult) error {
	err := f.Backend.Roots(ctx, job, dst)
	for i := range dst.Residual {
		dst.Residual[i] = -dst.Residual[i]
	}
	return err
}

func TestResidualFaultIsSeen(t *testing.T) {
	if r := runRoots(t, faultyResiduals{})["roots/couplings/residual"]; r.Pass() {
		t.Errorf("residuals of the wrong sign pass: %+v", r)
	}
}

// The weights of the benchmark are those of package exact.
func TestRingWeights(t *testing.T) {
	k := []float64{0.2, 1.5}
	job := ringWeights(9, 4, k)
	d, err := exact.RingDensity(9)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range k {
		m, err := d.At(k)
		if err != nil {
			t.Fatal(err)
		}
		for j, p := range m.P() {
			got := job.Weight[j*2+i] / job.Weight[i] * m.P()[0]
			if math.Abs(got-p) > 1e-14*p {
				t.Errorf("K = %v, |V| = %d: %v, want %v", k, 9-2*j, got, p)
			}
		}
	}
}
