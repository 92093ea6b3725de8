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
	if len(c.Notes) != 0 {
		t.Errorf("notes: %v", c.Notes)
	}
	if d := Compare(older, older); len(d.Machines)+len(d.OnlyOld)+len(d.OnlyNew)+len(d.Broken)+len(d.Mended) != 0 {
		t.Errorf("a report differs from itself: %+v", d)
	}
}

// Three repeats a side cannot be significant, however far they are apart, and
// quick runs and busy machines are named.
func TestCompareQuick(t *testing.T) {
	busy := 0.9
	rec := func(n int, f float64) Record {
		r := Record{Kind: KindBench, Name: "a", MedianS: f}
		for i := range n {
			r.SamplesS = append(r.SamplesS, f+float64(i)/100)
		}
		return r
	}
	peer := Record{Kind: KindPeer, Name: "a", Peer: "x", Pass: true}
	older := &Report{Quick: true, Records: []Record{rec(3, 1), peer}}
	newer := &Report{Machine: Machine{OtherCores: &busy}, Records: []Record{rec(3, 2), {Kind: KindPeer, Name: "a", Peer: "x", Note: "gone"}}}
	c := Compare(older, newer)
	if len(c.Changes) != 1 || c.Changes[0].Significant || !c.Changes[0].TooFew || len(c.Broken) != 0 {
		t.Errorf("three repeats: %+v, broken %v", c.Changes, c.Broken)
	}
	if n := strings.Join(c.Notes, "; "); !strings.Contains(n, "old file is of a --quick run") || !strings.Contains(n, "0.9 cores busy during the new run") || len(c.Notes) != 2 {
		t.Errorf("notes %q", n)
	}
	older.Records[0], newer.Records[0] = rec(4, 1), rec(4, 2)
	if c := Compare(older, newer); c.Changes[0].TooFew || !c.Changes[0].Significant {
		t.Errorf("four repeats far apart: %+v", c.Changes[0])
	}
}
