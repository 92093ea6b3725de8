package main

import (
	"encoding/json"

	"kadanoff/cmd/internal/cli"
)

// jobPart is a part of a job that --shard made.
type jobPart interface {
	// place returns which part it is, of how many, and what the parts of one job
	// have in common, which can be compared.
	place() (index, count int, job any)
	// whole reports whether it has what it says that it has; index and count are
	// known to fit.
	whole() bool
}

// readParts reads the texts of all parts of one job that a command made, and
// returns the parts in their order.
func readParts[P any, PP interface {
	*P
	jobPart
}](command string, names []string, texts [][]byte) ([]PP, error) {
	parts := make([]PP, len(texts))
	var first any
	for i, text := range texts {
		p := PP(new(P))
		err := json.Unmarshal(text, p)
		index, count, job := p.place()
		if err != nil || count < 1 || index < 0 || index >= count || !p.whole() {
			return nil, cli.Usage("%s: not a whole part, want a file that kadanoff %s --shard made", names[i], command)
		}
		if i == 0 {
			first = job
		}
		switch {
		case count != len(texts):
			return nil, cli.Usage("%s: one of %d parts, but %d files are given", names[i], count, len(texts))
		case job != first:
			return nil, cli.Usage("%s: a part of another job than %s", names[i], names[0])
		case parts[index] != nil:
			return nil, cli.Usage("%s: part %d is given twice", names[i], index)
		}
		parts[index] = p
	}
	return parts, nil
}
