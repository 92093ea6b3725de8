package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/comm"
	"kadanoff/model/modelfile"
	"kadanoff/train"
)

func init() { register(newEvaluate) }

// evaluation says how well a model fits data, and how that was found. Numbers
// are nats for each configuration; log Z is in the units of the model file.
type evaluation struct {
	Method string          `json:"method"`
	Units  modelfile.Units `json:"units"`
	Rows   int             `json:"rows"`

	LogZ                 *cli.Float `json:"log_z,omitempty"`
	LogZReverse          *cli.Float `json:"log_z_reverse,omitempty"`
	LogLikelihood        cli.Float  `json:"log_likelihood"`
	LogLikelihoodReverse *cli.Float `json:"log_likelihood_reverse,omitempty"`

	// StandardError is that of the estimate of log Z (ais), or of the mean
	// over configurations (raise).
	StandardError        *cli.Float `json:"standard_error,omitempty"`
	StandardErrorReverse *cli.Float `json:"standard_error_reverse,omitempty"`
	SampleSize           *cli.Float `json:"effective_sample_size,omitempty"`
	SampleSizeReverse    *cli.Float `json:"effective_sample_size_reverse,omitempty"`
	Chains               int        `json:"chains,omitempty"`
	Temperatures         int        `json:"temperatures,omitempty"`
	BurnIn               int        `json:"burn_in,omitempty"`

	// DataError is the standard error of the mean over the configurations.
	DataError  *cli.Float `json:"data_standard_error,omitempty"`
	Constant   *cli.Float `json:"log_z_constant,omitempty"` // log_z less that of the ±1 model
	FieldError cli.Float  `json:"field_error"`              // largest change of a field by fixed point

	// Warning says why the ends of ais are not to be trusted; it is on stderr,
	// too.
	Warning string `json:"warning,omitempty"`
}

// The most terms for which auto sums exactly: those of 30 units beside 784, some
// minutes of one core; fewer where they are summed one by one.
const (
	exactWork   = 1 << 40
	exactByHand = 1 << 34
)

