package couplings

import (
	"math"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"kadanoff/model/npy"
)

func read(t *testing.T, text string, o Options) *Couplings {
	t.Helper()
	c, err := Read(strings.NewReader(text), "f", o)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return c
}

// sums returns the summed values by pair.
func sums(c *Couplings) map[[2]int]float64 {
	m := map[[2]int]float64{}
	c.Sums(func(i, j int, v float64) { m[[2]int{i, j}] = v })
	return m
}

func TestCoo(t *testing.T) {
	c := read(t, "# a comment\n0 1 -1.50 # bond\n\n 2\t0 +3e-1\r\n1 1 .25\n1 0 1\n", Options{})
	want := map[[2]int]float64{{0, 1}: -0.5, {0, 2}: 0.3, {1, 1}: 0.25}
	got := sums(c)
	if c.Spins != 3 || len(got) != len(want) {
		t.Fatalf("%d spins, %v", c.Spins, got)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%v = %v, want %v", k, got[k], v)
		}
	}
	if len(c.Notes) != 1 || !strings.HasPrefix(c.Notes[0], "f:6: pair 0 1 was on line 2") {
		t.Errorf("notes %q", c.Notes)
	}
	job, s, err := c.Job()
	if err != nil || !s.Exact || s.Integer() || s.Energy(job.Sum()) != "1.05" || s.Energy(-1) != "-0.05" {
		t.Errorf("%+v %v: %s", s, err, s.Energy(job.Sum()))
	}
	d := sums(read(t, "0 1 2\n1 1 -3\n", Options{Dwave: true}))
	if d[[2]int{0, 1}] != -2 || d[[2]int{1, 1}] != 3 {
		t.Errorf("dwave signs: %v", d)
	}
}

func TestGset(t *testing.T) {
	c := read(t, "4 2\n1 2 1\n4 3 -2\n", Options{Format: Gset})
	got := sums(c)
	if c.Spins != 4 || got[[2]int{0, 1}] != -1 || got[[2]int{2, 3}] != 2 {
		t.Errorf("%d spins, %v", c.Spins, got)
	}
}

func TestMatrix(t *testing.T) {
	dir := t.TempDir()
	for name, m := range map[string][]float32{
		"symmetric": {0.5, 1, 0.1, 1, 0, -2, 0.1, -2, 0},
		"upper":     {0.5, 1, 0.1, 0, 0, -2, 0, 0, 0},
		"lower":     {0.5, 0, 0, 1, 0, 0, 0.1, -2, 0},
	} {
		path := filepath.Join(dir, name+".npy")
		if err := npy.WriteFile(path, m, 3, 3); err != nil {
			t.Fatal(err)
		}
		c, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		job, s, err := c.Job()
		if err != nil || !s.Exact || s.Exp10 != -1 || job.Field[0] != 5 || job.J(0, 1) != 10 || job.J(0, 2) != 1 || job.J(1, 2) != -20 {
			t.Errorf("%s: %+v %+v %v", name, job, s, err)
		}
	}
	for name, m := range map[string]struct {
		x     []float64
		shape []int
		want  string
	}{
		"not-square":    {[]float64{1, 2}, []int{1, 2}, "want a square matrix"},
		"not-symmetric": {[]float64{0, 1, 2, 0}, []int{2, 2}, "J[0,1] = 1 but J[1,0] = 2"},
		"nan":           {[]float64{0, math.NaN(), math.NaN(), 0}, []int{2, 2}, "J[0,1]"},
		"inf":           {[]float64{math.Inf(1), 0, 0, 0}, []int{2, 2}, "J[0,0]: \"+Inf\" is not a finite number"},
		"zero":          {[]float64{0, 0, 0, 0}, []int{2, 2}, ""},
	} {
		path := filepath.Join(dir, name+".npy")
		if err := npy.WriteFile(path, m.x, m.shape...); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, Options{})
		if m.want == "" && err != nil || m.want != "" && (err == nil || !strings.Contains(err.Error(), m.want) || !strings.HasPrefix(err.Error(), path)) {
			t.Errorf("%s: %v, want %q", name, err, m.want)
		}
	}
}

func TestBadText(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "f: no couplings",
		"# only a comment\n":     "f: no couplings",
		"0 1\n":                  "f:1: 2 values, want three",
		"0 1 2 3\n":              "f:1: 4 values",
		"\n0 x 1\n":              "f:2: \"x\" is not a spin",
		"0 -1 1\n":               "f:1: \"-1\" is not a spin",
		"0 1.0 1\n":              "f:1: \"1.0\" is not a spin",
		"0 99999999 1\n":         "f:1: \"99999999\" is not a spin",
		"0 1 abc\n":              "f:1: coupling \"abc\" is not a finite number",
		"0 1 nan\n":              "f:1: coupling \"nan\" is not a finite number",
		"0 1 -inf\n":             "f:1: coupling \"-inf\" is not a finite number",
		"0 1 1e400\n":            "f:1: coupling \"1e400\" is not a finite number",
		"0 1 1e-999\n":           "f:1: coupling \"1e-999\" is not a number within",
		"0 1 0x10\n":             "f:1: coupling \"0x10\" is not",
		"0 1 " + longLine + "\n": "f:1: a line of more than",
	} {
		_, err := Read(strings.NewReader(text), "f", Options{})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"3\n":              "f:1: 1 values, want the first line",
		"0 1\n":            "f:1: \"0\" vertices",
		"3 x\n":            "f:1: \"x\" edges",
		"3 1\n0 1 1\n":     "f:2: \"0\" is not a spin, want an integer from 1 to 3",
		"3 1\n1 4 1\n":     "f:2: \"4\" is not a spin",
		"3 1\n2 2 1\n":     "f:2: vertex 2 is joined to itself",
		"3 2\n1 2 1\n":     "f: 1 edges, but the first line promises 2",
		"3 1\n1 2\n":       "f:2: 2 values",
		"3 1\n1 2 weird\n": "f:2: weight \"weird\"",
	} {
		_, err := Read(strings.NewReader(text), "f", Options{Format: Gset})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("gset %q: %v, want %q", text, err, want)
		}
	}
}

