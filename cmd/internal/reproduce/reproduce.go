// Package reproduce makes the figures and tables of the thesis, and what lies
// beyond them: from exact values, and from experiments of package experiment.
package reproduce

import (
	"context"
	"math"
	"runtime"
	"sync"

	"kadanoff/backend"
	"kadanoff/cmd/internal/document"
	"kadanoff/report"
)

// Options choose how much is computed.
type Options struct {
	Quick   bool   // coarser grids and smaller lattices
	Seed    uint64 // of the sampled configurations and of starting weights
	Threads int    // 0 for all cores
	// Open opens the backend that experiments run on, with a number of threads.
	Open func(threads int) (backend.Backend, error)
}

// table is short for a table of the document.
type table = document.Table

// builder is what the sections are made with.
type builder struct {
	Options
	ctx context.Context
	*document.Document
}

// Build computes everything. It returns early with the context's error.
func Build(ctx context.Context, o Options) (*document.Document, error) {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	b := &builder{Options: o, ctx: ctx, Document: &document.Document{Page: report.Page{
		Title: "The renormalization group and restricted Boltzmann machines",
		Lead: "Figures and tables of the thesis “Renormalization Group connected to Neural Networks”, redrawn from exact values, " +
			"and what it left open; at the end the experiments that it starts from, in one and two dimensions. M and N are the numbers of visible and hidden units, K = J/T, T in units of J/k_B; " +
			"a uniform RBM has one weight W for all pairs and no biases.",
		Foot: "Every number on this page is computed by the program that made it; tables/ has them with all digits, figures/ has the figures.",
	}}}
	for _, section := range []func(*builder) error{
		neuron, decimation, decimatedConfigurations,
		matching, sizes, divergence, flows, ranges,
		criticalCouplings, fullWeights, contrastiveDivergence,
		rings, lattices,
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := section(b); err != nil {
			return nil, err
		}
	}
	return b.Document, nil
}

// pick returns full, or quick when that was asked for.
func (b *builder) pick(full, quick int) int {
	if b.Quick {
		return quick
	}
	return full
}

// each calls f for 0 … n−1 on several threads and returns the first error by
// index.
func (b *builder) each(n int, f func(i int) error) error {
	errs := make([]error, n)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(b.Threads, n) {
		wg.Go(func() {
			for i := range next {
				if errs[i] = b.ctx.Err(); errs[i] == nil {
					errs[i] = f(i)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// linear returns n points from a to b.
func linear(a, b float64, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = a + (b-a)*float64(i)/float64(n-1)
	}
	return x
}

// geometric returns n points from a to b, evenly spaced in their logarithm.
func geometric(a, b float64, n int) []float64 {
	x := linear(math.Log(a), math.Log(b), n)
	for i := range x {
		x[i] = math.Exp(x[i])
	}
	return x
}
