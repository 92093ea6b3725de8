package exact

import (
	"math"
	"testing"
)

func TestTorusTable(t *testing.T) {
	var table struct {
		Rows []struct {
			L    int
			T    string
			LnZ  string `json:"lnZ"`
			U, C string
			Abs  string `json:"abs_m"`
			M2   string `json:"m2"`
			M4   string `json:"m4"`
		}
	}
	truth(t, "torus", &table)
	for _, r := range table.Rows {
		temperature := TcSquare
		limit := 1e-15
		if r.T == "Tc" {
			limit = 1e-14 // its nearest float64 is not T_c
		} else {
			temperature = number(t, r.T)
		}
		x, err := NewTorus(r.L, temperature)
		if err != nil {
			t.Fatal(err)
		}
		abs, m2, m4, err := x.Moments()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			got  float64
			want string
		}{{"ln Z", x.LogZ(), r.LnZ}, {"energy", x.Energy(), r.U}, {"specific heat", x.SpecificHeat(), r.C},
			{"|m|", abs, r.Abs}, {"m²", m2, r.M2}, {"m⁴", m4, r.M4}} {
			if e := offFloat(c.got, decimal(t, c.want)); e > limit {
				t.Errorf("L %d T %s: %s off by %g", r.L, r.T, c.name, e)
			}
		}
	}
}

// Kaufman's formula against the counted states, from low to high T.
func TestKaufmanAgainstCounts(t *testing.T) {
	for l := 2; l <= 7; l++ {
		d, _ := TorusDensity(l)
		for _, temperature := range []float64{0.012, 0.05, 0.3, 1.5, 2.3, 7, 1e3} {
			x, err := NewTorus(l, temperature)
			if err != nil {
				t.Fatal(err)
			}
			p := precOf(400)
			k := p.Quo(p.Int(1), p.Float(temperature))
			z, e1, e2 := p.Int(0), p.Int(0), p.Int(0)
			for _, row := range d.at(p) {
				for q, n := range row {
					if n != nil {
						w := p.Mul(n, p.Exp(p.Scale(-4*q, k)))
						z.Add(z, w)
						e1.Add(e1, p.Scale(4*q, w))
						e2.Add(e2, p.Scale(16*q*q, w))
					}
				}
			}
			mean := p.Quo(e1, z)
			variance := p.Sub(p.Quo(e2, z), p.Mul(mean, mean))
			sites := l * l
			if e := offFloat(x.LogZ(), p.Add(p.Log(z), p.Scale(2*sites, k))); e > 1e-15 {
				t.Errorf("L %d T %g: ln Z off by %g", l, temperature, e)
			}
			if e := offFloat(x.Energy(), p.Sub(p.Quo(mean, p.Int(sites)), p.Int(2))); e > 1e-15 {
				t.Errorf("L %d T %g: energy off by %g", l, temperature, e)
			}
			if e := offFloat(x.SpecificHeat(), p.Quo(p.Mul(p.Mul(k, k), variance), p.Int(sites))); e > 1e-15 {
				t.Errorf("L %d T %g: specific heat off by %g", l, temperature, e)
			}
		}
	}
}

// So cold that the specific heat is below the range of a float64.
func TestColdTorus(t *testing.T) {
	x, err := NewTorus(128, 0.002)
	if err != nil {
		t.Fatal(err)
	}
	if c := x.SpecificHeat(); c != 0 || x.Energy() != -2 {
		t.Errorf("energy %v and specific heat %v, want -2 and 0", x.Energy(), c)
	}
	within(t, 1e-15, x.LogZ(), 2*128*128*500+math.Ln2, "ln Z")
}

// A large torus away from T_c has the infinite lattice's values per spin, up
// to e^{−L/ξ}.
func TestLargeTorusMeetsOnsager(t *testing.T) {
	for _, temperature := range []float64{1.2, 4} {
		x, err := NewTorus(96, temperature)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := NewOnsager(temperature)
		logM := 0.0
		if temperature < TcSquare {
			logM = math.Ln2 // two ordered phases
		}
		within(t, 1e-14, (x.LogZ()-logM)/(96*96), -o.FreeEnergy()/temperature, "T %g: ln Z per spin", temperature)
		within(t, 1e-14, x.Energy(), o.Energy(), "T %g: energy", temperature)
		within(t, 1e-12, x.SpecificHeat(), o.SpecificHeat(), "T %g: specific heat", temperature)
	}
	// At T_c, Ferdinand and Fisher: u = −√2 (1 + O(1/L)).
	x, _ := NewTorus(512, TcSquare)
	if u := x.Energy(); math.Abs(u+math.Sqrt2) > 1.5/512 {
		t.Errorf("energy of 512×512 at T_c: %v", u)
	}
}

func TestBadTorus(t *testing.T) {
	for _, c := range []struct {
		l int
		t float64
	}{{0, 1}, {1, 1}, {-4, 1}, {MaxTorus + 1, 1}, {4, 0}, {4, -1}, {4, math.NaN()}, {4, math.Inf(1)}} {
		if _, err := NewTorus(c.l, c.t); err == nil {
			t.Errorf("%+v is not an error", c)
		}
	}
	for _, temperature := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := NewOnsager(temperature); err == nil {
			t.Errorf("Onsager at T = %v is not an error", temperature)
		}
	}
}

func TestOnsagerTable(t *testing.T) {
	var table struct {
		Tc   string
		Rows []struct {
			T, U, F string
			M       string `json:"m_spont"`
		}
	}
	truth(t, "onsager", &table)
	if e := offFloat(TcSquare, decimal(t, table.Tc)); e > 1e-16 {
		t.Errorf("T_c off by %g", e)
	}
	if math.Abs(math.Sinh(2*KcSquare)-1) > 1e-15 || math.Abs(KcSquare*TcSquare-1) > 1e-15 {
		t.Error("K_c is not 1/T_c with sinh 2K_c = 1")
	}
	for _, r := range table.Rows {
		temperature, limit := TcSquare, 1e-14
		if r.T != "Tc" {
			temperature, limit = number(t, r.T), 2e-15
		}
		o, err := NewOnsager(temperature)
		if err != nil {
			t.Fatal(err)
		}
		// Near T_c one ulp of T moves u and m by many of theirs.
		near := 1 + 1/math.Max(1e-3, math.Abs(temperature/TcSquare-1))
		if e := offFloat(o.Energy(), decimal(t, r.U)); e > limit*near {
			t.Errorf("T %s: energy off by %g", r.T, e)
		}
		if e := offFloat(o.FreeEnergy(), decimal(t, r.F)); e > limit {
			t.Errorf("T %s: free energy off by %g", r.T, e)
		}
		if e := offFloat(o.Magnetization(), decimal(t, r.M)); e > limit*near {
			t.Errorf("T %s: magnetisation off by %g", r.T, e)
		}
	}
}

func BenchmarkTorus64(b *testing.B) {
	for b.Loop() {
		NewTorus(64, 2)
	}
}
