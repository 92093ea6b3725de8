package train_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/train"
)

func TestScheduleRates(t *testing.T) {
	for text, want := range map[string][5]float64{ // at 0, 1/4, 1/2, 3/4 and 7/8 of the run
		"constant":    {1, 1, 1, 1, 1},
		"linear":      {1, 0.75, 0.5, 0.25, 0.125},
		"linear:0.5":  {1, 1, 1, 0.5, 0.25},
		"inverse":     {1, 1 / 3.5, 1 / 6., 1 / 8.5, 1 / 9.75},
		"inverse:100": {1, 1 / 26., 1 / 51., 1 / 76., 1 / 88.5},
	} {
		s, err := train.ParseSchedule(text)
		check(t, err)
		for i, x := range want {
			if got := s.Rate([]uint64{0, 200, 400, 600, 700}[i], 800); math.Abs(got-x) > 1e-15 {
				t.Errorf("%s: %v at %d, want %v", text, got, i, x)
			}
		}
		if again, err := train.ParseSchedule(s.String()); err != nil || again != s {
			t.Errorf("%s is written as %s", text, s)
		}
	}
	for _, text := range []string{"", "cosine", "constant:1", "linear:1", "linear:-1", "linear:x", "inverse:-1", "inverse:NaN", "linear:"} {
		if s, err := train.ParseSchedule(text); err == nil {
			t.Errorf("%q is read as %v", text, s)
		}
	}
}

// A run makes the steps of gradient ascent as textbooks write them, in float64
// and from nothing but the probabilities of all states: momentum, decay, L1,
// schedules, and the centred gradient in centred parameters (E = −(v−μ)W(h−λ) −
// b(v−μ) − c(h−λ)), whose offsets move without changing the model.
func TestStepsAreExact(t *testing.T) {
	const v, h, rate, steps = 4, 3, 0.15, 25
	for name, edit := range map[string]func(*train.Config){
		"plain":    func(*train.Config) {},
		"momentum": func(c *train.Config) { c.Momentum = 0.8 },
		"all":      func(c *train.Config) { c.Momentum, c.WeightDecay, c.L1 = 0.6, 0.05, 0.01 },
		"linear":   func(c *train.Config) { c.Schedule = train.Schedule{Kind: "linear", At: 0.2} },
		"centred":  func(c *train.Config) { c.Center, c.OffsetRate = true, 0.25 },
		"centred, momentum, inverse": func(c *train.Config) {
			c.Center, c.OffsetRate, c.Momentum, c.WeightDecay = true, 0.1, 0.7, 0.02
			c.Schedule = train.Schedule{Kind: "inverse", At: 3}
		},
	} {
		c := config()
		c.Hidden, c.ExactGradient, c.Epochs, c.InitWidth, c.Rate = h, true, 1, 0.4, 1e-30
		s := newTable(v, func(state uint64) int { return int(state*state%11) + 1 }) // of no symmetry
		_, first := fit(t, open(t), c, s, train.Options{})
		c.Rate, c.Epochs = rate, steps
		edit(&c)
		_, last := fit(t, open(t), c, s, train.Options{})

		w, b, cc := widen(first.W), widen(first.B), widen(first.C)
		vw, vb, vc := make([]float64, v*h), make([]float64, v), make([]float64, h)
		mu, lambda := make([]float64, v), make([]float64, h)
		if c.Center { // offsets begin at the data's means and at 0
			for k, state := range s.states {
				for i := range v {
					mu[i] += (float64(state>>i&1)*2 - 1) * s.probability(k)
				}
			}
			for a := range h {
				for i := range v {
					cc[a] += w[i*h+a] * mu[i] // the centred bias
				}
			}
		}
		for step := range steps {
			// Moments of data and model, from uncentred parameters.
			plainB, plainC := append([]float64(nil), b...), append([]float64(nil), cc...)
			for i := range v {
				for a := range h {
					plainB[i] -= w[i*h+a] * lambda[a]
					plainC[a] -= w[i*h+a] * mu[i]
				}
			}
			dv, dh, dvh := spinMoments(w, plainB, plainC, s)
			mv, mh, mvh := spinMoments(w, plainB, plainC, nil)
			if c.Center {
				for i := range v {
					d := c.OffsetRate * (dv[i] - mu[i])
					mu[i] += d
					for a := range h {
						cc[a] += w[i*h+a] * d
					}
				}
				for a := range h {
					d := c.OffsetRate * (dh[a] - lambda[a])
					lambda[a] += d
					for i := range v {
						b[i] += w[i*h+a] * d
					}
				}
			}
			eta := rate * c.Schedule.Rate(uint64(step), steps)
			move := func(x, velocity *float64, g float64) {
				*velocity = c.Momentum**velocity + eta*g
				*x += *velocity
			}
			for i := range v {
				for a := range h {
					k := i*h + a
					g := dvh[k] - mvh[k] - mu[i]*(dh[a]-mh[a]) - (dv[i]-mv[i])*lambda[a]
					move(&w[k], &vw[k], g-c.WeightDecay*w[k]-math.Copysign(c.L1, w[k]))
				}
			}
			for i := range b {
				move(&b[i], &vb[i], dv[i]-mv[i])
			}
			for a := range cc {
				move(&cc[a], &vc[a], dh[a]-mh[a])
			}
		}
		for i := range v {
			for a := range h {
				b[i] -= w[i*h+a] * lambda[a]
				cc[a] -= w[i*h+a] * mu[i]
			}
		}
		want := append(append(w, b...), cc...)
		moved := 0.0
		for i, got := range append(append(widen(last.W), widen(last.B)...), widen(last.C)...) {
			if math.Abs(got-want[i]) > 2e-5 {
				t.Errorf("%s: parameter %d is %v, want %v", name, i, got, want[i])
			}
			moved = max(moved, math.Abs(got-append(append(widen(first.W), widen(first.B)...), widen(first.C)...)[i]))
		}
		if moved < 0.1 {
			t.Errorf("%s: no parameter has moved by more than %v", name, moved)
		}
	}
}

