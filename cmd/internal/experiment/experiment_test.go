package experiment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/cpu"
	"kadanoff/cmd/internal/document"
)

// options are those of an experiment in a folder.
func options(dir string, threads int, log func(string)) Options {
	return Options{
		Dir: dir, Threads: threads,
		Open: func(threads int) (backend.Backend, error) { return cpu.New(backend.Options{Threads: threads}) },
		Log: func(format string, args ...any) {
			if log != nil {
				log(fmt.Sprintf(format, args...))
			}
		},
	}
}

// small is an experiment of a second.
func small() Iso {
	s := NewIso(4, true)
	s.Temperatures, s.Samples, s.Sweeps, s.Fresh, s.Epochs, s.FlowSteps = 5, 40, 50, 20, 4, 5
	s.Hidden, s.Thermometer, s.ThermometerEpochs = list{3, 16}, list{8}, 12
	return s
}

func smallRing() Ring {
	s := NewRing(true)
	s.Samples, s.Fresh, s.Epochs, s.Machines, s.FlowSteps = 500, 60, 60, 2, 3
	return s
}

// experiment is one of the two.
type experiment struct {
	name string
	run  func(ctx context.Context, o Options) (*document.Document, error)
}

func experiments() []experiment {
	return []experiment{
		{"iso", func(ctx context.Context, o Options) (*document.Document, error) {
			d, _, err := RunIso(ctx, small(), o)
			return d, err
		}},
		{"ring", func(ctx context.Context, o Options) (*document.Document, error) {
			d, _, err := RunRing(ctx, smallRing(), o)
			return d, err
		}},
	}
}

// tables writes a document and returns its tables by name.
func tables(t *testing.T, d *document.Document) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if _, err := d.Write(dir); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "tables", "*.json"))
	if err != nil || len(files) < 4 {
		t.Fatalf("tables %v, %v", files, err)
	}
	out := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = string(text)
	}
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil || strings.Contains(string(page), "NaN") {
		t.Errorf("the page says NaN, %v", err)
	}
	return out
}

// An experiment that is interrupted again and again, after the first or one of
// the next messages that it gives, on another number of threads, does no finished step again and ends with the same
// tables.
func TestResume(t *testing.T) {
	for _, x := range experiments() {
		t.Run(x.name, func(t *testing.T) {
			if testing.Short() && x.name == "iso" {
				t.Skip("takes seconds")
			}
			d, err := x.run(context.Background(), options(t.TempDir(), 1, nil))
			if err != nil {
				t.Fatal(err)
			}
			want := tables(t, d)

			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
			dir := t.TempDir()
			done := map[string]bool{} // steps whose record was seen
			for attempt := 0; ; attempt++ {
				if attempt > 200 {
					t.Fatal("no end")
				}
				ctx, cancel := context.WithCancel(context.Background())
				var fresh atomic.Int32
				d, err := x.run(ctx, options(dir, 3, func(line string) {
					name, skipped := strings.CutSuffix(line, ": finished before")
					if skipped != done[name] && (skipped || done[name]) {
						t.Errorf("attempt %d: %q, finished before: %v", attempt, line, done[name])
					}
					if !skipped && !strings.Contains(line, "resuming") && int(fresh.Add(1)) == 1+attempt%4 {
						cancel()
					}
				}))
				cancel()
				records, _ := filepath.Glob(filepath.Join(dir, "steps", "*.json"))
				for _, r := range records {
					done[strings.TrimSuffix(filepath.Base(r), ".json")] = true
				}
				if errors.Is(err, context.Canceled) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if attempt < 3 {
					t.Errorf("%d interruptions only", attempt)
				}
				got := tables(t, d)
				if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
					t.Fatalf("tables %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
				}
				for name := range want {
					if got[name] != want[name] {
						t.Errorf("%s differs", name)
					}
				}
				return
			}
		})
	}
}

