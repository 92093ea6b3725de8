package rg

import (
	"fmt"
	"math"
)

// DecimateSpins keeps every second spin of sampled ring configurations: those
// with even index of each row. states is [chains][size], ±1; size must be even.
// The result is a new [chains][size/2].
func DecimateSpins(states []int8, size int) ([]int8, error) {
	if size < 2 || size%2 != 0 {
		return nil, fmt.Errorf("decimating a ring of %d spins: want an even number", size)
	}
	if len(states)%size != 0 {
		return nil, fmt.Errorf("%d spins are not whole rings of %d", len(states), size)
	}
	kept := make([]int8, len(states)/2)
	for i := range kept {
		kept[i] = states[2*i]
	}
	return kept, nil
}

// MeasureCoupling estimates K from sampled ring configurations, [chains][size],
// as the one whose ring of that size has the mean nearest-neighbour correlation
// of the sample: the maximum-likelihood estimate. It is ±Inf when all
// neighbours are alike (or unlike). Rings of one spin have no coupling; on two
// the bond counts twice.
func MeasureCoupling(states []int8, size int) (float64, error) {
	if size < 2 || len(states) == 0 || len(states)%size != 0 {
		return 0, fmt.Errorf("%d spins are not whole rings of %d, at least 2", len(states), size)
	}
	sum := 0
	for row := 0; row < len(states); row += size {
		last := states[row+size-1]
		for _, s := range states[row : row+size] {
			sum += int(last) * int(s)
			last = s
		}
	}
	return CouplingOf(float64(sum)/float64(len(states)), size), nil
}

// CouplingOf returns the K at which neighbours on a ring of the given size have
// correlation c: the root of (t + t^{size−1})/(1 + t^size) = c, t = tanh K.
func CouplingOf(c float64, size int) float64 {
	if c >= 1 {
		return math.Inf(1)
	}
	least := -1.0
	if size%2 == 1 {
		least = -1 + 2/float64(size) // one bond stays frustrated
	}
	if c <= least {
		return math.Inf(-1)
	}
	// K = artanh of the infinite chain is too large on a ring, in size.
	lo, hi := -20.0, 20.0
	for {
		k := lo + (hi-lo)/2
		if k <= lo || k >= hi {
			return k
		}
		if neighbours(k, size) < c {
			lo = k
		} else {
			hi = k
		}
	}
}

// neighbours is the correlation of neighbours on a ring.
func neighbours(k float64, size int) float64 {
	t := math.Tanh(k)
	if size%2 == 1 && k < 0 {
		// (t + t^{n−1})/(1 + t^n) with t = −a: −a (1 − a^{n−2})/(1 − a^n),
		// (n−2)/n where a rounds to 1.
		a := -t
		l := math.Log(a)
		if l > -1e-12 {
			return -float64(size-2) / float64(size)
		}
		return -a * math.Expm1(float64(size-2)*l) / math.Expm1(float64(size)*l)
	}
	return (t + math.Pow(t, float64(size-1))) / (1 + math.Pow(t, float64(size)))
}
