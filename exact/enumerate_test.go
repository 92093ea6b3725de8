package exact

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func randomRBM(nv, nh int, width float64) RBM {
	rng := rand.New(rand.NewPCG(uint64(nv), uint64(nh)))
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = width * rng.NormFloat64()
		}
		return x
	}
	return RBM{Visible: nv, Hidden: nh, W: draw(nv * nh), B: draw(nv), C: draw(nh)}
}

// The plainest sum over all visible and hidden states.
func (r RBM) plain() *Moments {
	nv, nh := r.Visible, r.Hidden
	m := &Moments{V: make([]float64, nv), H: make([]float64, nh), VV: make([]float64, nv*nv), HH: make([]float64, nh*nh), VH: make([]float64, nv*nh)}
	z := 0.0
	x := make([]float64, nv+nh)
	for s := range 1 << (nv + nh) {
		for i := range x {
			x[i] = spin(s, i)
		}
		v, h := x[:nv], x[nv:]
		e := 0.0
		for i := range v {
			e -= r.B[i] * v[i]
			for a := range h {
				e -= r.W[i*nh+a] * v[i] * h[a]
			}
		}
		for a := range h {
			e -= r.C[a] * h[a]
		}
		w := math.Exp(-e)
		z += w
		for i := range v {
			m.V[i] += w * v[i]
			for j := range v {
				m.VV[i*nv+j] += w * v[i] * v[j]
			}
			for a := range h {
				m.VH[i*nh+a] += w * v[i] * h[a]
			}
		}
		for a := range h {
			m.H[a] += w * h[a]
			for b := range h {
				m.HH[a*nh+b] += w * h[a] * h[b]
			}
		}
	}
	for _, xs := range [][]float64{m.V, m.H, m.VV, m.HH, m.VH} {
		for i := range xs {
			xs[i] /= z
		}
	}
	m.LogZ = math.Log(z)
	return m
}

func closeAll(t *testing.T, limit float64, got, want []float64, name string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= limit) {
			t.Errorf("%s[%d]: %v, want %v", name, i, got[i], want[i])
		}
	}
}

func TestRBMAgainstPlainSum(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {7, 3}, {3, 7}, {5, 5}, {1, 11}, {11, 1}} {
		r := randomRBM(size[0], size[1], 0.7)
		want := r.plain()
		got, err := r.Moments()
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint(size)
		within(t, 1e-14, got.LogZ, want.LogZ, "%v: ln Z", size)
		closeAll(t, 1e-13, got.V, want.V, name+" v")
		closeAll(t, 1e-13, got.H, want.H, name+" h")
		closeAll(t, 1e-13, got.VV, want.VV, name+" vv")
		closeAll(t, 1e-13, got.HH, want.HH, name+" hh")
		closeAll(t, 1e-13, got.VH, want.VH, name+" vh")
		p, err := r.VisibleDistribution()
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float64, r.Visible)
		for s, x := range p {
			for i := range v {
				v[i] = spin(s, i)
			}
			within(t, 1e-13, x, math.Exp(-r.FreeEnergy(v)-want.LogZ), "%v: P(v = %b)", size, s)
		}
	}
}

func TestRBMTable(t *testing.T) {
	var table struct {
		RBM struct {
			LnZ  string   `json:"lnZ"`
			P    []string `json:"p_v"`
			Ph   []string `json:"ph1_given_s5"`
			Mean []string `json:"mean_h_given_s5"`
			F    string   `json:"free_energy_s5"`
		}
	}
	truth(t, "small", &table)
	r := RBM{Visible: 4, Hidden: 3, W: make([]float64, 12), B: make([]float64, 4), C: make([]float64, 3)}
	for i := range 4 {
		r.B[i] = float64(i-1) / 10
		for a := range 3 {
			r.W[i*3+a] = float64((3*i+5*a)%7-3) / 10
			r.C[a] = float64(1-a) / 5
		}
	}
	logZ, err := r.LogZ()
	if e := offFloat(logZ, decimal(t, table.RBM.LnZ)); err != nil || e > 1e-15 {
		t.Errorf("ln Z off by %g, %v", e, err)
	}
	p, _ := r.VisibleDistribution()
	for s, want := range table.RBM.P {
		if e := offFloat(p[s], decimal(t, want)); e > 1e-14 {
			t.Errorf("P(v = %b) off by %g", s, e)
		}
	}
	v := []float64{1, -1, 1, -1} // state 5
	h := make([]float64, 3)
	r.HiddenMeans(h, v)
	for a := range h {
		if e := offFloat(h[a], decimal(t, table.RBM.Mean[a])); e > 1e-15 {
			t.Errorf("E[h_%d | v] off by %g", a, e)
		}
	}
	r.HiddenProbabilities(h, v)
	for a := range h {
		if e := offFloat(h[a], decimal(t, table.RBM.Ph[a])); e > 1e-15 {
			t.Errorf("P(h_%d | v) off by %g", a, e)
		}
	}
	if e := offFloat(r.FreeEnergy(v), decimal(t, table.RBM.F)); e > 1e-15 {
		t.Errorf("free energy off by %g", e)
	}
}

