package reproduce

import (
	"fmt"
	"math"

	"kadanoff/exact"
	"kadanoff/model/rg"
	"kadanoff/report"
)

// flows draws the flow of the renormalization group beside that of the RBM.
func flows(b *builder) error {
	const m, n, steps = 8, 4, 8
	left := report.Plot{Title: "decimation", X: "step", Y: "K", YRange: [2]float64{0, 2.05}}
	x := linear(0, steps, steps+1)
	for i, k := range []float64{0.25, 0.5, 0.75, 1, 1.5, 2} {
		var ks []float64
		for _, p := range rg.Flow(k, 0, steps) {
			ks = append(ks, p.K)
		}
		left.Series = append(left.Series, report.Series{X: x, Y: ks, Style: report.LinePoints, Color: i, Size: 1.8})
	}
	d, err := exact.RingDensity(m)
	if err != nil {
		return err
	}
	right := report.Plot{Title: "trained RBM", X: "step", Y: "m", YRange: [2]float64{-1.02, 1.02}}
	t := table{Name: "flow", Caption: "Flow of the magnetisation through the RBM matched to the ring, M = 8, N = 4: to ±m* where W²MN > 1.",
		Columns: []string{"K", "W", "W²MN", "m*", "multiplier"}}
	critical, err := crossing(m, n, rg.CriticalW(m, n), 0, 4, false, d.At)
	if err != nil {
		return err
	}
	for i, k := range []float64{0.25, critical, 0.6, 1, 2} {
		w, err := solve(d, n, k)
		if err != nil {
			return err
		}
		f, err := rg.NewUniformFlow(m, n, w)
		if err != nil {
			return err
		}
		fixed, multiplier := f.FixedPoint()
		t.Rows = append(t.Rows, []any{k, w, w * w * m * n, fixed, multiplier})
		for _, m0 := range []float64{0.25, -0.25} {
			right.Series = append(right.Series, report.Series{X: x, Y: f.Flow(m0, steps), Style: report.LinePoints, Color: i, Size: 1.8})
		}
	}

	ks := linear(0.02, 2.5, b.pick(120, 40))
	up, down := make([]float64, len(ks)), make([]float64, len(ks))
	if err := b.each(len(ks), func(i int) error {
		w, err := solve(d, n, ks[i])
		up[i], _ = rg.UniformFlow{M: m, N: n, W: w}.FixedPoint()
		down[i] = -up[i]
		return err
	}); err != nil {
		return err
	}
	diagram := report.Plot{X: "K", Y: "m*", YRange: [2]float64{-1.05, 1.05}, Series: []report.Series{{X: ks, Y: up}, {X: ks, Y: down}}}
	for _, k := range []float64{0.2, 0.7, 1.2, 1.7, 2.2} {
		w, err := solve(d, n, k)
		if err != nil {
			return err
		}
		f := rg.UniformFlow{M: m, N: n, W: w}
		for _, m0 := range []float64{0.12, 0.35} {
			for _, sign := range []float64{1, -1} {
				diagram.Series = append(diagram.Series, report.Series{
					X: []float64{k + m0/10, k + m0/10}, Y: []float64{sign * m0, sign * f.Step(m0)}, Style: report.Arrows, Color: report.Ink})
			}
		}
	}
	limit := table{Name: "flow-large-w", Caption: "One step of the flow from V up spins less down spins, M = 8, N = 4, as W grows: the limit is the sign of V, and V = 0 stays 0.",
		Columns: []string{"V", "W = 0.3", "W = 1", "W = 3", "W = ∞"}}
	for v := -8; v <= 8; v += 2 {
		row := []any{v}
		for _, w := range []float64{0.3, 1, 3, math.Inf(1)} {
			row = append(row, rg.UniformFlow{M: m, N: n, W: w}.Step(float64(v)/m))
		}
		limit.Rows = append(limit.Rows, row)
	}
	b.Section("The two flows side by side",
		"Decimation takes every coupling to the disordered fixed point. The flow of a trained uniform RBM does so only where W²MN < 1; "+
			fmt.Sprintf("above K = %.4g (M = 8, N = 4) it runs away from disorder to two ordered states.", critical),
		[]report.Figure{
			{Name: "flows", Caption: "Left, the coupling under decimation from six starts. Right, the magnetisation under the RBM matched at K = 0.25 (blue), 0.44 (vermilion, critical), 0.6 (green), 1 (purple) and 2 (ochre).",
				Panels: []report.Plot{left, right}, Height: 260},
			{Name: "flow-diagram", Caption: "Fixed points ±m* of the RBM flow against the K at which it was matched; arrows, one step of the flow.", Panels: []report.Plot{diagram}},
		}, t, limit)
	return nil
}

