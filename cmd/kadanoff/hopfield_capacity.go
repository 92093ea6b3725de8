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

// capacityResult has the capacity where two neighbouring sizes' fractions
// retrieved cross.
type capacityResult struct {
	Points    []keptRow     `json:"points"`
	Crossings []crossingRow `json:"crossings,omitempty"`
}

type crossingRow struct {
	Small    int       `json:"small"`
	Large    int       `json:"large"`
	Capacity cli.Float `json:"capacity"`
	Error    cli.Float `json:"error"`
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
			"In large networks Hebb's rule keeps 0.138 patterns a unit. Below that load the larger of two networks\n" +
			"retrieves more, above it fewer: of two neighbouring sizes the crossing is given, from a line through the\n" +
			"difference over all loads, with its standard error.",
		Example: "  kadanoff hopfield capacity --units 500,2000 --loads 0.128,0.132,0.136,0.14,0.144,0.148 --nets 10",
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
			var result capacityResult
			curves := make([][]*hopfield.Kept, len(sizes))
			for i, e := range jobs {
				k, err := e.Run(cmd.Context(), b)
				if err != nil {
					return fmt.Errorf("%d patterns on %d units: %w", e.Patterns, e.Units, err)
				}
				curves[i/len(at)] = append(curves[i/len(at)], k)
				result.Points = append(result.Points, keptRow{
					Units: e.Units, Patterns: e.Patterns, Load: cli.Float(k.Load),
					Overlap: cli.Float(k.Overlap.Mean), OverlapError: cli.Float(k.Overlap.Error),
					Retrieved: cli.Float(k.Retrieved.Mean), RetrievedError: cli.Float(k.Retrieved.Error),
					Settled: cli.Float(k.Settled.Mean), Sweeps: cli.Float(k.Sweeps.Mean),
				})
			}
			for i := range len(sizes) - 1 {
				if e.PseudoInverse {
					break // it has no such capacity
				}
				small, large := int(sizes[i]), int(sizes[i+1])
				if c, err := hopfield.Crossing(curves[i], curves[i+1]); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "no crossing of %d and %d units: %v\n", small, large, err)
				} else {
					result.Crossings = append(result.Crossings, crossingRow{small, large, cli.Float(c.Mean), cli.Float(c.Error)})
				}
			}
			return o.Print(cmd, result)
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
