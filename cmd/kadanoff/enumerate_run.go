package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/atomicfile"
	"kadanoff/model/couplings"
)

// enumerateRun visits the leaves of a job piece after piece, so that what is
// done can be kept. Pieces join to the bits of one.
type enumerateRun struct {
	backend backend.Backend
	job     *backend.EnumerateJob
	scale   couplings.Scale
	path    string // of the checkpoint: a part of the job, as --shard makes
	now     <-chan os.Signal

	first, last int
	done        backend.EnumeratePart
	saved       time.Time
}

const (
	checkpointEvery = 5 * time.Minute
	// pieceTime is about how long a piece takes. A signal loses one at most;
	// each has to make its tables anew, which takes milliseconds.
	pieceTime = 2 * time.Second
)

// start reads what an earlier run has done, if the run is to go on.
func (r *enumerateRun) start(resume bool) error {
	r.first, r.last = r.job.Range()
	r.done = backend.EnumeratePart{First: r.first, Last: r.first}
	r.saved = time.Now()
	text, err := readPart(r.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !resume:
		return cli.Usage("%s: holds an unfinished run: --resume goes on with it; remove it to begin anew", r.path)
	}
	p, job, err := parseEnumeratePart(text)
	if err != nil {
		return cli.Usage("%s: not a checkpoint of kadanoff enumerate: %v", r.path, err)
	}
	want, err := newEnumeratePart(r.job, r.scale, nil).jobText()
	if err != nil {
		return err
	}
	if !bytes.Equal(job, want) || p.Part.First != r.first || p.Part.Last > r.last {
		return cli.Usage("%s: a checkpoint of another job, want the couplings and flags of the run that left it", r.path)
	}
	if err := r.done.Append(r.job, p.Part); err != nil {
		return cli.Usage("%s: not a checkpoint of kadanoff enumerate: %v", r.path, err)
	}
	return nil
}

// run visits the leaves that are left.
func (r *enumerateRun) run(ctx context.Context) error {
	if r.first == r.last { // a shard of more than there are leaves
		part, err := r.backend.Enumerate(ctx, r.job)
		if err == nil {
			r.done = *part
		}
		return err
	}
	info := r.backend.Info()
	// Leaves that are done at once: no fewer than threads, and as many as take a
	// second or less.
	states := uint64(1) << 30
	if info.Backend == "ref" {
		states = 1 << 16
	}
	perLeaf := uint64(1) << (r.job.Spins() - r.job.Layout().Leaf)
	least := max(1, info.Threads)
	size := max(least, int(min(states/perLeaf, backend.MaxLeaves)))
	for r.done.Last < r.last {
		piece := *r.job
		piece.From, piece.To = r.done.Last, min(r.done.Last+size, r.last)
		if report := r.job.Progress; report != nil {
			from, share := float64(r.done.Last-r.first), float64(piece.To-piece.From)
			piece.Progress = func(fraction float64) { report((from + float64(fraction*share)) / float64(r.last-r.first)) }
		}
		began := time.Now()
		part, err := r.backend.Enumerate(ctx, &piece)
		if err != nil {
			return r.interrupted(ctx, err)
		}
		if err := r.done.Append(r.job, part); err != nil {
			return err
		}
		switch took := time.Since(began); {
		case took < pieceTime/2:
			size = min(2*size, backend.MaxLeaves)
		case took > 2*pieceTime:
			size = max(least, size/2)
		}
		asked := false
		select {
		case <-r.now:
			asked = true
		default:
		}
		if asked || time.Since(r.saved) > checkpointEvery {
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// interrupted keeps what is done and returns the error of the run.
func (r *enumerateRun) interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil || r.done.Last == r.done.First {
		return err
	}
	if failed := r.save(); failed != nil {
		return fmt.Errorf("%w; what was done is lost: %v", context.Cause(ctx), failed)
	}
	return fmt.Errorf("%w; %s has %d of %d leaves, --resume goes on with them", context.Cause(ctx), r.path, r.done.Last-r.first, r.last-r.first)
}

func (r *enumerateRun) save() error {
	r.saved = time.Now()
	return atomicfile.Write(r.path, func(w io.Writer) error {
		return cli.Write(w, cli.JSON, newEnumeratePart(r.job, r.scale, &r.done))
	})
}

// drop removes the checkpoint of a finished run.
func (r *enumerateRun) drop() error {
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
