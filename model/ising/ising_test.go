package ising

import (
	"context"
	"math"
	"strings"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/cpu"
	"kadanoff/model/stats"
)

func open(t testing.TB) backend.Backend {
	t.Helper()
	b, err := cpu.New(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// Exact values per spin of L×L tori, J = k_B = 1: energy, specific heat, ⟨|m|⟩,
// ⟨m²⟩ and 1 − ⟨m⁴⟩/3⟨m²⟩² from sums over all states by energy and
// magnetisation.
var exact = []struct {
	l                                     int
	t                                     float64
	energy, heat, absolute, square, ratio float64
}{
	{4, 2.0, -1.75538028877743524, 0.605532657210055053, 0.918943267401972055, 0.868921681642317861, 0.644810791187841628},
	{8, 2.0, -1.74568317029319993, 0.714122602855141781, 0.911452266143461344, 0.841671184621553150, 0.654618649250266056},
	{8, 2.5, -1.22232064325091310, 1.100475889362431864, 0.603128979406998448, 0.432099078576221214, 0.524122855863385854},
	{8, 4.0, -0.55849113660838857, 0.174250504538985240, 0.208701679951893167, 0.066745639006919224, 0.098031583754908375},
}

func TestAgainstExactValues(t *testing.T) {
	b := open(t)
	for _, x := range exact {
		for _, algorithm := range []backend.LatticeAlgorithm{backend.Metropolis, backend.HeatBath} {
			r, err := Run(context.Background(), b, Job{
				Lattice: backend.LatticeSpec{Width: x.l, Height: x.l, Replicas: 512, Temperatures: []float64{x.t}, Algorithm: algorithm, Seed: 11},
				BurnIn:  300, Sweeps: 3000,
			}, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			n := float64(x.l * x.l)
			for name, c := range map[string]struct {
				got  stats.Estimate
				want float64
			}{
				"energy":             {r.Energy, x.energy},
				"specific heat":      {r.SpecificHeat, x.heat},
				"|m|":                {r.AbsMagnetization, x.absolute},
				"m²":                 {r.SquaredMagnetization, x.square},
				"susceptibility":     {r.Susceptibility, n * (x.square - x.absolute*x.absolute) / x.t},
				"Binder's cumulant":  {r.Binder, x.ratio},
				"m⁴ from the others": {r.FourthMagnetization, 3 * x.square * x.square * (1 - x.ratio)},
			} {
				// Five standard errors; the errors themselves are small.
				if d := math.Abs(c.got.Mean - c.want); d > 5*c.got.Error || c.got.Error > 0.02*math.Abs(c.want) {
					t.Errorf("L=%d T=%g algorithm %d: %s is %g ± %g, want %g", x.l, x.t, algorithm, name, c.got.Mean, c.got.Error, c.want)
				}
			}
			if r.Energy.Tau < 0.5 || r.Energy.Tau > 20 || r.Energy.N != 512*3000 {
				t.Errorf("L=%d T=%g: τ = %g from %d measurements", x.l, x.t, r.Energy.Tau, r.Energy.N)
			}
		}
	}
}

func TestDraws(t *testing.T) {
	b := open(t)
	job := Job{Lattice: backend.LatticeSpec{Width: 6, Height: 4, Replicas: 3, Temperatures: []float64{2}}, BurnIn: 5, Sweeps: 17}
	var at []uint64
	if _, err := Run(context.Background(), b, job, 5, func(l backend.Lattice) error {
		at = append(at, l.Sweeps())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(at) != 3 || at[0] != 10 || at[2] != 20 {
		t.Errorf("draws before sweeps %v, want 10, 15, 20", at)
	}
}

func TestRefusals(t *testing.T) {
	b := open(t)
	good := backend.LatticeSpec{Width: 4, Height: 4, Replicas: 2, Temperatures: []float64{1}}
	for _, c := range []struct {
		change func(*Job)
		want   string
	}{
		{func(j *Job) { j.Lattice.Temperatures = []float64{-1} }, "one of 0 or more"},
		{func(j *Job) { j.Lattice.Temperatures = []float64{1, 2} }, "one of 0 or more"},
		{func(j *Job) { j.Sweeps = 3 }, "at least 4"},
		{func(j *Job) { j.Lattice.Width = 3 }, "must be even"},
	} {
		job := Job{Lattice: good, Sweeps: 10}
		c.change(&job)
		if _, err := Run(context.Background(), b, job, 0, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
