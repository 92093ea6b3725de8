//go:build gpu && cgo

package cuda

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"kadanoff/backend"
	"kadanoff/bench"
	"kadanoff/model/atomicfile"
)

// The check of a machine with a GPU: with -records this program runs itself
// once for each stage, so that one that crashes or hangs does not take the
// others with it. What a stage finds comes through a pipe and is in the file a
// moment later, whatever happens next.
var (
	recordsFile = flag.String("records", "", "check this machine's GPU in stages, and write what they find to this file, as JSON")
	onlyStages  = flag.String("stages", "", "the stages of -records to run, by name, separated by commas; all if empty")
	stageName   = flag.String("stage", "", "the stage that this process is, for -records")
)

// stage is a part of the check, in a process of its own.
type stage struct {
	name   string
	budget time.Duration
	flags  []string // of this program
}

// wholeBudget is what the stages may take in all, in less than ten minutes.
const wholeBudget = 9 * time.Minute

// stages come in the order of what is most worth knowing.
var stages = []stage{
	{"start", 40 * time.Second, []string{"-test.run=^TestStart$"}},
	{"conformance", 100 * time.Second, []string{"-test.run=^TestConformance"}},
	{"checks", 100 * time.Second, []string{"-test.run=^TestExactChecks$"}},
	{"benchmarks", 170 * time.Second, []string{"-test.run=^$", "-test.bench=.", "-test.benchtime=1x"}},
	{"tests", 100 * time.Second, []string{"-test.skip=^(TestStart|TestConformance.*|TestExactChecks|TestGPUCheck.*)$"}},
}

// finding is what a stage sends.
type finding struct {
	Device *backend.Info `json:"device,omitempty"`
	Peaks  *rates        `json:"peaks,omitempty"`
	Record *bench.Record `json:"record,omitempty"`
}

// send tells the process that runs the stages; it does nothing without one.
func send(f finding) error {
	if *stageName == "" {
		return nil
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = findings.Write(append(text, '\n'))
	return err
}

// findings is the third file that a stage has open from the start.
var findings = os.NewFile(3, "findings")

// outcome is what became of a stage.
type outcome struct {
	Name    string        `json:"name"`
	BudgetS float64       `json:"budget_s"`
	Seconds float64       `json:"seconds"`
	Outcome string        `json:"outcome"` // running, passed, failed, no device, out of time, or how it ended
	Tests   []testOutcome `json:"tests,omitempty"`
	Output  []string      `json:"output,omitempty"` // the last lines of one that did not pass
}

type testOutcome struct {
	Name    string  `json:"name"`
	Outcome string  `json:"outcome"` // pass, fail or skip
	Seconds float64 `json:"seconds"`
}

// gpuReport is the file of -records: a report as rbmbench writes it, and more.
type gpuReport struct {
	bench.Report
	Device backend.Info `json:"device"`
	Peaks  rates        `json:"peaks"`
	Stages []outcome    `json:"stages"`
}

// gpuCheck runs stages.
type gpuCheck struct {
	path   string
	out    io.Writer
	report gpuReport
	env    []string
	dirty  bool // the report is not yet in the file as it is
}

const outputLines = 40

// checkGPU runs the stages and returns the exit code of the check: 0 if all is
// well, 1 if a test, a check or a stage failed, 3 without a device and 4 if the
// results cannot be written.
func checkGPU(path, only string, out io.Writer) int {
	todo := stages
	if only != "" {
		todo = nil
		for _, name := range strings.Split(only, ",") {
			found := false
			for _, s := range stages {
				if s.name == name {
					todo, found = append(todo, s), true
				}
			}
			if !found {
				fmt.Fprintf(out, "-stages %s: no such stage\n", name)
				return 2
			}
		}
	}
	c := &gpuCheck{path: path, out: out, report: gpuReport{Report: bench.Report{Machine: bench.ThisMachine(), Quick: true, Records: []bench.Record{}}}}
	// What the driver makes of the kernels is kept between the stages, so that
	// start alone sees how long that takes.
	if cache, err := os.MkdirTemp("", "gpu-check"); err == nil && os.Getenv("CUDA_CACHE_PATH") == "" {
		defer os.RemoveAll(cache)
		c.env = append(c.env, "CUDA_CACHE_PATH="+cache)
	}
	return c.run(todo, wholeBudget)
}

func (c *gpuCheck) run(todo []stage, budget time.Duration) int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	code := 0
	for _, s := range todo {
		result, err := c.stage(ctx, s)
		if err != nil {
			fmt.Fprintln(c.out, err)
			return 4
		}
		fmt.Fprintf(c.out, "=== stage %s: %s after %.1f s of %.0f\n", s.name, result.Outcome, result.Seconds, result.BudgetS)
		if result.Outcome == noDevice {
			return 3
		}
		if result.Outcome != passed {
			code = 1
		}
	}
	if failed := c.report.Failed(); len(failed) > 0 {
		fmt.Fprintf(c.out, "%d exact checks failed, the first: %s\n", len(failed), failed[0].Name)
		code = 1
	}
	var table strings.Builder
	c.report.table(&table)
	file := strings.TrimSuffix(c.path, filepath.Ext(c.path)) + ".md"
	if err := os.WriteFile(file, []byte(table.String()), 0o644); err != nil {
		fmt.Fprintln(c.out, err)
		return 4
	}
	fmt.Fprintf(c.out, "\n%s\nIn %s and %s.\n", table.String(), c.path, file)
	return code
}

