package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kadanoff/bench"
	"kadanoff/bench/peers"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/data"
)

// answerLimit is how long a peer may take for one answer: the compilers among
// them take their time.
const answerLimit = 2 * time.Minute

// peerFlags are those of rbmbench peers.
type peerFlags struct {
	tasks, peers, pythons []string
	list                  bool
	data                  string
	threshold             float64
}

func peersCommand(f *flags) *cobra.Command {
	var p peerFlags
	c := &cobra.Command{
		Use:   "peers",
		Short: "Installed peers beside ours: the same work in turns, results compared, and the ratios of the times",
		Long: `Runs the peers that make peers installed beside ours: the same work, in turns in
one run, on the same cores and with as many threads (one without --threads).
What both compute is compared; a result that differs makes the exit code 1.
A ratio is the best time of a peer over that of ours. A row is noisy where other
processes kept more than 0.3 cores busy or the times scatter.
A peer that is not installed, or fails, is a line that says so.
Training goes on from a model that has taken 300 steps, and annealing takes such
a model: of synthetic handwriting, whose statistics are those of MNIST's pixels
above 127, or of the data of --data, which are read as kadanoff train reads them.`,
		Example: "  rbmbench peers --quick\n  rbmbench peers --task gibbs,train --peer numpy,torch --threads 2\n" +
			"  rbmbench peers --list\n  rbmbench peers --task train,ais --data train-images-idx3-ubyte.gz --threshold 127\n  rbmbench peers --json peers.json --report page",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd, f) },
	}
	c.Flags().StringSliceVar(&p.tasks, "task", nil, "kinds of work: "+strings.Join(taskNames(), ", "))
	c.Flags().StringSliceVar(&p.peers, "peer", nil, "peers: "+strings.Join(peerNames(), ", "))
	c.Flags().StringSliceVar(&p.pythons, "python", nil, "Python interpreters in which peers are looked for (default those of make peers, $KADANOFF_PYTHON, python3)")
	c.Flags().StringVar(&p.data, "data", "", "train on the rows of this file (.npy, .npz, IDX or text)")
	c.Flags().Float64Var(&p.threshold, "threshold", 0, "with --data: values above it are +1; without it data must hold two values")
	c.Flags().BoolVar(&p.list, "list", false, "list the peers, their versions, and the kinds of work")
	f.addFiles(c, "fewer and smaller cases and short timings: a minute or less")
	return c
}

func taskNames() (names []string) {
	for _, r := range bench.Rivalries(nil) {
		names = append(names, r.Name)
	}
	return names
}

func peerNames() (names []string) {
	for _, p := range peers.All() {
		names = append(names, p.Name)
	}
	return names
}

