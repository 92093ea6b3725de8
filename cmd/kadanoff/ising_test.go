package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kadanoff/model/npy"
)

func TestIsing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "spins.npy")
	args := []string{"ising", "--lattice", "torus:8x6", "--t", "2", "--chains", "10", "--sweeps", "400", "--seed", "3", "--start", "random"}
	var r isingResult
	runJSON(t, &r, append(args, "--out", file)...)
	if r.Lattice != "torus:8x6" || r.Chains != 10 || r.Sweeps != 400 || r.BurnIn != 200 || r.Algorithm != "metropolis" {
		t.Errorf("%+v", r)
	}
	if e := r.Energy; math.Abs(float64(e.Mean)+1.75) > 0.05 || e.Error <= 0 || e.Tau < 0.5 || r.Binder.Error <= 0 {
		t.Errorf("estimates %+v", r)
	}
	whole := readSpins(t, file, 10, 48)
	for _, s := range whole {
		if s != 1 && s != -1 {
			t.Fatalf("a spin is %d", s)
		}
	}

	// Parts of the chains are the same chains, and their measurements together
	// give the same estimates; heat bath is something else.
	_, want, _ := run(append(args, "--format", "json")...)
	var parts []int8
	merge := []string{"merge"}
	for i, chains := range []int{3, 3, 4} {
		spins, series := filepath.Join(dir, "part.npy"), filepath.Join(dir, fmt.Sprintf("part%d.json", i))
		code, text, stderr := run(append(args, "--out", spins, "--shard", fmt.Sprintf("%d/3", i), "--threads", "1", "--isa", "generic")...)
		if code != 0 {
			t.Fatalf("part %d: exit %d: %s", i, code, stderr)
		}
		if err := os.WriteFile(series, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, readSpins(t, spins, chains, 48)...)
		merge = append(merge, series)
	}
	if !slices.Equal(parts, whole) {
		t.Error("the parts are not the whole")
	}
	if code, got, stderr := run(append(merge, "--format", "json")...); code != 0 || got != want {
		t.Errorf("merged: exit %d %s%s, want %s", code, stderr, got, want)
	}
	badUse(t, strings.Join(merge[:3], " "), "one of 3 parts")
	badUse(t, strings.Join(append(merge[:3:3], merge[1]), " "), "twice")
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"kind":"ising","job":{"chains":4},"index":0,"count":1,"series":{"energy":[null,null,null,null]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	badUse(t, "merge "+bad, "bad.json", "not a whole part")
	runJSON(t, &r, append(args, "--out", file, "--algorithm", "heatbath")...)
	if slices.Equal(readSpins(t, file, 10, 48), whole) {
		t.Error("heat bath and Metropolis give the same spins")
	}

	// Draws: the last of them is the state after the last sweep.
	runJSON(t, &r, append(args, "--out", file, "--every", "100")...)
	if d := readSpins(t, file, 4, 10, 48); !slices.Equal(d[3*480:], whole) || slices.Equal(d[:480], whole) {
		t.Error("the draws do not end with the last state")
	}
}

func readSpins(t *testing.T, path string, shape ...int) []int8 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	a, err := npy.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if !slices.Equal(a.Shape, shape) || a.DType.String() != "int8" {
		t.Fatalf("%s holds %v of shape %v, want int8 of %v", path, a.DType, a.Shape, shape)
	}
	spins := make([]int8, n)
	for i, b := range raw[len(raw)-n:] {
		spins[i] = int8(b)
	}
	return spins
}

func TestIsingWrongUse(t *testing.T) {
	good := "ising --lattice torus:4x4 --t 1"
	for _, c := range [][]string{
		{"ising", "--lattice", "--t"},
		{"ising --lattice torus:5x4 --t 1", "5x4", "even"},
		{"ising --lattice torus:0 --t 1", "0x0", "even"},
		{"ising --lattice ring:x --t 1", "ring:x", "torus:"},
		{"ising --lattice ring:0 --t 1", "ring:0", "1 to 2²⁴"},
		{"ising --lattice ring:8 --t 1 --algorithm metropolis", "metropolis", "direct"},
		{"ising --lattice ring:8 --t 1 --burn-in 5", "--burn-in"},
		{"ising --lattice ring:8 --t 1 --backend cpu", "--backend"},
		{"ising --lattice ring:16777216 --t 1 --out x.npy --chains 100", "2³⁰"},
		{good + " --algorithm direct", "direct", "a ring"},
		{good + " --correlations 500", "--correlations 500"},
		{good + " --correlations -1", "--correlations -1"},
		{"ising --lattice torus:4x4 --t 0 --start random", "--t 0", "quench"},
		{"ising --lattice torus:32768 --t 1 --correlations 1", "--correlations 1", "2³³"},
		{"ising --lattice torus:4x --t 1", "torus:4x"},
		{"ising --lattice torus:99999999999x99999999999 --t 1", "--lattice"},
		{"ising --lattice torus:4x4 --t -1", "--t -1"},
		{"ising --lattice torus:4x4 --t NaN", "--t NaN"},
		{"ising --lattice torus:4x4 --t Inf", "--t"},
		{good + " --sweeps 2", "--sweeps 2", "at least 4"},
		{good + " --burn-in -1", "--burn-in -1"},
		{good + " --chains 0", "--chains 0"},
		{good + " --chains 2000000", "--chains 2000000", "--shard"},
		{"ising --lattice torus:16384 --t 1 --chains 2000", "2³⁸"},
		{good + " --every 5", "--out"},
		{good + " --every 5000 --out x.npy", "--every 5000"},
		{good + " --algorithm wolff", "wolff", "heatbath"},
		{good + " --start down", "--start"},
		{good + " --shard 1/5 --chains 3", "--shard"},
		{good + " --shard x", "--shard"},
		{good + " --out /nowhere/at/all.npy", "/nowhere/at/all.npy"},
	} {
		badUse(t, c[0], c[1:]...)
	}
}
