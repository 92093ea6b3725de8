// Package peers runs programs of other libraries, so that they can be timed
// beside ours.
//
// Each peer is a Python script of the folder scripts that worker.py serves over lines
// of JSON: prepare a problem, run it a number of times, give its result. The
// scripts are part of the binary. A worker that dies, hangs or writes something
// else gives an error; it never takes its caller with it.
package peers

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed scripts/*.py scripts/multispin.cpp
var scripts embed.FS

// Peer is a program that can be asked for.
type Peer struct {
	Name   string // as --peer takes it
	Script string // its module, without .py
	About  string // what it is, in a few words
}

// All returns the peers in the order in which they take their turns.
func All() []Peer {
	return []Peer{
		{"numpy", "peer_numpy", "numpy, float32 in place"},
		{"torch", "peer_torch", "PyTorch, float32"},
		{"torch-bf16", "peer_torch_bf16", "PyTorch, products in bfloat16"},
		{"jax", "peer_jax", "JAX, compiled"},
		{"scikit-learn", "peer_sklearn", "BernoulliRBM of scikit-learn"},
		{"rbms", "peer_rbms", "rbms, on torch"},
		{"thrml", "peer_thrml", "thrml, on JAX"},
		{"scipy", "peer_scipy", "root finder of scipy"},
		{"dwave-samplers", "peer_dwave", "simulated annealing of D-Wave, at one temperature"},
		{"ising", "peer_ising", "brute force of dexter2206/ising"},
		{"c++", "peer_multispin", "64 spins to a word in C++, by g++"},
	}
}

// Unpack writes the scripts to a folder.
func Unpack(dir string) error {
	entries, err := scripts.ReadDir("scripts")
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, err := scripts.ReadFile("scripts/" + e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// Problem is what a worker prepares.
type Problem struct {
	Numbers map[string]float64 `json:"-"`
	Files   map[string]string  `json:"files"`  // .npy files by name
	Folder  string             `json:"folder"` // where the arrays of its result go
}

// MarshalJSON writes whole numbers without a point, as Python wants counts.
func (p Problem) MarshalJSON() ([]byte, error) {
	type plain Problem
	numbers := map[string]json.Number{}
	for name, x := range p.Numbers {
		numbers[name] = json.Number(strconv.FormatFloat(x, 'g', -1, 64))
		if x == float64(int64(x)) {
			numbers[name] = json.Number(strconv.FormatInt(int64(x), 10))
		}
	}
	return json.Marshal(struct {
		Numbers map[string]json.Number `json:"numbers"`
		plain
	}{numbers, plain(p)})
}

// Result is what a worker computed.
type Result struct {
	Values map[string]float64 `json:"values"`
	Arrays map[string]string  `json:"arrays"` // .npy files by name
}

// Missing says that a peer is not installed.
type Missing struct{ Reason string }

func (e *Missing) Error() string { return "not installed: " + e.Reason }

// Skipped says that a peer does not do a problem.
type Skipped struct{ Reason string }

func (e *Skipped) Error() string { return e.Reason }

// Broken says that a worker died, hung or wrote what it should not. It cannot
// be used any more.
type Broken struct{ Reason string }

func (e *Broken) Error() string { return e.Reason }

// Worker is a running peer.
type Worker struct {
	Version string   // of the library
	Tasks   []string // that it has
	PID     int

	cmd    *exec.Cmd
	in     *json.Encoder
	close  func() error
	lines  chan string
	errors tail
	id     int
	broken error
}

// Command says how a worker is started.
type Command struct {
	Args []string // program and arguments
	Dir  string   // where it runs; empty for here
	Env  []string // added to the environment
}

// Python returns the command of a peer whose scripts were unpacked in dir. It
// uses that many threads.
func Python(interpreter, dir string, p Peer, threads int) Command {
	n := strconv.Itoa(threads)
	c := Command{Args: []string{interpreter, filepath.Join(dir, "worker.py"), p.Script, n}}
	for _, name := range []string{"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"} {
		c.Env = append(c.Env, name+"="+n)
	}
	// what the environment says about kernels is not what users have
	return Command{c.Args, "", append(c.Env, "OPENBLAS_CORETYPE=", "PYTHONDONTWRITEBYTECODE=1", "JAX_PLATFORMS=cpu")}
}

// most bounds what is read of a line.
const most = 1 << 20

// Start starts a worker and waits until it has said what it is, limit at most.
// A library that is not there is a *Missing error.
func Start(ctx context.Context, c Command, limit time.Duration) (*Worker, error) {
	w := &Worker{lines: make(chan string, 1)}
	w.cmd = exec.Command(c.Args[0], c.Args[1:]...)
	w.cmd.Dir, w.cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	w.cmd.Stderr = &w.errors
	w.cmd.WaitDelay = time.Second // children may hold its streams
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, &Broken{"cannot be started: " + err.Error()}
	}
	w.in, w.close, w.PID = json.NewEncoder(stdin), stdin.Close, w.cmd.Process.Pid
	go func() {
		defer close(w.lines)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, most)
		for scanner.Scan() {
			w.lines <- scanner.Text()
		}
	}()
	line, err := w.line(ctx, limit, "start")
	if err != nil {
		return nil, err
	}
	var hello struct {
		Version, Error string
		Tasks          []string
	}
	if err := json.Unmarshal([]byte(line), &hello); err != nil {
		return nil, w.fail("wrote %s where it should say what it is", quoted(line))
	}
	if hello.Error != "" {
		w.Close()
		return nil, &Missing{clean(hello.Error)}
	}
	w.Version, w.Tasks = clean(hello.Version), hello.Tasks
	return w, nil
}

// line waits for the next line.
func (w *Worker) line(ctx context.Context, limit time.Duration, doing string) (string, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case line, ok := <-w.lines:
		if !ok {
			w.Close() // after which all that it wrote is here
			w.broken = &Broken{"ended in " + doing + w.errors.because()}
			return "", w.broken
		}
		return line, nil
	case <-timer.C:
		return "", w.fail("no answer to %s for %v", doing, limit)
	case <-ctx.Done():
		w.fail("interrupted")
		return "", ctx.Err()
	}
}

// fail ends a worker for good.
func (w *Worker) fail(format string, args ...any) error {
	w.broken = &Broken{fmt.Sprintf(format, args...)}
	_ = w.cmd.Process.Kill()
	w.end()
	return w.broken
}

// end waits for the process and for what it still writes.
func (w *Worker) end() {
	_ = w.close()
	go func() {
		for range w.lines { // lets the reader go
		}
	}()
	_ = w.cmd.Wait()
}

type request struct {
	ID      int      `json:"id"`
	Do      string   `json:"do"`
	Task    string   `json:"task,omitempty"`
	Times   int      `json:"times,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

type answer struct {
	ID      *int
	Skip    string
	Error   string
	Seconds *float64
	Result
}

func (w *Worker) ask(ctx context.Context, r request, limit time.Duration) (*answer, error) {
	if w.broken != nil {
		return nil, w.broken
	}
	w.id++
	r.ID = w.id
	if err := w.in.Encode(r); err != nil {
		// it has ended: what it said last tells more than the pipe
		_, err := w.line(ctx, time.Second, r.Do)
		if err == nil {
			err = w.fail("takes no requests")
		}
		return nil, err
	}
	line, err := w.line(ctx, limit, r.Do)
	if err != nil {
		return nil, err
	}
	var a answer
	if err := json.Unmarshal([]byte(line), &a); err != nil || a.ID == nil || *a.ID != r.ID {
		return nil, w.fail("answered %s with %s", r.Do, quoted(line))
	}
	if a.Skip != "" {
		return nil, &Skipped{clean(a.Skip)}
	}
	if a.Error != "" {
		return nil, errors.New(clean(a.Error))
	}
	return &a, nil
}

// Prepare sets a problem of a task up; a *Skipped error says that the peer does
// not do it.
func (w *Worker) Prepare(ctx context.Context, task string, p Problem, limit time.Duration) error {
	_, err := w.ask(ctx, request{Do: "prepare", Task: task, Problem: &p}, limit)
	return err
}

// Run does the problem's work n times and returns the seconds that took.
func (w *Worker) Run(ctx context.Context, n int, limit time.Duration) (float64, error) {
	a, err := w.ask(ctx, request{Do: "run", Times: n}, limit)
	if err != nil {
		return 0, err
	}
	if a.Seconds == nil || !(*a.Seconds >= 0) {
		return 0, w.fail("ran without saying how long")
	}
	return *a.Seconds, nil
}

// Result computes the problem's result.
func (w *Worker) Result(ctx context.Context, limit time.Duration) (*Result, error) {
	a, err := w.ask(ctx, request{Do: "result"}, limit)
	if err != nil {
		return nil, err
	}
	return &a.Result, nil
}

// Close ends the worker.
func (w *Worker) Close() {
	if w.broken != nil {
		return
	}
	w.broken = &Broken{"closed"}
	_ = w.close()
	// At the end of its input it ends by itself, or after a moment by force.
	timer := time.AfterFunc(time.Second, func() { _ = w.cmd.Process.Kill() })
	defer timer.Stop()
	w.end()
}

// quoted shows the beginning of a line.
func quoted(line string) string {
	if r := []rune(line); len(r) > 60 {
		line = string(r[:60]) + "…"
	}
	return strconv.Quote(line)
}

// clean makes one short line of what a library says.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// tail keeps the end of what was written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 4096; over > 0 {
		t.text = append([]byte(nil), t.text[over:]...)
	}
	return len(p), nil
}

// because returns the last line that was written, for the end of a sentence.
func (t *tail) because() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	if last := clean(lines[len(lines)-1]); last != "" {
		return ": " + last
	}
	return ""
}
