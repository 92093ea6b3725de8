package experiment

import (
	"context"
	"fmt"
	"math"

	"kadanoff/cmd/internal/document"
	"kadanoff/model/rg"
	"kadanoff/report"
)

// RingSummary says what the machines have learnt and where their flows go.
type RingSummary struct {
	document.Summary
	Couplings []RingRow `json:"couplings"`
}

// RingRow is one coupling. Errors are standard errors over the machines.
type RingRow struct {
	K         number `json:"k"`
	W         number `json:"w"` // the exact root
	Tied      number `json:"tied_w"`
	TiedError number `json:"tied_w_error"`
	// Divergences from the ring, in nats.
	Uniform         number `json:"kl_uniform"`
	TiedDivergence  number `json:"kl_tied"`
	FullDivergence  number `json:"kl_full"`
	FullDivergenceE number `json:"kl_full_error"`
	// Where sampled flows go.
	EndUniform number `json:"end_uniform"`
	EndTied    number `json:"end_tied"`
	EndFull    number `json:"end_full"`
	EndFullE   number `json:"end_full_error"`
	Decimated  number `json:"decimated"` // K after one decimation
}

// report makes the page from what the steps have left.
func (e *ring) report(ctx context.Context) (*document.Document, *RingSummary, error) {
	files := map[ringMachine]*ringFile{}
	for _, m := range e.machines(full, tied, uniform) {
		files[m] = new(ringFile)
		if err := e.get(e.flowPath(m), files[m]); err != nil {
			return nil, nil, err
		}
	}
	of := func(at int, kind string, get func(f *ringFile) number) (mean, err float64) {
		var list []float64
		for n := range e.Machines {
			list = append(list, float64(get(files[ringMachine{at, kind, n}])))
		}
		a := average(list)
		return float64(a.Value), float64(a.Error)
	}
	be, err := e.Open(1)
	if err != nil {
		return nil, nil, err
	}
	defer be.Close()
	roots, err := rg.Match(ctx, be, e.Size, e.Hidden, e.K)
	if err != nil {
		return nil, nil, err
	}

	doc := &document.Document{Page: report.Page{
		Title: fmt.Sprintf("The flow of rings of %d Ising spins through machines of %d hidden units", e.Size, e.Hidden),
		Lead: fmt.Sprintf("Machines are trained on exact configurations of the Ising ring, down the exact gradient: with all weights free, with one weight for all pairs, and, not trained, with the exact root W(K). "+
			"Configurations flow through them, v → h → v, each unit drawn from its probability; the coupling K of what comes out is measured, and computed from all states. Decimation of the same rings stands beside it. "+
			"K = J/T; %d configurations and %d steps for each of %d machines of a kind.", e.Samples, e.Epochs, e.Machines),
		Foot: "Errors are standard errors over machines, each trained on configurations of its own, or from a bootstrap over configurations where the table says so. tables/ has all numbers with all digits.",
	}}
	sum := new(RingSummary)
	learnt := document.Table{Name: "ring-weights", Caption: "The one weight that training finds and the exact root W(K), with the difference in standard errors; the divergence from the ring of each kind of machine, in nats; and how far apart the free weights lie: the standard deviation of |W_ia| over its mean, 0 if all were alike.",
		Columns: []string{"K", "W(K)", "tied W", "error", "standard errors", "KL at W(K)", "KL tied", "error", "KL full", "error", "spread of W", "error"}}
	ends := document.Table{Name: "ring-ends", Caption: "Where the sampled flow goes from any start, as a coupling between neighbours; K after one decimation, which goes on to 0; and |m| at the end of the mean-field flow (eqs 50 and 51), of the uniform machine the exact m*, which configurations with as many spins up as down do not go to: they stay.",
		Columns: []string{"K", "full", "error", "tied", "error", "uniform", "decimated", "W²MN", "m* uniform", "|m| tied", "error", "|m| full", "error"}}
	for at, k := range e.K {
		uni := files[ringMachine{at, uniform, 0}]
		w, we := of(at, tied, func(f *ringFile) number { return f.Weight })
		klTied, klTiedE := of(at, tied, func(f *ringFile) number { return f.Divergence })
		klFull, klFullE := of(at, full, func(f *ringFile) number { return f.Divergence })
		apart, apartE := of(at, full, func(f *ringFile) number { return f.Spread })
		learnt.Rows = append(learnt.Rows, []any{k, roots[at], w, we, (w - roots[at]) / we, float64(uni.Divergence), klTied, klTiedE, klFull, klFullE, apart, apartE})
		endFull, endFullE := of(at, full, func(f *ringFile) number { return f.End })
		endTied, endTiedE := of(at, tied, func(f *ringFile) number { return f.End })
		mTied, mTiedE := of(at, tied, func(f *ringFile) number { return f.MeanField.Value })
		mFull, mFullE := of(at, full, func(f *ringFile) number { return f.MeanField.Value })
		exactFlow := rg.UniformFlow{M: e.Size, N: e.Hidden, W: roots[at]}
		star, _ := exactFlow.FixedPoint()
		ends.Rows = append(ends.Rows, []any{k, endFull, endFullE, endTied, endTiedE, float64(uni.End), rg.Decimate(k), roots[at] * roots[at] * float64(e.Size) * float64(e.Hidden), star, mTied, mTiedE, mFull, mFullE})
		sum.Couplings = append(sum.Couplings, RingRow{
			K: number(k), W: number(roots[at]), Tied: number(w), TiedError: number(we),
			Uniform: uni.Divergence, TiedDivergence: number(klTied), FullDivergence: number(klFull), FullDivergenceE: number(klFullE),
			EndUniform: uni.End, EndTied: number(endTied), EndFull: number(endFull), EndFullE: number(endFullE), Decimated: number(rg.Decimate(k)),
		})
	}
	last := len(e.K) - 1
	uni := files[ringMachine{last, uniform, 0}]
	klFull, klFullE := of(last, full, func(f *ringFile) number { return f.Divergence })
	doc.Section("What the machines learn",
		fmt.Sprintf("All spins of a ring are alike, but the weights of the best machine are not: at K = %g one weight for all leaves %.4f nats, free weights %.5f ± %.5f. "+
			"Machines with one weight find the exact root W(K).", e.K[last], float64(uni.Divergence), klFull, klFullE), nil, learnt)

	end, endE := of(last, full, func(f *ringFile) number { return f.End })
	panels, pulls := e.flowPanels(files, last)
	doc.Section("The flow against decimation",
		fmt.Sprintf("Decimation takes every coupling down, to K = 0. The sampled flow goes from any start to the coupling that the machine has learnt: trained at K = %g with free weights, to %.4f ± %.4f; with one weight for all, W(K), to %.4f. "+
			"It neither goes to the critical point T = 0 of the ring nor away from it. What can order is the mean-field flow, where W²MN > 1: an effect of the finite ring.",
			e.K[last], end, endE, float64(uni.End)),
		[]report.Figure{{Name: "ring-flow", Caption: fmt.Sprintf("Coupling along the sampled flow through a machine trained at K = %g, free weights and one weight, and under decimation; points, measured with bootstrap errors; lines, computed from all states.", e.K[last]),
			Panels: panels, Height: 240}}, ends)
	doc.Attach(e.flowTable(files), pulls)
	return doc, sum, nil
}

