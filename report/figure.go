// Package report makes pages of figures and tables that need nothing but the
// file they are in: figures by gonum/plot as SVG and PNG, and one HTML page
// that opens without a network, on a telephone and in dark mode.
package report

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Style is how a series is drawn.
type Style uint8

// The styles. Arrows draws each pair of neighbouring points as an arrow.
const (
	Line Style = iota
	Dashed
	Points
	LinePoints
	Arrows
)

// Series is one curve or set of points. Points that are not finite, or not
// positive on a logarithmic axis, are gaps.
type Series struct {
	Name  string // in the legend; none if empty
	X, Y  []float64
	Style Style
	Color int       // index of the palette; Ink is the colour of text
	Size  float64   // radius of points in typographic points; 0 means 2.5
	Error []float64 // of each ordinate, drawn as a bar of ± it; nil for none
}

// Ink is the Color of text and axes.
const Ink = -1

// Label is a text at a point of a plot, centred on it.
type Label struct {
	X, Y float64
	Text string
}

// Cells is a picture of square cells, such as a configuration of spins: those
// that are On are filled. X and Y are its lower left corner and Size the side of
// a cell, in the coordinates of the plot.
type Cells struct {
	X, Y, Size float64
	Columns    int
	On         []bool // row by row, the uppermost first
}

// Corner is where a legend stands.
type Corner uint8

// The corners of a plot.
const (
	TopLeft Corner = iota
	TopRight
	BottomLeft
	BottomRight
)

// Plot is a diagram with two axes.
type Plot struct {
	Title, X, Y    string
	LogX, LogY     bool
	XRange, YRange [2]float64 // {0, 0} means what the series need
	Series         []Series
	Labels         []Label
	Cells          []Cells
	Legend         Corner
	NoAxes         bool // a drawing rather than a diagram
	// Rows, if any, name the whole numbers from 0 on the Y axis, from the top
	// down.
	Rows []string
}

// Figure is one plot or several side by side.
type Figure struct {
	Name    string // of its files, without extension
	Caption string // what it shows, in a sentence
	Panels  []Plot
	Height  float64 // of a figure 480 wide; 0 means 300
}

var (
	ink     = color.NRGBA{0x1d, 0x23, 0x2a, 0xff}
	palette = []color.NRGBA{
		{0x1f, 0x6f, 0xb4, 0xff}, // blue
		{0xcf, 0x55, 0x1c, 0xff}, // vermilion
		{0x1e, 0x8a, 0x5a, 0xff}, // green
		{0x8a, 0x4f, 0xb0, 0xff}, // purple
		{0xa8, 0x7b, 0x05, 0xff}, // ochre
		{0x0b, 0x8a, 0x99, 0xff}, // teal
		{0xb8, 0x32, 0x6e, 0xff}, // magenta
	}
)

func colorOf(i int) color.NRGBA {
	if i == Ink {
		return ink
	}
	return palette[i%len(palette)]
}

const width = 480

func (f *Figure) height() float64 {
	if f.Height > 0 {
		return f.Height
	}
	return 300
}

// SVG returns the figure on a white ground.
func (f *Figure) SVG() ([]byte, error) {
	c := vgsvg.New(vg.Length(width), vg.Length(f.height()))
	if err := f.draw(draw.New(c), true, len(f.Panels) > 1); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err := c.WriteTo(&b)
	return b.Bytes(), err
}

// PNG returns the figure on a white ground, at 192 dots per inch.
func (f *Figure) PNG() ([]byte, error) {
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(vg.Length(width), vg.Length(f.height())), vgimg.UseDPI(192))}
	if err := f.draw(draw.New(c), true, len(f.Panels) > 1); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err := c.WriteTo(&b)
	return b.Bytes(), err
}

var (
	svgHead  = regexp.MustCompile(`(?s)^.*?(<svg[^>]*>)`)
	svgSize  = regexp.MustCompile(` (?:width|height)="[^"]*"`)
	svgFonts = regexp.MustCompile(`font-family:[^;"]*;`)
	svgText  = regexp.MustCompile(`<text ([^>]*font-size:([0-9.]+)px[^>]*)>([^<]*)</text>`)
)

