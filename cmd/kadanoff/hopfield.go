package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/hopfield"
	"kadanoff/model/modelfile"
	"kadanoff/spin"
)

func init() { register(newHopfield) }

// hopfieldFlags are the values of kadanoff hopfield's flags.
type hopfieldFlags struct {
	in                     dataFlags
	data, rule, dynamics   string
	model, out             string
	units, patterns, limit int
	noise, known           float64
}

// hopfieldResult is what a memory has recalled.
type hopfieldResult struct {
	Units     int            `json:"units"`
	Patterns  int            `json:"patterns"`
	Load      cli.Float      `json:"load"`
	Rule      string         `json:"rule,omitempty"` // of a network that was not read from a file
	Dynamics  string         `json:"dynamics"`
	Retrieved int            `json:"retrieved"` // probes that end at an overlap of 0.9 or more
	Recall    []recalledItem `json:"recall"`
}

// recalledItem is the way of the probe of one pattern.
type recalledItem struct {
	Pattern int       `json:"pattern"`
	Before  cli.Float `json:"overlap_before"`
	After   cli.Float `json:"overlap_after"`
	Energy  cli.Float `json:"energy"`         // in the end
	Stored  cli.Float `json:"pattern_energy"` // of the pattern
	Sweeps  int       `json:"sweeps"`
	Settled bool      `json:"settled"`
}

func newHopfield(o *cli.Options) *cobra.Command {
	var v hopfieldFlags
	cmd := &cobra.Command{
		Use:   "hopfield",
		Short: "Store patterns in a Hopfield network and recall them",
		Long: "Stores patterns, random ones or the first rows of --data, in a Hopfield network by Hebb's rule or the\n" +
			"pseudo-inverse, and recalls each from a corrupted copy: --noise is the fraction of units turned over;\n" +
			"with --known that fraction of the units keeps the pattern's state and the others start from fair coins.\n" +
			"A unit becomes +1 where its field is 0 or more. Overlap is Σ x s/N with the pattern.\n" +
			"--out writes the network, and --model reads one instead of storing the patterns; the same --seed makes\n" +
			"the same random patterns again.\n\n" +
			"kadanoff hopfield capacity measures how many random patterns a network keeps.",
		Example: "  kadanoff hopfield --units 100 --patterns 5 --noise 0.2 --out memory.safetensors\n" +
			"  kadanoff hopfield --model memory.safetensors --patterns 5 --noise 0.3\n" +
			"  kadanoff hopfield --data digits --patterns 20 --rule pseudo-inverse --known 0.5",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := v.run(cmd, o)
			if err != nil {
				return err
			}
			return o.Print(cmd, r)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&v.units, "units", 100, "units, for random patterns")
	f.IntVar(&v.patterns, "patterns", 5, "patterns to store")
	f.StringVar(&v.data, "data", "", "data set whose first rows are the patterns")
	v.in.add(cmd)
	f.StringVar(&v.rule, "rule", "hebb", "hebb or pseudo-inverse")
	f.StringVar(&v.dynamics, "dynamics", "asynchronous", "asynchronous: unit after unit; synchronous: all at once")
	f.Float64Var(&v.noise, "noise", 0.1, "fraction of the units turned over in each probe")
	f.Float64Var(&v.known, "known", 0, "fraction of the units that are known and kept")
	f.StringVar(&v.model, "model", "", "network to recall from (J and h; safetensors or npz)")
	f.StringVar(&v.out, "out", "", "file to write the network to")
	f.IntVar(&v.limit, "sweeps", 100, "updates of every unit at most")
	cmd.AddCommand(newHopfieldCapacity(o))
	return cmd
}

// maxMemory bounds the units of a network: couplings take 4 bytes each, several
// times.
const maxMemory = 8192

func parseRule(rule string) (pseudo bool, err error) {
	switch rule {
	case "hebb":
		return false, nil
	case "pseudo-inverse":
		return true, nil
	}
	return false, cli.Usage("--rule %q: want hebb or pseudo-inverse", rule)
}

func parseDynamics(name string) (hopfield.Dynamics, error) {
	switch name {
	case "asynchronous":
		return hopfield.Asynchronous, nil
	case "synchronous":
		return hopfield.Synchronous, nil
	}
	return 0, cli.Usage("--dynamics %q: want asynchronous or synchronous", name)
}

// check reports flags that are out of range.
func (v *hopfieldFlags) check(cmd *cobra.Command) error {
	switch {
	case !(v.noise >= 0 && v.noise <= 1):
		return cli.Usage("--noise %v: want 0 to 1", v.noise)
	case !(v.known >= 0 && v.known <= 1):
		return cli.Usage("--known %v: want 0 to 1", v.known)
	case cmd.Flags().Changed("known") && cmd.Flags().Changed("noise"):
		return cli.Usage("--known %v: goes without --noise", v.known)
	case v.limit < 1:
		return cli.Usage("--sweeps %d: want at least 1", v.limit)
	case v.units < 1 || v.units > maxMemory:
		return cli.Usage("--units %d: want 1 to %d", v.units, maxMemory)
	case v.patterns < 1 || v.patterns > 1<<16:
		return cli.Usage("--patterns %d: want 1 to %d", v.patterns, 1<<16)
	case v.data != "" && cmd.Flags().Changed("units"):
		return cli.Usage("--units %d: goes without --data", v.units)
	case v.model != "" && (cmd.Flags().Changed("units") || cmd.Flags().Changed("rule") || v.out != ""):
		return cli.Usage("--model %s: goes without --units, --rule and --out", v.model)
	}
	return nil
}

