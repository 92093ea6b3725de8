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

func parseValue(text []byte) value { return (&scanner{text: text}).next() }

// manyObjects reports whether compact JSON is an array of objects.
func manyObjects(text []byte) bool { return bytes.HasPrefix(text, []byte("[{")) }

// objects goes through an array of objects, one in memory at a time.
func objects(text []byte) iter.Seq[value] {
	return func(yield func(value) bool) {
		for d := (scanner{text: text, at: 1}); d.at < len(text) && yield(d.next()); d.at++ {
		}
	}
}

// scanner reads what json.Marshal wrote: well formed and without spaces.
type scanner struct {
	text  []byte
	at    int
	names []string // the names of the last object, which the next one often has too
}

func (d *scanner) next() value {
	switch c := d.text[d.at]; c {
	case '{', '[':
		v := value{kind: c}
		known := d.names                   // as far as v.names is the same
		for d.at++; d.text[d.at] != c+2; { // '}' and ']'
			if c == '{' {
				quoted := d.str()
				if n := len(v.names); n < len(known) && string(quoted[1:len(quoted)-1]) == known[n] {
					v.names = known[: n+1 : n+1]
				} else {
					v.names, known = append(v.names, unquote(quoted)), nil
				}
				d.at++ // ':'
			}
			v.items = append(v.items, d.next())
			if d.text[d.at] == ',' {
				d.at++
			}
		}
		d.at++
		if c == '{' {
			d.names = v.names
		}
		return v
	case '"':
		return value{kind: '"', text: unquote(d.str())}
	default:
		start := d.at
		for d.at < len(d.text) && !bytes.ContainsRune([]byte(",]}"), rune(d.text[d.at])) {
			d.at++
		}
		switch text := string(d.text[start:d.at]); text {
		case "null":
			return value{kind: '"'}
		case "true", "false":
			return value{kind: '"', text: text}
		default:
			return value{kind: '0', text: text}
		}
	}
}

// str reads a string with its quotes.
func (d *scanner) str() []byte {
	start := d.at
	for d.at++; d.text[d.at] != '"'; d.at++ {
		if d.text[d.at] == '\\' {
			d.at++
		}
	}
	d.at++
	return d.text[start:d.at]
}

func unquote(quoted []byte) string {
	if !bytes.ContainsRune(quoted, '\\') {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	json.Unmarshal(quoted, &s)
	return s
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
	if !slices.ContainsFunc(v.items, func(item value) bool { return item.kind == '{' || item.isTable() }) {
		return v, value{}
	}
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
	blanks := strings.Repeat(" ", 2+slices.Max(append(width, 0)))
	line := func(cell func(j int) string) {
		pad := 0 // blanks are due, and are written only if text follows
		for j := range c.names {
			text := cell(j)
			free := width[j] - utf8.RuneCountInString(text)
			if right[j] {
				pad += free
				free = 0
			}
			if text != "" {
				for ; pad > len(blanks); pad -= len(blanks) {
					out.WriteString(blanks)
				}
				out.WriteString(blanks[:pad])
				out.WriteString(text)
				pad = 0
			}
			pad += free + 2
		}
		out.WriteByte('\n')
	}
	line(func(j int) string { return c.names[j] })
	for row := range rows {
		c.cells(cells, row)
		line(func(j int) string { return cells[j].String() })
	}
}
