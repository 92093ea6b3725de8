package bench

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// falseAlarm is the probability with which one result of a right sampler may
// lie beyond its limit. docs/checks.md adds up what that means for a run.
const falseAlarm = 1e-9

// minErrors is the least number of standard errors that a limit allows.
const minErrors = 5

// errorsAllowed returns how many standard errors the farthest of a number of
// comparisons may be off: the two-sided quantile of falseAlarm/comparisons of
// Student's t distribution with the given degrees of freedom, of the normal
// one if they are 0, the standard error being known.
func errorsAllowed(comparisons, freedom int) float64 {
	p := falseAlarm / float64(2*max(comparisons, 1))
	if freedom == 0 {
		return max(minErrors, -distuv.UnitNormal.Quantile(p))
	}
	// gonum's quantile loses its digits this far out: bisect the tail
	// P(T > x) = I_{ν/(ν+x²)}(ν/2, ½)/2, which does not.
	tail := func(x float64) float64 {
		return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(freedom)}.CDF(-x)
	}
	lo, hi := float64(minErrors), 1e4
	for range 60 {
		if mid := math.Sqrt(lo * hi); tail(mid) > p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// comparison holds the mean of numbers within −1 … 1 against its exact value.
type comparison struct {
	exact, measured float64
	error           float64 // standard error of measured
	samples         float64 // independent samples that it is worth
}

// farthest returns the result of the comparison that comes nearest to its
// limit, or exceeds it most. The limit is that number of standard errors plus
// the second term of Bernstein's inequality, which takes over where so few
// events are expected that their number is not normal.
func farthest(name string, cs []comparison, freedom int) Result {
	z := errorsAllowed(len(cs), freedom)
	worst, at := Result{Name: name}, -1.0
	for _, c := range cs {
		limit := z*c.error + 2*z*z/3/c.samples
		off := math.Abs(c.measured-c.exact) / limit
		if off > at || math.IsNaN(off) {
			at = off
			worst = Result{Name: name, Exact: c.exact, Measured: c.measured, Error: c.error, Limit: limit}
		}
		if math.IsNaN(off) {
			break
		}
	}
	return worst
}

// minExpected is the least number of samples that a cell of a χ² test is
// expected to hold.
const minExpected = 10

// distributionResults compares a histogram with the exact probabilities p of
// its states: Pearson's χ², and the Kullback-Leibler divergence of the measured
// distribution from the exact one in nats. What is exact is their expected
// value for samples of p.
//
// counts has the shape [states][groups], perGroup samples in each group; groups
// are independent, samples of one group need not be. χ² is divided by the mean
// ratio of a cell's variance between groups to that of independent samples
// (J. N. K. Rao, A. J. Scott, "The analysis of categorical data from complex
// sample surveys", JASA 76, 1981), which makes it that of an effective sample
// size, and is compared with Fisher's F. States of which fewer than minExpected
// samples are expected are pooled.
func distributionResults(name string, counts []int32, groups int, perGroup float64, p []float64) []Result {
	samples := perGroup * float64(groups)
	type cell struct {
		p, n   float64   // exact probability, samples counted
		groups []float64 // samples counted in each group
	}
	cells := []cell{{groups: make([]float64, groups)}}
	for s, q := range p {
		c := &cells[len(cells)-1]
		if c.p*samples >= minExpected {
			cells = append(cells, cell{groups: make([]float64, groups)})
			c = &cells[len(cells)-1]
		}
		c.p += q
		for g, n := range counts[s*groups : (s+1)*groups] {
			c.groups[g] += float64(n)
			c.n += float64(n)
		}
	}
	if last := len(cells) - 1; last > 0 && cells[last].p*samples < minExpected {
		to, from := &cells[last-1], &cells[last]
		to.p, to.n = to.p+from.p, to.n+from.n
		for g, n := range from.groups {
			to.groups[g] += n
		}
		cells = cells[:last]
	}
	freedom := float64(max(len(cells)-1, 1))
	var chi2, kl, ratio float64
	for _, c := range cells {
		d := c.n - samples*c.p
		chi2 += d * d / (samples * c.p)
		if c.n > 0 {
			kl += c.n / samples * math.Log(c.n/samples/c.p)
		}
		mean, ss := c.n/float64(groups), 0.0
		for _, n := range c.groups {
			ss += (n - mean) * (n - mean)
		}
		ratio += ss / float64(groups-1) / (perGroup * c.p) / freedom
	}
	ratio = max(ratio, 1)
	bound, spread := fisherBound(freedom, freedom*float64(groups-1)), math.Sqrt(2*freedom)
	each := ratio / (2 * samples)
	return []Result{
		{Name: name + "/chi-square", Exact: freedom, Measured: chi2 / ratio, Error: spread, Limit: bound - freedom},
		{Name: name + "/kl-divergence", Exact: freedom * each, Measured: kl, Error: spread * each, Limit: (bound - freedom) * each, Unit: "nats"},
	}
}

// fisherBound returns the value that freedom·F exceeds with probability
// falseAlarm, F having freedom and spreadFreedom degrees of freedom, at least
// minErrors standard deviations above the mean. Counts in cells that expect
// minExpected have a χ² of up to 5 % more variance and a heavier tail; a tenth
// more of the distance allows for both.
func fisherBound(freedom, spreadFreedom float64) float64 {
	f := distuv.F{D1: freedom, D2: spreadFreedom}
	lo, hi := 1.0, 1e3
	for range 60 {
		if mid := math.Sqrt(lo * hi); f.Survival(mid) > falseAlarm {
			lo = mid
		} else {
			hi = mid
		}
	}
	return freedom + max(1.1*freedom*(lo-1), minErrors*math.Sqrt(2*freedom))
}

// median returns the median of x, which it sorts.
func median(x []float64) float64 {
	slices.Sort(x)
	n := len(x)
	if n%2 == 1 {
		return x[n/2]
	}
	return (x[n/2-1] + x[n/2]) / 2
}
