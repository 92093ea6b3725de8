package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/ising"
	"kadanoff/model/stats"
)

func init() { register(newIsing) }

// isingFlags are the values of kadanoff ising's flags.
type isingFlags struct {
	lattice, algorithm, start, out string
	t                              float64
	chains, sweeps, burnIn, every  int
	correlations                   int
	shard                          cli.Shard
}

// Bounds: the series that are kept for the errors, and a job in parts.
const (
	maxIsingChains = 1 << 20
	maxIsingJob    = 1 << 30
)

// estimate is a mean with its error; tau, in sweeps, where it is known.
type estimate struct {
	Mean  cli.Float `json:"mean"`
	Error cli.Float `json:"error"`
	Tau   cli.Float `json:"tau,omitzero"`
}

// isingResult is per spin, J = k_B = 1.
type isingResult struct {
	Lattice              string    `json:"lattice"`
	T                    cli.Float `json:"t"`
	Algorithm            string    `json:"algorithm"`
	Chains               int       `json:"chains"`
	Sweeps               int       `json:"sweeps"`
	BurnIn               int       `json:"burn_in"`
	Energy               estimate  `json:"energy"`
	AbsMagnetization     estimate  `json:"abs_magnetization"`
	SquaredMagnetization estimate  `json:"squared_magnetization"`
	SpecificHeat         estimate  `json:"specific_heat"`
	Susceptibility       estimate  `json:"susceptibility"`
	Binder               estimate  `json:"binder"`

	Correlations []correlationRow `json:"correlations,omitempty"`
}

// correlationRow is ⟨s(x) s(x + r)⟩ at a distance r along the axes.
type correlationRow struct {
	Distance int `json:"distance"`
	estimate
}

func newIsing(o *cli.Options) *cobra.Command {
	var v isingFlags
	cmd := &cobra.Command{
		Use:   "ising",
		Short: "Sample the 2D Ising model, or a ring of spins",
		Long: "Sample the Ising model on a square lattice with periodic boundaries (J = k_B = 1) and estimate, per spin,\n" +
			"energy, magnetisation and their fluctuations, with errors that include autocorrelations (tau is in sweeps).\n" +
			"--correlations n adds <s(x) s(x + r)> for r up to half the longer side, measured after every n-th sweep.\n\n" +
			"--out gets the spins, int8 ±1 of shape [chains, sites] after the last sweep, site y·width + x; with --every n\n" +
			"[draws, chains, sites] after every n-th sweep. --shard i/n does part i of n of the chains, the same chains as\n" +
			"without it, and prints their measurements; kadanoff merge makes the estimates of all parts, and with --spins\n" +
			"one file of their spins.\n\n" +
			"--algorithm cluster does Swendsen-Wang updates on the CPU, which near T = 2.269 forget much sooner than single\n" +
			"spins do and take any sides, odd ones too. On a ring every sweep is a new sample that is exact and independent\n" +
			"of all others (direct); there is no --burn-in and no --start. Neither of the two takes --backend.\n\n" +
			"--t 0 is the limit: aligned spins.",
		Example: "  kadanoff ising --lattice torus:64x64 --t 2.269 --chains 100 --sweeps 1000 --burn-in 200 --out FILE.npy\n" +
			"  kadanoff ising --lattice torus:1024 --t 2 --chains 1 --sweeps 5000 --burn-in 1000 --format json\n" +
			"  kadanoff ising --lattice torus:64 --t 2.3 --chains 1000 --shard 0/4 > part0.json\n" +
			"  kadanoff ising --lattice torus:128 --t 2.269 --algorithm cluster --chains 8 --correlations 10\n" +
			"  kadanoff ising --lattice ring:8 --t 1 --chains 10 --sweeps 10000",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireGiven(cmd, "lattice", "t"); err != nil {
				return err
			}
			plan, err := v.plan(cmd, o)
			if err != nil {
				return err
			}
			return v.run(cmd, o, plan)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&v.lattice, "lattice", "", "torus:WIDTHxHEIGHT or torus:SIDE, sides even but for clusters; or ring:SPINS")
	f.Float64Var(&v.t, "t", 0, "temperature")
	f.StringVar(&v.algorithm, "algorithm", "metropolis", "metropolis, heatbath or cluster; on a ring direct, its default")
	f.IntVar(&v.chains, "chains", 1, "independent chains")
	f.IntVar(&v.sweeps, "sweeps", 1000, "sweeps that are measured")
	f.IntVar(&v.burnIn, "burn-in", 200, "sweeps before the first measurement")
	f.StringVar(&v.start, "start", "up", "up: all spins +1; random: fair coins")
	f.IntVar(&v.correlations, "correlations", 0, "measure correlations after every that many sweeps; 0: never")
	f.StringVar(&v.out, "out", "", "write the spins to this .npy file")
	f.IntVar(&v.every, "every", 0, "write the spins after every that many sweeps; 0: after the last only")
	f.Var(&v.shard, "shard", cli.ShardHelp("the chains"))
	return cmd
}

