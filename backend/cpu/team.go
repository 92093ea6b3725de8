package cpu

import (
	"sync"
	"sync/atomic"
)

// team is a fixed set of goroutines that run one body at a time, together with
// the caller. They are started once, so that a call allocates nothing, and end
// with the backend.
type team struct {
	size  int
	mu    sync.Mutex // one call at a time
	wake  []chan body
	ended sync.WaitGroup // workers that have not left the current body
	alive sync.WaitGroup

	// Within a body, items of a phase are claimed from next, and phases end
	// at a barrier.
	next    atomic.Int64
	arrived atomic.Int32
	phase   atomic.Uint64 // counts barriers, over the life of the team
	asked   atomic.Bool   // a member wants the body to end
	stopped bool          // all members have agreed to, at a barrier

	// Members that have waited long at a barrier sleep here.
	parked atomic.Int32
	bed    sync.Mutex
	dawn   *sync.Cond
}

// patience is how often a member looks for the end of a phase before it
// sleeps: some hundred microseconds. Ten were too few: on a quiet machine of
// two cores 256×256×256 ran at 200 instead of 274 G connections/s on both and
// a lattice of 1024² at 21 instead of 28 flips/ns, for waking up takes long.
// Without an end the member it waits for may need this very core, on a machine
// that others use too.
const patience = 100000

// body is work that every member of a team takes part in. It must call
// team.barrier equally often in all of them.
type body interface {
	work(t *team, member int)
}

func newTeam(size int) *team {
	t := &team{size: size, wake: make([]chan body, size-1)}
	t.dawn = sync.NewCond(&t.bed)
	t.alive.Add(size - 1)
	for i := range t.wake {
		t.wake[i] = make(chan body)
		go func() {
			defer t.alive.Done()
			for b := range t.wake[i] {
				b.work(t, i+1)
				t.ended.Done()
			}
		}()
	}
	return t
}

// run has every member work on b, returns when all are done and reports whether
// the work was stopped.
func (t *team) run(b body) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next.Store(0)
	t.asked.Store(false)
	t.stopped = false
	t.ended.Add(len(t.wake))
	for _, w := range t.wake {
		w <- b
	}
	b.work(t, 0)
	t.ended.Wait()
	return t.stopped
}

// stop asks all members to return at the next barrier.
func (t *team) stop() { t.asked.Store(true) }

// claim returns the next item of the phase; items count from 0.
func (t *team) claim() int { return int(t.next.Add(1) - 1) }

// barrier waits until all members have arrived, begins a new phase, and reports
// whether the body is to end. The last to arrive decides that for all: a
// member that looked for itself could see a request that others did not.
func (t *team) barrier() bool {
	phase := t.phase.Load()
	if int(t.arrived.Add(1)) == t.size {
		t.arrived.Store(0)
		t.next.Store(0)
		t.stopped = t.asked.Load()
		t.phase.Add(1)
		if t.parked.Load() > 0 {
			t.bed.Lock()
			t.dawn.Broadcast()
			t.bed.Unlock()
		}
		return t.stopped
	}
	for range patience {
		if t.phase.Load() != phase {
			return t.stopped
		}
	}
	t.parked.Add(1)
	t.bed.Lock()
	for t.phase.Load() == phase {
		t.dawn.Wait()
	}
	t.bed.Unlock()
	t.parked.Add(-1)
	return t.stopped
}

// epoch names the phase, like no other phase of this team: what a step reads
// does not change within one.
func (t *team) epoch() uint64 { return t.phase.Load() + 1 }

// close ends the members.
func (t *team) close() {
	for _, w := range t.wake {
		close(w)
	}
	t.alive.Wait()
}
