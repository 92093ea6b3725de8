package reproduce

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/optimize"

	"kadanoff/cmd/internal/experiment"
	"kadanoff/exact"
	"kadanoff/model/rg"
	"kadanoff/report"
)

// fit minimises the divergence from q over all weights, biases kept at 0, and
// returns the machine and the divergence after each iteration.
func fit(start exact.RBM, q []float64) (exact.RBM, []float64, error) {
	machine := func(w []float64) exact.RBM {
		r := start
		r.W = w
		return r
	}
	problem := optimize.Problem{
		Func: func(w []float64) float64 {
			kl, _, err := machine(w).Divergence(q)
			if err != nil {
				return math.NaN()
			}
			return kl
		},
		Grad: func(grad, w []float64) {
			_, g, _ := machine(w).Divergence(q) // Func has found no error
			copy(grad, g.W)
		},
	}
	var trace recorder
	result, err := optimize.Minimize(problem, start.W, &optimize.Settings{
		GradientThreshold: 1e-8, MajorIterations: 400, Recorder: &trace,
		Converger: &optimize.FunctionConverge{Absolute: 1e-13, Iterations: 60},
	}, &optimize.BFGS{})
	if result == nil {
		return exact.RBM{}, nil, fmt.Errorf("fitting full weights: %w", err)
	}
	// A search that can go no lower in float64 ends with an error of the line
	// search; its last point is the minimum.
	if math.IsNaN(result.F) {
		return exact.RBM{}, nil, errors.New("fitting full weights: the divergence is not a number")
	}
	return machine(result.X), trace.kl, nil
}

// recorder keeps the divergence after each major iteration.
type recorder struct{ kl []float64 }

// Init implements optimize.Recorder.
func (r *recorder) Init() error { return nil }

// Record implements optimize.Recorder.
func (r *recorder) Record(l *optimize.Location, op optimize.Operation, _ *optimize.Stats) error {
	if op == optimize.MajorIteration || op == optimize.InitIteration {
		r.kl = append(r.kl, l.F)
	}
	return nil
}

func uniformMachine(m, n int, w float64) exact.RBM {
	r := exact.RBM{Visible: m, Hidden: n, W: make([]float64, m*n), B: make([]float64, m), C: make([]float64, n)}
	for i := range r.W {
		r.W[i] = w
	}
	return r
}

