package main

import (
	"math"
	"path/filepath"
	"testing"

	"kadanoff/model/npy"
)

type taught struct {
	Samples, Inputs    int
	Weights            []float64
	Bias               float64
	Loss, Accuracy     float64
	GradientDifference float64 `json:"gradient_difference"`
	Learning           []struct {
		Step int
		Loss float64
	}
	Activities []struct {
		X    []float64
		T, Y float64
	}
}

func TestNeuron(t *testing.T) {
	var or, xor taught
	runJSON(t, &or, "neuron", "--steps", "400")
	if or.Accuracy != 1 || or.Loss > 0.15 || len(or.Learning) != 21 || len(or.Activities) != 4 || or.Activities[3].Y < 0.99 {
		t.Errorf("or: %+v", or)
	}
	near(t, "first loss", or.Learning[0].Loss, 4*math.Ln2, 1e-15)
	// No neuron tells xor: the best is y = 1/2.
	runJSON(t, &xor, "neuron", "--gate", "xor", "--steps", "7")
	near(t, "loss of xor", xor.Loss, 4*math.Ln2, 1e-15)
	for _, r := range []taught{or, xor} {
		if r.GradientDifference > 1e-12 {
			t.Errorf("gradients differ by %v", r.GradientDifference)
		}
	}
}

func TestNeuronFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "points.npy")
	write := func(list []float64, shape ...int) {
		t.Helper()
		if err := npy.WriteFile(path, list, shape...); err != nil {
			t.Fatal(err)
		}
	}
	write([]float64{-2, 0, -1, 0, 1, 1}, 3, 2)
	var r taught
	runJSON(t, &r, "neuron", path, "--steps", "0", "--rate", "1")
	if r.Samples != 3 || r.Inputs != 1 || len(r.Learning) != 1 || r.Weights[0] != 0 {
		t.Errorf("%+v", r)
	}
	badUse(t, "neuron "+path+" --gate or", "--gate")
	badUse(t, "neuron "+path+" "+path, "one file")
	write([]float64{1, 2}, 1, 2)
	badUse(t, "neuron "+path, "points.npy", "target 2", "0 or 1")
	write([]float64{1, 1}, 2)
	badUse(t, "neuron "+path, "points.npy", "targets in the last column")
	badUse(t, "neuron --gate nand", "--gate", "nand")
	badUse(t, "neuron --rate 0", "--rate 0")
	badUse(t, "neuron --decay -1", "--decay -1")
	badUse(t, "neuron --steps -1", "--steps -1")
}
