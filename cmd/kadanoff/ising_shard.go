package main

import (
	"slices"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/ising"
	"kadanoff/model/npy"
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

	Correlations int `json:"correlations,omitempty"` // sweeps between measurements
	Every        int `json:"every,omitempty"`        // and between the draws of a file
}

// isingPart is what ising --shard writes: the measurements of some chains.
type isingPart struct {
	Kind   string        `json:"kind"`
	Job    isingJob      `json:"job"`
	Index  int           `json:"index"`
	Count  int           `json:"count"`
	Series *ising.Series `json:"series"`

	Correlations *ising.Correlations `json:"correlations,omitempty"`
	Spins        string              `json:"spins,omitempty"` // file of the states
}

// chains returns how many chains the part has.
func (p *isingPart) chains() int {
	return (p.Index+1)*p.Job.Chains/p.Count - p.Index*p.Job.Chains/p.Count
}

func (p *isingPart) place() (index, count int, job any) { return p.Index, p.Count, p.Job }

func (p *isingPart) whole() bool {
	j := &p.Job
	if j.Chains < p.Count || j.Chains > maxIsingJob || p.Series == nil || p.Series.Check(p.chains()) != nil ||
		j.Width < 1 || j.Height < 1 || j.Width > maxIsingJob/j.Height || j.Every < 0 || j.Sweeps < 1 {
		return false
	}
	if j.Correlations == 0 {
		return p.Correlations == nil
	}
	return p.Correlations != nil && p.Correlations.Check(ising.Distances(j.Width, j.Height), p.chains()) == nil
}

// mergeIsing puts the chains of all parts in their order and evaluates them.
func mergeIsing(names []string, texts [][]byte) (any, error) {
	parts, err := readParts[isingPart]("ising", names, texts)
	if err != nil {
		return nil, err
	}
	all := parts[0]
	for _, p := range parts[1:] {
		all.Series.Append(p.Series)
		if all.Correlations != nil {
			all.Correlations.Append(p.Correlations)
		}
	}
	r, err := all.result()
	if err != nil {
		return nil, cli.Usage("%s: %v", names[0], err)
	}
	return r, nil
}

// mergeSpins puts the states of all parts into one file: the chains of each
// draw in their order.
func mergeSpins(path string, names []string, texts [][]byte) error {
	parts, err := readParts[isingPart]("ising", names, texts)
	if err != nil {
		return err
	}
	job := &parts[0].Job
	sites := job.Width * job.Height
	draws, shape := 1, []int{job.Chains, sites}
	if job.Every > 0 {
		draws = job.Sweeps / job.Every
		shape = []int{draws, job.Chains, sites}
	}
	files := make([]*npy.Reader, len(parts))
	for i, p := range parts {
		if p.Spins == "" {
			return cli.Usage("--spins %s: part %d was made without --out", path, i)
		}
		if files[i], err = npy.Open(p.Spins); err != nil {
			return err
		}
		defer files[i].Close()
		want := slices.Clone(shape)
		want[len(want)-2] = p.chains()
		if f := files[i]; !slices.Equal(f.Shape, want) || f.DType.String() != "int8" || f.Fortran {
			return cli.Usage("%s: %v of shape %v, want int8 of shape %v in C order, as part %d has written it", p.Spins, f.DType, f.Shape, want, i)
		}
	}
	out, err := npy.Create[int8](path, shape...)
	if err != nil {
		return err
	}
	defer out.Abort()
	buffer := make([]float64, 1<<14)
	spins := make([]int8, len(buffer))
	for range draws {
		for i, p := range parts {
			for left := p.chains() * sites; left > 0; {
				n, err := files[i].Read(buffer[:min(left, len(buffer))])
				if err != nil {
					return err
				}
				for k, x := range buffer[:n] {
					if x != 1 && x != -1 {
						return cli.Usage("%s: holds %v, want +1 and -1", p.Spins, x)
					}
					spins[k] = int8(x)
				}
				if err := out.Write(spins[:n]); err != nil {
					return err
				}
				left -= n
			}
		}
	}
	return out.Commit()
}
