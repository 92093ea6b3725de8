package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"kadanoff/bench"
	"kadanoff/cmd/internal/cli"
	"kadanoff/kernels/isa"
)

// run runs the command line and returns its exit code and what it wrote.
func run(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cli.Run(ctx, newRoot(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() != "help" && c.Name() != "completion" {
			if c.Example == "" || c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("%s: want a short description and an example of its own", c.CommandPath())
			}
			for _, sub := range c.Commands() {
				walk(sub)
			}
		}
	}
	walk(newRoot())
}

// The main job on one path: checks and speeds, a table that begins with the
// verdict, and a file with all records.
func TestMainJob(t *testing.T) {
	if testing.Short() {
		t.Skip("samples for seconds")
	}
	file, best := filepath.Join(t.TempDir(), "r.json"), isa.Best().String()
	code, stdout, stderr := run(context.Background(), "--quick", "--backend", "cpu", "--isa", best, "--json", file)
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "PASS: all ") {
		t.Fatalf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	r, err := bench.ReadReport(file)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, rec := range r.Records {
		kinds[rec.Kind]++
		if rec.Backend != "cpu" || rec.ISA != best {
			t.Errorf("record of %s/%s", rec.Backend, rec.ISA)
		}
	}
	if kinds[bench.KindCheck] < 50 || kinds[bench.KindBench] < 4 || r.Version == "" || r.Machine.CPU == "" {
		t.Errorf("records %v, version %q, machine %+v", kinds, r.Version, r.Machine)
	}
	code, stdout, _ = run(context.Background(), "compare", file, file)
	if code != 0 || !strings.Contains(stdout, "0 of ") || strings.Contains(stdout, "machines differ") {
		t.Errorf("compared with itself: exit %d, %q", code, stdout)
	}
	code, stdout, _ = run(context.Background(), "compare", file, file, "--format", "json")
	var c bench.Comparison
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != 0 || len(c.Changes) != kinds[bench.KindBench] {
		t.Errorf("compare as JSON: exit %d, %v, %d changes", code, err, len(c.Changes))
	}
}

func TestOneKernel(t *testing.T) {
	t.Setenv(isa.EnvVar, "") // every path
	args := []string{"gibbs", "--quick", "--case", "5x3x64", "--backend", "cpu", "--threads", "1"}
	code, stdout, stderr := run(context.Background(), append(args, "--format", "json")...)
	var r bench.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 || stderr != "" {
		t.Fatalf("exit %d, %v, stderr %q", code, err, stderr)
	}
	for _, rec := range r.Records {
		if rec.Name != "gibbs/5x3x64" || rec.Threads != 1 || rec.Value <= 0 || rec.Unit != "connections/s" {
			t.Errorf("record %+v", rec)
		}
	}
	if len(r.Records) != len(r.Machine.ISA) {
		t.Errorf("%d records for the instruction sets %v", len(r.Records), r.Machine.ISA)
	}
	code, stdout, _ = run(context.Background(), append(args, "--format", "csv")...)
	if lines := strings.Split(strings.TrimSpace(stdout), "\n"); code != 0 || !strings.HasPrefix(lines[0], "kind,name,backend,isa,threads,value,unit,min_s") || len(lines) != 1+len(r.Records) {
		t.Errorf("CSV: exit %d, %q", code, stdout)
	}
}

// safetensors returns a model file of float32 tensors.
func safetensors(visible, hidden int, w, b, c []float32) []byte {
	var body []byte
	offset := func(x []float32) [2]int {
		from := len(body)
		for _, v := range x {
			body = binary.LittleEndian.AppendUint32(body, math.Float32bits(v))
		}
		return [2]int{from, len(body)}
	}
	tensor := func(x []float32, shape ...int) map[string]any {
		return map[string]any{"dtype": "F32", "shape": shape, "data_offsets": offset(x)}
	}
	head, _ := json.Marshal(map[string]any{
		"__metadata__": map[string]string{"units": "spin", "format": "1"},
		"W":            tensor(w, visible, hidden), "b": tensor(b, visible), "c": tensor(c, hidden),
	})
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...), body...)
}

func TestModel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.safetensors")
	write := func(w float32) {
		data := safetensors(3, 2, []float32{w, -0.3, 0.5, 0.2, -0.7, 0.4}, []float32{0.1, 0, -0.1}, []float32{0.2, -0.2})
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(0.6)
	code, stdout, stderr := run(context.Background(), "gibbs", "--quick", "--model", file, "--chains", "64", "--backend", "ref", "--format", "json")
	var r bench.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 {
		t.Fatalf("exit %d, %v, stderr %q", code, err, stderr)
	}
	names := map[string]bool{}
	for _, rec := range r.Records {
		names[rec.Name] = true
	}
	for _, want := range []string{"gibbs/model/means", "gibbs/model/pair-correlations", "gibbs/model/chi-square", "gibbs/model-conditionals/weights", "gibbs/model-3x2x64"} {
		if !names[want] {
			t.Errorf("no record %s", want)
		}
	}
	for _, w := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e9} {
		write(w)
		wrong(t, 2, "m.safetensors", "gibbs", "--quick", "--model", file)
	}
}

