package cpu

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"kadanoff/backend"
)

// tally claims the items of some phases and counts who has seen what.
type tally struct {
	phases, items int
	bounds        []int
	seen          [][]atomic.Int32 // [phase][item]
	early         atomic.Int32     // items seen while some of the phase before were not
	stopAt        int              // phase in which a member asks to stop, −1 for none
	left          []int            // phase in which each member left
}

func newTally(phases, items, stopAt, members int) *tally {
	x := &tally{phases: phases, items: items, stopAt: stopAt, left: make([]int, members)}
	for range phases {
		x.seen = append(x.seen, make([]atomic.Int32, items))
	}
	return x
}

func (x *tally) claim(t *team, member int) int {
	if x.bounds != nil {
		return t.claimFrom(member, x.bounds)
	}
	return t.claim(member, x.items)
}

func (x *tally) work(t *team, member int) {
	for p := range x.phases {
		for i := x.claim(t, member); i < x.items; i = x.claim(t, member) {
			if p > 0 {
				for k := range x.items {
					if x.seen[p-1][k].Load() != 1 {
						x.early.Add(1)
					}
				}
			}
			x.seen[p][i].Add(1)
			if p == x.stopAt {
				t.stop()
			}
		}
		x.left[member] = p
		if t.barrier() {
			return
		}
	}
}

// Every item of a phase is claimed once, by whomever, and no phase begins
// before the one before it is over: for fewer and more members than processors,
// members that look and members that sleep.
func TestTeamPhases(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7} {
		team := newTeam(size)
		for call := range 60 {
			if call%10 == 9 {
				time.Sleep(2 * patience) // members fall asleep
			}
			x := newTally(5, 1+call%13, -1, size)
			if call%2 == 1 {
				for m := range size {
					x.bounds = append(x.bounds, (m+1)*(m+1)*x.items/(size*size))
				}
			}
			if team.run(x) {
				t.Fatal("stopped without being asked to")
			}
			for p := range x.seen {
				for i := range x.seen[p] {
					if n := x.seen[p][i].Load(); n != 1 {
						t.Fatalf("%d members, call %d: item %d of phase %d was done %d times", size, call, i, p, n)
					}
				}
			}
			if n := x.early.Load(); n != 0 {
				t.Fatalf("%d members: %d items were done in the phase before theirs", size, n)
			}
		}
		team.close()
	}
}

// Members that are asked to stop agree on where.
func TestTeamStop(t *testing.T) {
	for _, size := range []int{1, 2, 5} {
		team := newTeam(size)
		for at := range 4 {
			x := newTally(4, 20, at, size)
			if !team.run(x) {
				t.Errorf("%d members: nobody has stopped", size)
			}
			for m, p := range x.left {
				if p != at {
					t.Errorf("%d members: member %d left in phase %d, asked to in %d", size, m, p, at)
				}
			}
		}
		team.close()
	}
}

// A counter wakes those that sleep.
func TestSignalWakesSleepers(t *testing.T) {
	s := &signal{}
	s.wake.L = &s.mu
	const sleepers = 4
	var woken atomic.Int32
	for n := range sleepers {
		go func() {
			s.reach(uint64(1+n), false)
			woken.Add(1)
		}()
	}
	for n := range int32(sleepers) {
		for s.parked.Load() != sleepers-n {
			runtime.Gosched()
		}
		s.raise()
		for woken.Load() != n+1 {
			runtime.Gosched()
		}
	}
}

// A backend that is forgotten without Close leaves no goroutine behind.
func TestForgottenBackendEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	func() {
		b, err := New(backend.Options{Threads: 4})
		if err != nil {
			t.Fatal(err)
		}
		s, err := b.NewSampler(backend.SamplerSpec{Network: quantized(t, 17, 13), Chains: 300})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Sweep(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
	}()
	for range 200 {
		runtime.GC()
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// BenchmarkCall is an empty call of the team, and a barrier.
func BenchmarkCall(b *testing.B) {
	for _, phases := range []int{0, 1000} {
		b.Run(map[int]string{0: "call", 1000: "1000-barriers"}[phases], func(b *testing.B) {
			team := newTeam(2)
			defer team.close()
			x := newTally(phases, 0, -1, 2)
			for b.Loop() {
				team.run(x)
			}
		})
	}
}
