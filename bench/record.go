// Package bench measures how right and how fast the engine is on a machine.
//
// It holds the exact checks, in which what a backend samples is compared with
// what enumeration says, and the benchmarks with their goals. Both belong to
// areas (see Area), run on targets (a backend on one instruction set, see
// Target) and give Records.
package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
)

// Kinds of records.
const (
	KindCheck = "check"
	KindBench = "bench"
	KindPeer  = "peer"
)

const kinds = KindCheck + ", " + KindBench + " or " + KindPeer

// Record is the outcome of one check, one benchmark, or one benchmark of a
// peer beside ours. As JSON it has the fields that belong to its kind, in the
// order below.
type Record struct {
	Kind    string `json:"kind"`    // KindCheck, KindBench or KindPeer
	Name    string `json:"name"`    // area/case/quantity
	Backend string `json:"backend"` // ref, cpu, cuda
	ISA     string `json:"isa"`     // instruction set or compute capability
	Threads int    `json:"threads"`

	// A check passes if |Measured − Exact| ≤ Limit. Error is the standard
	// error of Measured, 0 if it does not depend on chance. Where a check
	// compares many quantities, these are those of the one nearest to its
	// limit, or farthest beyond it.
	Seed     uint64  `json:"seed"`
	Exact    float64 `json:"exact"`
	Measured float64 `json:"measured"`
	Error    float64 `json:"error"`
	Limit    float64 `json:"limit"`

	// A benchmark's Value is a rate in Unit, made of MinS: the seconds of the
	// fastest repeat of one unit of work (for gibbs one sweep v → h → v of all
	// chains). Goal is the rate to reach on this path, LimitFraction the part
	// of what the limiting instruction allows; 0 if there is none.
	Value         float64   `json:"value"`
	Unit          string    `json:"unit"`
	MinS          float64   `json:"min_s"`
	MedianS       float64   `json:"median_s"`
	Repeats       int       `json:"repeats"`
	Goal          float64   `json:"goal"`
	LimitFraction float64   `json:"limit_fraction"`
	LimitedBy     string    `json:"limited_by"` // what allows no more, where there is a choice
	SamplesS      []float64 `json:"samples_s"`  // all repeats, for Compare
	// Bytes are the least that one unit of work moves between memory and cores.
	Bytes float64 `json:"bytes"`
	// A benchmark of a series of growing sizes names the series, its own size,
	// and what that counts.
	Sweep string `json:"sweep"`
	Axis  string `json:"axis"`
	Size  int    `json:"size"`

	// A peer did the same Unit of work as Backend, ISA and Threads, in turns with
	// them, in MinS and MedianS; they took OursMinS and OursMedianS. What both
	// computed is compared as in a check. A peer that did not do it has a Note
	// that says why, and nothing of this.
	Peer        string   `json:"peer"`
	Version     string   `json:"version"` // of the peer
	OursMinS    float64  `json:"ours_min_s"`
	OursMedianS float64  `json:"ours_median_s"`
	Ratio       float64  `json:"ratio"`        // MinS/OursMinS
	RatioMedian float64  `json:"ratio_median"` // MedianS/OursMedianS
	OtherCores  *float64 `json:"other_cores"`  // that other processes kept busy meanwhile, where the system tells
	Noisy       bool     `json:"noisy"`        // distrust the times
	Data        string   `json:"data"`         // what was trained on, if anything
	Compared    string   `json:"compared"`     // what of both was compared
	Note        string   `json:"note"`

	Pass bool `json:"pass"`
}

// finite is a number that JSON has no word for when it is not finite.
type finite float64