// Widths of a figure that is an element of a page, in the unit of its type:
// alone, where it is read on a telephone, and of each of several panels.
const (
	aloneWidth = 390
	panelWidth = 240
)

// fitted gives every text of an SVG the width that it was laid out with: the
// reader's fonts may be wider.
func fitted(svg string) string {
	return svgText.ReplaceAllStringFunc(svg, func(element string) string {
		m := svgText.FindStringSubmatch(element)
		size, err := strconv.ParseFloat(m[2], 64)
		words := strings.TrimRight(html.UnescapeString(m[3]), " ") // which a browser drops
		if err != nil || words == "" {
			return element
		}
		face := font.DefaultCache.Lookup(sansFont, vg.Length(size))
		return fmt.Sprintf(`<text textLength="%.2f" lengthAdjust="spacingAndGlyphs" %s>%s</text>`, float64(face.Width(words)), m[1], m[3])
	})
}

var sansFont = font.Font{Typeface: "Liberation", Variant: "Sans"}

// inline returns the figure as elements of a page, one for each panel so that
// they stack where there is little room: without a ground, and with the page's
// colours.
func (f *Figure) inline() (string, error) {
	if len(f.Panels) == 0 {
		return "", fmt.Errorf("figure %s has no panel", f.Name)
	}
	replace := []string{hex(ink), "currentColor"}
	for i, p := range palette {
		replace = append(replace, hex(p), "var(--c"+strconv.Itoa(i)+")")
	}
	colours := strings.NewReplacer(replace...)
	var all strings.Builder
	wide := aloneWidth
	if len(f.Panels) > 1 {
		wide = panelWidth
	}
	for i := range f.Panels {
		c := vgsvg.New(vg.Length(wide), vg.Length(f.height()))
		panel := *f
		panel.Panels = f.Panels[i : i+1]
		if err := panel.draw(draw.New(c), false, len(f.Panels) > 1); err != nil {
			return "", err
		}
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			return "", err
		}
		s := svgHead.ReplaceAllStringFunc(b.String(), func(head string) string {
			open := head[strings.LastIndex(head, "<svg"):]
			return svgSize.ReplaceAllString(open, "")
		})
		all.WriteString(colours.Replace(svgFonts.ReplaceAllString(fitted(s), "")))
	}
	return all.String(), nil
}

