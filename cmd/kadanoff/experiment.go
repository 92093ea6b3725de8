package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/cmd/internal/document"
	"kadanoff/cmd/internal/experiment"
)

func init() { register(newExperiment) }

func newExperiment(o *cli.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "experiment",
		Short: "Whole experiments, from configurations to a page",
		Long: "Carries out an experiment step by step in a folder. What is finished stays there: the same command goes on\n" +
			"where it was interrupted, and other settings are refused.",
		Example: "  kadanoff experiment iso --lattice 10 --out iso\n  kadanoff experiment iso --quick --out first",
		Args:    cli.NoArgs,
		RunE:    cli.Group,
	}
	cmd.AddCommand(newExperimentIso(o), newExperimentRing(o))
	return cmd
}

func newExperimentIso(o *cli.Options) *cobra.Command {
	s := experiment.NewIso(10, false)
	var out, hidden, layers string
	var quick bool
	cmd := &cobra.Command{
		Use:   "iso",
		Short: "The flow of 2D Ising configurations through trained machines",
		Long: "The experiment of Iso, Shiba and Yokoo (arXiv 1801.07172) with error bars. Draws configurations of the square\n" +
			"lattice at --temperatures temperatures from 0 to --t-max; trains a network to read their temperature, and\n" +
			"machines of the --hidden sizes on all temperatures, and of the size nearest to the number of sites on\n" +
			"cold ones (up to 2), hot ones (from 4) and all but the one nearest to T_c, in the ±1 and the {0,1} convention;\n" +
			"sends fresh configurations through the machines (v → h → v, units drawn, and with means, eqs 50 and 51); reads\n" +
			"the temperature along the flow. Beside it stand the exact energy and the exact theory of uniform machines.\n\n" +
			"Each step leaves its files in --out and is not done again; training goes on at its last checkpoint. The same\n" +
			"settings give the same tables on any number of threads, backend and instruction set of a machine.\n" +
			"--quick takes less of everything: see the settings in --out/experiment.json.\n\n" +
			"Writes index.html, tables/*.json and figures/*.svg and *.png. The summary has for each kind of machine what\n" +
			"the thermometer reads at the end, with the errors from configurations and from machines; how far the hottest\n" +
			"start lies above the coldest then; the temperature that the energy has; and the start that a step leaves\n" +
			"where it is.",
		Example: "  kadanoff experiment iso --lattice 10 --out iso\n" +
			"  kadanoff experiment iso --quick --out first\n" +
			"  kadanoff experiment iso --lattice 8 --hidden 16,64,128 --epochs 200 --thermometer 128,64 --out small",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage("kadanoff experiment iso needs --out: a folder to write to")
			}
			given := s
			s = experiment.NewIso(given.Lattice, quick)
			s.Seed = o.Seed
			for _, f := range []struct {
				flag     string
				set, now *int
			}{
				{"temperatures", &s.Temperatures, &given.Temperatures}, {"samples", &s.Samples, &given.Samples}, {"sweeps", &s.Sweeps, &given.Sweeps},
				{"fresh", &s.Fresh, &given.Fresh}, {"epochs", &s.Epochs, &given.Epochs}, {"machines", &s.Machines, &given.Machines},
				{"thermometer-epochs", &s.ThermometerEpochs, &given.ThermometerEpochs}, {"flow-steps", &s.FlowSteps, &given.FlowSteps},
			} {
				if cmd.Flags().Changed(f.flag) {
					*f.set = *f.now
				}
			}
			if cmd.Flags().Changed("rate") {
				s.Rate = given.Rate
			}
			s.TMax, s.Algorithm, s.InitWidth = given.TMax, given.Algorithm, given.InitWidth
			for _, f := range []struct {
				flag, text string
				set        func([]int)
			}{{"hidden", hidden, func(n []int) { s.Hidden = n }}, {"thermometer", layers, func(n []int) { s.Thermometer = n }}} {
				if cmd.Flags().Changed(f.flag) {
					list, err := experiment.ParseList(f.flag, f.text)
					if err != nil {
						return err
					}
					f.set(list)
				}
			}
			if err := s.Check(); err != nil {
				return err
			}
			if err := document.Check(out); err != nil {
				return outError(cmd.Context(), out, err)
			}
			useProducts(o.ISA) // of the thermometer
			doc, sum, err := experiment.RunIso(cmd.Context(), s, experimentOptions(cmd, o, out))
			if err != nil {
				return diverged(err)
			}
			if sum.Summary, err = doc.Write(out); err != nil {
				return outError(cmd.Context(), out, err)
			}
			return o.Print(cmd, sum)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&out, "out", "", "folder of the experiment")
	f.BoolVar(&quick, "quick", false, "less of everything, in less than a minute")
	f.IntVar(&s.Lattice, "lattice", s.Lattice, "side of the lattice, even")
	f.IntVar(&s.Temperatures, "temperatures", s.Temperatures, "number of temperatures from 0 to --t-max")
	f.Float64Var(&s.TMax, "t-max", s.TMax, "highest temperature")
	f.IntVar(&s.Samples, "samples", s.Samples, "configurations to train on at each temperature")
	f.IntVar(&s.Sweeps, "sweeps", s.Sweeps, "Metropolis sweeps before a configuration is taken")
	f.IntVar(&s.Fresh, "fresh", s.Fresh, "configurations that flow from each start")
	f.StringVar(&hidden, "hidden", s.Hidden.String(), "sizes of the hidden layer, separated by commas; other lattices have their own")
	f.StringVar(&s.Algorithm, "algorithm", s.Algorithm, "how machines are trained: cd, pcd or pt")
	f.Float64Var(&s.Rate, "rate", s.Rate, "learning rate of ±1 units; {0,1} units have 16 times as much")
	f.Float64Var(&s.InitWidth, "init-width", s.InitWidth, "standard deviation of the ±1 weights that training begins with; of {0,1} units four times as much")
	f.IntVar(&s.Epochs, "epochs", s.Epochs, "passes of a machine over its training set")
	f.IntVar(&s.Machines, "machines", s.Machines, "machines of each kind, from different seeds")
	f.StringVar(&layers, "thermometer", s.Thermometer.String(), "hidden layers of the thermometer, separated by commas")
	f.IntVar(&s.ThermometerEpochs, "thermometer-epochs", s.ThermometerEpochs, "passes of the thermometer over all configurations")
	f.IntVar(&s.FlowSteps, "flow-steps", s.FlowSteps, "steps of the flow")
	return cmd
}