// probability returns that of the k-th state.
func (s *table) probability(k int) float64 {
	n := s.upTo[k]
	if k > 0 {
		n -= s.upTo[k-1]
	}
	return float64(n) / float64(s.Rows())
}

// spinMoments returns ⟨v⟩, ⟨h⟩ and ⟨v h⟩ of a ±1 model, or of data with the
// hidden units that the model gives them, by adding up all visible states.
func spinMoments(w, b, c []float64, s *table) (mv, mh, mvh []float64) {
	v, h := len(b), len(c)
	mv, mh, mvh = make([]float64, v), make([]float64, h), make([]float64, v*h)
	add := func(state uint64, p float64) (weight float64) {
		weight = 1
		x, mean := make([]float64, v), make([]float64, h)
		for i := range x {
			x[i] = float64(state>>i&1)*2 - 1
			weight *= math.Exp(b[i] * x[i])
			mv[i] += p * x[i]
		}
		for a := range mean {
			f := c[a]
			for i := range x {
				f += w[i*h+a] * x[i]
			}
			weight *= 2 * math.Cosh(f)
			mean[a] = math.Tanh(f)
			mh[a] += p * mean[a]
			for i := range x {
				mvh[i*h+a] += p * x[i] * mean[a]
			}
		}
		return weight
	}
	if s != nil {
		for k, state := range s.states {
			add(state, s.probability(k))
		}
		return mv, mh, mvh
	}
	z := 0.0
	for state := range uint64(1) << v {
		z += add(state, 0)
	}
	for state := range uint64(1) << v {
		add(state, add(state, 0)/z)
	}
	return mv, mh, mvh
}

// Chains of parallel tempering have the distribution of the model, also where
// chains alone would stay in the well that they fell into.
func TestTemperedChains(t *testing.T) {
	const v, h, chains, steps = 5, 3, 1 << 15, 80
	m := spin.RBM(v, h, make([]float32, v*h), make([]float32, v), make([]float32, h))
	for i := range m.Blocks[0].W {
		m.Blocks[0].W[i] = 0.75
	}
	for i := range v {
		m.Bias[i] = 0.1 * float32(i) // one well is deeper
	}
	mv, _, _ := spinMoments(widen(m.Blocks[0].W), widen(m.Bias[:v]), widen(m.Bias[v:]), nil)
	be := open(t)
	// far is the largest distance of a visible unit's mean in standard errors.
	far := func(spec backend.TrainerSpec) float64 {
		spec.Model, spec.K, spec.Seed, spec.Chains = m, 1, 9, chains
		tr, err := be.NewTrainer(spec)
		check(t, err)
		defer tr.Close()
		var stats backend.Statistics
		for range steps {
			check(t, tr.Gather(context.Background(), backend.TrainingBatch{Data: spin.NewBatch(v, 1)}))
			check(t, tr.Statistics(&stats))
			check(t, tr.Update(backend.Update{}))
		}
		worst := 0.0
		for i, x := range stats.VisibleModel {
			worst = max(worst, math.Abs(float64(x)/chains-mv[i])/math.Sqrt((1-mv[i]*mv[i])/chains))
		}
		return worst
	}
	if x := far(backend.TrainerSpec{Algorithm: backend.PT, Temperatures: []float64{1, 1.5, 2.5, 5, math.Inf(1)}}); x > 5 {
		t.Errorf("parallel tempering: a visible unit's mean is %.1f standard errors off", x)
	}
	if x := far(backend.TrainerSpec{Algorithm: backend.PCD}); x < 10 {
		t.Errorf("chains alone: %.1f standard errors off: the test has no power", x)
	}
}

