package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kadanoff/bench"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/atomicfile"
	"kadanoff/report"
)

// pageFile is a page that is being written as index.html of a folder. Nothing
// of it is seen before write.
type pageFile struct {
	dir  string
	made bool // the folder was not there before
	file *atomicfile.File
}

// createPage makes the folder if it is missing and finds out, before any work,
// whether a page can be written to it.
func createPage(ctx context.Context, dir string) (*pageFile, error) {
	_, err := os.Stat(dir)
	p := &pageFile{dir: dir, made: errors.Is(err, fs.ErrNotExist)}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, p.fail(ctx, err)
	}
	if p.file, err = atomicfile.Create(filepath.Join(dir, "index.html")); err != nil {
		p.abort()
		return nil, p.fail(ctx, err)
	}
	return p, nil
}

// fail names the flag; a file system that fails is exit 4, a folder that
// cannot be written to is wrong use.
func (p *pageFile) fail(ctx context.Context, err error) error {
	if cli.ExitCode(ctx, err) == cli.CannotFinish {
		return cli.Unfinished("--report %s: %w", p.dir, err)
	}
	return cli.Usage("--report %s: want a folder that can be written to: %w", p.dir, err)
}

// abort drops the page, and the folder if createPage made it. After write it
// does nothing.
func (p *pageFile) abort() {
	if p.file != nil {
		p.file.Abort()
	}
	if p.made {
		_ = os.Remove(p.dir) // stays where it is not empty
	}
}

// write puts the page of a report in its place.
func (p *pageFile) write(ctx context.Context, r, beside *bench.Report, note string) error {
	html, err := page(r, beside, note).HTML()
	if err != nil {
		return err
	}
	if _, err := p.file.Write(html); err != nil {
		return p.fail(ctx, err)
	}
	if err := p.file.Commit(); err != nil {
		return p.fail(ctx, err)
	}
	return nil
}

// page sets out a report: the verdict, the checks, the speeds with what limits
// them, how cost grows, the gain of threads, peers, the machine. beside, if not
// nil, is a run beside peers, whose ratios are shown. Sections with nothing to
// show are left out.
func page(r, beside *bench.Report, note string) *report.Page {
	p := &report.Page{Title: "rbmbench: " + r.Machine.CPU, Lead: verdict(r), Foot: "rbmbench " + r.Version}
	if note != "" {
		p.Lead += " " + note + "."
	}
	if beside == nil {
		beside = r
	}
	for _, s := range []report.Section{
		checksSection(r), speedsSection(r), sizesSection(r), threadsSection(r), peersSection(r, beside), machineSection(r),
	} {
		if len(s.Tables) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	return p
}

func verdict(r *bench.Report) string {
	failed, total := len(r.Failed()), checks(r)
	beside := 0
	for i := range r.Records {
		if rec := &r.Records[i]; rec.Kind == bench.KindPeer && rec.Note == "" {
			beside++
		}
	}
	switch {
	case beside > 0 && failed > 0:
		return fmt.Sprintf("FAIL: %d of %d results differ from what they should be.", failed, total+beside)
	case beside > 0:
		return fmt.Sprintf("PASS: all %d results of peers and ours agree.", total+beside)
	case failed > 0:
		return fmt.Sprintf("FAIL: %d of %d checks against exact values failed.", failed, total)
	case total > 0:
		return fmt.Sprintf("PASS: all %d checks against exact values.", total)
	}
	return "Speeds alone: no check was asked for."
}

// distance is how far a measured value lies from the exact one, in units of
// its limit; ok is false where the two must be equal.
func distance(r *bench.Record) (d float64, ok bool) {
	return math.Abs(r.Measured-r.Exact) / r.Limit, r.Limit > 0
}

func checksSection(r *bench.Report) report.Section {
	s := report.Section{Title: "Checks against exact values"}
	t := tallyChecks(r)
	if len(t.cases) == 0 {
		return s
	}
	if failed := r.Failed(); len(failed) > 0 {
		f := report.Table{Caption: "What failed", Columns: []string{"check", "path", "threads", "exact", "measured", "standard error", "limit"}}
		for i := range failed {
			c := &failed[i]
			name := c.Name
			if c.Peer != "" {
				name += ", " + c.Peer + ": " + c.Compared
			}
			f.Rows = append(f.Rows, []string{name, path(c), fmt.Sprint(c.Threads),
				fmt.Sprintf("%.6g", c.Exact), fmt.Sprintf("%.6g", c.Measured), fmt.Sprintf("%.2g", c.Error), fmt.Sprintf("%.2g", c.Limit)})
		}
		s.Tables = append(s.Tables, f)
	}
	table := report.Table{
		Caption: "Checks passed, and how near to its limit the nearest came",
		Columns: append([]string{"case"}, t.paths...),
	}
	for _, name := range t.cases {
		row := []string{name}
		for _, p := range t.paths {
			row = append(row, t.cells[[2]string{name, p}].String())
		}
		table.Rows = append(table.Rows, row)
	}
	s.Tables = append(s.Tables, table)

	areas := map[string]int{}
	plot := report.Plot{X: "check", Y: "distance from the exact value / limit", Legend: report.TopRight}
	n, nearest, equal := 0, 0., 0
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind != bench.KindCheck {
			continue
		}
		d, ok := distance(rec)
		if !ok {
			equal++
			continue
		}
		area, _, _ := strings.Cut(rec.Name, "/")
		k, known := areas[area]
		if !known {
			k = len(plot.Series)
			areas[area] = k
			plot.Series = append(plot.Series, report.Series{Name: area, Style: report.Points, Color: k, Size: 1.8})
		}
		n++
		plot.Series[k].X = append(plot.Series[k].X, float64(n))
		plot.Series[k].Y = append(plot.Series[k].Y, d)
		nearest = math.Max(nearest, d)
	}
	s.Text = fmt.Sprintf("%d results have a limit and %d want equality. ", n, equal)
	if n > 0 {
		s.Text += fmt.Sprintf("The nearest to its limit came to %.0f %% of it. ", 100*nearest)
		plot.Series = append(plot.Series, report.Series{Name: "limit", X: []float64{0, float64(n + 1)}, Y: []float64{1, 1}, Style: report.Dashed, Color: report.Ink})
		// Room above the limit for the legend.
		plot.XRange, plot.YRange = [2]float64{0, float64(n + 1)}, [2]float64{0, math.Max(1.6, 1.2*math.Min(nearest, 10))}
		s.Figures = []report.Figure{{Name: "checks", Panels: []report.Plot{plot},
			Caption: "Every result that has a limit, in the order of the run: below the dashed line it passed."}}
	}
	s.Text += "Each stands for the comparison nearest to its limit among those made together; docs/checks.md says how limits are chosen and how rarely a right sampler fails."
	return s
}

