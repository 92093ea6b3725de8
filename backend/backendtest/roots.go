package backendtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/ref"
)

// GoldenRoots is RootsDigest of every backend.
const GoldenRoots = "265d976666e4fd0473ccde5a47caccb9905ecd30a6abcd22e562bde43f0f7a63"

// rootsJobs are jobs of both kinds: couplings across the whole range with odd
// ones in between, and distributions with weights of all sizes.
func rootsJobs() map[string]backend.RootsJob {
	jobs := map[string]backend.RootsJob{}
	odd := []float64{
		0, math.Copysign(0, -1), -3, math.Inf(1), math.Inf(-1), math.NaN(), 5e-324, 1e-12, 1e-9,
		1 << 16, 1e5, 1e300, math.MaxFloat64, 700,
	}
	for name, size := range map[string][2]int{"2x1": {2, 1}, "3x5": {3, 5}, "8x4": {8, 4}, "17x1024": {17, 1024}, "37x6": {37, 6}, "67x2": {67, 2}} {
		r := &numbers{}
		r.key[0] = uint32(size[0])
		n := 301
		if size[0] > 20 {
			n = 45
		}
		k := make([]float64, n)
		for i := range k {
			// 2⁻⁸ … 2³, few intervals, so that the reference is done soon.
			k[i] = math.Ldexp(1+float64(r.next())/(1<<32), int(r.next()>>29)*3/2-8)
			if i%9 == 4 {
				k[i] = odd[r.next()%uint32(len(odd))]
			}
		}
		jobs["couplings-"+name] = backend.RootsJob{Visible: size[0], Hidden: size[1], K: k}

		job := backend.RootsJob{Visible: size[0], Hidden: size[1], Count: 57}
		for _, low := range []bool{false, true} {
			r := &numbers{}
			job.Weight = make([]float64, job.Count*job.Values())
			if low {
				job.Low = make([]float64, len(job.Weight))
			}
			for i := range job.Count {
				spread := math.Ldexp(float64(r.next())/(1<<32), -int(r.next()>>28))
				count := 1.0
				for j := range job.Values() {
					at := j*job.Count + i
					// Independent spins, with more weight on large |V|.
					job.Weight[at] = count * (1 + spread*float64(job.Visible-2*j))
					if job.Visible == 2*j {
						job.Weight[at] /= 2
					}
					if low {
						job.Low[at] = job.Weight[at] * 0x1p-60 * float64(r.next()) / (1 << 32)
					}
					if i%7 == 3 {
						job.Weight[at] = math.Ldexp(job.Weight[at], -20*i*j) // rare, or none at all
						if low {
							job.Low[at] = 0
						}
					}
					count *= float64(job.Visible-j) / float64(j+1)
				}
				switch i {
				case 8:
					job.Weight[i] = math.NaN()
				case 9:
					job.Weight[job.Count+i] = -1
				case 10:
					job.Weight[i] = math.Inf(1)
				case 12:
					job.Weight[i] = 0
				}
			}
			if low {
				jobs["digits-"+name] = job
			} else {
				jobs["weights-"+name] = job
			}
		}
	}
	return jobs
}

// part returns the problems lo … hi−1 of a job.
func part(job backend.RootsJob, lo, hi int) backend.RootsJob {
	if job.K != nil {
		job.K = job.K[lo:hi]
		return job
	}
	cut := func(x []float64) []float64 {
		var y []float64
		for j := 0; x != nil && j < job.Values(); j++ {
			y = append(y, x[j*job.Count+lo:j*job.Count+hi]...)
		}
		return y
	}
	job.Weight, job.Low = cut(job.Weight), cut(job.Low)
	job.Count = hi - lo
	return job
}

