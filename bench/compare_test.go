package bench

import (
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	times := func(f float64) []float64 {
		x := make([]float64, 12)
		for i := range x {
			x[i] = f * (1 + float64(i%5)/100)
		}
		return x
	}
	rec := func(name string, f float64) Record {
		return Record{Kind: KindBench, Name: name, Backend: "cpu", ISA: "avx2", Threads: 2, MedianS: f, SamplesS: times(f)}
	}
	check := func(name string, pass bool) Record { return Record{Kind: KindCheck, Name: name, Pass: pass} }
	older := &Report{Machine: Machine{CPU: "A", Cores: 2}, Records: []Record{
		rec("same", 1), rec("faster", 1), rec("gone", 1), {Kind: KindBench, Name: "bare", MedianS: 2},
		check("stays", true), check("breaks", true), check("mends", false), check("gone", true),
	}}
	newer := &Report{Machine: Machine{CPU: "B", Cores: 2}, Records: []Record{
		rec("same", 1), rec("faster", 0.5), rec("added", 1), {Kind: KindBench, Name: "bare", MedianS: 1},
		check("stays", true), check("breaks", false), check("mends", true), check("added", false),
	}}
	c := Compare(older, newer)
	if len(c.Machines) != 1 || !strings.Contains(c.Machines[0], "cpu: A, now B") {
		t.Errorf("machines: %v", c.Machines)
	}
	if len(c.Changes) != 3 {
		t.Fatalf("%d changes, want 3", len(c.Changes))
	}
	if s := c.Changes[0]; s.Name != "same" || s.Significant || s.Speedup != 1 || s.P == nil || *s.P < 0.5 {
		t.Errorf("same: %+v", s)
	}
	if s := c.Changes[1]; s.Name != "faster" || !s.Significant || s.Speedup != 2 || *s.P > 0.01 {
		t.Errorf("faster: %+v", s)
	}
	if s := c.Changes[2]; s.Name != "bare" || s.Significant || s.P != nil || s.Speedup != 2 {
		t.Errorf("bare: %+v", s)
	}
	for what, x := range map[string][2]string{
		"only old": {strings.Join(c.OnlyOld, ";"), "gone"}, "only new": {strings.Join(c.OnlyNew, ";"), "added"},
		"broken": {strings.Join(c.Broken, ";"), "breaks"}, "mended": {strings.Join(c.Mended, ";"), "mends"},
	} {
		if !strings.HasPrefix(x[0], x[1]) || strings.Contains(x[0], ";") {
			t.Errorf("%s: %q, want %q alone", what, x[0], x[1])
		}
	}
	if d := Compare(older, older); len(d.Machines)+len(d.OnlyOld)+len(d.OnlyNew)+len(d.Broken)+len(d.Mended) != 0 {
		t.Errorf("a report differs from itself: %+v", d)
	}
}
