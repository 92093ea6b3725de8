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
	Lattice backend.LatticeSpec // with one temperature, 0 or more, and no exchange
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

// Series is the measurements of some of a job's chains. As JSON it keeps all
// their bits.
type Series struct {
	Energy   []*stats.Bins `json:"energy"`         // e of each chain
	Energy2  []*stats.Bins `json:"energy_squared"` // e²
	Absolute []*stats.Bins `json:"abs_magnetization"`
	Square   []*stats.Bins `json:"squared_magnetization"`
	Fourth   []*stats.Bins `json:"fourth_magnetization"`
}

// all lists the series' observables.
func (s *Series) all() []*[]*stats.Bins {
	return []*[]*stats.Bins{&s.Energy, &s.Energy2, &s.Absolute, &s.Square, &s.Fourth}
}

// keep bounds the bins of an observable over all chains, except that every
// chain has some: the time of the analysis grows with them, its quality hardly.
const keep = 1 << 16

// record bounds the measurements asked for at a time.
const record = 1 << 20

// Run carries out a job and evaluates it. See Measure.
func Run(ctx context.Context, b backend.Backend, job Job, every int, draw func(l backend.Lattice) error) (*Result, error) {
	s, err := Measure(ctx, b, job, every, draw)
	if err != nil {
		return nil, err
	}
	return s.Result(job.Lattice.Width*job.Lattice.Height, job.Lattice.Temperatures[0])
}

// Measure carries out a job. At times Every, 2·Every, … of the measured sweeps
// it calls draw, if not nil, with the lattice as it is then.
func Measure(ctx context.Context, b backend.Backend, job Job, every int, draw func(l backend.Lattice) error) (*Series, error) {
	spec := &job.Lattice
	if len(spec.Temperatures) != 1 || !(spec.Temperatures[0] >= 0) || spec.Exchange != 0 {
		return nil, fmt.Errorf("temperatures %v: want one of 0 or more, without exchange", spec.Temperatures)
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
	series := newSeries(held, spec.Replicas)
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
	return series, nil
}

// newSeries returns empty series of the chains held. How finely they are kept
// depends on the chains of the whole job, so that its parts fit together.
func newSeries(held, chains int) *Series {
	limit := min(max(keep/chains&^1, 16), 1<<13)
	s := new(Series)
	for _, o := range s.all() {
		for range held {
			*o = append(*o, stats.NewBins(limit))
		}
	}
	return s
}

// add appends rows of energies and magnetisations of all chains.
func (s *Series) add(e, m []int64, sites float64) {
	chains := len(s.Energy)
	for i := range e {
		c := i % chains
		x, y := float64(e[i])/sites, math.Abs(float64(m[i]))/sites
		y2 := float64(y * y)
		s.Energy[c].Add(x)
		s.Energy2[c].Add(float64(x * x))
		s.Absolute[c].Add(y)
		s.Square[c].Add(y2)
		s.Fourth[c].Add(float64(y2 * y2))
	}
}

// Append adds the chains of more, which follow those of s in the job.
func (s *Series) Append(more *Series) {
	from := more.all()
	for i, o := range s.all() {
		*o = append(*o, *from[i]...)
	}
}

// Check reports series that are not those of so many chains.
func (s *Series) Check(chains int) error {
	for _, o := range s.all() {
		if len(*o) != chains {
			return fmt.Errorf("series of %d chains, want %d", len(*o), chains)
		}
		for _, b := range *o {
			if b == nil {
				return fmt.Errorf("a series is missing")
			}
		}
	}
	return nil
}

// Result evaluates the series of a lattice with that many sites at temperature
// t. At t = 0 specific heat and susceptibility have the limit 0.
func (s *Series) Result(sites int, t float64) (*Result, error) {
	n := float64(sites)
	r := new(Result)
	for _, o := range []struct {
		to *stats.Estimate
		of []*stats.Bins
	}{{&r.Energy, s.Energy}, {&r.AbsMagnetization, s.Absolute}, {&r.SquaredMagnetization, s.Square}, {&r.FourthMagnetization, s.Fourth}} {
		var err error
		if *o.to, err = stats.GammaBins(o.of...); err != nil {
			return nil, err
		}
	}
	for _, o := range []struct {
		to *stats.Estimate
		of [2][]*stats.Bins
		f  func(mean []float64) float64
	}{
		{&r.SpecificHeat, [2][]*stats.Bins{s.Energy, s.Energy2}, func(x []float64) float64 { return (x[1] - float64(x[0]*x[0])) * n / (t * t) }},
		{&r.Susceptibility, [2][]*stats.Bins{s.Absolute, s.Square}, func(x []float64) float64 { return (x[1] - float64(x[0]*x[0])) * n / t }},
		{&r.Binder, [2][]*stats.Bins{s.Square, s.Fourth}, func(x []float64) float64 { return 1 - x[1]/(3*float64(x[0]*x[0])) }},
	} {
		if t == 0 && o.to != &r.Binder {
			o.to.N = r.Energy.N
			continue
		}
		var x [2][][]float64
		for i, chains := range o.of {
			for _, b := range chains {
				x[i] = append(x[i], b.Means())
			}
		}
		var err error
		if *o.to, err = stats.Function(o.f, x[0], x[1]); err != nil {
			return nil, err
		}
		// Counted in bins, which is of no use to a caller.
		o.to.Tau, o.to.TauError, o.to.Window = 0, 0, 0
	}
	return r, nil
}
