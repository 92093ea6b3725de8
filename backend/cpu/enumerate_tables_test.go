package cpu

import (
	"math"
	"testing"

	"kadanoff/backend/backendtest"
	"kadanoff/kernels/enum"
	"kadanoff/kernels/isa"
)

// Leaves of several panels: in jobs of fewer than 37 spins every leaf is one
// panel of the (min, +) product, so the walk is tested with leaves made larger.
func TestPanelsOfALeaf(t *testing.T) {
	const n = 17
	job := backendtest.RandomIsing(n, 900, 700, 5)
	order := make([]int, n)
	for i := range order {
		order[i] = (i*5 + 3) % n
	}
	energy := func(state uint64) int32 {
		e := int32(0)
		for i, u := range order {
			e -= job.Field[u] * signed(state, i)
			for k, v := range order[:i] {
				e -= job.J(u, v) * signed(state, i) * signed(state, k)
			}
		}
		return e
	}
	for _, level := range isa.Available() {
		for _, leafBits := range []int{0, 1, 2} {
			tab := newTables(job, order)
			tab.layout.Leaf = leafBits
			l := tab.layout
			e := &enumeration{job: job, layout: l, kernel: enum.For(level), threads: 1}
			for _, width := range []int{enum.Cols, enum.Wide} {
				p := newPanel(e, tab, width)
				next := uint64(0)
				for leaf := range 1 << leafBits {
					for ok := p.start(leaf); ok; ok = p.next() {
						if p.c0 != next {
							t.Fatalf("leaf %d: panel at %d, want %d", leaf, p.c0, next)
						}
						next += uint64(p.columns)
						p.energies()
						for a := range tab.na {
							for y := range p.columns {
								p.eachB(a, y, func(b int, got int32) {
									s := uint64(a) | uint64(b)<<l.A | (p.c0+uint64(y))<<(l.A+l.B)
									if want := energy(s); got != want {
										t.Fatalf("%v, width %d: state %x has energy %d, want %d", level, width, s, got, want)
									}
								})
							}
						}
					}
				}
				if next != 1<<l.C {
					t.Fatalf("panels end at %d of %d", next, 1<<l.C)
				}
			}
			// the search for the minimum, over panels of one leaf
			least, count := int32(math.MaxInt32), uint64(0)
			w := newMinWorker(e, tab, newLowest(0))
			for leaf := range 1 << leafBits {
				m, c, err := w.leaf(t.Context(), leaf, math.MaxInt64)
				if err != nil {
					t.Fatal(err)
				}
				if m < least {
					least, count = m, 0
				}
				if m == least {
					count += c
				}
			}
			want, wantCount := int32(math.MaxInt32), uint64(0)
			for s := range uint64(1 << n) {
				e := energy(s)
				if e < want {
					want, wantCount = e, 0
				}
				if e == want {
					wantCount++
				}
			}
			if least != want || count != wantCount {
				t.Errorf("%v: minimum %d (%d), want %d (%d)", level, least, count, want, wantCount)
			}
		}
	}
}

// Counters that would overflow are spelled out in between.
func TestHistogramFlush(t *testing.T) {
	job := backendtest.RandomIsing(20, 1, 1, 9)
	job.Joint = true
	run := func(counted uint64) []uint64 {
		e := &enumeration{job: job, layout: job.Layout(), kernel: enum.For(isa.Best()), threads: 1, last: job.Layout().Leaves()}
		h := newHistogram(e)
		if !h.plan(1, 1) {
			t.Fatal("no plan")
		}
		h.prepare()
		w := h.newWorker()
		w.counted = counted
		for leaf := range e.last {
			if err := w.leaf(t.Context(), leaf); err != nil {
				t.Fatal(err)
			}
		}
		w.flush()
		return h.bins
	}
	want, total := run(0), uint64(0)
	for i, c := range run(math.MaxUint32 - 5000) {
		total += c
		if c != want[i] {
			t.Errorf("bin %d: %d with a flush in between, %d without", i, c, want[i])
		}
	}
	if total != 1<<20 {
		t.Errorf("%d states, want %d", total, 1<<20)
	}
}
