// Package thermometer is a neural network that reads the temperature of a
// configuration: a multilayer perceptron with tanh units, trained by gorgonia
// on configurations of known temperature. Its output is a distribution over
// the temperatures it was trained on (softmax), or a temperature (regression).
//
// What it reads is a guess from the patterns it has seen. Configurations that
// are not equilibrium ones, such as those along the flow of a restricted
// Boltzmann machine, can mislead it (arXiv 2006.10176): hold it against the
// energy.
package thermometer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// Layer is y = xW + B, through tanh in all layers but the last.
type Layer struct {
	In, Out int
	W       []float32 // [In][Out]
	B       []float32 // [Out]
}

// Thermometer is a trained network.
type Thermometer struct {
	// Temperatures are what the outputs of the last layer stand for; in
	// regression they are those of the training set.
	Temperatures []float64
	// Regression says that the last layer has one output, the temperature,
	// rather than one for each temperature.
	Regression bool
	Layers     []Layer
}

// New returns a thermometer for configurations of inputs spins with hidden
// layers of the given sizes. Weights are uniform in ±√(6/(In + Out)) (Glorot
// and Bengio 2010), biases 0.
func New(inputs int, hidden []int, temperatures []float64, regression bool, seed uint64) (*Thermometer, error) {
	if inputs < 1 || len(temperatures) < 2 {
		return nil, fmt.Errorf("%d inputs and %d temperatures, want at least one and two", inputs, len(temperatures))
	}
	for i, t := range temperatures {
		if !(t >= 0) || math.IsInf(t, 0) || i > 0 && t <= temperatures[i-1] {
			return nil, fmt.Errorf("temperature %d is %v, want finite ones of 0 or more that rise", i, t)
		}
	}
	th := &Thermometer{Temperatures: append([]float64(nil), temperatures...), Regression: regression}
	outputs := len(temperatures)
	if regression {
		outputs = 1
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, out := range append(append([]int(nil), hidden...), outputs) {
		if out < 1 {
			return nil, fmt.Errorf("hidden layers of %v units, want at least one in each", hidden)
		}
		l := Layer{In: inputs, Out: out, W: make([]float32, inputs*out), B: make([]float32, out)}
		width := math.Sqrt(6 / float64(inputs+out))
		for i := range l.W {
			l.W[i] = float32(width * (2*rng.Float64() - 1))
		}
		th.Layers, inputs = append(th.Layers, l), out
	}
	return th, nil
}

// Inputs returns the number of spins of a configuration.
func (th *Thermometer) Inputs() int { return th.Layers[0].In }

// validate reports layers that do not fit together.
func (th *Thermometer) validate() error {
	fresh, err := New(max(1, th.Inputs()), nil, th.Temperatures, th.Regression, 0)
	if err != nil {
		return err
	}
	for k, l := range th.Layers {
		if l.In < 1 || l.Out < 1 || len(l.B) != l.Out || len(l.W)/l.In != l.Out || len(l.W)%l.In != 0 || k > 0 && l.In != th.Layers[k-1].Out {
			return fmt.Errorf("layer %d has %d weights and %d biases for %d inputs and %d outputs", k, len(l.W), len(l.B), l.In, l.Out)
		}
		for _, list := range [][]float32{l.W, l.B} {
			for _, x := range list {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					return fmt.Errorf("layer %d holds %v, want finite numbers", k, x)
				}
			}
		}
	}
	if got, want := th.Layers[len(th.Layers)-1].Out, fresh.Layers[0].Out; got != want {
		return fmt.Errorf("%d outputs, want %d for %d temperatures", got, want, len(th.Temperatures))
	}
	return nil
}

// output returns the last layer's values of one configuration of numbers from
// −1 to 1, in float64.
func (th *Thermometer) output(x []float64) []float64 {
	for k, l := range th.Layers {
		y := make([]float64, l.Out)
		for o, b := range l.B {
			y[o] = float64(b)
		}
		for i, v := range x {
			for o, w := range l.W[i*l.Out : (i+1)*l.Out] {
				y[o] += float64(v * float64(w))
			}
		}
		if k < len(th.Layers)-1 {
			for o := range y {
				y[o] = math.Tanh(y[o])
			}
		}
		x = y
	}
	return x
}

