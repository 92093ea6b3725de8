package bench

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync"

	"kadanoff/bench/digits"
	"kadanoff/model/modelfile"
	"kadanoff/spin"
)

// trainedDigits is the machine of package digits, trained elsewhere, converted
// from {0,1} to ±1 as any model file is.
func trainedDigits() (*spin.Net[float32], error) {
	return modelNet(&modelfile.Model{RBM: digits.Model()}, digits.Name)
}

// modelNet returns the RBM in a model file in ±1 units.
func modelNet(m *modelfile.Model, file string) (*spin.Net[float32], error) {
	if m.RBM == nil {
		return nil, fmt.Errorf("%s: a Boltzmann machine, want an RBM with W, b and c", file)
	}
	r, _, err := m.RBM.Spin()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return spin.RBM(r.Visible, r.Hidden, r.W, r.B, r.C), nil
}

// Model is a user's RBM with its checks and its speed.
type Model struct {
	Visible, Hidden int
	// NotEnumerated says why its distribution is not checked, only its
	// conditional probabilities; empty if it is.
	NotEnumerated string
	// Network is the machine in fixed point, with what rounding changed.
	Network *spin.Network

	coins struct { // the conditional means, which all targets are held against
		sync.Mutex
		exact *coinMeans
	}
}

// mostReference is the largest number of couplings of a machine that the
// reference backend is given: it keeps a list of sixteen bytes for each, twice.
const mostReference = 1 << 22

// LoadModel reads an RBM from a safetensors or npz file.
func LoadModel(ctx context.Context, file string) (*Model, error) {
	m, err := modelfile.LoadContext(ctx, file)
	if err != nil {
		return nil, err
	}
	n, err := modelNet(m, file)
	if err != nil {
		return nil, err
	}
	q, err := spin.QuantizeContext(ctx, n)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	m, n = nil, nil
	if q.Stored(0) > mostReference {
		debug.FreeOSMemory() // of the weights in floating point
	}
	visible, hidden := q.Layers[0], q.Layers[1]
	return &Model{Visible: visible, Hidden: hidden, NotEnumerated: tooLarge(visible, hidden), Network: q}, nil
}

// Chains of a trained machine start from exact draws, since such machines leave
// their modes slowly, and run from there for a while, so that an error of a
// conditional probability has time to show.
const (
	modelBurnIn = 20
	modelStride = 5
)

// Area returns the checks of the model and its speed with the given number of
// chains. Its distribution is compared with enumeration where that is
// possible. The reference backend does not take part in what would take it
// minutes.
func (m *Model) Area(chains int) Area {
	a := Area{Name: "gibbs", Short: "block Gibbs sampling of a model"}
	if m.NotEnumerated == "" {
		a.Checks = append(a.Checks, machine{
			name: "model", network: func() (*spin.Network, error) { return m.Network, nil },
			temperature: 1, burnIn: modelBurnIn, stride: modelStride, exactStart: true,
		}.check())
	}
	a.Checks = append(a.Checks, Check{Name: "gibbs/model-conditionals", Run: m.conditionals})
	a.Benchmarks = []Benchmark{{
		Name: fmt.Sprintf("gibbs/model-%dx%dx%d", m.Visible, m.Hidden, chains),
		Unit: "connections/s",
		Prepare: func(_ context.Context, t *Target) (*Work, error) {
			return gibbsWork(t, m.Network, chains)
		},
	}}
	return a
}

// conditionals checks the conditional probabilities of the hidden units for
// random visible states, fewer where the machine is large.
func (m *Model) conditionals(ctx context.Context, t *Target) ([]Result, error) {
	const most = 1 << 28 // products of a weight and a spin
	if t.Name == "ref" && m.Visible*m.Hidden > mostReference {
		return nil, nil
	}
	chains := 1024
	for chains > 64 && m.Visible*m.Hidden*chains > most {
		chains /= 2
	}
	sweeps := t.sample(8)
	for sweeps > 2 && m.Hidden*m.Hidden*chains*sweeps/64 > most {
		sweeps /= 2
	}
	j := &conditionals{network: m.Network, patterns: newNumbers(31).coins(m.Visible, chains), sweeps: sweeps}
	for c := range chains {
		j.temperatures = append(j.temperatures, math.Ldexp(1, c%3))
	}
	// The means are the same for all targets: whoever comes first makes them.
	m.coins.Lock()
	var err error
	if m.coins.exact == nil {
		m.coins.exact, err = j.means(ctx)
	}
	j.exact = m.coins.exact
	m.coins.Unlock()
	if err != nil {
		return nil, err
	}
	return j.run(ctx, t, "gibbs/model-conditionals")
}

// digitsMachine is the embedded machine as one that is sampled and enumerated.
func digitsMachine() machine {
	network := sync.OnceValues(func() (*spin.Network, error) {
		n, err := trainedDigits()
		if err != nil {
			return nil, err
		}
		return spin.Quantize(n)
	})
	return machine{name: "digits-64x16", network: network, temperature: 1, burnIn: modelBurnIn, stride: modelStride, exactStart: true}
}
