package main

import (
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/hopfield"
)

// keptRow is the memory at one size and load, means over independent networks
// with their standard errors.
type keptRow struct {
	Units          int       `json:"units"`
	Patterns       int       `json:"patterns"`
	Load           cli.Float `json:"load"`
	Overlap        cli.Float `json:"overlap"`
	OverlapError   cli.Float `json:"overlap_error"`
	Retrieved      cli.Float `json:"retrieved"`
	RetrievedError cli.Float `json:"retrieved_error"`
	Settled        cli.Float `json:"settled"`
	Sweeps         cli.Float `json:"sweeps"`
}

func newHopfieldCapacity(o *cli.Options) *cobra.Command {
	var units, loads, rule, dynamics string
	var nets, sweeps int
	var noise float64
	cmd := &cobra.Command{
		Use:   "capacity",
		Short: "How many random patterns a Hopfield network keeps",
		Long: "Stores random patterns at each size and load (patterns for each unit), starts from each pattern, or with\n" +
			"--noise from a copy with that fraction of the units turned over, and gives the overlap of where it ends,\n" +
			"the fraction retrieved (overlap of 0.9 or more), the fraction that has come to rest, and the updates of\n" +
			"every unit until then: means over independent networks, with standard errors.\n" +
			"In large networks Hebb's rule keeps 0.138 patterns a unit.",
		Example: "  kadanoff hopfield capacity --units 250,500 --loads 0.10,0.12,0.14,0.16 --nets 10",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sizes, err := finiteList("units", units)
			if err != nil {
				return err
			}
			at, err := finiteList("loads", loads)
			if err != nil {
				return err
			}
			e := hopfield.Experiment{Nets: nets, MaxSweeps: sweeps, Seed: o.Seed}
			if e.PseudoInverse, err = parseRule(rule); err != nil {
				return err
			}
			if e.Dynamics, err = parseDynamics(dynamics); err != nil {
				return err
			}
			switch {
			case nets < 2 || nets > 1<<20:
				return cli.Usage("--nets %d: want 2 to %d", nets, 1<<20)
			case sweeps < 1:
				return cli.Usage("--sweeps %d: want at least 1", sweeps)
			case !(noise >= 0 && noise <= 1):
				return cli.Usage("--noise %v: want 0 to 1", noise)
			}
			var jobs []hopfield.Experiment
			for _, n := range sizes {
				if n != math.Trunc(n) || n < 1 || n > maxMemory {
					return cli.Usage("--units %v: want whole numbers from 1 to %d", n, maxMemory)
				}
				for _, load := range at {
					e.Units, e.Patterns = int(n), int(math.Round(load*n))
					if e.Patterns < 1 || load > 8 || e.PseudoInverse && e.Patterns >= e.Units {
						return cli.Usage("--loads %v: %d patterns on %d units, want at least one, at most 8 a unit, and with the pseudo-inverse fewer than units",
							load, e.Patterns, e.Units)
					}
					e.Flips = int(math.Round(noise * n))
					jobs = append(jobs, e)
				}
			}
			b, err := openBackend(o)
			if err != nil {
				return err
			}
			defer b.Close()
			var rows []keptRow
			for _, e := range jobs {
				k, err := e.Run(cmd.Context(), b)
				if err != nil {
					return fmt.Errorf("%d patterns on %d units: %w", e.Patterns, e.Units, err)
				}
				rows = append(rows, keptRow{
					Units: e.Units, Patterns: e.Patterns, Load: cli.Float(k.Load),
					Overlap: cli.Float(k.Overlap.Mean), OverlapError: cli.Float(k.Overlap.Error),
					Retrieved: cli.Float(k.Retrieved.Mean), RetrievedError: cli.Float(k.Retrieved.Error),
					Settled: cli.Float(k.Settled.Mean), Sweeps: cli.Float(k.Sweeps.Mean),
				})
			}
			return o.Print(cmd, rows)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&units, "units", "250", "sizes, separated by commas")
	f.StringVar(&loads, "loads", "0.10,0.12,0.13,0.14,0.15,0.16,0.18", "patterns for each unit, separated by commas")
	f.IntVar(&nets, "nets", 10, "independent networks at each point")
	f.StringVar(&rule, "rule", "hebb", "hebb or pseudo-inverse")
	f.StringVar(&dynamics, "dynamics", "asynchronous", "asynchronous or synchronous")
	f.Float64Var(&noise, "noise", 0, "fraction of the units turned over in each probe")
	f.IntVar(&sweeps, "sweeps", 300, "updates of every unit at most")
	return cmd
}