// rootsWanted are the reference's answers to all jobs, computed once.
var rootsWanted = sync.OnceValues(func() (map[string]backend.RootsResult, error) {
	all := map[string]backend.RootsResult{}
	for name, job := range rootsJobs() {
		n := job.Problems()
		all[name] = backend.RootsResult{W: make([]float64, n), Residual: make([]float64, n)}
		if err := ref.New().Roots(context.Background(), job, all[name]); err != nil {
			return nil, err
		}
	}
	return all, nil
})

// RootsDigest returns the SHA-256 of all roots and residuals that the suite's
// jobs have on b, in hex.
func RootsDigest(ctx context.Context, b backend.Backend) (string, error) {
	jobs := rootsJobs()
	names := slices.Sorted(maps.Keys(jobs))
	hash := sha256.New()
	for _, name := range names {
		job := jobs[name]
		n := job.Problems()
		r := backend.RootsResult{W: make([]float64, n), Residual: make([]float64, n)}
		if err := b.Roots(ctx, job, r); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		_ = binary.Write(hash, binary.LittleEndian, r.W)
		_ = binary.Write(hash, binary.LittleEndian, r.Residual)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// roots checks that bulk solves give the reference's bits, roots and residuals,
// however the batch is cut.
func roots(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	wanted, err := rootsWanted()
	check(t, err)
	for name, job := range rootsJobs() {
		n := job.Problems()
		want := wanted[name]
		solved := 0
		for _, w := range want.W {
			if w > 0 && !math.IsInf(w, 1) {
				solved++
			}
		}
		if solved < n/2 {
			t.Errorf("%s: only %d of %d problems have a root", name, solved, n)
		}
		for _, parts := range []int{1, 3} {
			got := backend.RootsResult{W: make([]float64, n), Residual: make([]float64, n)}
			for p := range parts {
				lo, hi := n*p/parts, n*(p+1)/parts
				check(t, b.Roots(ctx, part(job, lo, hi), backend.RootsResult{W: got.W[lo:hi], Residual: got.Residual[lo:hi]}))
			}
			for i := range n {
				if math.Float64bits(got.W[i]) != math.Float64bits(want.W[i]) {
					t.Fatalf("%s in %d parts: root %d is %v, want %v", name, parts, i, got.W[i], want.W[i])
				}
				if math.Float64bits(got.Residual[i]) != math.Float64bits(want.Residual[i]) {
					t.Fatalf("%s in %d parts: residual %d is %v, want %v", name, parts, i, got.Residual[i], want.Residual[i])
				}
			}
		}
	}
	if got, err := RootsDigest(ctx, b); err != nil || got != GoldenRoots {
		t.Errorf("digest of all roots is %s (%v), want %s", got, err, GoldenRoots)
	}
	one := backend.RootsResult{W: make([]float64, 1)}
	for want, job := range map[string]backend.RootsJob{
		"1 visible units":      {Visible: 1, Hidden: 1, K: []float64{1}},
		"257 visible units":    {Visible: 257, Hidden: 1, K: []float64{1}},
		"0 hidden units":       {Visible: 2, K: []float64{1}},
		"1 roots and 0":        {Visible: 2, Hidden: 1, K: []float64{1, 2}},
		"distributions in one": {Visible: 2, Hidden: 1, K: []float64{1}, Count: 1},
		"-1 distributions":     {Visible: 2, Hidden: 1, Count: -1},
		"3 weights":            {Visible: 4, Hidden: 1, Count: 2, Weight: make([]float64, 3)},
		"2 low parts":          {Visible: 2, Hidden: 1, Count: 2, Weight: make([]float64, 4), Low: make([]float64, 2)},
	} {
		if err := b.Roots(ctx, job, one); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a job that must be refused with %q: %v", want, err)
		}
	}
	gone, stop := context.WithCancel(ctx)
	stop()
	if err := b.Roots(gone, backend.RootsJob{Visible: 8, Hidden: 4, K: []float64{1}}, one); err != context.Canceled {
		t.Errorf("a call with an ended context returns %v", err)
	}
}
