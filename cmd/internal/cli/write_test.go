package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// again writes a value as JSON, all but numbers, booleans and null as strings.
func (v value) again() string {
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	var parts []string
	switch v.kind {
	case '{':
		for i, item := range v.items {
			parts = append(parts, quote(v.names[i])+":"+item.again())
		}
		return "{" + strings.Join(parts, ",") + "}"
	case '[':
		for _, item := range v.items {
			parts = append(parts, item.again())
		}
		return "[" + strings.Join(parts, ",") + "]"
	case '0':
		return v.text
	}
	return quote(v.text)
}

// What the scanner reads comes back as it was, whatever the rows before had.
func TestScanner(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `-1.5e-300`, `""`,
		`{"a":1,"b":[1,2,[]],"c":{"a":{},"d":"x"}}`,
		`[{"a":1,"b":2},{"x":1,"b":2},{"a":1,"b":2,"c":3},{"a":"]"},{"b":"}","a":","},{}]`,
		`["\"","\\","\u0007","é","a\\\"b"]`,
		`[{"in":[{"a":1},{"b":[{"c":2}]}]},{"in":[]}]`,
	} {
		got := parseValue([]byte(text)).again()
		if got != text {
			t.Errorf("%s came back as %s", text, got)
		}
		if !manyObjects([]byte(text)) {
			continue
		}
		var rows []string
		for row := range objects([]byte(text)) {
			rows = append(rows, row.again())
		}
		if got := "[" + strings.Join(rows, ",") + "]"; got != text {
			t.Errorf("%s came back row by row as %s", text, got)
		}
	}
}
