package rbm

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// spins returns n spins; bit i of s is 1 for +1.
func spins(s, n int) []int8 {
	v := make([]int8, n)
	for i := range v {
		v[i] = int8(2*(s>>i&1) - 1)
	}
	return v
}

func near(t *testing.T, what string, got, want, limit float64) {
	t.Helper()
	if !(math.Abs(got-want) <= limit) {
		t.Errorf("%s = %.17g, want %.17g within %g", what, got, want, limit)
	}
}

// machine4x3 is the machine of testdata/rbm_4x3.json.
func machine4x3() *RBM {
	m := New(4, 3)
	for i := range m.Visible {
		for a := range m.Hidden {
			m.W[i*m.Hidden+a] = float32((3*i+5*a)%7-3) / 10
		}
		m.B[i] = float32(i-1) / 10
	}
	for a := range m.Hidden {
		m.C[a] = float32(1-a) / 5
	}
	return m
}

func TestExactValues(t *testing.T) {
	var exact struct {
		LnZ  json.Number   `json:"lnZ"`
		PV   []json.Number `json:"p_v"`
		PH   []json.Number `json:"ph1_given_s5"`
		Mean []json.Number `json:"mean_h_given_s5"`
		Free json.Number   `json:"free_energy_s5"`
	}
	text, err := os.ReadFile("testdata/rbm_4x3.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &exact); err != nil {
		t.Fatal(err)
	}
	value := func(n json.Number) float64 {
		x, err := strconv.ParseFloat(n.String(), 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	m := machine4x3()
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(exact.PV) != 16 || len(exact.PH) != 3 || len(exact.Mean) != 3 {
		t.Fatalf("%d, %d, %d exact values, want 16, 3, 3", len(exact.PV), len(exact.PH), len(exact.Mean))
	}
	// The weights are rounded to float32: 7 terms of at most 1.5e-8 each.
	const limit = 2e-7
	logZ := value(exact.LnZ)
	for s, p := range exact.PV {
		near(t, "p(v)", math.Exp(m.LogMarginal(spins(s, 4), logZ)), value(p), limit)
	}
	v := spins(5, 4)
	for a := range m.Hidden {
		near(t, "p(h=1|v)", m.HiddenProbability(v, a), value(exact.PH[a]), limit)
		near(t, "mean of h", m.HiddenMean(v, a), value(exact.Mean[a]), limit)
	}
	near(t, "free energy", m.FreeEnergy(v), value(exact.Free), limit)
}

func random(visible, hidden int, size float64) *RBM {
	r := rand.New(rand.NewPCG(1, uint64(visible)))
	m := New(visible, hidden)
	for _, list := range [][]float32{m.W, m.B, m.C} {
		for i := range list {
			list[i] = float32(size * r.NormFloat64())
		}
	}
	return m
}

// Every function against the sums of which it is the closed form.
func TestAgainstEnumeration(t *testing.T) {
	const limit = 1e-12
	for _, m := range []*RBM{random(5, 3, 0.7), random(2, 7, 2), random(1, 1, 0.1)} {
		z := 0.
		pv, ph := make([]float64, 1<<m.Visible), make([]float64, 1<<m.Hidden)
		for s := range pv {
			for g := range ph {
				w := math.Exp(-m.Energy(spins(s, m.Visible), spins(g, m.Hidden)))
				z += w
				pv[s] += w
				ph[g] += w
			}
		}
		for s := range pv {
			v := spins(s, m.Visible)
			near(t, "F(v)", m.FreeEnergy(v), -math.Log(pv[s]), limit*math.Log(z)*10)
			near(t, "ln p(v)", m.LogMarginal(v, math.Log(z)), math.Log(pv[s]/z), 1e-10)
			mean := make([]float64, m.Hidden)
			for g := range ph {
				h := spins(g, m.Hidden)
				p := math.Exp(-m.Energy(v, h)) / pv[s]
				near(t, "p(h|v)", m.HiddenConditional(h, v), p, limit)
				near(t, "p(v|h)", m.VisibleConditional(v, h), math.Exp(-m.Energy(v, h))/ph[g], limit)
				for a := range h {
					mean[a] += p * float64(h[a])
				}
			}
			for a := range mean {
				near(t, "mean of h", m.HiddenMean(v, a), mean[a], limit)
				near(t, "p(h=1|v)", m.HiddenProbability(v, a), (1+mean[a])/2, limit)
			}
		}
		for g := range ph {
			h := spins(g, m.Hidden)
			near(t, "F(h)", m.HiddenFreeEnergy(h), -math.Log(ph[g]), limit*math.Log(z)*10)
			mean := make([]float64, m.Visible)
			for s := range pv {
				v := spins(s, m.Visible)
				for i := range v {
					mean[i] += math.Exp(-m.Energy(v, h)) / ph[g] * float64(v[i])
				}
			}
			for i := range mean {
				near(t, "mean of v", m.VisibleMean(h, i), mean[i], limit)
				near(t, "p(v=1|h)", m.VisibleProbability(h, i), (1+mean[i])/2, limit)
			}
		}
	}
}

func TestLargeFields(t *testing.T) {
	m := New(1, 1)
	m.W[0] = 1e30
	up, down := []int8{1}, []int8{-1}
	near(t, "p(h=1|v=1)", m.HiddenProbability(up, 0), 1, 0)
	near(t, "p(h=1|v=-1)", m.HiddenProbability(down, 0), 0, 0)
	near(t, "F", m.FreeEnergy(down), -float64(m.W[0]), 0)
}

func TestValidate(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		change func(m *RBM)
		want   string
	}{
		{func(m *RBM) { m.W[7] = float32(math.NaN()) }, "W[2, 1] is NaN"},
		{func(m *RBM) { m.B[3] = inf }, "b[3] is +Inf"},
		{func(m *RBM) { m.C[2] = -inf }, "c[2] is -Inf"},
		{func(m *RBM) { m.W = m.W[1:] }, "11 weights"},
		{func(m *RBM) { m.Hidden = 0 }, "0 hidden"},
	} {
		m := machine4x3()
		c.change(m)
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Validate = %v, want %q", err, c.want)
		}
	}
}