// parseLattice reads torus:WIDTHxHEIGHT, torus:SIDE or ring:SPINS, a lattice of
// height 1.
func parseLattice(text string) (width, height int, ring bool, err error) {
	bad := cli.Usage("--lattice %q: want torus:WIDTHxHEIGHT or torus:SIDE, as in torus:64x64, or ring:SPINS", text)
	if spins, ok := strings.CutPrefix(text, "ring:"); ok {
		if width, err = strconv.Atoi(spins); err != nil {
			return 0, 0, false, bad
		}
		return width, 1, true, nil
	}
	sides, ok := strings.CutPrefix(text, "torus:")
	if !ok {
		return 0, 0, false, bad
	}
	w, h, two := strings.Cut(sides, "x")
	if !two {
		h = w
	}
	if width, err = strconv.Atoi(w); err != nil {
		return 0, 0, false, bad
	}
	if height, err = strconv.Atoi(h); err != nil {
		return 0, 0, false, bad
	}
	return width, height, false, nil
}

// isingPlan is a job whose flags have been checked, with the chains of its
// part. One of the three is to be done.
type isingPlan struct {
	job         isingJob
	first, held int

	lattice *ising.Job
	cluster *ising.ClusterJob
	ring    *ising.RingJob
}

// maxCorrelations bounds the pairs of sites that one measurement visits.
const maxCorrelations = 1 << 33

// plan checks the flags.
func (v *isingFlags) plan(cmd *cobra.Command, o *cli.Options) (*isingPlan, error) {
	width, height, ring, err := parseLattice(v.lattice)
	if err != nil {
		return nil, err
	}
	if err := requireFinite(cmd, "t"); err != nil || v.t < 0 {
		return nil, cli.Usage("--t %v: want a finite temperature of 0 or more", v.t)
	}
	changed := cmd.Flags().Changed
	if ring && !changed("algorithm") {
		v.algorithm = "direct"
	}
	switch {
	case ring && v.algorithm != "direct", !ring && v.algorithm == "direct":
		return nil, cli.Usage("--algorithm %s: a ring is sampled by direct alone, and nothing else is", v.algorithm)
	case ring && (changed("burn-in") || changed("start")):
		return nil, cli.Usage("--lattice %s: every sample is independent, so --burn-in and --start say nothing", v.lattice)
	case (ring || v.algorithm == "cluster") && o.Backend != "auto":
		return nil, cli.Usage("--backend %s: goes without --algorithm %s", o.Backend, v.algorithm)
	case v.start != "up" && v.start != "random":
		return nil, cli.Usage("--start %q: want up or random", v.start)
	case v.t == 0 && v.start == "random":
		return nil, cli.Usage("--t 0 --start random: a quench stays where it freezes, want --start up or a higher --t")
	case v.sweeps < ising.MinSweeps:
		return nil, cli.Usage("--sweeps %d: want at least %d", v.sweeps, ising.MinSweeps)
	case v.burnIn < 0:
		return nil, cli.Usage("--burn-in %d: want 0 or more", v.burnIn)
	case v.every < 0 || v.every > v.sweeps:
		return nil, cli.Usage("--every %d: want 1 to %d, the number of sweeps", v.every, v.sweeps)
	case v.every > 0 && v.out == "":
		return nil, cli.Usage("--every %d: needs --out", v.every)
	case v.correlations < 0 || v.correlations > 0 && v.sweeps/v.correlations < ising.MinSweeps:
		return nil, cli.Usage("--correlations %d: want at least %d measurements in %d sweeps", v.correlations, ising.MinSweeps, v.sweeps)
	case v.chains < 1 || v.chains > maxIsingJob:
		return nil, cli.Usage("--chains %d: want 1 to %d", v.chains, maxIsingJob)
	case v.shard.Count > v.chains:
		return nil, cli.Usage("--shard %v: want at most %d parts, one for each chain", &v.shard, v.chains)
	}
	if ring {
		v.burnIn = 0
	}
	p := &isingPlan{held: v.chains, job: isingJob{
		Lattice: v.lattice, Width: width, Height: height, T: v.t, Algorithm: v.algorithm, Start: v.start, Seed: o.Seed,
		Chains: v.chains, Sweeps: v.sweeps, BurnIn: v.burnIn, Correlations: v.correlations, Every: v.every,
	}}
	if n := v.shard.Count; n > 0 {
		p.first = v.shard.Index * v.chains / n
		p.held = (v.shard.Index+1)*v.chains/n - p.first
	}
	if p.held > maxIsingChains {
		return nil, cli.Usage("--chains %d: want at most %d in one run, --shard i/n does a part of them", v.chains, maxIsingChains)
	}
	if err := p.choose(o.Threads); err != nil {
		return nil, err
	}
	if sites := int64(width) * int64(height); v.correlations > 0 && sites > maxCorrelations/int64(ising.Distances(width, height)) {
		return nil, cli.Usage("--correlations %d: %d sites at %d distances, want at most 2³³ pairs in a measurement", v.correlations, sites, ising.Distances(width, height))
	}
	return p, nil
}

