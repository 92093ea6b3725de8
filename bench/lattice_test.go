package bench

import (
	"context"
	"strings"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/cpu"
	"kadanoff/kernels/isa"
)

// hot runs lattices at temperatures that are too high by a factor.
type hot struct {
	backend.Backend
	factor float64
}

func (h hot) NewLattice(s backend.LatticeSpec) (backend.Lattice, error) {
	t := append([]float64(nil), s.Temperatures...)
	for i := range t {
		t[i] *= h.factor
	}
	s.Temperatures = t
	return h.Backend.NewLattice(s)
}

// twins starts every replica as a copy of another: pairs of them do the same.
type twins struct{ backend.Backend }

func (w twins) NewLattice(s backend.LatticeSpec) (backend.Lattice, error) {
	l, err := w.Backend.NewLattice(s)
	return &twinned{l}, err
}

type twinned struct{ backend.Lattice }

func (l *twinned) State(r int, dst []int8) error { return l.Lattice.State(r/4*4+r%2, dst) }

func TestLatticeChecks(t *testing.T) {
	b, err := cpu.New(backend.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, c := range []struct {
		backend backend.Backend
		catch   string // a part of the names of results that must fail
	}{
		{b, ""},
		{hot{b, 1.005}, "/energy"},
		{hot{b, 1.005}, "/specific-heat"},
		{hot{b, 1.03}, "/antiparallel-0"},
		{twins{b}, "correlation-replicas"},
	} {
		target := &Target{Backend: c.backend, Name: "cpu", ISA: isa.Best().String(), Level: isa.Best(), Threads: 2, Seed: 1}
		failed := ""
		for _, check := range lattices().Checks {
			if strings.Contains(check.Name, "/digest/") || strings.Contains(check.Name, "torus-64") {
				continue
			}
			if c.catch == "correlation-replicas" && !strings.Contains(check.Name, "acceptance") {
				continue
			}
			results, err := check.Run(context.Background(), target)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if !r.Pass() {
					failed += r.Name + " "
				}
			}
		}
		if c.catch == "" && failed != "" {
			t.Errorf("failed: %s", failed)
		}
		if !strings.Contains(failed, c.catch) {
			t.Errorf("%T: no %s among what failed: %s", c.backend, c.catch, failed)
		}
	}
}

func TestLatticeSizes(t *testing.T) {
	for size, ok := range map[string]bool{
		"64x32x100": true, "2x2x1": true, "64x64": false, "63x64x1": false, "0x0x0": false, "ax2x1": false, "100000x100000x1": false, "2048x2048x100000": false,
	} {
		if _, err := latticeSized(size); (err == nil) != ok {
			t.Errorf("--case %s: %v", size, err)
		}
	}
}