// Weights whose Boltzmann factors overflow a float64.
func TestLargeWeights(t *testing.T) {
	r := randomRBM(9, 6, 400)
	logZ, err := r.LogZ()
	if err != nil {
		t.Fatal(err)
	}
	best := math.Inf(-1)
	h := make([]float64, 6)
	for s := range 1 << 6 {
		for a := range h {
			h[a] = spin(s, a)
		}
		best = max(best, -r.Transpose().FreeEnergy(h))
	}
	if logZ < best || logZ > best+6*math.Ln2 {
		t.Errorf("ln Z = %v, largest term %v", logZ, best)
	}
	m, err := r.Moments()
	if err != nil || math.IsNaN(m.VV[1]) || math.Abs(m.V[0]) > 1 {
		t.Errorf("moments: %v, %v", m, err)
	}
}

func TestBoltzmannTable(t *testing.T) {
	var table struct {
		Boltzmann struct {
			LnZ  string `json:"lnZ"`
			Grad map[string]struct{ W, Model string }
		}
	}
	truth(t, "small", &table)
	b := Boltzmann{J: make([]float64, 25), Field: make([]float64, 5), T: 1}
	for key, g := range table.Boltzmann.Grad {
		var i, j int
		fmt.Sscanf(key, "%d,%d", &i, &j)
		b.J[i*5+j] = number(t, g.W)
		b.J[j*5+i] = number(t, g.W)
	}
	logZ, _, pair, err := b.Moments()
	if e := offFloat(logZ, decimal(t, table.Boltzmann.LnZ)); err != nil || e > 1e-15 {
		t.Errorf("ln Z off by %g, %v", e, err)
	}
	for key, g := range table.Boltzmann.Grad {
		var i, j int
		fmt.Sscanf(key, "%d,%d", &i, &j)
		if e := offFloat(pair[i*5+j], decimal(t, g.Model)); e > 1e-14 {
			t.Errorf("⟨x_%d x_%d⟩ off by %g", i, j, e)
		}
	}
}

// A Boltzmann machine without couplings inside its layers is an RBM, and T
// divides everything.
func TestBoltzmannIsAnRBM(t *testing.T) {
	r := randomRBM(5, 4, 0.8)
	n := r.Visible + r.Hidden
	b := Boltzmann{J: make([]float64, n*n), Field: append(append([]float64{}, r.B...), r.C...), T: 2.5}
	for i := range r.Visible {
		for a := range r.Hidden {
			j := r.Visible + a
			b.J[i*n+j], b.J[j*n+i] = r.W[i*r.Hidden+a], r.W[i*r.Hidden+a]
		}
	}
	cool := r
	scale := func(xs []float64) []float64 {
		ys := make([]float64, len(xs))
		for i, x := range xs {
			ys[i] = x / b.T
		}
		return ys
	}
	cool.W, cool.B, cool.C = scale(r.W), scale(r.B), scale(r.C)
	want, err := cool.Moments()
	if err != nil {
		t.Fatal(err)
	}
	logZ, mean, pair, err := b.Moments()
	if err != nil {
		t.Fatal(err)
	}
	within(t, 1e-14, logZ, want.LogZ, "ln Z")
	closeAll(t, 1e-13, mean, append(append([]float64{}, want.V...), want.H...), "means")
	for i := range r.Visible {
		for a := range r.Hidden {
			within(t, 1e-12, pair[i*n+r.Visible+a], want.VH[i*r.Hidden+a], "⟨v_%d h_%d⟩", i, a)
		}
	}
	p, err := b.Distribution()
	if err != nil {
		t.Fatal(err)
	}
	byV := make([]float64, 1<<r.Visible)
	for s, x := range p {
		byV[s&(len(byV)-1)] += x
	}
	visible, _ := cool.VisibleDistribution()
	closeAll(t, 1e-14, byV, visible, "P(v)")
}

func TestBadMachines(t *testing.T) {
	for _, r := range []RBM{{}, {Visible: 2, Hidden: 1, W: []float64{1}, B: []float64{0, 0}, C: []float64{0}}, randomRBM(MaxEnumerated+1, MaxEnumerated+1, 1)} {
		if _, err := r.LogZ(); err == nil {
			t.Errorf("RBM of %d by %d is not an error", r.Visible, r.Hidden)
		}
	}
	if _, err := randomRBM(MaxListed+1, 2, 1).VisibleDistribution(); err == nil {
		t.Error("too many visible states to list is not an error")
	}
	two := []float64{0, 1, 1, 0}
	for _, b := range []Boltzmann{{}, {J: two, Field: []float64{0, 0}}, {J: two[:3], Field: []float64{0, 0}, T: 1}, {J: []float64{0, 1, 2, 0}, Field: []float64{0, 0}, T: 1}} {
		if _, err := b.LogZ(); err == nil {
			t.Errorf("%+v is not an error", b)
		}
	}
}

// Goal: well under a second for 2^16 hidden states and 64 visible units.
func BenchmarkMoments64x16(b *testing.B) {
	r := randomRBM(64, 16, 0.1)
	for b.Loop() {
		r.Moments()
	}
}

func BenchmarkLogZ64x16(b *testing.B) {
	r := randomRBM(64, 16, 0.1)
	for b.Loop() {
		r.LogZ()
	}
}
