package roots

import (
	"kadanoff/kernels/isa"
	"math"
	"math/rand"
	"sort"
	"testing"
	"time"
)

func TestKernX(t *testing.T) {
	tb := NewTable(NewSize(8, 4))
	n := 1 << 20
	k := make([]float64, n)
	rng := rand.New(rand.NewSource(1))
	for i := range k {
		k[i] = math.Exp(math.Log(1e-3) + rng.Float64()*math.Log(1e4))
	}
	w := make([]float64, n)
	w2 := make([]float64, n)
	t0 := time.Now()
	tb.Solve(For(isa.Generic), w, k)
	t.Log("first", time.Since(t0))
	b, of := tb.Built()
	t.Log(b, of)
	sk := append([]float64{}, k...)
	sort.Float64s(sk)
	for _, l := range isa.Available() {
		best := 1e9
		bs := 1e9
		for r := 0; r < 7; r++ {
			t0 := time.Now()
			tb.Solve(For(l), w2, k)
			best = min(best, time.Since(t0).Seconds())
			for i := range w {
				if w[i] != w2[i] {
					t.Fatal(l, i, k[i], w[i], w2[i])
				}
			}
			t0 = time.Now()
			tb.Solve(For(l), w2, sk)
			bs = min(bs, time.Since(t0).Seconds())
		}
		t.Logf("%v random %.3g sorted %.3g", l, float64(n)/best, float64(n)/bs)
	}
}
