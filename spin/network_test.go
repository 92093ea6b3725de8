package spin

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func randomRBM(v, h int, scale float64, seed uint64) *Net[float32] {
	r := rand.New(rand.NewPCG(seed, 1))
	draw := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(scale * r.NormFloat64())
		}
		return x
	}
	return RBM(v, h, draw(v*h), draw(v), draw(h))
}

func TestQuantize(t *testing.T) {
	for _, c := range []struct {
		v, h  int
		scale float64
		frac  uint
	}{{7, 5, 0.3, 23}, {13, 11, 60, 0}, {1, 1, 1, 23}, {31, 17, 2000, 0}} {
		f := randomRBM(c.v, c.h, c.scale, 3)
		q, err := Quantize(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.CheckRange(); err != nil {
			t.Error(err)
		}
		if c.frac != 0 && q.Frac != c.frac {
			t.Errorf("%d×%d at scale %v has %d fraction bits, want %d", c.v, c.h, c.scale, q.Frac, c.frac)
		}
		worst := 0.0
		for i, w := range f.Blocks[0].W {
			worst = max(worst, math.Abs(float64(w)-math.Ldexp(float64(q.Blocks[0].W[i]), -int(q.Frac))))
		}
		if worst > q.RoundingError || q.RoundingError > math.Ldexp(0.5, -int(q.Frac)) {
			t.Errorf("rounding error %g reported, %g seen", q.RoundingError, worst)
		}
		if q.FieldError < q.RoundingError/2 || q.FieldError > float64(c.v+c.h+1)*q.RoundingError {
			t.Errorf("field error %g does not fit rounding error %g", q.FieldError, q.RoundingError)
		}
		// One more bit must not have fitted.
		if q.Frac < MaxFrac {
			q.Frac++
			for i := range q.Bias {
				q.Bias[i] *= 2
			}
			big := false
			sum := make([]float64, len(f.Bias))
			for u, b := range f.Bias {
				sum[u] = math.Abs(float64(b))
			}
			f.eachCoupling(t.Context(), func(_, to int, w float32) { sum[to] += math.Abs(float64(w)) })
			for _, s := range sum {
				big = big || math.Ldexp(s, int(q.Frac))+float64(len(sum)) >= 1<<31
			}
			if !big {
				t.Errorf("%d×%d at scale %v wastes a fraction bit", c.v, c.h, c.scale)
			}
		}
	}
}

func TestQuantizeRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Net[float32])
		want string
	}{
		{"NaN weight", func(n *Net[float32]) { n.Blocks[0].W[9] = float32(math.NaN()) }, "unit 1 of layer 0 and unit 4 of layer 1"},
		{"infinite bias", func(n *Net[float32]) { n.Bias[8] = float32(math.Inf(1)) }, "layer 1: bias of unit 1"},
		{"huge", func(n *Net[float32]) { n.Blocks[0].W[0] = 2e6 }, "unit 0 has |bias| + Σ|W|"},
		{"short bias", func(n *Net[float32]) { n.Bias = n.Bias[1:] }, "11 biases"},
		{"empty layer", func(n *Net[float32]) { n.Layers[1] = 0 }, "layer 1 has 0 units"},
		{"wrong shape", func(n *Net[float32]) { n.Blocks[0].W = n.Blocks[0].W[:34] }, "34 weights"},
		{"no such layer", func(n *Net[float32]) { n.Blocks[0].B = 2 }, "layers 0 and 2"},
		{"self-coupling", func(n *Net[float32]) {
			n.Blocks[0] = Block[float32]{A: 0, B: 0, W: make([]float32, 49)}
			n.Blocks[0].W[8] = 1
		}, "unit 1 is coupled to itself"},
		{"asymmetric", func(n *Net[float32]) {
			n.Blocks[0] = Block[float32]{A: 0, B: 0, W: make([]float32, 49)}
			n.Blocks[0].W[1] = 1
		}, "one way"},
		{"sparse out of range", func(n *Net[float32]) {
			n.Blocks[0] = Block[float32]{A: 0, B: 1, W: []float32{1}, Col: []int32{5}, RowPtr: []int{0, 1, 1, 1, 1, 1, 1, 1}}
		}, "names unit 5 of 5"},
	} {
		n := randomRBM(7, 5, 0.1, 1)
		c.edit(n)
		if _, err := Quantize(n); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestNeighbors(t *testing.T) {
	n := &Net[float32]{
		Layers: []int{3, 2},
		Bias:   make([]float32, 5),
		Blocks: []Block[float32]{
			{A: 0, B: 1, W: []float32{1, 2, 3, 0, 5, 6}},
			{A: 0, B: 0, W: []float32{0, 7, 0, 7, 0, 8, 0, 8, 0}},
			{A: 0, B: 1, RowPtr: []int{0, 0, 1, 1}, Col: []int32{1}, W: []float32{4}},
		},
	}
	q, err := Quantize(n)
	if err != nil {
		t.Fatal(err)
	}
	ptr, col, w := q.Neighbors()
	want := [][][2]int{{{1, 7}, {3, 1}, {4, 2}}, {{0, 7}, {2, 8}, {3, 3}, {4, 4}}, {{1, 8}, {3, 5}, {4, 6}}, {{0, 1}, {1, 3}, {2, 5}}, {{0, 2}, {1, 4}, {2, 6}}}
	for u, row := range want {
		if ptr[u+1]-ptr[u] != len(row) {
			t.Fatalf("unit %d has %d neighbours, want %d", u, ptr[u+1]-ptr[u], len(row))
		}
		for k, p := range row {
			if int(col[ptr[u]+k]) != p[0] || w[ptr[u]+k] != int32(p[1])<<q.Frac {
				t.Errorf("unit %d, neighbour %d: unit %d weight %d, want %v", u, k, col[ptr[u]+k], w[ptr[u]+k]>>q.Frac, p)
			}
		}
	}
}

func TestBatch(t *testing.T) {
	for _, chains := range []int{1, 63, 64, 65, 130} {
		b := NewBatch(5, chains)
		r := rand.New(rand.NewPCG(1, 2))
		want := make([]int8, 5*chains)
		for c := range chains {
			for u := range 5 {
				want[5*c+u] = int8(r.IntN(2)*2 - 1)
			}
			b.SetInt8(want[5*c:5*c+5], c)
		}
		if err := b.Check(); err != nil {
			t.Error(err)
		}
		got := make([]int8, 5)
		for c := range chains {
			b.PutInt8(got, c)
			for u, s := range got {
				if s != want[5*c+u] || int(s) != b.Spin(u, c) || b.Up(u, c) != (s > 0) {
					t.Fatalf("%d chains: unit %d chain %d is %d, want %d", chains, u, c, s, want[5*c+u])
				}
			}
		}
		if chains%64 != 0 {
			b.Bits[b.Words-1] |= 1 << 63
			if b.Check() == nil {
				t.Errorf("%d chains: a bit beyond the last chain passes", chains)
			}
		}
	}
}
