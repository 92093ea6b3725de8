package main

import (
	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/rg"
)

func init() { register(newRG) }

func newRG(o *cli.Options) *cobra.Command {
	var k, k0 float64
	var steps int
	cmd := &cobra.Command{
		Use:   "rg",
		Short: "Decimation flow of the coupling of a ring",
		Long: "Decimation flow of the coupling K and the constant K0 per bond of a ring of Ising spins:\n" +
			"tanh K' = tanh²K, K0' = 2 K0 + ln 2 + K'. Its fixed points are K = 0 and K = ∞.",
		Example: "  kadanoff rg --k 1 --k0 0 --steps 5",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireGiven(cmd, "k"); err != nil {
				return err
			}
			if err := requireFinite(cmd, "k", "k0"); err != nil {
				return err
			}
			if err := requireSteps(steps); err != nil {
				return err
			}
			type row struct {
				Step int       `json:"step"`
				K    cli.Float `json:"k"`
				K0   cli.Float `json:"k0"`
			}
			var rows []row
			for _, p := range rg.Flow(k, k0, steps) {
				rows = append(rows, row{p.Step, cli.Float(p.K), cli.Float(p.K0)})
			}
			return o.Print(cmd, rows)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&k, "k", 0, "coupling to start from")
	f.Float64Var(&k0, "k0", 0, "constant to start from")
	f.IntVar(&steps, "steps", 10, "number of decimations")
	return cmd
}