func newExperimentRing(o *cli.Options) *cobra.Command {
	s := experiment.NewRing(false)
	var out, k string
	var quick bool
	cmd := &cobra.Command{
		Use:   "ring",
		Short: "The same in one dimension, where all of it is known exactly",
		Long: "Trains machines on exact configurations of the Ising ring at each coupling of --k, down the exact gradient: with\n" +
			"all weights free (full) and with one weight for all pairs (tied), and takes the exact root W(K) beside them\n" +
			"(uniform). Sends exact configurations of all couplings through them (v → h → v, units drawn) and measures the\n" +
			"coupling that comes out, beside what a sum over all states gives and what decimation does.\n\n" +
			"Each step leaves its files in --out and is not done again; training goes on at its last checkpoint. The same\n" +
			"settings give the same tables on any number of threads. --quick takes less of everything.\n\n" +
			"Writes index.html, tables/*.json and figures/*.svg and *.png. The summary has for each coupling the weights,\n" +
			"the divergences from the ring in nats, and the coupling that the flow ends at.",
		Example: "  kadanoff experiment ring --out ring\n" +
			"  kadanoff experiment ring --size 8 --hidden 4 --k 0.5,1,2 --quick --out first",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage("kadanoff experiment ring needs --out: a folder to write to")
			}
			given := s
			s = experiment.NewRing(quick)
			s.Seed, s.Size, s.Hidden, s.Rate, s.Momentum = o.Seed, given.Size, given.Hidden, given.Rate, given.Momentum
			for _, f := range []struct {
				flag     string
				set, now *int
			}{
				{"samples", &s.Samples, &given.Samples}, {"fresh", &s.Fresh, &given.Fresh}, {"epochs", &s.Epochs, &given.Epochs},
				{"machines", &s.Machines, &given.Machines}, {"flow-steps", &s.FlowSteps, &given.FlowSteps},
			} {
				if cmd.Flags().Changed(f.flag) {
					*f.set = *f.now
				}
			}
			if cmd.Flags().Changed("k") {
				list, err := finiteList("k", k)
				if err != nil {
					return err
				}
				s.K = list
			}
			if err := s.Check(); err != nil {
				return err
			}
			if err := document.Check(out); err != nil {
				return outError(cmd.Context(), out, err)
			}
			doc, sum, err := experiment.RunRing(cmd.Context(), s, experimentOptions(cmd, o, out))
			if err != nil {
				return diverged(err)
			}
			if sum.Summary, err = doc.Write(out); err != nil {
				return outError(cmd.Context(), out, err)
			}
			return o.Print(cmd, sum)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&out, "out", "", "folder of the experiment")
	f.BoolVar(&quick, "quick", false, "less of everything, in seconds")
	f.IntVar(&s.Size, "size", s.Size, "spins of the ring, even")
	f.IntVar(&s.Hidden, "hidden", s.Hidden, "hidden units")
	f.StringVar(&k, "k", s.K.String(), "couplings, separated by commas")
	f.IntVar(&s.Samples, "samples", s.Samples, "configurations that a machine is trained on")
	f.IntVar(&s.Fresh, "fresh", s.Fresh, "configurations that flow from each start")
	f.Float64Var(&s.Rate, "rate", s.Rate, "learning rate")
	f.Float64Var(&s.Momentum, "momentum", s.Momentum, "momentum")
	f.IntVar(&s.Epochs, "epochs", s.Epochs, "steps down the exact gradient")
	f.IntVar(&s.Machines, "machines", s.Machines, "machines of each kind, each with configurations of its own")
	f.IntVar(&s.FlowSteps, "flow-steps", s.FlowSteps, "steps of the flow")
	return cmd
}

// experimentOptions says how an experiment goes on.
func experimentOptions(cmd *cobra.Command, o *cli.Options, out string) experiment.Options {
	return experiment.Options{
		Dir: out, Threads: o.Threads,
		Open: func(threads int) (backend.Backend, error) {
			part := *o
			part.Threads = threads
			return openBackend(&part)
		},
		Log: func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) },
	}
}

// diverged gives training that left the range of numbers its exit code.
func diverged(err error) error {
	if d := (*backend.DivergedError)(nil); errors.As(err, &d) {
		return cli.Unfinished("%w: want a smaller --rate", err)
	}
	return err
}
