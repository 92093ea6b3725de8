package ising

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// RingJob is a measurement of a ring at one temperature by exact samples, each
// independent of all others: configuration c·Samples + k of SampleRing is
// sample k of chain c, and chains only group them.
type RingJob struct {
	Size         int
	Temperature  float64 // 0 is the limit, aligned spins
	Chains       int
	First, Count int // the chains of this part of the job; 0, 0 for all
	Samples      int // of each chain, at least MinSweeps
	Seed         uint64
	Threads      int // at least 1; has no influence on the result
}

// MaxRing is the largest ring of a RingJob.
const MaxRing = 1 << 24

// Check reports what is wrong with a job.
func (j *RingJob) Check() error {
	switch {
	case j.Size < 1 || j.Size > MaxRing:
		return fmt.Errorf("a ring of %d spins, want 1 to 2²⁴", j.Size)
	case !(j.Temperature >= 0) || math.IsInf(j.Temperature, 0):
		return fmt.Errorf("temperature %v, want a finite one of 0 or more", j.Temperature)
	case j.Chains < 1 || j.Threads < 1:
		return errors.New("samples of a ring want at least one chain and one thread")
	case j.First < 0 || j.Count < 0 || j.First >= j.Chains || j.Count > j.Chains-j.First:
		return fmt.Errorf("chains %d to %d of %d", j.First, j.First+j.Count-1, j.Chains)
	case j.Samples < MinSweeps:
		return fmt.Errorf("%d samples of a chain, want at least %d", j.Samples, MinSweeps)
	}
	return nil
}

// MeasureRing carries out a job; draw, if not nil, gets each sample as in
// MeasureClusters.
func MeasureRing(ctx context.Context, job RingJob, draw func(chain, sample int, spins []int8) error) (*Series, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	// K = J/T; T = 0 gives the limit +Inf.
	same := ringProbabilities(job.Size, 1/job.Temperature)
	return eachChain(job.Chains, job.First, held(job.Chains, job.First, job.Count), job.Threads, func(c int, s *Series) error {
		spins := make([]int8, job.Size)
		for k := range job.Samples {
			if err := ctx.Err(); err != nil {
				return err
			}
			sampleRing(spins, same, job.Seed, uint64(c)*uint64(job.Samples)+uint64(k))
			e, m, last := int64(0), int64(0), spins[job.Size-1]
			for _, x := range spins {
				e -= int64(x * last)
				m += int64(x)
				last = x
			}
			s.add([]int64{e}, []int64{m}, float64(job.Size))
			if draw != nil {
				if err := draw(c-job.First, k, spins); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