func (f finite) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// MarshalJSON writes the fields of the record's kind; what is not finite is
// null.
func (r Record) MarshalJSON() ([]byte, error) {
	type head struct {
		Kind    string `json:"kind"`
		Name    string `json:"name"`
		Backend string `json:"backend"`
		ISA     string `json:"isa"`
		Threads int    `json:"threads"`
	}
	h := head{r.Kind, r.Name, r.Backend, r.ISA, r.Threads}
	switch r.Kind {
	case KindCheck:
		return json.Marshal(struct {
			head
			Seed     uint64 `json:"seed"`
			Exact    finite `json:"exact"`
			Measured finite `json:"measured"`
			Error    finite `json:"error"`
			Limit    finite `json:"limit"`
			Unit     string `json:"unit"`
			Pass     bool   `json:"pass"`
		}{h, r.Seed, finite(r.Exact), finite(r.Measured), finite(r.Error), finite(r.Limit), r.Unit, r.Pass})
	case KindBench:
		return json.Marshal(struct {
			head
			Value         finite    `json:"value"`
			Unit          string    `json:"unit"`
			MinS          finite    `json:"min_s"`
			MedianS       finite    `json:"median_s"`
			Repeats       int       `json:"repeats"`
			Goal          float64   `json:"goal,omitempty"`
			LimitFraction float64   `json:"limit_fraction,omitempty"`
			LimitedBy     string    `json:"limited_by,omitempty"`
			SamplesS      []float64 `json:"samples_s,omitempty"`
			Bytes         float64   `json:"bytes,omitempty"`
			Sweep         string    `json:"sweep,omitempty"`
			Axis          string    `json:"axis,omitempty"`
			Size          int       `json:"size,omitempty"`
		}{h, finite(r.Value), r.Unit, finite(r.MinS), finite(r.MedianS), r.Repeats, r.Goal, r.LimitFraction, r.LimitedBy, r.SamplesS,
			r.Bytes, r.Sweep, r.Axis, r.Size})
	case KindPeer:
		type who struct {
			head
			Peer    string `json:"peer"`
			Version string `json:"version,omitempty"`
		}
		w := who{h, r.Peer, r.Version}
		if r.Note != "" {
			return json.Marshal(struct {
				who
				Note string `json:"note"`
			}{w, r.Note})
		}
		return json.Marshal(struct {
			who
			Unit        string    `json:"unit"`
			MinS        finite    `json:"min_s"`
			MedianS     finite    `json:"median_s"`
			Repeats     int       `json:"repeats"`
			OursMinS    finite    `json:"ours_min_s"`
			OursMedianS finite    `json:"ours_median_s"`
			Ratio       finite    `json:"ratio"`
			RatioMedian finite    `json:"ratio_median"`
			OtherCores  *float64  `json:"other_cores,omitempty"`
			Noisy       bool      `json:"noisy"`
			Data        string    `json:"data,omitempty"`
			Compared    string    `json:"compared"`
			Seed        uint64    `json:"seed"`
			Exact       finite    `json:"exact"`
			Measured    finite    `json:"measured"`
			Error       finite    `json:"error"`
			Limit       finite    `json:"limit"`
			Pass        bool      `json:"pass"`
			SamplesS    []float64 `json:"samples_s,omitempty"`
		}{w, r.Unit, finite(r.MinS), finite(r.MedianS), r.Repeats, finite(r.OursMinS), finite(r.OursMedianS),
			finite(r.Ratio), finite(r.RatioMedian), r.OtherCores, r.Noisy, r.Data, r.Compared,
			r.Seed, finite(r.Exact), finite(r.Measured), finite(r.Error), finite(r.Limit), r.Pass, r.SamplesS})
	}
	return nil, fmt.Errorf("record %q is of kind %q, want %s", r.Name, r.Kind, kinds)
}

// Report is everything that one run found.
type Report struct {
	Machine Machine  `json:"machine"`
	Version string   `json:"version"`
	Quick   bool     `json:"quick,omitempty"` // a quick run
	Records []Record `json:"records"`
}

// Failed returns the checks that did not pass, and the peers whose results are
// not those of ours.
func (r *Report) Failed() []Record {
	var f []Record
	for _, rec := range r.Records {
		if (rec.Kind == KindCheck || rec.Kind == KindPeer && rec.Note == "") && !rec.Pass {
			f = append(f, rec)
		}
	}
	return f
}

// maxReport bounds the size of a report that ReadReport takes.
const maxReport = 1 << 28

// ReadReport reads a report as rbmbench --json writes it.
func ReadReport(file string) (*Report, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxReport {
		return nil, fmt.Errorf("%s: %d bytes, want a report of at most %d", file, info.Size(), maxReport)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: not a report of rbmbench --json: %w", file, err)
	}
	if r.Records == nil {
		return nil, fmt.Errorf("%s: has no records: want a file that rbmbench --json wrote", file)
	}
	for i, rec := range r.Records {
		if rec.Kind != KindCheck && rec.Kind != KindBench && rec.Kind != KindPeer {
			return nil, fmt.Errorf("%s: record %d is of kind %q, want %s", file, i, rec.Kind, kinds)
		}
	}
	return &r, nil
}
