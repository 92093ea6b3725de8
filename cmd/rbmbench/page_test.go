package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kadanoff/bench"
)

func sampleReport() *bench.Report {
	busy := 0.5
	work := func(isa string, threads int, value, fraction float64) bench.Record {
		return bench.Record{Kind: bench.KindBench, Name: "gibbs/7x5x64", Backend: "cpu", ISA: isa, Threads: threads,
			Value: value, Unit: "connections/s", MinS: 4480 / value, MedianS: 5000 / value, Goal: 2 * value, LimitFraction: fraction, Bytes: 100}
	}
	return &bench.Report{
		Version: "v1.2.3",
		Machine: bench.Machine{CPU: "Some <CPU>", Cores: 4, Memory: 16e9, OS: "linux", Arch: "amd64", Go: "go1.26", ISA: []string{"generic", "avx2"}, OtherCores: &busy, MemoryRate: 1e10,
			Rates: []bench.Rates{{ISA: "generic", Clock: 3e9}, {ISA: "avx2", Clock: 3e9, FMA: 5e10, Look: 3e11, Limited: "VPADDD from L1"}}},
		Records: []bench.Record{
			{Kind: bench.KindCheck, Name: "gibbs/a/means", Backend: "ref", ISA: "scalar", Threads: 1, Exact: 1, Measured: 1.25, Limit: 1, Pass: true},
			{Kind: bench.KindCheck, Name: "gibbs/a/sums", Backend: "cpu", ISA: "avx2", Threads: 1, Pass: true},
			{Kind: bench.KindCheck, Name: "roots/b/all", Backend: "cpu", ISA: "avx2", Threads: 1, Measured: 0.5, Limit: 1, Pass: true},
			work("generic", 1, 1e9, 0), work("avx2", 1, 1.2e11, 0.4), work("avx2", 2, 1.8e11, 0.3), work("avx2", 4, 3e11, 0.25),
		},
	}
}

func pageOf(t *testing.T, r *bench.Report) string {
	t.Helper()
	html, err := page(r, nil, "").HTML()
	if err != nil {
		t.Fatal(err)
	}
	return string(html)
}

func TestPage(t *testing.T) {
	r := sampleReport()
	text := pageOf(t, r)
	for _, want := range []string{
		"PASS: all 3 checks", "Some &lt;CPU&gt;", "v1.2.3",
		"2 results have a limit and 1 want equality", "50 % of it", ">1/1 25 %<", // the checks
		">120 G connections/s<", ">40 %<", "distrust the speeds", "VPADDD from L1 alone", "Roofline of one thread on avx2", // the speeds
		">1.50<", ">75 %<", ">2.50<", ">62 %<", // the gain of threads: 1.8/1.2 and 3/1.2
		"16.0 GB", ">50 G/s<", // the machine
	} {
		if !strings.Contains(strings.ReplaceAll(text, "  ", " "), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	// No ceiling was measured for plain Go, so it has no roofline.
	if strings.Contains(text, "one thread on generic") {
		t.Error("a roofline without a measured rate")
	}
	for _, other := range []string{"src=", "@import", "url(", "<link", "<script", `href="http`} {
		if strings.Contains(strings.ReplaceAll(text, "xlink:href", ""), other) {
			t.Errorf("the page refers to something else: %s", other)
		}
	}
	r.Records[0].Pass, r.Records[0].Measured = false, 9
	if text := pageOf(t, r); !strings.Contains(text, "FAIL: 1 of 3") || !strings.Contains(text, "What failed") {
		t.Error("a failure is not shown")
	}
	r.Records = r.Records[:3]
	if text := pageOf(t, r); strings.Contains(text, "Scaling over threads") || strings.Contains(text, "All speeds") {
		t.Error("checks alone have sections on speed")
	}
	r.Records = sampleReport().Records[3:4]
	if text := pageOf(t, r); !strings.Contains(text, "no check was asked for") || strings.Contains(text, "Scaling over threads") {
		t.Error("a speed alone has a verdict or a gain of threads")
	}
}

func TestReportFlag(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "page")
	args := []string{"gibbs", "--quick", "--case", "5x3x64", "--backend", "cpu", "--isa", "generic", "--threads", "1", "--report"}
	code, _, stderr := run(context.Background(), append(args, dir)...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d, stderr %q", code, stderr)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "index.html" {
		t.Fatalf("the folder holds %v, %v; want index.html alone", entries, err)
	}
	if html, err := os.ReadFile(filepath.Join(dir, "index.html")); err != nil || !strings.Contains(string(html), "gibbs/5x3x64") {
		t.Errorf("the page does not show the case: %v", err)
	}
}

func TestReportCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	wrong(t, 2, "--report "+file, "check", "--quick", "--report", file)
	wrong(t, 2, "--report "+file, "check", "--quick", "--report", filepath.Join(file, "page"))
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "index.html"), 0o777); err != nil {
		t.Fatal(err)
	}
	wrong(t, 2, "index.html", "check", "--quick", "--report", taken)

	// A full disk is found out when the page is written.
	if runtime.GOOS == "linux" {
		full := filepath.Join(dir, "full")
		if err := os.Mkdir(full, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/full", filepath.Join(full, "index.html")); err != nil {
			t.Fatal(err)
		}
		wrong(t, 4, "--report "+full, "gibbs", "--quick", "--case", "5x3x64", "--backend", "ref", "--report", full)
	}

	// An interrupted run leaves no folder that was not there.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	none := filepath.Join(dir, "none")
	if code, _, _ := run(ctx, "gibbs", "--quick", "--case", "5x3x64", "--report", none); code == 0 {
		t.Error("an interrupted run ends with 0")
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("an interrupted run leaves its folder")
	}
}
