package train

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// What is kept of the epochs for the page has a bound, and still covers the
// whole run with its end.
func TestPageOfManyEpochs(t *testing.T) {
	m := &monitor{r: &run{}}
	for epoch := 1; epoch <= 100_003; epoch++ {
		m.remember(&Metrics{Epoch: epoch, Rate: float64(epoch)})
		if len(m.lines) > drawn || len(m.last) > listed {
			t.Fatalf("epoch %d: %d and %d lines", epoch, len(m.lines), len(m.last))
		}
	}
	curves := m.curves()
	x := curves[len(curves)-1].x
	if len(x) < drawn/2 || x[0] > 100 || x[len(x)-1] != 100_003 || !slices.IsSorted(x) || m.epochs() != 100_003 {
		t.Errorf("%d points from %v to %v of %d epochs", len(x), x[0], x[len(x)-1], m.epochs())
	}
	if first := m.last[0].Epoch; first != 100_003-listed+1 {
		t.Errorf("the table begins at epoch %d", first)
	}
	// A short run is shown whole.
	m = &monitor{r: &run{}}
	for epoch := 1; epoch <= 30; epoch++ {
		m.remember(&Metrics{Epoch: epoch})
	}
	if n := len(m.curves()[6].x); n != 30 {
		t.Errorf("%d points of 30 epochs", n)
	}
}

// Weights of 1, 2 and 3: their mean, its error and how many they are worth.
func TestEstimate(t *testing.T) {
	e := estimate([]float64{math.Log(3) + 700, 700, math.Log(2) + 700})
	if want := math.Log(2) + 700; math.Abs(e.LogMean-want) > 1e-12 {
		t.Errorf("mean e^%v, want e^%v", e.LogMean, want)
	}
	if want := 36. / 14; math.Abs(e.SampleSize-want) > 1e-12 {
		t.Errorf("effective sample size %v, want %v", e.SampleSize, want)
	}
	// A standard deviation of 1 over √3, relative to the mean of 2.
	if want := 1 / (2 * math.Sqrt(3)); math.Abs(e.StandardError-want) > 1e-12 {
		t.Errorf("standard error %v, want %v", e.StandardError, want)
	}
}

// Within an epoch and at its end a run says where it is and how fast it goes.
func TestPace(t *testing.T) {
	m := &monitor{r: &run{Config: Config{Epochs: 7}, perEpoch: 20, total: 140, firstStep: 10}}
	for step, want := range map[uint64]string{
		25: "epoch 2 of 7 (25 %), step 25 of 140, ", 40: "epoch 2 of 7, step 40 of 140, ", 140: "epoch 7 of 7, step 140 of 140, ",
	} {
		if got := m.pace(step); !strings.HasPrefix(got, want) || !strings.Contains(got, " ms a step, about ") || !strings.HasSuffix(got, " left") {
			t.Errorf("after step %d: %q", step, got)
		}
	}
}
