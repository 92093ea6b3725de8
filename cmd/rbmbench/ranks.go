package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/bench"
	"kadanoff/cmd/internal/cli"
	"kadanoff/comm"
)

// rankFlags are those of train --ranks.
type rankFlags struct {
	on        bool
	steps     int
	latency   time.Duration
	bandwidth float64
}

func (r *rankFlags) add(c *cobra.Command) {
	c.Example += "\n  mpirun --bind-to none -n 4 rbmbench train --ranks"
	c.Flags().BoolVar(&r.on, "ranks", false, "time a step on the processes of mpirun or srun, and put it on paper for 1 to 1024 of them")
	c.Flags().IntVar(&r.steps, "steps", 100, "steps that --ranks times")
	c.Flags().DurationVar(&r.latency, "latency", 2*time.Microsecond, "of the network on paper")
	c.Flags().Float64Var(&r.bandwidth, "bandwidth", 12.5, "of the network on paper, in GB/s for each rank")
}

// pays is the gain of a doubling below which more ranks are said not to pay.
const pays = 1.3

// cases checks the flags and returns what is to be timed.
func (r *rankFlags) cases(sizes []string) ([]bench.RankCase, error) {
	if r.steps < 1 || r.latency < 0 || !(r.bandwidth > 0) {
		return nil, cli.Usage("--steps %d, --latency %v, --bandwidth %v: want at least 1, 0 or more, and above 0", r.steps, r.latency, r.bandwidth)
	}
	if len(sizes) == 0 {
		sizes = []string{"784x500x512", "65536x8192x65536"}
	}
	var cases []bench.RankCase
	for _, s := range sizes {
		c, err := bench.ParseRankCase(s)
		if err != nil {
			return nil, cli.Usage("%w", err)
		}
		cases = append(cases, c)
	}
	if !cases[0].Measurable() {
		return nil, cli.Usage("--case %s: too large to be timed: want one of at most 8 million weights first, from which this one is worked out", sizes[0])
	}
	return cases, nil
}

// run measures the cases that can be measured and puts all on paper.
func (r *rankFlags) run(cmd *cobra.Command, f *flags, sizes []string) error {
	return cli.OnRanks(cmd, comm.DefaultTimeout, "", func(g comm.Group) error {
		code := func(err error) int { return cli.ExitCode(cmd.Context(), err) }
		cases, err := r.cases(sizes)
		if err := comm.Agree(g, err, code); err != nil {
			return err
		}
		if err := f.Settle(cmd, g); err != nil {
			return err
		}
		be, err := backend.Open(f.Backend, backend.Options{ISA: f.ISA.String(), Threads: f.Threads})
		if err == nil {
			defer be.Close()
		}
		if err := comm.Agree(g, err, code); err != nil {
			return err
		}
		if g.Size() == 1 {
			fmt.Fprintln(cmd.ErrOrStderr(), "one process: packing of the sums is not measured and counts as nothing on paper; start two with mpirun")
		}
		var rows []bench.RankRow
		var base *bench.RankRow
		for _, c := range cases {
			if c.Measurable() {
				row, err := bench.Ranks(cmd.Context(), be, g, c, r.steps)
				if err != nil {
					return err
				}
				rows, base = append(rows, row), &row
			}
			paper, err := bench.Paper(base, c, bench.Network{Latency: r.latency.Seconds(), Bandwidth: r.bandwidth * 1e9})
			if err != nil {
				return err
			}
			rows = append(rows, paper...)
			fmt.Fprintf(cmd.ErrOrStderr(), "%v on paper, %v and %v GB/s: up to %d ranks, each doubling makes a step at least %v times faster\n",
				c, r.latency, r.bandwidth, bench.PaysUpTo(paper, pays), pays)
		}
		return f.Print(cmd, rows)
	})
}
