package main

import (
	"encoding/json"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/ising"
)

func init() { mergers["ising"] = mergeIsing }

// isingJob is what parts of one job have in common.
type isingJob struct {
	Lattice   string  `json:"lattice"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	T         float64 `json:"t"`
	Algorithm string  `json:"algorithm"`
	Start     string  `json:"start"`
	Seed      uint64  `json:"seed"`
	Chains    int     `json:"chains"`
	Sweeps    int     `json:"sweeps"`
	BurnIn    int     `json:"burn_in"`
}

// isingPart is what ising --shard writes: the measurements of some chains.
type isingPart struct {
	Kind   string        `json:"kind"`
	Job    isingJob      `json:"job"`
	Index  int           `json:"index"`
	Count  int           `json:"count"`
	Series *ising.Series `json:"series"`
}

// chains returns how many chains the part has.
func (p *isingPart) chains() int {
	return (p.Index+1)*p.Job.Chains/p.Count - p.Index*p.Job.Chains/p.Count
}

// mergeIsing puts the chains of all parts in their order and evaluates them.
func mergeIsing(names []string, texts [][]byte) (any, error) {
	parts := make([]*isingPart, len(texts))
	var job isingJob
	for i, text := range texts {
		var p isingPart
		if err := json.Unmarshal(text, &p); err != nil || p.Count < 1 || p.Index < 0 || p.Index >= p.Count ||
			p.Job.Chains < p.Count || p.Job.Chains > maxIsingJob || p.Series == nil || p.Series.Check(p.chains()) != nil {
			return nil, cli.Usage("%s: not a whole part, want a file that kadanoff ising --shard made", names[i])
		}
		if i == 0 {
			job = p.Job
		}
		switch {
		case p.Count != len(texts):
			return nil, cli.Usage("%s: one of %d parts, but %d files are given", names[i], p.Count, len(texts))
		case p.Job != job:
			return nil, cli.Usage("%s: a part of another job than %s", names[i], names[0])
		case parts[p.Index] != nil:
			return nil, cli.Usage("%s: part %d is given twice", names[i], p.Index)
		}
		parts[p.Index] = &p
	}
	all := parts[0].Series
	for _, p := range parts[1:] {
		all.Append(p.Series)
	}
	r, err := newIsingResult(&job, all)
	if err != nil {
		return nil, cli.Usage("%s: %v", names[0], err)
	}
	return r, nil
}
