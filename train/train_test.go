package train_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/cpu"
	"kadanoff/backend/ref"
	"kadanoff/model/data"
	"kadanoff/model/modelfile"
	"kadanoff/spin"
	"kadanoff/spin/philox"
	"kadanoff/train"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB) backend.Backend {
	t.Helper()
	b, err := cpu.New(backend.Options{Threads: 1})
	check(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

// table is a source of few configurations of up to 64 units, each repeated.
type table struct {
	width  int
	states []uint64
	upTo   []int // rows up to and with each state
}

func newTable(width int, count func(state uint64) int) *table {
	s := &table{width: width}
	n := 0
	for state := range uint64(1) << width {
		if c := count(state); c > 0 {
			n += c
			s.states, s.upTo = append(s.states, state), append(s.upTo, n)
		}
	}
	return s
}

func (s *table) Rows() int   { return s.upTo[len(s.upTo)-1] }
func (s *table) Width() int  { return s.width }
func (s *table) Stride() int { return 1 }
func (s *table) Fill(dst []uint64, i int, _ uint64) error {
	k := 0
	for s.upTo[k] <= i {
		k++
	}
	dst[0] = s.states[k]
	return nil
}

// ring returns the states of a ring of m spins at coupling K, each as often as
// its probability says in n rows, to nearest.
func ring(m, n int, coupling float64) *table {
	weight := func(s uint64) float64 {
		e := 0
		for i := range m {
			if s>>i&1 == s>>((i+1)%m)&1 {
				e++
			} else {
				e--
			}
		}
		return math.Exp(coupling * float64(e))
	}
	z := 0.0
	for s := range uint64(1) << m {
		z += weight(s)
	}
	return newTable(m, func(s uint64) int { return int(math.Round(float64(n) * weight(s) / z)) })
}

// set returns configurations with structure: noisy copies of a few patterns.
func set(t testing.TB, rows, width int) train.Fixed {
	t.Helper()
	key := philox.NewKey(99)
	stride := (width + 63) / 64
	words := make([]uint64, rows*stride)
	for r := range rows {
		for u := range width {
			b := philox.Block([4]uint32{uint32(r), uint32(u), 7, 7}, key)
			pattern := philox.Block([4]uint32{uint32(r % 5), uint32(u), 8, 8}, key)[0] >> 31
			if (pattern != 0) != (b[1]>>29 == 0) {
				words[r*stride+u/64] |= 1 << (u % 64)
			}
		}
	}
	s, err := data.New("set", words, width)
	check(t, err)
	return train.Fixed{Set: s}
}

func config() train.Config {
	c := train.Default()
	c.Hidden, c.Epochs, c.Batch, c.Rate = 7, 4, 20, 0.05
	return c
}

func fit(t testing.TB, be backend.Backend, c train.Config, s train.Source, o train.Options) (*train.Result, *modelfile.RBM) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r, err := train.Run(context.Background(), be, c, s, o)
	check(t, err)
	m, err := modelfile.Load(filepath.Join(o.Dir, "model.safetensors"))
	check(t, err)
	return r, m.RBM
}

// W at K = 1, M = 8, N = 4 with uniform weights: exact, and where contrastive
// divergence with k sweeps comes to rest (binomial Gibbs kernel of the number
// of spins up, 20 digits).
const uniformW = 0.3063083298115230710851240

var restOfCD = map[int]float64{1: 0.31954104809714701446, 2: 0.30956999187523826482, 3: 0.30724590047447551543}

// With the exact gradient and tied weights the ring gives the exact W(K).
func TestTiedExactGradient(t *testing.T) {
	c := config()
	c.Hidden, c.Tied, c.ExactGradient, c.InitWidth, c.Rate, c.Epochs = 4, true, true, 0.1, 0.3, 400
	_, m := fit(t, open(t), c, ring(8, 2000000, 1), train.Options{})
	for _, w := range m.W {
		if math.Abs(float64(w)-uniformW) > 1e-5 {
			t.Fatalf("W = %v, want %v", w, uniformW)
		}
	}
}

// With full weights KL goes to nothing: one hidden unit for each bond is an
// exact solution.
func TestRingFullWeights(t *testing.T) {
	c := config()
	c.Hidden, c.ExactGradient, c.InitWidth, c.Rate, c.Momentum, c.Epochs = 8, true, 0.3, 0.3, 0.9, 2000
	s := ring(8, 2000000, 1)
	dir := t.TempDir()
	fit(t, open(t), c, s, train.Options{Dir: dir, Validation: s})
	lines := metrics(t, dir)
	entropy := 0.0
	for k := range s.states {
		n := s.upTo[k]
		if k > 0 {
			n -= s.upTo[k-1]
		}
		p := float64(n) / float64(s.Rows())
		entropy -= p * math.Log(p)
	}
	m, err := modelfile.Load(filepath.Join(dir, "model.safetensors"))
	check(t, err)
	q, err := spin.Quantize(spin.RBM(8, 8, m.RBM.W, m.RBM.B, m.RBM.C))
	check(t, err)
	logZ, err := train.ExactLogZ(context.Background(), ref.New(), q)
	check(t, err)
	free, _, err := train.MeanFreeEnergy(context.Background(), open(t), q, s)
	check(t, err)
	if kl := -entropy + free + logZ; kl > 1e-3 || kl < -1e-9 {
		t.Errorf("KL = %v, want below 1e-3", kl)
	}
	if last := lines[len(lines)-1]; math.Abs(*last.LogZ-logZ) > 1e-9 {
		t.Errorf("log Z in the metrics is %v, want %v", *last.LogZ, logZ)
	}
}

// statistics gathers n steps of a tied 8×4 model of weight w on batches of the
// ring and returns the mean gradient and its standard error.
func tiedGradient(t *testing.T, be backend.Backend, w float64, k, steps int) (mean, stderr float64) {
	t.Helper()
	const batch = 4096
	model := spin.RBM(8, 4, make([]float32, 32), make([]float32, 8), make([]float32, 4))
	for i := range model.Blocks[0].W {
		model.Blocks[0].W[i] = float32(w)
	}
	tr, err := be.NewTrainer(backend.TrainerSpec{Model: model, Algorithm: backend.CD, K: k, Seed: 5, Tied: true})
	check(t, err)
	defer tr.Close()
	s := ring(8, 2000000, 1)
	var stats backend.Statistics
	var sum, square float64
	states := make([]uint64, batch)
	for step := range steps {
		for c := range states {
			u := philox.Draw(philox.NewKey(11), philox.Shuffle, uint32(c), 0, uint64(step))
			check(t, s.Fill(states[c:c+1], int(uint64(u)*uint64(s.Rows())>>32), 0))
		}
		b := spin.NewBatch(8, batch)
		for i := range 8 {
			for c, x := range states {
				b.Set(i, c, x>>i&1 != 0)
			}
		}
		check(t, tr.Gather(context.Background(), backend.TrainingBatch{Data: b}))
		check(t, tr.Statistics(&stats))
		total := int64(0)
		for _, x := range stats.Pairs {
			total += x
		}
		g := float64(total) * stats.TiedFactor(32)
		sum += g
		square += g * g
		check(t, tr.Update(backend.Update{})) // the next step draws anew
	}
	n := float64(steps)
	return sum / n, math.Sqrt((square/n - sum/n*sum/n) / (n - 1))
}

// The expected step of CD-k vanishes at the exact fixed points of CD-k, and
// not at the maximum of the likelihood.
func TestFixedPointsOfCD(t *testing.T) {
	be := open(t)
	for k, w := range restOfCD {
		mean, stderr := tiedGradient(t, be, w, k, 60)
		if math.Abs(mean) > 5*stderr {
			t.Errorf("CD-%d at its fixed point moves by %.2g ± %.2g", k, mean, stderr)
		}
		if k == 1 {
			away, e := tiedGradient(t, be, uniformW, k, 60)
			if math.Abs(away) < 10*e {
				t.Errorf("CD-1 at the maximum of the likelihood moves by %.2g ± %.2g: the test has no power", away, e)
			}
		}
	}
}

// The sampled gradient is the exact one in expectation: PCD at rest.
func TestGradientInExpectation(t *testing.T) {
	be := open(t)
	const v, h, chains, steps = 5, 3, 2048, 40
	s := ring(v, 1000, 0.5)
	m := spin.RBM(v, h, make([]float32, v*h), make([]float32, v), make([]float32, h))
	for i := range m.Blocks[0].W {
		m.Blocks[0].W[i] = float32(i%7-3) / 8
	}
	for i := range m.Bias {
		m.Bias[i] = float32(i%3-1) / 8
	}
	rows, err := train.Load(s, 0, s.Rows(), 0)
	check(t, err)
	tr, err := be.NewTrainer(backend.TrainerSpec{Model: m, Algorithm: backend.PCD, K: 20, Seed: 5, Chains: chains})
	check(t, err)
	defer tr.Close()
	var stats backend.Statistics
	sum, square := make([]float64, v*h), make([]float64, v*h)
	for step := range steps + 2 {
		check(t, tr.Gather(context.Background(), backend.TrainingBatch{Data: rows}))
		check(t, tr.Statistics(&stats))
		check(t, tr.Update(backend.Update{}))
		if step < 2 {
			continue // the chains come to rest
		}
		for i, x := range stats.Pairs {
			g := float64(x) * stats.PairFactor()
			sum[i] += g
			square[i] += g * g
		}
	}
	exact := exactPairs(m, s)
	for i, x := range exact {
		mean := sum[i] / steps
		stderr := math.Sqrt((square[i]/steps - mean*mean) / (steps - 1))
		if math.Abs(mean-x) > 5*stderr+1e-7 {
			t.Errorf("gradient of weight %d is %.5f ± %.5f, want %.5f", i, mean, stderr, x)
		}
	}
}

// exactPairs is ⟨v h⟩ of the data less that of the model, by summing over all
// states of both layers.
func exactPairs(n *spin.Net[float32], s *table) []float64 {
	v, h, w := n.Layers[0], n.Layers[1], n.Blocks[0].W
	g := make([]float64, v*h)
	spinOf := func(state uint64, i int) float64 { return float64(state>>i&1)*2 - 1 }
	add := func(state uint64, p float64) {
		for a := range h {
			f := float64(n.Bias[v+a])
			for i := range v {
				f += float64(w[i*h+a]) * spinOf(state, i)
			}
			for i := range v {
				g[i*h+a] += p * spinOf(state, i) * math.Tanh(f)
			}
		}
	}
	for k, state := range s.states {
		c := s.upTo[k]
		if k > 0 {
			c -= s.upTo[k-1]
		}
		add(state, float64(c)/float64(s.Rows()))
	}
	p, z := make([]float64, 1<<v), 0.0
	for state := range p {
		e := 1.0
		for i := range v {
			e *= math.Exp(float64(n.Bias[i]) * spinOf(uint64(state), i))
		}
		for a := range h {
			f := float64(n.Bias[v+a])
			for i := range v {
				f += float64(w[i*h+a]) * spinOf(uint64(state), i)
			}
			e *= 2 * math.Cosh(f)
		}
		p[state] = e
		z += e
	}
	for state, x := range p {
		add(uint64(state), -x/z)
	}
	return g
}

// A plain RBM of {0,1} units learns as its textbook update says: the same
// exact gradient, in {0,1} units and float64, at any temperature.
func TestBinaryUnits(t *testing.T) {
	const v, h, rate, steps = 4, 3, 0.2, 30
	for _, x := range []struct{ temperature, decay, l1 float64 }{{1, 0, 0}, {1, 0.05, 0}, {1.7, 0.05, 0.01}} {
		temperature, decay, l1 := x.temperature, x.decay, x.l1
		c := config()
		c.Hidden, c.ExactGradient, c.Rate, c.Epochs, c.Units, c.InitWidth, c.WeightDecay = h, true, rate, 1, modelfile.Binary, 0.4, decay
		c.Temperature, c.L1 = temperature, l1
		s := ring(v, 100, 0.7)
		_, first := fit(t, open(t), c, s, train.Options{})
		c.Epochs = steps + 1
		_, last := fit(t, open(t), c, s, train.Options{})
		w, b, hb := widen(first.W), widen(first.B), widen(first.C)
		reduced := func(x []float64) []float64 {
			y := make([]float64, len(x))
			for i := range x {
				y[i] = x[i] / temperature
			}
			return y
		}
		for range steps {
			dw, db, dc := binaryGradient(reduced(w), reduced(b), reduced(hb), s)
			for i := range w {
				w[i] += rate * (dw[i]/temperature - decay*w[i] - math.Copysign(l1, w[i]))
			}
			for i := range b {
				b[i] += rate * db[i] / temperature
			}
			for a := range hb {
				hb[a] += rate * dc[a] / temperature
			}
		}
		for i, x := range append(append(w, b...), hb...) {
			if got := append(append(widen(last.W), widen(last.B)...), widen(last.C)...)[i]; math.Abs(got-x) > 2e-5 {
				t.Errorf("temperature %v, decay %v: parameter %d is %v, want %v", temperature, decay, i, got, x)
			}
		}
	}
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// binaryGradient is the gradient of the log-likelihood for {0,1} units.
func binaryGradient(w, b, c []float64, s *table) (dw, db, dc []float64) {
	v, h := len(b), len(c)
	dw, db, dc = make([]float64, v*h), make([]float64, v), make([]float64, h)
	add := func(state uint64, p float64) float64 {
		weight := 1.0
		hidden := make([]float64, h)
		for a := range h {
			f := c[a]
			for i := range v {
				f += w[i*h+a] * float64(state>>i&1)
			}
			hidden[a] = 1 / (1 + math.Exp(-f))
			weight *= 1 + math.Exp(f)
		}
		for i := range v {
			x := float64(state >> i & 1)
			weight *= math.Exp(b[i] * x)
			db[i] += p * x
			for a := range h {
				dw[i*h+a] += p * x * hidden[a]
			}
		}
		for a := range h {
			dc[a] += p * hidden[a]
		}
		return weight
	}
	for k, state := range s.states {
		n := s.upTo[k]
		if k > 0 {
			n -= s.upTo[k-1]
		}
		add(state, float64(n)/float64(s.Rows()))
	}
	z := 0.0
	for state := range uint64(1) << v {
		z += add(state, 0)
	}
	for state := range uint64(1) << v {
		add(state, -add(state, 0)/z)
	}
	return dw, db, dc
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	return b
}

func metrics(t testing.TB, dir string) []train.Metrics {
	t.Helper()
	text := readFile(t, filepath.Join(dir, "metrics.jsonl"))
	var list []train.Metrics
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var m train.Metrics
		check(t, json.Unmarshal(line, &m))
		m.Seconds = 0
		list = append(list, m)
	}
	return list
}

func same(t *testing.T, what, a, b string) {
	t.Helper()
	x, err := os.ReadFile(filepath.Join(a, "model.safetensors"))
	check(t, err)
	y, err := os.ReadFile(filepath.Join(b, "model.safetensors"))
	check(t, err)
	if !bytes.Equal(x, y) {
		t.Errorf("%s: the models differ", what)
	}
	m, n := metrics(t, a), metrics(t, b)
	if p, q := fmt.Sprintf("%+v", deref(m)), fmt.Sprintf("%+v", deref(n)); p != q {
		t.Errorf("%s: the metrics differ:\n%s\n%s", what, p, q)
	}
}

func deref(m []train.Metrics) []string {
	var out []string
	for i := range m {
		text, _ := json.Marshal(m[i])
		out = append(out, string(text))
	}
	return out
}

// A run that is interrupted again and again ends with the bits of one that is
// not, for every algorithm.
func TestResume(t *testing.T) {
	be := open(t)
	s, held := set(t, 103, 11), set(t, 50, 11)
	for name, edit := range map[string]func(*train.Config){
		"cd":       func(c *train.Config) { c.Algorithm = "cd" },
		"pcd":      func(c *train.Config) { c.Center, c.Momentum, c.Chains = true, 0.5, 70 },
		"pt":       func(c *train.Config) { c.Algorithm, c.Temperatures, c.Hottest = "pt", 3, 10 },
		"binary":   func(c *train.Config) { c.Units, c.Schedule = modelfile.Binary, train.Schedule{Kind: "linear"} },
		"patience": func(c *train.Config) { c.Patience, c.Epochs = 2, 30 },
		"all":      func(c *train.Config) { c.Couplings, c.Momentum, c.K, c.Chains = "all", 0.5, 2, 70 },
		"visible":  func(c *train.Config) { c.Couplings, c.Temperature, c.Patience = "visible", 2, 3 },
		"hidden":   func(c *train.Config) { c.Couplings, c.WeightDecay, c.L1 = "hidden", 0.01, 0.001 },
		"exact":    func(c *train.Config) { c.ExactGradient, c.Momentum, c.Epochs = true, 0.5, 20 },
		"machine":  func(c *train.Config) { c.Couplings, c.Hidden, c.ExactGradient, c.Epochs = "all", 3, true, 20 },
	} {
		c := config()
		edit(&c)
		o := train.Options{Dir: t.TempDir(), Validation: held, CheckpointSteps: 5, Keep: 2}
		whole, err := train.Run(context.Background(), be, c, s, o)
		check(t, err)
		if !whole.Finished {
			t.Fatalf("%s: not finished", name)
		}
		other := o
		other.Dir = t.TempDir()
		other.Resume = true
		for cut := 1; ; cut++ {
			ctx := &countdown{Context: context.Background(), left: 3 + cut%7}
			r, err := train.Run(ctx, be, c, s, other)
			if err == nil && r.Finished {
				break
			}
			if !errors.Is(err, context.Canceled) || cut > 500 {
				t.Fatalf("%s: %v, %v", name, r, err)
			}
			list, _ := filepath.Glob(filepath.Join(other.Dir, "checkpoint-*"))
			if len(list) == 0 || len(list) > 2 {
				t.Fatalf("%s: %d checkpoints are kept, want 1 or 2", name, len(list))
			}
		}
		same(t, name, o.Dir, other.Dir)
		// A finished run has nothing left to do.
		again, err := train.Run(context.Background(), be, c, s, other)
		if err != nil || !again.Finished || again.Steps != whole.Steps {
			t.Errorf("%s: a finished run resumed: %+v, %v", name, again, err)
		}
	}
}

// countdown is a context that ends after it has been looked at so often.
type countdown struct {
	context.Context
	left int
	done chan struct{}
}

func (c *countdown) Done() <-chan struct{} {
	if c.done == nil {
		c.done = make(chan struct{})
	}
	if c.left--; c.left == 0 {
		close(c.done)
	}
	return c.done
}

func (c *countdown) Err() error {
	if c.left <= 0 {
		return context.Canceled
	}
	return nil
}

// The result does not depend on backend or threads.
func TestSameEverywhere(t *testing.T) {
	s := set(t, 60, 11)
	c := config()
	c.Epochs, c.Center = 2, true
	one, two := t.TempDir(), t.TempDir()
	fit(t, ref.New(), c, s, train.Options{Dir: one})
	b, err := cpu.New(backend.Options{Threads: 3})
	check(t, err)
	defer b.Close()
	fit(t, b, c, s, train.Options{Dir: two})
	same(t, "ref and cpu", one, two)
}

// Data that do not fit the memory they may take lie on the disk, and train the
// same model.
func TestDataOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.txt")
	var rows strings.Builder
	row := make([]uint64, 1)
	s := set(t, 103, 11)
	for i := range 103 {
		check(t, s.Fill(row, i, 0))
		fmt.Fprintf(&rows, "%011b\n", row[0])
	}
	check(t, os.WriteFile(path, []byte(rows.String()), 0o666))
	var dirs []string
	for _, limit := range []int64{0, 64} { // bytes: 8 of 103 rows
		d, err := data.Load(path, data.Options{MemoryLimit: limit, TempDir: t.TempDir()})
		check(t, err)
		defer d.Close()
		dirs = append(dirs, t.TempDir())
		fit(t, open(t), config(), train.Fixed{Set: d}, train.Options{Dir: dirs[len(dirs)-1]})
	}
	same(t, "data on disk", dirs[0], dirs[1])
}

