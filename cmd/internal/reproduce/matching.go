package reproduce

import (
	"fmt"
	"math"

	"kadanoff/exact"
	"kadanoff/report"
)

// solve returns W(K) of a uniform RBM on a ring.
func solve(d *exact.Density, n int, k float64) (float64, error) {
	m, err := d.At(k)
	if err != nil {
		return 0, err
	}
	root, err := m.Solve(n)
	return root.W, err
}

// sidesAt returns f and g on a grid of W, and the root.
func sidesAt(m, n int, k float64, w []float64) (f, g []float64, root float64, err error) {
	d, err := exact.RingDensity(m)
	if err != nil {
		return nil, nil, 0, err
	}
	marginal, err := d.At(k)
	if err != nil {
		return nil, nil, 0, err
	}
	for _, x := range w {
		fx, err := exact.F(m, n, x)
		if err != nil {
			return nil, nil, 0, err
		}
		gx, err := marginal.G(x)
		if err != nil {
			return nil, nil, 0, err
		}
		f, g = append(f, fx), append(g, gx)
	}
	r, err := marginal.Solve(n)
	return f, g, r.W, err
}

// matching draws figures 3, 4 and 5.
func matching(b *builder) error {
	const m, n = 8, 4
	points := b.pick(200, 80)
	plot := func(k, upTo float64, legend report.Corner) (report.Plot, float64, error) {
		w := linear(0, upTo, points)
		f, g, root, err := sidesAt(m, n, k, w)
		if err != nil {
			return report.Plot{}, 0, err
		}
		at, err := exact.F(m, n, root)
		return report.Plot{
			X: "W", Y: "f, g", Legend: legend, Title: fmt.Sprintf("K = %g", k), YRange: [2]float64{0, 8.2},
			Series: []report.Series{
				{Name: "f(W)", X: w, Y: f}, {Name: "g(W, K)", X: w, Y: g, Color: 1},
				{X: []float64{root}, Y: []float64{at}, Style: report.Points, Color: report.Ink, Size: 3.5},
			},
		}, root, err
	}
	three, root, err := plot(1, 1, report.BottomRight)
	if err != nil {
		return err
	}
	three.Title = ""
	d, err := exact.RingDensity(m)
	if err != nil {
		return err
	}
	read, err := crossing(m, n, 0.30, 0, 4, false, d.At) // the weight the thesis reads off
	if err != nil {
		return err
	}
	b.Section("Figure 3: the equation for W",
		fmt.Sprintf("The best weight solves f(W) = g(W, K), the mean of V tanh VW under the RBM and under the ring. At M = 8, N = 4, K = 1 the root is W = %.15g; "+
			"0.30, read off a graph, belongs to K = %.6f.", root, read),
		[]report.Figure{{Name: "figure-3-root", Caption: "f and g against W for M = 8, N = 4 at K = 1; the dot is the root.", Panels: []report.Plot{three}}})

	ks := linear(0, 3, points)
	ws := make([]float64, len(ks))
	if err := b.each(len(ks), func(i int) (err error) { ws[i], err = solve(d, n, ks[i]); return err }); err != nil {
		return err
	}
	t := table{Name: "w-of-k", Caption: "W(K) at M = 8, N = 4.", Columns: []string{"K", "W", "W²MN"}}
	for _, k := range []float64{0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10} {
		w, err := solve(d, n, k)
		if err != nil {
			return err
		}
		t.Rows = append(t.Rows, []any{k, w, w * w * m * n})
	}
	b.Section("Figure 4: W(K)", "The root grows with K, like √K at first and like 2K/N at last.",
		[]report.Figure{{Name: "figure-4-w-of-k", Caption: "The weight W against K = βJ for M = 8, N = 4.",
			Panels: []report.Plot{{X: "K", Y: "W", Series: []report.Series{{X: ks, Y: ws}}}}}}, t)

	five := report.Figure{Name: "figure-5-rising-k", Height: 210, Caption: "f and g for K = 1, 2, 3: the intersection moves out without bound as K grows."}
	for _, k := range []float64{1, 2, 3} {
		p, _, err := plot(k, 2, report.BottomRight)
		if err != nil {
			return err
		}
		five.Panels = append(five.Panels, p)
	}
	b.Section("Figure 5: rising K",
		"f stays below M tanh MW = g(W, ∞) for every finite W, so the root leaves every bound as K → ∞: at the critical point T = 0 of the ring the weight diverges.",
		[]report.Figure{five})
	return nil
}

