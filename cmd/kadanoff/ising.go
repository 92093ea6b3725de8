package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/ising"
	"kadanoff/model/npy"
	"kadanoff/model/stats"
)

func init() { register(newIsing) }

// isingFlags are the values of kadanoff ising's flags.
type isingFlags struct {
	lattice, algorithm, start, out string
	t                              float64
	chains, sweeps, burnIn, every  int
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
}

func newIsing(o *cli.Options) *cobra.Command {
	var v isingFlags
	cmd := &cobra.Command{
		Use:   "ising",
		Short: "Sample the 2D Ising model",
		Long: "Sample the Ising model on a square lattice with periodic boundaries (J = k_B = 1) and estimate, per spin,\n" +
			"energy, magnetisation and their fluctuations, with errors that include autocorrelations (tau is in sweeps).\n\n" +
			"--out gets the spins, int8 ±1 of shape [chains, sites] after the last sweep, site y·width + x; with --every n\n" +
			"[draws, chains, sites] after every n-th sweep. --shard i/n does part i of n of the chains, the same chains as\n" +
			"without it, and prints their measurements; kadanoff merge makes the estimates of all parts.\n\n" +
			"--algorithm cluster does Swendsen-Wang updates on the CPU, which near T = 2.269 forget much sooner than single\n" +
			"spins do and take any sides, odd ones too. It goes without --shard, --backend and --isa.",
		Example: "  kadanoff ising --lattice torus:64x64 --t 2.269 --chains 100 --sweeps 1000 --burn-in 200 --out FILE.npy\n" +
			"  kadanoff ising --lattice torus:1024 --t 2 --chains 1 --sweeps 5000 --burn-in 1000 --format json\n" +
			"  kadanoff ising --lattice torus:64 --t 2.3 --chains 1000 --shard 0/4 > part0.json\n" +
			"  kadanoff ising --lattice torus:128 --t 2.269 --algorithm cluster --chains 8",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireGiven(cmd, "lattice", "t"); err != nil {
				return err
			}
			if v.algorithm == "cluster" {
				return v.runClusters(cmd, o)
			}
			job, err := v.job(cmd, o.Seed)
			if err != nil {
				return err
			}
			return v.run(cmd, o, job)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&v.lattice, "lattice", "", "torus:WIDTHxHEIGHT or torus:SIDE, sides even but for clusters")
	f.Float64Var(&v.t, "t", 0, "temperature")
	f.StringVar(&v.algorithm, "algorithm", "metropolis", "metropolis, heatbath or cluster")
	f.IntVar(&v.chains, "chains", 1, "independent chains")
	f.IntVar(&v.sweeps, "sweeps", 1000, "sweeps that are measured")
	f.IntVar(&v.burnIn, "burn-in", 200, "sweeps before the first measurement")
	f.StringVar(&v.start, "start", "up", "up: all spins +1; random: fair coins")
	f.StringVar(&v.out, "out", "", "write the spins to this .npy file")
	f.IntVar(&v.every, "every", 0, "write the spins after every that many sweeps; 0: after the last only")
	f.Var(&v.shard, "shard", cli.ShardHelp("the chains"))
	return cmd
}

// parseTorus reads torus:WIDTHxHEIGHT or torus:SIDE.
func parseTorus(text string) (width, height int, err error) {
	bad := cli.Usage("--lattice %q: want torus:WIDTHxHEIGHT or torus:SIDE, as in torus:64x64", text)
	sides, ok := strings.CutPrefix(text, "torus:")
	if !ok {
		return 0, 0, bad
	}
	w, h, two := strings.Cut(sides, "x")
	if !two {
		h = w
	}
	if width, err = strconv.Atoi(w); err != nil {
		return 0, 0, bad
	}
	if height, err = strconv.Atoi(h); err != nil {
		return 0, 0, bad
	}
	return width, height, nil
}

