package main

import (
	"math"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/rg"
)

func init() { register(newFlow) }

// uniformFlow is the result of a flow through a uniform RBM.
type uniformFlow struct {
	Visible    int        `json:"visible"`
	Hidden     int        `json:"hidden"`
	W          cli.Float  `json:"w"`
	CriticalW  cli.Float  `json:"critical_w"`
	FixedPoint cli.Float  `json:"fixed_point"`
	Multiplier cli.Float  `json:"multiplier"`
	Flow       []flowStep `json:"flow"`
}

type flowStep struct {
	Step int       `json:"step"`
	M    cli.Float `json:"m"`
}

func newFlow(o *cli.Options) *cobra.Command {
	var visible, hidden, steps int
	var w, m0 float64
	var real modelFlow
	cmd := &cobra.Command{
		Use:   "flow",
		Short: "Flow of configurations through an RBM",
		Long: "Flow of the magnetisation m through the uniform RBM, h = tanh(MWm), m' = tanh(NWh). Above the critical\n" +
			"W = 1/√(MN) it goes to ±m*, below to 0; --w inf is the limit in which m' is the sign of m.\n" +
			"fixed_point is where it goes from --m0, and multiplier the slope of m' there.\n\n" +
			"With --model and --data, flow of the data's configurations through that machine as real numbers,\n" +
			"h = tanh(c + Wᵀv), v' = tanh(b + Wh): m is the mean of |Σv|/M over the configurations, mean that of Σv/M,\n" +
			"and change the root mean square of v' − v. --out keeps the last configurations.",
		Example: "  kadanoff flow --visible 8 --hidden 4 --w 0.3 --m0 0.25 --steps 20\n" +
			"  kadanoff flow --model model.safetensors --data test.npy --steps 10 --out flowed.npy",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("model") || cmd.Flags().Changed("data") {
				real.steps = steps
				result, err := real.run(cmd, o)
				if err != nil {
					return err
				}
				return o.Print(cmd, result)
			}
			for _, name := range []string{"threshold", "out"} {
				if cmd.Flags().Changed(name) {
					return cli.Usage("--%s goes with --model and --data", name)
				}
			}
			if err := requireGiven(cmd, "visible", "hidden", "w"); err != nil {
				return err
			}
			if !(m0 >= -1 && m0 <= 1) {
				return cli.Usage("--m0 %v: want a magnetisation from -1 to 1", m0)
			}
			if err := requireSteps(steps); err != nil {
				return err
			}
			f, err := rg.NewUniformFlow(visible, hidden, w)
			if err != nil {
				return cli.Usage("--visible %d --hidden %d --w %v: %w", visible, hidden, w, err)
			}
			result := uniformFlow{
				Visible: visible, Hidden: hidden, W: cli.Float(w), CriticalW: cli.Float(rg.CriticalW(visible, hidden)),
			}
			fixed, multiplier := f.FixedPoint()
			switch {
			case m0 == 0 || fixed == 0:
				// V = 0 stays 0, however unstable it is.
				zero := float64(visible) * float64(hidden) * w * w
				result.FixedPoint, result.Multiplier = 0, cli.Float(zero)
			default:
				result.FixedPoint, result.Multiplier = cli.Float(math.Copysign(fixed, m0)), cli.Float(multiplier)
			}
			for i, m := range f.Flow(m0, steps) {
				result.Flow = append(result.Flow, flowStep{i, cli.Float(m)})
			}
			return o.Print(cmd, result)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&visible, "visible", 0, "visible units")
	f.IntVar(&hidden, "hidden", 0, "hidden units")
	f.Float64Var(&w, "w", 0, "weight of all pairs")
	f.Float64Var(&m0, "m0", 0.25, "magnetisation to start from, -1 to 1")
	f.IntVar(&steps, "steps", 20, "steps to follow")
	f.StringVar(&real.model, "model", "", "model file to flow through")
	f.StringVar(&real.data, "data", "", "data file to start from")
	f.Float64Var(&real.threshold, "threshold", 0, "data above it are +1; without it data must hold two values")
	f.StringVar(&real.out, "out", "", ".npy file for the last configurations, float64 [rows, visible]")
	return cmd
}
