package exact

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Draws have the means and the correlations across layers that enumeration
// gives, for machines whose smaller layer is either one, within five standard
// errors.
func TestDraw(t *testing.T) {
	for _, shape := range [][2]int{{7, 3}, {3, 7}, {5, 5}} {
		r := rand.New(rand.NewPCG(7, uint64(shape[0])))
		m := RBM{Visible: shape[0], Hidden: shape[1], W: make([]float64, shape[0]*shape[1]), B: make([]float64, shape[0]), C: make([]float64, shape[1])}
		for _, x := range [][]float64{m.W, m.B, m.C} {
			for i := range x {
				x[i] = 0.7 * r.NormFloat64()
			}
		}
		want, err := m.Moments()
		if err != nil {
			t.Fatal(err)
		}
		d, err := m.Drawer()
		if err != nil {
			t.Fatal(err)
		}
		const n = 100000
		v, h := make([]int8, m.Visible), make([]int8, m.Hidden)
		sumV, sumH := make([]float64, m.Visible), make([]float64, m.Hidden)
		for range n {
			d.Draw(v, h, r.Float64)
			for i, s := range v {
				sumV[i] += float64(s) / n
			}
			for a, s := range h {
				sumH[a] += float64(s) / n
			}
		}
		near := func(what string, i int, got, want float64) {
			if math.Abs(got-want) > 5*math.Sqrt((1-want*want)/n) {
				t.Errorf("%v: %s %d is %v, want %v", shape, what, i, got, want)
			}
		}
		for i, x := range want.V {
			near("visible", i, sumV[i], x)
		}
		for a, x := range want.H {
			near("hidden", a, sumH[a], x)
		}
	}
	if _, err := (RBM{}).Drawer(); err == nil {
		t.Error("a drawer of nothing")
	}
}