func hex(c color.NRGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// draw draws the panels side by side, small ones in smaller type.
func (f *Figure) draw(c draw.Canvas, ground, small bool) error {
	if ground {
		c.SetColor(color.White)
		c.Fill(rectangle(c))
	}
	if len(f.Panels) == 0 {
		return fmt.Errorf("figure %s has no panel", f.Name)
	}
	row := make([]*plot.Plot, len(f.Panels))
	for i := range f.Panels {
		p, err := f.Panels[i].build(small)
		if err != nil {
			return fmt.Errorf("figure %s: %w", f.Name, err)
		}
		row[i] = p
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(row), PadX: 10, PadTop: 6, PadBottom: 4, PadLeft: 4, PadRight: 8}
	for i, tile := range plot.Align([][]*plot.Plot{row}, tiles, c)[0] {
		row[i].Draw(tile)
	}
	return nil
}

func rectangle(c draw.Canvas) vg.Path {
	var p vg.Path
	p.Move(c.Min)
	p.Line(vg.Point{X: c.Max.X, Y: c.Min.Y})
	p.Line(c.Max)
	p.Line(vg.Point{X: c.Min.X, Y: c.Max.Y})
	p.Close()
	return p
}

// build makes a gonum plot; small is for panels that share the width.
func (p *Plot) build(small bool) (*plot.Plot, error) {
	g := plot.New()
	g.BackgroundColor = color.Transparent
	size := vg.Length(12)
	if small {
		size = 10.5
	}
	sans := func(s *text.Style, size vg.Length) {
		s.Font = sansFont
		s.Font.Size = size
		s.Color = ink
	}
	sans(&g.Title.TextStyle, size)
	g.Title.Text, g.Title.Padding = p.Title, 6
	for _, a := range []*plot.Axis{&g.X, &g.Y} {
		sans(&a.Label.TextStyle, size)
		sans(&a.Tick.Label, size-1.5)
		a.Color, a.Tick.Color = ink, ink
		a.LineStyle.Width, a.Tick.LineStyle.Width = 0.6, 0.6
		a.Padding = 2
	}
	g.X.Label.Text, g.Y.Label.Text = p.X, p.Y
	g.X.Tick.Marker, g.Y.Tick.Marker = ticks{small}, ticks{small}
	if p.LogX {
		g.X.Scale, g.X.Tick.Marker = plot.LogScale{}, decades{}
	}
	if p.LogY {
		g.Y.Scale, g.Y.Tick.Marker = plot.LogScale{}, decades{}
	}
	if len(p.Rows) > 0 {
		marks := make(plot.ConstantTicks, len(p.Rows))
		for i, name := range p.Rows {
			marks[i] = plot.Tick{Value: float64(i), Label: name}
		}
		g.Y.Tick.Marker, g.Y.Scale = marks, plot.InvertedScale{Normalizer: plot.LinearScale{}}
		g.Y.Tick.Length = 0
		g.Add(rules(len(p.Rows)))
	}
	sans(&g.Legend.TextStyle, size-1.5)
	g.Legend.Top = p.Legend == TopLeft || p.Legend == TopRight
	g.Legend.Left = p.Legend == TopLeft || p.Legend == BottomLeft
	g.Legend.ThumbnailWidth, g.Legend.Padding = 18, 2
	g.Legend.XOffs, g.Legend.YOffs = -4, -4
	if g.Legend.Left {
		g.Legend.XOffs = 4
	}
	if !g.Legend.Top {
		g.Legend.YOffs = 4
	}
	for _, s := range p.Series {
		if err := p.add(g, s); err != nil {
			return nil, err
		}
	}
	for _, c := range p.Cells {
		if c.Columns < 1 || len(c.On)%c.Columns != 0 {
			return nil, fmt.Errorf("%d cells are no picture of %d columns", len(c.On), c.Columns)
		}
		g.Add(cells{c})
	}
	if len(p.Labels) > 0 {
		points := plotter.XYLabels{}
		for _, l := range p.Labels {
			points.XYs = append(points.XYs, plotter.XY{X: l.X, Y: l.Y})
			points.Labels = append(points.Labels, l.Text)
		}
		labels, err := plotter.NewLabels(points)
		if err != nil {
			return nil, err
		}
		for i := range labels.TextStyle {
			sans(&labels.TextStyle[i], size-1)
			labels.TextStyle[i].XAlign, labels.TextStyle[i].YAlign = text.XCenter, text.YCenter
		}
		g.Add(labels)
	}
	if p.XRange != [2]float64{} {
		g.X.Min, g.X.Max = p.XRange[0], p.XRange[1]
	}
	if p.YRange != [2]float64{} {
		g.Y.Min, g.Y.Max = p.YRange[0], p.YRange[1]
	}
	if p.NoAxes {
		g.HideAxes()
	}
	return g, nil
}

// add draws a series in runs of finite points within the plot's ranges.
func (p *Plot) add(g *plot.Plot, s Series) error {
	if len(s.X) != len(s.Y) || s.Error != nil && len(s.Error) != len(s.Y) {
		return fmt.Errorf("series %q has %d abscissae, %d ordinates and %d errors", s.Name, len(s.X), len(s.Y), len(s.Error))
	}
	if s.Error != nil {
		g.Add(bars{s, p})
	}
	named := s.Name == ""
	for _, run := range p.runs(s) {
		var thumbnails []plot.Thumbnailer
		if s.Style == Line || s.Style == Dashed || s.Style == LinePoints {
			line, err := plotter.NewLine(run)
			if err != nil {
				return err
			}
			line.Color, line.Width = colorOf(s.Color), 1.4
			if s.Style == Dashed {
				line.Dashes, line.Width = []vg.Length{4, 3}, 1.1
			}
			g.Add(line)
			thumbnails = append(thumbnails, line)
		}
		if s.Style == Points || s.Style == LinePoints {
			points, err := plotter.NewScatter(run)
			if err != nil {
				return err
			}
			points.GlyphStyle = draw.GlyphStyle{Color: colorOf(s.Color), Radius: vg.Length(radius(s)), Shape: draw.CircleGlyph{}}
			g.Add(points)
			thumbnails = append(thumbnails, points)
		}
		if s.Style == Arrows {
			g.Add(arrows{run, colorOf(s.Color)})
		}
		if !named && len(thumbnails) > 0 {
			name := s.Name
			if !g.Legend.Left {
				name += "  " // room for readers whose font is wider
			}
			g.Legend.Add(name, thumbnails...)
			named = true
		}
	}
	return nil
}

func radius(s Series) float64 {
	if s.Size > 0 {
		return s.Size
	}
	return 2.5
}

// runs splits a series where it has a gap or leaves the plot's ranges.
func (p *Plot) runs(s Series) []plotter.XYs {
	inside := func(x float64, limits [2]float64, log bool) bool {
		if math.IsNaN(x) || math.IsInf(x, 0) || log && x <= 0 {
			return false
		}
		return limits == [2]float64{} || x >= limits[0] && x <= limits[1]
	}
	var runs []plotter.XYs
	open := false
	for i, x := range s.X {
		if !inside(x, p.XRange, p.LogX) || !inside(s.Y[i], p.YRange, p.LogY) {
			open = false
			continue
		}
		if !open {
			runs, open = append(runs, nil), true
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], plotter.XY{X: x, Y: s.Y[i]})
	}
	return runs
}

