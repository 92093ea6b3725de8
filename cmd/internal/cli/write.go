package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Format is how results are written.
type Format uint8

// The formats. Table is the default, also in a pipe.
const (
	Table Format = iota
	JSON
	CSV
)

func parseFormat(s string) (Format, error) {
	switch s {
	case "table":
		return Table, nil
	case "json":
		return JSON, nil
	case "csv":
		return CSV, nil
	}
	return 0, Usage("--format %q: want table, json, or csv", s)
}

// Float is a float64 that is written as null when it is not finite, and with
// the digits it needs to come back the same otherwise.
type Float float64

// MarshalJSON implements json.Marshaler.
func (f Float) MarshalJSON() ([]byte, error) {
	x := float64(f)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, x, 'g', -1, 64), nil
}

// Print writes a command's result to its standard output in the format that
// was asked for. See Write.
func (o *Options) Print(cmd *cobra.Command, v any) error {
	return Write(cmd.OutOrStdout(), o.Format, v)
}

// Write writes v in the given format. What v's JSON is decides for all three
// formats: a struct's json tags name the fields and give their order, and
// omitempty, omitzero or a nil pointer leaves out what is not exact or not
// known.
//
// In a table and in CSV an array of objects has one row for each, with the
// union of their fields as columns. An object has one row (CSV) or one line
// for each field (table); fields of objects inside it are named a.b; an array
// of objects inside it follows as a table of its own, and in CSV gives the
// rows, with the object's other fields repeated in each.
//
// A failing writer is an Unfinished error.
func Write(w io.Writer, format Format, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	var out bytes.Buffer
	switch format {
	case JSON:
		writeJSON(&out, text)
	case CSV:
		err = writeCSV(&out, parseValue(text))
	default:
		writeTables(&out, parseValue(text))
	}
	if err == nil {
		_, err = w.Write(out.Bytes())
	}
	if err != nil {
		return Unfinished("writing the result: %w", err)
	}
	return nil
}

// writeJSON puts each element of an outer array on a line of its own.
func writeJSON(out *bytes.Buffer, text []byte) {
	var rows []json.RawMessage
	if json.Unmarshal(text, &rows) != nil || len(rows) < 2 {
		out.Write(text)
		out.WriteByte('\n')
		return
	}
	for i, row := range rows {
		out.WriteString(map[bool]string{true: "[", false: " "}[i == 0])
		out.Write(row)
		out.WriteString(map[bool]string{true: "]\n", false: ",\n"}[i == len(rows)-1])
	}
}

// value is parsed JSON that keeps the order of fields: an object has names and
// items, an array has items only, everything else is text.
type value struct {
	kind  byte // '{', '[', '0' for a number, '"' for other text
	names []string
	items []value
	text  string
}

func parseValue(text []byte) value {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return nextValue(d)
}

// nextValue reads from the output of json.Marshal, which is well formed.
func nextValue(d *json.Decoder) value {
	token, _ := d.Token()
	switch t := token.(type) {
	case json.Delim:
		v := value{kind: byte(t)}
		for d.More() {
			if t == '{' {
				name, _ := d.Token()
				v.names = append(v.names, name.(string))
			}
			v.items = append(v.items, nextValue(d))
		}
		d.Token()
		return v
	case json.Number:
		return value{kind: '0', text: t.String()}
	case string:
		return value{kind: '"', text: t}
	case bool:
		return value{kind: '"', text: strconv.FormatBool(t)}
	}
	return value{kind: '"'}
}

func (v value) isTable() bool {
	return v.kind == '[' && len(v.items) > 0 && v.items[0].kind == '{'
}

// String writes a cell: arrays as their elements with spaces between.
func (v value) String() string {
	if v.kind != '[' {
		return v.text
	}
	parts := make([]string, len(v.items))
	for i, item := range v.items {
		parts[i] = item.String()
	}
	return strings.Join(parts, " ")
}

