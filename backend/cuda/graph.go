//go:build gpu && cgo

package cuda

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"unsafe"

	"gorgonia.org/cu"
)

// What gorgonia.org/cu does not wrap of graphs; all of it is in drivers from
// CUDA 11.0 on. No CUDA header is needed here either.

// #include <stddef.h>
// int cuStreamBeginCapture_v2(void *stream, int mode);
// int cuStreamEndCapture(void *stream, void **graph);
// int cuGraphInstantiate_v2(void **exec, void *graph, void **node, char *log, size_t bytes);
// int cuGraphLaunch(void *exec, void *stream);
import "C"

// result is a driver's answer as gorgonia.org/cu returns it.
func result(code C.int) error {
	if code == 0 {
		return nil
	}
	return as(cu.Success, code)
}

func as[T ~int](_ T, code C.int) T { return T(code) }

// A graph and one that can be launched are pointers, here as in gorgonia.org/cu.
func destroyGraph(g unsafe.Pointer) error { return (*cu.Graph)(unsafe.Pointer(&g)).Destroy() }
func destroyExec(g unsafe.Pointer) error  { return (*cu.ExecGraph)(unsafe.Pointer(&g)).Destroy() }

// threadLocal lets other threads allocate while this one captures.
const threadLocal = 1

// capture returns what f queues as a graph that can be launched.
func (d *device) capture(f func() error) (exec unsafe.Pointer, err error) {
	stream := unsafe.Pointer(d.captures.C())
	if err := result(C.cuStreamBeginCapture_v2(stream, threadLocal)); err != nil {
		return nil, err
	}
	d.stream = d.captures
	err = f()
	d.stream = cu.NoStream
	var graph unsafe.Pointer
	err = cmp.Or(err, result(C.cuStreamEndCapture(stream, &graph)))
	if graph == nil {
		return nil, err
	}
	if err == nil {
		err = result(C.cuGraphInstantiate_v2(&exec, graph, nil, nil, 0))
	}
	if err = cmp.Or(err, destroyGraph(graph)); err != nil && exec != nil {
		_ = destroyExec(exec)
		exec = nil
	}
	return exec, err
}

// launch is a kernel's launch.
type launch struct {
	kernel           string
	x, y, z, threads int
	arguments        []uint64
}

func (l launch) equal(m launch) bool {
	return l.kernel == m.kernel && l.x == m.x && l.y == m.y && l.z == m.z && l.threads == m.threads && slices.Equal(l.arguments, m.arguments)
}

// mostNodes is how many launches of turns a graph has at most.
const mostNodes = 256

// loop repeats launches. What differs from one repetition to the next is read
// from a clock in the device's memory (struct Clock of rule.h), so that one
// graph serves every call: its launches count from the clock, and its last one
// moves the clock on.
type loop struct {
	d            *device
	clock        memory
	sweep, point uint64 // of the clock when all that is queued is done
}

// turn is what a loop repeats.
type turn struct {
	sweeps, points uint64                          // by which one moves the clock on
	queue          func(sweep, point uint64) error // queues one that far ahead of the clock, and does nothing else

	shape  []launch           // of one at the clock
	used   uint               // bit k: 2^k of them have been queued
	graphs [10]unsafe.Pointer // of 2^k
}

// start makes a clock at sweep 0 and point 0.
func (l *loop) start(d *device) error {
	l.d = d
	return fill(&l.clock, make([]uint64, 2))
}

// move queues a change of the clock.
func (l *loop) move(sweep, point uint64) error {
	if sweep == l.sweep && point == l.point {
		return nil
	}
	err := l.advance(sweep-l.sweep, point-l.point)
	l.sweep, l.point = sweep, point
	return err
}

func (l *loop) advance(sweeps, points uint64) error {
	return l.d.launch("advance_clock", 1, 1, 1, 32, l.clock.u(0), sweeps, points)
}

