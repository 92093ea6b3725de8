// Package experiment carries out whole experiments in steps: Iso, the flow of
// two-dimensional Ising configurations through restricted Boltzmann machines
// with a network that reads their temperature (S. Iso, S. Shiba, S. Yokoo, Phys.
// Rev. E 97 (2018) 053304, arXiv 1801.07172), and Ring, the same in one
// dimension, where all of it is known exactly.
//
// A folder keeps what is finished. The same settings give the same tables,
// however often an experiment was interrupted and on any number of threads.
package experiment

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"kadanoff/backend"
	"kadanoff/model/data"
	"kadanoff/train"
)

// Options say how an experiment goes on; none of them decides its result.
type Options struct {
	Dir     string
	Threads int // at least 1
	// Open opens the backend that the work runs on, with a number of threads.
	Open func(threads int) (backend.Backend, error)
	// Log receives a line for each step.
	Log func(format string, args ...any)
}

// each calls f for 0 … n−1, several at a time, each with a backend of its own
// that has one thread; a GPU takes one after another. The first error ends it.
func (o *Options) each(ctx context.Context, n int, f func(ctx context.Context, be backend.Backend, i int) error) error {
	if n == 0 {
		return nil
	}
	workers := min(o.Threads, n)
	backends := make([]backend.Backend, 0, workers)
	defer func() {
		for _, b := range backends {
			b.Close()
		}
	}()
	for len(backends) < workers {
		b, err := o.Open(1)
		if err != nil {
			return err
		}
		if backends = append(backends, b); b.Info().Backend == "cuda" {
			workers = len(backends)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan int)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w, b := range backends {
		wg.Go(func() {
			for i := range next {
				if errs[w] = f(ctx, b, i); errs[w] != nil {
					cancel()
					return
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	var stopped error
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		if err != nil {
			stopped = err
		}
	}
	if stopped == nil {
		stopped = ctx.Err()
	}
	return stopped
}

// carryOut takes steps one after another. An interruption is the context's own
// error, whatever a step says about it.
func carryOut(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			if errors.Is(err, context.Canceled) && ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
	return nil
}

// pack returns configurations of ±1, [rows][width], as a source to train on.
func pack(spins []int8, width int) (train.Source, error) {
	stride := (width + 63) / 64
	words := make([]uint64, len(spins)/width*stride)
	for i, s := range spins {
		if s > 0 {
			words[i/width*stride+i%width/64] |= 1 << (i % width % 64)
		}
	}
	set, err := data.New("configurations", words, width)
	if err != nil {
		return nil, err
	}
	return train.Fixed{Set: set}, nil
}

// list is a list of whole numbers, the value of a flag.
type list []int

// String returns the numbers with commas between.
func (l list) String() string {
	parts := make([]string, len(l))
	for i, x := range l {
		parts[i] = strconv.Itoa(x)
	}
	return strings.Join(parts, ",")
}

// ParseList reads whole numbers separated by commas, each at least 1 and none
// twice, given to a flag.
func ParseList(flag, text string) ([]int, error) {
	var out []int
	seen := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("--%s %q: want whole numbers of at least 1, separated by commas", flag, text)
		}
		if seen[n] {
			return nil, fmt.Errorf("--%s %q: %d is there twice", flag, text, n)
		}
		seen[n] = true
		out = append(out, n)
	}
	return out, nil
}
