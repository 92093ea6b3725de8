package main

import (
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/neuron"
	"kadanoff/model/npy"
)

func init() { register(newNeuron) }

// neuronResult is what a neuron has learnt.
type neuronResult struct {
	Samples int `json:"samples"`
	Inputs  int `json:"inputs"`
	// Weights has an entry for each input.
	Weights  []cli.Float `json:"weights"`
	Bias     cli.Float   `json:"bias"`
	Loss     cli.Float   `json:"loss"` // in nats, summed over the samples
	Accuracy cli.Float   `json:"accuracy"`
	// GradientDifference is the largest between the gradient by hand and that
	// by automatic differentiation, in the end.
	GradientDifference cli.Float      `json:"gradient_difference"`
	Learning           []neuronStep   `json:"learning"`
	Activities         []neuronSample `json:"activities,omitempty"`
}

type neuronStep struct {
	Step int       `json:"step"`
	Loss cli.Float `json:"loss"`
}

type neuronSample struct {
	X []cli.Float `json:"x"`
	T cli.Float   `json:"t"`
	Y cli.Float   `json:"y"`
}

const (
	neuronRows    = 20 // of the table of learning, beside the start
	neuronSamples = 16 // sets up to that size are shown sample by sample
)

// gates are the targets of the inputs 00, 01, 10 and 11.
var gates = map[string][]float64{"and": {0, 0, 0, 1}, "or": {0, 1, 1, 1}, "xor": {0, 1, 1, 0}}

func newNeuron(o *cli.Options) *cobra.Command {
	var gate string
	learning := neuron.Learning{}
	cmd := &cobra.Command{
		Use:   "neuron [DATA]",
		Short: "Teach a single neuron",
		Long: "Teaches a sigmoid neuron y = σ(Σ w x + bias) by gradient descent on the log loss of all samples, from\n" +
			"w = 0. DATA is an .npy array [samples, inputs + 1], targets 0 or 1 in the last column; without it the\n" +
			"neuron learns a logical gate: and, or, or xor, which no single neuron can.\n" +
			"gradient_difference compares the gradient by hand with automatic differentiation.",
		Example: "  kadanoff neuron --gate or --steps 200 --rate 1\n  kadanoff neuron points.npy --rate 0.01 --decay 0.1",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usage("%s takes at most one file of samples, got %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := requireSteps(learning.Steps); err != nil {
				return err
			}
			if !(learning.Rate > 0) || math.IsInf(learning.Rate, 0) {
				return cli.Usage("--rate %v: want a finite number above 0", learning.Rate)
			}
			if !(learning.Decay >= 0) || math.IsInf(learning.Decay, 0) {
				return cli.Usage("--decay %v: want a finite number of 0 or more", learning.Decay)
			}
			var set *neuron.Set
			if len(args) == 1 {
				if cmd.Flags().Changed("gate") {
					return cli.Usage("--gate %s: goes without a file of samples", gate)
				}
				var err error
				if set, err = loadSamples(args[0]); err != nil {
					return err
				}
			} else {
				t, ok := gates[gate]
				if !ok {
					return cli.Usage("--gate %q: want and, or, or xor", gate)
				}
				set = &neuron.Set{Inputs: 2, X: []float64{0, 0, 0, 1, 1, 0, 1, 1}, T: t}
			}
			result, err := teach(set, learning)
			if err != nil {
				return err
			}
			return o.Print(cmd, result)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&gate, "gate", "or", "and, or, or xor")
	f.IntVar(&learning.Steps, "steps", 1000, "steps of gradient descent")
	f.Float64Var(&learning.Rate, "rate", 0.5, "learning rate, for the gradient summed over the samples")
	f.Float64Var(&learning.Decay, "decay", 0, "weight decay: inverse variance of a Gaussian prior of the weights")
	return cmd
}

// loadSamples reads [samples, inputs + 1] numbers.
func loadSamples(path string) (*neuron.Set, error) {
	r, err := npy.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if len(r.Shape) != 2 || r.Shape[1] < 2 {
		return nil, cli.Usage("%s: shape %v, want [samples, inputs + 1] with the targets in the last column", path, r.Shape)
	}
	list, err := r.All()
	if err != nil {
		return nil, err
	}
	s := &neuron.Set{Inputs: r.Shape[1] - 1}
	for i := range r.Shape[0] {
		row := list[i*r.Shape[1] : (i+1)*r.Shape[1]]
		s.X = append(s.X, row[:s.Inputs]...)
		s.T = append(s.T, row[s.Inputs])
	}
	if err := s.Check(); err != nil {
		return nil, cli.Usage("%s: %w", path, err)
	}
	return s, nil
}

// teach runs the descent and compares the gradients at its end.
func teach(set *neuron.Set, l neuron.Learning) (*neuronResult, error) {
	n := neuron.New(set.Inputs)
	r := &neuronResult{Samples: set.Samples(), Inputs: set.Inputs}
	every := max(1, (l.Steps+neuronRows-1)/neuronRows)
	err := n.Learn(set, l, func(step int, loss float64) {
		if step%every == 0 || step == l.Steps {
			r.Learning = append(r.Learning, neuronStep{step, cli.Float(loss)})
		}
		r.Loss = cli.Float(loss)
	})
	if err != nil {
		return nil, cli.Unfinished("--rate %v: %w", l.Rate, err)
	}
	hand, auto := make([]float64, set.Inputs), make([]float64, set.Inputs)
	bias := n.Gradient(hand, set)
	autoBias, err := n.AutoGradient(auto, set)
	if err != nil {
		return nil, fmt.Errorf("automatic differentiation: %w", err)
	}
	difference := math.Abs(bias - autoBias)
	for i, w := range n.W {
		r.Weights = append(r.Weights, cli.Float(w))
		difference = math.Max(difference, math.Abs(hand[i]-auto[i]))
	}
	r.Bias, r.GradientDifference, r.Accuracy = cli.Float(n.Bias), cli.Float(difference), cli.Float(n.Accuracy(set))
	if set.Samples() <= neuronSamples {
		for i, t := range set.T {
			row := neuronSample{T: cli.Float(t), Y: cli.Float(n.Activity(set.Row(i)))}
			for _, x := range set.Row(i) {
				row.X = append(row.X, cli.Float(x))
			}
			r.Activities = append(r.Activities, row)
		}
	}
	return r, nil
}