// What the metrics say is what a sum over all states gives: free energies, the
// gap, exact likelihoods, and the pseudo-likelihood on average over the units
// that are drawn for it.
func TestMetricsAreExact(t *testing.T) {
	const v, h, epochs = 5, 4, 300
	c := config()
	c.Hidden, c.Algorithm, c.Rate, c.InitWidth, c.Epochs, c.Batch = h, "cd", 1e-30, 0.7, epochs, 1000
	s := newTable(v, func(state uint64) int { return int(state*state%13) + 1 })
	held := newTable(v, func(state uint64) int { return int(state % 3) })
	dir := t.TempDir()
	_, m := fit(t, open(t), c, s, train.Options{Dir: dir, Validation: held})
	w, b, hb := widen(m.W), widen(m.B), widen(m.C)
	weight, z := make([]float64, 1<<v), 0.0
	for state := range weight {
		x := 1.0
		for i := range v {
			x *= math.Exp(b[i] * (float64(state>>i&1)*2 - 1))
		}
		for a := range h {
			f := hb[a]
			for i := range v {
				f += w[i*h+a] * (float64(state>>i&1)*2 - 1)
			}
			x *= 2 * math.Cosh(f)
		}
		weight[state] = x
		z += x
	}
	exact := func(s *table) (free, pseudo float64) {
		for k, state := range s.states {
			p := s.probability(k)
			free -= p * math.Log(weight[state])
			for i := range v {
				other := weight[state^1<<i]
				pseudo += p * math.Log(weight[state]/(weight[state]+other))
			}
		}
		return free, pseudo
	}
	free, pseudo := exact(s)
	heldFree, heldPseudo := exact(held)
	var sums, squares [2]float64
	for _, l := range metrics(t, dir) {
		for name, x := range map[string][2]float64{
			"free energy": {*l.FreeEnergy, free}, "held-out free energy": {*l.ValidationFreeEnergy, heldFree},
			"gap": {*l.FreeEnergyGap, heldFree - free}, "log Z": {*l.LogZ, math.Log(z)},
			"log-likelihood": {*l.LogLikelihood, -free - math.Log(z)}, "held-out log-likelihood": {*l.ValidationLogLikelihood, -heldFree - math.Log(z)},
		} {
			if math.Abs(x[0]-x[1]) > 1e-5 {
				t.Fatalf("epoch %d: %s is %v, want %v", l.Epoch, name, x[0], x[1])
			}
		}
		for k, x := range []float64{*l.PseudoLogLikelihood, *l.ValidationPseudo} {
			sums[k] += x
			squares[k] += x * x
		}
	}
	for k, want := range []float64{pseudo, heldPseudo} {
		mean := sums[k] / epochs
		stderr := math.Sqrt((squares[k]/epochs - mean*mean) / (epochs - 1))
		if math.Abs(mean-want) > 5*stderr || stderr > 0.05 {
			t.Errorf("pseudo-log-likelihood is %v ± %v, exactly %v", mean, stderr, want)
		}
	}
}

// Early stopping ends so many epochs after the best of the held-out data, and
// yields the model of that epoch.
func TestEarlyStopping(t *testing.T) {
	c := config()
	c.Hidden, c.Rate, c.Epochs, c.Patience, c.Batch, c.Chains = 12, 0.1, 500, 6, 12, 64
	s, held := set(t, 12, 11), set(t, 200, 11) // of the same patterns, with other noise
	dir := t.TempDir()
	r, m := fit(t, open(t), c, s, train.Options{Dir: dir, Validation: held})
	lines, best := metrics(t, dir), 0
	for i, l := range lines {
		if *l.ValidationLogLikelihood > *lines[best].ValidationLogLikelihood {
			best = i
		}
	}
	epochs := best + 1
	if !r.Finished || r.Epochs != epochs+c.Patience || len(lines) != r.Epochs || !strings.Contains(r.Reason, "no better validation score in 6 epochs") {
		t.Errorf("stopped after %d epochs, the best being %d: %+v", r.Epochs, epochs, r)
	}
	if epochs < 2 {
		t.Errorf("the best epoch is %d: the test has no power", epochs)
	}
	c.Epochs, c.Patience = epochs, 0
	_, want := fit(t, open(t), c, s, train.Options{})
	for i, x := range want.W {
		if m.W[i] != x {
			t.Fatalf("weight %d is %v, in epoch %d it was %v", i, m.W[i], epochs, x)
		}
	}
}

