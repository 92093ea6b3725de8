package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"kadanoff/model/boltzmann"
	"kadanoff/model/modelfile"
	"kadanoff/model/npy"
)

type memory struct {
	Units, Patterns, Retrieved int
	Load                       float64
	Recall                     []struct {
		Pattern int
		Before  float64 `json:"overlap_before"`
		After   float64 `json:"overlap_after"`
		Energy  float64
		Stored  float64 `json:"pattern_energy"`
		Sweeps  int
		Settled bool
	}
}

func TestHopfield(t *testing.T) {
	for _, how := range []string{"", "--dynamics synchronous", "--rule pseudo-inverse", "--backend ref"} {
		var r memory
		runJSON(t, &r, append([]string{"hopfield", "--units", "128", "--patterns", "4", "--noise", "0.25"}, strings.Fields(how)...)...)
		if r.Units != 128 || r.Retrieved != 4 || len(r.Recall) != 4 {
			t.Fatalf("%s: %+v", how, r)
		}
		for k, p := range r.Recall {
			if p.Pattern != k || p.Before != 0.5 || p.After != 1 || p.Energy != p.Stored || !p.Settled {
				t.Errorf("%s: %+v", how, p)
			}
		}
	}
	var r memory
	runJSON(t, &r, "hopfield", "--data", "digits", "--patterns", "6", "--known", "1", "--rule", "pseudo-inverse")
	if r.Units != 64 || r.Retrieved != 6 || r.Recall[5].Before != 1 {
		t.Errorf("digits: %+v", r)
	}
	if _, _, stderr := run("hopfield", "--patterns", "20"); !strings.Contains(stderr, "load 0.2 is above the capacity") {
		t.Errorf("stderr %q does not warn", stderr)
	}
}

// A network from a file recalls as the one that was stored, also the random
// patterns that the seed makes again; kadanoff info and sample read it too.
func TestHopfieldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.safetensors")
	for _, rule := range []string{"hebb", "pseudo-inverse"} {
		var stored, read memory
		runJSON(t, &stored, "hopfield", "--units", "77", "--patterns", "6", "--noise", "0.2", "--seed", "3", "--rule", rule, "--out", path)
		runJSON(t, &read, "hopfield", "--model", path, "--patterns", "6", "--noise", "0.2", "--seed", "3")
		for k := range stored.Recall {
			got, want := read.Recall[k], stored.Recall[k]
			if math.Abs(got.Energy-want.Energy) > 1e-6*math.Abs(want.Energy) {
				t.Errorf("%s: energy %v, want %v", rule, got.Energy, want.Energy)
			}
			if rule == "pseudo-inverse" { // its couplings are rounded
				got.Energy, got.Stored = want.Energy, want.Stored
			}
			if got != want {
				t.Errorf("%s: %+v, want %+v", rule, got, want)
			}
		}
	}
	var about info
	runJSON(t, &about, "info", path)
	if about.Kind != "network" || about.Visible != 77 || about.Hidden != 0 {
		t.Errorf("info %+v", about)
	}
	// Any network can be sampled.
	var drawn struct{ Visible int }
	samples := filepath.Join(t.TempDir(), "samples.npy")
	runJSON(t, &drawn, "sample", path, "--chains", "3", "--sweeps", "2", "--temperature", "0", "--out", samples)
	if drawn.Visible != 77 {
		t.Errorf("samples of %d units", drawn.Visible)
	}
	data := filepath.Join(t.TempDir(), "six.npy")
	if err := npy.WriteFile(data, []int8{1, -1, 1, 1, -1, 1}, 1, 6); err != nil {
		t.Fatal(err)
	}
	badUse(t, "hopfield --model "+path+" --data "+data+" --patterns 1", "rows of 6 values", "77 units")
	badUse(t, "hopfield --model "+path+" --units 77", "goes without --units")
	badUse(t, "hopfield --model "+data, "six.npy", "single array")
	badUse(t, "hopfield --model "+path+".none", "none")
	badUse(t, "evaluate "+path+" --data digits", "rows of 64 values", "77 visible units")
	badUse(t, "transform "+path+" --data digits --out x.npy", "inside one layer")
}

