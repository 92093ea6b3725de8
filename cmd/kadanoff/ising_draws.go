package main

import (
	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/ising"
	"kadanoff/model/npy"
)

// maxKept bounds the spins that are kept for a file when chains do not come to
// their draws together, as the file wants them.
const maxKept = 1 << 30

// isingDraws takes the states of a job's chains, for a file and for
// correlations.
type isingDraws struct {
	sites, chains int
	file          *npy.Writer[int8] // nil for none
	every         int               // sweeps between draws for it
	kept          []int8            // [draws][chains][sites]; nil when draws are written as they come
	correlations  *ising.Correlations
	correlate     int // sweeps between measurements
}

// newIsingDraws opens the file, if there is to be one: that it cannot be
// written is found out before the work.
func newIsingDraws(p *isingPlan, out string) (*isingDraws, error) {
	d := &isingDraws{sites: p.job.Width * p.job.Height, chains: p.held, every: p.job.Sweeps, correlate: p.job.Correlations}
	var err error
	if d.correlate > 0 {
		if d.correlations, err = ising.NewCorrelations(p.job.Width, p.job.Height, p.held); err != nil {
			return nil, err
		}
	}
	if out == "" {
		return d, nil
	}
	draws, shape := 1, []int{p.held, d.sites}
	if p.job.Every > 0 {
		d.every, draws = p.job.Every, p.job.Sweeps/p.job.Every
		shape = []int{draws, p.held, d.sites}
	}
	if p.lattice == nil {
		if d.sites > maxKept/p.held/draws {
			return nil, cli.Usage("--out %s: %d draws of %d chains of %d spins, want at most 2³⁰ spins with --algorithm %s", out, draws, p.held, d.sites, p.job.Algorithm)
		}
		d.kept = make([]int8, draws*p.held*d.sites)
	}
	d.file, err = npy.Create[int8](out, shape...)
	return d, err
}

// abort drops a file that has not been committed.
func (d *isingDraws) abort() {
	if d.file != nil {
		d.file.Abort()
	}
}

func (d *isingDraws) commit() error {
	if d.file == nil {
		return nil
	}
	if err := d.file.Write(d.kept); err != nil {
		return err
	}
	return d.file.Commit()
}

// chain returns what takes the states of chains that go on by themselves, or
// nil when nobody wants them.
func (d *isingDraws) chain() func(chain, sweep int, spins []int8) error {
	if d.file == nil && d.correlations == nil {
		return nil
	}
	return func(chain, sweep int, spins []int8) error {
		if d.file != nil && (sweep+1)%d.every == 0 {
			copy(d.kept[((sweep+1)/d.every-1)*d.chains*d.sites+chain*d.sites:], spins)
		}
		if d.correlations != nil && (sweep+1)%d.correlate == 0 {
			return d.correlations.Add(chain, spins)
		}
		return nil
	}
}

// lattice returns what takes the states of the replicas of a lattice job, and
// after how many sweeps it is to be called each time.
func (d *isingDraws) lattice(held int) (every int, draw func(backend.Lattice) error) {
	switch {
	case d.file == nil && d.correlations == nil:
		return d.every, nil
	case d.correlations == nil:
		every = d.every
	case d.file == nil:
		every = d.correlate
	default:
		every = gcd(d.every, d.correlate)
	}
	spins, sweep := make([]int8, d.sites), 0
	return every, func(l backend.Lattice) error {
		sweep += every
		write, correlate := d.file != nil && sweep%d.every == 0, d.correlations != nil && sweep%d.correlate == 0
		if !write && !correlate {
			return nil
		}
		for r := range held {
			if err := l.State(r, spins); err != nil {
				return err
			}
			if write {
				if err := d.file.Write(spins); err != nil {
					return err
				}
			}
			if correlate {
				if err := d.correlations.Add(r, spins); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