// A run that diverges in the middle of an epoch leaves the last checkpoint from
// before, however often checkpoints are written, and a page that says so.
func TestDivergenceKeepsCheckpoint(t *testing.T) {
	c := config()
	c.Rate, c.Epochs, c.Batch = 8, 50, 5
	dir, s := t.TempDir(), set(t, 1000, 11)
	_, err := train.Run(context.Background(), open(t), c, s, train.Options{Dir: dir, CheckpointSteps: 1, Keep: 2})
	var diverged *backend.DivergedError
	if !errors.As(err, &diverged) || !strings.Contains(err.Error(), "pseudo-log-likelihood") {
		t.Fatalf("a rate of 8 gives %v", err)
	}
	if diverged.Step%200 == 199 {
		t.Errorf("noticed in step %d, at the end of an epoch", diverged.Step)
	}
	list, _ := filepath.Glob(filepath.Join(dir, "checkpoint-*"))
	if len(list) == 0 {
		t.Fatalf("%v, and no checkpoint is left", err)
	}
	// It can be gone on from: what comes is what came.
	_, again := train.Run(context.Background(), open(t), c, s, train.Options{Dir: dir, CheckpointSteps: 1, Keep: 2, Resume: true})
	if again == nil || again.Error() != err.Error() {
		t.Errorf("resumed: %v, want %v", again, err)
	}
	if page := readPage(t, dir); !strings.Contains(page, "stopped: training diverged in step") || strings.Contains(page, "refresh") {
		t.Errorf("the page does not say that the run has stopped:\n%.600s", page)
	}
}

// The page of a run that goes on asks to be loaded again; that of one which was
// interrupted does not.
func TestPageWhileRunning(t *testing.T) {
	c, dir := config(), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	steps, seen := 0, ""
	o := train.Options{Dir: dir, Name: "<digits>", Shape: []int{3, 1, 4}, Timed: func(train.StepTimes) {
		if steps++; steps == 3 {
			seen = readPage(t, dir)
		} else if steps == 11 {
			cancel()
		}
	}}
	if _, err := train.Run(ctx, open(t), c, set(t, 103, 12), o); err == nil {
		t.Fatal("a cancelled run has no error")
	}
	if !strings.Contains(seen, "running") || !strings.Contains(seen, `http-equiv="refresh"`) {
		t.Errorf("while it runs the page is\n%.600s", seen)
	}
	page := readPage(t, dir)
	if !strings.Contains(page, "stopped: context canceled") || strings.Contains(page, "refresh") || strings.Contains(page, "<digits>") {
		t.Errorf("after an interruption the page is\n%.600s", page)
	}
	if n := strings.Count(page, "data:image/png"); n != 2 {
		t.Errorf("%d images, want weights and chains of 3×1×4", n)
	}
	for _, never := range []string{"http://", "https://", "src=\"/", "<script", "<link"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
}

// Checkpoints are written every so long, and a time limit ends a run with one.
func TestCheckpointTimes(t *testing.T) {
	c, s, o := config(), set(t, 103, 11), train.Options{Dir: t.TempDir(), CheckpointTime: 1, Keep: 1000}
	r, _ := fit(t, open(t), c, s, o)
	if list, _ := filepath.Glob(filepath.Join(o.Dir, "checkpoint-*")); len(list) != int(r.Steps) {
		t.Errorf("%d checkpoints in %d steps of more than a nanosecond", len(list), r.Steps)
	}
	whole := o.Dir
	o.Dir, o.TimeLimit, o.CheckpointTime, o.Resume = t.TempDir(), 1, 0, true
	r, err := train.Run(context.Background(), open(t), c, s, o)
	if err != nil || r.Finished || r.Reason != "time limit" || !strings.Contains(readPage(t, o.Dir), "stopped: time limit") {
		t.Errorf("a run of no time ends with %+v, %v", r, err)
	}
	if train.LastCheckpoint(o.Dir) == "" {
		t.Error("a time limit has left no checkpoint")
	}
	o.TimeLimit = 0
	fit(t, open(t), c, s, o)
	same(t, "after a time limit", whole, o.Dir)
}

func readPage(t *testing.T, dir string) string {
	t.Helper()
	return string(readFile(t, filepath.Join(dir, "index.html")))
}
