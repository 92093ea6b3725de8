// Command rbmbench says what a machine has, whether everything that the engine
// computes on it is right, and how fast it is.
package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	_ "kadanoff/backend/cpu" // registers its driver, as the next ones do
	_ "kadanoff/backend/cuda"
	_ "kadanoff/backend/ref"
	"kadanoff/bench"
	"kadanoff/cmd/internal/cli"
)

// newRoot builds the whole tree of commands.
func newRoot() *cobra.Command {
	root, options := cli.NewRoot("rbmbench",
		"What this machine has, every exact check on every backend and path, and the speeds",
		"  rbmbench --quick\n  rbmbench --json before.json --report page")
	f := &flags{Options: options}
	root.Args = cli.NoArgs
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := f.plan(cmd, bench.Areas())
		if err != nil {
			return err
		}
		p.Checks, p.Benchmarks = true, true
		return f.run(cmd, p)
	}
	f.add(root)
	root.AddCommand(checkCommand(f), devicesCommand(options), compareCommand(options), peersCommand(f))
	for _, a := range bench.Areas() {
		root.AddCommand(areaCommand(f, a))
	}
	return root
}

func checkCommand(f *flags) *cobra.Command {
	c := &cobra.Command{
		Use:     "check",
		Short:   "The exact checks alone, on every backend and path",
		Example: "  rbmbench check\n  rbmbench check --isa avx2 --seed 7",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := f.plan(cmd, bench.Areas())
			if err != nil {
				return err
			}
			p.Checks = true
			return f.run(cmd, p)
		},
	}
	f.add(c)
	return c
}

func areaCommand(f *flags, a bench.Area) *cobra.Command {
	var cases []string
	var model string
	var chains int
	var ranks rankFlags
	c := &cobra.Command{
		Use:     a.Name,
		Short:   "Speed of " + a.Short,
		Example: "  rbmbench " + a.Name + " --quick",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ranks.on {
				return ranks.run(cmd, f, cases)
			}
			if cmd.Flags().Changed("case") && (len(cases) == 0 || slices.Contains(cases, "")) {
				return cli.Usage("--case %q: want names or sizes separated by commas", strings.Join(cases, ","))
			}
			if cmd.Flags().Changed("chains") && model == "" {
				return cli.Usage("--chains goes with --model: without it the number of chains is in --case VISIBLExHIDDENxCHAINS")
			}
			areas, note := []bench.Area{a}, ""
			checks := false
			if model != "" {
				if len(cases) > 0 {
					return cli.Usage("--case and --model: want one of them")
				}
				if chains < 1 || chains > 1<<20 {
					return cli.Usage("--chains %d: want 1 to %d", chains, 1<<20)
				}
				m, err := bench.LoadModel(cmd.Context(), model)
				if err != nil {
					return err
				}
				areas, checks = []bench.Area{m.Area(chains)}, true
				note = modelNote(model, m)
			}
			p, err := f.plan(cmd, areas)
			if err != nil {
				return err
			}
			if err := p.AddCases(cases); err != nil {
				return cli.Usage("%w", err)
			}
			p.Benchmarks, p.Checks, p.AllPaths = true, checks, true
			f.note = note
			return f.run(cmd, p)
		},
	}
	f.add(c)
	c.Flags().StringSliceVar(&cases, "case", nil, "cases to time, by name or size")
	if a.Name == "train" {
		ranks.add(c)
	}
	if a.Name == "gibbs" {
		c.Example += "\n  rbmbench gibbs --case 784x500x1000,300x200x500 --threads 1\n  rbmbench gibbs --model model.safetensors"
		c.Flags().StringVar(&model, "model", "", "check and time the RBM in this safetensors or npz file")
		c.Flags().IntVar(&chains, "chains", 1000, "number of chains with --model")
	}
	return c
}

func main() { os.Exit(cli.Main(newRoot())) }
