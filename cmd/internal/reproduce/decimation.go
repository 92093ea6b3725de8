package reproduce

import (
	"math"

	"kadanoff/exact"
	"kadanoff/model/rg"
	"kadanoff/report"
	"kadanoff/spin/philox"
)

// decimation draws figure 2, the flow of the coupling of a ring.
func decimation(b *builder) error {
	flow := rg.Flow(2, 0, 6)
	line := report.Series{Style: report.Line, Color: report.Ink, X: []float64{0, 1}, Y: []float64{0, 0}}
	arrows := report.Series{Style: report.Arrows, Color: 0}
	t := table{Name: "decimation", Caption: "Decimation from K = 2: each step halves the number of spins and the correlation length ξ.",
		Columns: []string{"step", "K", "K0", "tanh K", "ξ"}}
	for _, p := range flow {
		arrows.X, arrows.Y = append(arrows.X, math.Tanh(p.K)), append(arrows.Y, 0)
		t.Rows = append(t.Rows, []any{p.Step, p.K, p.K0, math.Tanh(p.K), rg.CorrelationLength(p.K)})
	}
	dot := report.Series{Style: report.Points, Color: 0, X: arrows.X[:1], Y: arrows.Y[:1], Size: 3.5}
	ends := report.Series{Style: report.Points, Color: 1, X: []float64{0, 1}, Y: []float64{0, 0}, Size: 5}
	b.Section("Figure 2: decimation of the Ising ring",
		"Summing out every second spin takes K to K′ with tanh K′ = tanh²K. Only K = 0 and K = ∞ stay; everything else flows to K = 0, the paramagnet.",
		[]report.Figure{{
			Name: "figure-2-rg-flow", Caption: "Flow of the coupling, from K = 2, on the scale of tanh K: the fixed point K = ∞ is unstable, K = 0 stable.",
			Height: 120, Panels: []report.Plot{{
				NoAxes: true, XRange: [2]float64{-0.06, 1.06}, YRange: [2]float64{-1, 1},
				Series: []report.Series{line, arrows, dot, ends},
				Labels: []report.Label{{X: 0, Y: -0.6, Text: "K = 0"}, {X: 1, Y: -0.6, Text: "K = ∞"}, {X: math.Tanh(2), Y: 0.5, Text: "K = 2"}},
			}},
		}}, t)
	return nil
}

// decimatedConfigurations measures the couplings of sampled rings of which
// every second spin is dropped, again and again.
func decimatedConfigurations(b *builder) error {
	const size, k = 64, 1.
	chains := b.pick(20000, 2000)
	states := sampleRings(chains, size, k, b.Seed)
	t := table{Name: "decimated-configurations",
		Caption: "K measured in sampled rings (K = 1, 64 spins) of which every second spin is dropped, against the decimation of K; the deviation in standard errors.",
		Columns: []string{"spins", "K measured", "K decimated", "standard errors"}}
	want := k
	for n := size; n >= 4; n /= 2 {
		got, err := rg.MeasureCoupling(states, n)
		if err != nil {
			return err
		}
		// The estimate has variance 1/(chains·Var Σ s s′), the Fisher information.
		r, err := exact.NewRing(n, want)
		if err != nil {
			return err
		}
		information := float64(chains) * float64(n) * r.SpecificHeat() / (want * want)
		t.Rows = append(t.Rows, []any{n, got, want, (got - want) * math.Sqrt(information)})
		if states, err = rg.DecimateSpins(states, n); err != nil {
			return err
		}
		want = rg.Decimate(want)
	}
	b.Section("Decimation of configurations",
		"The same flow in sampled configurations: nothing is summed, spins are dropped, and the coupling is measured in those that stay.", nil, t)
	return nil
}

// sampleRings draws rings from their exact distribution, bond by bond: the
// walls between unlike neighbours are independent but for their number, which
// is even, so that rows with an odd number are drawn again.
func sampleRings(chains, size int, k float64, seed uint64) []int8 {
	key := philox.NewKey(seed)
	wall := 1 / (1 + math.Exp(2*k))
	states := make([]int8, 0, chains*size)
	row := make([]int8, size)
	for chain := uint32(0); len(states) < chains*size; chain++ {
		draw := 0
		var words [4]uint32
		uniform := func() float64 {
			if draw%4 == 0 {
				words = philox.Block([4]uint32{chain, uint32(draw/4) | uint32(philox.Init)<<24, 0, 0}, key)
			}
			draw++
			return (float64(words[(draw-1)%4]) + 0.5) / (1 << 32)
		}
		s := int8(1)
		if uniform() < 0.5 {
			s = -1
		}
		first := s
		for i := range row {
			row[i] = s
			if uniform() < wall {
				s = -s
			}
		}
		if s == first {
			states = append(states, row...)
		}
	}
	return states
}
