package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/couplings"
)

func init() { register(newEnumerate) }

type enumerateFlags struct {
	beta, input, convention string
	lowest                  int
	histogram, joint        bool
	moments                 bool
	branchAndBound, insist  bool
	resume                  bool
	shard                   cli.Shard
	out                     string
}

func newEnumerate(o *cli.Options) *cobra.Command {
	var e enumerateFlags
	cmd := &cobra.Command{
		Use:   "enumerate FILE",
		Short: "All 2^N states of an Ising model: ground states, log Z, histogram",
		Long: "Exact answers about all 2^N states of E(s) = -sum J s s - sum h s: the lowest states, log Z, moments and\n" +
			"the histogram of energies.\n\n" +
			"FILE holds the couplings: text with \"i j J\" for each bond and \"i i h\" for each field, spins counted from 0\n" +
			"and # for comments (coo, the default); a MaxCut graph (gset), whose ground states are the largest cuts; or\n" +
			"an .npy matrix with the fields on its diagonal. Repeated pairs add up.\n\n" +
			"Energies are exact where the couplings are multiples of one number and their sum is below 2^30 of it, and\n" +
			"else in the smallest power of two that fits, with the rounding error said. States are written with spin 0\n" +
			"first. Ties are in order of the state's index, in which spin i is bit i, 1 for +1. Energy and specific\n" +
			"heat are those of the whole system, with k_B = 1.\n\n" +
			"With --shard the result is a file of partial sums; kadanoff merge puts the parts together, to the same bits\n" +
			"as one run.\n\n" +
			"A run with --out FILE that is interrupted or terminated, gets SIGUSR1, or has run for five minutes leaves\n" +
			"what it has done in FILE.checkpoint; --resume goes on with that, to the same bits, on any machine.",
		Example: "  kadanoff enumerate couplings.txt --beta 1 --lowest 4 --histogram\n" +
			"  kadanoff enumerate G.txt --input gset --branch-and-bound --lowest 10\n" +
			"  kadanoff enumerate J.npy --beta 0.5,1,2 --moments --format json\n" +
			"  kadanoff enumerate couplings.txt --beta 1 --shard 0/2 --out part0.json\n" +
			"  kadanoff enumerate couplings.txt --lowest 4 --insist --out result.json --resume",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.Usage("kadanoff enumerate needs one file of couplings, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd, o, args[0]) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&e.beta, "beta", "", "inverse temperatures for log Z, separated by commas")
	f.IntVar(&e.lowest, "lowest", 0, "how many of the lowest states to list")
	f.BoolVar(&e.histogram, "histogram", false, "count the states at each energy")
	f.BoolVar(&e.joint, "joint", false, "count the states at each energy and magnetization")
	f.BoolVar(&e.moments, "moments", false, "mean energy, specific heat, magnetization and pair correlations at each --beta")
	f.StringVar(&e.input, "input", "auto", "format of FILE: coo, gset or npy")
	f.StringVar(&e.convention, "convention", "ising", "signs of FILE: ising, or dwave for E = +sum J s s + sum h s")
	f.BoolVar(&e.branchAndBound, "branch-and-bound", false, "find the lowest states by an exact search instead of visiting all states")
	f.BoolVar(&e.insist, "insist", false, "go on whatever the estimated time")
	f.Var(&e.shard, "shard", cli.ShardHelp("the job"))
	f.StringVar(&e.out, "out", "", "write the result to this file, as JSON")
	f.BoolVar(&e.resume, "resume", false, "go on with the checkpoint of --out, if there is one")
	return cmd
}

func (e *enumerateFlags) run(cmd *cobra.Command, o *cli.Options, path string) error {
	job, scale, err := e.job(cmd, o, path)
	if err != nil {
		return err
	}
	b, err := openBackend(o)
	if err != nil {
		return err
	}
	defer b.Close()
	ctx := cmd.Context()
	if !e.insist && !e.branchAndBound {
		if err := affordable(ctx, b, job); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	job.Progress = showProgress(cmd.ErrOrStderr())
	part, drop, err := e.visit(ctx, b, job, scale)
	if err != nil {
		return err
	}
	var result any = newEnumeratePart(job, scale, part)
	if e.shard.Count == 0 {
		all, err := backend.FinishEnumeration(job, []*backend.EnumeratePart{part})
		if err != nil {
			return err
		}
		result = newEnumerateResult(job, scale, all)
	}
	if err := writeResult(cmd, o, e.out, result); err != nil {
		return err
	}
	return drop()
}

// visit visits the states of the job; drop is for when the result is written.
func (e *enumerateFlags) visit(ctx context.Context, b backend.Backend, job *backend.EnumerateJob, scale couplings.Scale) (part *backend.EnumeratePart, drop func() error, err error) {
	if e.out == "" || e.branchAndBound {
		part, err = b.Enumerate(ctx, job)
		return part, func() error { return nil }, err
	}
	now := make(chan os.Signal, 1)
	notifyCheckpoint(now)
	defer signal.Stop(now)
	r := &enumerateRun{backend: b, job: job, scale: scale, path: e.out + ".checkpoint", now: now}
	if err := r.start(e.resume); err != nil {
		return nil, nil, err
	}
	return &r.done, r.drop, r.run(ctx)
}

// maxTable is how many states a table or CSV may list.
const maxTable = 100_000

// job reads the couplings and makes the flags into a job.
func (e *enumerateFlags) job(cmd *cobra.Command, o *cli.Options, path string) (*backend.EnumerateJob, couplings.Scale, error) {
	var none couplings.Scale
	var read couplings.Options
	var err error
	if read.Format, err = couplings.ParseFormat(e.input); err != nil {
		return nil, none, err
	}
	if read.Dwave, err = couplings.ParseConvention(e.convention); err != nil {
		return nil, none, err
	}
	if e.lowest < 0 || e.lowest > backend.MaxLowest {
		return nil, none, cli.Usage("--lowest %d: want 0 to %d", e.lowest, backend.MaxLowest)
	}
	var betas []float64
	if cmd.Flags().Changed("beta") {
		if betas, err = finiteList("beta", e.beta); err != nil {
			return nil, none, err
		}
		for _, b := range betas {
			if b < 0 {
				return nil, none, cli.Usage("--beta %v: want 0 or more", b)
			}
		}
	}
	if e.lowest > maxTable && e.out == "" && o.Format != cli.JSON {
		return nil, none, cli.Usage("--lowest %d: more than %d states are written as JSON only, with --format json or --out", e.lowest, maxTable)
	}
	if e.moments && len(betas) == 0 {
		return nil, none, cli.Usage("--moments needs --beta")
	}
	if e.resume && (e.out == "" || e.branchAndBound) {
		return nil, none, cli.Usage("--resume goes on with the checkpoint of --out, and without --branch-and-bound")
	}
	if e.branchAndBound && (len(betas) > 0 || e.histogram || e.joint || e.shard.Count > 0) {
		return nil, none, cli.Usage("--branch-and-bound finds the lowest states only: no --beta, --histogram, --joint or --shard")
	}
	if e.shard.Count > backend.MaxLeaves {
		return nil, none, cli.Usage("--shard %v: want at most %d parts", &e.shard, backend.MaxLeaves)
	}
	c, err := couplings.Open(path, read)
	if err != nil {
		return nil, none, err
	}
	for _, note := range c.Notes {
		fmt.Fprintf(cmd.ErrOrStderr(), "kadanoff: %s\n", note)
	}
	job, scale, err := c.Job()
	if err != nil {
		return nil, none, err
	}
	if !scale.Exact {
		fmt.Fprintf(cmd.ErrOrStderr(), "kadanoff: %s: couplings are rounded to multiples of 2^%d, by at most %g; energies are off by at most %g\n", path, scale.Exp2, scale.RoundError, scale.EnergyError)
	}
	job.Betas, job.Moments, job.Lowest = betas, e.moments, e.lowest
	job.Histogram, job.Joint = e.histogram, e.joint
	job.BranchAndBound = e.branchAndBound
	job.Shard, job.Shards = e.shard.Index, e.shard.Count
	if err := job.Check(); err != nil {
		return nil, none, fmt.Errorf("%s: %w", path, err)
	}
	return job, scale, nil
}

// Enumerations of more spins than freeSpins are timed on fewer, and refused
// when they would take longer than patience.
const (
	freeSpins = 30
	patience  = 10 * time.Minute
)

// affordable estimates the time of a job from that of its first spins alone.
func affordable(ctx context.Context, b backend.Backend, job *backend.EnumerateJob) error {
	n := job.Spins()
	least, most := 20, 28
	if b.Info().Backend == "ref" {
		least, most = 8, 16
	}
	if n <= freeSpins && n <= most+4 {
		return nil
	}
	var took time.Duration
	m := least
	for ; ; m += 4 {
		start := time.Now()
		if _, err := b.Enumerate(ctx, firstSpins(job, m)); err != nil {
			return err
		}
		if took = time.Since(start); took > 60*time.Millisecond || m >= most {
			break
		}
	}
	seconds := took.Seconds() * float64(uint64(1)<<(n-m)) / float64(max(job.Shards, 1))
	if seconds <= patience.Seconds() {
		return nil
	}
	return cli.Usage("%d spins would take about %s here: --insist does it anyway, --shard i/n splits it, --branch-and-bound finds the lowest states alone", n, roughly(seconds))
}

// firstSpins returns the job for the first m spins.
func firstSpins(job *backend.EnumerateJob, m int) *backend.EnumerateJob {
	short := *job
	short.Shard, short.Shards = 0, 0
	short.Lowest = 0 // what it costs does not grow with the spins
	short.Field = job.Field[:m]
	short.Coupling = make([]int32, 0, m*m)
	for i := range m {
		short.Coupling = append(short.Coupling, job.Coupling[i*job.Spins():i*job.Spins()+m]...)
	}
	return &short
}

func roughly(seconds float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{365.25 * 86400, "years"}, {86400, "days"}, {3600, "hours"}} {
		if seconds >= 2*u.size {
			return fmt.Sprintf("%.3g %s", seconds/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.3g minutes", seconds/60)
}

// showProgress draws a bar on a terminal, and nothing elsewhere.
func showProgress(w io.Writer) func(float64) {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	const steps = 1000
	bar := progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	return func(fraction float64) { _ = bar.Set(int(fraction * steps)) }
}

// exactNumber is a number that is written as it stands.
type exactNumber string

// MarshalJSON implements json.Marshaler.
func (x exactNumber) MarshalJSON() ([]byte, error) { return []byte(x), nil }

// enumerateResult is the result as it is printed. The lowest states may be a
// million, so they stay numbers until they are written.
type enumerateResult struct {
	enumerateHead
	Lowest []lowestState `json:"lowest,omitempty"`
	enumerateTail
}

type enumerateHead struct {
	Spins        int         `json:"spins"`
	States       uint64      `json:"states"`
	Method       string      `json:"method"`
	GroundEnergy exactNumber `json:"ground_energy"`
	GroundStates uint64      `json:"ground_states"`
}

type enumerateTail struct {
	LogZ          any             `json:"log_z,omitempty"` // a number, or one for each beta
	MeanEnergy    *float64        `json:"mean_energy,omitempty"`
	SpecificHeat  *float64        `json:"specific_heat,omitempty"`
	Magnetization []float64       `json:"magnetization,omitempty"`
	Correlations  [][]float64     `json:"correlations,omitempty"`
	Thermal       []thermalResult `json:"thermal,omitempty"` // with more than one beta
	Histogram     histogramResult `json:"histogram,omitzero"`
	Joint         []jointBin      `json:"joint,omitempty"`
	Rounding      *roundingResult `json:"rounding,omitempty"`
}

// writeJSON writes what json.Marshal would, without holding the text of all
// states.
func (r *enumerateResult) writeJSON(w io.Writer) error {
	head, err := json.Marshal(r.enumerateHead)
	if err != nil {
		return err
	}
	tail, err := json.Marshal(r.enumerateTail)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	b.Write(head[:len(head)-1]) // bufio keeps the first error for Flush
	for i, s := range r.Lowest {
		before := ","
		if i == 0 {
			before = `,"lowest":[`
		}
		fmt.Fprintf(b, `%s{"energy":%s,"spins":"%s"}`, before, s.scale.Energy(s.energy), spinString(s.state, s.spins))
	}
	if len(r.Lowest) > 0 {
		b.WriteByte(']')
	}
	if len(tail) > 2 {
		b.WriteByte(',')
	}
	b.Write(tail[1:])
	b.WriteByte('\n')
	return b.Flush()
}

// lowestState is one of the lowest states.
type lowestState struct {
	energy int64
	state  uint64
	spins  int
	scale  *couplings.Scale
}

// MarshalJSON implements json.Marshaler.
func (s lowestState) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"energy":%s,"spins":"%s"}`, s.scale.Energy(s.energy), spinString(s.state, s.spins)), nil
}

type thermalResult struct {
	Beta          float64     `json:"beta"`
	LogZ          float64     `json:"log_z"`
	MeanEnergy    *float64    `json:"mean_energy,omitempty"`
	SpecificHeat  *float64    `json:"specific_heat,omitempty"`
	Magnetization []float64   `json:"magnetization,omitempty"`
	Correlations  [][]float64 `json:"correlations,omitempty"`
}

type jointBin struct {
	Energy        exactNumber `json:"energy"`
	Magnetization int         `json:"magnetization"`
	Count         uint64      `json:"count"`
}

type roundingResult struct {
	Unit          float64 `json:"unit"`
	CouplingError float64 `json:"coupling_error"`
	EnergyError   float64 `json:"energy_error"`
}

// histogramResult is an object of counts by energy, energies ascending, or in
// tables and CSV rows of both.
type histogramResult struct {
	bins []jointBin
	rows bool
}

// IsZero implements omitzero.
func (h histogramResult) IsZero() bool { return len(h.bins) == 0 }

// MarshalJSON implements json.Marshaler.
func (h histogramResult) MarshalJSON() ([]byte, error) {
	form, ends := `"%s":%d`, "{}"
	if h.rows {
		form, ends = `{"energy":%s,"count":%d}`, "[]"
	}
	text := []byte{ends[0]}
	for i, b := range h.bins {
		if i > 0 {
			text = append(text, ',')
		}
		text = fmt.Appendf(text, form, b.Energy, b.Count)
	}
	return append(text, ends[1]), nil
}

func newEnumerateResult(job *backend.EnumerateJob, scale couplings.Scale, e *backend.Enumeration) *enumerateResult {
	energy := func(x int64) exactNumber { return exactNumber(scale.Energy(x)) }
	r := &enumerateResult{enumerateHead: enumerateHead{
		Spins: e.Spins, States: e.States, Method: "exhaustive",
		GroundEnergy: energy(e.Ground), GroundStates: e.GroundStates,
	}}
	if job.BranchAndBound {
		r.Method = "branch and bound"
	}
	r.Lowest = make([]lowestState, len(e.Lowest))
	for i, s := range e.Lowest {
		r.Lowest[i] = lowestState{s.Energy, s.State, e.Spins, &scale}
	}
	var logZ []float64
	for _, t := range e.Thermal {
		row := thermalResult{Beta: t.Beta, LogZ: t.LogZ, Magnetization: t.Magnetization}
		if t.HasEnergy {
			row.MeanEnergy, row.SpecificHeat = &t.Energy, &t.SpecificHeat
		}
		for i := 0; i < len(t.Pairs); i += e.Spins {
			row.Correlations = append(row.Correlations, t.Pairs[i:i+e.Spins])
		}
		r.Thermal = append(r.Thermal, row)
		logZ = append(logZ, t.LogZ)
	}
	switch len(r.Thermal) {
	case 0:
	case 1:
		t := r.Thermal[0]
		r.LogZ, r.MeanEnergy, r.SpecificHeat = t.LogZ, t.MeanEnergy, t.SpecificHeat
		r.Magnetization, r.Correlations, r.Thermal = t.Magnetization, t.Correlations, nil
	default:
		r.LogZ = logZ
	}
	for _, b := range e.Bins {
		bin := jointBin{energy(b.Energy), b.Magnetization, b.Count}
		if job.Joint {
			r.Joint = append(r.Joint, bin)
		}
		h := &r.Histogram.bins
		if n := len(*h); job.Histogram && n > 0 && (*h)[n-1].Energy == bin.Energy {
			(*h)[n-1].Count += bin.Count
		} else if job.Histogram {
			*h = append(*h, bin)
		}
	}
	if !scale.Exact {
		r.Rounding = &roundingResult{scale.Unit(), scale.RoundError, scale.EnergyError}
	}
	return r
}

// spinString writes a state with spin 0 first.
func spinString(state uint64, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteByte("-+"[state>>i&1])
	}
	return b.String()
}
