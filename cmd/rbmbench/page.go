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
// them, the gain of threads, the machine. Sections with nothing to show are
// left out.
func page(r, beside *bench.Report, note string) *report.Page {
	p := &report.Page{Title: "rbmbench: " + r.Machine.CPU, Lead: verdict(r), Foot: "rbmbench " + r.Version}
	if note != "" {
		p.Lead += " " + note + "."
	}
	for _, s := range []report.Section{checksSection(r), speedsSection(r), threadsSection(r), machineSection(r)} {
		if len(s.Tables) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	return p
}

func verdict(r *bench.Report) string {
	failed, total := len(r.Failed()), checks(r)
	switch {
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
			f.Rows = append(f.Rows, []string{c.Name, path(c), fmt.Sprint(c.Threads),
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
	table := report.Table{Caption: "All speeds", Columns: []string{"case", "path", "threads", "rate", "of limit", "of goal", "best", "median"}}
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind == bench.KindBench {
			table.Rows = append(table.Rows, []string{rec.Name, path(rec), fmt.Sprint(rec.Threads), rateOf(rec),
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
	return s
}

// roofline shows what one thread of an instruction set reaches over the work
// of a sweep, under the ceilings that its instructions set.
func roofline(r *bench.Report, rate bench.Rates) (f report.Figure, ok bool) {
	points := report.Series{Name: "measured", Style: report.Points, Size: 3.2}
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind == bench.KindBench && rec.Backend == "cpu" && rec.ISA == rate.ISA && rec.Threads == 1 && strings.HasPrefix(rec.Name, "gibbs/") {
			points.X = append(points.X, rec.Value*rec.MinS)
			points.Y = append(points.Y, rec.Value)
		}
	}
	if len(points.X) == 0 || rate.FMA <= 0 {
		return f, false
	}
	from, to := slices.Min(points.X)/2, slices.Max(points.X)*2
	low, high := math.Min(slices.Min(points.Y), rate.FMA), math.Max(slices.Max(points.Y), rate.FMA)
	ceiling := func(name string, at float64, style report.Style, color int) report.Series {
		high = math.Max(high, at)
		return report.Series{Name: name, X: []float64{from, to}, Y: []float64{at, at}, Style: style, Color: color}
	}
	series := []report.Series{points, ceiling("float32 FMA", rate.FMA, report.Dashed, 1)}
	if rate.Look > 0 {
		series = append(series, ceiling(rate.Limited+" alone", rate.Look, report.Line, 2))
	}
	return report.Figure{
		Name: "roofline-" + rate.ISA,
		Caption: fmt.Sprintf("One thread on %s: speed of block Gibbs sweeps over the connections in a sweep, and what this core reaches when it does nothing but one instruction. "+
			"A float32 matrix product cannot be above the dashed line, at one multiply-add for each connection.", rate.ISA),
		Panels: []report.Plot{{X: "connections in a sweep", Y: "connections/s", LogX: true, LogY: true,
			XRange: [2]float64{from, to}, YRange: [2]float64{low / 8, high * 1.5}, Series: series, Legend: report.BottomRight}},
	}, true
}

// threadsSection compares records of the same work on the same path with
// different numbers of threads.
func threadsSection(r *bench.Report) report.Section {
	s := report.Section{Title: "Scaling over threads"}
	groups := map[[2]string][]*bench.Record{}
	var order [][2]string
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind != bench.KindBench {
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
