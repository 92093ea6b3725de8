package cpu

import (
	"context"
	"slices"

	"kadanoff/kernels/lattice"
)

// isingCall is the work the team has been given: some sweeps of all replicas,
// with no exchange among them.
type isingCall struct {
	ctx            context.Context
	sweeps         int
	before         int // sweeps of the caller's request that are done already
	every          int // record after every that many
	energy, magnet []int64
	measureLast    bool // measure after the last sweep in any case
}

// due returns the row of the record to write after sweep i of the call, −1 for
// none, and whether to measure at all.
func (c *isingCall) due(i int) (row int, measure bool) {
	n := c.before + i + 1
	if (c.energy != nil || c.magnet != nil) && n%c.every == 0 {
		return n/c.every - 1, true
	}
	return -1, c.measureLast && i == c.sweeps-1
}

// Sweep advances every replica by n sweeps.
func (s *ising) Sweep(ctx context.Context, n int) error {
	return s.Record(ctx, n, max(n, 1), nil, nil)
}

// Record advances every replica by n sweeps and writes energies and
// magnetisations.
func (s *ising) Record(ctx context.Context, n, every int, energy, magnetization []int64) error {
	if s.closed {
		return errClosed("lattice")
	}
	if err := s.spec.CheckRecord(s.sweep, n, every, energy, magnetization); err != nil {
		return err
	}
	for before := 0; before < n; {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.call = isingCall{ctx: ctx, sweeps: min(s.chunk, n-before), before: before, every: every, energy: energy, magnet: magnetization}
		exchange := false
		if e := uint64(s.spec.Exchange); e > 0 {
			next := e - s.sweep%e
			if uint64(s.call.sweeps) >= next {
				s.call.sweeps, exchange = int(next), true
			}
		}
		s.call.measureLast = exchange
		if s.b.team.run(s) {
			s.restore()
			return ctx.Err()
		}
		s.sweep += uint64(s.call.sweeps)
		before += s.call.sweeps
		if exchange {
			s.exchange(s.sweep - 1)
		}
	}
	return nil
}

// restore puts back the words that a cancelled sweep had finished.
func (s *ising) restore() {
	for i := range s.words {
		w := &s.words[i]
		if w.done {
			w.spins, w.saved = w.saved, w.spins
			w.done = false
		}
	}
}

// together reports whether the members share the words' blocks, rather than
// take whole words.
func (s *ising) together() bool {
	return s.g.Blocks > 1 && len(s.words) < 2*s.b.team.size && s.b.team.size > 1
}

// work is what each member of the team does.
func (s *ising) work(t *team, member int) {
	m := &s.members[member]
	switch {
	case s.together() && s.undo:
		s.workUndo(t, m, member)
		return
	case s.together():
		s.workTogether(t, m, member)
		return
	}
	for i := t.claim(member, len(s.words)); i < len(s.words); i = t.claim(member, len(s.words)) {
		w := &s.words[i]
		if s.undo {
			if s.call.ctx.Err() != nil {
				t.stop()
				break
			}
			for c := range w.spins {
				copy(w.saved[c], w.spins[c])
			}
		}
		s.sweepWord(m, w)
		w.done = s.undo
	}
	if s.undo && !t.barrier() {
		// Nobody was cancelled: the sweep counts.
		for i := t.claim(member, len(s.words)); i < len(s.words); i = t.claim(member, len(s.words)) {
			s.words[i].done = false
		}
	}
}

// sweepWord does a call's sweeps on one word.
func (s *ising) sweepWord(m *isingMember, w *isingWord) {
	for i := range s.call.sweeps {
		m.sweep = s.sweep + uint64(i)
		for color := range 2 {
			for k := range s.g.Blocks {
				s.pass(m, w, k, color)
			}
		}
		if row, measure := s.call.due(i); measure {
			for k := range s.g.Blocks {
				s.count(m, w, k)
			}
			s.sum(m, w, 0, s.g.Height)
			s.collect(w, 1, row)
		}
	}
}

