package train_test

import (
	"context"
	"math"
	"testing"

	"kadanoff/backend"
	"kadanoff/spin"
	"kadanoff/train"
)

// The machine of three visible and two hidden units whose exact gradient is
// known to 25 digits (eqs 23 and 24; enumeration of all states with multiple
// precision, checked by finite differences of KL).
func machine() (*spin.Net[float32], *spin.Batch, [][3]float64) {
	bias := []float32{0, 0, 0, 0, 0}
	w := map[[2]int]float32{
		{0, 1}: -0.2, {0, 2}: 0.1, {0, 3}: 0.4, {0, 4}: -0.4, {1, 2}: -0.3,
		{1, 3}: 0, {1, 4}: 0.3, {2, 3}: -0.4, {2, 4}: -0.1, {3, 4}: -0.5,
	}
	inside := func(first, n int) []float32 {
		x := make([]float32, n*n)
		for i := range n {
			for j := range i {
				x[i*n+j] = w[[2]int{first + j, first + i}]
				x[j*n+i] = x[i*n+j]
			}
		}
		return x
	}
	between := make([]float32, 6)
	for i := range 3 {
		for a := range 2 {
			between[2*i+a] = w[[2]int{i, 3 + a}]
		}
	}
	net := &spin.Net[float32]{
		Layers: []int{3, 2}, Bias: bias,
		Blocks: []spin.Block[float32]{{A: 0, B: 1, W: between}, {A: 0, B: 0, W: inside(0, 3)}, {A: 1, B: 1, W: inside(3, 2)}},
	}
	// P(v) = (s+1)/36, s = Σ 2^i [v_i = +1]: 36 rows.
	data := spin.NewBatch(3, 36)
	c := 0
	for s := range 8 {
		for range s + 1 {
			for i := range 3 {
				data.Set(i, c, s>>i&1 != 0)
			}
			c++
		}
	}
	// i, j, ∂KL/∂w_ij
	return net, data, [][3]float64{
		{0, 1, -0.3228993952173259613745509}, {0, 2, 0.04544141525320470511567193}, {0, 3, 0.02148725837239980672283230},
		{0, 4, -0.07269495456898443338300782}, {1, 2, -0.2644176555580475591774668}, {1, 3, -0.08070403620371312829743152},
		{1, 4, 0.1421164474606457345188207}, {2, 3, 0.05088537429829197542290705}, {2, 4, -0.08391607096001260495750886},
		{3, 4, -0.0007849702734765184463493870},
	}
}

func TestBoltzmannGradient(t *testing.T) {
	net, data, truth := machine()
	// The 36 rows are repeated, so that the clamped phase has many chains.
	const copies, sweeps, burnIn = 256, 40, 100
	rows := spin.NewBatch(3, 36*copies)
	for i := range 3 {
		for c := range rows.Chains {
			rows.Set(i, c, data.Up(i, c%36))
		}
	}
	be := open(t)
	b, err := train.NewBoltzmann(be, net, rows, train.BoltzmannConfig{Chains: 36 * copies, K: burnIn, Seed: 7})
	check(t, err)
	defer b.Close()
	if _, err := b.Gradient(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Independent estimates from chains that go on: their scatter is the error.
	const n = 30
	sum, square := map[int]float64{}, map[int]float64{}
	for range n {
		g, err := b.Gradient(context.Background())
		check(t, err)
		for k, x := range truth {
			v := entry(g, int(x[0]), int(x[1]))
			sum[k] += v
			square[k] += v * v
		}
	}
	for k, x := range truth {
		mean := sum[k] / n
		stderr := math.Sqrt((square[k]/n - mean*mean) / (n - 1))
		if math.Abs(mean+x[2]) > 5*stderr || stderr > 1e-3 {
			t.Errorf("gradient of coupling %v–%v is %.5f ± %.5f, want %.5f", x[0], x[1], mean, stderr, -x[2])
		}
	}
}

// entry returns the gradient of the coupling of units i < j of the 3+2 machine.
func entry(g *train.Gradient, i, j int) float64 {
	switch {
	case j < 3:
		return g.Blocks[1][3*i+j]
	case i < 3:
		return g.Blocks[0][2*i+j-3]
	}
	return g.Blocks[2][2*(i-3)+j-3]
}

// Training moves the machine towards the data: KL falls from its exact value
// to near what a machine with these couplings and biases can reach.
func TestBoltzmannLearns(t *testing.T) {
	net, data, _ := machine()
	rows := spin.NewBatch(3, 36*16)
	for i := range 3 {
		for c := range rows.Chains {
			rows.Set(i, c, data.Up(i, c%36))
		}
	}
	before := klOf(net)
	if math.Abs(before-0.239422863694859690585) > 1e-6 {
		t.Fatalf("KL of the machine is %v", before)
	}
	b, err := train.NewBoltzmann(open(t), net, rows, train.BoltzmannConfig{Chains: 1000, K: 2, Seed: 3})
	check(t, err)
	defer b.Close()
	for range 300 {
		check(t, b.Step(context.Background(), 0.1))
	}
	if after := klOf(b.Model()); after > 0.02 {
		t.Errorf("KL is %.4f after training, was %.4f", after, before)
	}
	for i := range 3 {
		if b.Model().Blocks[1].W[4*i] != 0 {
			t.Errorf("unit %d is coupled to itself", i)
		}
	}
	if _, err := train.NewBoltzmann(open(t), net, spin.NewBatch(4, 3), train.BoltzmannConfig{Chains: 1, K: 1}); err == nil {
		t.Error("data of another width are accepted")
	}
	if err := b.Step(context.Background(), 1e9); err == nil {
		t.Error("weights beyond fixed point are accepted")
	} else if _, ok := err.(*backend.DivergedError); !ok {
		t.Errorf("a huge rate is %v, want divergence", err)
	}
}

// klOf sums KL(data ‖ model) over all states of a 3+2 machine.
func klOf(n *spin.Net[float32]) float64 {
	p, z := make([]float64, 8), 0.0
	for s := range 32 {
		v := func(u int) float64 { return float64(s>>u&1)*2 - 1 }
		e := 0.0
		for u, b := range n.Bias {
			e += float64(b) * v(u)
		}
		for i := range 3 {
			for a := range 2 {
				e += float64(n.Blocks[0].W[2*i+a]) * v(i) * v(3+a)
			}
			for j := range i {
				e += float64(n.Blocks[1].W[3*i+j]) * v(i) * v(j)
			}
		}
		e += float64(n.Blocks[2].W[1]) * v(3) * v(4)
		p[s&7] += math.Exp(e)
		z += math.Exp(e)
	}
	kl := 0.0
	for s, x := range p {
		q := float64(s+1) / 36
		kl += q * math.Log(q/(x/z))
	}
	return kl
}
