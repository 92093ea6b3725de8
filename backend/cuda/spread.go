//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"gorgonia.org/cu"

	"kadanoff/backend"
	"kadanoff/spin"
)

// spread is chains on one device or several, in whole blocks of chains. Which device has a chain does not show in it.
type spread struct {
	parts  []*sampler
	first  []int // chain of each part
	chains int
	units  int
	pace   pace // of sweeps
	walk   pace // of annealing
}

func newSpread(devices []*device, spec backend.SamplerSpec) (backend.Sampler, error) {
	s := &spread{chains: spec.Chains, units: spec.Network.Units()}
	size := padded((spec.Chains + len(devices) - 1) / len(devices))
	for lo := 0; lo < spec.Chains; lo += size {
		part := spec
		part.Chains, part.FirstChain = min(size, spec.Chains-lo), spec.FirstChain+uint32(lo)
		part.Temperatures = s.temperatures(spec.Temperatures, lo, part.Chains)
		p, err := newSampler(devices[len(s.parts)], part)
		if err != nil {
			return nil, cmp.Or(err, s.Close())
		}
		s.parts, s.first = append(s.parts, p), append(s.first, lo)
	}
	return s, nil
}

// temperatures are those of a part's chains.
func (s *spread) temperatures(t []float64, lo, n int) []float64 {
	if len(t) == s.chains && len(t) > 1 {
		return t[lo : lo+n]
	}
	return t
}

// each calls f for every part at once.
func (s *spread) each(f func(i int, p *sampler) error) error {
	errs := make([]error, len(s.parts))
	done := make(chan struct{})
	for i, p := range s.parts {
		go func() {
			errs[i] = f(i, p)
			done <- struct{}{}
		}()
	}
	for range s.parts {
		<-done
	}
	return cmp.Or(errs...)
}

// Sweep queues sweeps in pieces of about twenty milliseconds, so that a call
// that is stopped ends soon and all parts after the same sweep.
func (s *spread) Sweep(ctx context.Context, n int) error {
	for _, p := range s.parts {
		if err := p.usable(); err != nil {
			return err
		}
	}
	if n < 0 {
		return errors.New("negative number of sweeps")
	}
	done, most := 0, 0
	for _, p := range s.parts {
		if p.size > 0 {
			most = 1
		}
	}
	if most > 0 {
		// What an earlier call left is done on all devices before any goes on.
		if err := s.each(func(_ int, p *sampler) error { return p.until(ctx, "sweeping", func() error { return nil }) }); err != nil {
			return err
		}
	}
	return s.pace.run(ctx, n, most, func(part int) error {
		err := s.each(func(_ int, p *sampler) error {
			return p.on("sweeping", func() error {
				if p.size > 0 {
					return p.long(ctx, done+1)
				}
				return cmp.Or(p.sweeps(done, part), cu.Synchronize())
			})
		})
		done += part
		return err
	})
}

// pace is how many things take about twenty milliseconds, as far as is known.
type pace struct{ part int }

// run calls do for n things in all, as many at a time as take about twenty
// milliseconds, at most `most` if that is not 0, until ctx ends. The next call
// begins with what this one has learned.
func (p *pace) run(ctx context.Context, n, most int, do func(part int) error) error {
	const long = 20 * time.Millisecond
	for done := 0; ; {
		if err := ctx.Err(); err != nil || done == n {
			return err
		}
		p.part = max(1, p.part)
		part := min(p.part, n-done)
		if most > 0 {
			part = min(part, most)
		}
		start := time.Now()
		if err := do(part); err != nil {
			return err
		}
		done += part
		switch took := time.Since(start); {
		case took > long:
			p.part = max(1, int(int64(part)*int64(long)/int64(took)))
		case took < long/2 && part == p.part:
			p.part *= 2
		}
	}
}

// paced is one call.
func paced(ctx context.Context, n, most int, do func(part int) error) error {
	return new(pace).run(ctx, n, most, do)
}

func (s *spread) Sweeps() uint64 { return s.parts[0].sweep }

func (s *spread) State(dst *spin.Batch) error {
	if err := backend.CheckStates(dst, s.units, s.chains); err != nil {
		return err
	}
	return s.each(func(i int, p *sampler) error {
		return p.state(func(u int) []uint64 { return dst.Row(u)[s.first[i]/64:] })
	})
}

func (s *spread) SetState(src *spin.Batch) error {
	if err := backend.CheckStates(src, s.units, s.chains); err != nil {
		return err
	}
	return s.each(func(i int, p *sampler) error {
		return p.setState(func(u int) []uint64 { return src.Row(u)[s.first[i]/64:] })
	})
}

func (s *spread) SetNetwork(n *spin.Network) error {
	return s.SetNetworkContext(context.Background(), n)
}

func (s *spread) SetNetworkContext(ctx context.Context, n *spin.Network) error {
	return s.each(func(_ int, p *sampler) error { return p.SetNetworkContext(ctx, n) })
}

func (s *spread) SetTemperatures(t []float64) error {
	if len(t) > 1 && len(t) != s.chains {
		return fmt.Errorf("%d temperatures for %d chains, want one or one for each", len(t), s.chains)
	}
	if _, err := backend.Betas(t, s.chains); err != nil {
		return err
	}
	return s.each(func(i int, p *sampler) error { return p.SetTemperatures(s.temperatures(t, s.first[i], p.chains)) })
}

func (s *spread) SetMix(mix uint32) error {
	return s.each(func(_ int, p *sampler) error { return p.SetMix(mix) })
}

func (s *spread) Moments(dst *backend.Moments) error {
	if dst == nil {
		return errors.New("no moments to write to")
	}
	sums := make([]backend.Moments, len(s.parts))
	if err := s.each(func(i int, p *sampler) error { return p.Moments(&sums[i]) }); err != nil {
		return err
	}
	total := sums[0]
	for _, m := range sums[1:] {
		total.Samples += m.Samples
		addTo(total.Means, m.Means)
		addTo(total.Pairs, m.Pairs)
		for k := range total.Edges {
			addTo(total.Edges[k], m.Edges[k])
		}
	}
	total.CopyTo(dst)
	return nil
}

func addTo(dst, src []int64) {
	for i, x := range src {
		dst[i] += x
	}
}

func (s *spread) ResetMoments() error {
	return s.each(func(_ int, p *sampler) error { return p.ResetMoments() })
}

// Close frees the chains' memory.
func (s *spread) Close() error {
	return s.each(func(_ int, p *sampler) error { return p.Close() })
}