// rateOf writes a benchmark's rate with its unit: "195 G connections/s".
func rateOf(rec *bench.Record) string {
	return strings.TrimSuffix(quantity(rec.Value), " ") + " " + rec.Unit
}

func speedsSection(r *bench.Report) report.Section {
	s := report.Section{Title: "Speeds",
		Text: "The best of several repeats. The limit is what the instruction that a path leans on most reaches when it is all that a core does, as measured here."}
	if o := r.Machine.OtherCores; o != nil && *o > 0.1 {
		s.Text += fmt.Sprintf(" Other processes kept %.1f cores busy: distrust the speeds.", *o)
	}
	table := report.Table{Caption: "All speeds", Columns: []string{"case", "rate", "path", "threads", "of limit", "of goal", "best", "median"}}
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind == bench.KindBench && rec.Sweep == "" {
			table.Rows = append(table.Rows, []string{rec.Name, rateOf(rec), path(rec), fmt.Sprint(rec.Threads),
				percent(rec.LimitFraction, 1), percent(rec.Value, rec.Goal), quantity(rec.MinS) + "s", quantity(rec.MedianS) + "s"})
		}
	}
	if len(table.Rows) == 0 {
		return s
	}
	s.Tables = []report.Table{table}
	for _, rate := range r.Machine.Rates {
		if f, ok := roofline(r, rate); ok {
			s.Figures = append(s.Figures, f)
		}
	}
	if f, ok := fractions(r); ok {
		s.Figures = append(s.Figures, f)
	}
	return s
}