// chosen returns the elements that a flag names, all if it names none.
func chosen[T any](flag string, wanted []string, all []T, name func(T) string) ([]T, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	var list []T
	for _, x := range all {
		if slices.Contains(wanted, name(x)) {
			list = append(list, x)
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(all, func(x T) bool { return name(x) == w }) {
			var names []string
			for _, x := range all {
				names = append(names, name(x))
			}
			return nil, cli.Usage("--%s %q: want %s", flag, w, strings.Join(names, ", "))
		}
	}
	return list, nil
}

// interpreters returns those of the named Pythons that there are.
func interpreters(named []string) ([]string, error) {
	list := named
	if len(list) == 0 {
		list = bench.Interpreters()
	}
	var found []string
	for _, p := range list {
		path, err := exec.LookPath(p)
		switch {
		case err == nil:
			found = append(found, path)
		case len(named) > 0:
			return nil, cli.Missing("--python %s: not found: make peers installs one with all peers", p)
		}
	}
	if len(found) == 0 {
		return nil, cli.Missing("no Python with the peers: make peers installs them")
	}
	return found, nil
}

func (p *peerFlags) run(cmd *cobra.Command, f *flags) error {
	set, err := p.load(cmd)
	if err != nil {
		return err
	}
	if set != nil {
		defer set.Close()
	}
	rivalries, err := chosen("task", p.tasks, bench.Rivalries(set), func(r bench.Rivalry) string { return r.Name })
	if err != nil {
		return err
	}
	wanted, err := chosen("peer", p.peers, peers.All(), func(p peers.Peer) string { return p.Name })
	if err != nil {
		return err
	}
	s := bench.Selection{Backend: f.Backend, Threads: 1, Seed: f.Seed, Size: bench.Full}
	if f.quick {
		s.Size = bench.Quick
	}
	if cmd.Flags().Changed("threads") {
		s.Threads = f.Threads
	}
	if s.Threads > runtime.NumCPU() {
		return cli.Usage("--threads %d: this machine has %d cores, and peers would wait for each other", s.Threads, runtime.NumCPU())
	}
	switch f.Backend {
	case "ref":
		return cli.Usage("--backend ref: want cpu or cuda[:n], which are made for speed")
	case "auto", "cpu":
		s.Backend, s.Level = "cpu", &f.ISA
	}
	pythons, err := interpreters(p.pythons)
	if err != nil {
		return err
	}
	start := func(ctx context.Context, dir string, peer peers.Peer) (*peers.Worker, error) {
		return startPeer(ctx, pythons, dir, peer, s.Threads)
	}
	if p.list {
		return p.print(cmd, f, rivalries, wanted, start)
	}
	plan := &bench.RivalPlan{Selection: s, Rivalries: rivalries, Peers: wanted, Start: start, Limit: answerLimit}
	job := func(ctx context.Context, targets []*bench.Target) (*bench.Report, error) {
		finish := showProgress(cmd.ErrOrStderr(), &plan.Progress)
		defer finish()
		r, err := bench.RunRivals(ctx, plan, targets[0])
		if errors.Is(err, bench.ErrNoPeers) {
			return nil, cli.Missing("%w: make peers installs them", err)
		}
		return r, err
	}
	return f.report(cmd, s, job, peersTable)
}

// load reads the data of --data; nil if there are none.
func (p *peerFlags) load(cmd *cobra.Command) (*data.Set, error) {
	thresholded := cmd.Flags().Changed("threshold")
	if p.data == "" {
		if thresholded || cmd.Flags().Changed("data") {
			return nil, cli.Usage("--threshold and --data: want both, or --data FILE alone")
		}
		return nil, nil
	}
	if trains := func(task string) bool { return task == "train" || task == "ais" }; len(p.tasks) > 0 && !slices.ContainsFunc(p.tasks, trains) {
		return nil, cli.Usage("--data goes with --task train or ais, not %s", strings.Join(p.tasks, ", "))
	}
	o := data.Options{Context: cmd.Context()}
	if thresholded {
		o.Threshold = &p.threshold
	}
	set, err := data.Load(p.data, o)
	if err != nil {
		return nil, err
	}
	if err := bench.CheckTrainingData(set); err != nil {
		_ = set.Close()
		return nil, cli.Usage("--data %w", err)
	}
	return set, nil
}

// startPeer starts a peer in the first interpreter that has it.
func startPeer(ctx context.Context, pythons []string, dir string, peer peers.Peer, threads int) (*peers.Worker, error) {
	var first error
	for _, python := range pythons {
		w, err := peers.Start(ctx, peers.Python(python, dir, peer, threads), answerLimit)
		if err == nil {
			return w, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		// Where it is installed and does not work, that is what to say.
		missing := (*peers.Missing)(nil)
		if first == nil || errors.As(first, &missing) && !errors.As(err, &missing) {
			first = err
		}
	}
	return nil, first
}

func (p *peerFlags) print(cmd *cobra.Command, f *flags, rivalries []bench.Rivalry, wanted []peers.Peer,
	start func(context.Context, string, peers.Peer) (*peers.Worker, error)) error {
	type row struct {
		Peer   string   `json:"peer"`
		About  string   `json:"about"`
		Status string   `json:"status"` // version, or why it cannot run
		Tasks  []string `json:"tasks"`
	}
	type task struct {
		Task  string   `json:"task"`
		About string   `json:"about"`
		Cases []string `json:"cases"`
	}
	var list struct {
		Peers []row  `json:"peers"`
		Tasks []task `json:"tasks"`
	}
	dir, err := os.MkdirTemp("", "rbmbench-peers-")
	if err != nil {
		return cli.Unfinished("%w", err)
	}
	defer os.RemoveAll(dir)
	if err := peers.Unpack(dir); err != nil {
		return cli.Unfinished("%w", err)
	}
	for _, peer := range wanted {
		r := row{Peer: peer.Name, About: peer.About, Tasks: []string{}}
		w, err := start(cmd.Context(), dir, peer)
		switch {
		case cmd.Context().Err() != nil:
			return cmd.Context().Err()
		case err != nil:
			r.Status = err.Error()
		default:
			r.Status = w.Version
			w.Close()
			for _, rivalry := range bench.Rivalries(nil) {
				if slices.ContainsFunc(rivalry.Cases, func(c bench.RivalCase) bool { return slices.Contains(w.Tasks, c.Asks) }) {
					r.Tasks = append(r.Tasks, rivalry.Name)
				}
			}
		}
		list.Peers = append(list.Peers, r)
	}
	for _, r := range rivalries {
		t := task{Task: r.Name, About: r.Short}
		for _, c := range r.Cases {
			t.Cases = append(t.Cases, c.Name)
		}
		list.Tasks = append(list.Tasks, t)
	}
	return f.Print(cmd, list)
}

// peersTable writes what a run beside peers found, for people.
func peersTable(b *strings.Builder, r *bench.Report, targets []*bench.Target) {
	ran, failed := 0, len(r.Failed())
	for i := range r.Records {
		if rec := &r.Records[i]; rec.Kind == bench.KindPeer && rec.Note == "" || rec.Kind == bench.KindCheck {
			ran++
		}
	}
	if failed > 0 {
		fmt.Fprintf(b, "FAIL: %d of %d results differ\n", failed, ran)
	} else {
		fmt.Fprintf(b, "PASS: all %d results agree\n", ran)
	}
	machine(b, &r.Machine)
	fmt.Fprintf(b, "ours: %s, %s\n\n", targets[0], threads(targets[0].Threads))
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "work\tpeer\tours, best\tmedian\tpeer, best\tmedian\tratio\tof medians\tresults\tothers\t")
	var notes []string
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind != bench.KindPeer {
			continue
		}
		if rec.Note != "" {
			note := rec.Peer
			if rec.Version != "" {
				note += ", " + rec.Name
			}
			notes = append(notes, note+": "+rec.Note)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", rec.Name, rec.Peer,
			quantity(rec.OursMinS)+"s", quantity(rec.OursMedianS)+"s", quantity(rec.MinS)+"s", quantity(rec.MedianS)+"s",
			times(rec.Ratio), times(rec.RatioMedian), agreement(rec), others(rec))
	}
	_ = w.Flush() // a strings.Builder takes everything
	for _, d := range trainedOn(r) {
		fmt.Fprintf(b, "%s: %s\n", d[0], d[1])
	}
	for _, n := range notes {
		fmt.Fprintln(b, n)
	}
}

