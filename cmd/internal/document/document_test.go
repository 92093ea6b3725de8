package document

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFoldersThatCannotBeWritten(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), filepath.Join(file, "below", "that")} {
		if err := Check(dir); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for _, dir := range []string{filepath.Join(base, "new"), filepath.Join(base, "not", "there")} {
		if err := Check(dir); err != nil {
			t.Errorf("a new folder: %v", err)
		}
	}
	if entries, _ := os.ReadDir(base); len(entries) != 1 {
		t.Errorf("a check leaves %v", entries)
	}
}

// On the page numbers have six digits, in JSON all; what is not finite is
// nothing in both.
func TestTable(t *testing.T) {
	table := Table{Name: "x", Caption: "words", Columns: []string{"a", "b"}, Rows: [][]any{{1. / 3, "text"}, {math.NaN(), 7}}}
	text, err := json.Marshal(table)
	if want := `{"description":"words","columns":["a","b"],"rows":[[0.3333333333333333,"text"],[null,7]]}`; err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	if rows := table.onPage().Rows; rows[0][0] != "0.333333" || rows[1][0] != "" || rows[1][1] != "7" {
		t.Errorf("on the page %v", rows)
	}
}