// job checks the flags.
func (v *isingFlags) job(cmd *cobra.Command, seed uint64) (job ising.Job, err error) {
	spec := backend.LatticeSpec{Replicas: v.chains, Temperatures: []float64{v.t}, Seed: seed}
	if spec.Width, spec.Height, err = parseTorus(v.lattice); err != nil {
		return job, err
	}
	if err := requireFinite(cmd, "t"); err != nil || v.t <= 0 {
		return job, cli.Usage("--t %v: want a finite temperature above 0", v.t)
	}
	switch v.algorithm {
	case "metropolis":
	case "heatbath":
		spec.Algorithm = backend.HeatBath
	default:
		return job, cli.Usage("--algorithm %q: want metropolis, heatbath or cluster", v.algorithm)
	}
	switch v.start {
	case "up":
	case "random":
		spec.Random = true
	default:
		return job, cli.Usage("--start %q: want up or random", v.start)
	}
	if v.sweeps < ising.MinSweeps {
		return job, cli.Usage("--sweeps %d: want at least %d", v.sweeps, ising.MinSweeps)
	}
	if v.burnIn < 0 {
		return job, cli.Usage("--burn-in %d: want 0 or more", v.burnIn)
	}
	if v.every < 0 || v.every > v.sweeps {
		return job, cli.Usage("--every %d: want 1 to %d, the number of sweeps", v.every, v.sweeps)
	}
	if v.every > 0 && v.out == "" {
		return job, cli.Usage("--every %d: needs --out", v.every)
	}
	if v.chains < 1 || v.chains > maxIsingJob {
		return job, cli.Usage("--chains %d: want 1 to %d", v.chains, maxIsingJob)
	}
	if n := v.shard.Count; n > 0 {
		if n > v.chains {
			return job, cli.Usage("--shard %v: want at most %d parts, one for each chain", &v.shard, v.chains)
		}
		spec.First = v.shard.Index * v.chains / n
		spec.Count = (v.shard.Index+1)*v.chains/n - spec.First
	}
	if spec.Held() > maxIsingChains {
		return job, cli.Usage("--chains %d: want at most %d in one run, --shard i/n does a part of them", v.chains, maxIsingChains)
	}
	if err := spec.Check(); err != nil {
		return job, cli.Usage("--lattice %s: %v", v.lattice, err)
	}
	return ising.Job{Lattice: spec, BurnIn: v.burnIn, Sweeps: v.sweeps}, nil
}

func (v *isingFlags) run(cmd *cobra.Command, o *cli.Options, job ising.Job) error {
	b, err := openBackend(o)
	if err != nil {
		return err
	}
	defer b.Close()
	var file *npy.Writer[int8]
	var draw func(backend.Lattice) error
	every := job.Sweeps
	if v.out != "" {
		held, sites := job.Lattice.Held(), job.Lattice.Width*job.Lattice.Height
		shape := []int{held, sites}
		if v.every > 0 {
			every = v.every
			shape = []int{job.Sweeps / every, held, sites}
		}
		// Before the work: a file that cannot be written is found out now.
		if file, err = npy.Create[int8](v.out, shape...); err != nil {
			return err
		}
		defer file.Abort()
		spins := make([]int8, sites)
		draw = func(l backend.Lattice) error {
			for r := range held {
				if err := l.State(r, spins); err != nil {
					return err
				}
				if err := file.Write(spins); err != nil {
					return err
				}
			}
			return nil
		}
	}
	series, err := ising.Measure(cmd.Context(), b, job, every, draw)
	if err != nil {
		return err
	}
	if file != nil {
		if err := file.Commit(); err != nil {
			return err
		}
	}
	common := isingJob{
		Lattice: v.lattice, Width: job.Lattice.Width, Height: job.Lattice.Height, T: v.t, Algorithm: v.algorithm,
		Start: v.start, Seed: o.Seed, Chains: v.chains, Sweeps: job.Sweeps, BurnIn: job.BurnIn,
	}
	if v.shard.Count > 0 {
		// What --shard makes is for merge and always JSON.
		return cli.Write(cmd.OutOrStdout(), cli.JSON, isingPart{
			Kind: "ising", Job: common, Index: v.shard.Index, Count: v.shard.Count, Series: series,
		})
	}
	r, err := newIsingResult(&common, series)
	if err != nil {
		return err
	}
	return o.Print(cmd, r)
}

// newIsingResult evaluates the measurements of all chains of a job.
func newIsingResult(job *isingJob, series *ising.Series) (*isingResult, error) {
	r, err := series.Result(job.Width*job.Height, job.T)
	if err != nil {
		return nil, err
	}
	short := func(e stats.Estimate) estimate {
		return estimate{Mean: cli.Float(e.Mean), Error: cli.Float(e.Error), Tau: cli.Float(e.Tau)}
	}
	return &isingResult{
		Lattice: job.Lattice, T: cli.Float(job.T), Algorithm: job.Algorithm, Chains: job.Chains,
		Sweeps: job.Sweeps, BurnIn: job.BurnIn,
		Energy: short(r.Energy), AbsMagnetization: short(r.AbsMagnetization), SquaredMagnetization: short(r.SquaredMagnetization),
		SpecificHeat: short(r.SpecificHeat), Susceptibility: short(r.Susceptibility), Binder: short(r.Binder),
	}, nil
}
