package report

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kadanoff/report/browsertest"
)

func sample() Figure {
	nan := math.NaN()
	return Figure{Name: "sample", Caption: "A <caption> & more", Panels: []Plot{
		{Title: "f & g < h", X: "W", Y: "f", LogX: true, LogY: true, Legend: BottomRight, Series: []Series{
			{Name: "line", X: []float64{1e-3, 1, 10, 100}, Y: []float64{1, 2, nan, 3}},
			{Name: "dashed", X: []float64{0, 1, 2}, Y: []float64{1, 2, 3}, Style: Dashed, Color: 1},
			{Name: "none", X: []float64{-1}, Y: []float64{1}},
		}},
		{X: "m", XRange: [2]float64{-1, 1}, YRange: [2]float64{-1, 1}, Labels: []Label{{0, 0, "m = 0"}}, Series: []Series{
			{Name: "points", X: []float64{0, 0.5, 7}, Y: []float64{0, 0.5, 0.2}, Style: LinePoints, Color: 6, Error: []float64{0.1, nan, 0.1}},
			{X: []float64{0, 0.5, 0.5}, Y: []float64{0, 0, 0}, Style: Arrows, Color: Ink},
		}},
		{NoAxes: true, Cells: []Cells{{Size: 1, Columns: 2, On: []bool{true, true, false, true}}},
			Series: []Series{{X: []float64{1, 2}, Y: []float64{1, 2}, Style: Points, Size: 9}}},
	}}
}

// wellFormed parses XML to its end.
func wellFormed(t *testing.T, name string, text []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestFigureFiles(t *testing.T) {
	f := sample()
	svg, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, "SVG", svg)
	again, _ := f.SVG()
	if !bytes.Equal(svg, again) {
		t.Error("the same figure gives different bytes")
	}
	text, err := f.PNG()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() < 2*width || b.Dy() < 600 {
		t.Errorf("PNG of %v pixels", b)
	}
	if r, g, b, a := img.At(1, 1).RGBA(); r != 0xffff || g != 0xffff || b != 0xffff || a != 0xffff {
		t.Error("the ground is not white")
	}
}

func TestBadFigures(t *testing.T) {
	for _, f := range []Figure{{Name: "empty"}, {Name: "cells", Panels: []Plot{{Cells: []Cells{{Columns: 2, On: make([]bool, 3)}}}}},
		{Name: "errors", Panels: []Plot{{Series: []Series{{X: []float64{1}, Y: []float64{1}, Error: []float64{1, 2}}}}}}, {Name: "uneven", Panels: []Plot{{Series: []Series{{X: []float64{1}, Y: nil}}}}}} {
		if _, err := f.SVG(); err == nil || !strings.Contains(err.Error(), f.Name) {
			t.Errorf("figure %s: %v", f.Name, err)
		}
		p := Page{Sections: []Section{{Figures: []Figure{f}}}}
		if _, err := p.HTML(); err == nil {
			t.Errorf("page with figure %s is no error", f.Name)
		}
	}
}

func TestPage(t *testing.T) {
	f := sample()
	p := Page{Title: "Title <x>", Lead: "Lead & more", Foot: "Foot", Sections: []Section{
		{Title: "One", Text: "a < b", Figures: []Figure{f}},
		{Title: "Two", Tables: []Table{{Caption: "c", Columns: []string{"name", "value"}, Rows: [][]string{{"a", "1"}, {"b", "-2.5"}, {"c", ""}}}}},
		{Title: "Three"}, {Title: "Four"},
	}}
	text, err := p.HTML()
	if err != nil {
		t.Fatal(err)
	}
	s := string(text)
	for _, want := range []string{"Title &lt;x&gt;", "Lead &amp; more", "a &lt; b", `<td class="n">-2.5</td>`, `<td class="">a</td>`,
		`href="#s4"`, `id="s4"`, "A &lt;caption&gt; &amp; more", "currentColor", "var(--c1)", "prefers-color-scheme: dark", "width=device-width", "f &amp; g &lt; h"} {
		if !strings.Contains(s, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	// Nothing outside the file is referred to: the only addresses are names of
	// XML vocabularies.
	for _, attribute := range []string{"src=", "@import", "url(", "<link", "<script", `href="http`} {
		if strings.Contains(strings.ReplaceAll(s, "xlink:href", ""), attribute) {
			t.Errorf("page has %s", attribute)
		}
	}
	if strings.Contains(s, hex(ink)) || strings.Contains(s, "<?xml") || strings.Contains(s, `width="480`) {
		t.Error("the figure in the page has a colour or size of its own")
	}
	panels := text[bytes.Index(text, []byte(`<div class="panels">`)):bytes.Index(text, []byte("<figcaption>"))]
	wellFormed(t, "panels of the page", panels)
	if n := bytes.Count(panels, []byte("<svg")); n != len(f.Panels) {
		t.Errorf("%d elements for %d panels", n, len(f.Panels))
	}
}

// Figures of one and of several panels, rows with names and tables, in a
// browser.
func TestPageInBrowser(t *testing.T) {
	several := sample()
	several.Panels = append(several.Panels, several.Panels...)
	rows := Figure{Name: "rows", Caption: "Named rows", Panels: []Plot{{
		X: "a quantity with a long name", LogX: true, Rows: []string{"the first of the rows", "second", "third & last"}, YRange: [2]float64{-0.5, 3.5},
		Series: []Series{{Name: "points", X: []float64{0.9, 5, 1000}, Y: []float64{0, 1, 2}, Style: Points}},
	}}}
	table := Table{Caption: "Wide", Columns: []string{"name"}, Rows: [][]string{{"row"}}}
	for range 20 {
		table.Columns, table.Rows[0] = append(table.Columns, "another column"), append(table.Rows[0], "12345")
	}
	p := Page{Title: "Title <x>", Lead: "Lead & more", Sections: []Section{
		{Title: "One", Figures: []Figure{sample(), rows, several}}, {Title: "Two", Tables: []Table{table}},
	}}
	html, err := p.HTML()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, html, 0o666); err != nil {
		t.Fatal(err)
	}
	browsertest.Check(t, file)
}

// Labels of a logarithmic axis are plain numbers where those are short.
func TestDecades(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{60, 250, "100 200"},
		{0.04, 0.6, "0.05 0.1 0.2 0.5"},
		{1e-7, 1e-6, "1e-7 2e-7 5e-7 1e-6"},
		{1, 1e6, "1 10 100 1000 10000 100000 1e6"},
	} {
		var got []string
		for _, m := range (decades{}).Ticks(c.low, c.high) {
			if m.Label != "" {
				got = append(got, m.Label)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%v to %v: labels %s, want %s", c.low, c.high, s, c.want)
		}
	}
}
