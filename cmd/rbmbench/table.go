package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"kadanoff/bench"
)

// table writes a report for people: the verdict first, then what was checked,
// then the speeds.
func table(b *strings.Builder, r *bench.Report, targets []*bench.Target, note string) {
	failed := r.Failed()
	total := checks(r)
	switch {
	case len(failed) > 0:
		fmt.Fprintf(b, "FAIL: %d of %d checks against exact values failed\n", len(failed), total)
		failures(b, failed)
	case total > 0:
		fmt.Fprintf(b, "PASS: all %d checks against exact values\n", total)
	}
	machine(b, &r.Machine)
	if note != "" {
		fmt.Fprintln(b, note)
	}
	if total > 0 {
		b.WriteByte('\n')
		checked(b, r, targets)
	}
	speeds(b, r)
}

func machine(b *strings.Builder, m *bench.Machine) {
	fmt.Fprintf(b, "%s, %d cores, %.1f GB, %s/%s, %s", m.CPU, m.Cores, float64(m.Memory)/1e9, m.OS, m.Arch, m.Go)
	if m.GOAMD64 != "" {
		fmt.Fprintf(b, " GOAMD64=%s", m.GOAMD64)
	}
	fmt.Fprintf(b, ", %s", strings.Join(m.ISA, " "))
	if m.OtherCores != nil && *m.OtherCores > 0.1 {
		fmt.Fprintf(b, "; other processes kept %.1f cores busy: distrust the speeds", *m.OtherCores)
	}
	b.WriteByte('\n')
	for _, r := range m.Rates {
		if r.Look > 0 {
			fmt.Fprintf(b, "%s on one core: %sHz, %sFMA/s in float32, %sconnections/s of %s alone, the limit below\n",
				r.ISA, quantity(r.Clock), quantity(r.FMA), quantity(r.Look), r.Limited)
		}
	}
}

func path(r *bench.Record) string {
	if r.Backend == "ref" {
		return r.Backend
	}
	return r.Backend + "/" + r.ISA
}

func failures(b *strings.Builder, failed []bench.Record) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "check\tpath\tthreads\texact\tmeasured\tstandard error\tlimit")
	for i := range failed {
		f := &failed[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%.6g\t%.6g\t%.2g\t%.2g\n", f.Name, path(f), f.Threads, f.Exact, f.Measured, f.Error, f.Limit)
	}
	_ = w.Flush() // a strings.Builder takes everything
}

// cell counts the comparisons of a case on a path.
type cell struct {
	passed, total int
	near          float64 // largest distance in units of its limit
}

// String writes how many comparisons passed and how near to its limit the
// nearest came; nothing for a case that the path does not have.
func (c *cell) String() string {
	switch {
	case c == nil:
		return ""
	case c.near > 0:
		return fmt.Sprintf("%d/%d  %.0f %%", c.passed, c.total, 100*c.near)
	}
	return fmt.Sprintf("%d/%d", c.passed, c.total)
}

// tally holds the checks of a report by case and path, both in the order in
// which they come.
type tally struct {
	cases, paths []string
	cells        map[[2]string]*cell
}

func tallyChecks(r *bench.Report) tally {
	t := tally{cells: map[[2]string]*cell{}}
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind != bench.KindCheck {
			continue
		}
		parts := strings.SplitN(rec.Name, "/", 3)
		key := [2]string{strings.Join(parts[:min(2, len(parts))], "/"), path(rec)}
		c := t.cells[key]
		if c == nil {
			c = &cell{}
			t.cells[key] = c
			if !slices.Contains(t.cases, key[0]) {
				t.cases = append(t.cases, key[0])
			}
			if !slices.Contains(t.paths, key[1]) {
				t.paths = append(t.paths, key[1])
			}
		}
		c.total++
		if rec.Pass {
			c.passed++
		}
		if d, ok := distance(rec); ok {
			c.near = max(c.near, d)
		}
	}
	return t
}

// checked writes, for each case and path, how many comparisons passed and how
// near to its limit the nearest came.
func checked(b *strings.Builder, r *bench.Report, targets []*bench.Target) {
	tally := tallyChecks(r)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "checks passed, and how near to the limit")
	for _, t := range targets {
		fmt.Fprintf(w, "\t%s", t)
	}
	fmt.Fprintln(w)
	for _, name := range tally.cases {
		fmt.Fprint(w, name)
		for _, t := range targets {
			fmt.Fprintf(w, "\t%s", tally.cells[[2]string{name, t.String()}])
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
}

func speeds(b *strings.Builder, r *bench.Report) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	first := true
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Kind != bench.KindBench || rec.Sweep != "" {
			continue // series of sizes are for the page
		}
		if first {
			b.WriteByte('\n')
			fmt.Fprintln(w, "speed\tpath\tthreads\trate\t\tbest\tmedian\tof goal\tof limit\t")
			first = false
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", rec.Name, path(rec), rec.Threads,
			quantity(rec.Value), rec.Unit, quantity(rec.MinS)+"s", quantity(rec.MedianS)+"s",
			percent(rec.Value, rec.Goal), percent(rec.LimitFraction, 1))
	}
	_ = w.Flush()
}

// quantity writes a positive number with three digits and an SI prefix.
func quantity(x float64) string {
	if !(x > 0) || math.IsInf(x, 0) {
		return fmt.Sprint(x)
	}
	const prefixes = "pnµm kMGTPE"
	e := int(math.Floor(math.Log10(x) / 3))
	e = min(max(e, -4), 6)
	digits := fmt.Sprintf("%.3g", x/math.Pow(1000, float64(e)))
	if digits == "1e+03" && e < 6 {
		digits, e = "1", e+1
	}
	if e == 0 {
		return digits + " "
	}
	return digits + " " + string([]rune(prefixes)[e+4])
}

func percent(x, of float64) string {
	if x == 0 || of == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*x/of)
}

// modelNote says what rounding changed in a model, and what is not checked.
func modelNote(file string, m *bench.Model) string {
	note := fmt.Sprintf("%s: %d visible and %d hidden units, %d fraction bits; rounding changes a field by at most %.2g",
		file, m.Visible, m.Hidden, m.Network.Frac, m.Network.FieldError)
	if m.NotEnumerated != "" {
		note += "\nconditional probabilities only: " + m.NotEnumerated
	}
	return note
}
