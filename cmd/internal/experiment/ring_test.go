package experiment

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"kadanoff/exact"
	"kadanoff/model/rbm"
	"kadanoff/model/rg"
)

func TestRingChecks(t *testing.T) {
	for _, s := range []Ring{NewRing(false), NewRing(true), smallRing()} {
		if err := s.Check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for flag, change := range map[string]func(s *Ring){
		"--size 7":        func(s *Ring) { s.Size = 7 },
		"--size 2":        func(s *Ring) { s.Size = 2 },
		"--size 20":       func(s *Ring) { s.Size = 20 },
		"--hidden 0":      func(s *Ring) { s.Hidden = 0 },
		"--hidden 13":     func(s *Ring) { s.Hidden = 13 },
		"--k :":           func(s *Ring) { s.K = nil },
		"--k 1,1":         func(s *Ring) { s.K = couplings{1, 1} },
		"--k 0,1":         func(s *Ring) { s.K = couplings{0, 1} },
		"--k 11":          func(s *Ring) { s.K = couplings{11} },
		"--samples 1:":    func(s *Ring) { s.Samples = 1 },
		"--fresh 1:":      func(s *Ring) { s.Fresh = 1 },
		"--machines 1":    func(s *Ring) { s.Machines = 1 },
		"--flow-steps 0":  func(s *Ring) { s.FlowSteps = 0 },
		"--rate 0":        func(s *Ring) { s.Rate = 0 },
		"--momentum 1":    func(s *Ring) { s.Momentum = 1 },
		"--epochs 0":      func(s *Ring) { s.Epochs = 0 },
		"--machines 2000": func(s *Ring) { s.Machines = 2000 },
	} {
		s := NewRing(false)
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), flag) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want one line that says %q", err, flag)
		}
	}
}

// A half step keeps probabilities, and a machine's own distribution is where
// its flow stays; that of a ring in a machine that is the ring exactly, too.
func TestHalfSteps(t *testing.T) {
	const m, k = 6, 0.8
	q, err := exact.RingStates(m, k)
	if err != nil {
		t.Fatal(err)
	}
	bonds, err := rg.BondRBM(m, k)
	if err != nil {
		t.Fatal(err)
	}
	machine := Exact(bonds)
	hidden := half(machine, q)
	sum := 0.
	for _, p := range hidden {
		sum += p
	}
	if math.Abs(sum-1) > 1e-14 {
		t.Errorf("probabilities add up to %v", sum)
	}
	for state, p := range half(machine.Transpose(), hidden) {
		if math.Abs(p-q[state]) > 1e-7 { // weights are float32
			t.Fatalf("state %d has probability %v after a step, want %v", state, p, q[state])
		}
	}
	if got := rg.CouplingOf(neighbours(q, m), m); math.Abs(got-k) > 1e-12 {
		t.Errorf("K = %v of the ring's distribution, want %v", got, k)
	}

	// Against the definition, p(h) = Σ_v p(v) Π p(h_a | v), with biases.
	r := rbm.New(3, 2)
	for i := range r.W {
		r.W[i] = float32(i)/4 - 0.5
	}
	r.C[1] = 0.3
	p := []float64{0.1, 0, 0.2, 0.05, 0.25, 0.15, 0.05, 0.2}
	got := half(Exact(r), p)
	for h := range 4 {
		want := 0.
		for v, x := range p {
			visible := []int8{int8(v&1*2 - 1), int8(v>>1&1*2 - 1), int8(v>>2&1*2 - 1)}
			want += x * r.HiddenConditional([]int8{int8(h&1*2 - 1), int8(h>>1&1*2 - 1)}, visible)
		}
		if math.Abs(got[h]-want) > 1e-15 {
			t.Errorf("hidden state %d: %v, want %v", h, got[h], want)
		}
	}
}

// What is exact about the claims for M = 8, N = 4: the roots, the divergence of
// one weight for all pairs, the coupling its flow goes to, and decimation; and
// training finds them within five standard errors.
func TestRingExperiment(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	s := NewRing(true)
	s.Machines, s.Epochs, s.Fresh = 3, 250, 200
	doc, sum, err := RunRing(context.Background(), s, options(t.TempDir(), 2, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Page.Sections) != 2 || len(sum.Couplings) != 2 {
		t.Fatalf("%d sections, %d couplings", len(doc.Page.Sections), len(sum.Couplings))
	}
	for i, want := range []struct{ k, w, kl, decimated float64 }{
		{0.5, 0.188733321732339617858, math.NaN(), 0.21689041524151336},
		{1, 0.306308329811523071085, 0.577930474430537254128, 0.6625013736789322},
	} {
		r := sum.Couplings[i]
		if float64(r.K) != want.k || math.Abs(float64(r.W)/want.w-1) > 1e-14 || math.Abs(float64(r.Decimated)/want.decimated-1) > 1e-12 {
			t.Errorf("K %v, W %v, decimated %v, want %+v", r.K, r.W, r.Decimated, want)
		}
		if !math.IsNaN(want.kl) && math.Abs(float64(r.Uniform)-want.kl) > 1e-7 { // the machine's weights are float32
			t.Errorf("divergence of W(K) %v, want %v", r.Uniform, want.kl)
		}
		// In closed form, from the uniform machine's pair correlation.
		u, err := exact.NewUniformRBM(8, 4, want.w)
		if err != nil {
			t.Fatal(err)
		}
		if end := rg.CouplingOf(u.PairCorrelation(), 8); math.Abs(float64(r.EndUniform)-end) > 1e-6 {
			t.Errorf("the uniform machine's flow goes to %v, want %v", r.EndUniform, end)
		}
		if d := math.Abs(float64(r.Tied) - want.w); !(d < 5*float64(r.TiedError)) {
			t.Errorf("tied weight %v ± %v, want %v", r.Tied, r.TiedError, want.w)
		}
		if !(float64(r.FullDivergence) < 0.2*float64(r.Uniform)) || !(float64(r.EndFull)-float64(r.EndUniform) > 5*float64(r.EndFullE)) {
			t.Errorf("free weights: divergence %v, end %v ± %v against %v", r.FullDivergence, r.EndFull, r.EndFullE, r.EndUniform)
		}
	}
	// Samples agree with sums over all states.
	var pulls struct{ Rows [][]any }
	if err := json.Unmarshal([]byte(tables(t, doc)["ring-pulls.json"]), &pulls); err != nil || len(pulls.Rows) != 3 {
		t.Fatalf("%v, %v", pulls, err)
	}
	for _, row := range pulls.Rows {
		if n, rms, largest := row[1].(float64), row[2].(float64), row[3].(float64); n < 30 || !(largest < 5) || !(rms > 0.5 && rms < 2) {
			t.Errorf("%v", row)
		}
	}
}
