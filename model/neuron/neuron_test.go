package neuron

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/optimize"
)

// four is a set of four samples whose loss and gradient are known.
func four() (*Neuron, *Set) {
	return &Neuron{W: []float64{0.1, -0.4, 0.7}}, &Set{
		Inputs: 3,
		X:      []float64{1, 0.5, -1.2, 1, 2, 0.3, 1, -0.7, 0.8, 1, 1.5, -0.4},
		T:      []float64{1, 0, 0, 1},
	}
}

func random(rng *rand.Rand, samples, inputs int) (*Neuron, *Set) {
	n, s := New(inputs), &Set{Inputs: inputs}
	for i := range n.W {
		n.W[i] = rng.NormFloat64()
	}
	n.Bias = rng.NormFloat64()
	for range samples {
		for range inputs {
			s.X = append(s.X, rng.NormFloat64())
		}
		s.T = append(s.T, float64(rng.IntN(2)))
	}
	return n, s
}

func close(t *testing.T, name string, got, want, limit float64) {
	t.Helper()
	if !(math.Abs(got-want) <= limit) {
		t.Errorf("%s = %.17g, want %.17g within %g", name, got, want, limit)
	}
}

// The values were computed with 30 digits and by finite differences.
func TestKnownValues(t *testing.T) {
	n, s := four()
	for i, want := range []float64{0.280900342583616127, 0.379893567656909868, 0.719099657416383872, 0.314319886061746158} {
		close(t, fmt.Sprint("y of sample ", i), n.Activity(s.Row(i)), want, 2e-16)
	}
	close(t, "G", n.Loss(s), 4.17471886738929866, 2e-15)
	g := make([]float64, 3)
	bias := n.Gradient(g, s)
	want := []float64{-0.305786546281343972, -1.13165262449322192, 1.82643943070514224}
	for i := range g {
		close(t, fmt.Sprint("gradient ", i), g[i], want[i], 1e-15)
	}
	// Input 0 is always 1, as the bias' own.
	close(t, "gradient of the bias", bias, want[0], 1e-15)
}

func TestGradientsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][2]int{{1, 1}, {1, 5}, {7, 1}, {11, 3}, {53, 13}} {
		n, s := random(rng, shape[0], shape[1])
		hand, auto := make([]float64, shape[1]), make([]float64, shape[1])
		b := n.Gradient(hand, s)
		bias, err := n.AutoGradient(auto, s)
		if err != nil {
			t.Fatal(err)
		}
		close(t, "gradient of the bias", bias, b, 1e-12)
		for i := range hand {
			close(t, "gradient", auto[i], hand[i], 1e-12)
		}
	}
	n, s := four()
	n.W[0] = 900 // saturated activities
	hand, auto := make([]float64, 3), make([]float64, 3)
	n.Gradient(hand, s)
	if _, err := n.AutoGradient(auto, s); err != nil {
		t.Fatal(err)
	}
	for i := range hand {
		close(t, "gradient of a saturated neuron", auto[i], hand[i], 1e-12)
	}
}

// The likelihood of all targets is the product of the probabilities of each.
func TestLikelihood(t *testing.T) {
	n, s := random(rand.New(rand.NewPCG(3, 4)), 7, 3)
	p := 1.
	for i, target := range s.T {
		y := n.Activity(s.Row(i))
		p *= math.Pow(y, target) * math.Pow(1-y, 1-target)
	}
	close(t, "e^−G", math.Exp(-n.Loss(s)), p, 1e-15)
	prior := 0.
	for _, w := range n.W {
		prior -= 0.3 * w * w / 2
	}
	close(t, "ln posterior", n.LogPosterior(s, 0.3), math.Log(p)+prior, 1e-13)
}

func TestLossStaysFinite(t *testing.T) {
	n := &Neuron{W: []float64{1}}
	close(t, "loss far on the wrong side", n.Loss(&Set{1, []float64{1e4}, []float64{0}}), 1e4, 0)
	close(t, "loss far on the right side", n.Loss(&Set{1, []float64{40}, []float64{1}}), math.Exp(-40), 1e-30)
	if y := n.Activity([]float64{-800}); y != 0 {
		t.Errorf("σ(−800) = %v", y)
	}
	close(t, "σ(−700)", Sigmoid(-700), math.Exp(-700), 1e-310)
}

