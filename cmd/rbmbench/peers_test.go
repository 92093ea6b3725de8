package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kadanoff/bench"
	"kadanoff/report/browsertest"
)

// fakePython writes a program that answers as a worker does whose ground
// energy and partition function are nonsense.
func fakePython(t *testing.T, hello string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script stands in for Python")
	}
	file := filepath.Join(t.TempDir(), "python")
	script := `#!/bin/sh
echo '` + hello + `'
while read -r line; do
	id=${line#*'"id":'}; id=${id%%,*}
	case $line in
	*'"do":"run"'*) echo "{\"id\": $id, \"seconds\": 0.05}" ;;
	*'"do":"result"'*) echo "{\"id\": $id, \"values\": {\"minimum\": 7}}" ;;
	*) echo "{\"id\": $id}" ;;
	esac
done
`
	if err := os.WriteFile(file, []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	return file
}

// A peer whose result is wrong makes the exit code 1, and everything is shown
// all the same.
func TestPeersDiffer(t *testing.T) {
	python := fakePython(t, `{"version": "fake 1", "tasks": ["minimum"]}`)
	dir := t.TempDir()
	file, page := filepath.Join(dir, "peers.json"), filepath.Join(dir, "page")
	code, stdout, stderr := run(context.Background(), "peers", "--quick", "--task", "enumerate", "--peer", "numpy,scipy", "--python", python, "--json", file, "--report", page)
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "2 results differ, the first: minimum of enumerate/minimum-22 on numpy: 7, want ") {
		t.Fatalf("exit %d, stderr %q, stdout %q", code, stderr, stdout)
	}
	for _, want := range []string{"FAIL: 2 of 2", "enumerate/minimum-22", "DIFFER", "1 thread"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table has no %q:\n%s", want, stdout)
		}
	}
	r, err := bench.ReadReport(file)
	if err != nil || len(r.Records) != 3 {
		t.Fatalf("%v, records %+v", err, r)
	}
	html, err := os.ReadFile(filepath.Join(page, "index.html"))
	if err != nil || !strings.Contains(string(html), "Beside other programs") || !strings.Contains(string(html), "FAIL: 2 of 2 results differ") {
		t.Errorf("page: %v", err)
	}
	// Its ratios stand on the page of another run.
	other := filepath.Join(dir, "other")
	if code, _, stderr := run(context.Background(), "gibbs", "--quick", "--case", "5x3x64", "--backend", "ref", "--report", other, "--peers", file); code != 0 {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	if html, err = os.ReadFile(filepath.Join(other, "index.html")); err != nil || !strings.Contains(string(html), "minimum-22") {
		t.Errorf("page of another run: %v", err)
	}
}

