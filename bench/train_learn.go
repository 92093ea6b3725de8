package bench

import (
	"context"
	"fmt"
	"math"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// learningChecks follow training to where it must come to.
func learningChecks() []Check {
	checks := []Check{{Name: "train/gradient-5x3", Run: expectedGradient}}
	for _, r := range restCases {
		checks = append(checks, Check{
			Name: "train/ring-8x4/" + r.name,
			Run:  func(ctx context.Context, t *Target) ([]Result, error) { return comesToRest(ctx, t, &r) },
		})
	}
	for _, g := range []spinGraph{ringGraph(6, 0.7), torusGraph(3, 0.3)} {
		checks = append(checks, Check{
			Name: "train/kl-" + g.name,
			Run:  func(ctx context.Context, t *Target) ([]Result, error) { return learnsGraph(ctx, t, &g) },
		})
	}
	return checks
}

// restCase is where training one weight on a ring of 8 spins at K = 1 with 4
// hidden units comes to rest.
type restCase struct {
	name      string
	algorithm backend.Algorithm
	k         int
	w         float64 // exact: W(K) or the fixed point of CD-k
}

var restCases = []restCase{
	{"cd-1", backend.CD, 1, ringW[1]},
	{"pcd-2", backend.PCD, 2, 0.30630832981152307109},
}

// restParts is the number of parts of a run at rest whose means are compared
// for its error.
const restParts = 32

// comesToRest trains from W = 1/4 on with a constant rate, and compares the mean
// of W over the steps after it has come to rest.
func comesToRest(ctx context.Context, t *Target, r *restCase) ([]Result, error) {
	const batch, before = 1024, 10
	model := spin.RBM(8, 4, make([]float32, 32), make([]float32, 8), make([]float32, 4))
	for i := range model.Blocks[0].W {
		model.Blocks[0].W[i] = 0.25
	}
	spec := backend.TrainerSpec{Model: model, Algorithm: r.algorithm, K: r.k, Seed: t.Seed, Tied: true}
	if r.algorithm != backend.CD {
		spec.Chains = batch
	}
	tr, err := t.Backend.NewTrainer(spec)
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	var state backend.TrainerState
	sum, square, each := 0.0, 0.0, t.sample(3)
	for step, part := 0, 0.0; step < before+restParts*each; step++ {
		if err := tr.Gather(ctx, backend.TrainingBatch{Data: ringBatch(t.Seed, batch, step)}); err != nil {
			return nil, err
		}
		if err := tr.Update(backend.Update{WeightRate: 0.5}); err != nil {
			return nil, err
		}
		if step < before {
			continue
		}
		if err := tr.Save(&state); err != nil {
			return nil, err
		}
		part += float64(state.Model.Blocks[0].W[0]) / float64(each)
		if (step-before)%each == each-1 {
			sum += part
			square += float64(part * part)
			part = 0
		}
	}
	mean := sum / restParts
	stderr := math.Sqrt(math.Max(0, square/restParts-float64(mean*mean)) / (restParts - 1))
	return []Result{{
		Name: "train/ring-8x4/" + r.name + "/w", Exact: r.w, Measured: mean, Error: stderr, Limit: errorsAllowed(1, restParts-1) * stderr,
	}}, nil
}

// expectedGradient compares the gradient of an RBM, on average over steps that
// leave it as it is, with the sum over all states (eqs 23 and 24).
func expectedGradient(ctx context.Context, t *Target) ([]Result, error) {
	const v, h, chains = 5, 3, 256
	model := spin.RBM(v, h, make([]float32, v*h), make([]float32, v), make([]float32, h))
	for i := range model.Blocks[0].W {
		model.Blocks[0].W[i] = float32(i%7-3) / 8
	}
	for i := range model.Bias {
		model.Bias[i] = float32(i%3-1) / 8
	}
	// Ten rows, of no symmetry, over and over.
	data := spin.NewBatch(v, 200)
	p := make([]float64, 1<<v)
	for c := range data.Chains {
		s := c % 10 * 7 % 32
		p[s] += 1 / float64(data.Chains)
		for i := range v {
			data.Set(i, c, s>>i&1 != 0)
		}
	}
	exact := pairMoments(model, p)
	for i, x := range pairMoments(model, modelMarginal(model)) {
		exact[i] -= x
	}
	tr, err := t.Backend.NewTrainer(backend.TrainerSpec{Model: model, Algorithm: backend.PCD, K: 10, Seed: t.Seed, Chains: chains})
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	var stats backend.Statistics
	n := t.sample(60)
	sum, square := make([]float64, v*h), make([]float64, v*h)
	for step := range n + 2 {
		if err := tr.Gather(ctx, backend.TrainingBatch{Data: data}); err != nil {
			return nil, err
		}
		if err := tr.Statistics(&stats); err != nil {
			return nil, err
		}
		if err := tr.Update(backend.Update{}); err != nil {
			return nil, err
		}
		if step < 2 {
			continue // the chains come to rest
		}
		for i, x := range stats.Pairs {
			g := float64(x) * stats.PairFactor()
			sum[i] += g
			square[i] += float64(g * g)
		}
	}
	var cs []comparison
	for i, x := range exact {
		mean := sum[i] / float64(n)
		variance := math.Max(0, square[i]/float64(n)-float64(mean*mean))
		cs = append(cs, comparison{exact: x, measured: mean, error: math.Sqrt(variance / float64(n-1)), samples: float64(n * chains)})
	}
	return []Result{farthest("train/gradient-5x3/pairs", cs, n-1)}, nil
}

// visibleWeights returns e^(−F(v)) of all visible states of an RBM.
func visibleWeights(m *spin.Net[float32]) []float64 {
	v, h, w := m.Layers[0], m.Layers[1], m.Blocks[0].W
	out := make([]float64, 1<<v)
	for s := range out {
		e := 0.0
		for i := range v {
			e += float64(float64(m.Bias[i]) * spinOf(s, i))
		}
		for a := range h {
			e += math.Log(2 * math.Cosh(hiddenField(m, w, s, a)))
		}
		out[s] = math.Exp(e)
	}
	return out
}

func spinOf(state, i int) float64 { return float64(state>>i&1)*2 - 1 }

// hiddenField returns the field of hidden unit a given a visible state.
func hiddenField(m *spin.Net[float32], w []float32, state, a int) float64 {
	v, h := m.Layers[0], m.Layers[1]
	f := float64(m.Bias[v+a])
	for i := range v {
		f += float64(float64(w[i*h+a]) * spinOf(state, i))
	}
	return f
}

// modelMarginal returns the probabilities of the visible states.
func modelMarginal(m *spin.Net[float32]) []float64 {
	p, z := visibleWeights(m), 0.0
	for _, x := range p {
		z += x
	}
	for s := range p {
		p[s] /= z
	}
	return p
}

// pairMoments returns ⟨v_i h_a⟩ with visible states of probabilities p and the
// hidden units that the model gives them.
func pairMoments(m *spin.Net[float32], p []float64) []float64 {
	v, h := m.Layers[0], m.Layers[1]
	out := make([]float64, v*h)
	for s, x := range p {
		for a := range h {
			mean := math.Tanh(hiddenField(m, m.Blocks[0].W, s, a))
			for i := range v {
				out[i*h+a] += float64(float64(x*spinOf(s, i)) * mean)
			}
		}
	}
	return out
}

// spinGraph is an Ising model small enough to count its states.
type spinGraph struct {
	name     string
	spins    int
	bonds    [][2]int
	coupling float64
}

func ringGraph(n int, coupling float64) spinGraph {
	g := spinGraph{name: fmt.Sprintf("ring-%d", n), spins: n, coupling: coupling}
	for i := range n {
		g.bonds = append(g.bonds, [2]int{i, (i + 1) % n})
	}
	return g
}

func torusGraph(l int, coupling float64) spinGraph {
	g := spinGraph{name: fmt.Sprintf("torus-%dx%d", l, l), spins: l * l, coupling: coupling}
	for y := range l {
		for x := range l {
			g.bonds = append(g.bonds, [2]int{y*l + x, y*l + (x+1)%l}, [2]int{y*l + x, (y+1)%l*l + x})
		}
	}
	return g
}

// probabilities returns those of all states.
func (g *spinGraph) probabilities() []float64 {
	p, z := make([]float64, 1<<g.spins), 0.0
	for s := range p {
		e := 0.0
		for _, b := range g.bonds {
			e += float64(float64(g.coupling*spinOf(s, b[0])) * spinOf(s, b[1]))
		}
		p[s] = math.Exp(e)
		z += p[s]
	}
	for s := range p {
		p[s] /= z
	}
	return p
}

// divergence returns KL(p ‖ q) in nats.
func divergence(p, q []float64) float64 {
	kl := 0.0
	for s, x := range p {
		if x > 0 {
			kl += float64(x * math.Log(x/q[s]))
		}
	}
	return kl
}

// How learnsGraph trains, and how far from the optimum, in nats, it may end.
const (
	graphSteps = 240
	graphBatch = 512
	graphLimit = 0.01 // the noise of the last steps leaves a half of it
)

// learnsGraph trains an RBM with a hidden unit for each bond, which can be the
// Ising model exactly: 2cosh(w(s+s′)) is e^(Kss′) up to a factor where
// cosh 2w = e^(2K). It starts with half of that w and noise, and must come to
// KL = 0.
//
// One chain at a time, 18 hidden units take longer than they tell: the digests
// say that the bits are those of the vector units.
func learnsGraph(ctx context.Context, t *Target, g *spinGraph) ([]Result, error) {
	if t.scalar() && len(g.bonds) > 8 {
		return nil, nil
	}
	p := g.probabilities()
	v, h := g.spins, len(g.bonds)
	model := spin.RBM(v, h, make([]float32, v*h), make([]float32, v), make([]float32, h))
	noise := newNumbers(33)
	for i := range model.Blocks[0].W {
		model.Blocks[0].W[i] = noise.uniform(0.1)
	}
	w := float32(math.Acosh(math.Exp(2*g.coupling)) / 2)
	for a, b := range g.bonds {
		model.Blocks[0].W[b[0]*h+a] += w / 2
		model.Blocks[0].W[b[1]*h+a] += w / 2
	}
	if start := divergence(p, modelMarginal(model)); start < 50*graphLimit {
		return nil, fmt.Errorf("%s begins at KL = %v, too near to what it shall reach", g.name, start)
	}
	tr, err := t.Backend.NewTrainer(backend.TrainerSpec{Model: model, Algorithm: backend.PCD, K: 2, Seed: t.Seed, Chains: graphBatch})
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	upTo, sum := make([]float64, len(p)), 0.0
	for s, x := range p {
		sum += x
		upTo[s] = sum
	}
	data := spin.NewBatch(v, graphBatch)
	for step := range graphSteps {
		for c := range graphBatch {
			u := math.Ldexp(float64(philox.Draw(philox.NewKey(t.Seed), philox.Shuffle, uint32(c), 0, uint64(step))), -32)
			s := 0
			for s+1 < len(upTo) && upTo[s] < u {
				s++
			}
			for i := range v {
				data.Set(i, c, s>>i&1 != 0)
			}
		}
		if err := tr.Gather(ctx, backend.TrainingBatch{Data: data}); err != nil {
			return nil, err
		}
		rate := 0.3 * (1 - float64(step)/graphSteps)
		if err := tr.Update(backend.Update{WeightRate: rate, BiasRate: rate}); err != nil {
			return nil, err
		}
	}
	var state backend.TrainerState
	if err := tr.Save(&state); err != nil {
		return nil, err
	}
	end := divergence(p, modelMarginal(state.Model))
	return []Result{{Name: "train/kl-" + g.name + "/kl", Measured: end, Limit: graphLimit, Unit: "nats"}}, nil
}
