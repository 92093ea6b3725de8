package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kadanoff/bench"
	"kadanoff/cmd/internal/cli"
)

func compareCommand(o *cli.Options) *cobra.Command {
	return &cobra.Command{
		Use:     "compare OLD NEW",
		Short:   "Two files of --json: what became faster or slower, and whether that is significant",
		Example: "  rbmbench --json old.json\n  rbmbench --json new.json\n  rbmbench compare old.json new.json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return cli.Usage("%d files: want two, OLD and NEW, as rbmbench --json writes them", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			older, err := bench.ReadReport(args[0])
			if err != nil {
				return err
			}
			newer, err := bench.ReadReport(args[1])
			if err != nil {
				return err
			}
			c := bench.Compare(older, newer)
			switch o.Format {
			case cli.JSON:
				return o.Print(cmd, c)
			case cli.CSV:
				return o.Print(cmd, c.Changes)
			}
			var b strings.Builder
			compareTable(&b, c)
			if _, err := io.WriteString(cmd.OutOrStdout(), b.String()); err != nil {
				return cli.Unfinished("writing the result: %w", err)
			}
			return nil
		},
	}
}

func compareTable(b *strings.Builder, c *bench.Comparison) {
	if len(c.Machines) > 0 {
		fmt.Fprintln(b, "The machines differ, so do not blame the program for the speeds:")
		for _, m := range c.Machines {
			fmt.Fprintf(b, "  %s\n", m)
		}
	}
	for _, n := range c.Notes {
		fmt.Fprintf(b, "Note: %s.\n", n)
	}
	list := func(title string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(b, "%s:\n  %s\n", title, strings.Join(names, "\n  "))
		}
	}
	list("Checks that fail now", c.Broken)
	list("Checks that failed before", c.Mended)
	faster, slower := 0, 0
	for _, x := range c.Changes {
		if x.Significant && x.Speedup > 1 {
			faster++
		} else if x.Significant {
			slower++
		}
	}
	fmt.Fprintf(b, "%d of %d speeds are significantly higher, %d lower (Mann-Whitney U test, p < 0.05)\n", faster, len(c.Changes), slower)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "speed\tpath\tthreads\told median\tnew median\tspeed-up\tp\t")
	for _, x := range c.Changes {
		speedup, p := "~", "no repeats"
		if x.Significant || x.P == nil || x.TooFew {
			speedup = fmt.Sprintf("%.3g×", x.Speedup)
		}
		if x.TooFew {
			p = "too few repeats"
		} else if x.P != nil {
			p = fmt.Sprintf("%.3f", *x.P)
		}
		rec := bench.Record{Backend: x.Backend, ISA: x.ISA}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t\n", x.Name, path(&rec), x.Threads, quantity(x.OldS)+"s", quantity(x.NewS)+"s", speedup, p)
	}
	_ = w.Flush() // a strings.Builder takes everything
	list("Only in the old file", c.OnlyOld)
	list("Only in the new file", c.OnlyNew)
}
