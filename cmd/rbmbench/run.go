package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kadanoff/backend"
	"kadanoff/bench"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/atomicfile"
)

// flags are those of every command that measures.
type flags struct {
	*cli.Options
	quick     bool
	jsonFile  string
	page      string // folder for a page
	peersFile string // records of peers for the page
	note      string // a line about what was measured
}

// add adds the flags of commands that measure ours alone.
func (f *flags) add(c *cobra.Command) {
	f.addFiles(c, "fewer samples and short timings: under twenty seconds")
	c.Flags().StringVar(&f.peersFile, "peers", "", "a file of rbmbench peers --json whose ratios go on the page of --report")
}

// addFiles adds those of all commands that measure; quick says what --quick
// does.
func (f *flags) addFiles(c *cobra.Command, quick string) {
	c.Flags().BoolVar(&f.quick, "quick", false, quick)
	c.Flags().StringVar(&f.jsonFile, "json", "", "write machine, version and all records to this file")
	c.Flags().StringVar(&f.page, "report", "", "write a page with plots to index.html in this folder")
}

// plan turns the flags into a plan for some areas.
func (f *flags) plan(cmd *cobra.Command, areas []bench.Area) (*bench.Plan, error) {
	p := &bench.Plan{Areas: areas, Selection: bench.Selection{Backend: f.Backend, Seed: f.Seed, Size: bench.Full}}
	if f.quick {
		p.Size = bench.Quick
	}
	if cmd.Flags().Changed("threads") {
		p.Threads = f.Threads
	}
	if f.Backend == "ref" && cmd.Flags().Changed("isa") {
		return nil, cli.Usage("--isa %s: --backend ref is scalar Go, leave one of them out", f.ISA)
	}
	if f.Forced && f.Backend != "ref" {
		p.Level = &f.ISA
	}
	return p, nil
}

// run carries out a plan, prints what it found and writes the files that were
// asked for. A check that fails is an error.
func (f *flags) run(cmd *cobra.Command, p *bench.Plan) error {
	p.Scaling, p.Sizes = f.page != "", f.page != ""
	job := func(ctx context.Context, targets []*bench.Target) (*bench.Report, error) {
		finish := showProgress(cmd.ErrOrStderr(), &p.Progress)
		defer finish()
		return bench.Run(ctx, p, targets)
	}
	return f.report(cmd, p.Selection, job, func(b *strings.Builder, r *bench.Report, targets []*bench.Target) {
		table(b, r, targets, f.note)
	})
}

// report opens targets, has a job done on them, and gives what it found to
// everything that was asked for: files, page and, by show, the terminal. A
// check that fails is an error.
func (f *flags) report(cmd *cobra.Command, s bench.Selection,
	job func(context.Context, []*bench.Target) (*bench.Report, error),
	show func(*strings.Builder, *bench.Report, []*bench.Target)) error {
	ctx := cmd.Context()
	var file *atomicfile.File
	if f.jsonFile != "" {
		// Before the work: a file that cannot be written is found out now.
		var err error
		if file, err = atomicfile.Create(f.jsonFile); err != nil {
			return cli.Usage("--json: %w", err)
		}
		defer file.Abort()
	}
	var beside *bench.Report
	if f.peersFile != "" {
		if f.page == "" {
			return cli.Usage("--peers %s: goes with --report, on whose page its ratios stand", f.peersFile)
		}
		var err error
		if beside, err = readPeers(f.peersFile); err != nil {
			return err
		}
	}
	var page *pageFile
	if f.page != "" {
		var err error
		if page, err = createPage(ctx, f.page); err != nil {
			return err
		}
		defer page.abort()
	}
	targets, err := s.Open()
	if missing := (*backend.MissingError)(nil); errors.As(err, &missing) {
		return cli.Missing("%w", err)
	}
	if err != nil {
		return err
	}
	defer func() {
		for _, t := range targets {
			_ = t.Close()
		}
	}()
	report, err := job(ctx, targets)
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if coded := (*cli.Error)(nil); errors.As(err, &coded) {
		return err
	}
	if err != nil {
		return cli.Unfinished("%w", err)
	}
	report.Version = cli.Version()
	if file != nil {
		text, err := json.Marshal(report)
		if err != nil {
			return err
		}
		if _, err := file.Write(append(text, '\n')); err != nil {
			return cli.Unfinished("--json: %w", err)
		}
		if err := file.Commit(); err != nil {
			return cli.Unfinished("--json: %w", err)
		}
	}
	if page != nil {
		if err := page.write(ctx, report, beside, f.note); err != nil {
			return err
		}
	}
	if err := f.print(cmd, report, targets, show); err != nil {
		return err
	}
	if failed := report.Failed(); len(failed) > 0 {
		first := failed[0]
		if first.Kind == bench.KindPeer {
			return cli.Failed("%d results differ, the first: %s of %s on %s: %.6g, want %.6g within %.2g",
				len(failed), first.Compared, first.Name, first.Peer, first.Measured, first.Exact, first.Limit)
		}
		return cli.Failed("%d of %d checks failed, the first: %s on %s/%s", len(failed), checks(report), first.Name, first.Backend, first.ISA)
	}
	return nil
}

func checks(r *bench.Report) int {
	n := 0
	for _, rec := range r.Records {
		if rec.Kind == bench.KindCheck {
			n++
		}
	}
	return n
}

func (f *flags) print(cmd *cobra.Command, r *bench.Report, targets []*bench.Target, show func(*strings.Builder, *bench.Report, []*bench.Target)) error {
	switch f.Format {
	case cli.JSON:
		return f.Print(cmd, r)
	case cli.CSV:
		return f.Print(cmd, r.Records)
	}
	var b strings.Builder
	show(&b, r, targets)
	if _, err := io.WriteString(cmd.OutOrStdout(), b.String()); err != nil {
		return cli.Unfinished("writing the result: %w", err)
	}
	return nil
}

// showProgress shows a bar while a plan is carried out, if w is a terminal, by
// what it sets tell to. The function that it returns removes it.
func showProgress(w io.Writer, tell *func(done, total int, what string)) (finish func()) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func() {}
	}
	var bar *progressbar.ProgressBar
	*tell = func(done, total int, what string) {
		if bar == nil {
			bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30), progressbar.OptionShowCount())
		}
		bar.Describe(fmt.Sprintf("%-40.40s", what))
		_ = bar.Set(done)
	}
	return func() {
		if bar != nil {
			_ = bar.Clear()
		}
	}
}