func TestPeersWrongUse(t *testing.T) {
	nothing := fakePython(t, `{"error": "No module named numpy"}`)
	none := filepath.Join(t.TempDir(), "none")
	plain := filepath.Join(t.TempDir(), "plain.json")
	if err := os.WriteFile(plain, []byte(`{"records":[]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	wrong(t, 3, "make peers", "peers", "--python", none)
	wrong(t, 3, "make peers", "peers", "--quick", "--task", "enumerate", "--python", nothing)
	wrong(t, 2, `--task "chess": want gibbs, train`, "peers", "--task", "chess")
	wrong(t, 2, `--peer "matlab": want numpy, torch`, "peers", "--peer", "matlab")
	wrong(t, 2, "--backend ref", "peers", "--backend", "ref", "--python", nothing)
	wrong(t, 2, "--threads 5000", "peers", "--threads", "5000", "--python", nothing)
	wrong(t, 2, "has no peers", "check", "--report", none, "--peers", plain)
	wrong(t, 2, "goes with --report", "check", "--quick", "--peers", plain)

	t.Setenv("PATH", t.TempDir())
	t.Setenv("KADANOFF_PYTHON", "")
	wrong(t, 3, "make peers", "peers")
}

func TestPeersList(t *testing.T) {
	python := fakePython(t, `{"version": "fake 1", "tasks": ["minimum", "ais"]}`)
	code, stdout, stderr := run(context.Background(), "peers", "--list", "--peer", "torch", "--python", python, "--format", "json")
	var list struct {
		Peers []struct {
			Peer, Status string
			Tasks        []string
		}
		Tasks []struct {
			Task  string
			Cases []string
		}
	}
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 0 {
		t.Fatalf("exit %d, %v, %s", code, err, stderr)
	}
	if len(list.Peers) != 1 || list.Peers[0].Status != "fake 1" || strings.Join(list.Peers[0].Tasks, " ") != "enumerate ais" {
		t.Errorf("peers %+v", list.Peers)
	}
	if len(list.Tasks) != len(bench.Rivalries(nil)) || len(list.Tasks[0].Cases) < 4 {
		t.Errorf("tasks %+v", list.Tasks)
	}
}

// fullReport is a report with everything that a page shows.
func fullReport() *bench.Report {
	r := sampleReport()
	r.Machine.Pinned = []int{1, 3}
	for _, n := range []int{64, 128, 256, 512} {
		s := float64(n*n) * 1e-9
		r.Records = append(r.Records, bench.Record{Kind: bench.KindBench, Name: "gibbs/n", Backend: "cpu", ISA: "avx2", Threads: 1, Unit: "connections/s",
			Value: 1e11, MinS: s, MedianS: 1.1 * s, Sweep: "sweep of n × n", Axis: "n", Size: n, Bytes: s * 1e10})
		r.Records = append(r.Records, bench.Record{Kind: bench.KindBench, Name: "enumerate/n", Backend: "cpu", ISA: "avx2", Threads: 1, Unit: "states/s",
			Value: 1e9, MinS: s, MedianS: s, Sweep: "states of N", Axis: "N", Size: n / 16})
	}
	others := 0.1
	for i, name := range []string{"gibbs/784x500x1000", "gibbs/784x500x1000", "gibbs/64x64x4096", "roots/8x4"} {
		ratio := []float64{3.5, 0.7, 45, 1234}[i]
		r.Records = append(r.Records, bench.Record{Kind: bench.KindPeer, Name: name, Peer: []string{"numpy", "torch-bf16", "scikit-learn", "scipy"}[i], Version: "1.2",
			Backend: "cpu", ISA: "avx2", Threads: 1, Unit: "sweep", MinS: ratio * 1e-3, MedianS: ratio * 1.1e-3, OursMinS: 1e-3, OursMedianS: 1e-3,
			Ratio: ratio, RatioMedian: 1.1 * ratio, Compared: "log Z", Exact: 2, Measured: 2.001, Limit: 0.1, Pass: true, OtherCores: &others, Noisy: i == 1})
	}
	r.Records = append(r.Records,
		bench.Record{Kind: bench.KindPeer, Name: "peers", Peer: "jax", Note: "not installed: No module named 'jax'"},
		bench.Record{Kind: bench.KindPeer, Name: "gibbs/784x500x1000", Peer: "thrml", Version: "0.1", Note: "takes minutes"})
	return r
}

func TestPageSections(t *testing.T) {
	text := strings.ReplaceAll(pageOf(t, fullReport()), "  ", " ")
	for _, want := range []string{
		"How cost grows", "sweep of n × n", ">4.00<", // each size four times the last
		"Beside other programs", ">3.5×<", ">1234×<", ">0.1 cores, noisy<", "1 of 4 rows are noisy", ">agree to 5e-04<",
		"What did not run", "not installed: No module named &#39;jax&#39;", ">takes minutes<",
		"Roofline of one thread on avx2", "copied at 10 GB/s", "part that each benchmark reaches", "kept on cores", ">1 3<",
		"PASS: all 7 results of peers and ours agree",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	// Sizes are no benchmarks of their own.
	if strings.Contains(text, ">enumerate/n<") {
		t.Error("a size of a series is among the speeds")
	}
	// A run beside peers on another machine says so.
	ours, beside := sampleReport(), fullReport()
	beside.Machine.CPU = "Another"
	html, err := page(ours, beside, "").HTML()
	if err != nil || !strings.Contains(string(html), "They come from another machine, Another.") {
		t.Errorf("peers of another machine: %v", err)
	}
}

// The page in a real browser, from telephone to wide screen, light and dark.
func TestPageInBrowser(t *testing.T) {
	html, err := page(fullReport(), nil, "").HTML()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rbmbench.html")
	if err := os.WriteFile(file, html, 0o666); err != nil {
		t.Fatal(err)
	}
	browsertest.Check(t, file)
}