func (v *hopfieldFlags) run(cmd *cobra.Command, o *cli.Options) (*hopfieldResult, error) {
	if err := v.check(cmd); err != nil {
		return nil, err
	}
	pseudo, err := parseRule(v.rule)
	if err != nil {
		return nil, err
	}
	dynamics, err := parseDynamics(v.dynamics)
	if err != nil {
		return nil, err
	}
	var n *hopfield.Net
	if v.model != "" {
		if n, err = loadMemory(cmd, v.model); err != nil {
			return nil, err
		}
		v.units, v.rule = n.N, ""
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	p := hopfield.Random(rng, v.units, v.patterns)
	if v.data != "" {
		if p, err = v.load(cmd, o.Seed); err != nil {
			return nil, err
		}
	}
	b, err := openBackend(o)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if v.model == "" {
		n, err = v.store(p, pseudo)
	} else if p.N != n.N {
		err = cli.Usage("--data %s: rows of %d values, but %s has %d units", v.data, p.N, v.model, n.N)
	}
	if err != nil {
		return nil, err
	}
	v.in.say(cmd)
	load := float64(p.Count()) / float64(p.N)
	if v.rule == "hebb" && load > hopfield.HebbCapacity {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d patterns on %d units: load %.3g is above the capacity of Hebb's rule, about %v in large networks\n",
			p.Count(), p.N, load, hopfield.HebbCapacity)
	}
	probes, clamped, err := v.probes(cmd, rng, p)
	if err != nil {
		return nil, err
	}
	states := probes.Batch()
	after, err := n.Recall(cmd.Context(), b, states, hopfield.RecallOptions{Dynamics: dynamics, MaxSweeps: v.limit, Clamped: clamped})
	if err != nil {
		return nil, err
	}
	return v.result(n, p, states, after), nil
}

// store makes the network from patterns, and writes it if asked to.
func (v *hopfieldFlags) store(p hopfield.Patterns, pseudo bool) (n *hopfield.Net, err error) {
	if pseudo {
		n, err = hopfield.PseudoInverse(p)
	} else {
		n, err = hopfield.Hebb(p, 1/float64(p.N))
	}
	if err != nil {
		return nil, cli.Usage("--rule %s: %w", v.rule, err)
	}
	if v.out == "" {
		return n, nil
	}
	m, err := modelfile.FromHopfield(n)
	if err != nil {
		return nil, err
	}
	return n, modelfile.Save(v.out, &modelfile.Model{Network: m})
}

// loadMemory reads a Hopfield network.
func loadMemory(cmd *cobra.Command, path string) (*hopfield.Net, error) {
	m, err := modelfile.LoadContext(cmd.Context(), path)
	if err != nil {
		return nil, err
	}
	if m.Network == nil {
		return nil, cli.Usage("%s: holds an RBM, want a network with J and h, or row, col, value and h", path)
	}
	noteUnits(cmd, path, m)
	n, _, err := m.Network.Hopfield()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

func (v *hopfieldFlags) result(n *hopfield.Net, p hopfield.Patterns, before *spin.Batch, after *hopfield.Recall) *hopfieldResult {
	r := &hopfieldResult{
		Units: p.N, Patterns: p.Count(), Load: cli.Float(float64(p.Count()) / float64(p.N)), Rule: v.rule, Dynamics: v.dynamics,
	}
	from, to := p.Overlaps(before), p.Overlaps(after.States)
	x := make([]int8, p.N)
	for k := range p.Count() {
		after.States.PutInt8(x, k)
		if to[k] >= hopfield.Retrieved {
			r.Retrieved++
		}
		r.Recall = append(r.Recall, recalledItem{
			Pattern: k, Before: cli.Float(from[k]), After: cli.Float(to[k]), Energy: cli.Float(n.Energy(x)),
			Stored: cli.Float(n.Energy(p.Row(k))), Sweeps: after.Sweeps[k], Settled: after.Settled[k],
		})
	}
	return r
}

// load reads the first rows of a data set.
func (v *hopfieldFlags) load(cmd *cobra.Command, seed uint64) (hopfield.Patterns, error) {
	source, _, err := v.in.load(cmd, v.data, seed)
	if err != nil {
		return hopfield.Patterns{}, err
	}
	width := source.Width()
	if width > maxMemory {
		return hopfield.Patterns{}, cli.Usage("--data %s: rows of %d values, want at most %d units", v.data, width, maxMemory)
	}
	if v.patterns > source.Rows() {
		return hopfield.Patterns{}, cli.Usage("--patterns %d: %s has %d rows", v.patterns, v.data, source.Rows())
	}
	p := hopfield.Patterns{N: width, X: make([]int8, v.patterns*width)}
	row := make([]uint64, (width+63)/64)
	for k := range v.patterns {
		if err := source.Fill(row, k, 0); err != nil {
			return hopfield.Patterns{}, err
		}
		for i := range width {
			p.Row(k)[i] = int8(row[i/64]>>(i%64)&1)*2 - 1
		}
	}
	return p, nil
}

// probes returns what recall starts from, and with --known which units it
// keeps.
func (v *hopfieldFlags) probes(cmd *cobra.Command, rng *rand.Rand, p hopfield.Patterns) (hopfield.Patterns, []bool, error) {
	if !cmd.Flags().Changed("known") {
		probes, err := p.Corrupt(rng, int(math.Round(v.noise*float64(p.N))))
		return probes, nil, err
	}
	clamped := make([]bool, p.N)
	for _, i := range rng.Perm(p.N)[:int(math.Round(v.known*float64(p.N)))] {
		clamped[i] = true
	}
	probes := hopfield.Random(rng, p.N, p.Count())
	for k := range p.Count() {
		for i, keep := range clamped {
			if keep {
				probes.Row(k)[i] = p.Row(k)[i]
			}
		}
	}
	return probes, clamped, nil
}
