package bench

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/kernels/isa"
	"kadanoff/spin"
)

// enumKind is a kind of enumeration of N spins that is timed.
type enumKind struct {
	name string
	unit string
	// goals for one thread of an AMD Zen 4 core at 3.6 GHz, where one add and
	// one minimum for 16 states allow 5.9e10 states/s, and one multiply-add for 8
	// states 2.9e10.
	goals map[isa.Level]float64
	job   func(n int) *backend.EnumerateJob
	limit func(t *Target) float64 // for one thread, 0 if unknown
}

var enumKinds = []enumKind{
	{
		"minimum", "states/s", map[isa.Level]float64{isa.AVX512: 4.7e10, isa.AVX2: 3.7e10, isa.Generic: 8e8},
		gaussian, func(t *Target) float64 { return enumProbe(t).AddMin },
	},
	{
		"log-z", "states/s", map[isa.Level]float64{isa.AVX512: 2.0e10, isa.AVX2: 1.7e10, isa.Generic: 1.2e9},
		func(n int) *backend.EnumerateJob {
			j := gaussian(n)
			j.Betas, j.SumsOnly = []float64{1}, true
			return j
		}, func(t *Target) float64 { return enumProbe(t).MulAdd },
	},
	{
		"histogram", "states/s", map[isa.Level]float64{isa.AVX512: 7e9, isa.AVX2: 7e9, isa.Generic: 3e9},
		func(n int) *backend.EnumerateJob {
			j := backendtest.RandomIsing(n, 1, 1, 1)
			j.Histogram, j.SumsOnly = true, true
			return j
		}, nil,
	},
	{
		"lowest-1000", "states/s", map[isa.Level]float64{isa.AVX512: 1.8e10, isa.AVX2: 1.5e10, isa.Generic: 4e8},
		func(n int) *backend.EnumerateJob {
			j := gaussian(n)
			j.Lowest = 1000
			return j
		}, nil,
	},
	{
		// not an enumeration: it visits few of the states
		"branch-and-bound", "ground states/s", map[isa.Level]float64{isa.AVX512: 20, isa.AVX2: 20, isa.Generic: 20},
		func(n int) *backend.EnumerateJob {
			j := gaussian(n)
			j.BranchAndBound = true
			return j
		}, nil,
	},
}

// gaussian returns couplings and fields of many digits.
func gaussian(n int) *backend.EnumerateJob {
	j := backendtest.RandomIsing(n, 100000, 30000, 1)
	j.Unit = 1e-5
	return j
}

// of returns the benchmark of a kind at N spins.
func (k enumKind) of(n int, slow bool) Benchmark {
	return Benchmark{
		Name: fmt.Sprintf("enumerate/%s-%d", k.name, n), Unit: k.unit, Goal: perThread(k.goals), Slow: slow,
		Prepare: func(_ context.Context, t *Target) (*Work, error) {
			bound := k.name == "branch-and-bound"
			if t.Name != "cpu" || slow && t.Level == isa.Generic && !bound || bound && t.Threads > 1 {
				return nil, nil // seconds for one time; the search runs on one thread
			}
			job := k.job(n)
			w := &Work{Units: math.Exp2(float64(n)), Do: func(ctx context.Context, times int) error {
				for range times {
					if _, err := t.Backend.Enumerate(ctx, job); err != nil {
						return err
					}
				}
				return nil
			}}
			if k.unit != "states/s" {
				w.Units = 1
			}
			if k.limit != nil {
				w.Limit = k.limit(t) * float64(t.Threads)
			}
			return w, nil
		},
	}
}

// rbmEnumeration is the exact log Z of an RBM.
func rbmEnumeration(visible, hidden int, goals map[isa.Level]float64, slow bool) Benchmark {
	return Benchmark{
		Name: fmt.Sprintf("enumerate/rbm-%dx%d", visible, hidden), Unit: "states/s", Goal: perThread(goals), Slow: slow,
		Prepare: func(_ context.Context, t *Target) (*Work, error) {
			if t.Name != "cpu" || slow && t.Level == isa.Generic {
				return nil, nil
			}
			q, err := spin.Quantize(newNumbers(32).rbm(visible, hidden, 0.25, 0.25))
			if err != nil {
				return nil, err
			}
			job := &backend.EnumerateRBMJob{Network: q}
			return &Work{
				Units: math.Exp2(float64(min(visible, hidden))),
				Limit: enumProbe(t).Factor / float64(max(visible, hidden)) * float64(t.Threads),
				Do: func(ctx context.Context, times int) error {
					for range times {
						if _, err := t.Backend.EnumerateRBM(ctx, job); err != nil {
							return err
						}
					}
					return nil
				},
			}, nil
		},
	}
}

func enumerateBenchmarks() []Benchmark {
	var bs []Benchmark
	for i, k := range enumKinds {
		sizes := [][2]int{{28, 32}, {28, 32}, {28, 33}, {26, 30}, {36, 48}}[i]
		bs = append(bs, k.of(sizes[0], false), k.of(sizes[1], true))
	}
	return append(bs,
		rbmEnumeration(64, 18, map[isa.Level]float64{isa.AVX512: 1.2e8, isa.AVX2: 1.2e8, isa.Generic: 1.3e7}, false),
		rbmEnumeration(64, 22, map[isa.Level]float64{isa.AVX512: 1.2e8, isa.AVX2: 1.2e8}, true),
		rbmEnumeration(784, 22, map[isa.Level]float64{isa.AVX512: 1.2e7, isa.AVX2: 1.2e7}, true),
	)
}

// enumerateSized makes a benchmark from a kind and a size.
func enumerateSized(size string) (Benchmark, error) {
	if layers, ok := strings.CutPrefix(size, "rbm-"); ok {
		v, h, _ := strings.Cut(layers, "x")
		visible, err := strconv.Atoi(v)
		hidden, err2 := strconv.Atoi(h)
		if err != nil || err2 != nil || min(visible, hidden) < 1 || min(visible, hidden) > 30 || max(visible, hidden) > mostUnits {
			return Benchmark{}, fmt.Errorf("want rbm-VISIBLExHIDDEN, the smaller layer of at most 30 units")
		}
		return rbmEnumeration(visible, hidden, nil, false), nil
	}
	for _, k := range enumKinds {
		if text, ok := strings.CutPrefix(size, k.name+"-"); ok {
			if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= backend.MaxEnumerateSpins {
				return k.of(n, false), nil
			}
		}
	}
	return Benchmark{}, fmt.Errorf("want a kind and its spins, up to %d", backend.MaxEnumerateSpins)
}
