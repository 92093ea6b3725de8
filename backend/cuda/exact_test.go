//go:build gpu && cgo

package cuda

import (
	"context"
	"testing"
	"time"

	"kadanoff/bench"
)

// The device starts, first as if it had never seen the kernels, then again; and
// says what it is.
func TestStart(t *testing.T) {
	for _, name := range []string{"start/first", "start/again"} {
		begin := time.Now()
		b := open(t)
		seconds := time.Since(begin).Seconds()
		info := b.Info()
		if info.Device == "" || info.ISA == "" || info.Memory == 0 {
			t.Errorf("the device is %+v", info)
		}
		peaks, err := peaksOf(0)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(finding{Device: &info, Peaks: &peaks, Record: &bench.Record{
			Kind: bench.KindBench, Name: name, Backend: "cuda", ISA: info.ISA, Threads: 1, Value: 1 / seconds, Unit: "starts/s",
			MinS: seconds, MedianS: seconds, Repeats: 1, SamplesS: []float64{seconds},
		}}); err != nil {
			t.Fatal(err)
		}
	}
}

// The exact checks of rbmbench, one at a time.
func TestExactChecks(t *testing.T) {
	if testing.Short() {
		t.Skip("tens of seconds on a simulated device")
	}
	if _, why := count(); why != "" {
		t.Skip(why)
	}
	s := bench.Selection{Backend: "cuda:0", Seed: 1, Size: bench.Quick}
	targets, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer targets[0].Close()
	compared := 0
	for _, area := range bench.Areas() {
		for i := range area.Checks {
			alone := area
			alone.Checks, alone.Benchmarks = area.Checks[i:i+1], nil
			report, err := bench.Run(context.Background(), &bench.Plan{Selection: s, Areas: []bench.Area{alone}, Checks: true}, targets)
			if err != nil {
				t.Fatal(err)
			}
			compared += len(report.Records)
			for _, r := range report.Records {
				if !r.Pass {
					t.Errorf("%s is %.6g, want %.6g within %.2g", r.Name, r.Measured, r.Exact, r.Limit)
				}
				if r.Backend != "cuda" {
					t.Errorf("%s is of %s", r.Name, r.Backend)
				}
				if err := send(finding{Record: &r}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if compared < 200 {
		t.Errorf("%d comparisons in all", compared)
	}
}