// Broken checkpoints are named and the one before is used; what cannot be
// resumed is refused in one line.
func TestCheckpointsRefused(t *testing.T) {
	be, s, c := open(t), set(t, 103, 11), config()
	base := train.Options{Dir: t.TempDir(), CheckpointSteps: 5, Keep: 3}
	fit(t, be, c, s, base)
	list, _ := filepath.Glob(filepath.Join(base.Dir, "checkpoint-*"))
	if len(list) != 3 {
		t.Fatalf("%d checkpoints, want 3", len(list))
	}
	last := list[2]
	good, err := os.ReadFile(last)
	check(t, err)
	var said []string
	base.Log = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	base.Resume = true
	for name, edit := range map[string]func([]byte) []byte{
		"truncated":   func(b []byte) []byte { return b[:len(b)/2] },
		"empty":       func([]byte) []byte { return nil },
		"flipped bit": func(b []byte) []byte { b[len(b)-3] ^= 4; return b },
		"other step":  func(b []byte) []byte { return bytes.Replace(b, []byte(`\"step\":24`), []byte(`\"step\":23`), 1) },
	} {
		said = nil
		check(t, os.WriteFile(last, edit(bytes.Clone(good)), 0o666))
		r, err := train.Run(context.Background(), be, c, s, base)
		if err != nil || !r.Finished {
			t.Errorf("%s: %v", name, err)
		}
		if all := strings.Join(said, "\n"); !strings.Contains(all, filepath.Base(last)) || !strings.Contains(all, "resuming at step 20") {
			t.Errorf("%s: the log is %q", name, all)
		}
		now, err := os.ReadFile(last)
		check(t, err)
		if len(now) < 100 {
			t.Errorf("%s: the checkpoint was not written again", name)
		}
	}
	refused := func(name, want string, c train.Config, s train.Source, o train.Options) {
		t.Helper()
		_, err := train.Run(context.Background(), be, c, s, o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want an error with %q", name, err, want)
		}
	}
	other := c
	other.Rate = 0.1
	refused("another rate", "--rate is 0.1, was 0.05", other, s, base)
	refused("other data", "the data are not those", c, set(t, 104, 11), base)
	o := base
	o.Resume = false
	refused("a folder in use", "want --resume or another folder", c, s, o)
	o = base
	o.Validation = set(t, 50, 11)
	refused("held-out data where there were none", "the held-out data are not those", c, s, o)
	// A checkpoint of another model.
	o = train.Options{Dir: t.TempDir(), Resume: true}
	check(t, os.WriteFile(filepath.Join(o.Dir, filepath.Base(last)), good, 0o666))
	other = c
	other.Hidden = 9
	refused("a checkpoint of another model", "--hidden is 9, was 7", other, s, o)
	refused("a checkpoint of a wider model", "the data are not those", c, set(t, 103, 12), o)
	// Nothing is lost where there is a model and nothing to go on from.
	o.Dir = t.TempDir()
	check(t, os.WriteFile(filepath.Join(o.Dir, "model.safetensors"), good, 0o666))
	refused("a model alone", "a model but no checkpoint", c, s, o)
	newer := bytes.Replace(good, []byte(`"format":"1"`), []byte(`"format":"2"`), 1)
	check(t, os.WriteFile(last, newer, 0o666))
	refused("a newer version", `format "2"`, c, s, base)
	refused("no folder", "--out", c, s, train.Options{})
	c.Patience = 3
	refused("nothing held out", "--validation", c, s, train.Options{Dir: t.TempDir()})
}

