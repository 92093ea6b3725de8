package hopfield

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"

	"kadanoff/backend"
	"kadanoff/spin"
)

// Dynamics is the order in which units are updated.
type Dynamics uint8

// The dynamics. Under Asynchronous the energy never rises, so that every state
// comes to rest; under Synchronous it may end in a cycle of two states.
const (
	Asynchronous Dynamics = iota // one unit after another, from the first to the last
	Synchronous                  // all at once
)

// RecallOptions say how probes are followed.
type RecallOptions struct {
	Dynamics  Dynamics
	MaxSweeps int    // updates of every unit, at least 1
	Clamped   []bool // [N], units that keep their state; nil for none
}

// Recall is what has become of probes.
type Recall struct {
	States *spin.Batch // [N] units, one chain for each probe
	// Settled says which probes rest: none of their units that are not clamped
	// would change.
	Settled []bool
	// Sweeps is the number of updates of every unit after which a settled probe
	// changed no more, and MaxSweeps for others.
	Sweeps []int
}

// Recall updates probes, one chain each, by the threshold rule (eq 13) until
// all have settled or MaxSweeps is reached.
func (n *Net) Recall(ctx context.Context, b backend.Backend, probes *spin.Batch, o RecallOptions) (*Recall, error) {
	if err := backend.CheckStates(probes, n.N, -1); err != nil {
		return nil, err
	}
	if probes.Chains < 1 {
		return nil, errors.New("no probes")
	}
	if o.MaxSweeps < 1 {
		return nil, fmt.Errorf("%d sweeps, want at least 1", o.MaxSweeps)
	}
	if o.Dynamics > Synchronous {
		return nil, fmt.Errorf("dynamics %d, want Asynchronous or Synchronous", o.Dynamics)
	}
	if o.Clamped != nil && len(o.Clamped) != n.N {
		return nil, fmt.Errorf("%d marks of clamped units for %d units", len(o.Clamped), n.N)
	}
	spec := backend.SamplerSpec{
		Network: n.thresholdNetwork(o.Dynamics), Chains: probes.Chains, Temperatures: []float64{0},
		Clamped: o.Clamped, Colors: make([]int, n.N),
	}
	for i := range spec.Colors {
		spec.Colors[i] = i
	}
	if o.Dynamics == Synchronous {
		for i := range spec.Colors {
			spec.Colors[i] = 1
		}
		spec.Colors = append(spec.Colors, make([]int, n.N)...)
		if o.Clamped != nil {
			spec.Clamped = append(append([]bool(nil), o.Clamped...), o.Clamped...)
		}
	}
	s, err := b.NewSampler(spec)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	f := follower{s: s, n: n.N, before: spin.NewBatch(len(spec.Colors), probes.Chains), now: spin.NewBatch(len(spec.Colors), probes.Chains)}
	for at := 0; at < len(f.now.Bits); at += len(probes.Bits) {
		copy(f.now.Bits[at:], probes.Bits)
	}
	if err := s.SetState(f.now); err != nil {
		return nil, err
	}
	r := &Recall{States: spin.NewBatch(n.N, probes.Chains), Settled: make([]bool, probes.Chains), Sweeps: make([]int, probes.Chains)}
	if o.Dynamics == Synchronous {
		err = f.synchronous(ctx, r, o.MaxSweeps)
	} else {
		err = f.asynchronous(ctx, r, o.MaxSweeps)
	}
	if err != nil {
		return nil, err
	}
	for c, settled := range r.Settled {
		if !settled {
			r.Sweeps[c] = o.MaxSweeps
		}
	}
	return r, nil
}

// follower runs a sampler and sees which chains change.
type follower struct {
	s           backend.Sampler
	n           int
	before, now *spin.Batch
}

