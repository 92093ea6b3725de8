package experiment

import (
	"fmt"
	"math"
	"slices"

	"kadanoff/cmd/internal/document"
	"kadanoff/exact"
	"kadanoff/model/modelfile"
	"kadanoff/model/rg"
	"kadanoff/report"
)

// IsoSummary says where the flows go.
type IsoSummary struct {
	document.Summary
	Flows []IsoFlow `json:"flows"`
}

// IsoFlow is the mean over the machines of one kind. Errors are from the
// bootstrap over configurations; SeedError is the standard error of the mean
// over machines, which has both chances in it.
type IsoFlow struct {
	Set       string `json:"set"`
	Units     string `json:"units"`
	Hidden    int    `json:"hidden"`
	Flow      string `json:"flow"`
	End       number `json:"end"`
	Error     number `json:"error"`
	SeedError number `json:"seed_error"`
	Memory    number `json:"memory"`
	ByEnergy  number `json:"end_by_energy"`
	Fixed     number `json:"fixed"`
	FixError  number `json:"fixed_error"`
}

// pooled is the mean of estimates from several machines.
type pooled struct {
	mean, err float64
	seeds     float64 // standard error from the differences between machines; NaN for one
}

func pool(list []estimate) pooled {
	var values []float64
	p := pooled{seeds: math.NaN()}
	square := 0.
	for _, e := range list {
		values = append(values, float64(e.Value))
		square += float64(e.Error * e.Error)
	}
	n := float64(len(list))
	p.mean, p.err = float64(average(values).Value), math.Sqrt(square)/n
	if len(list) > 1 {
		p.seeds = float64(average(values).Error)
	}
	return p
}

// bar is the error that figures show: the larger one.
func (p pooled) bar() float64 { return math.Max(p.err, zeroNaN(p.seeds)) }

