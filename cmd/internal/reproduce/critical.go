package reproduce

import (
	"math"

	"kadanoff/exact"
	"kadanoff/model/rg"
	"kadanoff/report"
)

// crossing returns the x in [lo, hi] at which the matched weight is w, where g
// passes f(w). g must rise from lo to hi, or fall if falling.
func crossing(m, n int, w, lo, hi float64, falling bool, at func(x float64) (*exact.Marginal, error)) (float64, error) {
	f, err := exact.F(m, n, w)
	if err != nil {
		return 0, err
	}
	for {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			return mid, nil
		}
		marginal, err := at(mid)
		if err != nil {
			return 0, err
		}
		g, err := marginal.G(w)
		if err != nil {
			return 0, err
		}
		if g < f != falling {
			lo = mid
		} else {
			hi = mid
		}
	}
}

// criticalCouplings draws where the flow turns from disorder to order.
func criticalCouplings(b *builder) error {
	sizes := []int{4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}
	if b.Quick {
		sizes = []int{4, 8, 16, 32, 64}
	}
	kc := make([]float64, len(sizes))
	if err := b.each(len(sizes), func(i int) error {
		d, err := exact.RingDensity(sizes[i])
		if err != nil {
			return err
		}
		kc[i], err = crossing(sizes[i], sizes[i]/2, rg.CriticalW(sizes[i], sizes[i]/2), 0, 4, false, d.At)
		return err
	}); err != nil {
		return err
	}
	ring := table{Name: "critical-coupling-ring", Caption: "Coupling K_c above which the flow of the machine matched to a ring of M spins, N = M/2, goes to order.",
		Columns: []string{"M", "K_c", "T_flow", "K_c − ¼ ln M", "exp(2K_c)/√M"}}
	x, quarter := make([]float64, len(sizes)), make([]float64, len(sizes))
	for i, m := range sizes {
		x[i] = float64(m)
		quarter[i] = math.Log(x[i])/4 + kc[len(kc)-1] - math.Log(float64(sizes[len(sizes)-1]))/4
		ring.Rows = append(ring.Rows, []any{m, kc[i], 1 / kc[i], kc[i] - math.Log(x[i])/4, math.Exp(2*kc[i]) / math.Sqrt(x[i])})
	}
	left := report.Plot{Title: "ring", X: "M", Y: "critical K", LogX: true, Legend: report.TopLeft, Series: []report.Series{
		{Name: "K_c(M)", X: x, Y: kc, Style: report.LinePoints},
		{Name: "¼ ln M + const", X: x, Y: quarter, Style: report.Dashed, Color: report.Ink}}}

	right := report.Plot{Title: "square lattice", X: "L", Y: "T_flow", Legend: report.TopRight, YRange: [2]float64{2, 9}}
	torus := table{Name: "critical-temperature-torus", Caption: "Temperature T_flow below which the flow of the machine matched to an L × L torus, N = c·L², goes to order; T_c = 2.269185.",
		Columns: []string{"L", "c", "N", "T_flow", "T_flow/T_c"}}
	largest := b.pick(exact.MaxDensityTorus, 6)
	names := []string{"N = L²/4", "N = L²/2", "N = L²"}
	for i, c := range []float64{0.25, 0.5, 1} {
		var sides, flow []float64
		for l := 3; l <= largest; l++ {
			n := int(math.Round(c * float64(l*l)))
			d, err := exact.TorusDensity(l)
			if err != nil {
				return err
			}
			t, err := crossing(l*l, n, rg.CriticalW(l*l, n), 0.5, 40, true, d.AtTemperature)
			if err != nil {
				return err
			}
			sides, flow = append(sides, float64(l)), append(flow, t)
			torus.Rows = append(torus.Rows, []any{l, c, n, t, t / exact.TcSquare})
		}
		right.Series = append(right.Series, report.Series{Name: names[i], X: sides, Y: flow, Style: report.LinePoints, Color: i})
	}
	right.Series = append(right.Series, report.Series{Name: "T_c", X: []float64{3, float64(largest)}, Y: []float64{exact.TcSquare, exact.TcSquare}, Style: report.Dashed, Color: report.Ink})
	b.Section("Where the flow turns",
		"The ring has no transition at T > 0: its critical coupling of the flow grows like ¼ ln M, an effect of finite size. "+
			"On the square lattice the temperature at which the flow turns falls towards the critical T_c as L grows.",
		[]report.Figure{{Name: "critical", Caption: "Left, the critical K of the flow on rings. Right, its temperature on tori, for three numbers of hidden units.",
			Panels: []report.Plot{left, right}, Height: 260}}, ring, torus)
	return nil
}
