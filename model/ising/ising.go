// Package ising measures the two-dimensional Ising model on a square lattice
// with periodic boundaries, E = −Σ s s' over nearest neighbours, J = k_B = 1.
package ising

import (
	"context"
	"fmt"
	"math"

	"kadanoff/backend"
	"kadanoff/model/stats"
)

// Job is a measurement at one temperature by independent chains.
type Job struct {
	Lattice backend.LatticeSpec // with one temperature above 0 and no exchange
	BurnIn  int                 // sweeps before the first measurement
	Sweeps  int                 // measured after each of them; at least MinSweeps
}

// MinSweeps is the least number of sweeps that errors can be estimated from.
const MinSweeps = stats.MinLength

// Result is what was measured, per spin, with m = Σ s/N and e = E/N. Times are
// in sweeps.
type Result struct {
	Energy           stats.Estimate // ⟨e⟩
	AbsMagnetization stats.Estimate // ⟨|m|⟩
	SquaredMagnetization,
	FourthMagnetization stats.Estimate // ⟨m²⟩, ⟨m⁴⟩
	SpecificHeat   stats.Estimate // N(⟨e²⟩ − ⟨e⟩²)/T²
	Susceptibility stats.Estimate // N(⟨m²⟩ − ⟨|m|⟩²)/T
	Binder         stats.Estimate // 1 − ⟨m⁴⟩/3⟨m²⟩²
}

// The series kept of each chain.
const (
	energy = iota
	energySquared
	absolute
	square
	fourth
	observables
)

// keep bounds the bins of an observable over all chains, except that every
// chain has some: the time of the analysis grows with them, its quality hardly.
const keep = 1 << 16

// record bounds the measurements asked for at a time.
const record = 1 << 20

// Run carries out a job. At times Every, 2·Every, … of the measured sweeps it
// calls draw, if not nil, with the lattice as it is then.
func Run(ctx context.Context, b backend.Backend, job Job, every int, draw func(l backend.Lattice) error) (*Result, error) {
	spec := &job.Lattice
	if len(spec.Temperatures) != 1 || !(spec.Temperatures[0] > 0) || spec.Exchange != 0 {
		return nil, fmt.Errorf("temperatures %v: want one above 0, without exchange", spec.Temperatures)
	}
	if job.BurnIn < 0 || job.Sweeps < MinSweeps {
		return nil, fmt.Errorf("%d sweeps after %d: want at least %d after 0 or more", job.Sweeps, job.BurnIn, MinSweeps)
	}
	if draw == nil || every < 1 {
		every = job.Sweeps
	}
	l, err := b.NewLattice(*spec)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.Sweep(ctx, job.BurnIn); err != nil {
		return nil, err
	}
	held := spec.Held()
	series := newSeries(held)
	rows := max(1, record/held)
	e, m := make([]int64, min(rows, job.Sweeps)*held), make([]int64, min(rows, job.Sweeps)*held)
	for done := 0; done < job.Sweeps; {
		n := min(rows, job.Sweeps-done, every-done%every)
		if err := l.Record(ctx, n, 1, e[:n*held], m[:n*held]); err != nil {
			return nil, err
		}
		series.add(e[:n*held], m[:n*held], float64(spec.Width)*float64(spec.Height))
		if done += n; draw != nil && done%every == 0 {
			if err := draw(l); err != nil {
				return nil, err
			}
		}
	}
	return series.result(float64(spec.Width)*float64(spec.Height), spec.Temperatures[0])
}

// series is the measurements of all chains: observable, chain.
type series [observables][]*stats.Bins

func newSeries(chains int) *series {
	limit := min(max(keep/chains&^1, 16), 1<<13)
	var s series
	for a := range s {
		for range chains {
			s[a] = append(s[a], stats.NewBins(limit))
		}
	}
	return &s
}

// add appends rows of energies and magnetisations of all chains.
func (s *series) add(e, m []int64, sites float64) {
	chains := len(s[0])
	for i := range e {
		c := i % chains
		x, y := float64(e[i])/sites, math.Abs(float64(m[i]))/sites
		s[energy][c].Add(x)
		s[energySquared][c].Add(float64(x * x))
		s[absolute][c].Add(y)
		y2 := float64(y * y)
		s[square][c].Add(y2)
		s[fourth][c].Add(float64(y2 * y2))
	}
}

func (s *series) result(sites, t float64) (*Result, error) {
	r := new(Result)
	for _, o := range []struct {
		to *stats.Estimate
		of int
	}{{&r.Energy, energy}, {&r.AbsMagnetization, absolute}, {&r.SquaredMagnetization, square}, {&r.FourthMagnetization, fourth}} {
		var err error
		if *o.to, err = stats.GammaBins(s[o.of]...); err != nil {
			return nil, err
		}
	}
	means := func(a int) [][]float64 {
		var x [][]float64
		for _, b := range s[a] {
			x = append(x, b.Means())
		}
		return x
	}
	for _, o := range []struct {
		to *stats.Estimate
		of []int
		f  func(mean []float64) float64
	}{
		{&r.SpecificHeat, []int{energy, energySquared}, func(x []float64) float64 { return (x[1] - float64(x[0]*x[0])) * sites / (t * t) }},
		{&r.Susceptibility, []int{absolute, square}, func(x []float64) float64 { return (x[1] - float64(x[0]*x[0])) * sites / t }},
		{&r.Binder, []int{square, fourth}, func(x []float64) float64 { return 1 - x[1]/(3*float64(x[0]*x[0])) }},
	} {
		var x [][][]float64
		for _, a := range o.of {
			x = append(x, means(a))
		}
		var err error
		if *o.to, err = stats.Function(o.f, x...); err != nil {
			return nil, err
		}
		// Counted in bins, which is of no use to a caller.
		o.to.Tau, o.to.TauError, o.to.Window = 0, 0, 0
	}
	return r, nil
}