// ranges draws W and the flow of machines matched to ranges of temperatures.
func ranges(b *builder) error {
	const m, n = 8, 4
	d, err := exact.RingDensity(m)
	if err != nil {
		return err
	}
	matched := func(t1, t0 float64) (float64, error) {
		marginal, err := d.Over(t1, t0)
		if err != nil {
			return 0, err
		}
		root, err := marginal.Solve(n)
		return root.W, err
	}
	weights := report.Plot{X: "T0", Y: "W", Legend: report.TopRight, YRange: [2]float64{0, 1}}
	fixed := report.Plot{X: "T0", Y: "m*", YRange: [2]float64{0, 1.02}}
	for i, low := range []float64{0, 1} {
		t0 := linear(low+0.25, 12, b.pick(60, 16))
		w, star := make([]float64, len(t0)), make([]float64, len(t0))
		if err := b.each(len(t0), func(j int) (err error) {
			w[j], err = matched(low, t0[j])
			star[j], _ = rg.UniformFlow{M: m, N: n, W: w[j]}.FixedPoint()
			return err
		}); err != nil {
			return err
		}
		weights.Series = append(weights.Series, report.Series{Name: fmt.Sprintf("T from %g to T0", low), X: t0, Y: w, Color: i})
		fixed.Series = append(fixed.Series, report.Series{X: t0, Y: star, Color: i})
	}
	weights.Series = append(weights.Series, report.Series{Name: "critical W", X: []float64{0, 12}, Y: []float64{rg.CriticalW(m, n), rg.CriticalW(m, n)}, Style: report.Dashed, Color: report.Ink})
	t := table{Name: "temperature-ranges", Caption: "Machines matched to a uniform range of temperatures, M = 8, N = 4.",
		Columns: []string{"T from", "to", "W", "W²MN", "m*", "flow goes to"}}
	goes := map[[2]float64]string{}
	for _, r := range [][2]float64{{0, 0.5}, {0, 1}, {0, 2}, {0, 4}, {0, 6}, {0, 10}, {1, 2}, {1, 6}, {2, 6}} {
		w, err := matched(r[0], r[1])
		if err != nil {
			return err
		}
		star, _ := rg.UniformFlow{M: m, N: n, W: w}.FixedPoint()
		to := "disorder"
		if star > 0 {
			to = "order"
		}
		t.Rows = append(t.Rows, []any{r[0], r[1], w, w * w * m * n, star, to})
		goes[r] = to
	}
	b.Section("Ranges of temperatures",
		fmt.Sprintf("Trained on temperatures from T1 to T0 at once, the machine depends on whether the critical point T = 0 is among them: "+
			"on [0, 6] the flow goes to %s, on [1, 6] to %s.", goes[[2]float64{0, 6}], goes[[2]float64{1, 6}]),
		[]report.Figure{{Name: "temperature-ranges", Caption: "Left, W against the upper end T0 of a range with T = 0 in it and one without. Right, the fixed point of the flow.",
			Panels: []report.Plot{weights, fixed}, Height: 250}}, t)
	return nil
}