// A rate that throws the weights out of range stops with the step and leaves
// the last good checkpoint.
func TestDivergence(t *testing.T) {
	c := config()
	c.Rate, c.Epochs, c.Batch, c.Momentum = 1000, 400, 20, 0.99
	c.WeightDecay = 1000
	dir := t.TempDir()
	_, err := train.Run(context.Background(), open(t), c, set(t, 103, 11), train.Options{Dir: dir, CheckpointSteps: 1})
	var diverged *backend.DivergedError
	if !errors.As(err, &diverged) || !strings.Contains(err.Error(), "step") {
		t.Fatalf("a rate of 1000 gives %v", err)
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "checkpoint-*")); diverged.Step > 0 && len(list) == 0 {
		t.Error("no checkpoint is left")
	}
	// Weights that go up and down within fixed point are noticed by what the
	// model says of the data, before the next checkpoint.
	c = config()
	c.Rate, c.Epochs = 20, 50
	dir = t.TempDir()
	_, err = train.Run(context.Background(), open(t), c, set(t, 103, 11), train.Options{Dir: dir, CheckpointSteps: 6})
	if !errors.As(err, &diverged) || !strings.Contains(err.Error(), "pseudo-log-likelihood") {
		t.Fatalf("a rate of 20 gives %v", err)
	}
	list, _ := filepath.Glob(filepath.Join(dir, "checkpoint-*"))
	for _, path := range list {
		if path > filepath.Join(dir, fmt.Sprintf("checkpoint-%012d", diverged.Step+1)) {
			t.Errorf("diverged in step %d, and left %s", diverged.Step, path)
		}
	}
}