// cells draws a picture, neighbouring cells of a row as one.
type cells struct{ Cells }

// Plot implements plot.Plotter.
func (s cells) Plot(c draw.Canvas, g *plot.Plot) {
	x, y := g.Transforms(&c)
	rows := len(s.On) / s.Columns
	// Neighbouring boxes overlap a little, so that no seam shows between them.
	box := func(from, to, top int, bottom float64) []vg.Point {
		left, right := x(s.X+float64(from)*s.Size), x(s.X+float64(to)*s.Size)
		up, down := y(s.Y+float64(rows-top)*s.Size), y(s.Y+(float64(rows)-bottom)*s.Size)
		return []vg.Point{{X: left, Y: down}, {X: right, Y: down}, {X: right, Y: up}, {X: left, Y: up}, {X: left, Y: down}}
	}
	for r := range rows {
		row := s.On[r*s.Columns : (r+1)*s.Columns]
		for from := 0; from < len(row); {
			to := from
			for to < len(row) && row[to] {
				to++
			}
			if to > from {
				c.FillPolygon(ink, box(from, to, r, math.Min(float64(r)+1.05, float64(rows))))
			}
			from = to + 1
		}
	}
	c.StrokeLines(draw.LineStyle{Color: ink, Width: 0.4}, box(0, s.Columns, 0, float64(rows)))
}

// DataRange implements plot.DataRanger.
func (s cells) DataRange() (xmin, xmax, ymin, ymax float64) {
	return s.X, s.X + float64(s.Columns)*s.Size, s.Y, s.Y + float64(len(s.On)/s.Columns)*s.Size
}

// bars draws the errors of a series.
type bars struct {
	Series
	of *Plot
}

// Plot implements plot.Plotter.
func (b bars) Plot(c draw.Canvas, g *plot.Plot) {
	x, y := g.Transforms(&c)
	style := draw.LineStyle{Color: colorOf(b.Color), Width: 0.9}
	for i, e := range b.Error {
		low, high, ok := b.ends(i, e)
		if !ok {
			continue
		}
		at := x(b.X[i])
		c.StrokeLine2(style, at, y(low), at, y(high))
		for _, end := range []float64{low, high} {
			c.StrokeLine2(style, at-2, y(end), at+2, y(end))
		}
	}
}

// ends returns the ends of a bar, cut off at the ranges of the plot.
func (b bars) ends(i int, e float64) (low, high float64, ok bool) {
	p, v := b.of, b.Y[i]
	if !(e > 0) || math.IsInf(e, 0) || len(p.runs(Series{X: b.X[i : i+1], Y: b.Y[i : i+1]})) == 0 {
		return 0, 0, false
	}
	low, high = v-e, v+e
	if p.YRange != [2]float64{} {
		low, high = math.Max(low, p.YRange[0]), math.Min(high, p.YRange[1])
	}
	if p.LogY && low <= 0 {
		low = v
	}
	return low, high, true
}

