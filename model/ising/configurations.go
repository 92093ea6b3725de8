package ising

import (
	"context"
	"fmt"
	"math/rand/v2"

	"kadanoff/backend"
)

// Configurations draws independent equilibrium configurations at several
// temperatures, each of them from a replica of its own: count of them at each
// temperature, in the order of the temperatures, [len(t)][count][Height][Width]
// as ±1. They are what a thermometer or an RBM learns from.
//
// Replicas start with all spins up, make the given number of Metropolis sweeps
// and are turned over, all spins at once, with probability ½: the model is
// symmetric, but a cold replica would not get from one sign to the other by
// itself. T = 0 is the limit, aligned spins.
func Configurations(ctx context.Context, b backend.Backend, width, height int, t []float64, count, sweeps int, seed uint64) ([]int8, error) {
	if len(t) == 0 || count < 1 || sweeps < 0 {
		return nil, fmt.Errorf("%d configurations at %d temperatures after %d sweeps: want at least one of each after 0 or more", count, len(t), sweeps)
	}
	spec := backend.LatticeSpec{Width: width, Height: height, Replicas: len(t) * count, Seed: seed}
	for _, x := range t {
		for range count {
			spec.Temperatures = append(spec.Temperatures, x)
		}
	}
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if sites := int64(width) * int64(height); int64(spec.Replicas) > (1<<31)/sites {
		return nil, fmt.Errorf("%d configurations of %d spins, want at most 2³¹ spins", spec.Replicas, sites)
	}
	l, err := b.NewLattice(spec)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.Sweep(ctx, sweeps); err != nil {
		return nil, err
	}
	sites := width * height
	spins := make([]int8, spec.Replicas*sites)
	for r := range spec.Replicas {
		row := spins[r*sites : (r+1)*sites]
		if err := l.State(r, row); err != nil {
			return nil, err
		}
		if rand.New(rand.NewPCG(seed, uint64(r))).Uint64()>>63 != 0 {
			for i := range row {
				row[i] = -row[i]
			}
		}
	}
	return spins, nil
}
