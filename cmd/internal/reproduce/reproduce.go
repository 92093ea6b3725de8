// Package reproduce makes the figures and tables of the thesis, and what lies
// beyond them, from exact values: one page, its figures as SVG and PNG, and
// its tables as JSON.
package reproduce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"kadanoff/report"
)

// Options choose how much is computed.
type Options struct {
	Quick   bool   // coarser grids and smaller lattices
	Seed    uint64 // of the sampled configurations and of starting weights
	Threads int    // 0 for all cores
}

// Report is the finished page and its tables.
type Report struct {
	page   report.Page
	tables []table
}

// table is a table with its numbers: all digits in JSON, six on the page.
type table struct {
	name, caption string
	columns       []string
	rows          [][]any
}

// builder is what the sections are made with.
type builder struct {
	Options
	ctx    context.Context
	report *Report
}

// Build computes everything. It returns early with the context's error.
func Build(ctx context.Context, o Options) (*Report, error) {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	b := &builder{Options: o, ctx: ctx, report: &Report{page: report.Page{
		Title: "The renormalization group and restricted Boltzmann machines",
		Lead: "Figures and tables of the thesis “Renormalization Group connected to Neural Networks”, redrawn from exact values, " +
			"and what it left open. M and N are the numbers of visible and hidden units, K = J/T, T in units of J/k_B; " +
			"a uniform RBM has one weight W for all pairs and no biases.",
		Foot: "Every number on this page is computed by the program that made it; tables/ has them with all digits, figures/ has the figures.",
	}}}
	for _, section := range []func(*builder) error{
		neuron, decimation, decimatedConfigurations,
		matching, sizes, divergence, flows, ranges,
		criticalCouplings, fullWeights, contrastiveDivergence,
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := section(b); err != nil {
			return nil, err
		}
	}
	return b.report, nil
}

// section adds a section of figures and tables to the page.
func (b *builder) section(title, text string, figures []report.Figure, tables ...table) {
	s := report.Section{Title: title, Text: text, Figures: figures}
	for _, t := range tables {
		s.Tables = append(s.Tables, t.onPage())
	}
	b.report.page.Sections = append(b.report.page.Sections, s)
	b.report.tables = append(b.report.tables, tables...)
}

// pick returns full, or quick when that was asked for.
func (b *builder) pick(full, quick int) int {
	if b.Quick {
		return quick
	}
	return full
}

// each calls f for 0 … n−1 on several threads and returns the first error by
// index.
func (b *builder) each(n int, f func(i int) error) error {
	errs := make([]error, n)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(b.Threads, n) {
		wg.Go(func() {
			for i := range next {
				if errs[i] = b.ctx.Err(); errs[i] == nil {
					errs[i] = f(i)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (t table) onPage() report.Table {
	p := report.Table{Name: t.name, Caption: t.caption, Columns: t.columns}
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, x := range row {
			switch x := x.(type) {
			case float64:
				if !math.IsInf(x, 0) && !math.IsNaN(x) {
					cells[i] = strconv.FormatFloat(x, 'g', 6, 64)
				}
			default:
				cells[i] = fmt.Sprint(x)
			}
		}
		p.Rows = append(p.Rows, cells)
	}
	return p
}

// MarshalJSON writes a table as {"description", "columns", "rows"}, each row a
// list in the order of the columns; numbers that are not finite are null.
func (t table) MarshalJSON() ([]byte, error) {
	rows := make([][]any, len(t.rows))
	for i, row := range t.rows {
		rows[i] = make([]any, len(row))
		for j, x := range row {
			if f, ok := x.(float64); ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
				x = nil
			}
			rows[i][j] = x
		}
	}
	return json.Marshal(struct {
		Description string   `json:"description"`
		Columns     []string `json:"columns"`
		Rows        [][]any  `json:"rows"`
	}{t.caption, t.columns, rows})
}

// Summary says what was written.
type Summary struct {
	Page    string `json:"page"`
	Figures int    `json:"figures"`
	Tables  int    `json:"tables"`
}

// Check finds out, before anything is computed, whether dir can be written.
func Check(dir string) error {
	staging, err := stage(dir)
	if err != nil {
		return err
	}
	return os.RemoveAll(staging)
}

// stage makes a new folder on the file system of dir: in it, or in the nearest
// folder above that is there.
func stage(dir string) (string, error) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%s: %s is a file, want a folder to write to", dir, at)
		case err == nil:
			return os.MkdirTemp(at, ".writing-*")
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) || at == filepath.Dir(at):
			return "", err
		}
	}
}

// Write puts index.html, figures/*.svg, figures/*.png and tables/*.json into
// dir, which is made if it is not there. All files are written to a folder
// of their own first, and the page is moved last, so that a failure leaves
// nothing half written.
func (r *Report) Write(dir string) (sum Summary, err error) {
	staging, err := stage(dir)
	if err != nil {
		return sum, err
	}
	defer func() {
		if e := os.RemoveAll(staging); err == nil {
			err = e
		}
	}()
	var names []string
	put := func(name string, text []byte) error {
		names = append(names, name)
		path := filepath.Join(staging, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o666)
	}
	for _, s := range r.page.Sections {
		for _, f := range s.Figures {
			svg, err := f.SVG()
			if err != nil {
				return sum, err
			}
			png, err := f.PNG()
			if err != nil {
				return sum, err
			}
			if err := errors.Join(put("figures/"+f.Name+".svg", svg), put("figures/"+f.Name+".png", png)); err != nil {
				return sum, err
			}
			sum.Figures++
		}
	}
	for _, t := range r.tables {
		text, err := json.Marshal(t)
		if err != nil {
			return sum, fmt.Errorf("table %s: %w", t.name, err)
		}
		if err := put("tables/"+t.name+".json", append(text, '\n')); err != nil {
			return sum, err
		}
		sum.Tables++
	}
	html, err := r.page.HTML()
	if err != nil {
		return sum, err
	}
	if err := put("index.html", html); err != nil {
		return sum, err
	}
	for _, name := range names {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return sum, err
		}
		if err := os.Rename(filepath.Join(staging, name), to); err != nil {
			return sum, err
		}
	}
	sum.Page = filepath.Join(dir, "index.html")
	return sum, nil
}

// linear returns n points from a to b.
func linear(a, b float64, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = a + (b-a)*float64(i)/float64(n-1)
	}
	return x
}

// geometric returns n points from a to b, evenly spaced in their logarithm.
func geometric(a, b float64, n int) []float64 {
	x := linear(math.Log(a), math.Log(b), n)
	for i := range x {
		x[i] = math.Exp(x[i])
	}
	return x
}
