package main

import (
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

func (p *isingPart) place() (index, count int, job any) { return p.Index, p.Count, p.Job }

func (p *isingPart) whole() bool {
	return p.Job.Chains >= p.Count && p.Job.Chains <= maxIsingJob && p.Series != nil && p.Series.Check(p.chains()) == nil
}

// mergeIsing puts the chains of all parts in their order and evaluates them.
func mergeIsing(names []string, texts [][]byte) (any, error) {
	parts, err := readParts[isingPart]("ising", names, texts)
	if err != nil {
		return nil, err
	}
	all := parts[0].Series
	for _, p := range parts[1:] {
		all.Append(p.Series)
	}
	r, err := newIsingResult(&parts[0].Job, all)
	if err != nil {
		return nil, cli.Usage("%s: %v", names[0], err)
	}
	return r, nil
}