// roofline shows what one thread of an instruction set reaches over the work
// that each byte from memory is good for, under the roofs that memory and its
// instructions set (S. Williams, A. Waterman, D. Patterson, Commun. ACM 52
// (2009) 65).
func roofline(r *bench.Report, rate bench.Rates) (f report.Figure, ok bool) {
	if rate.FMA <= 0 || r.Machine.MemoryRate <= 0 {
		return f, false
	}
	memory := r.Machine.MemoryRate
	var points []report.Series
	areas := map[string]int{}
	from, to, low, high := math.Inf(1), 0., math.Inf(1), math.Max(rate.FMA, rate.Look)
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind != bench.KindBench || rec.Backend != "cpu" || rec.ISA != rate.ISA || rec.Threads != 1 || rec.Unit != "connections/s" || rec.Bytes <= 0 {
			continue
		}
		area, _, _ := strings.Cut(rec.Name, "/")
		k, known := areas[area]
		if !known {
			k = len(points)
			areas[area] = k
			points = append(points, report.Series{Name: area, Style: report.Points, Color: 2 * k, Size: 3})
		}
		x := rec.Value * rec.MinS / rec.Bytes
		points[k].X, points[k].Y = append(points[k].X, x), append(points[k].Y, rec.Value)
		from, to = math.Min(from, x), math.Max(to, x)
		low, high = math.Min(low, rec.Value), math.Max(high, rec.Value)
	}
	if len(points) == 0 {
		return f, false
	}
	low, high = low/8, high*1.6
	// From where memory alone would decide.
	from, to = math.Min(from/2, low/memory), to*3
	roof := func(name string, peak float64, style report.Style, color int) report.Series {
		corner := peak / memory
		return report.Series{Name: name, X: []float64{low / memory, corner, to}, Y: []float64{low, peak, peak}, Style: style, Color: color}
	}
	series := append(points, roof("float32 FMA", rate.FMA, report.Dashed, 1))
	if rate.Look > 0 {
		series = append(series, roof(rate.Limited+" alone", rate.Look, report.Line, 3))
	}
	return report.Figure{
		Name: "roofline-" + rate.ISA,
		Caption: fmt.Sprintf("Roofline of one thread on %s: speed over the connections that each byte moved is good for, if no cache held the weights. "+
			"The slope is memory, copied at %sB/s; the level parts are what this core reaches when it does nothing but one instruction. "+
			"A float32 matrix product cannot be above the dashed line, at one multiply-add for each connection. Points left of a slope have their weights in cache.",
			rate.ISA, quantity(memory)),
		Panels: []report.Plot{{X: "connections for each byte", Y: "connections/s", LogX: true, LogY: true,
			XRange: [2]float64{from, to}, YRange: [2]float64{low, high}, Series: series, Legend: report.BottomRight}},
	}, true
}

// fractions shows how much of its limit each benchmark reaches.
func fractions(r *bench.Report) (report.Figure, bool) {
	plot := report.Plot{X: "part of the limit", XRange: [2]float64{0, 1.05}, Legend: report.BottomRight}
	rows, paths := map[string]int{}, map[string]int{}
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind != bench.KindBench || rec.LimitFraction <= 0 || rec.Threads != 1 || rec.Sweep != "" {
			continue
		}
		row, known := rows[rec.Name]
		if !known {
			row = len(plot.Rows)
			rows[rec.Name] = row
			plot.Rows = append(plot.Rows, rec.Name)
		}
		k, known := paths[path(rec)]
		if !known {
			k = len(plot.Series)
			paths[path(rec)] = k
			plot.Series = append(plot.Series, report.Series{Name: path(rec), Style: report.Points, Color: k, Size: 3.2})
		}
		plot.Series[k].X = append(plot.Series[k].X, math.Min(rec.LimitFraction, 1.05))
		plot.Series[k].Y = append(plot.Series[k].Y, float64(row))
	}
	if len(plot.Rows) == 0 {
		return report.Figure{}, false
	}
	// A row for the legend below the others.
	room := float64(len(plot.Series)) * 0.9
	plot.YRange = [2]float64{-0.7, float64(len(plot.Rows)) - 0.3 + room}
	return report.Figure{Name: "fractions", Height: 70 + 19*(float64(len(plot.Rows))+room), Panels: []report.Plot{plot},
		Caption: "One thread: the part that each benchmark reaches of what its limiting instruction allows, for benchmarks whose limit is known."}, true
}

// sizesSection shows how the time of one unit of work grows with its size.
func sizesSection(r *bench.Report) report.Section {
	s := report.Section{Title: "How cost grows"}
	table := report.Table{Caption: "Best times of growing sizes on one path", Columns: []string{"work", "size", "best", "median", "rate", "times the last"}}
	var order []string
	series := map[string][]*bench.Record{}
	for i := range r.Records {
		if rec := &r.Records[i]; rec.Sweep != "" && rec.MinS > 0 {
			if series[rec.Sweep] == nil {
				order = append(order, rec.Sweep)
			}
			series[rec.Sweep] = append(series[rec.Sweep], rec)
		}
	}
	figure := report.Figure{Name: "sizes", Height: 210, Caption: "Best time of one unit of work as one size grows."}
	var where string
	for _, name := range order {
		list := series[name]
		line := report.Series{Style: report.LinePoints, Size: 3}
		for k, rec := range list {
			grown := ""
			if k > 0 {
				grown = fmt.Sprintf("%.2f", rec.MinS/list[k-1].MinS)
			}
			table.Rows = append(table.Rows, []string{name, fmt.Sprint(rec.Size), quantity(rec.MinS) + "s", quantity(rec.MedianS) + "s", rateOf(rec), grown})
			line.X, line.Y = append(line.X, float64(rec.Size)), append(line.Y, rec.MinS)
		}
		first := list[0]
		where = fmt.Sprintf("%s, %s", path(first), threads(first.Threads))
		// Sizes that double are even on a logarithmic axis, those that add up are not.
		doubles := len(list) > 1 && list[1].Size == 2*first.Size
		plot := report.Plot{Title: name, X: first.Axis, Y: "seconds", LogX: doubles, LogY: true, Series: []report.Series{line}}
		figure.Panels = append(figure.Panels, plot)
	}
	if len(table.Rows) == 0 {
		return s
	}
	s.Figures = []report.Figure{figure}
	s.Text = "The time of one unit of work on " + where + "."
	s.Tables = []report.Table{table}
	return s
}

