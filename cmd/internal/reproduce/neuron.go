package reproduce

import (
	"fmt"
	"math"

	"kadanoff/report"
)

// neuron draws figure 1, a neuron and its response.
func neuron(b *builder) error {
	const inputs = 4
	drawing := report.Plot{NoAxes: true, XRange: [2]float64{-0.7, 3.6}, YRange: [2]float64{-0.6, 3.6}}
	nodes := report.Series{Style: report.Points, Size: 13}
	for i := range inputs {
		y := float64(inputs - 1 - i)
		name := fmt.Sprint(i + 1)
		if i == inputs-1 {
			name = "I"
		}
		end := (1.5 + 0.16*(y-1.5)) // where the arrow meets the neuron
		drawing.Series = append(drawing.Series, report.Series{
			Style: report.Arrows, Color: report.Ink, X: []float64{0.22, 1.72}, Y: []float64{y + 0.05*(1.5-y), end},
		})
		drawing.Labels = append(drawing.Labels,
			report.Label{X: -0.5, Y: y, Text: "x" + name},
			report.Label{X: 0.8, Y: y + 0.36*(1.5-y) + 0.3, Text: "w" + name})
		nodes.X, nodes.Y = append(nodes.X, 0), append(nodes.Y, y)
	}
	nodes.X, nodes.Y = append(nodes.X, 2), append(nodes.Y, 1.5)
	drawing.Series = append(drawing.Series,
		report.Series{Style: report.Arrows, Color: report.Ink, X: []float64{2.25, 3.05}, Y: []float64{1.5, 1.5}}, nodes)
	drawing.Labels = append(drawing.Labels, report.Label{X: 3.3, Y: 1.5, Text: "y"}, report.Label{X: 2, Y: 0.85, Text: "σ(Σ w x)"})

	response := report.Plot{X: "activity a", Y: "y", YRange: [2]float64{0, 1}}
	a := linear(-6, 6, 121)
	y := make([]float64, len(a))
	for i := range a {
		y[i] = 1 / (1 + math.Exp(-a[i]))
	}
	response.Series = []report.Series{{X: a, Y: y}}
	b.Section("Figure 1: a single neuron",
		"The neuron weighs its inputs, a = Σ w x, and answers with the logistic function y = σ(a), which lies between 0 and 1.",
		[]report.Figure{{
			Name: "figure-1-neuron", Caption: "A neuron with I inputs, weights w and output y, and its response σ(a).",
			Panels: []report.Plot{drawing, response}, Height: 230,
		}})
	return nil
}
