package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kadanoff/exact"
	"kadanoff/model/npy"
)

// Samples of a ring have its exact energy, specific heat and correlations, and
// those of all draws are in the file.
func TestIsingRing(t *testing.T) {
	const size, temperature = 12, 1.5
	var r isingResult
	runJSON(t, &r, "ising", "--lattice", "ring:12", "--t", "1.5", "--chains", "20", "--sweeps", "2000", "--correlations", "2")
	ring, err := exact.NewRing(size, 1/temperature)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ring.AbsMagnetization()
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, e estimate, want float64) {
		t.Helper()
		if !(math.Abs(float64(e.Mean)-want) <= 5*float64(e.Error)) || e.Error > 0.02 {
			t.Errorf("%s %v ± %v, want %v", what, e.Mean, e.Error, want)
		}
	}
	near("energy", r.Energy, ring.Energy())
	near("specific heat", r.SpecificHeat, ring.SpecificHeat())
	near("|m|", r.AbsMagnetization, m)
	if len(r.Correlations) != size/2+1 || r.Correlations[0].Mean != 1 || r.Algorithm != "direct" || r.BurnIn != 0 {
		t.Fatalf("%+v", r)
	}
	x := math.Tanh(1 / temperature)
	for d, c := range r.Correlations[1:] {
		d++
		near(fmt.Sprint("correlation at ", c.Distance), c.estimate, (math.Pow(x, float64(d))+math.Pow(x, float64(size-d)))/(1+math.Pow(x, size)))
	}
	// T = 0 is the limit.
	runJSON(t, &r, "ising", "--lattice", "ring:5", "--t", "0", "--chains", "2", "--sweeps", "10", "--correlations", "1")
	if r.Energy.Mean != -1 || r.AbsMagnetization.Mean != 1 || r.SpecificHeat.Mean != 0 || r.Correlations[2].Mean != 1 {
		t.Errorf("T = 0: %+v", r)
	}
	var torus isingResult
	runJSON(t, &torus, "ising", "--lattice", "torus:6", "--t", "0", "--sweeps", "10")
	if torus.Energy.Mean != -2 || torus.AbsMagnetization.Mean != 1 || torus.SpecificHeat.Mean != 0 || torus.Susceptibility.Mean != 0 {
		t.Errorf("T = 0: %+v", torus)
	}
}

// Parts of a job, of any algorithm, give the estimates, the correlations and
// the file of the whole, with several draws too.
func TestIsingPartsMerge(t *testing.T) {
	for _, how := range []string{
		"--lattice torus:8x6 --every 15 --correlations 10 --start random",
		"--lattice torus:7x5 --algorithm cluster --every 20",
		"--lattice ring:9 --every 1 --correlations 3",
		"--lattice ring:9",
	} {
		dir := t.TempDir()
		whole, joined := filepath.Join(dir, "whole.npy"), filepath.Join(dir, "joined.npy")
		args := append([]string{"ising", "--t", "2", "--chains", "5", "--sweeps", "60", "--seed", "3"}, strings.Fields(how)...)
		code, want, stderr := run(append(args, "--out", whole, "--format", "json")...)
		if code != 0 {
			t.Fatalf("%s: %s", how, stderr)
		}
		merge := []string{"merge", "--spins", joined, "--format", "json"}
		for _, i := range []int{1, 0} {
			spins, series := filepath.Join(dir, fmt.Sprint(i, ".npy")), filepath.Join(dir, fmt.Sprint(i, ".json"))
			code, text, stderr := run(append(args, "--out", spins, "--shard", fmt.Sprintf("%d/2", i))...)
			if code != 0 {
				t.Fatalf("%s: %s", how, stderr)
			}
			if err := os.WriteFile(series, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			merge = append(merge, series)
		}
		if code, got, stderr := run(merge...); code != 0 || got != want {
			t.Errorf("%s: merged: exit %d %s%s, want %s", how, code, stderr, got, want)
		}
		a, err := os.ReadFile(whole)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(joined); err != nil || !slices.Equal(a, b) {
			t.Errorf("%s: the spins of the parts are not those of the whole: %v", how, err)
		}
		// A file that is not what the part has written.
		if err := npy.WriteFile(filepath.Join(dir, "0.npy"), []int8{1, -1}, 1, 2); err != nil {
			t.Fatal(err)
		}
		badUse(t, strings.Join(merge, " "), "0.npy", "of shape [1 2], want int8 of shape")
		if err := os.Remove(filepath.Join(dir, "0.npy")); err != nil {
			t.Fatal(err)
		}
		badUse(t, strings.Join(merge, " "), "0.npy")
	}
}
