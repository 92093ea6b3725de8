package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kadanoff/cmd/internal/doclines"
	"kadanoff/model/npy"
)

// standIns writes small files with the names that the pages' lines read.
func standIns(t *testing.T, source string) func(dir string) {
	t.Helper()
	made := t.TempDir() // what costs time, once
	model := filepath.Join(made, "model")
	for _, args := range [][]string{
		{"train", "digits", "--hidden", "16", "--epochs", "1", "--out", model},
		{"sample", filepath.Join(model, "model.safetensors"), "--chains", "70", "--sweeps", "2", "--out", filepath.Join(made, "rows.npy")},
	} {
		if code, _, stderr := run(args...); code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
	}
	couplings := []byte("0 1 1\n1 2 -1\n2 3 1\n3 0 1\n0 0 0.5 # a field\n")
	if err := os.WriteFile(filepath.Join(made, "couplings.txt"), couplings, 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		part := fmt.Sprintf("part%d.json", i)
		args := []string{"enumerate", filepath.Join(made, "couplings.txt"), "--beta", "1", "--shard", fmt.Sprintf("%d/2", i), "--out", filepath.Join(made, part)}
		if code, _, stderr := run(args...); code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
	}
	ring := make([]int8, 0, 8*40)
	for row := range 40 {
		for i := range 8 {
			ring = append(ring, int8(1-2*(row*row>>i&1)))
		}
	}
	coupling := []float64{0, 1, -1, 0.5, 1, 0, 1, 1, -1, 1, 0, 1, 0.5, 1, 1, 0}
	known := make([]uint8, 64)
	for i := range 32 {
		known[i] = 1
	}
	points := make([]float64, 3*8)
	for i := range 8 {
		points[3*i], points[3*i+1], points[3*i+2] = float64(i), float64(7-i), float64(i/4)
	}
	return func(dir string) {
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		in := func(name string) string { return filepath.Join(dir, name) }
		for to, from := range map[string]string{
			"model.safetensors": filepath.Join(model, "model.safetensors"), "images.npy": filepath.Join(made, "rows.npy"),
			"data.npy": filepath.Join(made, "rows.npy"), "test.npy": filepath.Join(made, "rows.npy"),
			"couplings.txt": filepath.Join(made, "couplings.txt"), "part0.json": filepath.Join(made, "part0.json"), "part1.json": filepath.Join(made, "part1.json"),
			"sklearn.npz": filepath.Join(source, "bench/digits/digits_rbm16.npz"),
		} {
			text, err := os.ReadFile(from)
			check(err)
			check(os.WriteFile(in(to), text, 0o644))
		}
		for _, name := range []string{"train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"} {
			check(os.WriteFile(in(name), images(t), 0o644))
		}
		check(os.WriteFile(in("G.txt"), []byte("4 4\n1 2 1\n2 3 1\n3 4 -1\n4 1 1\n"), 0o644))
		check(npy.WriteFile(in("J.npy"), coupling, 4, 4))
		check(npy.WriteFile(in("ring8.npy"), ring, 40, 8))
		check(npy.WriteFile(in("known.npy"), known, 64))
		check(npy.WriteFile(in("points.npy"), points, 8, 3))
	}
}

// images is a set of pictures of 8×8 bytes as MNIST has them.
func images(t *testing.T) []byte {
	t.Helper()
	var raw bytes.Buffer
	z := gzip.NewWriter(&raw)
	text := binary.BigEndian.AppendUint32(nil, 0x803)
	for _, n := range []uint32{30, 8, 8} {
		text = binary.BigEndian.AppendUint32(text, n)
	}
	for i := range 30 * 64 {
		text = append(text, byte(i*i*7%251))
	}
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

// Every command line in the pages and help texts works, on small files of the
// names that it mentions.
func TestCommandLinesOfTheDocs(t *testing.T) {
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := doclines.Suite{
		Program: "kadanoff", Root: newRoot, Prepare: standIns(t, source),
		Env: map[string]string{"SLURM_ARRAY_TASK_ID": "1", "JOB_COMPLETION_INDEX": "1"},
		Shorter: map[string]string{
			"kadanoff train": "--epochs 1",
			"kadanoff train digits --hidden 16 --epochs 20": "--epochs 3",
			"kadanoff evaluate":                             "--temperatures 20 --burn-in 20 --chains 64",
			"kadanoff sample":                               "--sweeps 10",
			"kadanoff hopfield capacity":                    "--units 30,60 --nets 2",
			"kadanoff ising --lattice torus:1024":           "--lattice torus:64 --sweeps 200 --burn-in 20",
			"kadanoff ising --lattice torus:128":            "--lattice torus:16 --sweeps 200",
			"kadanoff solve --visible 64":                   "--points 20",
		},
		Parsed: map[string]string{
			"kadanoff experiment iso":         "it trains dozens of machines; cmd/internal/experiment's tests make it smaller",
			"kadanoff experiment ring":        "it trains dozens of machines; cmd/internal/experiment's tests make it smaller",
			"kadanoff reproduce --out thesis": "all figures take minutes; cmd/internal/reproduce's tests make them smaller",
		},
	}
	s.Run(t, source)
}

// The likelihood that the first page promises is the same on every machine.
func TestNumbersOfGettingStarted(t *testing.T) {
	page, err := os.ReadFile("../../docs/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if code, _, stderr := run("train", "digits", "--hidden", "16", "--epochs", "20", "--out", "run"); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var e evaluation
	runJSON(t, &e, "evaluate", "run/model.safetensors", "--data", "digits")
	said := strings.ReplaceAll(fmt.Sprintf("`log_likelihood` of %.2f nats", float64(e.LogLikelihood)), "-", "−")
	if !strings.Contains(string(page), said) {
		t.Errorf("the page does not say %s", said)
	}
}
