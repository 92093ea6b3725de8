package bench

import (
	"context"
	"strings"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/ref"
)

// faultyEnumerations restates the reference backend's enumerations with a
// fault.
type faultyEnumerations struct {
	ref.Backend
	part func(p *backend.EnumeratePart)
	rbm  func(e *backend.RBMEnumeration)
}

func (f faultyEnumerations) Enumerate(ctx context.Context, job *backend.EnumerateJob) (*backend.EnumeratePart, error) {
	p, err := f.Backend.Enumerate(ctx, job)
	if err == nil && f.part != nil {
		f.part(p)
	}
	return p, err
}

func (f faultyEnumerations) EnumerateRBM(ctx context.Context, job *backend.EnumerateRBMJob) (*backend.RBMEnumeration, error) {
	e, err := f.Backend.EnumerateRBM(ctx, job)
	if err == nil && f.rbm != nil {
		f.rbm(e)
	}
	return e, err
}

// failures runs the checks of exact values and returns the names that fail.
func failures(t *testing.T, b backend.Backend) map[string]bool {
	t.Helper()
	failed := map[string]bool{}
	for _, c := range enumerate().Checks {
		if strings.Contains(c.Name, "digest") {
			continue
		}
		results, err := c.Run(context.Background(), refTarget(b))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		for _, r := range results {
			if !strings.HasPrefix(r.Name, c.Name+"/") {
				t.Errorf("%s is a result of %s", r.Name, c.Name)
			}
			if !r.Pass() {
				failed[strings.TrimPrefix(r.Name, "enumerate/")] = true
			}
		}
	}
	return failed
}

func TestEnumerationFaultsAreSeen(t *testing.T) {
	if f := failures(t, ref.New()); len(f) > 0 {
		t.Errorf("the reference fails %v", f)
	}
	sums := func(change func(l *backend.LeafSum)) func(p *backend.EnumeratePart) {
		return func(p *backend.EnumeratePart) {
			for _, beta := range p.Sums {
				for _, pass := range beta {
					change(&pass[0])
				}
			}
		}
	}
	for _, c := range []struct {
		name string
		b    faultyEnumerations
		want []string
	}{
		{"one ground state too many", faultyEnumerations{part: func(p *backend.EnumeratePart) { p.GroundStates++ }},
			[]string{"torus-4x4/ground-states", "agreement/ground-states"}},
		{"a minimum one too high", faultyEnumerations{part: func(p *backend.EnumeratePart) { p.Ground++ }},
			[]string{"torus-4x4/minimum", "agreement/minimum"}},
		{"a state moved to another energy", faultyEnumerations{part: func(p *backend.EnumeratePart) {
			if len(p.Bins) > 4 {
				p.Bins[3].Count--
				p.Bins[4].Count++
			}
		}}, []string{"torus-4x4/histogram"}},
		{"sums 1e-10 off", faultyEnumerations{part: sums(func(l *backend.LeafSum) { l.Sum *= 1 + 1e-10 })},
			[]string{"ring/log-z", "agreement/log-z"}},
		{"a moment 1e-10 off", faultyEnumerations{part: sums(func(l *backend.LeafSum) {
			for i := range l.Sums {
				l.Sums[i] += 1e-10 * l.Sum
			}
		})}, []string{"ring/pair-correlations"}},
		{"log Z of an RBM 1e-10 off", faultyEnumerations{rbm: func(e *backend.RBMEnumeration) { e.LogZ += 1e-10 }},
			[]string{"rbm/log-z"}},
		{"a pair of an RBM off", faultyEnumerations{rbm: func(e *backend.RBMEnumeration) {
			if len(e.Pairs) > 0 {
				e.Pairs[7] += 1e-10
			}
		}}, []string{"rbm/pair-correlations"}},
	} {
		f := failures(t, c.b)
		for _, want := range c.want {
			if !f[want] {
				t.Errorf("%s: %s passes; failed are %v", c.name, want, f)
			}
		}
	}
}

func TestEnumerateSizes(t *testing.T) {
	for _, size := range []string{"minimum-20", "rbm-30x7", "log-z-33", "branch-and-bound-44"} {
		if b, err := enumerateSized(size); err != nil || b.Name != "enumerate/"+size {
			t.Errorf("%s: %q, %v", size, b.Name, err)
		}
	}
	for _, size := range []string{"", "20", "minimum-", "minimum-99", "rbm-1", "rbm-40x40", "rbm-0x3", "other-20"} {
		if _, err := enumerateSized(size); err == nil {
			t.Errorf("size %q is accepted", size)
		}
	}
}
