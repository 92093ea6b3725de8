package cpu

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/kernels/enum"
	"kadanoff/kernels/isa"
)

// ising returns a job with random couplings and fields below the given sizes.
func ising(n int, coupling, field int32, seed uint64) *backend.EnumerateJob {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	job := &backend.EnumerateJob{Coupling: make([]int32, n*n), Field: make([]int32, n)}
	draw := func(x int32) int32 {
		if x == 1 {
			return int32(rng.IntN(2))*2 - 1
		}
		return int32(rng.IntN(int(2*x+1))) - x
	}
	for i := range n {
		job.Field[i] = draw(field)
		for k := range i {
			j := draw(coupling)
			job.Coupling[i*n+k], job.Coupling[k*n+i] = j, j
		}
	}
	return job
}

func (e *testEnumerator) name() string { return fmt.Sprintf("%v/%d", e.level, e.threads) }

type testEnumerator struct {
	level   isa.Level
	threads int
}

func (e *testEnumerator) run(job *backend.EnumerateJob) (*backend.EnumeratePart, error) {
	return enumerate(context.Background(), enum.For(e.level), e.threads, job)
}

func enumerators() []*testEnumerator {
	var all []*testEnumerator
	for _, l := range isa.Available() {
		all = append(all, &testEnumerator{l, 1}, &testEnumerator{l, 3})
	}
	return all
}

func TestEnumerateAgainstReference(t *testing.T) {
	jobs := map[string]*backend.EnumerateJob{}
	for n := 1; n <= 14; n++ {
		job := ising(n, 9, 5, 1)
		job.Lowest, job.Betas, job.Histogram = 7, []float64{0, 0.3}, true
		jobs[fmt.Sprintf("small-%d", n)] = job
		m := ising(n, 700, 300, 2)
		m.Unit, m.Betas, m.Moments, m.Lowest = 0.01, []float64{0.7}, true, 1000
		jobs[fmt.Sprintf("moments-%d", n)] = m
	}
	pm := ising(17, 1, 1, 3)
	pm.Joint, pm.Betas, pm.Lowest = true, []float64{0.2, 1, 5}, 1000
	jobs["signs-17"] = pm
	cold := ising(16, 1000, 0, 4)
	cold.Betas, cold.Unit = []float64{3, 40}, 0.25
	jobs["cold-16"] = cold
	coldMoments := ising(12, 1000, 100, 5)
	coldMoments.Betas, coldMoments.Moments = []float64{1, 20}, true
	jobs["cold-moments-12"] = coldMoments
	flat := ising(13, 1, 1, 6)
	clear(flat.Coupling)
	clear(flat.Field)
	flat.Betas, flat.Lowest, flat.Histogram = []float64{1}, 3, true
	jobs["flat-13"] = flat
	for name, job := range jobs {
		want, err := ref.New().Enumerate(context.Background(), job)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, e := range enumerators() {
			got, err := e.run(job)
			if err != nil {
				t.Fatalf("%s on %s: %v", name, e.name(), err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s on %s:\n got %.900v\nwant %.900v", name, e.name(), got, want)
			}
		}
	}
}

func TestBranchAndBound(t *testing.T) {
	for n := 1; n <= 15; n++ {
		for _, k := range []int{0, 1, 40} {
			for coupling := range int32(3) {
				job := ising(n, []int32{500, 1, 3}[coupling], []int32{0, 1, 200}[coupling], 7)
				if coupling == 0 {
					clear(job.Field)
				}
				job.Lowest = k
				want, err := ref.New().Enumerate(context.Background(), job)
				if err != nil {
					t.Fatal(err)
				}
				job.BranchAndBound = true
				got, err := enumerate(context.Background(), enum.For(isa.Generic), 1, job)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) && !(len(got.Lowest)+len(want.Lowest) == 0 && got.Ground == want.Ground && got.GroundStates == want.GroundStates) {
					t.Errorf("n = %d, k = %d: got %+v, want %+v", n, k, got, want)
				}
			}
		}
	}
}

func TestEnumerateCancels(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	job := ising(20, 1, 1, 1)
	job.Betas, job.Histogram = []float64{1}, true
	if _, err := enumerate(ctx, enum.For(isa.Best()), 2, job); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