// flowPanels draws the flows through the first machines of the last coupling,
// and decimation; and says how well samples and sums over all states agree.
func (e *ring) flowPanels(files map[ringMachine]*ringFile, at int) ([]report.Plot, document.Table) {
	top := 0.
	for _, k := range e.K {
		top = math.Max(top, 1.3*k)
	}
	x := make([]float64, e.FlowSteps+1)
	for i := range x {
		x[i] = float64(i)
	}
	var panels []report.Plot
	for _, kind := range []string{full, uniform} {
		plot := report.Plot{Title: kind, X: "step", Y: "K", YRange: [2]float64{0, top}}
		for k, s := range files[ringMachine{at, kind, 0}].Starts {
			line := report.Series{X: x, Color: k}
			points := report.Series{X: x, Color: k, Style: report.Points, Size: 1.8}
			for _, p := range s.Points {
				line.Y = append(line.Y, float64(p.Exact))
				points.Y, points.Error = append(points.Y, float64(p.Sampled.Value)), append(points.Error, float64(p.Sampled.Error))
			}
			plot.Series = append(plot.Series, line, points)
		}
		panels = append(panels, plot)
	}
	down := report.Plot{Title: "decimation", X: "step", Y: "K", YRange: [2]float64{0, top}}
	for i, k := range e.K {
		s := report.Series{X: x, Color: i}
		for _, p := range rg.Flow(k, 0, e.FlowSteps) {
			s.Y = append(s.Y, p.K)
		}
		down.Series = append(down.Series, s)
	}
	panels = append(panels, down)

	pulls := document.Table{Name: "ring-pulls", Caption: "Sampled couplings against those computed from all states: root of the mean square of the differences in standard errors, over all machines of a kind, starts and steps, and the largest.",
		Columns: []string{"machines", "points", "rms", "largest"}}
	for _, kind := range []string{full, tied, uniform} {
		var n, square, largest float64
		for _, m := range e.machines(kind) {
			for _, s := range files[m].Starts {
				for _, p := range s.Points {
					if d := float64(p.Sampled.Value-p.Exact) / float64(p.Sampled.Error); !math.IsNaN(d) && !math.IsInf(d, 0) {
						n, square, largest = n+1, square+float64(d*d), math.Max(largest, math.Abs(d))
					}
				}
			}
		}
		pulls.Rows = append(pulls.Rows, []any{kind, int(n), math.Sqrt(square / n), largest})
	}
	return panels, pulls
}

// flowTable lists all flows, with what decimation makes of each start.
func (e *ring) flowTable(files map[ringMachine]*ringFile) document.Table {
	t := document.Table{Name: "ring-flow", Caption: "Coupling after each step of the sampled flow, from all states and in samples with bootstrap errors, and after as many decimations.",
		Columns: []string{"trained K", "kind", "machine", "start K", "step", "K", "K sampled", "error", "K decimated"}}
	for _, m := range e.machines(full, tied, uniform) {
		for _, s := range files[m].Starts {
			flow := rg.Flow(float64(s.K), 0, e.FlowSteps)
			for step, p := range s.Points {
				t.Rows = append(t.Rows, []any{e.K[m.at], m.kind, m.number + 1, float64(s.K), step, float64(p.Exact), float64(p.Sampled.Value), float64(p.Sampled.Error), flow[step].K})
			}
		}
	}
	return t
}