// flatten returns an object's scalar fields, objects inside it spelt out as
// a.b, and apart from them the arrays of objects.
func (v value) flatten() (fields, tables value) {
	for i, item := range v.items {
		name := v.names[i]
		switch {
		case item.isTable():
			tables.names = append(tables.names, name)
			tables.items = append(tables.items, item)
		case item.kind == '{':
			f, t := item.flatten()
			for j := range f.names {
				fields.names = append(fields.names, name+"."+f.names[j])
			}
			fields.items = append(fields.items, f.items...)
			for j := range t.names {
				tables.names = append(tables.names, name+"."+t.names[j])
			}
			tables.items = append(tables.items, t.items...)
		default:
			fields.names = append(fields.names, name)
			fields.items = append(fields.items, item)
		}
	}
	return fields, tables
}

// grid is a rectangle of cells under column names.
type grid struct {
	columns []string
	cells   [][]value
}

func toGrid(rows []value) grid {
	var g grid
	index := map[string]int{}
	for _, row := range rows {
		fields, _ := row.flatten()
		for _, name := range fields.names {
			if _, ok := index[name]; !ok {
				index[name] = len(g.columns)
				g.columns = append(g.columns, name)
			}
		}
	}
	for _, row := range rows {
		cells := make([]value, len(g.columns))
		fields, _ := row.flatten()
		for i, name := range fields.names {
			cells[index[name]] = fields.items[i]
		}
		g.cells = append(g.cells, cells)
	}
	return g
}

func writeCSV(out *bytes.Buffer, v value) error {
	rows := []value{v}
	var repeated value
	switch {
	case v.isTable():
		rows = v.items
	case v.kind == '[':
		rows = nil
	case v.kind == '{':
		fields, tables := v.flatten()
		if len(tables.items) > 0 {
			repeated, rows = fields, tables.items[0].items
		}
	}
	g := toGrid(rows)
	c := csv.NewWriter(out)
	line := append(append([]string{}, repeated.names...), g.columns...)
	if len(line) == 0 {
		return nil
	}
	c.Write(line)
	for _, cells := range g.cells {
		line = line[:0]
		for _, cell := range append(append([]value{}, repeated.items...), cells...) {
			line = append(line, cell.String())
		}
		c.Write(line)
	}
	c.Flush()
	return c.Error()
}

func writeTables(out *bytes.Buffer, v value) {
	if v.isTable() {
		writeGrid(out, toGrid(v.items))
		return
	}
	if v.kind != '{' {
		fmt.Fprintln(out, v)
		return
	}
	fields, tables := v.flatten()
	width := 0
	for _, name := range fields.names {
		width = max(width, utf8.RuneCountInString(name))
	}
	for i, name := range fields.names {
		fmt.Fprintf(out, "%-*s  %s\n", width, name, fields.items[i])
	}
	for i, name := range tables.names {
		if out.Len() > 0 {
			out.WriteByte('\n')
		}
		if len(tables.names) > 1 {
			fmt.Fprintln(out, name)
		}
		writeGrid(out, toGrid(tables.items[i].items))
	}
}

// writeGrid aligns columns: numbers to the right, text to the left.
func writeGrid(out *bytes.Buffer, g grid) {
	width := make([]int, len(g.columns))
	right := make([]bool, len(g.columns))
	for j, name := range g.columns {
		width[j], right[j] = utf8.RuneCountInString(name), true
		for _, cells := range g.cells {
			width[j] = max(width[j], utf8.RuneCountInString(cells[j].String()))
			right[j] = right[j] && (cells[j].kind == '0' || cells[j].String() == "")
		}
	}
	line := func(cell func(j int) string) {
		var b strings.Builder
		for j := range g.columns {
			if j > 0 {
				b.WriteString("  ")
			}
			if right[j] {
				fmt.Fprintf(&b, "%*s", width[j], cell(j))
			} else {
				fmt.Fprintf(&b, "%-*s", width[j], cell(j))
			}
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
	line(func(j int) string { return g.columns[j] })
	for _, cells := range g.cells {
		line(func(j int) string { return cells[j].String() })
	}
}
