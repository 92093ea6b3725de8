package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeEnv makes the test binary a worker that behaves as its value says.
const fakeEnv = "KADANOFF_FAKE_WORKER"

func TestMain(m *testing.M) {
	if how := os.Getenv(fakeEnv); how != "" {
		fake(how)
		return
	}
	os.Exit(m.Run())
}

// fake answers as a worker should, except for what its name says.
func fake(how string) {
	hello := `{"version": "fake 1", "tasks": ["gibbs"]}`
	switch how {
	case "missing":
		hello = `{"error": "ImportError: No module named 'fake'"}`
	case "rubbish at start":
		hello = "Welcome to fake!"
	case "dies at start":
		fmt.Fprintln(os.Stderr, "Traceback:\nIllegal instruction\x1b[0m")
		os.Exit(132)
	case "hangs at start":
		time.Sleep(time.Hour)
	}
	fmt.Println(hello)
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		var r struct {
			ID    int
			Do    string
			Times int
		}
		if json.Unmarshal(scanner.Bytes(), &r) != nil {
			os.Exit(2)
		}
		answer := fmt.Sprintf(`{"id": %d}`, r.ID)
		switch r.Do {
		case "prepare":
			if how == "skips" {
				answer = fmt.Sprintf(`{"id": %d, "skip": "too large"}`, r.ID)
			}
		case "run":
			switch how {
			case "dies":
				fmt.Fprintln(os.Stderr, "out of memory")
				os.Exit(1)
			case "hangs":
				time.Sleep(time.Hour)
			case "rubbish":
				fmt.Println("0.5 seconds")
				continue
			case "another id":
				answer = `{"id": 77, "seconds": 1}`
			case "no seconds":
			case "negative":
				answer = fmt.Sprintf(`{"id": %d, "seconds": -1}`, r.ID)
			case "error":
				answer = fmt.Sprintf(`{"id": %d, "error": "ValueError: shapes\ndo not fit"}`, r.ID)
			case "endless line":
				for {
					if _, err := fmt.Print(strings.Repeat("x", 1<<16)); err != nil {
						return
					}
				}
			default:
				answer = fmt.Sprintf(`{"id": %d, "seconds": %g}`, r.ID, 0.25*float64(r.Times))
			}
		case "result":
			answer = fmt.Sprintf(`{"id": %d, "values": {"x": 1.5}, "arrays": {"y": "y.npy"}}`, r.ID)
		}
		fmt.Println(answer)
	}
}

func command(how string) Command {
	return Command{Args: []string{os.Args[0]}, Env: []string{fakeEnv + "=" + how}}
}

const limit = 20 * time.Second

func start(t *testing.T, how string) *Worker {
	t.Helper()
	w, err := Start(context.Background(), command(how), limit)
	if err != nil {
		t.Fatalf("%s: %v", how, err)
	}
	t.Cleanup(w.Close)
	return w
}

func TestGoodWorker(t *testing.T) {
	ctx, w := context.Background(), start(t, "good")
	if w.Version != "fake 1" || len(w.Tasks) != 1 || w.Tasks[0] != "gibbs" || w.PID == 0 {
		t.Errorf("worker %+v", w)
	}
	if err := w.Prepare(ctx, "gibbs", Problem{Numbers: map[string]float64{"n": 3}}, limit); err != nil {
		t.Fatal(err)
	}
	if s, err := w.Run(ctx, 4, limit); err != nil || s != 1 {
		t.Errorf("ran %v s, %v; want 1", s, err)
	}
	r, err := w.Result(ctx, limit)
	if err != nil || r.Values["x"] != 1.5 || r.Arrays["y"] != "y.npy" {
		t.Errorf("result %+v, %v", r, err)
	}
	w.Close()
	if _, err := w.Run(ctx, 1, limit); err == nil {
		t.Error("a closed worker runs")
	}
}