// peersSection shows the ratios of a run beside peers, which may be of another
// run than the rest of the page.
func peersSection(r, beside *bench.Report) report.Section {
	s := report.Section{Title: "Beside other programs",
		Text: "Each did the same work in turns with ours, on the same cores and with as many threads, and what both computed was compared. A ratio is the best time of the peer over the best of ours: above 1, ours is faster."}
	table := report.Table{Caption: "Times and ratios", Columns: []string{"work", "peer", "ratio", "of medians", "ours, best", "median", "peer, best", "median", "results", "others", "threads", "version"}}
	missing := report.Table{Caption: "What did not run", Columns: []string{"peer", "work", "why"}}
	var figure *report.Figure
	var area string
	noisy := 0
	for i := range beside.Records {
		rec := &beside.Records[i]
		if rec.Kind != bench.KindPeer {
			continue
		}
		if rec.Note != "" {
			work := rec.Name
			if rec.Version == "" {
				work = "all"
			}
			missing.Rows = append(missing.Rows, []string{rec.Peer, work, rec.Note})
			continue
		}
		if rec.Noisy {
			noisy++
		}
		table.Rows = append(table.Rows, []string{rec.Name, rec.Peer, times(rec.Ratio), times(rec.RatioMedian),
			quantity(rec.OursMinS) + "s", quantity(rec.OursMedianS) + "s", quantity(rec.MinS) + "s", quantity(rec.MedianS) + "s",
			agreement(rec), others(rec), fmt.Sprint(rec.Threads), rec.Version})
		name, rest, _ := strings.Cut(rec.Name, "/")
		if figure == nil || name != area {
			area = name
			s.Figures = append(s.Figures, report.Figure{Name: "peers-" + area, Caption: "Ratios of " + area + ", of best times and of medians; at the dashed line both are as fast.",
				Panels: []report.Plot{{X: "time of the peer / ours", LogX: true, Series: []report.Series{
					{Name: "best", Style: report.Points, Color: 0, Size: 3.4}, {Name: "median", Style: report.Points, Color: 1, Size: 2},
				}}}})
			figure = &s.Figures[len(s.Figures)-1]
		}
		p := &figure.Panels[0]
		row := float64(len(p.Rows))
		p.Rows = append(p.Rows, rest+"  "+rec.Peer)
		for k, x := range []float64{rec.Ratio, rec.RatioMedian} {
			p.Series[k].X, p.Series[k].Y = append(p.Series[k].X, x), append(p.Series[k].Y, row)
		}
	}
	if len(table.Rows)+len(missing.Rows) == 0 {
		return s
	}
	for i := range s.Figures {
		p := &s.Figures[i].Panels[0]
		n := float64(len(p.Rows))
		p.YRange = [2]float64{-0.7, n + 1.4}
		high := 2.
		low := 0.8
		for _, series := range p.Series {
			high, low = math.Max(high, 1.5*slices.Max(series.X)), math.Min(low, slices.Min(series.X)/1.2)
		}
		p.XRange, p.Legend = [2]float64{low, high}, report.BottomRight
		p.Series = append(p.Series, report.Series{X: []float64{1, 1}, Y: p.YRange[:], Style: report.Dashed, Color: report.Ink})
		s.Figures[i].Height = 70 + 17*(n+2)
	}
	if noisy > 0 {
		s.Text += fmt.Sprintf(" %d of %d rows are noisy: other processes kept cores busy, or the times scatter. Distrust them.", noisy, len(table.Rows))
	}
	if beside != r && beside.Machine.CPU != r.Machine.CPU {
		s.Text += fmt.Sprintf(" They come from another machine, %s.", beside.Machine.CPU)
	}
	if len(table.Rows) > 0 {
		s.Tables = append(s.Tables, table)
	}
	if len(missing.Rows) > 0 {
		s.Tables = append(s.Tables, missing)
	}
	return s
}

