//go:build gpu && cgo

package cuda

import (
	"context"
	"reflect"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/backend/ref"
	"kadanoff/spin"
)

// everywhere calls f with one device and, on the simulated driver, with three.
func everywhere(t *testing.T, f func(t *testing.T, b *Backend)) {
	t.Run("one", func(t *testing.T) { f(t, open(t)) })
	t.Run("all", func(t *testing.T) { f(t, threeDevices(t)) })
}

// What the devices enumerate themselves, with and without fields, in one part
// and in three, with more bins than a block has counters.
func TestEnumerate(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		for n := 1; n <= 15; n++ {
			if testing.Short() && n > 5 && n%4 != 0 {
				continue
			}
			for field := range int32(2) {
				job := backendtest.RandomIsing(n, 5, 7*field, uint64(n))
				job.Betas = []float64{0.2}
				job.Histogram = true
				job.Joint = n%3 > 0
				if n == 13 {
					*job = *backendtest.RandomIsing(n, 900, 300*field, 1)
					job.Histogram, job.Betas = true, []float64{0.01}
				}
				want, err := backendtest.Sharded(context.Background(), ref.New(), job, 1)
				if err != nil {
					t.Fatal(err)
				}
				for _, shards := range []int{1, 3} {
					got, err := backendtest.Sharded(context.Background(), b, job, shards)
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(got, want) {
						t.Errorf("%d spins, fields up to %d, in %d parts: %+v, want %+v", n, 7*field, shards, got, want)
					}
				}
			}
		}
	})
}

// Pieces of leaves, so cold that the CPU sums some of them state by state.
func TestEnumeratePieces(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		job := backendtest.RandomIsing(16, 1000, 0, 4)
		job.Betas, job.Unit = []float64{3, 40}, 0.25
		ctx := context.Background()
		want, err := backend.Enumerate(ctx, ref.New(), job)
		if err != nil {
			t.Fatal(err)
		}
		var parts []*backend.EnumeratePart
		leaves := job.Layout().Leaves()
		for from := 0; from < leaves; from += 3 {
			piece := *job
			piece.From, piece.To = from, min(leaves, from+3)
			p, err := b.Enumerate(ctx, &piece)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, p)
		}
		got, err := backend.FinishEnumeration(job, parts)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("in %d parts: %+v, want %+v", len(parts), got, want)
		}
	})
}

// Several tiles of rows and of the inner index, and several panels to a leaf.
func TestEnumerateTiles(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		job := backendtest.RandomIsing(23, 9, 9, 1)
		job.Betas, job.Histogram = []float64{0.05}, true
		want, err := backend.Enumerate(context.Background(), b.Backend, job) // the CPU
		if err != nil {
			t.Fatal(err)
		}
		got, err := backend.Enumerate(context.Background(), b, job)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got.Thermal, want.Thermal)
		}
	})
}

// The sums over an RBM's smaller layer, either one, with few units and many.
func TestEnumerateRBM(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		nets := map[string]*spin.Network{
			"37x14":        quantized(t, backendtest.RandomRBM(37, 14, 4, 1)),
			"53x11-splits": quantized(t, backendtest.RandomRBM(53, 11, 30, 1)),
		}
		if s := (&backend.EnumerateRBMJob{Network: nets["53x11-splits"]}).States(); s.Split == 0 || 3*s.Split > s.Others {
			t.Fatalf("exponents are split off after %d of %d units, want several times", s.Split, s.Others)
		}
		for _, c := range backendtest.RBMCases() {
			nets[c.Name] = c.Network()
		}
		for name, n := range nets {
			job := &backend.EnumerateRBMJob{Network: n}
			last := 0.0
			want, err := ref.New().EnumerateRBM(context.Background(), job)
			if err != nil {
				t.Fatal(err)
			}
			job.Progress = func(f float64) { last = f }
			got, err := b.EnumerateRBM(context.Background(), job)
			if err != nil {
				t.Fatal(err)
			}
			if got.LogZ != want.LogZ {
				t.Errorf("%s: log Z is %v, want %v", name, got.LogZ, want.LogZ)
			}
			if last != 1 {
				t.Errorf("%s: progress ends at %v", name, last)
			}
		}
		counter := simulated(t)
		launches := counter(simLaunches)
		if _, err := b.EnumerateRBM(context.Background(), &backend.EnumerateRBMJob{Network: nets["8x8"]}); err != nil {
			t.Fatal(err)
		}
		if counter(simLaunches) == launches {
			t.Error("the device did nothing")
		}
	})
}

// Progress goes up to one, whoever does the work.
func TestEnumerateProgress(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		for name, change := range map[string]func(*backend.EnumerateJob){
			"minimum":   func(j *backend.EnumerateJob) {},
			"lowest":    func(j *backend.EnumerateJob) { j.Lowest = 3 },
			"moments":   func(j *backend.EnumerateJob) { j.Betas, j.Moments = []float64{1}, true },
			"sums only": func(j *backend.EnumerateJob) { j.Betas, j.SumsOnly = []float64{1, 2}, true },
			"bins":      func(j *backend.EnumerateJob) { j.Betas, j.Histogram = []float64{1, 2, 3}, true },
		} {
			job := backendtest.RandomIsing(12, 3, 3, 1)
			change(job)
			last, calls := 0.0, 0
			job.Progress = func(f float64) {
				if f < last || f > 1 {
					t.Errorf("%s: %v after %v", name, f, last)
				}
				last, calls = f, calls+1
			}
			if _, err := b.Enumerate(context.Background(), job); err != nil {
				t.Fatal(err)
			}
			if last < 1-1e-9 {
				t.Errorf("%s: ends at %v after %d calls", name, last, calls)
			}
		}
	})
}
