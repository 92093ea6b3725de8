package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/comm"
	"kadanoff/model/data/digits"
	"kadanoff/model/modelfile"
	"kadanoff/train"
)

func init() { register(newTrain) }

func newTrain(o *cli.Options) *cobra.Command {
	c := train.Default()
	run := train.Options{}
	var in dataFlags
	var units, schedule, every, validation string
	var peers time.Duration
	// prepare checks the flags, reads the data and opens the backend.
	prepare := func(cmd *cobra.Command, path string) (source train.Source, be backend.Backend, err error) {
		c.Seed = o.Seed
		if c.Units, err = modelfile.ParseUnits(units); err != nil {
			return nil, nil, cli.Usage("--units %q: want spin or binary", units)
		}
		if c.Schedule, err = train.ParseSchedule(schedule); err != nil {
			return nil, nil, err
		}
		if run.CheckpointTime, run.CheckpointSteps, err = parseEvery(every); err != nil {
			return nil, nil, err
		}
		if run.Keep < 1 {
			return nil, nil, cli.Usage("--keep %d: want at least 1", run.Keep)
		}
		if run.Dir == "" {
			return nil, nil, cli.Usage("--out: want a folder for the model, its metrics and checkpoints")
		}
		c.Binarize = in.binarize == "random"
		if err := c.Check(); err != nil {
			return nil, nil, err
		}
		if source, run.Shape, err = in.load(cmd, path, c.Seed); err != nil {
			return nil, nil, err
		}
		if validation != "" {
			if run.Validation, _, err = in.load(cmd, validation, c.Seed); err != nil {
				return nil, nil, err
			}
		}
		be, err = openBackend(o)
		return source, be, err
	}
	cmd := &cobra.Command{
		Use:   "train [DATA]",
		Short: "Train a restricted or general Boltzmann machine",
		Long: "Trains an RBM on DATA (.npy, .npz, IDX or text; the 8×8 digits that the program carries when none is\n" +
			"given) and writes DIR/model.safetensors, DIR/metrics.jsonl, DIR/index.html and checkpoints.\n\n" +
			"--couplings visible, hidden or all couples units inside layers, too. Such a machine is trained by chains\n" +
			"of both phases that persist (pcd), on one process; every row of the data keeps its hidden units.\n\n" +
			"--units names what rate, decay and initial width refer to and what the model file holds: a {0,1} step is\n" +
			"a ±1 step with rate/16 for weights and, when centred, rate/4 for biases.\n" +
			"--schedule is constant, linear[:FROM] (constant until that part of the run, then straight to nothing) or\n" +
			"inverse[:FALL] (divided by 1 + FALL·part).\n" +
			"--resume continues at the last checkpoint, bit for bit.\n\n" +
			"Under mpirun or srun the processes share chains and data. The model's bits do not depend on how many\n" +
			"there are, and a checkpoint resumes on any number of them.",
		Example: "  kadanoff train digits --hidden 64 --epochs 20 --out run1\n" +
			"  kadanoff train train-images-idx3-ubyte.gz --threshold 127 --hidden 500 --chains 500 --center \\\n" +
			"      --units binary --rate 0.05 --schedule linear --epochs 50 --out mnist\n" +
			"  kadanoff train digits --hidden 10 --couplings all --rate 0.01 --epochs 20 --out machine\n" +
			"  mpirun --bind-to none -n 4 kadanoff train data.npy --chains 4096 --batch 4096 --out run2",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usage("unexpected argument %q: kadanoff train takes one data file", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			path := digits.Name
			if len(args) == 1 {
				path = args[0]
			}
			// A signal that comes while the data are read waits for the first step.
			now := make(chan os.Signal, 1)
			notifyCheckpoint(now)
			defer signal.Stop(now)
			return cli.OnRanks(cmd, peers, "; --resume continues at the last checkpoint", func(g comm.Group) error {
				code := func(err error) int { return cli.ExitCode(cmd.Context(), unfinished(err, run.Dir)) }
				if err := o.Settle(cmd, g); err != nil {
					return err
				}
				source, be, err := prepare(cmd, path)
				if err == nil {
					defer be.Close()
				}
				if err := comm.Agree(g, err, code); err != nil {
					return err
				}
				run.Name, run.Checkpoint, run.Group, run.Code = path, now, g, code
				run.Log = func(format string, args ...any) {
					in.say(cmd)
					fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
				}
				result, err := train.Run(cmd.Context(), be, c, source, run)
				if err != nil {
					return unfinished(err, run.Dir)
				}
				return o.Print(cmd, result)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&c.Hidden, "hidden", c.Hidden, "hidden units")
	f.StringVar(&c.Couplings, "couplings", c.Couplings, "between the layers only, or also inside: visible, hidden, or all")
	f.StringVar(&c.Algorithm, "algorithm", c.Algorithm, "cd, pcd, or pt (parallel tempering)")
	f.IntVar(&c.K, "k", c.K, "sweeps of the chains in a step")
	f.IntVar(&c.Chains, "chains", c.Chains, "chains of pcd and pt; 0 for as many as a batch has configurations")
	f.IntVar(&c.Batch, "batch", c.Batch, "configurations in a step")
	f.IntVar(&c.Epochs, "epochs", c.Epochs, "passes over the data")
	f.Float64Var(&c.Rate, "rate", c.Rate, "learning rate")
	f.StringVar(&schedule, "schedule", c.Schedule.String(), "how the rate falls: constant, linear[:FROM], or inverse[:FALL]")
	f.StringVar(&units, "units", string(c.Units), "spin (±1) or binary ({0,1}): what rates, decay and model file refer to")
	f.BoolVar(&c.Center, "center", false, "centred gradient")
	f.Float64Var(&c.OffsetRate, "offset-rate", c.OffsetRate, "how fast the centring offsets follow the data")
	f.Float64Var(&c.Momentum, "momentum", 0, "momentum")
	f.Float64Var(&c.WeightDecay, "weight-decay", 0, "weight decay (L2)")
	f.Float64Var(&c.L1, "l1", 0, "L1 penalty of the weights")
	f.Float64Var(&c.Temperature, "temperature", c.Temperature, machineTemperature+"; sample and evaluate the model at the same T")
	f.IntVar(&c.Temperatures, "temperatures", c.Temperatures, "temperatures of pt, their inverses in equal steps from 1")
	f.Float64Var(&c.Hottest, "hottest", 0, "highest temperature of pt; 0 for infinite")
	f.Float64Var(&c.InitWidth, "init-width", c.InitWidth, "standard deviation of the initial weights (their value with --tied)")
	f.BoolVar(&c.Tied, "tied", false, "one weight for all couplings, no biases")
	f.BoolVar(&c.ExactGradient, "exact-gradient", false, "exact gradient over all data and states, for small models")
	in.add(cmd)
	f.StringVar(&in.binarize, "binarize", "", "random: values are probabilities, drawn anew in each epoch")
	f.StringVar(&validation, "validation", "", "held-out data")
	f.IntVar(&c.Patience, "patience", 0, "stop after so many epochs without a better validation score; 0 never")
	f.StringVar(&run.Dir, "out", "", "folder of the run")
	f.BoolVar(&run.Resume, "resume", false, "continue the run in the folder, if it holds one")
	f.StringVar(&every, "checkpoint-every", "5m", "time (5m) or steps (200steps) between checkpoints")
	f.IntVar(&run.Keep, "keep", 2, "checkpoints that are kept")
	f.DurationVar(&peers, "peer-timeout", comm.DefaultTimeout, "end with code 75 when the other processes of an mpirun do not answer for so long")
	f.DurationVar(&run.TimeLimit, "time-limit", 0, "stop, with a checkpoint, after this time")
	return cmd
}

// unfinished says of a run that diverged where it can be taken up.
func unfinished(err error, dir string) error {
	if diverged := (*backend.DivergedError)(nil); errors.As(err, &diverged) {
		if peer := (*comm.PeerError)(nil); !errors.As(err, &peer) {
			if last := train.LastCheckpoint(dir); last != "" {
				return cli.Unfinished("%v; the last checkpoint, %s, is from before", diverged, last)
			}
			return cli.Unfinished("%v; no checkpoint had been written yet", diverged)
		}
	}
	return err
}

// parseEvery reads a time between checkpoints (5m) or a number of steps
// (200steps).
func parseEvery(s string) (time.Duration, uint64, error) {
	if n, ok := strings.CutSuffix(s, "steps"); ok {
		if x, err := strconv.ParseUint(strings.TrimSpace(n), 10, 63); err == nil && x > 0 {
			return 0, x, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return d, 0, nil
	}
	return 0, 0, cli.Usage("--checkpoint-every %q: want a time such as 5m, or steps such as 200steps", s)
}