// asynchronous: a sweep that changes nothing leaves a fixed point.
func (f *follower) asynchronous(ctx context.Context, r *Recall, most int) error {
	for sweep := 0; sweep < most; sweep++ {
		f.before.CopyFrom(f.now)
		if err := f.step(ctx); err != nil {
			return err
		}
		if r.note(f.before, f.now, sweep) {
			r.States.CopyFrom(f.now)
			return nil
		}
	}
	// The last sweep may have reached a fixed point without showing it.
	r.States.CopyFrom(f.now)
	f.before.CopyFrom(f.now)
	if err := f.step(ctx); err != nil {
		return err
	}
	r.note(f.before, f.now, most)
	return nil
}

// synchronous: a sweep of the two layers is two updates, and its second layer
// the state between.
func (f *follower) synchronous(ctx context.Context, r *Recall, most int) error {
	first, between := f.now.Rows(0, f.n), f.now.Rows(f.n, 2*f.n)
	for sweep := 0; ; sweep += 2 {
		r.States.CopyFrom(first)
		if err := f.step(ctx); err != nil {
			return err
		}
		if r.note(r.States, between, sweep) || sweep == most {
			return nil
		}
		if slices.Equal(r.States.Bits, first.Bits) {
			// Every probe rests or goes back and forth.
			if (most-sweep)%2 == 1 {
				r.States.CopyFrom(between)
			}
			return nil
		}
		if r.note(between, first, sweep+1) || sweep+1 == most {
			r.States.CopyFrom(between)
			return nil
		}
	}
}

func (f *follower) step(ctx context.Context) error {
	if err := f.s.Sweep(ctx, 1); err != nil {
		return err
	}
	return f.s.State(f.now)
}

// note marks the chains that an update of all units, the one after sweeps of
// them, has left as they were, and reports whether all are.
func (r *Recall) note(before, after *spin.Batch, sweeps int) bool {
	all := true
	for w := range before.Words {
		changed := uint64(0)
		for u := range before.Units {
			changed |= before.Row(u)[w] ^ after.Row(u)[w]
		}
		for c := w * 64; c < min(before.Chains, w*64+64); c++ {
			if changed>>(c&63)&1 != 0 {
				all = false
			} else if !r.Settled[c] {
				r.Settled[c], r.Sweeps[c] = true, sweeps
			}
		}
	}
	return all
}

// Batch packs patterns, one chain each.
func (p Patterns) Batch() *spin.Batch {
	b := spin.NewBatch(p.N, p.Count())
	for k := range p.Count() {
		b.SetInt8(p.Row(k), k)
	}
	return b
}

// Overlaps returns m = (1/N) Σ_i x_i s_i of pattern k with chain k of states,
// for as many chains as there are patterns.
func (p Patterns) Overlaps(states *spin.Batch) []float64 {
	m := make([]float64, p.Count())
	want := p.Batch()
	different := make([]int, p.Count())
	for u := range p.N {
		for w, x := range want.Row(u) {
			for d := x ^ states.Row(u)[w]; d != 0; d &= d - 1 {
				different[w*64+bits.TrailingZeros64(d)]++
			}
		}
	}
	for k := range m {
		m[k] = float64(p.N-2*different[k]) / float64(p.N)
	}
	return m
}

// differences returns the number of bits in which two rows differ.
func differences(x, y []uint64) int {
	d := 0
	for i := range x {
		d += bits.OnesCount64(x[i] ^ y[i])
	}
	return d
}

// Random returns patterns of fair coins.
func Random(rng *rand.Rand, n, count int) Patterns {
	p := Patterns{N: n, X: make([]int8, n*count)}
	for i := range p.X {
		p.X[i] = int8(rng.IntN(2))*2 - 1
	}
	return p
}

// Corrupt returns the patterns with the given number of units of each, chosen
// at random, turned over.
func (p Patterns) Corrupt(rng *rand.Rand, flips int) (Patterns, error) {
	if flips < 0 || flips > p.N {
		return Patterns{}, fmt.Errorf("%d units to turn over in patterns of %d", flips, p.N)
	}
	out := Patterns{N: p.N, X: append([]int8(nil), p.X...)}
	for k := range p.Count() {
		row := out.Row(k)
		for _, i := range rng.Perm(p.N)[:flips] {
			row[i] = -row[i]
		}
	}
	return out, nil
}