func TestOtherSettings(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	run := func(s Iso) error {
		_, _, err := RunIso(ctx, s, options(dir, 1, nil))
		return err
	}
	if err := run(small()); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want the context's error", err)
	}
	for want, change := range map[string]func(s *Iso){
		"--samples is 41, was 40":       func(s *Iso) { s.Samples = 41 },
		"--hidden is 3,17, was 3,16":    func(s *Iso) { s.Hidden = list{3, 17} },
		"--seed is 2, was 1":            func(s *Iso) { s.Seed = 2 },
		"--lattice is 6, was 4":         func(s *Iso) { s.Lattice = 6 },
		"--thermometer-epochs is 13":    func(s *Iso) { s.ThermometerEpochs = 13 },
		"--rate is 0.25, was 0.05":      func(s *Iso) { s.Rate = 0.25 },
		"--flow-steps is 6, was 5: wan": func(s *Iso) { s.FlowSteps = 6 },
	} {
		s := small()
		change(&s)
		if err := run(s); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--out "+dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want one line that says %q", err, want)
		}
	}
	if _, _, err := RunRing(ctx, smallRing(), options(dir, 1, nil)); err == nil || !strings.Contains(err.Error(), "holds experiment iso") {
		t.Errorf("another experiment: %v", err)
	}
	for _, text := range []string{"", "{}", "[1", `{"experiment":"iso","format":1,"settings":[]}`, `{"experiment":"iso","format":9,"settings":{}}`} {
		if err := os.WriteFile(filepath.Join(dir, "experiment.json"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := run(small()); err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), dir) {
			t.Errorf("experiment.json with %q: %v", text, err)
		}
	}
}

// A step whose files are not as it has left them is done again.
func TestBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	type setting struct {
		A int `json:"a"`
	}
	var lines []string
	s, err := openStore(dir, "x", &setting{1}, func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) })
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	do := func() error {
		times++
		return write(s.path("sub/file"), []byte("content"))
	}
	step := func(want int) {
		t.Helper()
		if err := s.step("one", []string{"sub/file"}, do); err != nil || times != want {
			t.Errorf("done %d times, want %d, %v", times, want, err)
		}
	}
	step(1)
	step(1)
	if len(lines) != 1 || lines[0] != "one: finished before" {
		t.Errorf("said %q", lines)
	}
	for i, breaking := range []func() error{
		func() error { return os.WriteFile(s.path("sub/file"), []byte("other"), 0o666) },
		func() error { return os.Remove(s.path("sub/file")) },
		func() error { return os.Truncate(s.path("steps/one.json"), 20) },
		func() error { return os.Remove(s.path("steps/one.json")) },
	} {
		if err := breaking(); err != nil {
			t.Fatal(err)
		}
		step(2 + i)
		step(2 + i)
	}
	// A step that fails leaves no record.
	failed := errors.New("no")
	if err := s.step("two", []string{"sub/file"}, func() error { return failed }); err != failed {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(s.path("steps/two.json")); err == nil {
		t.Error("a failed step has a record")
	}
}

func TestEachStopsAtAnError(t *testing.T) {
	o := options("", 2, nil)
	var calls atomic.Int32
	failed := errors.New("no")
	err := o.each(context.Background(), 1000, func(ctx context.Context, _ backend.Backend, i int) error {
		if calls.Add(1); i == 3 {
			return failed
		} else if i > 3 {
			<-ctx.Done() // however late the worker with the error is scheduled
		}
		return nil
	})
	// 0 … 3, the other worker's, and one that was handed over at the same instant
	if err != failed || calls.Load() > 6 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
	sum := make([]int, 50)
	if err := o.each(context.Background(), len(sum), func(_ context.Context, _ backend.Backend, i int) error { sum[i]++; return nil }); err != nil {
		t.Fatal(err)
	}
	for i, n := range sum {
		if n != 1 {
			t.Errorf("%d was done %d times", i, n)
		}
	}
	if err := o.each(context.Background(), 0, nil); err != nil {
		t.Error(err)
	}
}

func TestParseList(t *testing.T) {
	if got, err := ParseList("hidden", "16, 4,100"); err != nil || !slices.Equal(got, []int{16, 4, 100}) || list(got).String() != "16,4,100" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "1,", "0", "-1", "1.5", "3,3", "a"} {
		if _, err := ParseList("hidden", bad); err == nil || !strings.Contains(err.Error(), "--hidden") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