// threadsSection compares records of the same work on the same path with
// different numbers of threads.
func threadsSection(r *bench.Report) report.Section {
	s := report.Section{Title: "Scaling over threads"}
	groups := map[[2]string][]*bench.Record{}
	var order [][2]string
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind != bench.KindBench || rec.Sweep != "" {
			continue
		}
		key := [2]string{rec.Name, path(rec)}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], rec)
	}
	table := report.Table{Caption: "Gain over one thread", Columns: []string{"case", "path", "threads", "rate", "gain", "of ideal"}}
	areas := map[string]int{}
	plot := report.Plot{X: "threads", Y: "gain over one thread", Legend: report.TopLeft}
	most := 1
	for _, key := range order {
		g := groups[key]
		slices.SortStableFunc(g, func(a, b *bench.Record) int { return cmp.Compare(a.Threads, b.Threads) })
		if len(g) < 2 || g[0].Threads != 1 || g[0].Value <= 0 {
			continue
		}
		area, _, _ := strings.Cut(key[0], "/")
		line := report.Series{Style: report.LinePoints}
		if k, known := areas[area]; known {
			line.Color = k
		} else {
			line.Color, line.Name = len(areas), area
			areas[area] = line.Color
		}
		for _, rec := range g {
			gain := rec.Value / g[0].Value
			table.Rows = append(table.Rows, []string{rec.Name, key[1], fmt.Sprint(rec.Threads), rateOf(rec),
				fmt.Sprintf("%.2f", gain), percent(gain, float64(rec.Threads))})
			line.X, line.Y = append(line.X, float64(rec.Threads)), append(line.Y, gain)
			most = max(most, rec.Threads)
		}
		plot.Series = append(plot.Series, line)
	}
	if len(table.Rows) == 0 {
		return s
	}
	plot.Series = append(plot.Series, report.Series{Name: "ideal", X: []float64{1, float64(most)}, Y: []float64{1, float64(most)}, Style: report.Dashed, Color: report.Ink})
	s.Text = fmt.Sprintf("This machine has %d logical cores; two that share one core's units gain little over it.", r.Machine.Cores)
	s.Tables = []report.Table{table}
	s.Figures = []report.Figure{{Name: "threads", Panels: []report.Plot{plot}, Caption: "Gain of threads over one, a line for each case."}}
	return s
}

func machineSection(r *bench.Report) report.Section {
	m := &r.Machine
	facts := report.Table{Caption: "As this program found it", Columns: []string{"", ""}}
	fact := func(name, format string, args ...any) {
		facts.Rows = append(facts.Rows, []string{name, fmt.Sprintf(format, args...)})
	}
	fact("CPU", "%s", m.CPU)
	fact("logical cores", "%d", m.Cores)
	if m.Memory > 0 {
		fact("memory", "%.1f GB", float64(m.Memory)/1e9)
	}
	fact("system", "%s/%s", m.OS, m.Arch)
	build := m.Go
	if m.GOAMD64 != "" {
		build += " GOAMD64=" + m.GOAMD64
	}
	fact("built by", "%s", build)
	fact("instruction sets", "%s", strings.Join(m.ISA, " "))
	if m.MemoryRate > 0 {
		fact("memory, one core copying", "%sB/s", quantity(m.MemoryRate))
	}
	if len(m.Pinned) > 0 {
		fact("kept on cores", "%s", strings.Trim(fmt.Sprint(m.Pinned), "[]"))
	}
	if m.OtherCores != nil {
		fact("busy with other processes", "%.1f cores", *m.OtherCores)
	}
	s := report.Section{Title: "The machine", Tables: []report.Table{facts}}
	rates := report.Table{Caption: "What one core does at best, measured", Columns: []string{"instruction set", "clock", "float32 multiply-adds", "look-ups", "limited by"}}
	for _, rate := range m.Rates {
		row := []string{rate.ISA, "", "", "", rate.Limited}
		for i, x := range []struct {
			value float64
			unit  string
		}{{rate.Clock, "Hz"}, {rate.FMA, "/s"}, {rate.Look, "connections/s"}} {
			if x.value > 0 {
				row[1+i] = quantity(x.value) + x.unit
			}
		}
		rates.Rows = append(rates.Rows, row)
	}
	if len(rates.Rows) > 0 {
		s.Tables = append(s.Tables, rates)
	}
	return s
}
