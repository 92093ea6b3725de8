package ising

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// ClusterJob is a measurement at one temperature by independent chains of
// Swendsen–Wang updates (R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58
// (1987) 86). Near T_c their autocorrelation times hardly grow with the
// lattice, where those of single spins grow with its size squared.
//
// Sides may be odd. On a side of two sites the two bonds between a pair both
// count, and a side of one site has a bond with itself, as in a lattice job.
type ClusterJob struct {
	Width, Height int
	Temperature   float64 // above 0
	Chains        int
	First, Count  int // the chains of this part of the job; 0, 0 for all
	BurnIn        int // sweeps before the first measurement
	Sweeps        int // measured after each of them; at least MinSweeps
	Seed          uint64
	Random        bool // start from fair coins rather than all spins up
	Threads       int  // at least 1; has no influence on the result
}

// maxClusterSites bounds the lattice of a cluster job: labels are int32.
const maxClusterSites = 1 << 30

// Check reports what is wrong with a job.
func (j *ClusterJob) Check() error {
	switch {
	case j.Width < 1 || j.Height < 1 || j.Width > maxClusterSites/j.Height:
		return fmt.Errorf("lattice %dx%d: want 1 to 2³⁰ sites", j.Width, j.Height)
	case !(j.Temperature > 0) || math.IsInf(j.Temperature, 0):
		return fmt.Errorf("temperature %v, want a finite one above 0", j.Temperature)
	case j.Chains < 1 || j.Threads < 1:
		return errors.New("cluster updates want at least one chain and one thread")
	case j.First < 0 || j.Count < 0 || j.First >= j.Chains || j.Count > j.Chains-j.First:
		return fmt.Errorf("chains %d to %d of %d", j.First, j.First+j.Count-1, j.Chains)
	case j.BurnIn < 0 || j.Sweeps < MinSweeps:
		return fmt.Errorf("%d sweeps after %d: want at least %d after 0 or more", j.Sweeps, j.BurnIn, MinSweeps)
	}
	return nil
}

// RunClusters carries out a job and evaluates it; draw is as in
// MeasureClusters.
func RunClusters(ctx context.Context, job ClusterJob, draw func(chain, sweep int, spins []int8) error) (*Result, error) {
	s, err := MeasureClusters(ctx, job, draw)
	if err != nil {
		return nil, err
	}
	return s.Result(job.Width*job.Height, job.Temperature)
}

// MeasureClusters carries out a job. After each sweep of a chain it calls draw,
// if not nil, with the chain, from 0 for First, the number of the measured sweep, from 0, and the
// spins, ±1 of shape [Height][Width], which are valid during the call; calls of
// different chains may come at the same time.
func MeasureClusters(ctx context.Context, job ClusterJob, draw func(chain, sweep int, spins []int8) error) (*Series, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	return eachChain(job.Chains, job.First, held(job.Chains, job.First, job.Count), job.Threads, func(c int, s *Series) error {
		return job.chain(ctx, c, s, draw)
	})
}

// held returns how many chains a part of a job has.
func held(chains, first, count int) int {
	if count == 0 {
		return chains - first
	}
	return count
}

// eachChain calls run for the chains from first on, of a job of so many, and
// puts their series in order.
func eachChain(of, first, count, threads int, run func(c int, s *Series) error) (*Series, error) {
	chains := make([]*Series, count)
	errs := make([]error, count)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(threads, count) {
		wg.Go(func() {
			for c := range next {
				chains[c] = newSeries(1, of)
				errs[c] = run(first+c, chains[c])
			}
		})
	}
	for c := range count {
		next <- c
	}
	close(next)
	wg.Wait()
	all := new(Series)
	for c, err := range errs {
		if err != nil {
			return nil, err
		}
		all.Append(chains[c])
	}
	return all, nil
}

// chain runs one chain and adds its measurements to s.
func (j *ClusterJob) chain(ctx context.Context, c int, s *Series, draw func(int, int, []int8) error) error {
	l := newClusters(j.Width, j.Height, j.Temperature, rand.New(rand.NewPCG(j.Seed, uint64(c))))
	if j.Random {
		for i := range l.spins {
			l.spins[i] = int8(l.rng.Uint64()>>63)*2 - 1
		}
	}
	for sweep := -j.BurnIn; sweep < j.Sweeps; sweep++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.sweep()
		if sweep < 0 {
			continue
		}
		e, m := l.measure()
		s.add([]int64{e}, []int64{m}, float64(len(l.spins)))
		if draw != nil {
			if err := draw(c-j.First, sweep, l.spins); err != nil {
				return err
			}
		}
	}
	return nil
}

// clusters is one lattice under Swendsen–Wang updates.
type clusters struct {
	width, height int
	rng           *rand.Rand
	bond          uint64 // equal neighbours are bound when 63 random bits are below it
	spins         []int8
	parent        []int32
	turn          []int8 // by root: 0 not decided, else the new spin
}

func newClusters(width, height int, t float64, rng *rand.Rand) *clusters {
	n := width * height
	l := &clusters{
		width: width, height: height, rng: rng, bond: uint64(-math.Expm1(-2/t) * (1 << 63)),
		spins: make([]int8, n), parent: make([]int32, n), turn: make([]int8, n),
	}
	for i := range l.spins {
		l.spins[i] = 1
	}
	return l
}

// sweep binds equal neighbours with probability 1 − e^(−2/T) and gives each
// cluster that is bound together a new spin, up or down alike.
func (l *clusters) sweep() {
	for i := range l.parent {
		l.parent[i] = int32(i)
	}
	l.eachBond(func(i, k int) {
		if l.spins[i] == l.spins[k] && l.rng.Uint64()>>1 < l.bond {
			l.join(int32(i), int32(k))
		}
	})
	clear(l.turn)
	for i := range l.spins {
		root := l.root(int32(i))
		if l.turn[root] == 0 {
			l.turn[root] = int8(l.rng.Uint64()>>63)*2 - 1
		}
		l.spins[i] = l.turn[root]
	}
}

// eachBond calls f for the bond of every site to the right and to below.
func (l *clusters) eachBond(f func(i, k int)) {
	for y := range l.height {
		below := (y + 1) % l.height * l.width
		for x := range l.width {
			i := y*l.width + x
			f(i, y*l.width+(x+1)%l.width)
			f(i, below+x)
		}
	}
}

func (l *clusters) root(i int32) int32 {
	for l.parent[i] != i {
		l.parent[i] = l.parent[l.parent[i]]
		i = l.parent[i]
	}
	return i
}

// join makes the smaller label the root, so that labels do not depend on the
// order in which bonds are found.
func (l *clusters) join(i, k int32) {
	a, b := l.root(i), l.root(k)
	if a > b {
		a, b = b, a
	}
	l.parent[b] = a
}

func (l *clusters) measure() (energy, magnetization int64) {
	l.eachBond(func(i, k int) { energy -= int64(l.spins[i]) * int64(l.spins[k]) })
	for _, s := range l.spins {
		magnetization += int64(s)
	}
	return energy, magnetization
}
