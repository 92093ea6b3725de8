package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/atomicfile"
	"kadanoff/model/couplings"
)

func init() {
	register(newMerge)
	mergers["enumerate"] = mergeEnumerations
}

// mergers puts the parts of each kind of job together: the command that made
// them, and what makes their texts into the result.
var mergers = map[string]func(names []string, parts [][]byte) (any, error){}

// maxPart bounds the size of a part's file.
const maxPart = 1 << 30

func newMerge(o *cli.Options) *cobra.Command {
	var out, spins string
	cmd := &cobra.Command{
		Use:   "merge FILE...",
		Short: "Put the parts of a job together that --shard made",
		Long: "The files of all the parts of one job, in any order, become the result that the command would have given\n" +
			"without --shard, bit for bit. --spins does the same with the files of spins that kadanoff ising --out wrote.",
		Example: "  kadanoff merge part0.json part1.json --out result.json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("kadanoff merge needs the files that --shard made")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, texts, err := readTexts(args)
			if err != nil {
				return err
			}
			if spins != "" && kind != "ising" {
				return cli.Usage("--spins %s: %s is a part of kadanoff %s, which writes no spins", spins, args[0], kind)
			}
			result, err := mergers[kind](args, texts)
			if err != nil {
				return err
			}
			if spins != "" {
				if err := mergeSpins(spins, args, texts); err != nil {
					return err
				}
			}
			return writeResult(cmd, o, out, result)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write the result to this file, as JSON")
	cmd.Flags().StringVar(&spins, "spins", "", "write the spins of all parts of kadanoff ising to this .npy file")
	return cmd
}

// writeResult prints a result, or writes it to a file as JSON if one is named.
// What --shard makes is for merge and always JSON.
func writeResult(cmd *cobra.Command, o *cli.Options, out string, result any) error {
	write := func(w io.Writer) error { return cli.Write(w, cli.JSON, result) }
	format := o.Format
	switch r := result.(type) {
	case *enumeratePart:
		format = cli.JSON
	case *enumerateResult:
		write = func(w io.Writer) error {
			if err := r.writeJSON(w); err != nil {
				return cli.Unfinished("writing the result: %w", err)
			}
			return nil
		}
		r.Histogram.rows = out == "" && format != cli.JSON
	}
	if out != "" {
		return atomicfile.Write(out, write)
	}
	if format == cli.JSON {
		return write(cmd.OutOrStdout())
	}
	return o.Print(cmd, result)
}

// readTexts reads the parts of a job, all of one kind.
func readTexts(names []string) (kind string, texts [][]byte, err error) {
	for _, name := range names {
		text, err := readPart(name)
		if err != nil {
			return "", nil, err
		}
		var head struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal(text, &head); err != nil || mergers[head.Kind] == nil {
			return "", nil, cli.Usage("%s: not a part of a job, want a file that --shard made", name)
		}
		if kind != "" && head.Kind != kind {
			return "", nil, cli.Usage("%s: a part of kadanoff %s, but %s is one of kadanoff %s", name, head.Kind, names[0], kind)
		}
		kind = head.Kind
		texts = append(texts, text)
	}
	return kind, texts, nil
}

func readPart(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPart+1))
	if err == nil && len(text) > maxPart {
		err = fmt.Errorf("%s: more than %d bytes, want a file that --shard made", name, maxPart)
	}
	return text, err
}

// enumeratePart is what enumerate --shard writes: the job, so that only parts
// of one job go together, and the sums of its leaves.
type enumeratePart struct {
	Kind  string                 `json:"kind"`
	Job   enumeratePartJob       `json:"job"`
	Scale couplings.Scale        `json:"scale"`
	Part  *backend.EnumeratePart `json:"part"`
}

type enumeratePartJob struct {
	Coupling  []int32   `json:"coupling"`
	Field     []int32   `json:"field"`
	Unit      float64   `json:"unit"`
	Betas     []float64 `json:"betas"`
	Lowest    int       `json:"lowest"`
	Moments   bool      `json:"moments"`
	Histogram bool      `json:"histogram"`
	Joint     bool      `json:"joint"`
}

func newEnumeratePart(job *backend.EnumerateJob, scale couplings.Scale, part *backend.EnumeratePart) *enumeratePart {
	return &enumeratePart{
		Kind: "enumerate", Scale: scale, Part: part,
		Job: enumeratePartJob{job.Coupling, job.Field, job.Unit, job.Betas, job.Lowest, job.Moments, job.Histogram, job.Joint},
	}
}

// parseEnumeratePart reads a part, and its job as text that can be compared.
func parseEnumeratePart(text []byte) (*enumeratePart, []byte, error) {
	var p enumeratePart
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, nil, err
	}
	if p.Kind != "enumerate" || p.Part == nil {
		return nil, nil, errors.New("no part of an enumeration")
	}
	job, err := p.jobText()
	return &p, job, err
}

// jobText returns what parts of one job have in common.
func (p *enumeratePart) jobText() ([]byte, error) { return json.Marshal([]any{p.Job, p.Scale}) }

func mergeEnumerations(names []string, texts [][]byte) (any, error) {
	var first enumeratePart
	var firstJob []byte
	var parts []*backend.EnumeratePart
	for i, text := range texts {
		p, job, err := parseEnumeratePart(text)
		if err != nil {
			return nil, cli.Usage("%s: not a whole part of an enumeration, want a file that kadanoff enumerate --shard made", names[i])
		}
		if i == 0 {
			first, firstJob = *p, job
		} else if !bytes.Equal(job, firstJob) {
			return nil, cli.Usage("%s: a part of another job than %s", names[i], names[0])
		}
		parts = append(parts, p.Part)
	}
	j := first.Job
	job := &backend.EnumerateJob{
		Coupling: j.Coupling, Field: j.Field, Unit: j.Unit, Betas: j.Betas,
		Lowest: j.Lowest, Moments: j.Moments, Histogram: j.Histogram, Joint: j.Joint,
	}
	if err := first.Scale.Check(); err != nil {
		return nil, cli.Usage("%s: %v, want a file that kadanoff enumerate --shard made", names[0], err)
	}
	if err := job.Check(); err != nil {
		return nil, cli.Usage("%s: %v", names[0], err)
	}
	e, err := backend.FinishEnumeration(job, parts)
	if err != nil {
		return nil, cli.Usage("%v", err)
	}
	return newEnumerateResult(job, first.Scale, e), nil
}
