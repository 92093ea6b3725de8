//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"kadanoff/backend"
	"kadanoff/spin"
)

// trainers is training on several devices: data and chains are cut among them,
// their statistics are added up on the host, and every device changes its copy
// of the weights by the same sums, so that all copies stay the same. Where the
// cuts are does not show.
type trainers struct {
	parts []*trainer
	spec  backend.TrainerSpec
	v, h  int
	grain int   // chains and configurations are cut in multiples of it, itself one of 64
	first []int // chain of each part, and beyond the last

	active         []bool // parts that took part in the last Gather
	summed         bool   // every part has the sums of all
	broken, closed error
}

// splitWork is how many sweeps of a chain a step must have to be cut among
// devices: fewer take less time than to add up statistics (docs/gpu.md).
const splitWork = 1 << 17

// newTrainers starts training on as many devices as there are grains of chains,
// or on all if the algorithm keeps none.
func newTrainers(devices []*device, spec backend.TrainerSpec, grain int) (backend.Trainer, error) {
	t := &trainers{v: spec.Model.Layers[0], h: spec.Model.Layers[1], grain: grain, spec: spec}
	t.spec.Model = nil
	parts := len(devices)
	if spec.Algorithm != backend.CD {
		parts = min(parts, (spec.Chains+grain-1)/grain)
	}
	for i := range parts {
		part := spec
		if spec.Algorithm != backend.CD {
			lo, hi := t.cut(spec.Chains, i, parts)
			t.first = append(t.first, lo)
			part.Chains, part.FirstChain, part.TotalChains = hi-lo, spec.FirstChain+uint32(lo), spec.Total()
		}
		p, err := newTrainer(devices[i], part)
		if err != nil {
			return nil, cmp.Or(err, t.Close())
		}
		t.parts = append(t.parts, p.(*trainer))
	}
	t.first = append(t.first, spec.Chains)
	t.active = make([]bool, parts)
	return t, nil
}

// cut returns the i-th of so many parts of n things, in whole grains.
func (t *trainers) cut(n, i, parts int) (lo, hi int) {
	grains := (n + t.grain - 1) / t.grain
	return min(n, grains*i/parts*t.grain), min(n, grains*(i+1)/parts*t.grain)
}

// each calls f for every part at once.
func (t *trainers) each(f func(i int, p *trainer) error) error {
	errs := make([]error, len(t.parts))
	done := make(chan struct{})
	for i, p := range t.parts {
		go func() {
			errs[i] = f(i, p)
			done <- struct{}{}
		}()
	}
	for range t.parts {
		<-done
	}
	return cmp.Or(errs...)
}

func (t *trainers) usable() error {
	if t.closed != nil {
		return t.closed
	}
	return t.broken
}

// columns returns chains lo to hi of a batch, lo a multiple of 64.
func columns(b *spin.Batch, lo, hi int) *spin.Batch {
	out := spin.NewBatch(b.Units, hi-lo)
	for u := range b.Units {
		copy(out.Row(u), b.Row(u)[lo/64:])
	}
	return out
}

func (t *trainers) Gather(ctx context.Context, batch backend.TrainingBatch) error {
	if err := t.usable(); err != nil {
		return err
	}
	spec := t.parts[0].spec // has the model's shape
	spec.Chains, spec.FirstChain, spec.TotalChains = t.spec.Chains, t.spec.FirstChain, t.spec.TotalChains
	samples, _, err := spec.Counts(&batch)
	if err != nil {
		return err
	}
	t.summed = false
	err = t.each(func(i int, p *trainer) error {
		lo, hi := t.cut(batch.Data.Chains, i, len(t.parts))
		t.active[i] = lo < hi || t.spec.Algorithm != backend.CD
		if !t.active[i] {
			return nil
		}
		return p.Gather(ctx, backend.TrainingBatch{Data: columns(batch.Data, lo, hi), FirstSample: batch.FirstSample + uint32(lo), Samples: samples})
	})
	if err != nil {
		t.broken = fmt.Errorf("a step was left unfinished: %w", err)
	}
	return err
}

