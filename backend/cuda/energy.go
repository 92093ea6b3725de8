//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"gorgonia.org/cu"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
	"kadanoff/spin/fmath"
)

// shares cuts n things into one range for each device, in whole grains, and
// calls f for all of them at once.
func (b *Backend) shares(n, grain int, f func(d *device, lo, hi int) error) error {
	grains := (n + grain - 1) / grain
	parts := min(len(b.devices), grains)
	errs := make([]error, parts)
	var wait sync.WaitGroup
	for i := range parts {
		wait.Go(func() {
			errs[i] = f(b.devices[i], grains*i/parts*grain, min(n, grains*(i+1)/parts*grain))
		})
	}
	wait.Wait()
	return cmp.Or(errs...)
}

// pieceBytes is how much memory of a device a piece of a job takes, and how much
// of a trainer's state is copied between two looks at a context.
const pieceBytes = 128 << 20

// piece is how many chains of so many bytes each are a piece, in whole blocks.
func piece(bytes int) int {
	n := pieceBytes / max(bytes, 1) / kernels.BlockChains * kernels.BlockChains
	return min(max(n, kernels.BlockChains), 1<<16)
}

// eachPiece calls f for the chains from lo to hi, at most size at a time, until
// ctx ends.
func eachPiece(ctx context.Context, lo, hi, size int, f func(lo, hi int) error) error {
	for ; lo < hi; lo += size {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(lo, min(hi, lo+size)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// given is spins of some chains on a device, [word][chain].
type given struct {
	rows, spins memory
	words       int
	stride      int
}

// take brings the units of each range of s to the device, chains lo to hi, lo a
// multiple of kernels.BlockChains; each range starts with a word of its own.
func (g *given) take(d *device, s *spin.Batch, lo, hi int, layers ...int) error {
	g.words, g.stride = 0, padded(hi-lo)
	size := g.stride / 64
	for _, n := range layers {
		g.words += wordsOf(n)
	}
	host := make([]uint64, g.words*kernels.WordUnits*size)
	place, u := 0, 0
	for _, n := range layers {
		for i := range n {
			copy(host[(place+i)*size:(place+i+1)*size], s.Row(u)[lo/64:])
			u++
		}
		place += wordsOf(n) * kernels.WordUnits
	}
	if err := fill(&g.rows, host); err != nil {
		return err
	}
	if err := hold[uint32](&g.spins, int64(g.words)*int64(g.stride)); err != nil {
		return err
	}
	return d.launch("rows_to_spins", g.stride/128, min(g.words, kernels.MaxGridY), 1, 128,
		g.rows.u(0), g.spins.u(0), uint64(g.words), uint64(g.stride))
}

func (g *given) free() error { return cmp.Or(g.rows.free(), g.spins.free()) }

// Energy computes exact energies: an RBM's from its hidden fields, any other
// network's from lists of couplings.
func (b *Backend) Energy(ctx context.Context, job backend.EnergyJob, dst []int64) error {
	if err := job.CheckContext(ctx, dst); err != nil {
		return err
	}
	couplings := 0
	for k := range job.Network.Blocks {
		couplings += len(job.Network.Blocks[k].W)
	}
	if b.auto && !b.worthwhile(couplings, len(dst)) {
		return b.Backend.Energy(ctx, job, dst)
	}
	rbm := backend.CheckRBM(job.Network) == nil && wordsOf(job.Network.Layers[1]) <= kernels.MaxGridY
	var l lists
	if !rbm {
		if l = listsOf(job.Network); len(l.unit) >= 1<<31 {
			return b.Backend.Energy(ctx, job, dst)
		}
	}
	return b.shares(len(dst), kernels.BlockChains, func(d *device, lo, hi int) error {
		e := energies{d: d, n: job.Network, rbm: rbm}
		err := d.do("computing energies", func() error { return e.load(&l) })
		if err == nil {
			err = eachPiece(ctx, lo, hi, piece(job.Network.Units()/8+16), func(lo, hi int) error {
				return d.do("computing energies", func() error { return e.run(job.States, lo, hi, dst[lo:hi]) })
			})
		}
		return cmp.Or(err, d.do("freeing energies", e.free))
	})
}

// lists are a network's couplings by unit.
type lists struct{ ptr, unit, weight []int32 }

func listsOf(n *spin.Network) (l lists) {
	ptr, unit, weight := n.Neighbors()
	l.unit, l.weight = unit, weight
	for _, p := range ptr {
		l.ptr = append(l.ptr, int32(p))
	}
	return l
}

// energies is an EnergyJob on one device.
type energies struct {
	d   *device
	n   *spin.Network
	rbm bool

	states                  given
	w, bias, ptr, unit, sum memory
}

func (e *energies) load(l *lists) error {
	if err := fill(&e.bias, e.n.Bias); err != nil {
		return err
	}
	if e.rbm {
		return fill(&e.w, e.n.Blocks[0].W)
	}
	if err := fill(&e.w, l.weight); err != nil {
		return err
	}
	if err := fill(&e.ptr, l.ptr); err != nil {
		return err
	}
	return fill(&e.unit, l.unit)
}

// run computes the energies of chains lo to hi.
func (e *energies) run(s *spin.Batch, lo, hi int, dst []int64) error {
	layers := []int{s.Units}
	if e.rbm {
		layers = e.n.Layers
	}
	if err := e.states.take(e.d, s, lo, hi, layers...); err != nil {
		return err
	}
	if err := clean(&e.sum, int64(e.states.stride)); err != nil {
		return err
	}
	stride, chains := uint64(e.states.stride), uint64(hi-lo)
	var err error
	if e.rbm {
		v, h := layers[0], layers[1]
		err = e.d.launch("add_energies", e.states.stride/128, wordsOf(h), 1, 128, e.states.spins.u(0), e.w.u(0), e.bias.u(0), e.sum.u(0),
			uint64(v), uint64(h), stride, chains)
	} else {
		err = e.d.launch("list_energies", e.states.stride/128, min(e.states.words, kernels.MaxGridY), 1, 128,
			e.ptr.u(0), e.unit.u(0), e.w.u(0), e.bias.u(0), e.states.spins.u(0), e.sum.u(0), uint64(s.Units), stride, chains)
	}
	if err != nil {
		return err
	}
	if err := fetch(dst, &e.sum); err != nil || e.rbm {
		return err
	}
	for c := range dst {
		dst[c] /= 2
	}
	return nil
}

func (e *energies) free() error {
	return cmp.Or(e.states.free(), e.w.free(), e.bias.free(), e.ptr.free(), e.unit.free(), e.sum.free())
}

// FreeEnergy computes the fields of the layer that is summed out, and sums
// their logarithms in order.
func (b *Backend) FreeEnergy(ctx context.Context, job backend.FreeEnergyJob, dst []float64) error {
	if err := job.CheckContext(ctx, dst); err != nil {
		return err
	}
	n := job.Network
	mix := job.Mix
	if mix == nil {
		mix = []uint32{backend.MixOne}
	}
	units := n.Layers[job.Summed]
	if b.auto && !b.worthwhile(len(n.Blocks[0].W), job.States.Chains) || kernels.Tiles(units, 3) > kernels.MaxGridY {
		return b.Backend.FreeEnergy(ctx, job, dst)
	}
	points := min(len(mix), mostPoints)
	return b.shares(job.States.Chains, kernels.BlockChains, func(d *device, lo, hi int) error {
		f := logSums{d: d, units: units, given: n.Layers[1-job.Summed], frac: n.Frac}
		layer := &dense{units: units}
		var states given
		var base, mixes memory
		err := d.do("computing free energies", func() error {
			if err := fill(&mixes, mix); err != nil {
				return err
			}
			if err := f.bias(n.Bias[n.First(1-job.Summed):][:f.given]); err != nil {
				return err
			}
			if job.Base != nil {
				if err := fill(&base, job.Base); err != nil {
					return err
				}
				f.baseSummed, f.baseGiven = base.u(int64(4*n.First(job.Summed))), base.u(int64(4*n.First(1-job.Summed)))
			}
			return layer.load(d, n, job.Summed)
		})
		if err == nil {
			err = eachPiece(ctx, lo, hi, piece(4*units+8*points*(units/fmath.CoshRun+2)), func(lo, hi int) error {
				return d.do("computing free energies", func() error {
					if err := states.take(d, job.States, lo, hi, f.given); err != nil {
						return err
					}
					if err := f.room(points, states.stride); err != nil {
						return err
					}
					if err := f.fieldsOf(layer, states.spins.u(0), states.stride); err != nil {
						return err
					}
					out := make([]float64, points*states.stride)
					for p := 0; p < len(mix); p += points {
						n := min(points, len(mix)-p)
						if err := f.at(mixes.u(int64(4*p)), 0, n, states.spins.u(0), hi-lo); err != nil {
							return err
						}
						if err := fetch(out[:n*states.stride], &f.out); err != nil {
							return err
						}
						for k := range n {
							copy(dst[(p+k)*job.States.Chains+lo:(p+k)*job.States.Chains+hi], out[k*states.stride:])
						}
					}
					return nil
				})
			})
		}
		return cmp.Or(err, d.do("freeing free energies", func() error {
			return cmp.Or(f.free(), layer.freeAll(), states.free(), base.free(), mixes.free())
		}))
	})
}

// mostPoints is how many points of a path are computed at once.
const mostPoints = 16

// load brings the weights of one layer of an RBM to the device; inputs are the
// words of the other layer from 0 on.
func (l *dense) load(d *device, n *spin.Network, layer int) error {
	inputs := n.Layers[1-layer]
	from := make([]int32, wordsOf(inputs))
	for i := range from {
		from[i] = int32(i)
	}
	if err := l.plan(from, nil); err != nil {
		return err
	}
	bias := make([]int32, wordsOf(l.units)*kernels.WordUnits)
	copy(bias, n.Bias[n.First(layer):][:l.units])
	if err := fill(&l.bias, bias); err != nil {
		return err
	}
	w := n.Blocks[0].W
	if err := l.room(kernels.Digits(w)); err != nil {
		return err
	}
	perInput, perUnit := n.Layers[1], 1
	if layer == 0 {
		perInput, perUnit = perUnit, perInput
	}
	var raw memory
	err := fill(&raw, w)
	if err == nil {
		err = l.pack(d, &raw, inputs, perInput, perUnit, 0)
	}
	return cmp.Or(err, raw.free())
}

// fields writes the fields of the layer, [unit][chain].
func (l *dense) fields(d *device, spins uint64, stride int, to *memory) error {
	return d.launch(fmt.Sprintf("fields_digits%d", l.digits), stride/kernels.BlockChains, kernels.Tiles(l.units, l.digits), 1, 128,
		l.weights.u(0), l.bias.u(0), l.from.u(0), spins, to.u(0), uint64(l.steps), uint64(stride))
}

// logSums computes free energies from fields.
type logSums struct {
	d                     *device
	units, given          int
	frac                  uint
	baseSummed, baseGiven uint64 // second biases of both layers; 0 for none
	stride                int

	biases, fields, terms, out memory
}

// bias sets the biases of the units that are given.
func (f *logSums) bias(b []int32) error { return fill(&f.biases, b) }

// room makes room for so many points.
func (f *logSums) room(points, stride int) error {
	f.stride = stride
	runs := (f.units + fmath.CoshRun - 1) / fmath.CoshRun
	for _, err := range []error{
		hold[int32](&f.fields, int64(wordsOf(f.units)*kernels.WordUnits)*int64(stride)),
		hold[float64](&f.terms, int64(points)*int64(runs)*int64(stride)), hold[float64](&f.out, int64(points)*int64(stride)),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf computes the fields of a layer.
func (f *logSums) fieldsOf(l *dense, spins uint64, stride int) error {
	return l.fields(f.d, spins, stride, &f.fields)
}

// at writes the free energies at points of the path to f.out, [point][chain]: from
// the first of mix on, or from the clock's point on if there is a clock.
func (f *logSums) at(mix, clock uint64, points int, spins uint64, chains int) error {
	unit := math.Float64bits(math.Ldexp(1, -int(f.frac)))
	runs := (f.units + fmath.CoshRun - 1) / fmath.CoshRun
	if err := f.d.launch("run_terms", f.stride/128, min(runs, kernels.MaxGridY), points, 128, f.fields.u(0), f.baseSummed, mix, clock, f.terms.u(0),
		uint64(f.units), uint64(f.stride), uint64(chains), unit); err != nil {
		return err
	}
	return f.d.launch("free_energies", f.stride/128, points, 1, 128, f.terms.u(0), spins, f.biases.u(0), f.baseGiven, mix, clock, f.out.u(0),
		uint64(f.units), uint64(f.given), uint64(f.stride), uint64(chains), unit)
}

func (f *logSums) free() error {
	return cmp.Or(f.biases.free(), f.fields.free(), f.terms.free(), f.out.free())
}

// annealing is what the walk along the interpolation needs on one device.
type annealing struct {
	s                  *sampler
	visible, hidden    *step
	turn               turn
	sums               logSums
	way, weights, kept memory
	steps              int // that kept has room for
}

// annealable returns the steps of both layers if the sampler is an RBM at T = 1
// with a base, free and dense, whose hidden layer comes first, else nil. One
// whose sweeps are long, or are counted, goes through the sampler's own.
func (s *sampler) annealable() (visible, hidden *step) {
	n := s.network
	if backend.CheckRBM(n) != nil || s.spec.Base == nil || s.clamped || !s.plain || s.size > 0 || s.spec.Moments.Any() || len(s.colors) != 2 {
		return nil, nil
	}
	hidden, visible = &s.colors[0][0], &s.colors[1][0]
	if visible.dense == nil || hidden.dense == nil || hidden.layer != 1 {
		return nil, nil
	}
	return visible, hidden
}

// start brings what the walk needs to the device; most is the steps of which
// the differences are kept, 0 for none.
func (a *annealing) start(bias []int32, way []uint32, weights []float64, most int) error {
	s := a.s
	hidden := s.network.Layers[1]
	a.sums = logSums{d: s.d, units: hidden, given: s.network.Layers[0], frac: s.network.Frac,
		baseSummed: s.base.u(int64(4 * s.first[1] * kernels.WordUnits)), baseGiven: s.base.u(0)}
	a.turn = turn{sweeps: 1, points: 1, queue: a.once}
	for _, err := range []error{
		fill(&a.way, way), fill(&a.weights, weights), a.sums.bias(bias[:a.sums.given]),
		hold[float64](&a.kept, int64(most)*int64(s.stride)),
	} {
		if err != nil {
			return err
		}
	}
	a.steps = most
	if err := a.sums.room(2, s.stride); err != nil {
		return err
	}
	return s.loop.move(s.sweep, 0)
}

// once queues a step so far ahead of the clock: its differences, and the sweep at
// the next point. The hidden layer comes first, so that its fields are those of
// the differences too.
func (a *annealing) once(sweep, point uint64) error {
	s := a.s
	r := draws{ahead: sweep, mix: a.way.u(int64(4 * (point + 1)))}
	to := r
	to.fields = a.sums.fields.u(0)
	if err := s.update(a.hidden, 0, s.chains, to); err != nil {
		return err
	}
	if err := a.add(point); err != nil {
		return err
	}
	return s.update(a.visible, 0, s.chains, r)
}

// add queues the differences at the point so far ahead, from the hidden fields.
func (a *annealing) add(point uint64) error {
	s := a.s
	if err := a.sums.at(a.way.u(int64(4*point)), s.loop.clock.u(0), 2, s.spins.u(0), s.chains); err != nil {
		return err
	}
	kept := uint64(0)
	if a.steps > 0 {
		kept = a.kept.u(0)
	}
	return s.d.launch("add_differences", s.stride/128, 1, 1, 128, a.sums.out.u(0), a.weights.u(0), kept, uint64(max(1, a.steps)),
		s.loop.clock.u(0), point, uint64(s.stride), uint64(s.chains))
}

// walk queues n steps of the way from the given one on.
func (a *annealing) walk(way []uint32, from, n int) error {
	s := a.s
	last := from+n == len(way)-1 // it has no sweep
	sweeps := n
	if last {
		sweeps--
	}
	if sweeps > 0 {
		if err := s.loop.repeat(&a.turn, sweeps, s.sweep, uint64(from)); err != nil {
			return err
		}
		s.sweep += uint64(sweeps)
		s.spec.Mix = way[from+sweeps]
	}
	if !last {
		return nil
	}
	if err := a.sums.fieldsOf(a.hidden.dense, s.spins.u(0), s.stride); err != nil {
		return err
	}
	return a.add(uint64(from+sweeps) - s.loop.point)
}

// fetch copies the differences of n steps from the given one on, all that are
// kept at most.
func (a *annealing) fetch(from, n int) ([]float64, error) {
	kept := make([]float64, n*a.s.stride)
	row := bytesOf(kept) / int64(n)
	for i := 0; i < n; {
		at := (from + i) % a.steps
		m := min(n-i, a.steps-at)
		if err := cu.MemcpyDtoH(unsafe.Pointer(&kept[i*a.s.stride]), a.kept.at+cu.DevicePtr(row*int64(at)), row*int64(m)); err != nil {
			return nil, err
		}
		i += m
	}
	return kept, nil
}

func (a *annealing) free() error {
	return cmp.Or(a.turn.free(), a.sums.free(), a.way.free(), a.weights.free(), a.kept.free(), a.s.setMix(a.s.spec.Mix))
}

// Anneal implements backend.Annealer; weights and chains stay on the devices.
func (s *spread) Anneal(ctx context.Context, bias []int32, way []uint32, weights, variances []float64) (bool, error) {
	walks := make([]*annealing, len(s.parts))
	for i, p := range s.parts {
		if err := p.usable(); err != nil {
			return false, err
		}
		walks[i] = &annealing{s: p}
		if walks[i].visible, walks[i].hidden = p.annealable(); walks[i].hidden == nil {
			return false, nil
		}
	}
	if len(bias) != s.units {
		return false, fmt.Errorf("%d biases for %d units", len(bias), s.units)
	}
	if len(weights) != s.chains || variances != nil && len(variances) != len(way)-1 {
		return false, fmt.Errorf("%d weights and %d variances for %d chains and %d points", len(weights), len(variances), s.chains, len(way))
	}
	for _, m := range way {
		if m > backend.MixOne {
			return false, fmt.Errorf("interpolation at %d, want at most 2²⁴", m)
		}
	}
	if len(way) < 2 {
		return true, ctx.Err()
	}
	most := 0
	if variances != nil {
		most = min(len(way)-1, max(1, pieceBytes/(8*padded(s.chains))))
	}
	part := func(x []float64, i int) []float64 { return x[s.first[i]:][:s.parts[i].chains] }
	err := s.each(func(i int, p *sampler) error {
		return p.on("starting to anneal", func() error { return walks[i].start(bias, way, part(weights, i), most) })
	})
	d := make([]float64, s.chains)
	done := 0
	if err == nil {
		err = s.walk.run(ctx, len(way)-1, most, func(n int) error {
			kept := make([][]float64, len(s.parts))
			err := s.each(func(i int, p *sampler) error {
				return p.on("annealing", func() (err error) {
					if err := walks[i].walk(way, done, n); err != nil || most == 0 {
						return cmp.Or(err, cu.Synchronize())
					}
					kept[i], err = walks[i].fetch(done, n)
					return err
				})
			})
			for k := 0; err == nil && most > 0 && k < n; k++ {
				for i, p := range s.parts {
					copy(part(d, i), kept[i][k*p.stride:])
				}
				variances[done+k] = backend.Spread(d)
			}
			done += n
			return err
		})
	}
	if err == nil {
		err = s.each(func(i int, p *sampler) error {
			return p.on("copying weights", func() error { return fetch(part(weights, i), &walks[i].weights) })
		})
	}
	return true, cmp.Or(err, s.each(func(i int, p *sampler) error { return p.d.do("freeing weights", walks[i].free) }))
}