func zeroNaN(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// results is everything that a report is made from.
type results struct {
	*iso
	files       map[string]*flowFile // by machine
	calibration calibration
	theory      []uniformTheory
	doc         *document.Document
}

// of returns the estimates of a quantity for the machines of a cell.
func (r *results) of(c cell, kind string, get func(p *path) estimate) pooled {
	var list []estimate
	for k := range r.Machines {
		for i, p := range r.files[machine{c, k}.String()].Paths {
			if p.Kind == kind {
				list = append(list, get(&r.files[machine{c, k}.String()].Paths[i]))
			}
		}
	}
	return pool(list)
}

// report makes the page from what the steps have left.
func (e *iso) report() (*document.Document, *IsoSummary, error) {
	r := &results{iso: e, files: map[string]*flowFile{}, doc: &document.Document{}}
	if err := e.get("calibration.json", &r.calibration); err != nil {
		return nil, nil, err
	}
	if err := e.get(theoryFile, &r.theory); err != nil {
		return nil, nil, err
	}
	for _, m := range e.machines() {
		r.files[m.String()] = new(flowFile)
		if err := e.get(flowPath(m), r.files[m.String()]); err != nil {
			return nil, nil, err
		}
	}
	r.doc.Page = report.Page{
		Title: fmt.Sprintf("The flow of %d×%d Ising configurations through trained machines", e.Lattice, e.Lattice),
		Lead: fmt.Sprintf("Restricted Boltzmann machines are trained on equilibrium configurations of the two-dimensional Ising model at several temperatures; "+
			"configurations that they have not seen are sent through them, v → h → v and again, and a network that was trained to read temperatures tells where they go "+
			"(S. Iso, S. Shiba, S. Yokoo, arXiv 1801.07172). T is in units of J/k_B, T_c = %.4f. "+
			"%d temperatures from 0 to %g, %d configurations each, %d epochs of %s-1, %d machines of each kind, %d fresh configurations from each start.",
			exact.TcSquare, e.Temperatures, e.TMax, e.Samples, e.Epochs, e.Algorithm, e.Machines, e.Fresh),
		Foot: "Errors are standard errors: from a bootstrap over configurations, and where it says so from the differences between machines. tables/ has all numbers with all digits.",
	}
	sum := r.ends()
	r.pictures()
	r.along()
	r.distributions()
	if err := r.thermometerSection(); err != nil {
		return nil, nil, err
	}
	r.spectra()
	r.uniformSection()
	return r.doc, sum, nil
}

// ends says where all flows go.
func (r *results) ends() *IsoSummary {
	sum := new(IsoSummary)
	t := document.Table{Name: "iso-ends", Caption: "Where the flow goes: what the thermometer reads after the last step, the mean over all starts, with the error from configurations and from machines; " +
		"how far the hottest start then lies above the coldest; the temperature that the energy has then; and the start that one step leaves where it is.",
		Columns: []string{"set", "units", "N", "flow", "end T", "error", "machines' error", "memory", "memory error", "T of the energy", "energy error", "fixed T", "fixed error"}}
	each := document.Table{Name: "iso-machines", Caption: "The same for each machine, with the replicas of the bootstrap that have no fixed point, the largest eigenvalue of W Wᵀ, and the square of the overlap of its eigenvector with the uniform one.",
		Columns: []string{"set", "units", "N", "machine", "flow", "end T", "error", "memory", "memory error", "T of the energy", "energy error", "fixed T", "fixed error", "lost", "eigenvalue", "overlap"}}
	for _, c := range r.cells() {
		for _, kind := range []string{sampled, meanField} {
			end := r.of(c, kind, func(p *path) estimate { return p.End })
			memory := r.of(c, kind, func(p *path) estimate { return p.Memory })
			energy := r.of(c, kind, func(p *path) estimate { return p.EndEnergy })
			fixed := r.of(c, kind, func(p *path) estimate { return p.Fixed })
			t.Rows = append(t.Rows, []any{c.set.name, string(c.units), c.hidden, kind, end.mean, end.err, end.seeds, memory.mean, memory.err, energy.mean, energy.err, fixed.mean, fixed.err})
			sum.Flows = append(sum.Flows, IsoFlow{
				Set: c.set.name, Units: string(c.units), Hidden: c.hidden, Flow: kind, End: number(end.mean), Error: number(end.err), SeedError: number(end.seeds),
				Memory: number(memory.mean), ByEnergy: number(energy.mean), Fixed: number(fixed.mean), FixError: number(fixed.err),
			})
			for k := range r.Machines {
				f := r.files[machine{c, k}.String()]
				for _, p := range f.Paths {
					if p.Kind == kind {
						each.Rows = append(each.Rows, []any{c.set.name, string(c.units), c.hidden, k + 1, kind,
							float64(p.End.Value), float64(p.End.Error), float64(p.Memory.Value), float64(p.Memory.Error), float64(p.EndEnergy.Value), float64(p.EndEnergy.Error),
							float64(p.Fixed.Value), float64(p.Fixed.Error), p.Lost, float64(f.Spectrum[0]), float64(f.Uniform)})
					}
				}
			}
		}
	}
	r.doc.Attach(each)
	x, series := r.sizes()
	text := "Sets: "
	for i, set := range r.sets() {
		if i > 0 {
			text += "; "
		}
		text += set.name + ", " + r.says(set)
	}
	all := r.of(r.reference(), sampled, func(p *path) estimate { return p.End })
	memory := r.of(r.reference(), sampled, func(p *path) estimate { return p.Memory })
	text += fmt.Sprintf(". Trained on all temperatures with N = %d, the sampled flow ends where the thermometer reads %.3f ± %.3f, which is %.1f standard errors from T_c = %.3f, and the starts lie %.3f ± %.3f apart. "+
		"A flow of samples that went on forever would draw from the machine's own distribution: of a perfect machine this would be the training set, whatever the start.",
		r.middle(), all.mean, all.bar(), (all.mean-exact.TcSquare)/all.bar(), exact.TcSquare, memory.mean, memory.bar())
	series = append(series, report.Series{Name: "T_c", X: []float64{x[0], x[len(x)-1]}, Y: []float64{exact.TcSquare, exact.TcSquare}, Style: report.Dashed, Color: report.Ink})
	var figures []report.Figure
	if len(x) > 1 {
		figures = []report.Figure{{Name: "iso-sizes", Caption: "What the thermometer reads at the end of the flow against the number of hidden units; machines trained on all temperatures.",
			Panels: []report.Plot{{X: "hidden units", Y: "T", LogX: true, YRange: [2]float64{0, r.TMax}, Legend: report.TopRight, Series: series}}, Height: 250}}
	}
	r.doc.Section("Where the flow goes", text, figures, t, r.differences())
	return sum
}

// differences holds ends of flows against each other: with the temperature
// nearest to T_c in the training set and without, and in both conventions.
func (r *results) differences() document.Table {
	t := document.Table{Name: "iso-differences", Caption: "Differences between ends of the flow: without the temperature nearest to T_c in the training set less with it, and {0,1} less ±1 units; the error is the larger of the two, for both together; of few machines it is itself uncertain.",
		Columns: []string{"difference", "units or set", "flow", "T", "error", "standard errors"}}
	sets := map[string]trainingSet{}
	for _, set := range r.sets() {
		sets[set.name] = set
	}
	add := func(name, of, kind string, a, b cell) {
		end := func(c cell) pooled { return r.of(c, kind, func(p *path) estimate { return p.End }) }
		x, y := end(a), end(b)
		d, e := x.mean-y.mean, math.Hypot(x.bar(), y.bar())
		t.Rows = append(t.Rows, []any{name, of, kind, d, e, d / e})
	}
	for _, kind := range []string{sampled, meanField} {
		for _, units := range []modelfile.Units{modelfile.Spin, modelfile.Binary} {
			add("cut less all", string(units), kind, cell{sets["cut"], units, r.middle()}, cell{sets["all"], units, r.middle()})
		}
		for _, set := range r.sets() {
			add("{0,1} less ±1", set.name, kind, cell{set, modelfile.Binary, r.middle()}, cell{set, modelfile.Spin, r.middle()})
		}
	}
	return t
}

// reference is the kind of machine that figures show.
func (r *results) reference() cell { return cell{r.sets()[0], modelfile.Spin, r.middle()} }

// sizes returns the ends of the flow against the number of hidden units.
func (r *results) sizes() (x []float64, series []report.Series) {
	sorted := slices.Sorted(slices.Values([]int(r.Hidden)))
	for _, n := range sorted {
		x = append(x, float64(n))
	}
	for i, kind := range []string{sampled, meanField} {
		s := report.Series{Name: kind, X: x, Style: report.LinePoints, Color: i}
		for _, n := range sorted {
			p := r.of(cell{r.sets()[0], modelfile.Spin, n}, kind, func(p *path) estimate { return p.End })
			s.Y, s.Error = append(s.Y, p.mean), append(s.Error, p.bar())
		}
		series = append(series, s)
	}
	return x, series
}

// pick returns at most n of a list, evenly, with its first and last.
func pick[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	out := make([]T, n)
	for i := range out {
		out[i] = list[i*(len(list)-1)/(n-1)]
	}
	return out
}

// pictures shows configurations along the flow.
func (r *results) pictures() {
	const gap = 2
	file := r.files[machine{r.reference(), 0}.String()]
	p := file.Paths[0] // sampled
	plot := report.Plot{NoAxes: true}
	side := float64(r.Lattice)
	numbers := make([]int, len(p.Starts[0].Points))
	for i := range numbers {
		numbers[i] = i
	}
	columns := pick(numbers, 9)
	for row, s := range p.Starts {
		y := -float64(row) * (side + gap)
		plot.Labels = append(plot.Labels, report.Label{X: -0.9 * side, Y: y + side/2, Text: "T = " + short(float64(s.Temperature))})
		for column, i := range columns {
			x := float64(column) * (side + gap)
			on := make([]bool, len(s.Pictures[i]))
			for k := range on {
				on[k] = s.Pictures[i][k] == '+'
			}
			plot.Cells = append(plot.Cells, report.Cells{X: x, Y: y, Size: 1, Columns: r.Lattice, On: on})
			if row == 0 {
				plot.Labels = append(plot.Labels, report.Label{X: x + side/2, Y: side + gap, Text: fmt.Sprint(s.Points[i].Step)})
			}
		}
	}
	width := float64(len(columns)) * (side + gap)
	height := float64(len(p.Starts)) * (side + gap)
	plot.XRange = [2]float64{-2 * side, width}
	plot.YRange = [2]float64{side + gap - height, side + 2*gap + 1}
	r.doc.Section("Configurations along the flow",
		fmt.Sprintf("The first fresh configuration of each starting temperature, and what it has become after the number of steps above it, units drawn from their probabilities; machine %v.", machine{r.reference(), 0}),
		[]report.Figure{{Name: "iso-configurations", Caption: "Configurations along the flow, up spins filled.", Panels: []report.Plot{plot},
			Height: 480 * (height + 2*gap + 1) / (width + 2*side)}})
}

// along shows what the thermometer reads along the flow.
func (r *results) along() {
	points := document.Table{Name: "iso-flow", Caption: "Means over the configurations at each start and step, with standard errors.",
		Columns: []string{"set", "units", "N", "machine", "flow", "start T", "step", "T read", "error", "|m|", "error", "energy", "error"}}
	for _, m := range r.machines() {
		for _, p := range r.files[m.String()].Paths {
			for _, s := range p.Starts {
				for _, q := range s.Points {
					points.Rows = append(points.Rows, []any{m.set.name, string(m.units), m.hidden, m.number + 1, p.Kind, float64(s.Temperature), q.Step,
						float64(q.Temperature.Value), float64(q.Temperature.Error), float64(q.Abs.Value), float64(q.Abs.Error), float64(q.Energy.Value), float64(q.Energy.Error)})
				}
			}
		}
	}
	r.doc.Attach(points)
	var panels []report.Plot
	for _, c := range r.cells() {
		if c.units != modelfile.Spin || c.hidden != r.middle() {
			continue
		}
		panels = append(panels, r.readings(c, sampled))
	}
	panels = append(panels, r.readings(cell{r.sets()[0], modelfile.Binary, r.middle()}, sampled), r.readings(r.reference(), meanField))
	panels[len(panels)-2].Title, panels[len(panels)-1].Title = "all, {0,1} units", "all, mean field"
	var figures []report.Figure
	for i := 0; i < len(panels); i += 2 {
		figures = append(figures, report.Figure{
			Name: fmt.Sprintf("iso-temperature-%d", i/2+1), Panels: panels[i:min(i+2, len(panels))], Height: 240,
			Caption: "Temperature that the thermometer reads along the flow, N = " + fmt.Sprint(r.middle()) + ", a colour for each start; dashed, T_c.",
		})
	}
	r.doc.Section("The temperature along the flow",
		"Means over configurations and machines, one panel for each training set; bars are the larger of the two errors.", figures)
}

// readings draws the readings along the flows through the machines of a cell.
func (r *results) readings(c cell, kind string) report.Plot {
	plot := report.Plot{Title: c.set.name, X: "1 + step", LogX: true, Y: "T", YRange: [2]float64{0, r.TMax}}
	for k := range r.starts() {
		s := report.Series{Style: report.LinePoints, Color: k, Size: 1.6}
		for i, step := range recorded(r.FlowSteps) {
			p := r.of(c, kind, func(p *path) estimate { return p.Starts[k].Points[i].Temperature })
			s.X, s.Y, s.Error = append(s.X, float64(1+step)), append(s.Y, p.mean), append(s.Error, p.bar())
		}
		plot.Series = append(plot.Series, s)
	}
	plot.Series = append(plot.Series, report.Series{X: []float64{1, float64(1 + r.FlowSteps)}, Y: []float64{exact.TcSquare, exact.TcSquare}, Style: report.Dashed, Color: report.Ink})
	return plot
}

// distributions shows the thermometer's distributions along the flow.
func (r *results) distributions() {
	grid := r.grid()
	t := document.Table{Name: "iso-distributions", Caption: "Mean of the thermometer's distribution over temperatures at each start and step of the sampled flow, over configurations and machines.",
		Columns: []string{"set", "units", "N", "start T", "step"}}
	for _, x := range grid {
		t.Columns = append(t.Columns, "T = "+short(x))
	}
	at := func(c cell, start, i int) []float64 {
		out := make([]float64, len(grid))
		for k := range out {
			out[k] = r.of(c, sampled, func(p *path) estimate { return estimate{Value: p.Starts[start].Points[i].Distribution[k]} }).mean
		}
		return out
	}
	steps := recorded(r.FlowSteps)
	for _, c := range r.cells() {
		for k, start := range r.starts() {
			for i, step := range steps {
				row := []any{c.set.name, string(c.units), c.hidden, grid[start], step}
				for _, x := range at(c, k, i) {
					row = append(row, x)
				}
				t.Rows = append(t.Rows, row)
			}
		}
	}
	r.doc.Attach(t)
	panel := func(k int) report.Plot {
		plot := report.Plot{Title: "from T = " + short(grid[r.starts()[k]]), X: "T", Y: "probability", Legend: report.TopRight}
		numbers := make([]int, len(steps))
		for i := range numbers {
			numbers[i] = i
		}
		for j, i := range pick(numbers, 4) {
			y := at(r.reference(), k, i)
			plot.Series = append(plot.Series, report.Series{Name: fmt.Sprint("step ", steps[i]), X: grid, Y: y, Color: j})
			plot.YRange[1] = math.Max(plot.YRange[1], 1.5*slices.Max(y)) // room for the legend
		}
		return plot
	}
	r.doc.Section("Distribution of the temperature", "The thermometer gives each configuration a distribution over the temperatures that it was trained on; its mean over configurations after some steps of the flow.",
		[]report.Figure{{Name: "iso-distribution", Caption: "Distribution of the temperature along the sampled flow through machines trained on all temperatures.", Height: 250,
			Panels: []report.Plot{panel(0), panel(len(r.starts()) - 1)}}})
}

// thermometerSection holds the thermometer against known temperatures and the
// configurations against the exact energy.
func (r *results) thermometerSection() error {
	t := document.Table{Name: "iso-calibration", Caption: "What the thermometer reads from fresh configurations, and their energy a site against the exact one of the lattice (Kaufman), with the difference in standard errors.",
		Columns: []string{"T", "T read", "error", "deviation", "energy", "error", "exact energy", "standard errors"}}
	sites := r.Lattice * r.Lattice
	line := report.Series{Name: "thermometer", Style: report.LinePoints, Size: 1.8}
	for k, c := range r.calibration.Readings {
		list := make([]float64, r.Fresh)
		x := make([]float64, sites)
		for i := range list {
			for s := range x {
				x[s] = float64(r.fresh[(k*r.Fresh+i)*sites+s])
			}
			list[i], _ = observe(x, r.Lattice)
		}
		energy, want := average(list), -2.
		if c.Temperature > 0 {
			torus, err := exact.NewTorus(r.Lattice, c.Temperature)
			if err != nil {
				return err
			}
			want = torus.Energy()
		}
		pull := math.NaN()
		if energy.Error > 0 {
			pull = (float64(energy.Value) - want) / float64(energy.Error)
		}
		t.Rows = append(t.Rows, []any{c.Temperature, c.Mean, c.Error, c.Deviation, float64(energy.Value), float64(energy.Error), want, pull})
		line.X, line.Y, line.Error = append(line.X, c.Temperature), append(line.Y, c.Mean), append(line.Error, c.Deviation)
	}
	diagonal := report.Series{X: []float64{0, r.TMax}, Y: []float64{0, r.TMax}, Style: report.Dashed, Color: report.Ink}
	r.doc.Section("The thermometer",
		fmt.Sprintf("Neighbouring temperatures look alike, which draws readings to the middle, most of all where it is hot: on fresh configurations the cross entropy is %.3f, of a guess without looking it would be ln %d = %.3f. "+
			"The thermometer has seen equilibrium configurations only: what it makes of others is a guess, so the table above gives the temperature that the energy has, too.", float64(r.calibration.CrossEntropy), r.Temperatures, math.Log(float64(r.Temperatures))),
		[]report.Figure{{Name: "iso-calibration", Caption: "Readings of fresh configurations of known temperature; bars are the standard deviation of a single reading.", Height: 260,
			Panels: []report.Plot{{X: "T", Y: "T read", XRange: [2]float64{0, r.TMax}, YRange: [2]float64{0, r.TMax}, Series: []report.Series{line, diagonal}, Legend: report.TopLeft}}}}, t)
	return nil
}

// spectra shows the eigenvalues of W Wᵀ.
func (r *results) spectra() {
	t := document.Table{Name: "iso-spectrum", Caption: "Eigenvalues of W Wᵀ of the ±1 weights of each machine, the largest first.",
		Columns: []string{"set", "units", "N", "machine", "number", "eigenvalue"}}
	left := report.Plot{Title: "all temperatures", X: "number", Y: "eigenvalue", LogY: true, Legend: report.BottomLeft}
	right := report.Plot{Title: fmt.Sprintf("N = %d", r.middle()), X: "number", Y: "eigenvalue", LogY: true, Legend: report.BottomLeft}
	for _, m := range r.machines() {
		s := report.Series{Style: report.Points, Size: 1.2}
		for i, x := range r.files[m.String()].Spectrum {
			t.Rows = append(t.Rows, []any{m.set.name, string(m.units), m.hidden, m.number + 1, i + 1, float64(x)})
			if i < m.hidden { // the others are 0 but for rounding
				s.X, s.Y = append(s.X, float64(i+1)), append(s.Y, float64(x))
			}
		}
		if m.number > 0 || m.units != modelfile.Spin {
			continue
		}
		if m.set.name == "all" {
			s.Name, s.Color = fmt.Sprint("N = ", m.hidden), len(left.Series)
			left.Series = append(left.Series, s)
		}
		if m.hidden == r.middle() {
			s.Name, s.Color = m.set.name, len(right.Series)
			right.Series = append(right.Series, s)
		}
	}
	r.doc.Attach(t)
	r.doc.Section("Spectrum of W Wᵀ", "The first eigenvector is near the uniform one where the machine has learnt the magnetisation; a uniform machine has one eigenvalue, W²MN, and no other.",
		[]report.Figure{{Name: "iso-spectrum", Caption: "Eigenvalues of W Wᵀ, the first machine of each kind.", Panels: []report.Plot{left, right}, Height: 260}})
}

// uniformSection holds the trained machines against the exact theory of
// machines of one weight.
func (r *results) uniformSection() {
	t := document.Table{Name: "iso-uniform", Caption: "The uniform machine that comes closest to each training set, with the error of its being so many configurations, against the trained machines: largest eigenvalue of W Wᵀ beside W²MN, |m| at the end of the mean-field flow beside the fixed point m*. W for infinitely many configurations where the states of the lattice can be counted.",
		Columns: []string{"set", "N", "W", "error", "W exactly", "critical W", "W²MN", "error", "eigenvalue", "m*", "error", "|m| trained", "error", "flow goes to"}}
	steps := recorded(r.FlowSteps)
	last := len(steps) - 1
	for _, u := range r.theory {
		var c cell
		for _, set := range r.sets() {
			if set.name == u.Set {
				c = cell{set, modelfile.Spin, u.Hidden}
			}
		}
		first := 0.
		for k := range r.Machines {
			first += float64(r.files[machine{c, k}.String()].Spectrum[0]) / float64(r.Machines)
		}
		var all []estimate
		for k := range r.starts() {
			p := r.of(c, meanField, func(p *path) estimate { return p.Starts[k].Points[last].Abs })
			all = append(all, estimate{number(p.mean), number(p.bar())})
		}
		m := pool(all)
		to := "disorder"
		if u.Gain.Value > 1 {
			to = "order"
		}
		t.Rows = append(t.Rows, []any{u.Set, u.Hidden, float64(u.W.Value), float64(u.W.Error), float64(u.Exact), float64(u.Critical), float64(u.Gain.Value), float64(u.Gain.Error), first,
			float64(u.Fixed.Value), float64(u.Fixed.Error), m.mean, m.err, to})
	}
	trained := report.Plot{Title: "trained, mean field", X: "1 + step", LogX: true, Y: "|m|", YRange: [2]float64{0, 1.02}}
	uniform := report.Plot{Title: "uniform, exact", X: "1 + step", LogX: true, Y: "|m|", YRange: [2]float64{0, 1.02}}
	x := make([]float64, r.FlowSteps+1)
	for i := range x {
		x[i] = float64(1 + i)
	}
	for _, u := range r.theory {
		if u.Set != "all" || u.Hidden != r.middle() {
			continue
		}
		f := rg.UniformFlow{M: r.Lattice * r.Lattice, N: u.Hidden, W: float64(u.W.Value)}
		for k := range r.starts() {
			s := report.Series{Style: report.LinePoints, Color: k, Size: 1.6}
			for i, step := range steps {
				p := r.of(r.reference(), meanField, func(p *path) estimate { return p.Starts[k].Points[i].Abs })
				s.X, s.Y, s.Error = append(s.X, float64(1+step)), append(s.Y, p.mean), append(s.Error, p.bar())
			}
			trained.Series = append(trained.Series, s)
			uniform.Series = append(uniform.Series, report.Series{X: x, Y: f.Flow(s.Y[0], r.FlowSteps), Color: k})
		}
		uniform.Series = append(uniform.Series, report.Series{X: []float64{1, float64(1 + r.FlowSteps)}, Y: []float64{float64(u.Fixed.Value), float64(u.Fixed.Value)}, Style: report.Dashed, Color: report.Ink})
	}
	r.doc.Section("The exact theory of uniform machines",
		"A machine with one weight for all pairs sees nothing but the magnetisation. Its best weight for a training set is the root of an equation in one unknown, and its mean-field flow (eqs 75–77) goes to order, ±m*, where W²MN > 1.",
		[]report.Figure{{Name: "iso-uniform", Caption: "Magnetisation along the mean-field flow: machines trained on all temperatures, and the uniform machine of the same size from the same magnetisations; dashed, m*.", Panels: []report.Plot{trained, uniform}, Height: 250}}, t)
}
