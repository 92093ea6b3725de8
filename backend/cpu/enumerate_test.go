package cpu

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/backend/ref"
	"kadanoff/kernels/isa"
)

func TestBranchAndBound(t *testing.T) {
	b := open(t, isa.Generic, 1)
	for n := 1; n <= 14; n++ {
		for _, k := range []int{0, 1, 40} {
			for _, size := range [][2]int32{{500, 0}, {1, 1}, {3, 200}, {1, 0}} {
				job := backendtest.RandomIsing(n, size[0], size[1], 7)
				job.Lowest = k
				want, err := backend.Enumerate(context.Background(), ref.New(), job)
				if err != nil {
					t.Fatal(err)
				}
				job.BranchAndBound = true
				got, err := backend.Enumerate(context.Background(), b, job)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("n = %d, k = %d, sizes %v: got %+v, want %+v", n, k, size, got, want)
				}
			}
		}
	}
}

// Goals on one core of a Zen 4 with AVX-512, in states/s: minimum 4.2e10, log Z
// 1.7e10, histogram of ±1 couplings 8e9, the 1000 lowest 1.8e8.
func BenchmarkEnumerate(b *testing.B) {
	const n = 28
	job := func(change func(j *backend.EnumerateJob)) *backend.EnumerateJob {
		j := backendtest.RandomIsing(n, 100000, 30000, 1)
		j.Unit = 1e-5
		change(j)
		return j
	}
	signs := backendtest.RandomIsing(n, 1, 1, 1)
	signs.Histogram, signs.SumsOnly = true, true
	for _, c := range []struct {
		name string
		job  *backend.EnumerateJob
	}{
		{"minimum", job(func(*backend.EnumerateJob) {})},
		{"lowest-1000", job(func(j *backend.EnumerateJob) { j.Lowest = 1000 })},
		{"log-z", job(func(j *backend.EnumerateJob) { j.Betas, j.SumsOnly = []float64{1}, true })},
		{"moments", job(func(j *backend.EnumerateJob) { j.Betas, j.SumsOnly, j.Moments = []float64{1}, true, true })},
		{"histogram", signs},
	} {
		for _, l := range isa.Available() {
			if l == isa.Generic {
				continue
			}
			b.Run(fmt.Sprintf("%s/%v", c.name, l), func(b *testing.B) {
				be := open(b, l, 1)
				for b.Loop() {
					if _, err := be.Enumerate(context.Background(), c.job); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(uint64(b.N)<<n)/b.Elapsed().Seconds()/1e9, "Gstates/s")
			})
		}
	}
}

// Goal on one core of a Zen 4: below 50 ms.
func BenchmarkBranchAndBound36(b *testing.B) {
	be := open(b, isa.Best(), 1)
	job := backendtest.RandomIsing(36, 20000, 6000, 1)
	job.BranchAndBound = true
	for b.Loop() {
		if _, err := be.Enumerate(context.Background(), job); err != nil {
			b.Fatal(err)
		}
	}
}