// fullWeights shows what uniform weights cannot do and full weights can.
func fullWeights(b *builder) error {
	const m, k = 8, 1.
	d, err := exact.RingDensity(m)
	if err != nil {
		return err
	}
	q, err := exact.RingStates(m, k)
	if err != nil {
		return err
	}
	ring, err := exact.NewRing(m, k)
	if err != nil {
		return err
	}
	t := table{Name: "full-weights", Caption: "Divergence from the ring, M = 8, K = 1, in nats: the best uniform weights, and the best of several searches over all weights from near them.",
		Columns: []string{"N", "uniform W", "KL uniform", "KL full"}}
	descent := report.Plot{X: "iteration", Y: "KL (nats)", LogY: true, Legend: report.BottomLeft, YRange: [2]float64{1e-9, 2}}
	var best exact.RBM
	var apart, left float64
	hidden := []int{1, 2, 3, 4}
	for i, n := range hidden {
		w, err := solve(d, n, k)
		if err != nil {
			return err
		}
		uniform, err := exact.UniformRBM{M: m, N: n, W: w}.KLFromRing(k)
		if err != nil {
			return err
		}
		searches := make([]exact.RBM, b.pick(8, 3))
		traces := make([][]float64, len(searches))
		if err := b.each(len(searches), func(s int) (err error) {
			// A little noise on the uniform weights breaks their symmetry.
			rng := rand.New(rand.NewPCG(b.Seed, uint64(100*n+s)))
			start := uniformMachine(m, n, w)
			for j := range start.W {
				start.W[j] += 0.02 * rng.NormFloat64()
			}
			searches[s], traces[s], err = fit(start, q)
			return err
		}); err != nil {
			return err
		}
		least, at := math.Inf(1), 0
		for s, trace := range traces {
			if kl := trace[len(trace)-1]; kl < least {
				least, at = kl, s
			}
		}
		if n == 4 {
			best, apart, left = searches[at], uniform, least
		}
		x := linear(0, float64(len(traces[at])-1), max(2, len(traces[at])))
		descent.Series = append(descent.Series, report.Series{Name: fmt.Sprintf("N = %d", n), X: x[:len(traces[at])], Y: traces[at], Color: i})
		t.Rows = append(t.Rows, []any{n, w, uniform, least})
	}

	w, err := solve(d, 4, k)
	if err != nil {
		return err
	}
	full, err := best.Moments()
	if err != nil {
		return err
	}
	pair := exact.UniformRBM{M: m, N: 4, W: w}.PairCorrelation()
	correlations := table{Name: "pair-correlations", Caption: "Pair correlations ⟨s_i s_j⟩ at distance |i − j| on the ring and in the two RBMs, M = 8, N = 4, K = 1; for the full weights the mean over all pairs.",
		Columns: []string{"distance", "ring", "uniform RBM", "full-weight RBM"}}
	var x, onRing, flat, fitted []float64
	for distance := 1; distance <= m/2; distance++ {
		sum := 0.
		for i := range m {
			sum += full.VV[i*m+(i+distance)%m] / m
		}
		x, onRing = append(x, float64(distance)), append(onRing, ring.Correlation(distance))
		flat, fitted = append(flat, pair), append(fitted, sum)
		correlations.Rows = append(correlations.Rows, []any{distance, ring.Correlation(distance), pair, sum})
	}

	machines := table{Name: "exact-machines", Caption: "Two machines whose visible layer is the ring, up to the float32 of their weights: a hidden unit on each bond (N = M), and one copying each second spin (N = M/2, weights K, w, K) as w grows.",
		Columns: []string{"machine", "N", "weight", "KL (nats)"}}
	bond, err := rg.BondRBM(m, k)
	if err != nil {
		return err
	}
	kl, _, err := experiment.Exact(bond).Divergence(q)
	if err != nil {
		return err
	}
	bondWeight, err := rg.BondWeight(k)
	if err != nil {
		return err
	}
	machines.Rows = append(machines.Rows, []any{"on bonds", m, bondWeight, kl})
	for _, w := range []float64{1, 2, 3, 6, 12} {
		r, err := rg.SublatticeRBM(m, k, w)
		if err != nil {
			return err
		}
		kl, _, err := experiment.Exact(r).Divergence(q)
		if err != nil {
			return err
		}
		machines.Rows = append(machines.Rows, []any{"sublattice", m / 2, w, kl})
	}
	b.Section("What uniform weights cannot do",
		fmt.Sprintf("A uniform RBM gives all pairs one correlation, whatever their distance, and stays %.5f nats from the ring at M = 8, N = 4, K = 1. "+
			"Uniform weights are a stationary point but no minimum: a little noise on them breaks the symmetry, and with four hidden units the divergence falls to %.0e.", apart, left),
		[]report.Figure{
			{Name: "pair-correlations", Caption: "Pair correlations against distance, K = 1, M = 8, N = 4.", Height: 250, Panels: []report.Plot{{
				X: "distance", Y: "correlation", YRange: [2]float64{0.5, 0.9}, Legend: report.TopRight, Series: []report.Series{
					{Name: "ring", X: x, Y: onRing, Style: report.LinePoints, Size: 4.5},
					{Name: "uniform RBM", X: x, Y: flat, Style: report.LinePoints, Color: 1},
					{Name: "full weights", X: x, Y: fitted, Style: report.Points, Color: 2}}}}},
			{Name: "symmetry-breaking", Caption: "Divergence while all weights are fitted (BFGS), from near the best uniform weights.", Panels: []report.Plot{descent}, Height: 260},
		}, t, correlations, machines)
	return nil
}

// contrastiveDivergence shows the fixed points of CD-k.
func contrastiveDivergence(b *builder) error {
	const m, n = 8, 4
	d, err := exact.RingDensity(m)
	if err != nil {
		return err
	}
	steps := []int{1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20}
	plot := report.Plot{X: "k", Y: "W of CD-k over W − 1", LogY: true, Legend: report.TopRight}
	t := table{Name: "cd-k", Caption: "Uniform weight at which the expected CD-k update vanishes, M = 8, N = 4, and the maximum-likelihood weight it goes to.",
		Columns: []string{"K", "k", "W of CD-k", "W", "difference"}}
	for i, k := range []float64{0.5, 1, 2} {
		marginal, err := d.At(k)
		if err != nil {
			return err
		}
		root, err := marginal.Solve(n)
		if err != nil {
			return err
		}
		var x, y []float64
		for _, s := range steps {
			w, err := marginal.CDFixedPoint(n, s)
			if err != nil {
				return err
			}
			difference := w - root.W
			if difference > 1e-12 { // below it is rounding
				x, y = append(x, float64(s)), append(y, difference/root.W)
			}
			t.Rows = append(t.Rows, []any{k, s, w, root.W, difference})
		}
		plot.Series = append(plot.Series, report.Series{Name: fmt.Sprintf("K = %g", k), X: x, Y: y, Style: report.LinePoints, Color: i})
	}
	b.Section("Contrastive divergence",
		"Training by CD-k with uniform weights stops a little above the maximum-likelihood weight; the bias falls exponentially with k.",
		[]report.Figure{{Name: "cd-k", Caption: "Relative distance of the fixed point of CD-k from the maximum-likelihood weight.", Panels: []report.Plot{plot}}}, t)
	return nil
}
