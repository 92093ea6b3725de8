package boltzmann

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"kadanoff/backend"
	_ "kadanoff/backend/cpu"
	_ "kadanoff/backend/ref"
	"kadanoff/model/hopfield"
	"kadanoff/spin"
)

func near(t *testing.T, name string, got, want, limit float64) {
	t.Helper()
	if !(math.Abs(got-want) <= limit) {
		t.Errorf("%s = %.17g, want %.17g within %g", name, got, want, limit)
	}
}

func open(t testing.TB, name string) backend.Backend {
	t.Helper()
	b, err := backend.Open(name, backend.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// random draws a machine; a share of the pairs is coupled.
func random(seed uint64, units, visible int, share float64) *Machine {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := New(units, visible)
	for i := range units {
		m.H[i] = float32(rng.NormFloat64() / 2)
		for j := range i {
			if rng.Float64() < share {
				m.Couple(i, j, float32(rng.NormFloat64()))
			}
		}
	}
	return m
}

// fiveUnits is a machine of three visible and two hidden units without fields,
// whose divergence from data and gradient are known to 25 digits, the gradient
// by finite differences too.
func fiveUnits() (m *Machine, data []float64, gradient map[[2]int]float64) {
	m = New(5, 3)
	gradient = map[[2]int]float64{}
	for _, g := range []struct {
		i, j    int
		w, want float64
	}{
		{0, 1, -0.2, -0.3228993952173259613745509}, {0, 2, 0.1, 0.04544141525320470511567193},
		{0, 3, 0.4, 0.02148725837239980672283230}, {0, 4, -0.4, -0.07269493456898443338300782},
		{1, 2, -0.3, -0.2644176555580475591774668}, {1, 3, 0, -0.08070403620371312829743152},
		{1, 4, 0.3, 0.1421164474606457345188207}, {2, 3, -0.4, 0.05088537429829197542290705},
		{2, 4, -0.1, -0.08391607096001260495750886}, {3, 4, -0.5, -0.0007849702734765184463493870},
	} {
		m.Couple(g.i, g.j, float32(g.w))
		gradient[[2]int{g.i, g.j}] = g.want
	}
	for s := range 8 {
		data = append(data, float64(s+1)/36)
	}
	return m, data, gradient
}

// The couplings are float32 here, which is off by up to 1e-8 from the decimals
// that the known values belong to.
func TestKnownDivergence(t *testing.T) {
	m, data, gradient := fiveUnits()
	_, logZ, err := m.Distribution(1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "ln Z", logZ, 3.98633307516457410217, 1e-7)
	kl, g, err := m.Divergence(data, 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "KL", kl, 0.239422863694859690585, 1e-7)
	for at, want := range gradient {
		near(t, fmt.Sprint("gradient ", at), g.Pair[at[0]*5+at[1]], want, 1e-7)
	}
}

// The gradient against differences of the divergence, at a temperature.
func TestGradientAtTemperature(t *testing.T) {
	const temperature, h = 1.7, 1. / 1024
	m := random(3, 6, 4, 0.8)
	data := make([]float64, 16)
	for s := range data {
		data[s] = float64(s+1) / 136
	}
	_, g, err := m.Divergence(data, temperature)
	if err != nil {
		t.Fatal(err)
	}
	kl := func() float64 {
		v, _, err := m.Divergence(data, temperature)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for i := range 6 {
		old := m.H[i]
		m.H[i] = old + h
		up, step := kl(), float64(old+h)
		m.H[i] = old - h
		step -= float64(old - h)
		near(t, fmt.Sprint("derivative by field ", i), (up-kl())/step, g.Mean[i], 1e-5)
		m.H[i] = old
		for j := range i {
			old := m.J[i*6+j]
			m.Couple(i, j, old+h)
			up, step := kl(), float64(old+h)
			m.Couple(i, j, old-h)
			step -= float64(old - h)
			near(t, fmt.Sprint("derivative by coupling ", i, j), (up-kl())/step, g.Pair[i*6+j], 1e-5)
			m.Couple(i, j, old)
		}
	}
}

// Detailed balance: P(s) p(s → s') = P(s') p(s' → s) for each update of a unit.
// A sweep keeps the distribution.
func TestDetailedBalance(t *testing.T) {
	for _, temperature := range []float64{0.4, 1, 3} {
		m := random(11, 5, 2, 0.7)
		p, _, err := m.Distribution(temperature)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			step, err := m.UnitTransition(i, temperature)
			if err != nil {
				t.Fatal(err)
			}
			for s := range 32 {
				row := 0.
				for to := range 32 {
					row += step[s*32+to]
					near(t, fmt.Sprintf("unit %d, %d → %d", i, s, to), p[s]*step[s*32+to], p[to]*step[to*32+s], 1e-16)
				}
				near(t, "sum of a row", row, 1, 1e-15)
			}
		}
		sweep, err := m.SweepTransition([]int{3, 1, 4, 0, 2}, temperature)
		if err != nil {
			t.Fatal(err)
		}
		broken := 0.
		for to := range 32 {
			sum := 0.
			for s := range 32 {
				sum += p[s] * sweep[s*32+to]
				broken = max(broken, math.Abs(p[s]*sweep[s*32+to]-p[to]*sweep[to*32+s]))
			}
			near(t, "distribution after a sweep", sum, p[to], 1e-15)
		}
		if broken < 1e-6 {
			t.Errorf("a sweep in one order obeys detailed balance to %v: the test shows nothing", broken)
		}
	}
}

// The engine's integer probabilities obey detailed balance with its integer
// energies: the odds of +1 are e^(2a/T) as closely as 32-bit draws can say, for
// every unit and state.
func TestEngineProbabilities(t *testing.T) {
	m := random(13, 7, 3, 0.6)
	q, err := m.Network()
	if err != nil {
		t.Fatal(err)
	}
	x := make([]int8, 7)
	for _, temperature := range []float64{0.7, 1, 2.5} {
		beta, err := spin.Beta(temperature)
		if err != nil {
			t.Fatal(err)
		}
		for s := range 128 {
			State(x, s)
			for i := range x {
				a := int32(math.RoundToEven(math.Ldexp(m.Activation(x, i), int(q.Frac))))
				p := float64(spin.Tail(spin.ScaledField(a, beta, q.Frac))) / (1 << 32)
				if a >= 0 {
					p = 1 - p
				}
				// The integer field is off by the rounding of at most 7 terms.
				near(t, fmt.Sprint("p of unit ", i, " in state ", s), p, m.Probability(x, i, temperature), 3e-8+math.Ldexp(7, -int(q.Frac))/temperature)
			}
		}
	}
}

// One sweep of the sampler from each state, many times, has the exact
// probabilities of the transition matrix, on graphs with and without couplings
// inside the layers.
func TestSweepFrequencies(t *testing.T) {
	const each, temperature = 1 << 13, 1.3
	for _, name := range []string{"ref", "cpu"} {
		for _, share := range []float64{0.5, 1} {
			m := random(17, 5, 3, share)
			q, err := m.Network()
			if err != nil {
				t.Fatal(err)
			}
			colors, err := backend.Coloring(q, nil)
			if err != nil {
				t.Fatal(err)
			}
			var order []int
			for _, class := range colors {
				for _, u := range class {
					order = append(order, int(u))
				}
			}
			exact, err := m.SweepTransition(order, temperature)
			if err != nil {
				t.Fatal(err)
			}
			s, err := open(t, name).NewSampler(backend.SamplerSpec{Network: q, Chains: 32 * each, Seed: 5, Temperatures: []float64{temperature}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			states := spin.NewBatch(5, 32*each)
			x := make([]int8, 5)
			for c := range states.Chains {
				State(x, c/each)
				states.SetInt8(x, c)
			}
			if err := s.SetState(states); err != nil {
				t.Fatal(err)
			}
			if err := s.Sweep(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			if err := s.State(states); err != nil {
				t.Fatal(err)
			}
			counts := make([]float64, 32*32)
			for c := range states.Chains {
				to := 0
				for u := range 5 {
					if states.Up(u, c) {
						to |= 1 << u
					}
				}
				counts[c/each*32+to]++
			}
			for k, n := range counts {
				mean := each * exact[k]
				if limit := 6*math.Sqrt(mean*(1-exact[k])) + 12; math.Abs(n-mean) > limit {
					t.Errorf("%s, share %v: %d → %d came %v times, want %v ± %v", name, share, k/32, k%32, n, mean, limit)
				}
			}
		}
	}
}

// Long chains have the exact means, visible marginals included.
func TestSampledMoments(t *testing.T) {
	const chains, sweeps = 4096, 200
	m, _, _ := fiveUnits()
	m.H[1], m.H[4] = 0.3, -0.2
	p, _, err := m.Distribution(1)
	if err != nil {
		t.Fatal(err)
	}
	want := m.Moments(p)
	q, err := m.Network()
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(t, "cpu").NewSampler(backend.SamplerSpec{Network: q, Chains: chains, Seed: 3, Moments: backend.MomentSpec{Means: true, AllPairs: true, Every: 5}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Sweep(context.Background(), 50); err != nil {
		t.Fatal(err)
	}
	if err := s.ResetMoments(); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(context.Background(), sweeps); err != nil {
		t.Fatal(err)
	}
	var got backend.Moments
	if err := s.Moments(&got); err != nil {
		t.Fatal(err)
	}
	// Chains are independent. Of the 40 measurements of each, 5 sweeps apart,
	// only 4 are counted as independent.
	const limit = 5. / 128
	for i := range want.Mean {
		near(t, fmt.Sprint("mean ", i), float64(got.Means[i])/float64(got.Samples), want.Mean[i], limit)
		for j := range want.Mean {
			near(t, fmt.Sprint("pair ", i, j), float64(got.Pairs[i*5+j])/float64(got.Samples), want.Pair[i*5+j], limit)
		}
	}
}

// The limit T → 0: equal shares of the ground states, certain updates, coins at
// a = 0.
func TestZeroTemperature(t *testing.T) {
	m := New(3, 3)
	m.Couple(0, 1, 1)
	m.Couple(1, 2, -1)
	p, logZ, err := m.Distribution(0)
	if err != nil || !math.IsNaN(logZ) {
		t.Fatalf("ln Z %v, %v", logZ, err)
	}
	x := make([]int8, 3)
	for s, w := range p {
		State(x, s)
		want := 0.
		if m.Energy(x) == -2 {
			want = 0.5
		}
		near(t, fmt.Sprint("P of state ", s), w, want, 0)
	}
	if up := m.Probability([]int8{1, 1, 1}, 0, 0); up != 1 {
		t.Errorf("p(+1) with the field up is %v", up)
	}
	if up := m.Probability([]int8{1, -1, 1}, 0, 0); up != 0 {
		t.Errorf("p(+1) with the field down is %v", up)
	}
	if up := m.Probability([]int8{1, 1, 1}, 1, 0); up != 0.5 {
		t.Errorf("p(+1) without a field is %v", up)
	}
}

// Annealing a spin glass finds the ground state that counting finds, and every
// chain rests where Hopfield's rule does.
func TestAnneal(t *testing.T) {
	m := random(23, 16, 10, 1)
	ground := math.Inf(1)
	x := make([]int8, 16)
	for s := range 1 << 16 {
		State(x, s)
		ground = min(ground, m.Energy(x))
	}
	job := Annealing{Chains: 67, From: 5, To: 0.05, Steps: 30, Sweeps: 5, ColdSweeps: 50, Seed: 1}
	var reference *Annealed
	for _, name := range []string{"ref", "cpu"} {
		a, err := m.Anneal(context.Background(), open(t, name), job)
		if err != nil {
			t.Fatal(err)
		}
		if !a.Settled {
			t.Error("chains have not settled")
		}
		near(t, "lowest energy", a.Energies[a.Best()], ground, 1e-4)
		if reference != nil && fmt.Sprint(reference.States.Bits) != fmt.Sprint(a.States.Bits) {
			t.Error("ref and cpu anneal to different states")
		}
		reference = a
	}
	w, bias := make([]float64, 16*16), make([]float64, 16)
	for i := range w {
		w[i] = float64(m.J[i])
	}
	for i := range bias {
		bias[i] = float64(m.H[i])
	}
	n, err := hopfield.New(w, bias, 16)
	if err != nil {
		t.Fatal(err)
	}
	for c := range job.Chains {
		reference.States.PutInt8(x, c)
		near(t, "energy of a chain", reference.Energies[c], m.Energy(x), 1e-4)
		if !n.Fixed(x) {
			t.Errorf("chain %d rests where a unit would change", c)
		}
	}
}

func TestRefuses(t *testing.T) {
	b := open(t, "ref")
	anneal := func(change func(*Machine, *Annealing)) error {
		m, a := New(3, 2), Annealing{Chains: 1, From: 2, To: 1, Steps: 2, Sweeps: 1}
		change(m, &a)
		_, err := m.Anneal(context.Background(), b, a)
		return err
	}
	nan := float32(math.NaN())
	for _, c := range []struct {
		words  string
		change func(*Machine, *Annealing)
	}{
		{"at least one chain", func(_ *Machine, a *Annealing) { a.Chains = 0 }},
		{"temperature 1 to 2", func(_ *Machine, a *Annealing) { a.From, a.To = 1, 2 }},
		{"temperature 2 to 0", func(_ *Machine, a *Annealing) { a.To = 0 }},
		{"temperature 2 to -1", func(_ *Machine, a *Annealing) { a.To = -1 }},
		{"units 0 and 1 is 1 one way and 0", func(m *Machine, _ *Annealing) { m.J[1] = 1 }},
		{"coupled to itself", func(m *Machine, _ *Annealing) { m.J[0] = 1 }},
		{"NaN", func(m *Machine, _ *Annealing) { m.Couple(0, 1, nan) }},
		{"bias of unit 1 is NaN", func(m *Machine, _ *Annealing) { m.H[1] = nan }},
		{"1 fields for 3", func(m *Machine, _ *Annealing) { m.H = m.H[:1] }},
		{"4 visible", func(m *Machine, _ *Annealing) { m.Visible = 4 }},
	} {
		if err := anneal(c.change); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v, want an error that says %q", err, c.words)
		}
	}
	if _, _, err := New(MaxCounted+1, 1).Distribution(1); err == nil {
		t.Error("too many states are counted")
	}
	if _, err := New(MaxMatrix+1, 1).SweepTransition([]int{0}, 1); err == nil {
		t.Error("a matrix between too many states is made")
	}
	if _, _, err := New(2, 1).Distribution(-1); err == nil {
		t.Error("a negative temperature is taken")
	}
	if _, _, err := New(2, 1).Divergence([]float64{1, 0}, 0); err == nil {
		t.Error("a divergence at T = 0 is made")
	}
	if _, _, err := New(2, 1).Divergence([]float64{1}, 1); err == nil {
		t.Error("data of the wrong size are taken")
	}
}

func ExampleMachine_Marginal() {
	// Two visible units that only a hidden one couples.
	m := New(3, 2)
	m.Couple(0, 2, 1)
	m.Couple(1, 2, 1)
	p, _, err := m.Distribution(1)
	if err != nil {
		panic(err)
	}
	x := make([]int8, 2)
	for v, w := range m.Marginal(p) {
		State(x, v)
		fmt.Printf("%2d %.4f\n", x, w)
	}
	// Output:
	// [-1 -1] 0.3950
	// [ 1 -1] 0.1050
	// [-1  1] 0.1050
	// [ 1  1] 0.3950
}