// trainedOn returns the works of a run beside peers that have data, each with
// what they are.
func trainedOn(r *bench.Report) (list [][]string) {
	for i := range r.Records {
		row := []string{r.Records[i].Name, r.Records[i].Data}
		if row[1] != "" && !slices.ContainsFunc(list, func(old []string) bool { return old[0] == row[0] }) {
			list = append(list, row)
		}
	}
	return list
}

func threads(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// times writes a ratio with three digits.
func times(x float64) string {
	if x >= 1000 {
		return fmt.Sprintf("%.0f×", x)
	}
	return fmt.Sprintf("%.3g×", x)
}

// agreement says how a peer's result lies to what is right.
func agreement(rec *bench.Record) string {
	verdict := "agree"
	if !rec.Pass {
		verdict = "DIFFER"
	}
	off := rec.Measured - rec.Exact
	switch {
	case rec.Error > 0:
		return fmt.Sprintf("%s, %.1f of %.1f σ", verdict, max(off, -off)/rec.Error, rec.Limit/rec.Error)
	case rec.Exact == 0:
		return fmt.Sprintf("%s to %.0e", verdict, rec.Measured)
	}
	return fmt.Sprintf("%s to %.0e", verdict, max(off, -off)/max(rec.Exact, -rec.Exact))
}

// others says how busy other processes were, and marks what is noisy.
func others(rec *bench.Record) string {
	s := ""
	if rec.OtherCores != nil {
		s = fmt.Sprintf("%.1f cores", *rec.OtherCores)
	}
	if rec.Noisy {
		s += ", noisy"
	}
	return strings.TrimPrefix(s, ", ")
}

// readPeers reads the records of peers of a file of rbmbench peers --json.
func readPeers(file string) (*bench.Report, error) {
	r, err := bench.ReadReport(file)
	if err != nil {
		return nil, cli.Usage("--peers: %w", err)
	}
	if !slices.ContainsFunc(r.Records, func(rec bench.Record) bool { return rec.Kind == bench.KindPeer }) {
		return nil, cli.Usage("--peers %s: has no peers: want a file that rbmbench peers --json wrote", file)
	}
	return r, nil
}
