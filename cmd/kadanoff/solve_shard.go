package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"kadanoff/cmd/internal/cli"
)

func init() { mergers["solve"] = mergeSolutions }

// solvePart is what solve --shard writes: consecutive rows of a job, and a
// digest of all that it asks for, so that only parts of one job go together.
type solvePart struct {
	Kind  string            `json:"kind"`
	Job   string            `json:"job"`
	Index int               `json:"index"`
	Count int               `json:"count"`
	Rows  []json.RawMessage `json:"rows"`
	rows  []solveRow
}

// newSolvePart cuts a part out of the rows, before they are solved.
func newSolvePart(rows []solveRow, shard cli.Shard) (*solvePart, error) {
	if shard.Count > len(rows) {
		return nil, cli.Usage("--shard %v: want at most %d parts, one for each row", &shard, len(rows))
	}
	asked, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(asked)
	first, end := shard.Index*len(rows)/shard.Count, (shard.Index+1)*len(rows)/shard.Count
	return &solvePart{
		Kind: "solve", Job: hex.EncodeToString(digest[:]), Index: shard.Index, Count: shard.Count, rows: rows[first:end],
	}, nil
}

// MarshalJSON writes the rows as they are when solved.
func (p *solvePart) MarshalJSON() ([]byte, error) {
	out := *p
	for i := range p.rows {
		text, err := json.Marshal(&p.rows[i])
		if err != nil {
			return nil, err
		}
		out.Rows = append(out.Rows, text)
	}
	type plain solvePart
	return json.Marshal((*plain)(&out))
}

func (p *solvePart) place() (index, count int, job any) { return p.Index, p.Count, p.Job }
func (p *solvePart) whole() bool                        { return len(p.Rows) > 0 }

// mergeSolutions puts the rows of all parts one after another.
func mergeSolutions(names []string, texts [][]byte) (any, error) {
	parts, err := readParts[solvePart]("solve", names, texts)
	if err != nil {
		return nil, err
	}
	var rows []json.RawMessage
	for _, p := range parts {
		rows = append(rows, p.Rows...)
	}
	return rows, nil
}
