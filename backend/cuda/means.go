//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"math"

	"gorgonia.org/cu"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
)

// Means iterates real-valued configurations on the devices, chains in panels
// of kernels.PanelColumns.
func (b *Backend) Means(ctx context.Context, job backend.MeansJob) error {
	if err := job.CheckContext(ctx); err != nil {
		return err
	}
	n := job.Network
	visible, hidden, w := n.Layers[0], n.Layers[1], n.Blocks[0].W
	if b.auto && !b.worthwhile(len(w), job.Chains*max(job.Steps, 1)) {
		return b.Backend.Means(ctx, job)
	}
	// Both orders of the weights, so that inputs are rows.
	byVisible, byHidden := make([]float64, len(w)), make([]float64, len(w))
	for k, x := range w {
		byVisible[k] = float64(x)
		byHidden[k%hidden*visible+k/hidden] = float64(x)
	}
	bias := make([]float64, n.Units())
	for u, x := range n.Bias {
		bias[u] = float64(x)
	}
	unit := math.Float64bits(math.Ldexp(1, -int(n.Frac)))
	return b.shares(job.Chains, kernels.PanelColumns, func(d *device, lo, hi int) error {
		var up, down, biases, v, h memory
		const doing = "iterating means"
		half := func(w *memory, bias int, x, out *memory, units, inputs, panels int) error {
			return d.launch("mean_field", panels, min(blocks(int64(units), kernels.PanelRows), kernels.MaxGridY), 1, 128,
				w.u(0), biases.u(int64(8*bias)), x.u(0), out.u(0), uint64(units), uint64(inputs), unit)
		}
		err := d.do(doing, func() error {
			for _, err := range []error{fill(&up, byVisible), fill(&down, byHidden), fill(&biases, bias)} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		size := max(1, pieceBytes/(8*kernels.PanelColumns*n.Units())) * kernels.PanelColumns
		if err == nil {
			err = eachPiece(ctx, lo, hi, size, func(lo, hi int) error {
				panels := blocks(int64(hi-lo), kernels.PanelColumns)
				hostV, hostH := toPanels(job.Visible[lo*visible:hi*visible], visible), make([]float64, panels*kernels.PanelColumns*hidden)
				if err := d.do(doing, func() error { return cmp.Or(fill(&v, hostV), fill(&h, hostH)) }); err != nil {
					return err
				}
				if err := paced(ctx, job.Steps, 0, func(steps int) error {
					return d.do(doing, func() error {
						for range steps {
							if err := half(&up, visible, &v, &h, hidden, visible, panels); err != nil {
								return err
							}
							if err := half(&down, 0, &h, &v, visible, hidden, panels); err != nil {
								return err
							}
						}
						return cu.Synchronize()
					})
				}); err != nil {
					return err
				}
				if err := d.do(doing, func() error { return cmp.Or(fetch(hostV, &v), fetch(hostH, &h)) }); err != nil {
					return err
				}
				fromPanels(job.Visible[lo*visible:hi*visible], hostV, visible)
				if job.Hidden != nil {
					fromPanels(job.Hidden[lo*hidden:hi*hidden], hostH, hidden)
				}
				return nil
			})
		}
		return cmp.Or(err, d.do("freeing means", func() error {
			return cmp.Or(up.free(), down.free(), biases.free(), v.free(), h.free())
		}))
	})
}

// toPanels turns [chain][unit] into [panel][unit][kernels.PanelColumns], with
// zeros for chains that do not exist.
func toPanels(x []float64, units int) []float64 {
	chains := len(x) / units
	out := make([]float64, blocks(int64(chains), kernels.PanelColumns)*kernels.PanelColumns*units)
	for c := range chains {
		for u, v := range x[c*units : (c+1)*units] {
			out[(c/kernels.PanelColumns*units+u)*kernels.PanelColumns+c%kernels.PanelColumns] = v
		}
	}
	return out
}

// fromPanels turns them back.
func fromPanels(dst, x []float64, units int) {
	for i := range dst {
		c, u := i/units, i%units
		dst[i] = x[(c/kernels.PanelColumns*units+u)*kernels.PanelColumns+c%kernels.PanelColumns]
	}
}