// Descent ends where another minimiser does: with a prior the minimum is one
// point.
func TestLearn(t *testing.T) {
	const decay = 0.5
	_, s := random(rand.New(rand.NewPCG(5, 6)), 41, 3)
	at := func(x []float64) *Neuron { return &Neuron{W: x[:3], Bias: x[3]} }
	best, err := optimize.Minimize(optimize.Problem{
		Func: func(x []float64) float64 { return -at(x).LogPosterior(s, decay) },
		Grad: func(g, x []float64) {
			g[3] = at(x).Gradient(g[:3], s)
			for i := range 3 {
				g[i] += decay * x[i]
			}
		},
	}, make([]float64, 4), &optimize.Settings{GradientThreshold: 1e-7}, &optimize.BFGS{})
	if err != nil {
		t.Fatal(err)
	}
	n := New(3)
	last, steps := math.Inf(1), 0
	if err := n.Learn(s, Learning{Rate: 0.02, Decay: decay, Steps: 2000}, func(step int, loss float64) {
		if step != steps {
			t.Fatalf("step %d follows %d", step, steps-1)
		}
		steps++
		last = loss
	}); err != nil {
		t.Fatal(err)
	}
	if steps != 2001 || last != n.Loss(s) {
		t.Errorf("%d calls, the last with loss %v of %v", steps, last, n.Loss(s))
	}
	for i, want := range best.X[:3] {
		close(t, fmt.Sprint("w", i), n.W[i], want, 1e-7)
	}
	close(t, "bias", n.Bias, best.X[3], 1e-7)
}

func TestLearnRefuses(t *testing.T) {
	good := &Set{Inputs: 1, X: []float64{1, 2}, T: []float64{0, 1}}
	rate := Learning{Rate: 0.1, Steps: 1}
	for _, c := range []struct {
		set   *Set
		how   Learning
		words string
	}{
		{good, Learning{Rate: 0, Steps: 1}, "rate"},
		{good, Learning{Rate: math.NaN()}, "rate"},
		{good, Learning{Rate: 1, Decay: -1}, "decay"},
		{good, Learning{Rate: 1, Steps: -1}, "steps"},
		{&Set{Inputs: 1}, rate, "0 samples"},
		{&Set{Inputs: 1, X: []float64{1}, T: []float64{0, 1}}, rate, "1 numbers"},
		{&Set{Inputs: 1, X: []float64{1}, T: []float64{-1}}, rate, "target -1"},
		{&Set{Inputs: 1, X: []float64{math.NaN()}, T: []float64{1}}, rate, "sample 0: input 0"},
		{&Set{Inputs: 2, X: []float64{1, 2}, T: []float64{1}}, rate, "2 inputs"},
	} {
		if err := New(1).Learn(c.set, c.how, nil); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%+v: %v, want an error that says %q", c.set, err, c.words)
		}
	}
	far := &Set{Inputs: 1, X: []float64{1e300}, T: []float64{1}}
	if err := New(1).Learn(far, Learning{Rate: 1e10, Steps: 3}, nil); !errors.Is(err, ErrDiverged) {
		t.Errorf("%v, want ErrDiverged", err)
	}
}

func ExampleNeuron_Learn() {
	// Logical or, learnt from its four cases.
	or := &Set{Inputs: 2, X: []float64{0, 0, 0, 1, 1, 0, 1, 1}, T: []float64{0, 1, 1, 1}}
	n := New(2)
	if err := n.Learn(or, Learning{Rate: 1, Steps: 100}, nil); err != nil {
		panic(err)
	}
	for i := range or.T {
		fmt.Printf("%v: %.1f\n", or.Row(i), n.Activity(or.Row(i)))
	}
	// Output:
	// [0 0]: 0.1
	// [0 1]: 1.0
	// [1 0]: 1.0
	// [1 1]: 1.0
}
