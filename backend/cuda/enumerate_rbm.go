//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"math"
	"sync"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
)

// EnumerateRBM sums the states of the smaller layer on the devices. Moments, and
// networks whose fields are so large that products do not serve, are left to
// the CPU.
func (b *Backend) EnumerateRBM(ctx context.Context, job *backend.EnumerateRBMJob) (*backend.RBMEnumeration, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	s := job.States()
	if job.Moments || s.Split == 0 || b.auto && int64(s.Others)<<s.Units < int64(b.Backend.Info().Threads)<<26 {
		return b.Backend.EnumerateRBM(ctx, job)
	}
	leaves := make([]backend.RBMLeaf, s.Leaves())
	cols := min(kernels.PanelColumns, 1<<s.G)
	panels := 1 << (s.G - s.Leaf) / cols // of a leaf
	var mu sync.Mutex
	done := 0
	if err := b.shares(len(leaves), 1, func(d *device, lo, hi int) error {
		x := rbmDevice{d: d, s: s}
		const doing = "enumerating"
		err := d.do(doing, x.load)
		at := lo * panels
		if err == nil {
			err = paced(ctx, (hi-lo)*panels, max(1, pieceBytes/(8*kernels.PanelColumns*s.Others+16*x.blocks())), func(n int) error {
				sums := make([]scaled, n*x.blocks())
				if err := d.do(doing, func() error { return x.run(at, n, sums) }); err != nil {
					return err
				}
				for i, t := range sums {
					leaves[(at+i/x.blocks())/panels].Add(t.exponent, t.mantissa)
				}
				at += n
				if job.Progress != nil {
					mu.Lock()
					defer mu.Unlock()
					done += n
					job.Progress(float64(done) / float64(len(leaves)*panels))
				}
				return nil
			})
		}
		return cmp.Or(err, d.do("freeing an enumeration", x.free))
	}); err != nil {
		return nil, err
	}
	return job.Finish(leaves)
}

// scaled is mantissa·2^exponent, as the device has it.
type scaled struct {
	mantissa float64
	exponent int64
}

// rbmDevice is an EnumerateRBMJob on one device.
type rbmDevice struct {
	d *device
	s *backend.RBMStates
	w, bias, own, y, rows,
	x, columns, sums memory
}

// blocks is the number of tiles beside a panel.
func (x *rbmDevice) blocks() int { return max(1, 1<<x.s.L/kernels.TileRows) }

// load brings what no panel changes to the device.
func (x *rbmDevice) load() error {
	s := x.s
	own, constant := make([]int64, s.Units), int64(0)
	for a, c := range s.Own {
		own[a] = int64(c)
		for i := range s.Others {
			own[a] -= int64(s.W[i*s.Units+a])
		}
	}
	for _, c := range s.Bias {
		constant -= int64(c)
	}
	rows := kernels.TileRows * x.blocks()
	for _, err := range []error{
		fill(&x.w, s.W), fill(&x.bias, s.Bias), fill(&x.own, own),
		hold[float64](&x.y, int64(rows)*int64(s.Others)), hold[scaled](&x.rows, int64(rows)),
	} {
		if err != nil {
			return err
		}
	}
	return x.d.launch("rbm_rows", blocks(int64(rows), 128), min(s.Others, kernels.MaxGridY), 1, 128, x.w.u(0), x.bias.u(0), x.own.u(0), x.y.u(0), x.rows.u(0),
		uint64(s.Others), uint64(s.Units), uint64(s.L), uint64(constant), math.Float64bits(s.Unit))
}

// run sums the tiles of n panels from panel at on.
func (x *rbmDevice) run(at, n int, sums []scaled) error {
	s := x.s
	for _, err := range []error{
		hold[float64](&x.x, int64(n)*int64(s.Others)*kernels.PanelColumns), hold[scaled](&x.columns, int64(n)*kernels.PanelColumns),
		hold[scaled](&x.sums, int64(len(sums))),
	} {
		if err != nil {
			return err
		}
	}
	if err := x.d.launch("rbm_columns", n, 1, 1, 128, x.w.u(0), x.own.u(int64(8*s.L)), x.x.u(0), x.columns.u(0),
		uint64(s.Others), uint64(s.Units), uint64(s.L), uint64(at)*kernels.PanelColumns, math.Float64bits(s.Unit)); err != nil {
		return err
	}
	if err := x.d.launch("rbm_tiles", n, blocks(int64(x.blocks()), kernels.TileBlocks), 1, 128, x.y.u(0), x.x.u(0), x.rows.u(0), x.columns.u(0), x.sums.u(0),
		uint64(s.Others), uint64(s.Split), uint64(x.blocks())); err != nil {
		return err
	}
	return fetch(sums, &x.sums)
}

func (x *rbmDevice) free() error {
	var errs []error
	for _, m := range []*memory{&x.w, &x.bias, &x.own, &x.y, &x.rows, &x.x, &x.columns, &x.sums} {
		errs = append(errs, m.free())
	}
	return cmp.Or(errs...)
}