// A disk that cannot be written to is an error, and what is there stays.
func TestReadOnlyFolder(t *testing.T) {
	if os.Getuid() == 0 {
		dir := filepath.Join(t.TempDir(), "file")
		check(t, os.WriteFile(dir, nil, 0o666))
		if _, err := train.Run(context.Background(), open(t), config(), set(t, 20, 11), train.Options{Dir: dir}); err == nil {
			t.Error("a folder that is a file is accepted")
		}
		return
	}
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o555))
	if _, err := train.Run(context.Background(), open(t), config(), set(t, 20, 11), train.Options{Dir: dir}); err == nil {
		t.Error("a read-only folder is accepted")
	}
}

// A run on probabilities, drawn anew in each epoch, goes on with the draws that
// it would have had; other draws make another model.
func TestDrawnResumes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.txt")
	var rows strings.Builder
	for i := range 103 {
		fmt.Fprintf(&rows, "0.%d 0.5 0.%d 1 0 0.1 0.9 0.3 0.6\n", i%10, i*i%10)
	}
	check(t, os.WriteFile(path, []byte(rows.String()), 0o666))
	p, err := data.LoadProbabilities(path, data.Options{})
	check(t, err)
	c, be := config(), open(t)
	c.Binarize = true
	o := train.Options{Dir: t.TempDir(), CheckpointSteps: 4}
	_, whole := fit(t, be, c, train.Drawn{Probabilities: p, Key: philox.NewKey(1)}, o)
	other := train.Options{Dir: t.TempDir(), CheckpointSteps: 4, Resume: true}
	for cut := 1; ; cut++ {
		ctx := &countdown{Context: context.Background(), left: 3 + cut%7}
		if r, err := train.Run(ctx, be, c, train.Drawn{Probabilities: p, Key: philox.NewKey(1)}, other); err == nil && r.Finished {
			break
		} else if !errors.Is(err, context.Canceled) || cut > 500 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	same(t, "probabilities", o.Dir, other.Dir)
	_, m := fit(t, be, c, train.Drawn{Probabilities: p, Key: philox.NewKey(2)}, train.Options{})
	if slices.Equal(m.W, whole.W) {
		t.Error("other draws give the same model")
	}
}

// Random binarisation draws with the given probabilities, anew in each epoch.
func TestDrawn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.txt")
	check(t, os.WriteFile(path, []byte("0.25 0.5 0.75 1 0 0.1 0.9 0.3 0.6\n"), 0o666))
	p, err := data.LoadProbabilities(path, data.Options{})
	check(t, err)
	d := train.Drawn{Probabilities: p, Key: philox.NewKey(3)}
	const n = 20000
	count := make([]int, 9)
	row := make([]uint64, 1)
	for epoch := range uint64(n) {
		check(t, d.Fill(row, 0, epoch))
		for u := range count {
			count[u] += int(row[0] >> u & 1)
		}
	}
	for u, want := range []float64{0.25, 0.5, 0.75, 1, 0, 0.1, 0.9, 0.3, 0.6} {
		if got := float64(count[u]) / n; math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/n) {
			t.Errorf("value %d is drawn with frequency %v, want %v", u, got, want)
		}
	}
}