// choose makes the job that does the work.
func (p *isingPlan) choose(threads int) error {
	j := &p.job
	var err error
	switch j.Algorithm {
	case "direct":
		p.ring = &ising.RingJob{
			Size: j.Width, Temperature: j.T, Chains: j.Chains, First: p.first, Count: p.held, Samples: j.Sweeps, Seed: j.Seed, Threads: threads,
		}
		err = p.ring.Check()
	case "cluster":
		p.cluster = &ising.ClusterJob{
			Width: j.Width, Height: j.Height, Temperature: j.T, Chains: j.Chains, First: p.first, Count: p.held,
			BurnIn: j.BurnIn, Sweeps: j.Sweeps, Seed: j.Seed, Random: j.Start == "random", Threads: threads,
		}
		err = p.cluster.Check()
	case "metropolis", "heatbath":
		p.lattice = &ising.Job{BurnIn: j.BurnIn, Sweeps: j.Sweeps, Lattice: backend.LatticeSpec{
			Width: j.Width, Height: j.Height, Replicas: j.Chains, First: p.first, Count: p.held,
			Temperatures: []float64{j.T}, Seed: j.Seed, Random: j.Start == "random",
		}}
		if j.Algorithm == "heatbath" {
			p.lattice.Lattice.Algorithm = backend.HeatBath
		}
		err = p.lattice.Lattice.Check()
	default:
		return cli.Usage("--algorithm %q: want metropolis, heatbath or cluster", j.Algorithm)
	}
	if err != nil {
		return cli.Usage("--lattice %s --t %v: %w", j.Lattice, j.T, err)
	}
	return nil
}

func (v *isingFlags) run(cmd *cobra.Command, o *cli.Options, p *isingPlan) error {
	keep, err := newIsingDraws(p, v.out)
	if err != nil {
		return err
	}
	defer keep.abort()
	series, err := p.measure(cmd, o, keep)
	if err != nil {
		return err
	}
	if err := keep.commit(); err != nil {
		return err
	}
	part := &isingPart{
		Kind: "ising", Job: p.job, Index: v.shard.Index, Count: v.shard.Count,
		Series: series, Correlations: keep.correlations, Spins: v.out,
	}
	if v.shard.Count > 0 {
		// What --shard makes is for merge and always JSON.
		return cli.Write(cmd.OutOrStdout(), cli.JSON, part)
	}
	r, err := part.result()
	if err != nil {
		return err
	}
	return o.Print(cmd, r)
}

// measure does the work.
func (p *isingPlan) measure(cmd *cobra.Command, o *cli.Options, keep *isingDraws) (*ising.Series, error) {
	switch {
	case p.ring != nil:
		return ising.MeasureRing(cmd.Context(), *p.ring, keep.chain())
	case p.cluster != nil:
		return ising.MeasureClusters(cmd.Context(), *p.cluster, keep.chain())
	}
	b, err := openBackend(o)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	every, draw := keep.lattice(p.held)
	return ising.Measure(cmd.Context(), b, *p.lattice, every, draw)
}

// result evaluates the measurements of all chains of a job.
func (p *isingPart) result() (*isingResult, error) {
	job := &p.Job
	r, err := p.Series.Result(job.Width*job.Height, job.T)
	if err != nil {
		return nil, err
	}
	short := func(e stats.Estimate) estimate {
		return estimate{Mean: cli.Float(e.Mean), Error: cli.Float(e.Error), Tau: cli.Float(e.Tau)}
	}
	out := &isingResult{
		Lattice: job.Lattice, T: cli.Float(job.T), Algorithm: job.Algorithm, Chains: job.Chains,
		Sweeps: job.Sweeps, BurnIn: job.BurnIn,
		Energy: short(r.Energy), AbsMagnetization: short(r.AbsMagnetization), SquaredMagnetization: short(r.SquaredMagnetization),
		SpecificHeat: short(r.SpecificHeat), Susceptibility: short(r.Susceptibility), Binder: short(r.Binder),
	}
	if p.Correlations == nil {
		return out, nil
	}
	list, err := p.Correlations.Estimates()
	if err != nil {
		return nil, fmt.Errorf("correlations: %w", err)
	}
	for i, e := range list {
		e.Tau *= float64(job.Correlations) // in sweeps
		out.Correlations = append(out.Correlations, correlationRow{i, short(e)})
	}
	return out, nil
}