// The ends that a stage may come to, and more: its code or signal.
const (
	passed   = "passed"
	noDevice = "no device"
)

var testLine = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+) \(([0-9.]+)s\)`)

// stage runs one; its error is that the file cannot be written.
func (c *gpuCheck) stage(ctx context.Context, s stage) (*outcome, error) {
	// The program stops itself a little earlier, and says where it hung.
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	c.report.Stages = append(c.report.Stages, outcome{Name: s.name, BudgetS: s.budget.Seconds(), Outcome: "running"})
	at := &c.report.Stages[len(c.report.Stages)-1]
	start := time.Now()
	if err := c.write(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	fromStage, toParent, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	text, toText, err := os.Pipe()
	if err != nil {
		return nil, cmp.Or(err, fromStage.Close(), toParent.Close())
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"-stage=" + s.name, "-test.v", fmt.Sprintf("-test.timeout=%v", s.budget*9/10)}, s.flags...)...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = toText, toText, []*os.File{toParent}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // when this thread ends, and so this process
	err = cmd.Start()
	if cerr := cmp.Or(toText.Close(), toParent.Close()); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, cmp.Or(err, fromStage.Close(), text.Close())
	}
	found, said := make(chan string), make(chan string)
	go lines(fromStage, found)
	go lines(text, said)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var last []string
	for found != nil || said != nil {
		select {
		case line, ok := <-found:
			if !ok {
				found = nil
				continue
			}
			if err := c.take(line); err != nil {
				fmt.Fprintln(c.out, err)
			}
		case line, ok := <-said:
			if !ok {
				said = nil
				continue
			}
			fmt.Fprintln(c.out, line)
			last = append(last[max(0, len(last)-outputLines+1):], line)
			if m := testLine.FindStringSubmatch(line); m != nil {
				var seconds float64
				fmt.Sscan(m[3], &seconds)
				at.Tests, c.dirty = append(at.Tests, testOutcome{Name: m[2], Outcome: strings.ToLower(m[1]), Seconds: seconds}), true
			}
		case <-tick.C:
			if !c.dirty {
				continue
			}
			if err := c.write(); err != nil {
				return nil, cmp.Or(err, cmd.Process.Kill(), cmd.Wait())
			}
		}
	}
	err = cmd.Wait()
	at.Seconds = time.Since(start).Seconds()
	var exit *exec.ExitError
	switch {
	case err == nil:
		at.Outcome = passed
	case ctx.Err() != nil:
		at.Outcome = "out of time"
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		at.Outcome = "failed"
	case errors.As(err, &exit) && exit.ExitCode() == 3:
		at.Outcome = noDevice
	default:
		at.Outcome = err.Error() // exit status 2, a panic; or a signal
	}
	if at.Outcome != passed {
		at.Output = last
	}
	return at, c.write()
}

// lines sends what r says line by line, and closes to at its end.
func lines(r *os.File, to chan<- string) {
	defer close(to)
	defer r.Close()
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		to <- scan.Text()
	}
}

// take adds what a stage found to the report.
func (c *gpuCheck) take(line string) error {
	var f finding
	if err := json.Unmarshal([]byte(line), &f); err != nil {
		return fmt.Errorf("a stage sent %q: %w", line, err)
	}
	if f.Device != nil {
		c.report.Device = *f.Device
	}
	if f.Peaks != nil {
		c.report.Peaks = *f.Peaks
	}
	if f.Record != nil {
		c.report.Records = append(c.report.Records, *f.Record)
	}
	c.dirty = true
	return nil
}

func (c *gpuCheck) write() error {
	c.dirty = false
	body, err := json.MarshalIndent(c.report, "", " ")
	if err != nil {
		return err
	}
	f, err := atomicfile.Create(c.path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(append(body, '\n')); err != nil {
		return err
	}
	return f.Commit()
}

// table writes what docs/gpu.md shows, in Markdown.
func (r *gpuReport) table(w *strings.Builder) {
	fmt.Fprintf(w, "%s, %s, %.0f GB", cmp.Or(r.Device.Device, "no device"), cmp.Or(r.Device.ISA, "sm unknown"), float64(r.Device.Memory)/1e9)
	for _, name := range resources {
		if rate := r.Peaks.of(name); rate > 0 {
			fmt.Fprintf(w, "; %s %s/s", name, si(rate))
		}
	}
	fmt.Fprint(w, "\n\n| stage | result | seconds | tests that passed, failed, were skipped |\n|---|---|---|---|\n")
	for _, s := range r.Stages {
		n := map[string]int{}
		for _, t := range s.Tests {
			n[t.Outcome]++
		}
		fmt.Fprintf(w, "| %s | %s | %.1f of %.0f | %d, %d, %d |\n", s.Name, s.Outcome, s.Seconds, s.BudgetS, n["pass"], n["fail"], n["skip"])
	}
	checks, good := 0, 0
	for _, rec := range r.Records {
		if rec.Kind == bench.KindCheck {
			checks++
			if rec.Pass {
				good++
			}
		}
	}
	fmt.Fprintf(w, "\nExact checks: %d of %d hold.\n\n| job | time | rate | of the device's peak | predicted |\n|---|---|---|---|---|\n", good, checks)
	for _, rec := range r.Records {
		if rec.Kind != bench.KindBench {
			continue
		}
		peak, predicted := "–", "–"
		if rec.LimitFraction > 0 {
			peak = fmt.Sprintf("%.3g %% (%s)", 100*rec.LimitFraction, rec.LimitedBy)
		}
		if p, ok := predictions[rec.Name]; ok && strings.Contains(r.Device.Device, "H100") {
			predicted = fmt.Sprintf("%s–%s", si(p[0]), si(p[1]))
		}
		fmt.Fprintf(w, "| `%s` | %ss | %s %s | %s | %s |\n", rec.Name, si(rec.MinS), si(rec.Value), rec.Unit, peak, predicted)
	}
}

// si writes a number with three digits and a prefix.
func si(x float64) string {
	for _, p := range []struct {
		unit float64
		name string
	}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}, {1e-3, "m"}, {1e-6, "µ"}, {1e-9, "n"}} {
		if x >= 0.9995*p.unit {
			return fmt.Sprintf("%.3g %s", x/p.unit, p.name)
		}
	}
	return fmt.Sprintf("%.3g ", x)
}
