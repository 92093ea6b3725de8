package main

import (
	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/exact"
)

func init() { register(newExact) }

// exactValues are per spin, but for ln Z; what is not exact for a size is
// left out.
type exactValues struct {
	LogZ             *cli.Float `json:"log_z,omitempty"`
	FreeEnergy       *cli.Float `json:"free_energy,omitempty"`
	Energy           cli.Float  `json:"energy"`
	SpecificHeat     cli.Float  `json:"specific_heat"`
	AbsMagnetization *cli.Float `json:"abs_magnetization,omitempty"`
}

func known(x float64) *cli.Float {
	f := cli.Float(x)
	return &f
}

func newExact(o *cli.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "exact",
		Short:   "Exact values of Ising lattices",
		Long:    "Exact values of Ising lattices with J = k_B = 1, per spin but for ln Z.",
		Example: "  kadanoff exact ring --size 8 --t 1\n  kadanoff exact torus --size 16 --t 2",
		Args:    cli.NoArgs,
		RunE:    cli.Group,
	}
	cmd.AddCommand(newExactRing(o), newExactTorus(o), newExactSquare(o))
	return cmd
}

func newExactRing(o *cli.Options) *cobra.Command {
	var size int
	var t float64
	cmd := &cobra.Command{
		Use:   "ring",
		Short: "Ring of spins",
		Long: "Ring of --size spins at temperature --t, from its transfer matrix.\n" +
			"E|V|/M is given up to 4096 spins.",
		Example: "  kadanoff exact ring --size 8 --t 1",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireGiven(cmd, "size", "t"); err != nil {
				return err
			}
			if !(t >= 1e-300 && t <= 1e300) {
				return cli.Usage("--t %v: want a finite temperature above 0", t)
			}
			if size < 1 || size > 1<<30 {
				return cli.Usage("--size %d: want 1 to %d spins", size, 1<<30)
			}
			r, err := exact.NewRing(size, 1/t)
			if err != nil {
				return cli.Usage("%w", err)
			}
			v := exactValues{
				LogZ: known(r.LogZ()), Energy: cli.Float(r.Energy()), SpecificHeat: cli.Float(r.SpecificHeat()),
			}
			if m, err := r.AbsMagnetization(); err == nil {
				v.AbsMagnetization = known(m)
			}
			return o.Print(cmd, v)
		},
	}
	cmd.Flags().IntVar(&size, "size", 0, "number of spins")
	cmd.Flags().Float64Var(&t, "t", 0, "temperature")
	return cmd
}

func newExactTorus(o *cli.Options) *cobra.Command {
	var size int
	var t float64
	cmd := &cobra.Command{
		Use:   "torus",
		Short: "Square lattice with periodic boundaries",
		Long: "Square lattice of --size by --size spins with periodic boundaries at temperature --t:\n" +
			"Kaufman's formula, and up to size 8 the magnetisation from a count of all states.",
		Example: "  kadanoff exact torus --size 16 --t 2",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireGiven(cmd, "size", "t"); err != nil {
				return err
			}
			x, err := exact.NewTorus(size, t)
			if err != nil {
				return cli.Usage("--size %d --t %v: %w", size, t, err)
			}
			v := exactValues{
				LogZ: known(x.LogZ()), Energy: cli.Float(x.Energy()), SpecificHeat: cli.Float(x.SpecificHeat()),
			}
			if size <= exact.MaxDensityTorus {
				m, _, _, err := x.Moments()
				if err != nil {
					return err
				}
				v.AbsMagnetization = known(m)
			}
			return o.Print(cmd, v)
		},
	}
	cmd.Flags().IntVar(&size, "size", 0, "spins on a side")
	cmd.Flags().Float64Var(&t, "t", 0, "temperature")
	return cmd
}

func newExactSquare(o *cli.Options) *cobra.Command {
	var t float64
	cmd := &cobra.Command{
		Use:     "square",
		Short:   "Infinite square lattice",
		Long:    "Infinite square lattice at temperature --t, by Onsager and Yang; T_c = 2.269185….",
		Example: "  kadanoff exact square --t 2.2",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireGiven(cmd, "t"); err != nil {
				return err
			}
			x, err := exact.NewOnsager(t)
			if err != nil {
				return cli.Usage("--t %v: %w", t, err)
			}
			return o.Print(cmd, exactValues{
				FreeEnergy: known(x.FreeEnergy()), Energy: cli.Float(x.Energy()),
				SpecificHeat: cli.Float(x.SpecificHeat()), AbsMagnetization: known(x.Magnetization()),
			})
		},
	}
	cmd.Flags().Float64Var(&t, "t", 0, "temperature")
	return cmd
}