// wrong wants an exit code, nothing on stdout and one line on stderr that
// holds a word.
func wrong(t *testing.T, want int, word string, args ...string) {
	t.Helper()
	code, stdout, stderr := run(context.Background(), args...)
	if code != want || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") || !strings.Contains(stderr, word) {
		t.Errorf("rbmbench %s: exit %d, stdout %q, stderr %q; want exit %d and one line on stderr with %q",
			strings.Join(args, " "), code, stdout, stderr, want, word)
	}
}

func TestWrongUse(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	network := filepath.Join(dir, "none.safetensors")
	missing := "neon"
	if isa.Has(isa.NEON) {
		missing = "avx512"
	}
	for _, c := range []struct {
		code int
		word string
		args []string
	}{
		{2, "nosuch", []string{"nosuch"}},
		{2, "--nosuch", []string{"--nosuch"}},
		{2, "--nosuch", []string{"check", "--nosuch"}},
		{2, "extra", []string{"check", "extra"}},
		{2, "--backend", []string{"check", "--backend", "fpga"}},
		{2, "--isa", []string{"check", "--isa", "sse9"}},
		{3, "--isa", []string{"check", "--isa", missing}},
		{3, "cuda", []string{"check", "--backend", "cuda"}},
		{3, "cuda", []string{"check", "--backend", "cuda:3"}},
		{2, "--backend ref", []string{"check", "--backend", "ref", "--isa", "generic"}},
		{2, "--threads", []string{"check", "--threads", "-1"}},
		{2, "--threads", []string{"check", "--threads", "100000"}},
		{2, "--seed", []string{"check", "--seed", "x"}},
		{2, "--format", []string{"check", "--format", "xml"}},
		{2, "784x500x1000", []string{"gibbs", "--case", "7x"}},
		{2, "--case", []string{"gibbs", "--case", "5x3x64", "--model", text}},
		{2, "--chains 0", []string{"gibbs", "--model", text, "--chains", "0"}},
		{2, "text", []string{"gibbs", "--model", text}},
		{2, "none.safetensors", []string{"gibbs", "--model", network}},
		{2, "--json", []string{"check", "--json", filepath.Join(dir, "no", "such", "r.json")}},
		{2, "two", []string{"compare", text}},
		{2, "text", []string{"compare", text, text}},
	} {
		wrong(t, c.code, c.word, c.args...)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	file := filepath.Join(t.TempDir(), "r.json")
	if code, stdout, _ := run(ctx, "--quick", "--json", file); code == 0 || stdout != "" {
		t.Errorf("an interrupted run: exit %d, stdout %q", code, stdout)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("an interrupted run leaves a file")
	}
}

func TestDevices(t *testing.T) {
	code, stdout, _ := run(context.Background(), "devices")
	for _, want := range []string{"ref", "generic", "avx512", "neon", "cuda", "ready"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, no %q in %q", code, want, stdout)
		}
	}
}

// A report with a failing check is told as such: the verdict comes first and
// names it.
func TestFailureIsFirst(t *testing.T) {
	r := &bench.Report{Records: []bench.Record{
		{Kind: bench.KindCheck, Name: "gibbs/a/means", Backend: "ref", ISA: "scalar", Threads: 1, Pass: true, Limit: 1},
		{Kind: bench.KindCheck, Name: "gibbs/a/sums", Backend: "ref", ISA: "scalar", Threads: 1, Measured: 7},
		{Kind: bench.KindBench, Name: "gibbs/5x3x64", Backend: "cpu", ISA: "avx2", Threads: 1, Value: 2e9, Unit: "connections/s", MinS: 1e-6, MedianS: 2e-6, Goal: 4e9},
	}}
	var b strings.Builder
	table(&b, r, []*bench.Target{{Name: "ref"}}, "")
	lines := strings.Split(b.String(), "\n")
	if lines[0] != "FAIL: 1 of 2 checks against exact values failed" || !strings.HasPrefix(lines[2], "gibbs/a/sums  ref") {
		t.Errorf("table begins\n%s", b.String())
	}
	for _, want := range []string{"1/2", "2 G", "1 µs", "50 %"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestQuantity(t *testing.T) {
	for x, want := range map[float64]string{
		1.234e11: "123 G", 999.9e9: "1 T", 1: "1 ", 0.0039: "3.9 m", 2.5e-6: "2.5 µ", 1e-15: "0.001 p", 12.3e21: "1.23e+04 E", 0: "0", 1000: "1 k",
	} {
		if got := quantity(x); got != want {
			t.Errorf("quantity(%g) is %q, want %q", x, got, want)
		}
	}
}
