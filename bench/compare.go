package bench

import (
	"fmt"
	"strings"

	"golang.org/x/perf/benchmath"
	"gonum.org/v1/gonum/stat/combin"
)

// Change is how one benchmark's time differs between two reports.
type Change struct {
	Name    string  `json:"name"`
	Backend string  `json:"backend"`
	ISA     string  `json:"isa"`
	Threads int     `json:"threads"`
	OldS    float64 `json:"old_s"` // median seconds of one unit of work
	NewS    float64 `json:"new_s"`
	Speedup float64 `json:"speedup"` // OldS/NewS
	// P is the probability of times that differ as much if nothing changed
	// (Mann-Whitney U test of all repeats), absent without repeats.
	P           *float64 `json:"p,omitempty"`
	Significant bool     `json:"significant"` // P below 0.05
	// TooFew says that no times at all could be significant with so few repeats.
	TooFew bool `json:"too_few,omitempty"`
}

// Comparison is what differs between two reports.
type Comparison struct {
	Machines []string `json:"machines"` // differences between the machines, in words
	Notes    []string `json:"notes"`    // what else to know before the speeds are believed
	Changes  []Change `json:"changes"`
	OnlyOld  []string `json:"only_old"` // benchmarks that one report lacks
	OnlyNew  []string `json:"only_new"`
	Broken   []string `json:"broken"` // checks that passed and now fail
	Mended   []string `json:"mended"` // checks that failed and now pass
}

type recordKey struct {
	kind, name, sweep, backend, isa string
	threads                         int
}

func (k recordKey) String() string {
	return fmt.Sprintf("%s on %s/%s, %d threads", k.name, k.backend, k.isa, k.threads)
}

func keyOf(r *Record) recordKey {
	return recordKey{r.Kind, r.Name, r.Sweep, r.Backend, r.ISA, r.Threads}
}

// Compare compares two reports. Benchmarks are in the order of the new one.
func Compare(older, newer *Report) *Comparison {
	c := &Comparison{
		Machines: machineDifferences(&older.Machine, &newer.Machine), Notes: notes(older, newer),
		Changes: []Change{}, OnlyOld: []string{}, OnlyNew: []string{}, Broken: []string{}, Mended: []string{},
	}
	before := map[recordKey]*Record{}
	for i := range older.Records {
		before[keyOf(&older.Records[i])] = &older.Records[i]
	}
	seen := map[recordKey]bool{}
	for i := range newer.Records {
		r := &newer.Records[i]
		if r.Kind == KindPeer {
			continue // of others; ours beside them are benchmarks
		}
		key := keyOf(r)
		seen[key] = true
		was := before[key]
		switch {
		case r.Kind == KindBench && was == nil:
			c.OnlyNew = append(c.OnlyNew, key.String())
		case r.Kind == KindBench:
			c.Changes = append(c.Changes, change(was, r))
		case was == nil:
		case was.Pass && !r.Pass:
			c.Broken = append(c.Broken, key.String())
		case !was.Pass && r.Pass:
			c.Mended = append(c.Mended, key.String())
		}
	}
	for i := range older.Records {
		if key := keyOf(&older.Records[i]); key.kind == KindBench && !seen[key] {
			c.OnlyOld = append(c.OnlyOld, key.String())
		}
	}
	return c
}

func change(was, is *Record) Change {
	c := Change{
		Name: is.Name, Backend: is.Backend, ISA: is.ISA, Threads: is.Threads,
		OldS: was.MedianS, NewS: is.MedianS,
	}
	if is.MedianS > 0 {
		c.Speedup = was.MedianS / is.MedianS
	}
	if len(was.SamplesS) > 0 && len(is.SamplesS) > 0 {
		x := benchmath.AssumeNothing.Compare(sample(was), sample(is))
		c.P = &x.P
		c.Significant = x.P < x.Alpha
		c.TooFew = leastP(len(was.SamplesS), len(is.SamplesS)) >= x.Alpha
	}
	return c
}

// leastP is the least p of a two-sided U test of n and m repeats: that of times
// which are all apart, 2/C(n+m, n).
func leastP(n, m int) float64 {
	return 2 / combin.GeneralizedBinomial(float64(n+m), float64(n))
}

// notes says what the two runs were like.
func notes(older, newer *Report) []string {
	list := []string{}
	for _, r := range []struct {
		name string
		*Report
	}{{"old", older}, {"new", newer}} {
		if r.Quick {
			list = append(list, "the "+r.name+" file is of a --quick run, with few repeats")
		}
		if o := r.Machine.OtherCores; o != nil && *o > noisyCores {
			list = append(list, fmt.Sprintf("other processes kept %.1f cores busy during the %s run", *o, r.name))
		}
	}
	return list
}

// sample returns a record's repeats; benchmath sorts them in place.
func sample(r *Record) *benchmath.Sample {
	return benchmath.NewSample(append([]float64(nil), r.SamplesS...), &benchmath.DefaultThresholds)
}

func machineDifferences(a, b *Machine) []string {
	d := []string{}
	differ := func(what string, x, y any) {
		if fmt.Sprint(x) != fmt.Sprint(y) {
			d = append(d, fmt.Sprintf("%s: %v, now %v", what, x, y))
		}
	}
	differ("cpu", a.CPU, b.CPU)
	differ("cores", a.Cores, b.Cores)
	differ("memory", a.Memory>>30, b.Memory>>30) // what a kernel keeps for itself varies
	differ("os", a.OS+"/"+a.Arch, b.OS+"/"+b.Arch)
	differ("go", a.Go, b.Go)
	differ("goamd64", a.GOAMD64, b.GOAMD64)
	differ("instruction sets", strings.Join(a.ISA, " "), strings.Join(b.ISA, " "))
	return d
}
