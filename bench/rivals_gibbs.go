package bench

import (
	"context"
	"fmt"
	"math"
	"sync"

	"kadanoff/backend"
	"kadanoff/bench/peers"
	"kadanoff/spin"
)

// binaryRBM is an RBM of {0,1} units, as peers have it, and the same one of ±1
// units, as we have it.
type binaryRBM struct {
	visible, hidden int
	w, b, c         []float32
}

// rbm01 returns an RBM with weights within ±w and biases within ±b.
func (r *numbers) rbm01(visible, hidden int, w, b float32) *binaryRBM {
	return &binaryRBM{visible, hidden, r.uniforms(visible*hidden, w), r.uniforms(visible, b), r.uniforms(hidden, b)}
}

// centred moves the biases so that each field of a unit is as often positive as
// negative when the units of the other layer are fair coins.
func (m *binaryRBM) centred() *binaryRBM {
	for i := range m.b {
		for a := range m.c {
			w := m.w[i*m.hidden+a] / 2
			m.b[i] -= w
			m.c[a] -= w
		}
	}
	return m
}

// spins returns the model of ±1 units with the same distribution: W = W₀₁/4,
// b = b₀₁/2 + Σ_a W₀₁/4, c likewise. The sum of its Boltzmann weights is e^shift
// times that of the {0,1} model.
func (m *binaryRBM) spins() (net *spin.Net[float32], shift float64) {
	w, b, c := make([]float32, len(m.w)), make([]float32, m.visible), make([]float32, m.hidden)
	sb, sc := make([]float64, m.visible), make([]float64, m.hidden)
	for i := range sb {
		for a := range sc {
			x := m.w[i*m.hidden+a] / 4
			w[i*m.hidden+a] = x
			sb[i] += float64(x)
			sc[a] += float64(x)
			shift += float64(x)
		}
	}
	for i := range b {
		x := float64(m.b[i])/2 + sb[i]
		b[i] = float32(x)
		shift -= x
	}
	for a := range c {
		x := float64(m.c[a])/2 + sc[a]
		c[a] = float32(x)
		shift -= x
	}
	return spin.RBM(m.visible, m.hidden, w, b, c), shift
}

// put gives the model to the workers, in arrays whose names begin with prefix.
func (m *binaryRBM) put(p *problem, prefix string) {
	p.number("visible", float64(m.visible))
	p.number("hidden", float64(m.hidden))
	put(p, prefix+"w", m.w, m.visible, m.hidden)
	put(p, prefix+"b", m.b, m.visible)
	put(p, prefix+"c", m.c, m.hidden)
}

// gibbsRivalry is block Gibbs sampling.
func gibbsRivalry() Rivalry {
	r := Rivalry{Name: "gibbs", Short: "sweeps v → h → v of RBMs, both layers sampled, random numbers included"}
	for i, c := range gibbsCases[:4] {
		sizes := []Size{Full}
		if i >= 2 {
			sizes = append(sizes, Quick)
		}
		r.Cases = append(r.Cases, RivalCase{
			Name: fmt.Sprintf("gibbs/%dx%dx%d", c.visible, c.hidden, c.chains), Asks: "gibbs", Unit: "sweep", Sizes: sizes,
			Prepare: func(_ context.Context, t *Target, folder string) (*Rival, error) { return c.rival(t, folder) },
		})
	}
	return r
}

// Sweeps of which averages are compared; those of the workers are in
// scripts/moments.py.
const (
	momentBurnIn = 10
	momentSweeps = 40
)

func (c gibbsCase) rival(t *Target, folder string) (*Rival, error) {
	m := newNumbers(51).rbm01(c.visible, c.hidden, 8/rootScale(c.visible), 0.5).centred()
	net, _ := m.spins()
	q, err := spin.Quantize(net)
	if err != nil {
		return nil, err
	}
	p := newProblem(folder, t)
	p.number("chains", float64(c.chains))
	m.put(p, "")
	if p.err != nil {
		return nil, p.err
	}
	work, err := gibbsWork(t, q, c.chains)
	if err != nil {
		return nil, err
	}
	var once sync.Once
	var mean, stderr []float64
	var momentsErr error
	return &Rival{Ours: work, Problem: p.Problem, Compared: "one- and two-point moments",
		Compare: func(ctx context.Context, r *peers.Result) (Result, error) {
			once.Do(func() { mean, stderr, momentsErr = visibleMoments(ctx, t, q, c.chains) })
			if momentsErr != nil {
				return Result{}, momentsErr
			}
			theirs, err := array(r, "mean", len(mean))
			if err != nil {
				return Result{}, err
			}
			errors, err := array(r, "error", len(mean))
			if err != nil {
				return Result{}, err
			}
			cs := make([]comparison, len(mean))
			for i := range cs {
				cs[i] = comparison{exact: mean[i], measured: theirs[i], error: math.Hypot(stderr[i], errors[i]), samples: float64(c.chains)}
			}
			return farthest("", cs, c.chains-1), nil
		}}, nil
}

// visibleMoments returns ⟨v_i⟩ and ⟨v_i v_{i+1}⟩ over sweeps of chains that
// start from fair coins, with standard errors from the spread between chains.
func visibleMoments(ctx context.Context, t *Target, q *spin.Network, chains int) (mean, stderr []float64, err error) {
	s, err := t.Backend.NewSampler(backend.SamplerSpec{Network: q, Chains: chains, Seed: t.Seed})
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	if err := s.Sweep(ctx, momentBurnIn); err != nil {
		return nil, nil, err
	}
	n := q.Layers[0]
	sums := make([]int16, 2*n*chains)
	state := spin.NewBatch(q.Units(), chains)
	for range momentSweeps {
		if err := s.Sweep(ctx, 1); err != nil {
			return nil, nil, err
		}
		if err := s.State(state); err != nil {
			return nil, nil, err
		}
		for i := range n {
			here, next := state.Row(i), state.Row((i+1)%n)
			for c := range chains {
				a, b := here[c/64]>>(c%64)&1, next[c/64]>>(c%64)&1
				sums[i*chains+c] += int16(2*a) - 1
				sums[(n+i)*chains+c] += 1 - int16(2*(a^b))
			}
		}
	}
	mean, stderr = make([]float64, 2*n), make([]float64, 2*n)
	for i := range mean {
		sum, square := 0.0, 0.0
		for _, x := range sums[i*chains : (i+1)*chains] {
			y := float64(x) / momentSweeps
			sum += y
			square += float64(y * y)
		}
		k := float64(chains)
		mean[i] = sum / k
		stderr[i] = math.Sqrt(math.Max(0, square/k-float64(mean[i]*mean[i])) / (k - 1))
	}
	return mean, stderr, nil
}

// binaryOf is the inverse of spins.
func binaryOf(net *spin.Net[float32]) *binaryRBM {
	m := &binaryRBM{visible: net.Layers[0], hidden: net.Layers[1]}
	b, c := make([]float64, m.visible), make([]float64, m.hidden)
	for k, x := range net.Blocks[0].W {
		m.w = append(m.w, 4*x)
		b[k/m.hidden] -= float64(x)
		c[k%m.hidden] -= float64(x)
	}
	for i, x := range b {
		m.b = append(m.b, float32(2*(x+float64(net.Bias[i]))))
	}
	for a, x := range c {
		m.c = append(m.c, float32(2*(x+float64(net.Bias[m.visible+a]))))
	}
	return m
}