// sizes draws W(K) for many sizes with its asymptotes.
func sizes(b *builder) error {
	shapes := [][2]int{{4, 2}, {8, 4}, {16, 8}, {64, 32}, {256, 128}}
	if b.Quick {
		shapes = shapes[:4]
	}
	ks := geometric(1e-4, 30, b.pick(90, 36))
	plot := report.Plot{X: "K", Y: "W", LogX: true, LogY: true, Legend: report.TopLeft}
	t := table{Name: "w-of-k-sizes", Caption: "W(K) for many sizes and its ratio to the asymptotes √(2K/(N(M−1))) at small and 2K/N − ln(M²/8)/2N at large K.",
		Columns: []string{"M", "N", "K", "W", "W / small-K", "W / large-K"}}
	for i, s := range shapes {
		m, n := s[0], s[1]
		d, err := exact.RingDensity(m)
		if err != nil {
			return err
		}
		ws := make([]float64, len(ks))
		if err := b.each(len(ks), func(i int) (err error) { ws[i], err = solve(d, n, ks[i]); return err }); err != nil {
			return err
		}
		small := func(k float64) float64 { return math.Sqrt(2 * k / float64(n*(m-1))) }
		large := func(k float64) float64 { return 2*k/float64(n) - math.Log(float64(m*m)/8)/float64(2*n) }
		low, high := make([]float64, len(ks)), make([]float64, len(ks))
		for j, k := range ks {
			low[j], high[j] = math.NaN(), math.NaN()
			if k < 0.3 {
				low[j] = small(k)
			}
			if x := large(k); x > 0.5*ws[j] {
				high[j] = x
			}
		}
		plot.Series = append(plot.Series,
			report.Series{X: ks, Y: low, Style: report.Dashed, Color: report.Ink},
			report.Series{X: ks, Y: high, Style: report.Dashed, Color: report.Ink},
			report.Series{Name: fmt.Sprintf("%d × %d", m, n), X: ks, Y: ws, Color: i})
		for _, k := range []float64{1e-4, 0.01, 1, 10, 30} {
			w, err := solve(d, n, k)
			if err != nil {
				return err
			}
			ratio := math.NaN() // the asymptote is negative at small K
			if x := large(k); x > 0 {
				ratio = w / x
			}
			t.Rows = append(t.Rows, []any{m, n, k, w, w / small(k), ratio})
		}
	}
	b.Section("W(K) for many sizes",
		"Between the two asymptotes a plateau opens as the machine grows: there W²MN is close to 1 − exp(−2K), the value of an infinite ring.",
		[]report.Figure{{Name: "w-of-k-sizes", Caption: "W(K) for M × N units; dashed, the asymptotes at small and large K.", Panels: []report.Plot{plot}}}, t)
	return nil
}

// divergence draws the Kullback–Leibler divergence against W.
func divergence(b *builder) error {
	const m, n = 8, 4
	w := linear(0, 1, b.pick(160, 60))
	plot := report.Plot{X: "W", Y: "KL (nats)", Legend: report.TopRight, YRange: [2]float64{0, 5.6}}
	t := table{Name: "divergence", Caption: "Kullback–Leibler divergence from the ring to the uniform RBM, M = 8, N = 4, at W = 0 and at the root W(K), in nats.",
		Columns: []string{"K", "W(K)", "KL at W = 0", "KL at W(K)"}}
	d, err := exact.RingDensity(m)
	if err != nil {
		return err
	}
	for i, k := range []float64{0.5, 1, 2, 3} {
		kl := make([]float64, len(w))
		if err := b.each(len(w), func(j int) (err error) {
			kl[j], err = exact.UniformRBM{M: m, N: n, W: w[j]}.KLFromRing(k)
			return err
		}); err != nil {
			return err
		}
		root, err := solve(d, n, k)
		if err != nil {
			return err
		}
		least, err := exact.UniformRBM{M: m, N: n, W: root}.KLFromRing(k)
		if err != nil {
			return err
		}
		plot.Series = append(plot.Series, report.Series{Name: fmt.Sprintf("K = %g", k), X: w, Y: kl, Color: i})
		if root < 1 {
			plot.Series = append(plot.Series, report.Series{X: []float64{root}, Y: []float64{least}, Style: report.Points, Color: i, Size: 3.5})
		}
		t.Rows = append(t.Rows, []any{k, root, kl[0], least})
	}
	b.Section("Divergence against W",
		"The root is the minimum of the divergence and W = 0 its maximum; the minimum is not zero, because uniform weights see nothing of the ring but V.",
		[]report.Figure{{Name: "divergence", Caption: "KL(ring ‖ RBM) against W; dots, the roots W(K).", Panels: []report.Plot{plot}}}, t)
	return nil
}
