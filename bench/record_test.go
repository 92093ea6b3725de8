package bench

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The schema is a contract with other programs: field names and their order.
func TestRecordSchema(t *testing.T) {
	for want, r := range map[string]Record{
		`{"kind":"check","name":"gibbs/rbm-4x3/pair-correlations","backend":"cpu","isa":"avx512","threads":2,"seed":1,` +
			`"exact":0.123,"measured":0.1229,"error":0.0001,"limit":0.0005,"unit":"","pass":true}`: {
			Kind: KindCheck, Name: "gibbs/rbm-4x3/pair-correlations", Backend: "cpu", ISA: "avx512", Threads: 2, Seed: 1,
			Exact: 0.123, Measured: 0.1229, Error: 1e-4, Limit: 5e-4, Pass: true,
		},
		`{"kind":"check","name":"a/b","backend":"ref","isa":"scalar","threads":1,"seed":1,` +
			`"exact":0,"measured":null,"error":null,"limit":0,"unit":"nats","pass":false}`: {
			Kind: KindCheck, Name: "a/b", Backend: "ref", ISA: "scalar", Threads: 1, Seed: 1,
			Measured: math.NaN(), Error: math.Inf(1), Unit: "nats",
		},
		`{"kind":"bench","name":"gibbs/784x500x1000","backend":"cpu","isa":"avx512","threads":1,"value":200000000000,"unit":"connections/s",` +
			`"min_s":0.0039,"median_s":0.004,"repeats":20,"goal":190000000000,"limit_fraction":0.71}`: {
			Kind: KindBench, Name: "gibbs/784x500x1000", Backend: "cpu", ISA: "avx512", Threads: 1, Value: 2e11, Unit: "connections/s",
			MinS: 0.0039, MedianS: 0.004, Repeats: 20, Goal: 1.9e11, LimitFraction: 0.71,
		},
		`{"kind":"bench","name":"a/b","backend":"cpu","isa":"avx2","threads":1,"value":2,"unit":"roots/s",` +
			`"min_s":1,"median_s":2,"repeats":3,"samples_s":[1,2,3]}`: {
			Kind: KindBench, Name: "a/b", Backend: "cpu", ISA: "avx2", Threads: 1, Value: 2, Unit: "roots/s",
			MinS: 1, MedianS: 2, Repeats: 3, SamplesS: []float64{1, 2, 3},
		},
		`{"kind":"bench","name":"a/b","backend":"cpu","isa":"avx2","threads":1,"value":2,"unit":"roots/s",` +
			`"min_s":1,"median_s":2,"repeats":3,"bytes":8,"sweep":"n by n","axis":"n","size":4}`: {
			Kind: KindBench, Name: "a/b", Backend: "cpu", ISA: "avx2", Threads: 1, Value: 2, Unit: "roots/s",
			MinS: 1, MedianS: 2, Repeats: 3, Bytes: 8, Sweep: "n by n", Axis: "n", Size: 4,
		},
		`{"kind":"peer","name":"a/b","backend":"cpu","isa":"avx2","threads":1,"peer":"numpy","version":"numpy 2",` +
			`"unit":"sweep","min_s":2,"median_s":3,"repeats":2,"ours_min_s":1,"ours_median_s":2,"ratio":2,"ratio_median":1.5,` +
			`"noisy":true,"compared":"log Z","seed":1,"exact":5,"measured":5.5,"error":0.25,"limit":1,"pass":true,"samples_s":[2,4]}`: {
			Kind: KindPeer, Name: "a/b", Backend: "cpu", ISA: "avx2", Threads: 1, Peer: "numpy", Version: "numpy 2",
			Unit: "sweep", MinS: 2, MedianS: 3, Repeats: 2, OursMinS: 1, OursMedianS: 2, Ratio: 2, RatioMedian: 1.5,
			Noisy: true, Compared: "log Z", Seed: 1, Exact: 5, Measured: 5.5, Error: 0.25, Limit: 1, Pass: true, SamplesS: []float64{2, 4},
		},
		`{"kind":"peer","name":"peers","backend":"cpu","isa":"avx2","threads":1,"peer":"jax","note":"not installed"}`: {
			Kind: KindPeer, Name: "peers", Backend: "cpu", ISA: "avx2", Threads: 1, Peer: "jax", Note: "not installed",
		},
	} {
		got, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("record is\n%s, want\n%s", got, want)
		}
		var back Record
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		if math.IsNaN(r.Measured) {
			r.Measured, r.Error = 0, 0
		}
		if d := cmp.Diff(r, back); d != "" {
			t.Errorf("record comes back changed:\n%s", d)
		}
	}
	if _, err := json.Marshal(Record{Kind: "other"}); err == nil {
		t.Error("no error for a record of an unknown kind")
	}
}

func TestPass(t *testing.T) {
	for _, c := range []struct {
		exact, measured, limit float64
		pass                   bool
	}{
		{1, 1.5, 0.5, true}, {1, 0.5, 0.5, true}, {1, 1.5001, 0.5, false}, {1, 0.4999, 0.5, false},
		{0, 0, 0, true}, {0, 1, 0, false}, {0, math.NaN(), 1, false}, {0, 0, math.NaN(), false}, {0, math.Inf(1), 1, false},
	} {
		r := Result{Exact: c.exact, Measured: c.measured, Limit: c.limit}
		if r.Pass() != c.pass {
			t.Errorf("measured %v, exact %v, limit %v: pass is %v", c.measured, c.exact, c.limit, r.Pass())
		}
	}
}

func TestReadReport(t *testing.T) {
	write := func(text string) string {
		f := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(f, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return f
	}
	r := Report{Machine: ThisMachine(), Version: "v1", Records: []Record{{Kind: KindCheck, Name: "a"}, {Kind: KindCheck, Name: "b", Pass: true}}}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ReadReport(write(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&r, back); d != "" {
		t.Errorf("report comes back changed:\n%s", d)
	}
	if f := back.Failed(); len(f) != 1 || f[0].Name != "a" {
		t.Errorf("failed checks are %v", f)
	}
	for text, want := range map[string]string{
		"":                              "not a report",
		"[1]":                           "not a report",
		"{}":                            "has no records",
		`{"records":[{"kind":"odd"}]}`:  `record 0 is of kind "odd"`,
		`{"records":[{"threads":"x"}]}`: "not a report",
	} {
		if _, err := ReadReport(write(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "r.json") {
			t.Errorf("report %q: error %v, want %q and the file's name", text, err, want)
		}
	}
	if _, err := ReadReport(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("no error for a file that does not exist")
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine()
	if m.CPU == "" || m.Cores < 1 || m.Go == "" || len(m.ISA) == 0 || m.ISA[0] != "generic" {
		t.Errorf("machine is %+v", m)
	}
	if l, ok := watchLoad(); ok && (l.others() < 0 || l.own < 0) {
		t.Errorf("load is %+v", l)
	}
}