// Probabilities returns the distribution over Temperatures that the network
// gives a configuration, which may be of real numbers from −1 to 1. It panics
// in regression and if the length does not fit.
func (th *Thermometer) Probabilities(x []float64) []float64 {
	if th.Regression || len(x) != th.Inputs() {
		panic(fmt.Sprintf("thermometer: probabilities of %d numbers, regression %v, %d inputs", len(x), th.Regression, th.Inputs()))
	}
	p := th.output(x)
	most, sum := math.Inf(-1), 0.
	for _, a := range p {
		most = max(most, a)
	}
	for k, a := range p {
		p[k] = math.Exp(a - most)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
	return p
}

// Read writes the temperature of each configuration of x, of shape [rows][Inputs]
// with entries from −1 to 1, to dst: the mean of the distribution, or the
// output of the regression.
func (th *Thermometer) Read(dst, x []float64, threads int) error {
	n := th.Inputs()
	if len(x) != len(dst)*n {
		return fmt.Errorf("%d numbers for %d configurations of %d", len(x), len(dst), n)
	}
	var wg sync.WaitGroup
	threads = max(1, min(threads, len(dst)))
	for k := range threads {
		wg.Go(func() {
			for r := k * len(dst) / threads; r < (k+1)*len(dst)/threads; r++ {
				row := x[r*n : (r+1)*n]
				if th.Regression {
					dst[r] = th.output(row)[0]
					continue
				}
				dst[r] = 0
				for i, p := range th.Probabilities(row) {
					dst[r] += float64(p * th.Temperatures[i])
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// Set is configurations of known temperature.
type Set struct {
	Inputs int
	X      []int8 // [rows][Inputs], ±1
	Class  []int  // [rows], index of the temperature
}

// check reports a set that does not fit the thermometer.
func (s *Set) check(th *Thermometer) error {
	if s.Inputs != th.Inputs() || len(s.Class) == 0 || len(s.X) != len(s.Class)*s.Inputs {
		return fmt.Errorf("%d spins for %d configurations of %d, want %d in each and at least one", len(s.X), len(s.Class), s.Inputs, th.Inputs())
	}
	for r, c := range s.Class {
		if c < 0 || c >= len(th.Temperatures) {
			return fmt.Errorf("configuration %d has temperature number %d of %d", r, c, len(th.Temperatures))
		}
	}
	for i, x := range s.X {
		if x != 1 && x != -1 {
			return fmt.Errorf("configuration %d: spin %d is %d, want +1 or -1", i/s.Inputs, i%s.Inputs, x)
		}
	}
	return nil
}

// Calibration is what a thermometer reads from configurations of one
// temperature.
type Calibration struct {
	Temperature float64
	Rows        int
	Mean, Error float64 // of the readings, with the standard error
	Deviation   float64 // standard deviation of the readings
}

// Calibrate reads a set, which should not be the one it was trained on, and
// returns a line for each temperature that has at least two configurations.
func (th *Thermometer) Calibrate(s *Set, threads int) ([]Calibration, error) {
	if err := s.check(th); err != nil {
		return nil, err
	}
	x := make([]float64, len(s.X))
	for i, v := range s.X {
		x[i] = float64(v)
	}
	read := make([]float64, len(s.Class))
	if err := th.Read(read, x, threads); err != nil {
		return nil, err
	}
	var list []Calibration
	for k, t := range th.Temperatures {
		c := Calibration{Temperature: t}
		for r, class := range s.Class {
			if class == k {
				c.Rows++
				c.Mean += read[r]
			}
		}
		if c.Rows < 2 {
			continue
		}
		c.Mean /= float64(c.Rows)
		for r, class := range s.Class {
			if class == k {
				c.Deviation += float64((read[r] - c.Mean) * (read[r] - c.Mean))
			}
		}
		c.Deviation = math.Sqrt(c.Deviation / float64(c.Rows-1))
		c.Error = c.Deviation / math.Sqrt(float64(c.Rows))
		list = append(list, c)
	}
	return list, nil
}
