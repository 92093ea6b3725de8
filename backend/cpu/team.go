package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"kadanoff/kernels/pause"
)

// team is a fixed set of members that run one body at a time: the caller, who
// is member 0, and goroutines that are started once, so that a call allocates
// nothing.
//
// Members wait for work, and for each other, by looking at a counter. A member
// that has looked in vain for as long as patience sleeps until it is woken, and
// where there are more members than processors to run them it sleeps at once.
type team struct {
	size    int
	mu      sync.Mutex // one call at a time
	body    body       // of the call; nil tells members to end
	ended   bool
	alive   sync.WaitGroup
	patient atomic.Bool // every member has a processor of its own

	asked   atomic.Bool // a member wants the body to end early
	stopped bool        // all members have agreed to, at a barrier

	_        [64]byte
	begun    signal // calls
	done     signal // calls that all other members have left
	phase    signal // barriers
	arrived  atomic.Int32
	_        [60]byte
	working  atomic.Int32 // members that have not left the body
	_        [60]byte
	epochs   atomic.Uint64
	_        [56]byte
	parts    []share
	progress []signal // of each member, for bodies whose members wait for some others only
}

// share is a member's part of the items of a phase: how many have been claimed,
// in the lower half, and of which phase, in the upper.
type share struct {
	claimed atomic.Uint64
	_       [56]byte
}

// patience is how long a waiting member looks before it sleeps. Waking it
// takes about as long, so waiting costs at most twice what knowing the future
// would. Without an end the member it waits for may need this very core, on a
// machine that others use too.
const patience = 100 * time.Microsecond

// looks is how often a waiting member looks before it lets other goroutines
// have its processor, and sees how long it has waited: some microseconds.
const looks = 128

// signal is a counter that rises, one at a time, and that goroutines wait for.
type signal struct {
	count  atomic.Uint64
	_      [56]byte
	parked atomic.Int32
	mu     sync.Mutex
	wake   sync.Cond
	_      [40]byte
}

// raise adds one to the counter and wakes those that sleep.
func (s *signal) raise() {
	s.count.Add(1)
	// Either the sleeper that is missed here sees the new count, or it is seen.
	if s.parked.Load() > 0 {
		s.mu.Lock()
		s.wake.Broadcast()
		s.mu.Unlock()
	}
}

// reach waits until the counter is n or more.
func (s *signal) reach(n uint64, patient bool) {
	var began time.Time
	for i := 1; patient; i++ {
		if s.count.Load() >= n {
			return
		}
		pause.Times(1)
		if i%looks == 0 {
			now := time.Now()
			if i == looks {
				began = now
			} else if now.Sub(began) > patience {
				break
			}
			runtime.Gosched()
		}
	}
	if s.count.Load() >= n {
		return
	}
	s.parked.Add(1)
	s.mu.Lock()
	for s.count.Load() < n {
		s.wake.Wait()
	}
	s.mu.Unlock()
	s.parked.Add(-1)
}

// body is work that every member of a team takes part in. It must call
// team.barrier equally often in all of them, or not at all after the work was
// stopped.
type body interface {
	work(t *team, member int)
}

func newTeam(size int) *team {
	t := &team{size: size, parts: make([]share, size), progress: make([]signal, size)}
	for _, s := range []*signal{&t.begun, &t.done, &t.phase} {
		s.wake.L = &s.mu
	}
	for i := range t.progress {
		t.progress[i].wake.L = &t.progress[i].mu
	}
	t.patient.Store(true)
	t.alive.Add(size - 1)
	for member := 1; member < size; member++ {
		go t.serve(member)
	}
	return t
}

// serve takes part in one call after the other.
func (t *team) serve(member int) {
	defer t.alive.Done()
	for call := uint64(1); t.serveCall(call, member); call++ {
	}
}

// serveCall waits for a call and takes part in it. The body is not known to
// the caller, which waits for the next: what nobody else remembers must not be
// kept alive.
func (t *team) serveCall(call uint64, member int) bool {
	t.begun.reach(call, t.patient.Load())
	b := t.body
	if b == nil {
		return false
	}
	b.work(t, member)
	if t.working.Add(-1) == 0 {
		t.done.raise()
	}
	return true
}

// run has every member work on b, returns when all are done and reports whether
// the work was stopped.
func (t *team) run(b body) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		panic("cpu: the backend is closed")
	}
	t.asked.Store(false)
	t.stopped = false
	if t.size > 1 {
		t.patient.Store(runtime.GOMAXPROCS(0) >= t.size)
		t.working.Store(int32(t.size - 1))
		t.body = b
		t.begun.raise()
	}
	b.work(t, 0)
	if t.size > 1 {
		t.done.reach(t.begun.count.Load(), t.patient.Load())
		t.body = nil
	}
	t.phase.count.Add(1) // the end of a body is the end of a phase
	return t.asked.Load()
}

// stop asks all members to return at the next barrier.
func (t *team) stop() { t.asked.Store(true) }

// claim returns the next of n items of the phase for a member, n when all have
// been claimed. Members take items of their own part first, which is the same
// whenever n is, so that what an item needs stays in the member's cache.
func (t *team) claim(member, n int) int {
	phase := uint32(t.phase.count.Load())
	for k := range t.size {
		owner := (member + k) % t.size
		from, to := owner*n/t.size, (owner+1)*n/t.size
		if i := t.parts[owner].next(phase, to-from); i >= 0 {
			return from + i
		}
	}
	return n
}

// claimFrom is claim for items whose parts end at bounds.
func (t *team) claimFrom(member int, bounds []int) int {
	phase := uint32(t.phase.count.Load())
	for k := range t.size {
		owner := (member + k) % t.size
		from := 0
		if owner > 0 {
			from = bounds[owner-1]
		}
		if i := t.parts[owner].next(phase, bounds[owner]-from); i >= 0 {
			return from + i
		}
	}
	return bounds[len(bounds)-1]
}

// next claims an item of the part, −1 if none is left of n.
func (p *share) next(phase uint32, n int) int {
	for {
		was := p.claimed.Load()
		claimed := 0
		if uint32(was>>32) == phase {
			claimed = int(uint32(was))
		}
		if claimed >= n {
			return -1
		}
		if p.claimed.CompareAndSwap(was, uint64(phase)<<32|uint64(claimed+1)) {
			return claimed
		}
	}
}

// barrier waits until all members have arrived, begins a new phase, and reports
// whether the body is to end. The last to arrive decides that for all: a
// member that looked for itself could see a request that others did not.
func (t *team) barrier() bool {
	phase := t.phase.count.Load()
	if int(t.arrived.Add(1)) == t.size {
		t.arrived.Store(0)
		t.stopped = t.asked.Load()
		t.phase.raise()
	} else {
		t.phase.reach(phase+1, t.patient.Load())
	}
	return t.stopped
}

// await waits until the progress of all the members named is n or more.
func (t *team) await(members []int, n uint64) {
	for _, m := range members {
		t.progress[m].reach(n, t.patient.Load())
	}
}

// epoch returns a number that no other call returns: what a step reads does
// not change as long as it goes by one epoch.
func (t *team) epoch() uint64 { return t.epochs.Add(1) }

// end tells the members to end, once the call in progress is done.
func (t *team) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.ended = true
		t.begun.raise()
	}
}

// close ends the members and waits until they have.
func (t *team) close() {
	t.end()
	t.alive.Wait()
}