func newEvaluate(o *cli.Options) *cobra.Command {
	var in dataFlags
	var path, method, base string
	var temperature float64
	c := train.AISConfig{}
	var peers time.Duration
	// prepare checks the flags, reads model and data and opens the backend.
	prepare := func(cmd *cobra.Command, args []string) (m *spinRBM, source train.Source, be backend.Backend, err error) {
		if path == "" {
			return nil, nil, nil, cli.Usage("--data: want the data whose likelihood to tell")
		}
		switch method {
		case "auto", "exact", "ais", "raise":
		default:
			return nil, nil, nil, cli.Usage("--method %q: want auto, exact, ais, or raise", method)
		}
		c.Seed = o.Seed
		if err := c.Check(); err != nil {
			return nil, nil, nil, err
		}
		m, err = loadAny(cmd, args[0], temperature)
		if err != nil {
			return nil, nil, nil, err
		}
		source, _, err = in.load(cmd, path, o.Seed)
		if err != nil {
			return nil, nil, nil, err
		}
		if err := fits(path, source, m.net); err != nil {
			return nil, nil, nil, err
		}
		terms := train.ExactTerms(m.net)
		if method == "auto" {
			method = "ais"
			if terms <= exactByHand || backend.CheckRBM(m.net) == nil && o.Backend != "ref" && terms <= exactWork {
				method = "exact"
			}
		}
		switch {
		case method == "exact" && math.IsInf(terms, 1):
			return nil, nil, nil, cli.Usage("--method exact: %s; --method ais estimates", train.WantExact(m.net))
		case method == "raise" && backend.CheckRBM(m.net) != nil:
			return nil, nil, nil, cli.Usage("--method raise: %s is not an RBM, want exact or ais", args[0])
		case !train.SumsHidden(m.net):
			return nil, nil, nil, cli.Usage("%s: %d hidden units coupled to each other cannot be summed out, want at most 16", args[0], m.net.Layers[1])
		}
		be, err = openBackend(o)
		return m, source, be, err
	}
	cmd := &cobra.Command{
		Use:   "evaluate MODEL",
		Short: "Log-likelihood of data, exact or estimated from both ends",
		Long: "Mean log-likelihood of a data set, in nats for each configuration.\n" +
			"exact: log Z by summing over all states of the smaller layer; of a machine with couplings inside layers, of\n" +
			"one layer with the other summed out, or of all units.\n" +
			"ais: log Z by annealed importance sampling from a base-rate model (its biases fitted to --base, or the\n" +
			"data), whose likelihood flatters on average, and back from chains of the model, whose likelihood does not\n" +
			"as far as the chains (started from the data, --burn-in sweeps) are samples of it. Trust them where they\n" +
			"agree and ten times the temperatures move neither; ends more than a nat apart, and effective sample\n" +
			"sizes below 10, are warned of.\n" +
			"raise: a likelihood that is too low on average: that of what annealing forward yields.\n" +
			"auto (the default): exact where the smaller layer allows it, else ais.\n" +
			"Under mpirun or srun the processes share the work, with the same result.",
		Example: "  kadanoff evaluate model.safetensors --data t10k-images-idx3-ubyte.gz --threshold 127\n" +
			"  kadanoff evaluate model.safetensors --data test.npy --method ais --temperatures 10000 --chains 1000",
		Args: oneFile("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return cli.OnRanks(cmd, peers, "", func(g comm.Group) error {
				if err := o.Settle(cmd, g); err != nil {
					return err
				}
				m, source, be, err := prepare(cmd, args)
				if err == nil {
					defer be.Close()
				}
				if err := comm.Agree(g, err, func(err error) int { return cli.ExitCode(cmd.Context(), err) }); err != nil {
					return err
				}
				c.Group = g
				in.say(cmd)
				ctx := cmd.Context()
				free, spread, err := train.MeanFreeEnergyOnRanks(ctx, be, m.net, source, g)
				if err != nil {
					return err
				}
				number := func(x float64) *cli.Float { f := cli.Float(x); return &f }
				e := evaluation{
					Method: method, Units: m.units, Rows: source.Rows(), DataError: number(spread),
					Constant: number(m.constant), FieldError: cli.Float(m.net.FieldError),
				}
				if method != "exact" {
					from := source
					if base != "" {
						if from, _, err = in.load(cmd, base, o.Seed); err != nil {
							return err
						}
						if err := fits(base, from, m.net); err != nil {
							return err
						}
					}
					in.say(cmd)
					sums, err := train.Sums(from)
					if err != nil {
						return err
					}
					c.Base = train.BaseRates(sums, from.Rows())
					e.Chains, e.Temperatures = c.Chains, c.Temperatures
					c.Log = func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
				}
				switch method {
				case "exact":
					logZ, err := train.ExactLogZOnRanks(ctx, be, m.net, g, summing(cmd, g))
					if err != nil {
						return err
					}
					e.LogZ, e.LogLikelihood = number(logZ+m.constant), cli.Float(-free-logZ)
				case "ais":
					if c.Start, err = train.Sample(source, c.Chains); err != nil {
						return err
					}
					z, err := train.AnnealedImportance(ctx, be, m.net, c)
					if err != nil {
						return err
					}
					e.BurnIn = c.BurnIn
					e.LogZ, e.LogZReverse = number(z.LogZ+m.constant), number(z.LogZReverse+m.constant)
					e.LogLikelihood, e.LogLikelihoodReverse = cli.Float(-free-z.LogZ), number(-free-z.LogZReverse)
					e.StandardError, e.StandardErrorReverse = number(z.StandardError), number(z.ReverseError)
					e.SampleSize, e.SampleSizeReverse = number(z.SampleSize), number(z.ReverseSampleSize)
					e.Warning = strings.Join(z.Doubts(), "; ")
				case "raise":
					rows, err := train.Sample(source, min(source.Rows(), c.Chains))
					if err != nil {
						return err
					}
					mean, stderr, err := train.Raise(ctx, be, m.net, c, rows)
					if err != nil {
						return err
					}
					e.Rows, e.DataError = rows.Chains, nil
					e.LogLikelihood, e.StandardError = cli.Float(mean), number(stderr)
				}
				if math.IsNaN(float64(e.LogLikelihood)) {
					return cli.Unfinished("%s: the likelihood is not a number", args[0])
				}
				if e.Warning != "" && g.Rank() == 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", e.Warning)
				}
				return o.Print(cmd, e)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&path, "data", "", "data set")
	in.add(cmd)
	f.Float64Var(&temperature, "temperature", 1, machineTemperature)
	f.StringVar(&method, "method", "auto", "auto, exact, ais, or raise")
	f.IntVar(&c.Temperatures, "temperatures", 1000, "points of the path of ais and raise")
	f.IntVar(&c.Chains, "chains", 1000, "chains of ais; configurations of raise")
	f.IntVar(&c.BurnIn, "burn-in", 1000, "sweeps of the model's chains before they are annealed back")
	f.DurationVar(&peers, "peer-timeout", comm.DefaultTimeout, "end with code 75 when the other processes of an mpirun do not answer for so long")
	f.StringVar(&base, "base", "", "data that the base-rate model is fitted to (default the data)")
	return cmd
}

// summing returns what says on stderr, every ten seconds, how far an exact sum
// has come; nil on processes that say nothing.
func summing(cmd *cobra.Command, g comm.Group) func(float64) {
	if g.Rank() > 0 {
		return nil
	}
	began, said := time.Now(), time.Now()
	return func(done float64) {
		if time.Since(said) < 10*time.Second || done <= 0 {
			return
		}
		said = time.Now()
		left := time.Duration(float64(said.Sub(began)) * (1 - done) / done)
		fmt.Fprintf(cmd.ErrOrStderr(), "log Z: %.0f %% of the states, about %v left\n", 100*done, left.Round(time.Second))
	}
}
