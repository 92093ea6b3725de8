package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kadanoff/kernels/isa"
)

// counting is an area that counts what is done to it.
func counting(checks *atomic.Int64, fail error) Area {
	a := Area{Name: "count"}
	for i := range 5 {
		a.Checks = append(a.Checks, Check{Name: fmt.Sprintf("count/%d", i), Run: func(_ context.Context, t *Target) ([]Result, error) {
			checks.Add(1)
			if i == 3 && fail != nil {
				return nil, fail
			}
			return []Result{{Name: fmt.Sprintf("count/%d/x", i), Measured: float64(i), Limit: 3}}, nil
		}})
	}
	a.Benchmarks = []Benchmark{
		{Name: "count/spin", Unit: "turns/s", Goal: perThread(map[isa.Level]float64{isa.Generic: 5}), Prepare: func(context.Context, *Target) (*Work, error) {
			n := 0
			return &Work{Units: 3, Limit: 1e18, Do: func(ctx context.Context, times int) error {
				for range times * 1000 {
					n++
				}
				return ctx.Err()
			}}, nil
		}},
		{Name: "count/slow", Unit: "turns/s", Slow: true, Prepare: func(context.Context, *Target) (*Work, error) {
			return nil, errors.New("a slow case was prepared")
		}},
		{Name: "count/none", Unit: "turns/s", Prepare: func(context.Context, *Target) (*Work, error) { return nil, nil }},
	}
	return a
}

func open(t *testing.T, s Selection) []*Target {
	t.Helper()
	targets, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, target := range targets {
			if err := target.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return targets
}

func TestRun(t *testing.T) {
	var done atomic.Int64
	last := 0
	p := &Plan{
		Selection: Selection{Backend: "ref", Seed: 7}, Areas: []Area{counting(&done, nil)}, Checks: true, Benchmarks: true,
		Progress: func(n, total int, what string) {
			if n != last+1 || total != 7 || !strings.HasPrefix(what, "count/") {
				t.Errorf("progress %d of %d: %q", n, total, what)
			}
			last = n
		},
	}
	targets := open(t, p.Selection)
	r, err := Run(context.Background(), p, targets)
	if err != nil {
		t.Fatal(err)
	}
	if done.Load() != 5 || len(r.Records) != 6 || len(r.Failed()) != 1 || r.Failed()[0].Name != "count/4/x" {
		t.Errorf("%d checks ran, %d records, failed: %v", done.Load(), len(r.Records), r.Failed())
	}
	for i, rec := range r.Records[:5] {
		if rec.Name != fmt.Sprintf("count/%d/x", i) || rec.Backend != "ref" || rec.Seed != 7 || rec.Threads != 1 {
			t.Errorf("record %d is %+v", i, rec)
		}
	}
	b := r.Records[5]
	if b.Kind != KindBench || b.Name != "count/spin" || b.Repeats < leastSamples || b.Repeats != len(b.SamplesS) ||
		b.MinS <= 0 || b.MedianS < b.MinS || b.Value != 3/b.MinS || b.LimitFraction != b.Value/1e18 {
		t.Errorf("bench record is %+v", b)
	}
}

func TestRunEndsWithFirstError(t *testing.T) {
	var done atomic.Int64
	boom := errors.New("boom")
	targets := open(t, Selection{Backend: "ref"})
	_, err := Run(context.Background(), &Plan{Areas: []Area{counting(&done, boom)}, Checks: true}, targets)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "count/3 on ref") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, &Plan{Areas: []Area{counting(&done, nil)}, Checks: true}, targets); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context the error is %v", err)
	}
}

