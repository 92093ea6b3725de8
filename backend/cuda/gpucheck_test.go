//go:build gpu && cgo

package cuda

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kadanoff/backend"
	"kadanoff/bench"
)

// TestGPUCheckChild is the stages of TestGPUCheck, by the names that they have
// there.
func TestGPUCheckChild(t *testing.T) {
	found := finding{Record: &bench.Record{Kind: bench.KindBench, Name: "child/" + *stageName, Unit: "things/s", MinS: 2, Value: 3, LimitFraction: 0.25, LimitedBy: "memory"}}
	switch *stageName {
	case "":
		t.Skip("a part of TestGPUCheck")
	case "dies":
		// Only when what was found is in the file.
		if err := send(found); err != nil {
			t.Fatal(err)
		}
		for {
			r, err := bench.ReadReport(os.Getenv("GPU_CHECK_FILE"))
			if err == nil && len(r.Records) == 1 && r.Records[0].Name == "child/dies" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {}
	case "hangs":
		select {}
	case "fails":
		t.Error("as ordered")
	case "wrong":
		if err := send(finding{Record: &bench.Record{Kind: bench.KindCheck, Name: "child/wrong"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(found); err != nil {
		t.Fatal(err)
	}
}

// Stages that die, hang or fail take no other stage with them, and all that was
// found is in the file when it was found.
func TestGPUCheck(t *testing.T) {
	if _, why := count(); why != "" {
		t.Skip(why)
	}
	child := func(name string) stage {
		budget := 20 * time.Second
		if name == "hangs" {
			budget = time.Second
		}
		return stage{name, budget, []string{"-test.run=^TestGPUCheckChild$"}}
	}
	run := func(env string, names ...string) (*gpuCheck, int, string) {
		t.Helper()
		var out strings.Builder
		c := &gpuCheck{path: filepath.Join(t.TempDir(), "check.json"), out: &out}
		c.report.Device = backend.Info{Device: "NVIDIA H100 80GB HBM3", ISA: "sm_90"}
		c.env = []string{"GPU_CHECK_FILE=" + c.path, env}
		var todo []stage
		for _, n := range names {
			todo = append(todo, child(n))
		}
		code := c.run(todo, time.Minute)
		r, err := bench.ReadReport(c.path)
		if err != nil && code != 3 {
			t.Fatal(err)
		}
		if r != nil && len(r.Records) != len(c.report.Records) {
			t.Errorf("%d records in the file, want %d", len(r.Records), len(c.report.Records))
		}
		return c, code, out.String()
	}
	c, code, said := run("", "dies", "hangs", "fails", "passes")
	if code != 1 {
		t.Errorf("the code is %d, want 1; it said\n%s", code, said)
	}
	for i, want := range []string{"signal: killed", "", "failed", passed} {
		s := c.report.Stages[i]
		if want != "" && s.Outcome != want || s.Outcome == passed != (i == 3) || s.Seconds <= 0 || len(s.Output) == 0 != (i == 3) {
			t.Errorf("stage %s: %+v, want %q", s.Name, s, want)
		}
	}
	if s := c.report.Stages[2]; len(s.Tests) != 1 || s.Tests[0].Name != "TestGPUCheckChild" || s.Tests[0].Outcome != "fail" {
		t.Errorf("tests of a stage: %+v", s.Tests)
	}
	if n := len(c.report.Records); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
	table, err := os.ReadFile(strings.TrimSuffix(c.path, ".json") + ".md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| dies | signal: killed |", "| `child/passes` | 2 s | 3  things/s | 25 % (memory) | – |"} {
		if !strings.Contains(string(table), want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	if _, code, _ := run("", "passes"); code != 0 {
		t.Errorf("where all is well the code is %d", code)
	}
	if _, code, said := run("", "wrong"); code != 1 || !strings.Contains(said, "1 exact checks failed, the first: child/wrong") {
		t.Errorf("where a check fails the code is %d, and it says %q", code, said)
	}
	c, code, said = run("KADANOFF_LIBCUDA=none", "passes", "fails")
	if code != 3 || len(c.report.Stages) != 1 || c.report.Stages[0].Outcome != noDevice || !strings.Contains(said, "no CUDA device: turned off by KADANOFF_LIBCUDA=none") {
		t.Errorf("without a device the code is %d, and it says %q", code, said)
	}
}

// The stages fit into nine minutes.
func TestGPUCheckStages(t *testing.T) {
	sum := time.Duration(0)
	for _, s := range stages {
		sum += s.budget
	}
	if sum > wholeBudget || wholeBudget >= 10*time.Minute {
		t.Errorf("stages of %v in %v", sum, wholeBudget)
	}
	if code := checkGPU(filepath.Join(t.TempDir(), "x.json"), "start,nosuch", &strings.Builder{}); code != 2 {
		t.Errorf("an unknown stage: code %d", code)
	}
}

func TestGPUCheckTable(t *testing.T) {
	r := gpuReport{Device: backend.Info{Device: "NVIDIA H100 80GB HBM3", ISA: "sm_90", Memory: 80e9}, Peaks: rates{Tensor: 990e12}}
	r.Records = []bench.Record{
		{Kind: bench.KindBench, Name: "gibbs/784x500x4096", Unit: "connections/s", MinS: 26.4e-6, Value: 121.7e12, LimitFraction: 0.367, LimitedBy: "tensor cores"},
		{Kind: bench.KindCheck, Pass: true},
	}
	var w strings.Builder
	r.table(&w)
	for _, want := range []string{
		"NVIDIA H100 80GB HBM3, sm_90, 80 GB; tensor cores 990 T/s\n", "Exact checks: 1 of 1 hold.",
		"| `gibbs/784x500x4096` | 26.4 µs | 122 T connections/s | 36.7 % (tensor cores) | 107 T–140 T |\n",
	} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, w.String())
		}
	}
	for x, want := range map[float64]string{0: "0 ", 1: "1 ", 999.96: "1 k", 999.4: "999 ", 2.5e-7: "250 n", 1e17: "100 P"} {
		if got := si(x); got != want {
			t.Errorf("%g is %q, want %q", x, got, want)
		}
	}
}