// share gives every member its blocks of the words, the same every time, so
// that they stay in its cache.
func (s *ising) share() {
	items, size := len(s.words)*s.g.Blocks, len(s.members)
	owner := make([]int, items)
	for m := range s.members {
		for k := m * items / size; k < (m+1)*items/size; k++ {
			owner[k] = m
		}
	}
	for k, m := range owner {
		first := k / s.g.Blocks * s.g.Blocks
		above, below := owner[first+(k-first+s.g.Blocks-1)%s.g.Blocks], owner[first+(k-first+1)%s.g.Blocks]
		x := &s.members[m]
		if above == m && below == m {
			x.inner = append(x.inner, k)
			continue
		}
		x.border = append(x.border, k)
		for _, o := range []int{above, below} {
			if o != m && !slices.Contains(x.near, o) {
				x.near = append(x.near, o)
			}
		}
	}
}

// workTogether does a call's sweeps with every colour's blocks shared among
// the members. A member does the blocks that touch others' first, says so, and
// then the rest: by the time that it wants to begin the next colour, those near
// it have long done theirs, and nobody waits.
func (s *ising) workTogether(t *team, m *isingMember, member int) {
	// All members have said the same number of times that they are done.
	begin := t.progress[member].count.Load()
	for i := range s.call.sweeps {
		m.sweep = s.sweep + uint64(i)
		for color := range 2 {
			// The others have read what is written here, and written what is read.
			t.await(m.near, begin+uint64(2*i+color))
			s.passes(m, m.border, color)
			t.progress[member].raise()
			s.passes(m, m.inner, color)
		}
		if row, measure := s.call.due(i); measure {
			t.barrier()
			s.counts(m)
			t.barrier()
			if member == 0 {
				s.collectAll(row)
			}
		}
	}
}

// workUndo does one sweep as workTogether does, but one that may be left and
// undone.
func (s *ising) workUndo(t *team, m *isingMember, member int) {
	m.sweep = s.sweep
	for _, blocks := range [][]int{m.border, m.inner} {
		for _, k := range blocks {
			w := &s.words[k/s.g.Blocks]
			y0, y1 := s.block(k % s.g.Blocks)
			from, to := s.tiles.Start(y0)-lattice.Lanes, s.tiles.Start(y1)-lattice.Lanes
			for c := range w.spins {
				copy(w.saved[c][from:to], w.spins[c][from:to])
			}
		}
	}
	for color := range 2 {
		if !s.passes(m, m.border, color) || !s.passes(m, m.inner, color) {
			t.stop()
		}
		if t.barrier() {
			if member == 0 {
				for w := range s.words {
					s.words[w].done = true
				}
			}
			return
		}
	}
	if row, measure := s.call.due(0); measure {
		s.counts(m)
		t.barrier()
		if member == 0 {
			s.collectAll(row)
		}
	}
}

// passes does one colour of blocks and reports whether it did all: where a
// sweep can be undone it is left when the context ends.
func (s *ising) passes(m *isingMember, blocks []int, color int) bool {
	for _, k := range blocks {
		if s.undo && s.call.ctx.Err() != nil {
			return false
		}
		s.pass(m, &s.words[k/s.g.Blocks], k%s.g.Blocks, color)
	}
	return true
}

// counts counts the bonds and spins of a member's blocks.
func (s *ising) counts(m *isingMember) {
	for _, blocks := range [][]int{m.border, m.inner} {
		for _, k := range blocks {
			w, block := &s.words[k/s.g.Blocks], k%s.g.Blocks
			y0, y1 := s.block(block)
			s.count(m, w, block)
			s.sum(m, w, block, y1-y0)
		}
	}
}

// collectAll turns the counts of all words into energies and magnetisations.
func (s *ising) collectAll(row int) {
	for w := range s.words {
		s.collect(&s.words[w], s.g.Blocks, row)
	}
}
