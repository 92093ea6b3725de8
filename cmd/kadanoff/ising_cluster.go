package main

import (
	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/ising"
	"kadanoff/model/npy"
)

// maxKept bounds the spins that cluster updates keep for a file: chains do not
// come to their draws together, as the file wants them.
const maxKept = 1 << 30

// runClusters is the command with --algorithm cluster.
func (v *isingFlags) runClusters(cmd *cobra.Command, o *cli.Options) error {
	width, height, err := parseTorus(v.lattice)
	if err != nil {
		return err
	}
	switch {
	case v.shard.Count > 0:
		return cli.Usage("--shard %v: goes without --algorithm cluster", &v.shard)
	case o.Backend != "auto":
		return cli.Usage("--backend %s: goes without --algorithm cluster", o.Backend)
	case v.start != "up" && v.start != "random":
		return cli.Usage("--start %q: want up or random", v.start)
	case v.every < 0 || v.every > v.sweeps:
		return cli.Usage("--every %d: want 1 to %d, the number of sweeps", v.every, v.sweeps)
	case v.every > 0 && v.out == "":
		return cli.Usage("--every %d: needs --out", v.every)
	case v.chains < 1 || v.chains > 1<<24:
		return cli.Usage("--chains %d: want 1 to %d", v.chains, 1<<24)
	}
	job := ising.ClusterJob{
		Width: width, Height: height, Temperature: v.t, Chains: v.chains, BurnIn: v.burnIn, Sweeps: v.sweeps,
		Seed: o.Seed, Random: v.start == "random", Threads: o.Threads,
	}
	if err := job.Check(); err != nil {
		return cli.Usage("--lattice %s --t %v --burn-in %d --sweeps %d: %w", v.lattice, v.t, v.burnIn, v.sweeps, err)
	}
	var file *npy.Writer[int8]
	var kept []int8 // [draws][chains][sites]
	var draw func(chain, sweep int, spins []int8) error
	if v.out != "" {
		sites, draws, every := width*height, 1, v.sweeps
		shape := []int{v.chains, sites}
		if v.every > 0 {
			every, draws = v.every, v.sweeps/v.every
			shape = []int{draws, v.chains, sites}
		}
		if sites > maxKept/v.chains/draws {
			return cli.Usage("--out %s: %d draws of %d chains of %d spins, want at most 2³⁰ spins with --algorithm cluster", v.out, draws, v.chains, sites)
		}
		if file, err = npy.Create[int8](v.out, shape...); err != nil {
			return err
		}
		defer file.Abort()
		kept = make([]int8, draws*v.chains*sites)
		draw = func(chain, sweep int, spins []int8) error {
			if (sweep+1)%every == 0 {
				copy(kept[((sweep+1)/every-1)*v.chains*sites+chain*sites:], spins)
			}
			return nil
		}
	}
	series, err := ising.MeasureClusters(cmd.Context(), job, draw)
	if err != nil {
		return err
	}
	if file != nil {
		if err := file.Write(kept); err != nil {
			return err
		}
		if err := file.Commit(); err != nil {
			return err
		}
	}
	r, err := newIsingResult(&isingJob{
		Lattice: v.lattice, Width: width, Height: height, T: v.t, Algorithm: v.algorithm,
		Start: v.start, Seed: o.Seed, Chains: v.chains, Sweeps: v.sweeps, BurnIn: v.burnIn,
	}, series)
	if err != nil {
		return err
	}
	return o.Print(cmd, r)
}
