package main

import (
	"context"
	"math"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
)

// largestK is the largest |K| that solve takes; beyond it W is 2K/N and a
// constant to all digits.
const largestK = 1e8

// inBulk reports whether a backend can solve the rows: couplings of rings
// within its sizes. Everything else is solved in big floats, row by row.
func (s *solveFlags) inBulk(rows []solveRow) bool {
	if s.lattice != "ring" || s.visible > backend.MaxRootsVisible || s.hidden > backend.MaxRootsHidden {
		return false
	}
	for _, r := range rows {
		if r.K == nil || r.T != nil || !(math.Abs(*r.K) <= largestK) {
			return false
		}
	}
	return true
}

// solveBulk fills in W and the residual of each row on the backend that the
// flags name.
func solveBulk(ctx context.Context, o *cli.Options, rows []solveRow) (err error) {
	b, err := openBackend(o)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := b.Close(); err == nil {
			err = cerr
		}
	}()
	k := make([]float64, len(rows))
	for i, r := range rows {
		k[i] = *r.K
	}
	result := backend.RootsResult{W: make([]float64, len(k)), Residual: make([]float64, len(k))}
	job := backend.RootsJob{Visible: rows[0].Visible, Hidden: rows[0].Hidden, K: k}
	if err := b.Roots(ctx, job, result); err != nil {
		return err
	}
	for i := range rows {
		rows[i].W, rows[i].Residual = cli.Float(result.W[i]), cli.Float(result.Residual[i]+0) // no −0
	}
	return nil
}
