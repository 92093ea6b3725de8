package thermometer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"kadanoff/model/ising"
	"kadanoff/model/safetensors"
)

func random(rng *rand.Rand, rows, inputs, classes int) *Set {
	s := &Set{Inputs: inputs}
	for range rows {
		for range inputs {
			s.X = append(s.X, int8(rng.IntN(2))*2-1)
		}
		s.Class = append(s.Class, rng.IntN(classes))
	}
	return s
}

// loss is the training loss by its definition, in float64.
func loss(th *Thermometer, s *Set) float64 {
	sum := 0.
	x := make([]float64, s.Inputs)
	for r, class := range s.Class {
		for i := range x {
			x[i] = float64(s.X[r*s.Inputs+i])
		}
		if th.Regression {
			var t [1]float64
			if err := th.Read(t[:], x, 1); err != nil {
				panic(err)
			}
			sum += (t[0] - th.Temperatures[class]) * (t[0] - th.Temperatures[class])
		} else {
			sum -= math.Log(th.Probabilities(x)[class])
		}
	}
	return sum / float64(len(s.Class))
}

// One step over the whole set moves each parameter by −rate times the
// derivative of the loss, which differences of the definition give too.
func TestStepIsTheGradient(t *testing.T) {
	const rate = 0.5
	for _, regression := range []bool{false, true} {
		for _, hidden := range [][]int{nil, {5}, {7, 3}} {
			s := random(rand.New(rand.NewPCG(1, 2)), 11, 13, 3)
			before, err := New(13, hidden, []float64{0, 1, 2.5}, regression, 4)
			if err != nil {
				t.Fatal(err)
			}
			after, _ := New(13, hidden, []float64{0, 1, 2.5}, regression, 4)
			seen := 0.
			if err := after.Train(context.Background(), s, Training{Rate: rate, Batch: 11, Epochs: 1, Progress: func(epoch int, loss float64) { seen = loss }}); err != nil {
				t.Fatal(err)
			}
			if want := loss(before, s); math.Abs(seen-want) > 1e-5*want {
				t.Errorf("loss %v, want %v", seen, want)
			}
			for k := range before.Layers {
				for part, lists := range map[string][2][]float32{
					"W": {before.Layers[k].W, after.Layers[k].W}, "B": {before.Layers[k].B, after.Layers[k].B},
				} {
					for i, old := range lists[0] {
						const h = 1. / 512
						lists[0][i] = old + h
						up, step := loss(before, s), float64(old+h)
						lists[0][i] = old - h
						want := (up - loss(before, s)) / (step - float64(lists[0][i]))
						lists[0][i] = old
						if got := float64(old-lists[1][i]) / rate; math.Abs(got-want) > 1e-4*(1+math.Abs(want)) {
							t.Fatalf("regression %v, hidden %v: derivative of %s%d[%d] is %v, want %v", regression, hidden, part, k, i, got, want)
						}
					}
				}
			}
		}
	}
}