func TestStartFails(t *testing.T) {
	var missing *Missing
	if _, err := Start(context.Background(), command("missing"), limit); !errors.As(err, &missing) || !strings.Contains(err.Error(), "No module named 'fake'") {
		t.Errorf("a library that is not there: %v", err)
	}
	for how, want := range map[string]string{
		"rubbish at start": `"Welcome to fake!"`,
		"dies at start":    "Illegal instruction",
		"hangs at start":   "no answer",
	} {
		long := limit
		if how == "hangs at start" {
			long = 300 * time.Millisecond
		}
		_, err := Start(context.Background(), command(how), long)
		var broken *Broken
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: %v, want one line with %q", how, err, want)
		}
	}
	if _, err := Start(context.Background(), Command{Args: []string{"no-such-program"}}, limit); err == nil {
		t.Error("a program that is not there starts")
	}
}

func TestRunFails(t *testing.T) {
	for how, want := range map[string]string{
		"dies": "ended in run: out of memory", "hangs": "no answer to run", "rubbish": `answered run with "0.5 seconds"`,
		"another id": "answered run with", "no seconds": "without saying", "negative": "without saying", "endless line": "ended in run",
	} {
		w, long := start(t, how), limit
		if how == "hangs" {
			long = 300 * time.Millisecond
		}
		if err := w.Prepare(context.Background(), "gibbs", Problem{}, limit); err != nil {
			t.Fatal(err)
		}
		var broken *Broken
		if _, err := w.Run(context.Background(), 1, long); !errors.As(err, &broken) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", how, err, want)
		}
		// It says so again, at once.
		if _, err := w.Result(context.Background(), limit); !errors.As(err, &broken) {
			t.Errorf("%s: afterwards %v", how, err)
		}
	}
}

// An error of one problem leaves the worker as it is.
func TestWorkerGoesOn(t *testing.T) {
	w := start(t, "skips")
	var skipped *Skipped
	if err := w.Prepare(context.Background(), "gibbs", Problem{}, limit); !errors.As(err, &skipped) || err.Error() != "too large" {
		t.Errorf("skipped: %v", err)
	}
	if _, err := w.Run(context.Background(), 1, limit); err != nil {
		t.Errorf("after it: %v", err)
	}
	w = start(t, "error")
	if _, err := w.Run(context.Background(), 1, limit); err == nil || err.Error() != "ValueError: shapes do not fit" {
		t.Errorf("an error in the library: %v", err)
	}
	if _, err := w.Result(context.Background(), limit); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	w := start(t, "hangs")
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := w.Run(ctx, 1, limit); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// Counts reach Python as integers.
func TestProblem(t *testing.T) {
	text, err := json.Marshal(Problem{Numbers: map[string]float64{"a": 3, "b": 0.25, "c": 1e300}, Files: map[string]string{"w": "w.npy"}, Folder: "f"})
	if want := `{"numbers":{"a":3,"b":0.25,"c":1e+300},"files":{"w":"w.npy"},"folder":"f"}`; err != nil || string(text) != want {
		t.Errorf("problem %s, %v; want %s", text, err, want)
	}
}

// Every script says what it is, or that its library is not here; all of them
// and what they need are part of the binary.
func TestScripts(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	dir := t.TempDir()
	if err := Unpack(dir); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, p := range All() {
		if names[p.Name] || p.About == "" {
			t.Errorf("%s: twice, or nothing about it", p.Name)
		}
		names[p.Name] = true
		if _, err := os.Stat(filepath.Join(dir, p.Script+".py")); err != nil {
			t.Error(err)
			continue
		}
		if testing.Short() && p.Name != "numpy" {
			continue
		}
		w, err := Start(context.Background(), Python(python, dir, p, 1), time.Minute)
		var missing *Missing
		switch {
		case errors.As(err, &missing):
			t.Log(p.Name, err)
		case err != nil:
			t.Errorf("%s: %v", p.Name, err)
		case len(w.Tasks) == 0 || w.Version == "":
			t.Errorf("%s: version %q, tasks %v", p.Name, w.Version, w.Tasks)
		}
		if w != nil {
			w.Close()
		}
	}
}