func (t *trainers) Statistics(dst *backend.Statistics) error {
	if err := t.usable(); err != nil {
		return err
	}
	if t.summed {
		return t.parts[0].Statistics(dst)
	}
	sums := make([]backend.Statistics, len(t.parts))
	any := false
	if err := t.each(func(i int, p *trainer) error {
		if !t.active[i] {
			return nil
		}
		return p.Statistics(&sums[i])
	}); err != nil {
		return err
	}
	for i, s := range sums {
		switch {
		case !t.active[i]:
		case !any:
			any = true
			s.CopyTo(dst)
		default:
			for _, x := range []struct{ dst, src []int64 }{
				{dst.Pairs, s.Pairs}, {dst.VisibleData, s.VisibleData}, {dst.VisibleModel, s.VisibleModel},
				{dst.HiddenData, s.HiddenData}, {dst.HiddenModel, s.HiddenModel},
			} {
				addTo(x.dst, x.src)
			}
		}
	}
	if !any {
		return errNoStatistics
	}
	return nil
}

func (t *trainers) SetStatistics(src *backend.Statistics) error {
	if err := t.usable(); err != nil {
		return err
	}
	err := t.each(func(_ int, p *trainer) error { return p.SetStatistics(src) })
	t.summed = err == nil
	return err
}

func (t *trainers) Update(u backend.Update) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := u.Check(); err != nil {
		return err
	}
	if !t.summed {
		var s backend.Statistics
		if err := t.Statistics(&s); err != nil {
			return err
		}
		if err := t.SetStatistics(&s); err != nil {
			return err
		}
	}
	errs := make([]error, len(t.parts))
	_ = t.each(func(i int, p *trainer) error {
		errs[i] = p.Update(u)
		return nil
	})
	for i, err := range errs {
		if err != nil {
			t.broken = t.parts[i].usable()
			return err // all copies go wrong alike, or one device has failed
		}
	}
	return nil
}

func (t *trainers) Save(dst *backend.TrainerState) error {
	if err := t.usable(); err != nil {
		return err
	}
	states := make([]backend.TrainerState, len(t.parts))
	for i := range states {
		states[i].Context = dst.Context
	}
	if err := t.each(func(i int, p *trainer) error { return p.Save(&states[i]) }); err != nil {
		return err
	}
	s := states[0]
	for r := range s.Chains {
		all := spin.NewBatch(t.v+t.h, t.spec.Chains)
		for i := range states {
			for u := range all.Units {
				copy(all.Row(u)[t.first[i]/64:], states[i].Chains[r].Row(u))
			}
		}
		s.Chains[r] = *all
	}
	*dst = s
	return nil
}

func (t *trainers) Load(src *backend.TrainerState) error {
	if t.closed != nil {
		return t.closed
	}
	spec := t.parts[0].spec
	spec.Chains = t.spec.Chains
	if err := src.Check(&spec); err != nil {
		return err
	}
	if _, err := spin.QuantizeContext(backend.Ending(src.Context), src.Model); err != nil {
		return err
	}
	err := t.each(func(i int, p *trainer) error {
		part := *src
		part.Chains = nil
		for r := range src.Chains {
			part.Chains = append(part.Chains, *columns(&src.Chains[r], t.first[i], t.first[i+1]))
		}
		return p.Load(&part)
	})
	if err != nil {
		t.broken = fmt.Errorf("a state was left half taken: %w", err)
		return err
	}
	t.broken, t.summed = nil, false
	clear(t.active)
	return nil
}

// Close frees all parts.
func (t *trainers) Close() error {
	if t.closed != nil {
		return nil
	}
	t.closed = errors.New("trainer is closed")
	return t.each(func(_ int, p *trainer) error { return p.Close() })
}
