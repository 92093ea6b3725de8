package digits

import (
	"math"
	"testing"

	"kadanoff/model/data/digits"
	"kadanoff/model/modelfile"
)

// The values that numpy found for the float64 weights, in {0,1} units.
const (
	logZ          = 67.3818131520231
	logLikelihood = -20.69982108078664
)

// Reading the archive, turning it round, converting its units and taking the
// constant into account all enter here.
func TestAgainstNumpy(t *testing.T) {
	m := Model()
	if m.Units != modelfile.Binary || m.Visible != 64 || m.Hidden != 16 {
		t.Fatalf("%d visible and %d hidden units in %s", m.Visible, m.Hidden, m.Units)
	}
	s, conv, err := m.Spin()
	if err != nil {
		t.Fatal(err)
	}

	sum, top := 0., math.Inf(-1)
	h := make([]int8, s.Hidden)
	for g := range 1 << s.Hidden {
		for a := range h {
			h[a] = int8(2*(g>>a&1) - 1)
		}
		x := -s.HiddenFreeEnergy(h)
		if x > top {
			sum, top = sum*math.Exp(top-x), x
		}
		sum += math.Exp(x - top)
	}
	spinLogZ := top + math.Log(sum)
	// float32 rounds the 1024 weights, of at most 4.9, and the biases.
	const limit = 2e-5
	if d := spinLogZ + conv.Constant - logZ; math.Abs(d) > limit {
		t.Errorf("ln Z = %.12f + %.12f, off by %.3g from %.12f", spinLogZ, conv.Constant, d, logZ)
	}

	images := digits.Load()
	mean := 0.
	v := make([]int8, s.Visible)
	for i := range images.Rows() {
		if err := images.Spins(i, v); err != nil {
			t.Fatal(err)
		}
		mean += s.LogMarginal(v, spinLogZ) / float64(images.Rows())
	}
	if d := mean - logLikelihood; math.Abs(d) > limit {
		t.Errorf("mean log-likelihood %.12f, off by %.3g", mean, d)
	}
}
