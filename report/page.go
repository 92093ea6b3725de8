package report

import (
	"bytes"
	"fmt"
	"html/template"
)

// Page is a document of sections, one under another.
type Page struct {
	Title    string
	Lead     string // a paragraph under the title
	Sections []Section
	Foot     string // a line at the end
}

// Section is a heading, a text, and what belongs to it.
type Section struct {
	Title   string
	Text    string
	Figures []Figure
	Tables  []Table
}

// Table is a table of text cells; columns of numbers are set to the right.
type Table struct {
	Name    string // of its file, without extension; may be empty
	Caption string
	Columns []string
	Rows    [][]string
}

// HTML returns the page as one file that refers to no other.
func (p *Page) HTML() ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, p)
	return b.Bytes(), err
}

// numeric reports whether every cell of a column begins like a number or is
// empty.
func (t Table) numeric(column int) bool {
	for _, row := range t.Rows {
		if column < len(row) && row[column] != "" {
			switch c := row[column][0]; {
			case c >= '0' && c <= '9', c == '-', c == '+', c == '.':
			default:
				return false
			}
		}
	}
	return true
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"inline": func(f Figure) (template.HTML, error) {
		s, err := f.inline()
		return template.HTML(s), err //nolint:gosec // made by vgsvg, which escapes its texts
	},
	"class": func(t Table, column int) string {
		if t.numeric(column) {
			return "n"
		}
		return ""
	},
	"id": func(i int) string { return fmt.Sprintf("s%d", i+1) },
}).Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<style>
:root { --ground: #fff; --text: #1d232a; --rule: #d8dde3; --link: #1f5f9e;
  --c0: #1f6fb4; --c1: #cf551c; --c2: #1e8a5a; --c3: #8a4fb0; --c4: #a87b05; --c5: #0b8a99; --c6: #b8326e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14181d; --text: #dfe4ea; --rule: #333b45; --link: #7db7ee;
    --c0: #62aeee; --c1: #f48a56; --c2: #5cc796; --c3: #c08fe4; --c4: #d9b24a; --c5: #4fc4d2; --c6: #ef7fb2; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 66rem; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .4rem; padding-top: .6rem; border-top: 1px solid var(--rule); }
p { margin: .4rem 0 .9rem; overflow-wrap: break-word; max-width: 46rem; }
a { color: var(--link); }
nav { font-size: .92rem; columns: 2 16rem; margin: 1.2rem 0; max-width: 46rem; }
nav a { display: block; padding: .12rem 0; text-decoration: none; break-inside: avoid; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 29rem), 1fr)); gap: 0 2rem; }
figure { margin: 1.2rem 0; max-width: 46rem; }
figure.several { grid-column: 1 / -1; max-width: none; }
.panels { display: flex; flex-wrap: wrap; gap: .4rem; }
.panels svg { flex: 1 1 100%; min-width: 0; max-width: 36rem; height: auto; font-family: "Liberation Sans", Arial, Helvetica, sans-serif; }
.several svg { flex: 1 1 14rem; max-width: 22rem; }
figcaption, .caption { font-size: .9rem; color: var(--text); opacity: .85; }
.table { overflow-x: auto; margin: .2rem 0 1.4rem; }
.caption { margin: 1.2rem 0 .3rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .8rem .22rem 0; text-align: left; white-space: nowrap; }
th { border-bottom: 1px solid var(--rule); font-weight: 600; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--ground); }
th.n, td.n { text-align: right; }
footer { margin-top: 3rem; font-size: .85rem; opacity: .8; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p>{{.Lead}}</p>
{{- if gt (len .Sections) 3}}
<nav>
{{- range $i, $s := .Sections}}
<a href="#{{id $i}}">{{$s.Title}}</a>
{{- end}}
</nav>
{{- end}}
{{- range $i, $s := .Sections}}
<section id="{{id $i}}">
<h2>{{$s.Title}}</h2>
{{- if $s.Text}}
<p>{{$s.Text}}</p>
{{- end}}
{{- if $s.Figures}}
<div class="figures">
{{- range $s.Figures}}
<figure{{if gt (len .Panels) 1}} class="several"{{end}}>
<div class="panels">
{{inline .}}</div>
<figcaption>{{.Caption}}</figcaption>
</figure>
{{- end}}
</div>
{{- end}}
{{- range $t := $s.Tables}}
<p class="caption">{{$t.Caption}}</p>
<div class="table"><table>
<thead><tr>{{range $j, $c := $t.Columns}}<th class="{{class $t $j}}">{{$c}}</th>{{end}}</tr></thead>
<tbody>
{{- range $t.Rows}}
<tr>{{range $j, $c := .}}<td class="{{class $t $j}}">{{$c}}</td>{{end}}</tr>
{{- end}}
</tbody>
</table></div>
{{- end}}
</section>
{{- end}}
{{- if .Foot}}
<footer>{{.Foot}}</footer>
{{- end}}
</body>
</html>
`))
