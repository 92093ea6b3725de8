package main

import (
	"context"
	"sync"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/exact"
)

// rootSolver solves rows for one lattice and number of hidden units: in bulk
// on a backend where it reaches, with big floats elsewhere.
type rootSolver struct {
	backend backend.Backend
	density *exact.Density
	hidden  int
	threads int
}

// Couplings for which a backend's roots are right to 1e-13.
const (
	bulkLeastK = 1e-8
	bulkMostK  = 700
)

// What a distribution must have for its weights in twice float64's digits to
// say enough: none so small that its low half underflows, and spins that agree
// by more than those digits hold.
const (
	leastWeight = 1e-290
	leastExcess = 1e-8 // of ⟨V²⟩/M over 1
)

// solve fills in W and the residual of each row; a row depends on nothing but
// itself.
func (s *rootSolver) solve(ctx context.Context, rows []solveRow) error {
	bulk := s.density.Visible() <= backend.MaxRootsVisible && s.hidden <= backend.MaxRootsHidden
	ring := len(rows) > 0 && rows[0].Lattice == ""
	var couplings, others []int
	for i, row := range rows {
		if bulk && ring && row.TMin == nil && (*row.K <= 0 || *row.K >= bulkLeastK && *row.K <= bulkMostK) {
			couplings = append(couplings, i)
		} else {
			others = append(others, i)
		}
	}
	if len(couplings) > 0 {
		job := backend.RootsJob{Visible: s.density.Visible(), Hidden: s.hidden, K: make([]float64, len(couplings))}
		for i, row := range couplings {
			job.K[i] = *rows[row].K
		}
		if err := s.run(ctx, job, rows, couplings); err != nil {
			return err
		}
	}
	if len(others) == 0 {
		return nil
	}
	return s.solveMarginals(ctx, rows, others, bulk)
}

// run carries out a job whose problems are the rows at the given indices.
func (s *rootSolver) run(ctx context.Context, job backend.RootsJob, rows []solveRow, index []int) error {
	dst := backend.RootsResult{W: make([]float64, len(index)), Residual: make([]float64, len(index))}
	if err := s.backend.Roots(ctx, job, dst); err != nil {
		return err
	}
	for i, row := range index {
		rows[row].W, rows[row].Residual = cli.Float(dst.W[i]), cli.Float(dst.Residual[i]+0) // no −0
	}
	return nil
}

// solveMarginals solves rows by their distributions of V.
func (s *rootSolver) solveMarginals(ctx context.Context, rows []solveRow, index []int, bulk bool) error {
	high, low := make([][]float64, len(index)), make([][]float64, len(index))
	errs := make([]error, len(index))
	work := make(chan int)
	var wg sync.WaitGroup
	for range min(s.threads, len(index)) {
		wg.Go(func() {
			for i := range work {
				row := &rows[index[i]]
				m, err := rowMarginal(s.density, row)
				if err != nil {
					errs[i] = err
					continue
				}
				if bulk && m.Chi()-1 >= leastExcess {
					high[i], low[i] = m.Split()
				}
				if high[i] == nil || smallest(high[i]) < leastWeight {
					high[i] = nil
					var root exact.Root
					root, errs[i] = m.Solve(s.hidden)
					row.W, row.Residual = cli.Float(root.W), cli.Float(root.Residual+0) // no −0
				}
			}
		})
	}
	for i := range index {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	var left []int
	for i, err := range errs {
		if err != nil {
			return cli.Usage("%w", err)
		}
		if high[i] != nil {
			left = append(left, i)
		}
	}
	if len(left) == 0 {
		return nil
	}
	job := backend.RootsJob{Visible: s.density.Visible(), Hidden: s.hidden, Count: len(left)}
	at := make([]int, len(left))
	for j := range job.Values() {
		for i, k := range left {
			job.Weight, job.Low = append(job.Weight, high[k][j]), append(job.Low, low[k][j])
			at[i] = index[k]
		}
	}
	return s.run(ctx, job, rows, at)
}

func smallest(x []float64) float64 {
	least := x[0]
	for _, y := range x {
		least = min(least, y)
	}
	return least
}

// rowMarginal returns the distribution of V that a row asks for.
func rowMarginal(d *exact.Density, row *solveRow) (*exact.Marginal, error) {
	switch {
	case row.TMin != nil:
		return d.Over(*row.TMin, *row.TMax)
	case row.T != nil:
		return d.AtTemperature(*row.T)
	}
	return d.At(*row.K)
}
