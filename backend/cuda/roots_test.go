//go:build gpu && cgo

package cuda

import (
	"context"
	"math"
	"slices"
	"testing"

	"kadanoff/backend"
	kernels "kadanoff/kernels/roots"
)

// The devices solve themselves, with the CPU's bits: of ordinary distributions
// nearly none is left to it.
func TestRootsOnDevice(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		for _, size := range [][2]int{{2, 1}, {9, 7}, {64, 16}} {
			job := backend.RootsJob{Visible: size[0], Hidden: size[1], Count: 300}
			values := job.Values()
			job.Weight = make([]float64, job.Count*values)
			for i := range job.Count {
				count, tilt := 1., float64(i+1)/float64(job.Count*job.Visible)
				for j := range values {
					job.Weight[j*job.Count+i] = count * (1 + tilt*float64(job.Visible-2*j))
					if job.Visible == 2*j {
						job.Weight[j*job.Count+i] /= 2
					}
					count *= float64(job.Visible-j) / float64(j+1)
				}
			}
			got, want := backend.RootsResult{W: make([]float64, job.Count)}, backend.RootsResult{W: make([]float64, job.Count)}
			ctx := context.Background()
			if err := b.Backend.Roots(ctx, job, want); err != nil {
				t.Fatal(err)
			}
			if err := b.Roots(ctx, job, got); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.W, want.W) {
				t.Errorf("%v: roots differ", size)
			}
			c := b.tables.Of(job.Visible, job.Hidden).Size.Constants()
			s := rootSolver{d: b.devices[0], job: &job, c: &c}
			w, slope := make([]float64, job.Count), make([]float64, job.Count)
			for _, f := range []func() error{s.load, func() error { return s.run(0, job.Count, w, slope) }, s.free} {
				if err := s.d.do("testing", f); err != nil {
					t.Fatal(err)
				}
			}
			open := 0
			for i, x := range slope {
				if !(x >= kernels.PolishFloor) || math.IsNaN(w[i]) {
					open++
				} else if w[i] != want.W[i] {
					t.Fatalf("%v: root %d is %v, want %v", size, i, w[i], want.W[i])
				}
			}
			if open > job.Count/10 {
				t.Errorf("%v: the device leaves %d of %d problems open", size, open, job.Count)
			}
		}
	})
}
