package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
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
		err = writeCSV(&out, text)
	default:
		writeTables(&out, text)
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

func parseValue(text []byte) value { return nextValue(decoder(text)) }

func decoder(text []byte) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d
}

// manyObjects reports whether compact JSON is an array of objects.
func manyObjects(text []byte) bool { return bytes.HasPrefix(text, []byte("[{")) }

// objects goes through an array of objects, one in memory at a time.
func objects(text []byte) iter.Seq[value] {
	return func(yield func(value) bool) {
		d := decoder(text)
		d.Token()
		for d.More() && yield(nextValue(d)) {
		}
	}
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

// columns are the names of the fields of rows, in the order in which they
// first appear.
type columns struct {
	names []string
	index map[string]int
}

func columnsOf(rows iter.Seq[value]) *columns {
	c := &columns{index: map[string]int{}}
	for row := range rows {
		fields, _ := row.flatten()
		for _, name := range fields.names {
			if _, ok := c.index[name]; !ok {
				c.index[name] = len(c.names)
				c.names = append(c.names, name)
			}
		}
	}
	return c
}

// cells writes a row's cells to dst, one for each column.
func (c *columns) cells(dst []value, row value) {
	clear(dst)
	fields, _ := row.flatten()
	for i, name := range fields.names {
		dst[c.index[name]] = fields.items[i]
	}
}

func writeCSV(out *bytes.Buffer, text []byte) error {
	if manyObjects(text) {
		return writeRows(out, value{}, objects(text))
	}
	v := parseValue(text)
	if v.kind != '{' {
		return nil // an empty list has no columns
	}
	fields, tables := v.flatten()
	if len(tables.items) > 0 {
		return writeRows(out, fields, slices.Values(tables.items[0].items))
	}
	return writeRows(out, value{}, slices.Values([]value{v}))
}

// writeRows writes CSV, the repeated fields before each row.
func writeRows(out *bytes.Buffer, repeated value, rows iter.Seq[value]) error {
	c := columnsOf(rows)
	w := csv.NewWriter(out)
	line := append(slices.Clone(repeated.names), c.names...)
	w.Write(line)
	cells := make([]value, len(c.names))
	for row := range rows {
		c.cells(cells, row)
		line = line[:0]
		for _, cell := range repeated.items {
			line = append(line, cell.String())
		}
		for _, cell := range cells {
			line = append(line, cell.String())
		}
		w.Write(line)
	}
	w.Flush()
	return w.Error()
}

func writeTables(out *bytes.Buffer, text []byte) {
	if manyObjects(text) {
		writeGrid(out, objects(text))
		return
	}
	v := parseValue(text)
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
		writeGrid(out, slices.Values(tables.items[i].items))
	}
}

// writeGrid aligns columns: numbers to the right, text to the left. It goes
// through the rows three times rather than keep them.
func writeGrid(out *bytes.Buffer, rows iter.Seq[value]) {
	c := columnsOf(rows)
	width, right := make([]int, len(c.names)), make([]bool, len(c.names))
	for j, name := range c.names {
		width[j], right[j] = utf8.RuneCountInString(name), true
	}
	cells := make([]value, len(c.names))
	for row := range rows {
		c.cells(cells, row)
		for j, cell := range cells {
			text := cell.String()
			width[j] = max(width[j], utf8.RuneCountInString(text))
			right[j] = right[j] && (cell.kind == '0' || text == "")
		}
	}
	line := func(cell func(j int) string) {
		var b strings.Builder
		for j := range c.names {
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
	line(func(j int) string { return c.names[j] })
	for row := range rows {
		c.cells(cells, row)
		line(func(j int) string { return cells[j].String() })
	}
}
