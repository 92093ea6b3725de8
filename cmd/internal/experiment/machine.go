package experiment

import (
	"context"
	"fmt"
	"math"

	"kadanoff/backend"
	"kadanoff/exact"
	"kadanoff/model/modelfile"
	"kadanoff/model/rbm"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// The two kinds of flow through a machine.
const (
	sampled   = "sampled"    // v → h → v, each unit drawn from its conditional probability
	meanField = "mean-field" // eqs 50 and 51: each unit is its conditional mean
)

// bootstraps is the number of replicas that errors come from.
const bootstraps = 200

// estimate is a value with its error.
type estimate struct {
	Value number `json:"value"`
	Error number `json:"error"`
}

// recorded lists the steps after which the flow is looked at: the first ones,
// then further and further apart, and the last.
func recorded(steps int) []int {
	var out []int
	for n := 0; n < steps && (n < 4 || n*5/4 < steps); n = max(n+1, n*3/2) {
		out = append(out, n)
	}
	return append(out, steps)
}

// average returns the mean of independent numbers with its standard error.
func average(x []float64) estimate {
	var mean, square float64
	for i, v := range x {
		d := v - mean
		mean += d / float64(i+1)
		square += float64(d * (v - mean))
	}
	n := float64(len(x))
	return estimate{number(mean), number(math.Sqrt(square / (n - 1) / n))}
}

// load reads a trained machine, as ±1 weights and as a job of the backend.
func load(path string, visible, hidden int) (*spin.Network, *rbm.RBM, error) {
	file, err := modelfile.Load(path)
	if err != nil {
		return nil, nil, err
	}
	if file.RBM == nil || file.RBM.Visible != visible || file.RBM.Hidden != hidden {
		return nil, nil, fmt.Errorf("%s: not the machine that was trained", path)
	}
	r, _, err := file.RBM.Spin()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	q, err := quantize(r)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return q, r, nil
}

func quantize(r *rbm.RBM) (*spin.Network, error) {
	return spin.Quantize(spin.RBM(r.Visible, r.Hidden, r.W, r.B, r.C))
}

// Exact returns a machine with its parameters in float64, for sums over all of
// its states.
func Exact(r *rbm.RBM) exact.RBM {
	e := exact.RBM{Visible: r.Visible, Hidden: r.Hidden}
	for _, part := range []struct {
		to   *[]float64
		from []float32
	}{{&e.W, r.W}, {&e.B, r.B}, {&e.C, r.C}} {
		for _, x := range part.from {
			*part.to = append(*part.to, float64(x))
		}
	}
	return e
}

// stepper returns a function that takes configurations, [chain][site], one step
// of a flow further.
func stepper(be backend.Backend, network *spin.Network, kind string, seed uint64, x []float64) (next func(context.Context) error, closing func(), err error) {
	sites := network.Layers[0]
	chains := len(x) / sites
	if kind == meanField {
		return func(ctx context.Context) error {
			return be.Means(ctx, backend.MeansJob{Network: network, Chains: chains, Steps: 1, Visible: x})
		}, func() {}, nil
	}
	s, err := be.NewSampler(backend.SamplerSpec{Network: network, Chains: chains, Seed: seed, Stream: philox.Gibbs})
	if err != nil {
		return nil, nil, err
	}
	// The hidden units are drawn first: what they are here is of no account.
	state := spin.NewBatch(network.Units(), chains)
	for c := range chains {
		for i := range sites {
			state.Set(i, c, x[c*sites+i] > 0)
		}
	}
	if err := s.SetState(state); err != nil {
		s.Close()
		return nil, nil, err
	}
	return func(ctx context.Context) error {
		if err := s.Sweep(ctx, 1); err != nil {
			return err
		}
		if err := s.State(state); err != nil {
			return err
		}
		for c := range chains {
			for i := range sites {
				x[c*sites+i] = float64(state.Spin(i, c))
			}
		}
		return nil
	}, func() { s.Close() }, nil
}
