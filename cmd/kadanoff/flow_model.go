package main

import (
	"math"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/data"
	"kadanoff/model/npy"
)

// modelFlow is the flow of real configurations through a trained machine.
type modelFlow struct {
	model, data, out string
	threshold        float64
	steps            int
}

type modelFlowResult struct {
	Visible int             `json:"visible"`
	Hidden  int             `json:"hidden"`
	Rows    int             `json:"rows"`
	Flow    []modelFlowStep `json:"flow"`
}

type modelFlowStep struct {
	Step   int        `json:"step"`
	M      cli.Float  `json:"m"`
	Mean   cli.Float  `json:"mean"`
	Change *cli.Float `json:"change,omitempty"` // none before the first step
}

// flowBatch is how many configurations flow at a time: it bounds memory, and
// the sums over configurations are taken in their order whatever it is.
const flowBatch = 1024

func (f *modelFlow) run(cmd *cobra.Command, o *cli.Options) (*modelFlowResult, error) {
	for _, name := range []string{"visible", "hidden", "w", "m0"} {
		if cmd.Flags().Changed(name) {
			return nil, cli.Usage("--%s does not go with --model and --data", name)
		}
	}
	if err := requireGiven(cmd, "model", "data"); err != nil {
		return nil, err
	}
	if err := requireFinite(cmd, "threshold"); err != nil {
		return nil, err
	}
	if err := requireSteps(f.steps); err != nil {
		return nil, err
	}
	m, err := loadRBM(cmd, f.model, 1)
	if err != nil {
		return nil, err
	}
	network := m.net
	read := data.Options{Context: cmd.Context()}
	if cmd.Flags().Changed("threshold") {
		read.Threshold = &f.threshold
	}
	set, err := data.Load(f.data, read)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	visible := network.Layers[0]
	if set.Width() != visible {
		return nil, cli.Usage("%s: rows of %d units, want the %d visible ones of %s", f.data, set.Width(), visible, f.model)
	}
	b, err := openBackend(o)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var out *npy.Writer[float64]
	if f.out != "" {
		if out, err = npy.Create[float64](f.out, set.Rows(), visible); err != nil {
			return nil, err
		}
		defer out.Abort()
	}
	sums := make([]flowSums, f.steps+1)
	for first := 0; first < set.Rows(); first += flowBatch {
		n := min(flowBatch, set.Rows()-first)
		v, err := unpack(set, first, n)
		if err != nil {
			return nil, err
		}
		sums[0].add(v, v, visible)
		before := make([]float64, len(v))
		for step := 1; step <= f.steps; step++ {
			copy(before, v)
			job := backend.MeansJob{Network: network, Chains: n, Steps: 1, Visible: v}
			if err := b.Means(cmd.Context(), job); err != nil {
				return nil, err
			}
			sums[step].add(v, before, visible)
		}
		if out != nil {
			if err := out.Write(v); err != nil {
				return nil, err
			}
		}
	}
	if out != nil {
		if err := out.Commit(); err != nil {
			return nil, err
		}
	}
	result := &modelFlowResult{Visible: visible, Hidden: network.Layers[1], Rows: set.Rows()}
	for step, s := range sums {
		result.Flow = append(result.Flow, s.row(step, set.Rows(), visible))
	}
	return result, nil
}

// unpack returns n rows of a set as ±1.
func unpack(set *data.Set, first, n int) ([]float64, error) {
	spins := make([]int8, set.Width())
	v := make([]float64, 0, n*set.Width())
	for i := range n {
		if err := set.Spins(first+i, spins); err != nil {
			return nil, err
		}
		for _, s := range spins {
			v = append(v, float64(s))
		}
	}
	return v, nil
}

// flowSums are sums over configurations at one step.
type flowSums struct{ abs, signed, square float64 }

func (s *flowSums) add(v, before []float64, width int) {
	for row := 0; row < len(v); row += width {
		sum, square := 0., 0.
		for i := row; i < row+width; i++ {
			sum += v[i]
			d := v[i] - before[i]
			square += float64(d * d)
		}
		s.abs += math.Abs(sum)
		s.signed += sum
		s.square += square
	}
}

func (s *flowSums) row(step, rows, width int) modelFlowStep {
	n := float64(rows) * float64(width)
	r := modelFlowStep{Step: step, M: cli.Float(s.abs / n), Mean: cli.Float(s.signed / n)}
	if step > 0 {
		change := cli.Float(math.Sqrt(s.square / n))
		r.Change = &change
	}
	return r
}
