package roots

import (
	"kadanoff/kernels/isa"
	"math"
	"math/rand"
	"testing"
	"time"
)

func TestNewtX(t *testing.T) {
	for _, mn := range [][2]int{{8, 4}, {2, 5}, {3, 7}, {9, 100}, {16, 4}, {64, 16}, {256, 1}, {256, 64}, {256, 1024}, {128, 4}, {31, 1000}, {200, 500}} {
		s := NewSize(mn[0], mn[1])
		tb := NewTable(s)
		n := 1 << 14
		k := make([]float64, n)
		rng := rand.New(rand.NewSource(1))
		for i := range k {
			k[i] = math.Exp(math.Log(1e-3) + rng.Float64()*math.Log(1e4))
		}
		w := make([]float64, n)
		w2 := make([]float64, n)
		p := Distributions{Count: n, Weight: make([]float64, n*s.Values()), Low: make([]float64, n*s.Values())}
		wk := tb.workers.Get().(*worker)
		for i, K := range k {
			tb.ring.at(K, wk.q)
			sc, _ := wk.q.scale.neg().expm1()
			p.Weight[i] = 2
			for j := 1; j <= s.h; j++ {
				x := wk.q.low[j].mul(sc)
				p.Weight[j*n+i] = x.hi
				p.Low[j*n+i] = x.lo
			}
		}
		tb.Solve(For(isa.AVX512), w, k)
		t0 := time.Now()
		s.Solve(For(isa.Generic), w2, p)
		dt := time.Since(t0)
		worst := 0.0
		at := 0.0
		for i := range w {
			if e := math.Abs(w2[i]/w[i] - 1); !(e <= worst) {
				worst = e
				at = k[i]
			}
		}
		// iteration & condition statistics
		v := s.solver()
		cnt := 0
		wf := 0.0
		wk2 := 0.0
		for i := range w {
			for j := range v.lane {
				v.lane[j] = p.Weight[j*n+i]
			}
			ww, sl := s.newton(v.lane, v.t)
			if sl < s.polishLimit() {
				cnt++
			}
			e := math.Abs(ww/w[i] - 1)
			if k[i] < 0.3 && e*sl > wf {
				wf = e * sl
				wk2 = k[i]
			}
		}
		t.Logf("%v %v worst %.3g at %g; careful %d of %d, F error %.3g at %g limit %g", mn, dt/time.Duration(n), worst, at, cnt, n, wf, wk2, s.polishLimit())
	}
}
