package cpu

import "context"

// isingCall is the work the team has been given: some sweeps of all replicas,
// with no exchange among them.
type isingCall struct {
	ctx            context.Context
	sweeps         int
	before         int // sweeps of the caller's request that are done already
	every          int // record after every that many
	energy, magnet []int64
	measureLast    bool // measure after the last sweep in any case
	done           int  // sweeps completed, when the team stops early
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
			done := s.call.done
			s.sweep += uint64(done)
			if done < s.call.sweeps || s.undo {
				s.restore()
				return ctx.Err()
			}
		} else {
			s.sweep += uint64(s.call.sweeps)
		}
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
	if s.together() {
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

// workTogether does a call's sweeps with every colour's blocks shared among
// the members.
func (s *ising) workTogether(t *team, m *isingMember, member int) {
	// The same blocks every time, so that they stay in the member's cache.
	items := len(s.words) * s.g.Blocks
	from, to := member*items/t.size, (member+1)*items/t.size
	for i := range s.call.sweeps {
		m.sweep = s.sweep + uint64(i)
		if member == 0 && s.call.ctx.Err() != nil {
			t.stop()
		}
		for k := from; k < to; k++ {
			s.pass(m, &s.words[k/s.g.Blocks], k%s.g.Blocks, 0)
		}
		t.barrier()
		for k := from; k < to; k++ {
			s.pass(m, &s.words[k/s.g.Blocks], k%s.g.Blocks, 1)
		}
		stopped := t.barrier()
		if row, measure := s.call.due(i); measure {
			for k := from; k < to; k++ {
				w, block := &s.words[k/s.g.Blocks], k%s.g.Blocks
				y0, y1 := s.block(block)
				s.count(m, w, block)
				s.sum(m, w, block, y1-y0)
			}
			stopped = t.barrier()
			// The next colour does not touch the counts.
			if member == 0 {
				for w := range s.words {
					s.collect(&s.words[w], s.g.Blocks, row)
				}
			}
		}
		if member == 0 {
			s.call.done = i + 1
		}
		if stopped {
			return
		}
	}
}