// repeat queues n turns, the first of them at the sweep and point given: powers
// of two of them as graphs, what is left over, and what is queued for the first
// time, launch by launch. Building a graph takes about as long as queueing its
// launches, so that one is not built for a single call.
func (l *loop) repeat(t *turn, n int, sweep, point uint64) error {
	if t.points == 0 && point != l.point { // it reads the point of the clock alone
		if err := l.move(sweep, point); err != nil {
			return err
		}
	}
	if err := t.look(l.d); err != nil {
		return err
	}
	if len(t.shape) == 0 { // every unit is clamped
		return nil
	}
	most := min(bits.Len(uint(l.d.nodes/len(t.shape))), len(t.graphs)) - 1
	for n > 0 {
		k := max(0, min(bits.Len(uint(n))-1, most))
		size := uint64(1) << k
		if k == 0 || t.used>>k&1 == 0 {
			t.used |= 1 << k
			for i := range size {
				if err := t.queue(sweep-l.sweep+i*t.sweeps, point-l.point+i*t.points); err != nil {
					return err
				}
			}
		} else if err := l.launch(t, k, sweep, point); err != nil {
			return err
		}
		sweep, point, n = sweep+size*t.sweeps, point+size*t.points, n-int(size)
	}
	return nil
}

// launch queues a graph of 2^k turns.
func (l *loop) launch(t *turn, k int, sweep, point uint64) error {
	if err := l.move(sweep, point); err != nil {
		return err
	}
	sweeps, points := t.sweeps<<k, t.points<<k
	if t.graphs[k] == nil {
		var err error
		if t.graphs[k], err = l.d.capture(func() error {
			for i := range uint64(1) << k {
				if err := t.queue(i*t.sweeps, i*t.points); err != nil {
					return err
				}
			}
			return l.advance(sweeps, points)
		}); err != nil {
			return err
		}
	}
	l.sweep, l.point = sweep+sweeps, point+points
	return result(C.cuGraphLaunch(t.graphs[k], nil))
}

// look forgets the graphs if a turn is not what it was: other memory, digits or
// fraction bits.
func (t *turn) look(d *device) error {
	var shape []launch
	d.noted = &shape
	err := t.queue(0, 0)
	d.noted = nil
	if err != nil || slices.EqualFunc(shape, t.shape, launch.equal) {
		return err
	}
	err = t.free()
	t.shape = shape
	return err
}

// free gives the graphs back when none is under way any more.
func (t *turn) free() error {
	var errs []error
	for k, g := range t.graphs {
		if g == nil {
			continue
		}
		if errs == nil {
			errs = append(errs, cu.Synchronize())
		}
		t.graphs[k] = nil
		errs = append(errs, destroyExec(g))
	}
	t.used = 0
	return cmp.Or(errs...)
}

// sliceWork is how many couplings × chains, or spins of a lattice, a launch of
// a long sweep takes at most: some milliseconds on a large device, less than a
// tenth of a second on one ten times slower (docs/gpu.md).
const (
	sliceWork  = 1 << 39
	sliceLists = 1 << 34
	sliceSpins = 1 << 34
)

// debt is what is still to be done of a sweep that was stopped between its
// launches. Whoever looks at the state next has it done first, so that a call
// ends soon and yet after a whole sweep.
type debt struct {
	next, all int
	queue     func(k int) error // queues the k-th of its launches
	after     func() error      // does what follows the last
}

func (o *debt) owed() bool { return o.queue != nil }

// pay goes on, one launch after another, until ctx ends.
func (o *debt) pay(ctx context.Context) error {
	for ; o.next < o.all; o.next++ {
		if ctx.Err() != nil {
			return nil
		}
		if err := o.queue(o.next); err != nil {
			return err
		}
		if err := cu.Synchronize(); err != nil {
			return err
		}
	}
	after := o.after
	*o = debt{}
	if after == nil {
		return nil
	}
	return after()
}