var longLine = strings.Repeat("9", maxLine)

func TestFixedPoint(t *testing.T) {
	for text, want := range map[string]struct {
		exact, integer bool
		unit           float64
		field          int32
		energy         string // of −1
	}{
		"0 0 3\n":                               {true, true, 3, 1, "-3"},
		"0 0 -7\n0 1 14\n":                      {true, true, 7, -1, "-7"},
		"0 0 5e9\n":                             {true, true, 5e9, 1, "-5000000000"},
		"0 0 0.125\n1 1 3\n":                    {true, false, 0.125, 1, "-0.125"},
		"0 0 0\n":                               {true, true, 1, 0, "-1"},
		"0 0 1.5\n0 0 -1.5\n1 1 2\n":            {true, true, 2, 0, "-2"},
		"0 0 0.123456789123\n1 1 0.25\n":        {false, false, 0x1p-31, 265121436, "-0.0000000004656612873077392578125"},
		"0 0 123456789012.5\n1 1 0.25\n":        {false, true, 128, 964506164, "-128"},
		"0 0 123456789.75\n1 1 12345678.3001\n": {false, false, 0.25, 493827159, "-0.25"},
	} {
		job, s, err := read(t, text, Options{}).Job()
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if s.Exact != want.exact || s.Integer() != want.integer || job.Unit != want.unit || job.Field[0] != want.field || s.Energy(-1) != want.energy {
			t.Errorf("%q: %+v, unit %v, field %d, energy %s", text, s, job.Unit, job.Field[0], s.Energy(-1))
		}
		if (s.RoundError == 0) != s.Exact || s.RoundError > s.Unit()/2 {
			t.Errorf("%q: rounding error %v with unit %v", text, s.RoundError, s.Unit())
		}
	}
	if _, _, err := read(t, "0 0 1073741824\n1 1 1\n", Options{}).Job(); err == nil || !strings.Contains(err.Error(), "divided by 2^1 ") {
		t.Errorf("integers beyond the range: %v", err)
	}
	if _, _, err := read(t, "0 60 1\n", Options{}).Job(); err == nil || !strings.Contains(err.Error(), "61 spins") {
		t.Errorf("61 spins: %v", err)
	}
}

func TestNearest(t *testing.T) {
	for x, want := range map[[2]int64]int64{{5, 2}: 2, {7, 2}: 4, {-5, 2}: -2, {-7, 2}: -4, {1, 3}: 0, {2, 3}: 1, {-2, 3}: -1, {4, 1}: 4} {
		if got := nearest(big.NewRat(x[0], x[1])); got != want {
			t.Errorf("nearest(%d/%d) = %d, want %d", x[0], x[1], got, want)
		}
	}
}

// An exact job's energies are those of the decimals, digit by digit.
func TestEnergiesAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var b strings.Builder
		total := new(big.Rat)
		decimals := rng.IntN(5)
		for i := range 7 {
			v := big.NewRat(rng.Int64N(20001)-10000, 1)
			v.Quo(v, new(big.Rat).SetInt(power10(decimals)))
			b.WriteString(strings.Join([]string{string(rune('0' + i)), string(rune('0' + i)), v.FloatString(decimals)}, " ") + "\n")
			total.Sub(total, v) // the state of all +1
		}
		job, s, err := read(t, b.String(), Options{}).Job()
		if err != nil {
			t.Fatal(err)
		}
		e := int64(0)
		for _, h := range job.Field {
			e -= int64(h)
		}
		got, ok := new(big.Rat).SetString(s.Energy(e))
		if !ok || got.Cmp(total) != 0 {
			t.Fatalf("%s: energy %s, want %s", b.String(), s.Energy(e), total.FloatString(6))
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"0 1 -1.5\n1 1 .25\n", "4 2\n1 2 1\n4 3 -2\n", "0 1 1e300\n1 2 1e-300\n", "# x\n0 0 9999999999\n", "0 1 123456789123456789123\n"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, gset bool) {
		o := Options{}
		if gset {
			o.Format = Gset
		}
		c, err := Read(strings.NewReader(text), "f", o)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") || strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("error %q does not name the file in one line", err)
			}
			return
		}
		if c.Spins < 1 || c.Spins > MaxSpins {
			t.Fatalf("%d spins", c.Spins)
		}
		job, s, err := c.Job()
		if err != nil {
			return
		}
		if err := job.Check(); err != nil {
			t.Fatalf("Job gives a job that is refused: %v", err)
		}
		if e := s.Energy(-job.Sum()); strings.ContainsAny(e, "eE") {
			t.Fatalf("energy %s", e)
		}
	})
}