// Samples of a Boltzmann machine with hidden units have its exact mean energy.
func TestSampleMachine(t *testing.T) {
	m := boltzmann.New(4, 3)
	for i := range m.N {
		m.H[i] = 0.25 * float32(i)
		for j := range i {
			m.Couple(i, j, float32(i-2*j)/4)
		}
	}
	n, _, err := modelfile.FromMachine(m, modelfile.Binary)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "machine.safetensors")
	if err := modelfile.Save(path, &modelfile.Model{Network: n}); err != nil {
		t.Fatal(err)
	}
	p, _, err := m.Distribution(2)
	if err != nil {
		t.Fatal(err)
	}
	want, x := 0., make([]int8, m.N)
	for s := range p {
		boltzmann.State(x, s)
		want += p[s] * m.Energy(x)
	}
	var got struct {
		Visible int
		Energy  struct{ Mean, Error float64 }
	}
	runJSON(t, &got, "sample", path, "--chains", "64", "--sweeps", "200", "--burn-in", "20", "--temperature", "2", "--out", path+".npy")
	if got.Visible != 3 || !(math.Abs(got.Energy.Mean-want) < 5*got.Energy.Error) || got.Energy.Error > 0.1 {
		t.Errorf("%d visible units, energy %v ± %v, want %v", got.Visible, got.Energy.Mean, got.Energy.Error, want)
	}
}

func TestHopfieldCapacity(t *testing.T) {
	var r struct {
		Points []struct {
			Units, Patterns          int
			Load, Overlap, Retrieved float64
			Error                    float64 `json:"overlap_error"`
			Sweeps                   float64
		}
		Crossings []struct {
			Small, Large    int
			Capacity, Error float64
		}
	}
	runJSON(t, &r, "hopfield", "capacity", "--units", "50,100", "--loads", "0.04,0.5", "--nets", "3")
	rows := r.Points
	if len(rows) != 4 || rows[2].Units != 100 || rows[2].Patterns != 4 || rows[2].Retrieved < 0.99 || rows[3].Overlap > 0.8 {
		t.Errorf("%+v", rows)
	}
	if len(r.Crossings) != 0 {
		t.Errorf("crossings %+v from loads far from the capacity", r.Crossings)
	}
	r.Points = nil
	runJSON(t, &r, "hopfield", "capacity", "--units", "100,400", "--loads", "0.12,0.14,0.16", "--nets", "8")
	// Sizes as small as these cross near the capacity of large ones, not at it.
	if c := r.Crossings; len(c) != 1 || c[0].Small != 100 || c[0].Large != 400 || !(c[0].Error > 0 && c[0].Capacity > 0.11 && c[0].Capacity < 0.16) {
		t.Errorf("crossings %+v of %+v", c, r.Points)
	}
}

func TestHopfieldWrongUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "same.npy")
	if err := npy.WriteFile(path, []int8{1, -1, 1, 1, -1, 1}, 2, 3); err != nil {
		t.Fatal(err)
	}
	badUse(t, "hopfield --data "+path+" --patterns 2 --rule pseudo-inverse", "pattern 1 is a linear combination")
	badUse(t, "hopfield --data "+path+" --patterns 3", "--patterns 3", "2 rows")
	badUse(t, "hopfield --data "+path+" --units 3", "--units 3")
	badUse(t, "hopfield --noise 1.5", "--noise 1.5")
	badUse(t, "hopfield --known 0.5 --noise 0.1", "--known")
	badUse(t, "hopfield --known -1", "--known -1")
	badUse(t, "hopfield --rule hebbian", "--rule", "pseudo-inverse")
	badUse(t, "hopfield --dynamics both", "--dynamics", "synchronous")
	badUse(t, "hopfield --units 0", "--units 0")
	badUse(t, "hopfield --patterns 0", "--patterns 0")
	badUse(t, "hopfield --sweeps 0", "--sweeps 0")
	badUse(t, "hopfield --units 5 --patterns 5 --rule pseudo-inverse", "fewer patterns than units")
	badUse(t, "hopfield nosuch", "nosuch")
	badUse(t, "hopfield capacity --units 2.5", "--units 2.5")
	badUse(t, "hopfield capacity --loads 0", "--loads 0")
	badUse(t, "hopfield capacity --nets 1", "--nets 1")
	badUse(t, "hopfield capacity --noise 2", "--noise 2")
	badUse(t, "hopfield capacity --rule pseudo-inverse --loads 1", "--loads 1")
}
