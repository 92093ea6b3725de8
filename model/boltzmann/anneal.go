package boltzmann

import (
	"context"
	"errors"
	"fmt"
	"math"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/spin/fmath"
)

// Annealing is a search for low energies: sweeps of all chains at temperatures
// that fall from step to step and end at 0.
type Annealing struct {
	Chains     int
	From, To   float64 // first and last temperature above 0, From ≥ To ≥ 1/256
	Steps      int     // temperatures between them, in equal ratios, at least 1
	Sweeps     int     // at each temperature
	ColdSweeps int     // at T = 0 afterwards, until nothing changes; at most that many
	Seed       uint64
}

// Annealed is what annealing has found.
type Annealed struct {
	States *spin.Batch // [N] units of each chain
	// Energies are those of the machine in fixed point, as exact as its
	// couplings are there.
	Energies []float64
	// Settled says that a sweep at T = 0 changed no chain.
	Settled bool
}

// Anneal lets chains cool down from fair coins. At T = 0 a unit takes the sign
// of its activation, the threshold rule (eq 13) except that a unit with
// activation 0 tosses a coin.
func (m *Machine) Anneal(ctx context.Context, b backend.Backend, a Annealing) (*Annealed, error) {
	switch {
	case a.Chains < 1 || a.Steps < 1 || a.Sweeps < 1 || a.ColdSweeps < 0:
		return nil, errors.New("annealing wants at least one chain, step and sweep")
	case !(a.To >= spin.MinTemperature && a.From >= a.To) || math.IsInf(a.From, 0):
		return nil, fmt.Errorf("annealing from temperature %v to %v: want them falling, finite and at least 1/256", a.From, a.To)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	q, err := m.Network()
	if err != nil {
		return nil, err
	}
	s, err := b.NewSampler(backend.SamplerSpec{Network: q, Chains: a.Chains, Seed: a.Seed})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for k := range a.Steps {
		at := 1.
		if a.Steps > 1 {
			at = float64(k) / float64(a.Steps-1)
		}
		t := math.Max(a.To, a.From*fmath.Exp(at*fmath.Log(a.To/a.From)))
		if err := s.SetTemperatures([]float64{t}); err != nil {
			return nil, err
		}
		if err := s.Sweep(ctx, a.Sweeps); err != nil {
			return nil, err
		}
	}
	out := &Annealed{States: spin.NewBatch(m.N, a.Chains), Energies: make([]float64, a.Chains)}
	if err := out.cool(ctx, s, a.ColdSweeps); err != nil {
		return nil, err
	}
	exact := make([]int64, a.Chains)
	if err := b.Energy(ctx, backend.EnergyJob{Network: q, States: out.States}, exact); err != nil {
		return nil, err
	}
	for c, e := range exact {
		out.Energies[c] = math.Ldexp(float64(e), -int(q.Frac))
	}
	return out, nil
}

// cool sweeps at T = 0 until nothing changes.
func (out *Annealed) cool(ctx context.Context, s backend.Sampler, most int) error {
	if err := s.SetTemperatures([]float64{0}); err != nil {
		return err
	}
	if err := s.State(out.States); err != nil {
		return err
	}
	before := spin.NewBatch(out.States.Units, out.States.Chains)
	for range most {
		before.CopyFrom(out.States)
		if err := s.Sweep(ctx, 1); err != nil {
			return err
		}
		if err := s.State(out.States); err != nil {
			return err
		}
		out.Settled = true
		for i, w := range before.Bits {
			out.Settled = out.Settled && w == out.States.Bits[i]
		}
		if out.Settled {
			return nil
		}
	}
	return nil
}

// Best returns the chain of lowest energy, the first of several.
func (out *Annealed) Best() int {
	best := 0
	for c, e := range out.Energies {
		if e < out.Energies[best] {
			best = c
		}
	}
	return best
}
