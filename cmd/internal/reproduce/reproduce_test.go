package reproduce

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/cpu"
	"kadanoff/cmd/internal/document"
)

var quick = sync.OnceValues(func() (*document.Document, error) {
	return Build(context.Background(), Options{Quick: true, Seed: 1, Open: func(threads int) (backend.Backend, error) {
		return cpu.New(backend.Options{Threads: threads})
	}})
})

type jsonTable struct {
	Description string
	Columns     []string
	Rows        [][]any
}

func (t jsonTable) column(name string) int {
	for i, c := range t.Columns {
		if c == name {
			return i
		}
	}
	return -1
}

func written(t *testing.T) string {
	t.Helper()
	r, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	sum, err := r.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Figures < 12 || sum.Tables < 12 || sum.Page != filepath.Join(dir, "index.html") {
		t.Errorf("summary %+v", sum)
	}
	return dir
}

func read(t *testing.T, dir, name string) (table jsonTable) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "tables", name+".json"))
	if err == nil {
		err = json.Unmarshal(text, &table)
	}
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// The tables hold the known values of what they say.
func TestTables(t *testing.T) {
	dir := written(t)
	for _, c := range []struct {
		table string
		key   []float64 // the first columns of the row
		name  string
		want  float64
		limit float64
	}{
		{"w-of-k", []float64{1}, "W", 0.306308329811523071085, 1e-14},
		{"w-of-k", []float64{10}, "W", 4.740069807107838, 1e-14},
		{"divergence", []float64{1}, "KL at W(K)", 0.577930474430537254128, 1e-13},
		{"divergence", []float64{1}, "KL at W = 0", 2.96383109594925753554, 1e-13},
		{"flow", []float64{1}, "m*", 0.8286221429149544852, 1e-12},
		{"temperature-ranges", []float64{0, 1}, "W", 0.48367990129887157497, 1e-14},
		{"critical-coupling-ring", []float64{8}, "K_c", 0.44419961231583009037, 1e-12},
		{"critical-coupling-ring", []float64{16}, "K_c", 0.59192132336146663879, 1e-12},
		{"critical-temperature-torus", []float64{4, 0.5}, "T_flow", 4.5304842745235887820, 1e-12},
		{"critical-temperature-torus", []float64{4, 1}, "T_flow", 4.2022836952530931281, 1e-12},
		{"full-weights", []float64{4}, "KL uniform", 0.577930474430537254128, 1e-13},
		{"pair-correlations", []float64{2}, "ring", 0.696347474561222429545, 1e-14},
		{"pair-correlations", []float64{2}, "uniform RBM", 0.6508406819754411923070, 1e-13},
		{"pair-correlations", []float64{2}, "full-weight RBM", 0.696347474561222429545, 1e-4},
		{"cd-k", []float64{1, 1}, "W of CD-k", 0.31954104809714701446, 1e-12},
		{"cd-k", []float64{2, 2}, "W of CD-k", 0.74050924207064050505, 1e-12},
	} {
		table := read(t, dir, c.table)
		found := false
	rows:
		for _, row := range table.Rows {
			for i, x := range c.key {
				if row[i] != x {
					continue rows
				}
			}
			found = true
			if got, ok := row[table.column(c.name)].(float64); !ok || math.Abs(got-c.want) > c.limit*c.want {
				t.Errorf("table %s, row %v, %s: %v, want %v", c.table, c.key, c.name, row[table.column(c.name)], c.want)
			}
		}
		if !found {
			t.Errorf("table %s has no row %v", c.table, c.key)
		}
	}
	full := read(t, dir, "full-weights")
	for _, row := range full.Rows {
		if row[0] == 4. && row[full.column("KL full")].(float64) > 1e-6 {
			t.Errorf("full weights with N = 4 stay at %v", row)
		}
	}
	ranges := read(t, dir, "temperature-ranges")
	for _, row := range ranges.Rows {
		if want := map[[2]float64]string{{0, 6}: "order", {1, 6}: "disorder"}[[2]float64{row[0].(float64), row[1].(float64)}]; want != "" && row[5] != want {
			t.Errorf("range %v flows to %v, want %s", row[:2], row[5], want)
		}
	}
	for _, row := range read(t, dir, "decimated-configurations").Rows {
		if math.Abs(row[3].(float64)) > 5 {
			t.Errorf("decimated configurations: %v", row)
		}
	}
}

// The experiments are on the page, with what is known of them: the exact root
// W(K), the exact coupling of decimation, and a flow to order where the uniform
// machine of a cold training set has one.
func TestExperimentsAreOnThePage(t *testing.T) {
	dir := written(t)
	weights := read(t, dir, "ring-weights")
	for _, row := range weights.Rows {
		if row[0] == 1. && math.Abs(row[weights.column("W(K)")].(float64)/0.306308329811523071085-1) > 1e-14 {
			t.Errorf("K = 1: %v", row)
		}
		if math.Abs(row[weights.column("standard errors")].(float64)) > 15 { // of three machines
			t.Errorf("tied weights: %v", row)
		}
	}
	uniform := read(t, dir, "iso-uniform")
	for _, row := range uniform.Rows {
		exact, w, e := row[uniform.column("W exactly")].(float64), row[uniform.column("W")].(float64), row[3].(float64)
		if math.Abs(w-exact) > 5*e {
			t.Errorf("uniform weight %v ± %v, want %v", w, e, exact)
		}
		if row[0] == "cold" && row[uniform.column("flow goes to")] != "order" {
			t.Errorf("%v", row)
		}
	}
	html, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil || !strings.Contains(string(html), "The flow of 6×6 Ising configurations") || !strings.Contains(string(html), "The flow of rings of 8") {
		t.Errorf("the page lacks an experiment, %v", err)
	}
}

func TestFilesOfThePage(t *testing.T) {
	dir := written(t)
	html, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 5; i++ {
		if !strings.Contains(string(html), "Figure "+string(rune('0'+i))) {
			t.Errorf("the page lacks figure %d", i)
		}
		for _, ext := range []string{"svg", "png"} {
			if files, _ := filepath.Glob(filepath.Join(dir, "figures", "figure-"+string(rune('0'+i))+"-*."+ext)); len(files) != 1 {
				t.Errorf("figure %d as %s: %v", i, ext, files)
			}
		}
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); len(rest) > 0 {
		t.Errorf("left behind: %v", rest)
	}
	// Writing again replaces what is there and leaves other files alone.
	other := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(other, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	r, _ := quick()
	if _, err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	again, _ := os.ReadFile(filepath.Join(dir, "index.html"))
	if string(again) != string(html) {
		t.Error("the same report gives different bytes")
	}
	if text, _ := os.ReadFile(other); string(text) != "mine" {
		t.Error("another file was changed")
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 4 {
		t.Errorf("entries of the folder: %v", entries)
	}
}

func TestCancelledBuild(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := Build(ctx, Options{Quick: true}); err != context.Canceled || r != nil {
		t.Errorf("cancelled: %v, %v", r, err)
	}
}
