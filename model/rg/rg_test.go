package rg

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"kadanoff/model/rbm"
)

func table(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func within(t *testing.T, limit, got, want float64, format string, args ...any) {
	t.Helper()
	if e := math.Abs(got - want); !(e <= limit*math.Max(math.Abs(want), 1e-300)) {
		t.Errorf(format+": %v, want %v", append(args, got, want)...)
	}
}

func TestDecimationTable(t *testing.T) {
	var d struct {
		Rows []struct {
			KStart string `json:"K_start"`
			Rows   []struct {
				N         int
				K, K0, Xi string
			}
		}
	}
	table(t, "decimation", &d)
	for _, start := range d.Rows {
		flow := Flow(number(t, start.KStart), 0, len(start.Rows)-1)
		for i, r := range start.Rows {
			limit := 2e-16 * math.Exp2(float64(i)) // each step doubles an error
			within(t, limit, flow[i].K, number(t, r.K), "K after %d steps from %s", i, start.KStart)
			within(t, 1e-15, flow[i].K0, number(t, r.K0), "K0 after %d steps from %s", i, start.KStart)
			within(t, limit, CorrelationLength(flow[i].K), number(t, r.Xi), "ξ after %d steps from %s", i, start.KStart)
		}
	}
}

func TestDecimationFixedPoints(t *testing.T) {
	for _, k := range []float64{0, math.Inf(1)} {
		if got := Decimate(k); got != k {
			t.Errorf("fixed point %v goes to %v", k, got)
		}
	}
	if Decimate(-1) != Decimate(1) || Decimate(-1) <= 0 {
		t.Error("K and −K must give the same K′ > 0")
	}
	if !math.IsNaN(Decimate(math.NaN())) {
		t.Error("NaN has a decimation")
	}
	got := []float64{1, 2, 3}
	DecimateAll(got, got)
	for i, k := range got {
		if k != Decimate(float64(i+1)) {
			t.Errorf("batch [%d]: %v", i, k)
		}
	}
}

// logZ is ln Z of a ring.
func logZ(m int, k float64) float64 {
	return math.Log(math.Pow(2*math.Cosh(k), float64(m)) + math.Pow(2*math.Sinh(k), float64(m)))
}

func TestDecimationKeepsZ(t *testing.T) {
	const m, k, k0 = 12, 0.7, 0.1
	a := logZ(m, k) + m*k0
	b := logZ(m/2, Decimate(k)) + m/2*DecimateConstant(k, k0)
	within(t, 1e-15, b, a, "ln Z after decimation")
}

// sampleRing draws rings bond by bond from the exact distribution.
func sampleRing(rng *rand.Rand, chains, m int, k float64) []int8 {
	states := make([]int8, chains*m)
	// P(s_i | s_{i−1}, s_0) ∝ e^{K s s′} times the weight of the way back to s_0.
	t := math.Tanh(k)
	for row := range chains {
		s := states[row*m : (row+1)*m]
		s[0] = int8(2*rng.IntN(2) - 1)
		for i := 1; i < m; i++ {
			back := math.Pow(t, float64(m-i))
			weight := func(x int8) float64 {
				return math.Exp(k*float64(s[i-1]*x)) * (1 + back*float64(x*s[0]))
			}
			s[i] = -1
			if up := weight(1); rng.Float64()*(up+weight(-1)) < up {
				s[i] = 1
			}
		}
	}
	return states
}

// Dropping every second sampled spin renormalises the coupling.
func TestDecimatedConfigurations(t *testing.T) {
	const m, chains = 16, 20000
	rng := rand.New(rand.NewPCG(1, 2))
	for _, k := range []float64{0.3, 0.8, -0.6} {
		states := sampleRing(rng, chains, m, k)
		size, want := m, k
		for range 3 {
			got, err := MeasureCoupling(states, size)
			if err != nil {
				t.Fatal(err)
			}
			// dK = dc/(1 − c²) or so, and c has at most 1/√chains of error a site.
			limit := 5 * math.Cosh(want) * math.Cosh(want) * math.Cosh(want) / math.Sqrt(chains)
			if math.Abs(got-want) > limit {
				t.Errorf("K of %d spins from %v: measured %v, want %v ± %v", size, k, got, want, limit)
			}
			if states, err = DecimateSpins(states, size); err != nil {
				t.Fatal(err)
			}
			size, want = size/2, Decimate(want)
		}
	}
	for _, size := range []int{0, -2, 3, 7} {
		if _, err := DecimateSpins(make([]int8, 21), size); err == nil {
			t.Errorf("decimating rings of %d is not an error", size)
		}
	}
	if _, err := MeasureCoupling(make([]int8, 5), 2); err == nil {
		t.Error("half a ring is not an error")
	}
}

func TestCouplingOfInvertsTheCorrelation(t *testing.T) {
	for _, size := range []int{2, 3, 4, 5, 8, 31} {
		for _, k := range []float64{-2, -0.4, 0.01, 0.5, 1, 3} {
			within(t, 1e-9, CouplingOf(neighbours(k, size), size), k, "K from its correlation, size %d", size)
		}
	}
	if !math.IsInf(CouplingOf(1, 8), 1) || !math.IsInf(CouplingOf(-1, 8), -1) {
		t.Error("full correlation does not give infinite K")
	}
}

func TestUniformFlowTable(t *testing.T) {
	var d struct {
		Rows []struct {
			M, N       int
			W          string
			MStar      string   `json:"m_star"`
			Multiplier string   `json:"multiplier"`
			Flow       []string `json:"flow_from_V0_2"`
		}
		Flows []struct {
			V0  float64
			Seq []string `json:"m_seq"`
		}
	}
	table(t, "uniform", &d)
	for _, r := range d.Rows {
		f, err := NewUniformFlow(r.M, r.N, number(t, r.W))
		if err != nil {
			t.Fatal(err)
		}
		m, multiplier := f.FixedPoint()
		within(t, 1e-14, m, number(t, r.MStar), "m* at W %s", r.W)
		within(t, 1e-13, multiplier, number(t, r.Multiplier), "multiplier at W %s", r.W)
		flow := f.Flow(0.25, len(r.Flow))
		for i, want := range r.Flow {
			within(t, 1e-14, flow[i+1], number(t, want), "m after %d steps at W %s", i+1, r.W)
		}
	}
	f, _ := NewUniformFlow(8, 4, 0.3)
	for _, r := range d.Flows {
		for i, m := range f.Flow(r.V0/8, len(r.Seq)-1) {
			within(t, 1e-14, m, number(t, r.Seq[i]), "m after %d steps from V = %v", i, r.V0)
		}
	}
}

func TestUniformFlowLimits(t *testing.T) {
	w := CriticalW(8, 4)
	for _, c := range []struct{ w, m float64 }{{w, 0}, {0.9 * w, 0}, {0, 0}, {math.Inf(1), 1}, {50, 1}} {
		m, _ := UniformFlow{8, 4, c.w}.FixedPoint()
		if m != c.m {
			t.Errorf("m* at W = %v is %v, want %v", c.w, m, c.m)
		}
	}
	// Just above the critical W, m*² ≈ 3(W²MN − 1)/(1 + M/N).
	for _, eps := range []float64{1e-4, 1e-6} {
		m, _ := UniformFlow{8, 4, w * (1 + eps/2)}.FixedPoint()
		// m = tanh(a tanh(b m)), ab = 1+ε: ε = m² b²/3 (1 + a²…)
		a, b := 4*w, 8*w
		within(t, 3e-2*math.Sqrt(eps/1e-4)+1e-3, m, math.Sqrt(3*eps/(b*b+1)), "m* at ab = 1 + %v (a = %v)", eps, a)
	}
	inf := UniformFlow{8, 4, math.Inf(1)}
	if inf.Step(0) != 0 || inf.Step(0.25) != 1 || inf.Step(-1e-9) != -1 {
		t.Error("W = ∞ must give the sign of m, and keep 0")
	}
	neg := UniformFlow{8, 4, -0.3}
	if pos := (UniformFlow{8, 4, 0.3}); neg.Step(0.5) != pos.Step(0.5) {
		t.Error("W and −W must flow alike")
	}
	for _, bad := range []UniformFlow{{0, 1, 1}, {1, 0, 1}, {1, 1, math.NaN()}} {
		if _, err := NewUniformFlow(bad.M, bad.N, bad.W); err == nil {
			t.Errorf("%+v is not an error", bad)
		}
	}
}

// A machine with uniform weights carries any configuration with mean m as the
// uniform flow does.
func TestReconstructIsTheUniformFlow(t *testing.T) {
	const w = 0.3125 // exact in float32
	r := rbm.New(7, 3)
	for i := range r.W {
		r.W[i] = w
	}
	v := []float64{1, -1, 1, 1, 1, -1, 1}
	f, _ := NewUniformFlow(7, 3, w)
	m := 3. / 7
	for range 5 {
		Reconstruct(v, v, r)
		m = f.Step(m)
		for i := range v {
			within(t, 1e-14, v[i], m, "v[%d]", i)
		}
	}
	// Biases and different weights, against sums written out.
	r = rbm.New(2, 1)
	copy(r.W, []float32{0.5, -0.25})
	copy(r.B, []float32{0.125, -1})
	r.C[0] = 0.75
	h := Reconstruct(v[:2], []float64{0.5, -1}, r)
	within(t, 1e-15, h[0], math.Tanh(0.25+0.25+0.75), "h")
	within(t, 1e-15, v[0], math.Tanh(0.5*h[0]+0.125), "v_0")
	within(t, 1e-15, v[1], math.Tanh(-0.25*h[0]-1), "v_1")
}

// kl is the divergence from a ring to a machine's visible layer, by summing
// over all states.
func kl(r *rbm.RBM, k float64) float64 {
	m := r.Visible
	v := make([]int8, m)
	var f, e []float64
	zf, ze := 0.0, 0.0
	for s := range 1 << m {
		bonds := 0.0
		for i := range v {
			v[i] = int8(s>>i&1*2 - 1)
		}
		for i := range v {
			bonds += float64(v[i] * v[(i+1)%m])
		}
		f, e = append(f, -r.FreeEnergy(v)), append(e, k*bonds)
		zf += math.Exp(f[s])
		ze += math.Exp(e[s])
	}
	sum := 0.0
	for s := range f {
		sum += math.Exp(e[s]) / ze * (e[s] - math.Log(ze) - f[s] + math.Log(zf))
	}
	return sum
}

func TestFullWeightTable(t *testing.T) {
	var d struct {
		Rows []struct {
			M      int
			K      string
			W      string            `json:"N_eq_M_bond_W"`
			Centre map[string]string `json:"KL_N_eq_M_half_center"`
		}
	}
	table(t, "full_weights", &d)
	for _, row := range d.Rows {
		k := number(t, row.K)
		w, err := BondWeight(k)
		if err != nil {
			t.Fatal(err)
		}
		within(t, 1e-15, w, number(t, row.W), "bond weight at K %s", row.K)
		within(t, 1e-15, Decimate(w), k, "decimated bond weight at K %s", row.K)
		if row.M > 8 {
			continue
		}
		r, err := BondRBM(row.M, k)
		if err != nil {
			t.Fatal(err)
		}
		// float32 weights are off by 6e-8, which the divergence feels squared.
		if d := kl(r, k); math.Abs(d) > 1e-12 {
			t.Errorf("M %d K %s: KL of the bond machine %g, want 0", row.M, row.K, d)
		}
		for centre, want := range row.Centre {
			r, err := SublatticeRBM(row.M, k, number(t, centre))
			if err != nil {
				t.Fatal(err)
			}
			if d := kl(r, k); math.Abs(d-number(t, want)) > 1e-6*number(t, want)+1e-11 {
				t.Errorf("M %d K %s w %s: KL %g, want %s", row.M, row.K, centre, d, want)
			}
		}
	}
	for _, k := range []float64{-1, math.NaN(), math.Inf(1)} {
		if _, err := BondRBM(8, k); err == nil {
			t.Errorf("bond machine at K = %v is not an error", k)
		}
	}
	for _, m := range []int{0, 2, 5} {
		if _, err := SublatticeRBM(m, 1, 1); err == nil {
			t.Errorf("sublattice machine of %d is not an error", m)
		}
	}
	if w, err := BondWeight(1e6); err != nil || math.Abs(w-1e6-math.Ln2/2) > 1e-9 {
		t.Errorf("bond weight at K = 1e6: %v, %v", w, err)
	}
}

func ExampleFlow() {
	for _, p := range Flow(1, 0, 2) {
		fmt.Printf("%d %.6f %.6f\n", p.Step, p.K, p.K0)
	}
	// Output:
	// 0 1.000000 0.000000
	// 1 0.662501 1.355649
	// 2 0.350061 3.754505
}
