package train

import (
	"context"
	"math"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/cpu"
	"kadanoff/backend/ref"
	"kadanoff/model/boltzmann"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// random returns a machine of so many units with couplings everywhere.
func random(visible, hidden int) *boltzmann.Machine {
	m := boltzmann.New(visible+hidden, visible)
	key := philox.NewKey(5)
	for i := range m.N {
		m.H[i] = float32(0.3 * normal(key, 7, uint32(i), 0))
		for j := range i {
			m.Couple(i, j, float32(0.3*normal(key, 8, uint32(i), uint32(j))))
		}
	}
	return m
}

// drop takes away the couplings inside a layer.
func drop(m *boltzmann.Machine, from, to int) {
	for i := from; i < to; i++ {
		for j := from; j < to; j++ {
			m.J[i*m.N+j] = 0
		}
	}
}

// Free energies and log Z of machines with any couplings inside layers are those
// of counting all states one by one.
func TestMarginal(t *testing.T) {
	const v, h = 5, 4
	for name, edit := range map[string]func(m *boltzmann.Machine){
		"all":     func(*boltzmann.Machine) {},
		"visible": func(m *boltzmann.Machine) { drop(m, v, v+h) },
		"hidden":  func(m *boltzmann.Machine) { drop(m, 0, v) },
		"between": func(m *boltzmann.Machine) { drop(m, 0, v); drop(m, v, v+h) },
	} {
		m := random(v, h)
		edit(m)
		q, err := spin.Quantize(DenseNet(m))
		if err != nil {
			t.Fatal(err)
		}
		if blocks := map[string]int{"all": 3, "visible": 2, "hidden": 2, "between": 1}[name]; len(q.Blocks) != blocks {
			t.Fatalf("%s: %d blocks, want %d", name, len(q.Blocks), blocks)
		}
		p, logZ, err := m.Distribution(1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ExactLogZ(context.Background(), ref.New(), q)
		if err != nil || math.Abs(got-logZ) > 1e-5 {
			t.Errorf("%s: log Z %v (%v), want %v", name, got, err, logZ)
		}
		states := spin.NewBatch(v, 1<<v)
		for c := range states.Chains {
			for i := range v {
				states.Set(i, c, c>>i&1 != 0)
			}
		}
		f := make([]float64, 1<<v)
		if err := newMarginal(q).free(context.Background(), ref.New(), 0, states, f); err != nil {
			t.Fatal(err)
		}
		for c, x := range m.Marginal(p) {
			if want := -math.Log(x) - logZ; math.Abs(f[c]-want) > 1e-5 {
				t.Errorf("%s: F of state %d is %v, want %v", name, c, f[c], want)
			}
		}
	}
	// Machines without hidden units have their energies.
	m := random(v, 0)
	q, err := spin.Quantize(DenseNet(m))
	if err != nil {
		t.Fatal(err)
	}
	_, logZ, err := m.Distribution(1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ExactLogZ(context.Background(), ref.New(), q); err != nil || math.Abs(got-logZ) > 1e-5 {
		t.Errorf("visible units alone: log Z %v (%v), want %v", got, err, logZ)
	}
	q, err = spin.Quantize(DenseNet(random(3, maxSummed+1)))
	if err != nil {
		t.Fatal(err)
	}
	if SumsHidden(q) {
		t.Errorf("%d coupled hidden units are summed out", maxSummed+1)
	}
}

// Annealed importance sampling of a machine with all couplings meets its exact
// log Z from both ends.
func TestAnnealedMachine(t *testing.T) {
	q, err := spin.Quantize(DenseNet(random(6, 4)))
	if err != nil {
		t.Fatal(err)
	}
	exact, err := ExactLogZ(context.Background(), ref.New(), q)
	if err != nil {
		t.Fatal(err)
	}
	z, err := AnnealedImportance(context.Background(), ref.New(), q, AISConfig{
		Chains: 300, Temperatures: 100, BurnIn: 100, Seed: 2, Base: make([]float64, 6), Start: spin.NewBatch(6, 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(z.LogZ-exact) > 5*z.StandardError || math.Abs(z.LogZReverse-exact) > 5*z.ReverseError {
		t.Errorf("log Z %v ± %v and %v ± %v, exactly %v", z.LogZ, z.StandardError, z.LogZReverse, z.ReverseError, exact)
	}
	if z.StandardError > 0.1 || z.ReverseError > 0.1 || z.StandardError == 0 {
		t.Errorf("standard errors %v and %v", z.StandardError, z.ReverseError)
	}
}

// A path that is fitted to a model goes from end to end, and gives a larger
// effective sample size than points at equal distances.
func TestFittedPath(t *testing.T) {
	const n, chains = 40, 2000
	net := spin.RBM(20, 6, make([]float32, 120), make([]float32, 20), make([]float32, 6))
	for i := range net.Blocks[0].W {
		net.Blocks[0].W[i] = 0.5 // it orders on the way
	}
	q, err := spin.Quantize(net)
	if err != nil {
		t.Fatal(err)
	}
	be, err := cpu.New(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	w, err := newWalk(be, q, &AISConfig{Chains: chains, Temperatures: n, Seed: 3, Base: make([]float64, 20)})
	if err != nil {
		t.Fatal(err)
	}
	fitted, err := w.fitted(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	if len(fitted) != n || fitted[0] != 0 || fitted[n-1] != backend.MixOne {
		t.Fatalf("%d points from %d to %d", len(fitted), fitted[0], fitted[len(fitted)-1])
	}
	even := make(path, n)
	for k := range even {
		even[k] = uint32(k * backend.MixOne / (n - 1))
	}
	var size [2]float64
	for i, way := range []path{fitted, even} {
		for k := 1; k < n; k++ {
			if way[k] <= way[k-1] {
				t.Fatalf("point %d is %d, after %d", k, way[k], way[k-1])
			}
		}
		x, err := w.forward(context.Background(), way, 0, chains, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		size[i] = estimate(x).SampleSize
	}
	if size[0] < 1.2*size[1] {
		t.Errorf("effective sample size %v of %d chains on a fitted path, %v on an even one", size[0], chains, size[1])
	}
}

// The exact gradient is minus that of KL, which multiple precision knows for the
// machine of three visible and two hidden units (eqs 23 and 24; checked there by
// finite differences), and package boltzmann for any.
func TestExactGradientOfMachine(t *testing.T) {
	m := boltzmann.New(5, 3)
	truth := [][4]float64{ // i, j, w_ij, ∂KL/∂w_ij
		{0, 1, -0.2, -0.3228993952173259613745509}, {0, 2, 0.1, 0.04544141525320470511567193}, {0, 3, 0.4, 0.02148725837239980672283230},
		{0, 4, -0.4, -0.07269495456898443338300782}, {1, 2, -0.3, -0.2644176555580475591774668}, {1, 3, 0, -0.08070403620371312829743152},
		{1, 4, 0.3, 0.1421164474606457345188207}, {2, 3, -0.4, 0.05088537429829197542290705}, {2, 4, -0.1, -0.08391607096001260495750886},
		{3, 4, -0.5, -0.0007849702734765184463493870},
	}
	for _, x := range truth {
		m.Couple(int(x[0]), int(x[1]), float32(x[2]))
	}
	data := make([]float64, 8) // P(v) = (s+1)/36
	for s := range data {
		data[s] = float64(s+1) / 36
	}
	// entries calls f with every stored coupling's place among all pairs.
	entries := func(n *spin.Net[float32], g *Gradient, f func(i, j int, x float64)) {
		for k, b := range n.Blocks {
			for at, x := range g.Blocks[k] {
				f(n.First(b.A)+at/n.Layers[b.B], n.First(b.B)+at%n.Layers[b.B], x)
			}
		}
	}
	n := DenseNet(m)
	g := exactGradient(n, data)
	want := map[[2]int]float64{}
	for _, x := range truth {
		want[[2]int{int(x[0]), int(x[1])}], want[[2]int{int(x[1]), int(x[0])}] = -x[3], -x[3]
	}
	entries(n, g, func(i, j int, x float64) {
		// Couplings are float32, so the truth holds to 1e-7 or so.
		if math.Abs(x-want[[2]int{i, j}]) > 1e-7 {
			t.Errorf("gradient of coupling %d–%d is %.9f, want %.9f", i, j, x, want[[2]int{i, j}])
		}
	})
	r := random(4, 3)
	data = make([]float64, 16)
	for v := range data {
		data[v] = float64(v) / 120
	}
	_, divergence, err := r.Divergence(data, 1)
	if err != nil {
		t.Fatal(err)
	}
	n = DenseNet(r)
	g = exactGradient(n, data)
	entries(n, g, func(i, j int, x float64) {
		if i != j && math.Abs(x+divergence.Pair[i*r.N+j]) > 1e-12 || i == j && x != 0 {
			t.Errorf("gradient of coupling %d–%d is %v, want %v", i, j, x, -divergence.Pair[i*r.N+j])
		}
	})
	for u, x := range g.Bias {
		if math.Abs(x+divergence.Mean[u]) > 1e-12 {
			t.Errorf("gradient of bias %d is %v, want %v", u, x, -divergence.Mean[u])
		}
	}
}

// The sampled gradient of a training step, with hidden units that persist from
// batch to batch, is the exact one on average.
func TestMachineGradientInExpectation(t *testing.T) {
	const v, h, rows, steps = 4, 3, 640, 400
	r := random(v, h)
	n := DenseNet(r)
	c := Default()
	c.Hidden, c.Couplings, c.K, c.Chains, c.Batch = h, "all", 2, 640, 320
	m, err := newMachine(context.Background(), ref.New(), n, &c, rows)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	data := make([]float64, 1<<v)
	state := func(row uint32) int { return int(row) % 10 }
	for row := range uint32(rows) {
		data[state(row)] += 1. / rows
	}
	want := exactGradient(n, data)
	flat := func(g *Gradient) []float64 {
		x := append([]float64(nil), g.Bias...)
		for _, b := range g.Blocks {
			x = append(x, b...)
		}
		return x
	}
	truth := flat(want)
	// Pairs of steps see all rows; sums of eight of them are nearly independent.
	const each = 16
	sum, square, part := make([]float64, len(truth)), make([]float64, len(truth)), make([]float64, len(truth))
	batch := spin.NewBatch(v, 320)
	m.rows = make([]uint32, 320)
	for step := range steps + each {
		for j := range m.rows {
			m.rows[j] = uint32(step%2*320 + j)
			for i := range v {
				batch.Set(i, j, state(m.rows[j])>>i&1 != 0)
			}
		}
		if err := m.Gather(context.Background(), backend.TrainingBatch{Data: batch}); err != nil {
			t.Fatal(err)
		}
		g := flat(m.g)
		if err := m.Update(backend.Update{}); err != nil { // no rate: the model stays
			t.Fatal(err)
		}
		if step < each {
			continue // burn-in
		}
		for k := range g {
			part[k] += g[k] / each
			if step%each == each-1 {
				sum[k] += part[k]
				square[k] += part[k] * part[k]
				part[k] = 0
			}
		}
	}
	parts := float64(steps / each)
	for k, x := range truth {
		mean := sum[k] / parts
		stderr := math.Sqrt(math.Max(0, square[k]/parts-mean*mean) / (parts - 1))
		if math.Abs(mean-x) > 6*stderr+1e-12 || stderr > 5e-3 {
			t.Errorf("entry %d of the gradient is %.5f ± %.5f, want %.5f", k, mean, stderr, x)
		}
	}
}
