package stats

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Resampled is a statistic of a sample and the bootstrap estimate of its error.
type Resampled struct {
	Value  float64 // of the sample itself
	Error  float64 // standard deviation over the replicas in which it is finite
	Failed int     // replicas in which it is not, such as a root that is not there
}

// Bootstrap estimates the error of a statistic of independent draws from
// several populations by drawing them anew, with replacement, from the sample
// (B. Efron, Ann. Statist. 7 (1979) 1). sizes[k] is the number of draws from
// population k; f is called with the numbers of the draws to use from each, in
// any order and as often as they come, which it must not keep: first with all
// of them, then for each of the replicas, at least 2. The same seed gives the
// same replicas. The error is NaN where fewer than two replicas are finite.
func Bootstrap(sizes []int, replicas int, seed uint64, f func(draws [][]int) float64) (Resampled, error) {
	if len(sizes) == 0 || replicas < 2 {
		return Resampled{}, fmt.Errorf("stats: %d populations and %d replicas, want at least one and two", len(sizes), replicas)
	}
	draws := make([][]int, len(sizes))
	for k, n := range sizes {
		if n < 1 {
			return Resampled{}, errors.New("stats: a population without draws")
		}
		draws[k] = make([]int, n)
		for i := range draws[k] {
			draws[k][i] = i
		}
	}
	out := Resampled{Value: f(draws), Error: math.NaN()}
	rng := rand.New(rand.NewPCG(seed, 0))
	var n, mean, square float64
	for range replicas {
		for _, d := range draws {
			for i := range d {
				d[i] = rng.IntN(len(d))
			}
		}
		v := f(draws)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out.Failed++
			continue
		}
		n++
		d := v - mean
		mean += d / n
		square += float64(d * (v - mean))
	}
	if n > 1 {
		out.Error = math.Sqrt(square / (n - 1))
	}
	return out, nil
}
