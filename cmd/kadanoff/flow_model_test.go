package main

import (
	"os"
	"path/filepath"
	"testing"

	"kadanoff/model/modelfile"
	"kadanoff/model/npy"
	"kadanoff/model/rbm"
	"kadanoff/model/rg"
)

// A machine of different weights and biases, against its definition; its
// weights are multiples of 2⁻¹⁰, so that fixed point holds them exactly.
func TestModelFlow(t *testing.T) {
	dir := t.TempDir()
	r := rbm.New(7, 3)
	for i := range r.W {
		r.W[i] = float32(i*37%101-50) / 1024 * 16
	}
	for i := range r.B {
		r.B[i] = float32(i-3) / 16
	}
	copy(r.C, []float32{0.25, 0, -0.5})
	file, _, err := modelfile.FromSpin(r, modelfile.Spin)
	if err != nil {
		t.Fatal(err)
	}
	model, dataset, out := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "d.npy"), filepath.Join(dir, "out.npy")
	if err := modelfile.Save(model, &modelfile.Model{RBM: file}); err != nil {
		t.Fatal(err)
	}
	const rows, steps = 1031, 3 // more than a batch
	spins := make([]int8, rows*7)
	for i := range spins {
		spins[i] = int8(2*(i*i/3%2) - 1)
	}
	if err := npy.WriteFile(dataset, spins, rows, 7); err != nil {
		t.Fatal(err)
	}

	var got modelFlowResult
	runJSON(t, &got, "flow", "--model", model, "--data", dataset, "--steps", "3", "--out", out)
	if got.Visible != 7 || got.Hidden != 3 || got.Rows != rows || len(got.Flow) != steps+1 || got.Flow[0].Change != nil {
		t.Fatalf("%+v", got)
	}
	want := make([]flowSums, steps+1)
	v, before := make([]float64, 7), make([]float64, 7)
	last := make([]float64, 0, rows*7)
	for row := range rows {
		for i := range v {
			v[i] = float64(spins[row*7+i])
		}
		want[0].add(v, v, 7)
		for step := 1; step <= steps; step++ {
			copy(before, v)
			rg.Reconstruct(v, v, r)
			want[step].add(v, before, 7)
		}
		last = append(last, v...)
	}
	for step, s := range want {
		w := s.row(step, rows, 7)
		near(t, "m", float64(got.Flow[step].M), float64(w.M), 1e-13)
		near(t, "mean", float64(got.Flow[step].Mean), float64(w.Mean), 1e-12)
		if step > 0 {
			near(t, "change", float64(*got.Flow[step].Change), float64(*w.Change), 1e-12)
		}
	}
	f, err := npy.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values, err := f.All()
	if err != nil || len(values) != len(last) {
		t.Fatalf("%d values, %v", len(values), err)
	}
	for i := range last {
		near(t, "last configuration", values[i], last[i], 1e-13)
	}

	for _, c := range []struct{ line, word string }{
		{"flow --model " + model, "--data"},
		{"flow --data " + dataset, "--model"},
		{"flow --model " + model + " --data " + dataset + " --w 1", "--w"},
		{"flow --model " + model + " --data " + dataset + " --steps -1", "--steps"},
		{"flow --model " + dataset + " --data " + dataset, dataset},
		{"flow --model " + model + " --data " + out, out},
		{"flow --model " + filepath.Join(dir, "none") + " --data " + dataset, "none"},
		{"flow --visible 8 --hidden 4 --w 1 --out x.npy", "--out"},
	} {
		badUse(t, c.line, c.word)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("left behind: %v", entries)
	}
}
