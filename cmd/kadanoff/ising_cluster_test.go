package main

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
)

// Clusters on a lattice with odd sides; the file has what every chain was
// after each draw, whatever the threads.
func TestIsingClusters(t *testing.T) {
	dir := t.TempDir()
	args := []string{"ising", "--lattice", "torus:7x5", "--t", "2", "--algorithm", "cluster", "--chains", "3", "--sweeps", "40", "--start", "random"}
	var r isingResult
	last, all := filepath.Join(dir, "last.npy"), filepath.Join(dir, "all.npy")
	runJSON(t, &r, append(args, "--out", last, "--threads", "1")...)
	if r.Algorithm != "cluster" || r.Chains != 3 || r.Sweeps != 40 || math.Abs(float64(r.Energy.Mean)+1.75) > 0.15 {
		t.Errorf("%+v", r)
	}
	runJSON(t, &r, append(args, "--out", all, "--every", "10", "--threads", "3")...)
	draws, end := readSpins(t, all, 4, 3, 35), readSpins(t, last, 3, 35)
	if !slices.Equal(draws[3*105:], end) || slices.Equal(draws[:105], end) {
		t.Error("the draws do not end with the last state")
	}
	for _, s := range draws {
		if s != 1 && s != -1 {
			t.Fatalf("a spin is %d", s)
		}
	}
	const line = "ising --lattice torus:7x5 --t 2 --algorithm cluster "
	badUse(t, line+"--shard 0/9", "--shard 0/9", "one for each chain")
	badUse(t, line+"--backend cpu", "--backend cpu")
	badUse(t, line+"--start down", "--start")
	badUse(t, line+"--every 5", "--every 5", "--out")
	badUse(t, line+"--chains 0", "--chains 0")
	badUse(t, line+"--t -1", "--t -1", "0 or more")
	badUse(t, line+"--sweeps 1", "--sweeps 1")
	badUse(t, line+"--lattice torus:0", "0x0")
	badUse(t, line+"--t 0", "--t 0", "above 0")
	badUse(t, line+"--sweeps 2000000 --every 1 --chains 1000 --out "+last, "2³⁰")
}
