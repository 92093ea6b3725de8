// Package document writes what a command has computed: one page, its figures as
// SVG and PNG, and its tables as JSON.
package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"kadanoff/report"
)

// Document is a page and its tables.
type Document struct {
	Page   report.Page
	tables []Table
}

// Table is a table with its numbers: all digits in JSON, six on the page. Cells
// are numbers and texts; numbers that are not finite are empty.
type Table struct {
	Name, Caption string
	Columns       []string
	Rows          [][]any
}

// Section adds a section of figures and tables to the page.
func (d *Document) Section(title, text string, figures []report.Figure, tables ...Table) {
	s := report.Section{Title: title, Text: text, Figures: figures}
	for _, t := range tables {
		s.Tables = append(s.Tables, t.onPage())
	}
	d.Page.Sections = append(d.Page.Sections, s)
	d.tables = append(d.tables, tables...)
}

// Attach adds tables that are not on the page.
func (d *Document) Attach(tables ...Table) { d.tables = append(d.tables, tables...) }

// Append adds another document: its title and lead as a section, and all its
// sections and tables.
func (d *Document) Append(other *Document) {
	d.Section(other.Page.Title, other.Page.Lead, nil)
	d.Page.Sections = append(d.Page.Sections, other.Page.Sections...)
	d.tables = append(d.tables, other.tables...)
}

func (t Table) onPage() report.Table {
	p := report.Table{Name: t.Name, Caption: t.Caption, Columns: t.Columns}
	for _, row := range t.Rows {
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
func (t Table) MarshalJSON() ([]byte, error) {
	rows := make([][]any, len(t.Rows))
	for i, row := range t.Rows {
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
	}{t.Caption, t.Columns, rows})
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
func (d *Document) Write(dir string) (sum Summary, err error) {
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
	for _, s := range d.Page.Sections {
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
	for _, t := range d.tables {
		text, err := json.Marshal(t)
		if err != nil {
			return sum, fmt.Errorf("table %s: %w", t.Name, err)
		}
		if err := put("tables/"+t.Name+".json", append(text, '\n')); err != nil {
			return sum, err
		}
		sum.Tables++
	}
	html, err := d.Page.HTML()
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