// With Scaling, powers of two below all threads are timed too, unless a number
// was named.
func TestPlanScaling(t *testing.T) {
	var done atomic.Int64
	for _, c := range []struct {
		scaling bool
		threads int
		want    string
	}{{true, 0, "[1 2 4 5]"}, {false, 0, "[1 5]"}, {true, 5, "[5]"}} {
		p := &Plan{Selection: Selection{Size: Full, Threads: c.threads}, Areas: []Area{counting(&done, nil)}, Benchmarks: true, Scaling: c.scaling}
		best, err := Selection{Backend: "cpu", Threads: 5}.open("cpu", isa.Generic, 0)
		if err != nil {
			t.Fatal(err)
		}
		timings, opened, err := p.timings([]*Target{best})
		if err != nil {
			t.Fatal(err)
		}
		var threads []int
		for _, on := range timings[0].targets {
			threads = append(threads, on.Threads)
		}
		if got := fmt.Sprint(threads); got != c.want {
			t.Errorf("scaling %v, --threads %d: timed with %s threads, want %s", c.scaling, c.threads, got, c.want)
		}
		for _, o := range append(opened, best) {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A device is timed beside the CPU, and once whatever the threads.
func TestPlanDevices(t *testing.T) {
	var done atomic.Int64
	cpu, err := Selection{Backend: "cpu", Threads: 3}.open("cpu", isa.Generic, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	gpu := &Target{Name: "cuda", ISA: "sm_80", Threads: 3}
	for _, c := range []struct {
		targets []*Target
		size    Size
		want    string
	}{
		{[]*Target{gpu}, Quick, "[cuda/3]"}, {[]*Target{cpu, gpu}, Quick, "[cpu/1 cpu/3 cuda/3]"}, {[]*Target{cpu, gpu, gpu}, Full, "[cpu/1 cpu/3 cuda/3 cuda/3]"},
	} {
		p := &Plan{Selection: Selection{Size: c.size}, Areas: []Area{counting(&done, nil)}, Benchmarks: true}
		timings, opened, err := p.timings(c.targets)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, on := range timings[0].targets {
			got = append(got, fmt.Sprintf("%s/%d", on.Name, on.Threads))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v: timed on %v, want %s", c.targets, got, c.want)
		}
		for _, o := range opened {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestPlanCases(t *testing.T) {
	var done atomic.Int64
	areas := []Area{counting(&done, nil)}
	for _, c := range []struct {
		cases []string
		size  Size
		want  string
	}{
		{nil, Quick, "spin none"}, {nil, Full, "spin slow none"}, {[]string{"slow"}, Quick, "slow"}, {[]string{"count/spin"}, Full, "spin"},
	} {
		p := &Plan{Selection: Selection{Size: c.size}, Areas: areas, Cases: c.cases, Benchmarks: true}
		timings, opened, err := p.timings([]*Target{{Name: "ref", Threads: 1}})
		if err != nil || len(opened) != 0 {
			t.Fatal(err, opened)
		}
		var names []string
		budget := time.Duration(0)
		for _, tm := range timings {
			names = append(names, strings.TrimPrefix(tm.benchmark.Name, "count/"))
			budget += tm.budget * time.Duration(len(tm.targets))
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("cases %v: %q, want %q", c.cases, got, c.want)
		}
		if most := map[Size]time.Duration{Quick: quickBudget, Full: fullBudget}[c.size]; budget > most {
			t.Errorf("benchmarks take %v, want at most %v", budget, most)
		}
	}
	p := &Plan{Areas: areas}
	if err := p.AddCases([]string{"spin", "nosuch"}); err == nil || !strings.Contains(err.Error(), "nosuch") || !strings.Contains(err.Error(), "spin, slow, none") {
		t.Errorf("an unknown case: %v", err)
	}
	if err := p.AddCases([]string{"spin"}); err != nil || len(p.Cases) != 1 {
		t.Error(err, p.Cases)
	}
}

func TestGibbsSizes(t *testing.T) {
	for size, ok := range map[string]bool{
		"5x3x7": true, "784x500x1000": true, "0x3x7": false, "5x3": false, "5x3x7x9": false, "5x3x7 ": false, "-5x3x7": false,
		"70000x3x7": false, "65536x65536x1": false, "x": false, "axbxc": false, "16384x4096x33554432": false,
	} {
		p := &Plan{Areas: []Area{gibbs()}}
		if err := p.AddCases([]string{size}); (err == nil) != ok {
			t.Errorf("size %q: %v", size, err)
		}
	}
	if len(gibbs().Benchmarks) != len(gibbsCases) {
		t.Error("a size that was asked for stays")
	}
}

// Late timings share what time is left, and none is left after the end.
func TestShare(t *testing.T) {
	left := []timing{{targets: make([]*Target, 2)}, {targets: make([]*Target, 3)}}
	p := &Plan{}
	if got := p.share(quickRun-5*time.Second, left); got != time.Second {
		t.Errorf("share is %v, want 1s", got)
	}
	if got := p.share(2*quickRun, left); got != 0 {
		t.Errorf("share after the end is %v", got)
	}
	p.Size = Full
	if got := p.share(0, left); got != fullRun/5 {
		t.Errorf("share of a full run is %v, want %v", got, fullRun/5)
	}
}

// Names are unique and belong to their area; a quick run stays within its time
// however many areas there are, because each has a share.
func TestAreas(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range Areas() {
		if a.Short == "" {
			t.Errorf("area %s has no description", a.Name)
		}
		var names []string
		for _, c := range a.Checks {
			names = append(names, c.Name)
		}
		for _, b := range a.Benchmarks {
			names = append(names, b.Name)
			if b.Unit == "" {
				t.Errorf("%s has no unit", b.Name)
			}
		}
		for _, n := range names {
			if seen[n] || !strings.HasPrefix(n, a.Name+"/") {
				t.Errorf("%s: named twice or not of area %s", n, a.Name)
			}
			seen[n] = true
		}
		if got, ok := FindArea(a.Name); !ok || got.Name != a.Name {
			t.Errorf("area %s is not found", a.Name)
		}
	}
	if _, ok := FindArea("nosuch"); ok {
		t.Error("an area that does not exist is found")
	}
}

func TestSelectionErrors(t *testing.T) {
	for _, s := range []Selection{{Backend: "nosuch"}, {Backend: "cuda:x"}, {Backend: "cuda"}} {
		if ts, err := s.Open(); err == nil {
			t.Errorf("backend %q opens as %v", s.Backend, ts)
		}
	}
}

func TestInterleaveTakesTurns(t *testing.T) {
	var order []byte
	work := func(id byte) *timed {
		return &timed{Work: &Work{Units: 1, Do: func(context.Context, int) error {
			order = append(order, id)
			time.Sleep(leastSample)
			return nil
		}}}
	}
	a, b := work('a'), work('b')
	if err := interleave(context.Background(), usual(time.Millisecond), []*timed{a, b}); err != nil {
		t.Fatal(err)
	}
	turns := string(order[len(order)-2*leastSamples:])
	if turns != strings.Repeat("ab", leastSamples) || len(a.seconds) != leastSamples || len(b.seconds) != leastSamples {
		t.Errorf("order is %q, %d and %d samples", order, len(a.seconds), len(b.seconds))
	}
	boom := errors.New("boom")
	failing := &timed{Work: &Work{Do: func(context.Context, int) error { return boom }}}
	if err := interleave(context.Background(), usual(time.Millisecond), []*timed{failing}); !errors.Is(err, boom) {
		t.Errorf("error is %v", err)
	}
}

// Work that takes many times its budget is timed once, and the rest goes on.
func TestInterleaveSlow(t *testing.T) {
	calls := 0
	slow := &timed{Work: &Work{Measure: func(context.Context, int) (float64, error) { calls++; return 1.5, nil }}}
	fast := &timed{Work: &Work{Measure: func(context.Context, int) (float64, error) { return 0.5, nil }}}
	if err := interleave(context.Background(), usual(time.Millisecond), []*timed{slow, fast}); err != nil {
		t.Fatal(err)
	}
	if calls != 1 || fmt.Sprint(slow.seconds) != "[1.5]" || slow.inner != 1 || len(fast.seconds) < leastSamples {
		t.Errorf("%d calls, samples %v; fast: %v", calls, slow.seconds, fast.seconds)
	}
	if r := slow.record(&Benchmark{}, &Target{}); r.Repeats != 1 || r.MinS != 1.5 {
		t.Errorf("the record is %+v", r)
	}
}

// Optional work that fails is left out; work elsewhere says how long it took.
func TestInterleaveOptional(t *testing.T) {
	boom := errors.New("boom")
	calls := 0
	elsewhere := &timed{Work: &Work{Measure: func(_ context.Context, n int) (float64, error) { return 0.5 * float64(n), nil }}}
	failing := &timed{Work: &Work{Optional: true, Measure: func(context.Context, int) (float64, error) {
		if calls++; calls > 3 {
			return 0, boom
		}
		return 1, nil
	}}}
	if err := interleave(context.Background(), usual(time.Microsecond), []*timed{failing, elsewhere}); err != nil {
		t.Fatal(err)
	}
	if failing.failed != boom || len(elsewhere.seconds) < leastSamples || elsewhere.seconds[0] != 0.5 || elsewhere.failed != nil {
		t.Errorf("failing: %v; elsewhere: %v", failing.failed, elsewhere.seconds)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	stopped := &timed{Work: &Work{Optional: true, Measure: func(ctx context.Context, _ int) (float64, error) { return 0, ctx.Err() }}}
	if err := interleave(ctx, usual(time.Microsecond), []*timed{stopped}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

// Sizes are timed on one thread of the best path, each as a part of its series.
func TestSizes(t *testing.T) {
	best := isa.Best()
	p := &Plan{Selection: Selection{Backend: "cpu", Level: &best, Threads: 1, Seed: 1}, Benchmarks: true, Sizes: true}
	made := []string{}
	p.Areas = []Area{{Name: "a", Sized: func(size string) (Benchmark, error) {
		made = append(made, size)
		return Benchmark{Name: "a/" + size, Unit: "things/s", Prepare: func(context.Context, *Target) (*Work, error) {
			return &Work{Units: 1, Bytes: 7, Do: func(context.Context, int) error { time.Sleep(time.Millisecond); return nil }}, nil
		}}, nil
	}, Sweeps: []Sweep{{Name: "n things", Axis: "n", Sizes: []int{2, 4}, Case: strconv.Itoa}}}}
	targets, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer targets[0].Close()
	r, err := Run(context.Background(), p, targets)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Records) != 2 || r.Records[1].Sweep != "n things" || r.Records[1].Size != 4 || r.Records[1].Axis != "n" || r.Records[1].Bytes != 7 || r.Records[1].Threads != 1 {
		t.Errorf("made %v, records %+v", made, r.Records)
	}
	if r.Machine.MemoryRate <= 0 || !r.Quick {
		t.Errorf("memory %v, quick %v", r.Machine.MemoryRate, r.Quick)
	}
}

// Every size of every series is one that its area can make.
func TestSweeps(t *testing.T) {
	n := 0
	for _, a := range Areas() {
		for _, s := range a.Sweeps {
			for _, size := range s.Sizes {
				n++
				if b, err := a.Sized(s.Case(size)); err != nil || b.Prepare == nil {
					t.Errorf("%s, %s, %d: %v", a.Name, s.Name, size, err)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("%d sizes in all", n)
	}
}