// configurations draws equilibrium configurations of a 6×6 torus.
func configurations(t testing.TB, temperatures []float64, each int, seed uint64) *Set {
	t.Helper()
	s := &Set{Inputs: 36}
	for k, temperature := range temperatures {
		job := ising.ClusterJob{Width: 6, Height: 6, Temperature: temperature, Chains: 1, BurnIn: 50, Sweeps: 3 * each, Seed: seed + uint64(k), Threads: 1}
		if _, err := ising.RunClusters(context.Background(), job, func(_, sweep int, spins []int8) error {
			if sweep%3 == 0 {
				s.X, s.Class = append(s.X, spins...), append(s.Class, k)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// A thermometer tells cold from hot in configurations it has not seen, and
// the same arguments train the same network.
func TestReadsTemperature(t *testing.T) {
	temperatures := []float64{1, 2.5, 5}
	train, test := configurations(t, temperatures, 300, 1), configurations(t, temperatures, 200, 101)
	for _, regression := range []bool{false, true} {
		var networks [2]*Thermometer
		for i := range networks {
			th, err := New(36, []int{24, 8}, temperatures, regression, 7)
			if err != nil {
				t.Fatal(err)
			}
			rate := 0.1
			if regression {
				rate = 0.02
			}
			first, last := 0., 0.
			if err := th.Train(context.Background(), train, Training{Rate: rate, Batch: 50, Epochs: 40, Seed: 3, Progress: func(epoch int, loss float64) {
				if last = loss; epoch == 1 {
					first = loss
				}
			}}); err != nil {
				t.Fatal(err)
			}
			if !(last < first/2) {
				t.Errorf("regression %v: loss fell from %v to %v", regression, first, last)
			}
			networks[i] = th
		}
		if !reflect.DeepEqual(networks[0], networks[1]) {
			t.Error("training twice gave two networks")
		}
		list, err := networks[0].Calibrate(test, 2)
		if err != nil {
			t.Fatal(err)
		}
		for k, c := range list {
			// Small configurations of neighbouring temperatures look alike, which
			// draws the readings to the middle.
			if c.Rows != 200 || c.Temperature != temperatures[k] || math.Abs(c.Mean-c.Temperature) > 1 || !(c.Error > 0 && c.Error < 0.15) {
				t.Errorf("regression %v: %+v", regression, c)
			}
		}
	}
}

// The number of threads does not show in the network, and a batch of one row,
// or of an odd number, is trained like any other.
func TestSameNetworkAtAnyThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, batch := range []int{1, 7, 101} {
		// Sizes beyond the blocks in which the product is made in parallel.
		s := random(rand.New(rand.NewPCG(5, 6)), 101, 130, 3)
		var first *Thermometer
		for _, threads := range []int{1, 2, 5} {
			runtime.GOMAXPROCS(threads)
			th, err := New(130, []int{140, 67}, []float64{0, 1, 2}, false, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := th.Train(context.Background(), s, Training{Rate: 0.1, Batch: batch, Epochs: 2, Seed: 3}); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = th
			} else if !reflect.DeepEqual(first, th) {
				t.Errorf("batches of %d, %d threads: another network than with one", batch, threads)
			}
		}
	}
}

func TestProbabilities(t *testing.T) {
	th, err := New(7, []int{5}, []float64{0, 1, 2}, false, 1)
	if err != nil {
		t.Fatal(err)
	}
	x := []float64{1, -1, 0.5, 0, 1, -1, -0.25}
	sum, mean := 0., 0.
	for k, p := range th.Probabilities(x) {
		sum, mean = sum+p, mean+p*th.Temperatures[k]
	}
	var got [1]float64
	if err := th.Read(got[:], x, 3); err != nil || math.Abs(sum-1) > 1e-15 || math.Abs(got[0]-mean) > 1e-15 {
		t.Errorf("probabilities add up to %v with mean %v, read %v, %v", sum, mean, got[0], err)
	}
	// Outputs far beyond the exponential's range.
	th.Layers[1].B[2] = 1e6
	if p := th.Probabilities(x); p[2] != 1 || p[0] != 0 {
		t.Errorf("probabilities %v", p)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "thermometer.safetensors")
	for _, regression := range []bool{false, true} {
		th, err := New(7, []int{5, 3}, []float64{0, 0.1, 2}, regression, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := th.Save(path); err != nil {
			t.Fatal(err)
		}
		back, err := Load(path)
		if err != nil || !reflect.DeepEqual(th, back) {
			t.Errorf("came back as %+v, %v", back, err)
		}
	}
	bad := func(words string, change func(*Thermometer)) {
		t.Helper()
		th, err := New(7, []int{5, 3}, []float64{0, 0.1, 2}, false, 1)
		if err != nil {
			t.Fatal(err)
		}
		change(th)
		if err := th.Save(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want an error that names the file and says %q", err, words)
		}
	}
	bad("layer 1 has", func(th *Thermometer) { th.Layers[1].In, th.Layers[1].Out, th.Layers[1].B = 3, 5, make([]float32, 5) })
	bad("layer 0 holds NaN", func(th *Thermometer) { th.Layers[0].B[2] = float32(math.NaN()) })
	bad("3 outputs, want 2", func(th *Thermometer) { th.Temperatures = th.Temperatures[:2] })
	bad("temperature 1", func(th *Thermometer) { th.Temperatures[1] = -1 })
	bad("no tensor layers.0.weight", func(th *Thermometer) { th.Layers = nil })
	if err := safetensors.WriteFile(path, map[string]string{"format": "1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "thermometer of format 1") {
		t.Errorf("%v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "no")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		words        string
		inputs       int
		hidden       []int
		temperatures []float64
	}{
		{"0 inputs", 0, nil, []float64{1, 2}}, {"1 temperatures", 1, nil, []float64{1}},
		{"temperature 1 is 1", 1, nil, []float64{1, 1}}, {"temperature 0 is -1", 1, nil, []float64{-1, 1}},
		{"temperature 1 is NaN", 1, nil, []float64{1, math.NaN()}}, {"hidden layers of [3 0]", 1, []int{3, 0}, []float64{1, 2}},
	} {
		if _, err := New(c.inputs, c.hidden, c.temperatures, false, 1); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v, want an error that says %q", err, c.words)
		}
	}
	th, err := New(2, nil, []float64{1, 2}, true, 1)
	if err != nil {
		t.Fatal(err)
	}
	good := func() *Set { return &Set{2, []int8{1, -1, 1, 1}, []int{0, 1}} }
	for _, c := range []struct {
		words  string
		change func(*Set, *Training)
	}{
		{"rate 0", func(_ *Set, t *Training) { t.Rate = 0 }}, {"batches of 3", func(_ *Set, t *Training) { t.Batch = 3 }},
		{"-1 epochs", func(_ *Set, t *Training) { t.Epochs = -1 }}, {"configuration 1: spin 0 is 0", func(s *Set, _ *Training) { s.X[2] = 0 }},
		{"temperature number 2 of 2", func(s *Set, _ *Training) { s.Class[1] = 2 }}, {"3 spins", func(s *Set, _ *Training) { s.X = s.X[:3] }},
		{"configurations of 4", func(s *Set, _ *Training) { s.Inputs = 4 }}, {"diverged", func(_ *Set, t *Training) { t.Rate, t.Epochs = 1e30, 9 }},
	} {
		s, training := good(), Training{Rate: 0.1, Batch: 2, Epochs: 1}
		c.change(s, &training)
		if err := th.Train(context.Background(), s, training); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v, want an error that says %q", err, c.words)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := th.Train(ctx, good(), Training{Rate: 0.1, Batch: 2, Epochs: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	if err := th.Read(make([]float64, 2), make([]float64, 3), 1); err == nil {
		t.Error("3 numbers for 2 configurations of 2")
	}
}

func ExampleThermometer_Train() {
	// Two spins: equal ones are cold, different ones hot.
	set := &Set{Inputs: 2, X: []int8{1, 1, -1, -1, 1, -1, -1, 1}, Class: []int{0, 0, 1, 1}}
	th, err := New(2, []int{8}, []float64{1, 4}, false, 1)
	if err != nil {
		panic(err)
	}
	if err := th.Train(context.Background(), set, Training{Rate: 0.5, Batch: 4, Epochs: 1000}); err != nil {
		panic(err)
	}
	read := make([]float64, 2)
	if err := th.Read(read, []float64{1, 1, 1, -1}, 1); err != nil {
		panic(err)
	}
	fmt.Printf("%.1f\n", read)
	// Output:
	// [1.0 4.0]
}