// DataRange implements plot.DataRanger.
func (b bars) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax, ymin, ymax = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for i, e := range b.Error {
		if low, high, ok := b.ends(i, e); ok {
			xmin, xmax = math.Min(xmin, b.X[i]), math.Max(xmax, b.X[i])
			ymin, ymax = math.Min(ymin, low), math.Max(ymax, high)
		}
	}
	return xmin, xmax, ymin, ymax
}

// arrows draws an arrow from each point to the next.
type arrows struct {
	plotter.XYs
	color color.NRGBA
}

// Plot implements plot.Plotter.
func (a arrows) Plot(c draw.Canvas, g *plot.Plot) {
	x, y := g.Transforms(&c)
	style := draw.LineStyle{Color: a.color, Width: 1.4}
	for i := 1; i < len(a.XYs); i++ {
		from := vg.Point{X: x(a.XYs[i-1].X), Y: y(a.XYs[i-1].Y)}
		to := vg.Point{X: x(a.XYs[i].X), Y: y(a.XYs[i].Y)}
		d := to.Sub(from)
		length := vg.Length(math.Hypot(float64(d.X), float64(d.Y)))
		if length == 0 {
			continue
		}
		c.StrokeLine2(style, from.X, from.Y, to.X, to.Y)
		head := min(6, length/2)
		along := d.Scale(head / length)
		across := vg.Point{X: -along.Y, Y: along.X}.Scale(0.45)
		back := to.Sub(along)
		c.FillPolygon(a.color, []vg.Point{to, back.Add(across), back.Sub(across)})
	}
}

// DataRange implements plot.DataRanger.
func (a arrows) DataRange() (xmin, xmax, ymin, ymax float64) { return plotter.XYRange(a.XYs) }

// rules draws a faint line along each row.
type rules int

// Plot implements plot.Plotter.
func (r rules) Plot(c draw.Canvas, g *plot.Plot) {
	_, y := g.Transforms(&c)
	for i := range int(r) {
		at := y(float64(i))
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: 0.15}, c.Min.X, at, c.Max.X, at)
	}
}

// ticks are gonum's with few labels where room is short.
type ticks struct{ few bool }

// Ticks implements plot.Ticker.
func (t ticks) Ticks(low, high float64) []plot.Tick {
	marks := plot.DefaultTicks{}.Ticks(low, high)
	labels := 0
	for _, m := range marks {
		if m.Label != "" {
			labels++
		}
	}
	if t.few && labels > 4 {
		n := 0
		for i := range marks {
			if marks[i].Label != "" {
				if n%2 == 1 {
					marks[i].Label = ""
				}
				n++
			}
		}
	}
	return marks
}

// exponents shortens those of numbers: 1e11 for 1e+11.
var exponents = strings.NewReplacer("e+0", "e", "e+", "e", "e-0", "e-")

// short writes a number of one digit: 200, 0.05, 1e-7.
func short(x float64) string {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'e', 0, 64), 64)
	return exponents.Replace(strconv.FormatFloat(x, 'g', -1, 64))
}

// decades mark powers of ten, labelled so that no more than about six are.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) []plot.Tick {
	first, last := math.Floor(math.Log10(low)+1e-9), math.Ceil(math.Log10(high)-1e-9)
	every := math.Max(1, math.Ceil((last-first)/6))
	var marks []plot.Tick
	for e := first; e <= last; e++ {
		x := math.Pow(10, e)
		if x >= low*(1-1e-9) && x <= high*(1+1e-9) {
			label := ""
			if math.Mod(e-first, every) == 0 {
				label = short(x)
			}
			marks = append(marks, plot.Tick{Value: x, Label: label})
		}
		if last-first <= 2 {
			for m := 2.; m < 10; m++ {
				if y := m * x; y >= low && y <= high {
					label := ""
					if (last-first <= 1 || high < 20*low) && (m == 2 || m == 5) {
						label = short(y)
					}
					marks = append(marks, plot.Tick{Value: y, Label: label})
				}
			}
		}
	}
	return marks
}
