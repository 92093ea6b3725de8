package train

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"kadanoff/model/atomicfile"
)

// What the page says of a run, beside why it stopped.
const (
	running  = "running"
	finished = "finished"
)

// page writes index.html: curves of the metrics, and weights and chains as
// images where configurations have two dimensions. It opens without a network
// and asks to be loaded again while the run goes on.
func (m *monitor) page(status string) error {
	r := m.r
	m.paged = time.Now()
	var b strings.Builder
	refresh := ""
	if status == running {
		refresh = `<meta http-equiv="refresh" content="5">`
	}
	status = html.EscapeString(status)
	fmt.Fprintf(&b, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">%s<title>%s: %s</title>
<style>
body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#1a1a1a;background:#fff}
figure{display:inline-block;margin:0 1em 1.5em 0;vertical-align:top} figcaption{color:#555;font-size:13px}
table{border-collapse:collapse} td,th{padding:.15em .9em .15em 0;text-align:right;font-variant-numeric:tabular-nums}
img{image-rendering:pixelated;border:1px solid #ddd}
</style></head><body>
<h1>%s</h1>
<p>%d visible and %d hidden units, couplings %s, %s, k = %d, rate %v (%v, %s units), batches of %d: %s, epoch %d of %d.</p>
`, refresh, html.EscapeString(r.o.Name), status, html.EscapeString(r.o.Name),
		r.data.Width(), r.Hidden, couplings[r.Couplings], r.Algorithm, r.K, r.Rate, r.Schedule, r.Units, r.Batch, status, m.epochs(), r.Epochs)
	for _, c := range m.curves() {
		if len(c.y) > 0 {
			fmt.Fprintf(&b, "<figure>%s<figcaption>%s</figcaption></figure>\n", c.svg(), html.EscapeString(c.title))
		}
	}
	if shape := squeezed(r.o.Shape); len(shape) == 2 && r.state.Model != nil {
		if err := m.images(&b, shape[0], shape[1]); err != nil {
			return err
		}
	}
	m.table(&b)
	b.WriteString("</body></html>\n")
	return atomicfile.Write(r.path("index.html"), func(w io.Writer) error {
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// couplings says in words where a machine has them.
var couplings = map[string]string{
	"between": "between the layers", "visible": "between the layers and of visible units",
	"hidden": "between the layers and of hidden units", "all": "of all units",
}

// squeezed returns a shape without its axes of one: images of 28×28×1 are
// pictures, too.
func squeezed(shape []int) []int {
	var out []int
	for _, n := range shape {
		if n != 1 {
			out = append(out, n)
		}
	}
	return out
}

func (m *monitor) epochs() int {
	if len(m.last) == 0 {
		return 0
	}
	return m.last[len(m.last)-1].Epoch
}

// What the page shows of a run however long it is.
const (
	drawn  = 2048 // most epochs of a curve
	listed = 20   // last epochs in the table
)

// remember keeps a line for the page: the last few, and of all of them every
// so-manieth, so that neither memory nor page grows with the epochs.
func (m *monitor) remember(line *Metrics) {
	if m.last = append(m.last, *line); len(m.last) > listed {
		m.last = append(m.last[:0], m.last[1:]...)
	}
	m.every = max(m.every, 1)
	if line.Epoch%m.every != 0 {
		return
	}
	if m.lines = append(m.lines, *line); len(m.lines) > drawn {
		m.every *= 2
		m.lines = slices.DeleteFunc(m.lines, func(l Metrics) bool { return l.Epoch%m.every != 0 })
	}
}

// curve is a quantity over the epochs.
type curve struct {
	title string
	x, y  []float64
}

func (m *monitor) curves() []curve {
	list := []curve{
		{title: "log-likelihood, exact (nats)"}, {title: "validation log-likelihood, exact (nats)"},
		{title: "pseudo-log-likelihood (nats)"}, {title: "validation pseudo-log-likelihood (nats)"},
		{title: "free-energy gap, validation less training (nats)"},
		{title: "root mean square of the weights"}, {title: "rate"},
	}
	lines := m.lines
	if n := len(m.last); n > 0 && m.last[n-1].Epoch%m.every != 0 {
		lines = append(slices.Clip(lines), m.last[n-1])
	}
	for i := range lines {
		l := &lines[i]
		for k, y := range []*float64{l.LogLikelihood, l.ValidationLogLikelihood, l.PseudoLogLikelihood, l.ValidationPseudo, l.FreeEnergyGap, &l.WeightScale, &l.Rate} {
			if y != nil {
				list[k].x, list[k].y = append(list[k].x, float64(l.Epoch)), append(list[k].y, *y)
			}
		}
	}
	return list
}

// svg draws the curve.
func (c *curve) svg() string {
	const w, h, left, bottom = 440, 200, 62, 22
	x0, x1 := c.x[0], c.x[len(c.x)-1]
	y0, y1 := c.y[0], c.y[0]
	for _, y := range c.y {
		y0, y1 = math.Min(y0, y), math.Max(y1, y)
	}
	if x1 == x0 {
		x1++
	}
	if y1 == y0 {
		y0, y1 = y0-0.5, y1+0.5
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%d" height="%d" viewBox="0 0 %d %d" font-size="11" fill="#555">`, w, h, w, h)
	fmt.Fprintf(&b, `<path d="M%d 8V%dH%d" fill="none" stroke="#999"/>`, left, h-bottom, w-4)
	at := func(x, y float64) (float64, float64) {
		return left + (x-x0)/(x1-x0)*(w-left-10), float64(h-bottom) - (y-y0)/(y1-y0)*(h-bottom-14)
	}
	for _, y := range []float64{y0, (y0 + y1) / 2, y1} {
		_, py := at(x0, y)
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%.5g</text>`, left-5, py+4, y)
	}
	for _, x := range []float64{c.x[0], c.x[len(c.x)-1]} {
		px, _ := at(x, y0)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`, px, h-6, x)
	}
	b.WriteString(`<polyline fill="none" stroke="#0b62a4" stroke-width="1.6" points="`)
	for i := range c.x {
		px, py := at(c.x[i], c.y[i])
		fmt.Fprintf(&b, "%.1f,%.1f ", px, py)
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

const tiles = 8 // images in a row and a column

// images draws the weights of the first hidden units and the visible units of
// the first chains.
func (m *monitor) images(b *strings.Builder, rows, cols int) error {
	r := m.r
	model := r.state.Model
	v, h := model.Layers[0], model.Layers[1]
	if rows*cols != v || v > 1<<16 {
		return nil
	}
	w, top := model.Blocks[0].W, 0.0
	for i := range v {
		for a := range min(h, tiles*tiles) {
			top = math.Max(top, math.Abs(float64(w[i*h+a])))
		}
	}
	err := figure(b, "weights of the first hidden units, blue positive, red negative", rows, cols, min(h, tiles*tiles), func(k, i int) color.Color {
		x := 0.0
		if top > 0 {
			x = float64(w[i*h+k]) / top
		}
		fade := uint8(255 * (1 - math.Abs(x)))
		if x > 0 {
			return color.RGBA{fade, fade, 255, 255}
		}
		return color.RGBA{255, fade, fade, 255}
	})
	if err != nil || len(r.state.Chains) == 0 {
		return err
	}
	chains := &r.state.Chains[0]
	return figure(b, "visible units of the first chains", rows, cols, min(chains.Chains, tiles*tiles), func(k, i int) color.Color {
		if chains.Up(i, k) {
			return color.Black
		}
		return color.White
	})
}

// figure writes n pictures of rows × cols pixels as one image.
func figure(b *strings.Builder, caption string, rows, cols, n int, at func(k, i int) color.Color) error {
	across := min(n, tiles)
	down := (n + tiles - 1) / tiles
	img := image.NewRGBA(image.Rect(0, 0, across*(cols+1)-1, down*(rows+1)-1))
	for k := range n {
		for i := range rows * cols {
			img.Set(k%tiles*(cols+1)+i%cols, k/tiles*(rows+1)+i/cols, at(k, i))
		}
	}
	var raw bytes.Buffer
	if err := png.Encode(&raw, img); err != nil {
		return err
	}
	fmt.Fprintf(b, `<figure><img alt="%s" width="440" src="data:image/png;base64,%s"><figcaption>%s</figcaption></figure>`+"\n",
		caption, base64.StdEncoding.EncodeToString(raw.Bytes()), caption)
	return nil
}

// table lists the last epochs.
func (m *monitor) table(b *strings.Builder) {
	b.WriteString("<table><tr><th>epoch</th><th>step</th><th>rate</th><th>pseudo-log-likelihood</th><th>log-likelihood</th><th>seconds</th></tr>\n")
	for i := range m.last {
		l := &m.last[i]
		number := func(x *float64) string {
			if x == nil {
				return "–"
			}
			return fmt.Sprintf("%.4f", *x)
		}
		fmt.Fprintf(b, "<tr><td>%d</td><td>%d</td><td>%.4g</td><td>%s</td><td>%s</td><td>%.1f</td></tr>\n",
			l.Epoch, l.Step, l.Rate, number(l.PseudoLogLikelihood), number(l.LogLikelihood), l.Seconds)
	}
	b.WriteString("</table>\n")
}
