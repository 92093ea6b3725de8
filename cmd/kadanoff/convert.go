package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/modelfile"
)

func init() { register(newConvert) }

func newConvert(o *cli.Options) *cobra.Command {
	var units, out string
	cmd := &cobra.Command{
		Use:   "convert MODEL",
		Short: "A model file in other units, or of another program",
		Long: "Writes MODEL, a .safetensors or .npz file, as safetensors with its parameters in the units asked for:\n" +
			"spin for ±1, binary for {0,1}. Every configuration keeps its probability.\n" +
			"log_z_constant is ln Z in the units of MODEL less ln Z in those of the new file;\n" +
			"rounding bounds what storing the biases as float32 changed in ln Z.",
		Example: "  kadanoff convert sklearn.npz --units spin --out model.safetensors",
		Args:    oneFile("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return cli.Usage("--out: want the name of the file to write")
			}
			to, err := modelfile.ParseUnits(units)
			if units != "" && err != nil {
				return cli.Usage("--units %q: want spin or binary", units)
			}
			m, err := modelfile.LoadContext(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if units == "" {
				to = m.Units()
			}
			converted, conv, err := m.Convert(to)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := modelfile.Save(out, converted); err != nil {
				return err
			}
			noteUnits(cmd, args[0], m)
			return o.Print(cmd, struct {
				File     string          `json:"file"`
				From     modelfile.Units `json:"from"`
				To       modelfile.Units `json:"to"`
				Constant cli.Float       `json:"log_z_constant"`
				Rounding cli.Float       `json:"rounding"`
			}{out, m.Units(), to, cli.Float(conv.Constant), cli.Float(conv.Rounding)})
		},
	}
	f := cmd.Flags()
	f.StringVar(&units, "units", "", "units of the new file, spin or binary (default those of MODEL)")
	f.StringVar(&out, "out", "", "file to write")
	return cmd
}

// oneFile wants exactly one argument, called name.
func oneFile(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return cli.Usage("%s: want the file %s", cmd.CommandPath(), name)
		case len(args) > 1:
			return cli.Usage("unexpected argument %q: %s takes one file", args[1], cmd.CommandPath())
		}
		return nil
	}
}

// noteUnits says on stderr when the units of a model had to be assumed.
func noteUnits(cmd *cobra.Command, path string, m *modelfile.Model) {
	if m.UnitsAssumed {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: does not name its units, taken as %s\n", path, m.Units())
	}
}
