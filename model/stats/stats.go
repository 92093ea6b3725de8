// Package stats estimates means of correlated series and their errors: the
// integrated autocorrelation time with automatic windowing, blocked errors and
// effective sample sizes.
//
// The integrated autocorrelation time is counted in measurements with the
// convention τ = 1/2 + Σ_{t≥1} ρ(t), so an uncorrelated series has τ = 1/2,
// the variance of a mean of N measurements is 2τσ²/N and the effective sample
// size is N/2τ.
//
// References: N. Madras, A. D. Sokal, J. Stat. Phys. 50 (1988) 109; U. Wolff,
// Comput. Phys. Commun. 156 (2004) 143, arXiv:hep-lat/0306017; H. Flyvbjerg,
// H. G. Petersen, J. Chem. Phys. 91 (1989) 461.
package stats

import (
	"errors"
	"fmt"
	"math"
)

// Estimate is a mean with its error and what the error rests on.
type Estimate struct {
	Mean     float64 // mean over all measurements, or the function's value
	Error    float64 // standard error, autocorrelations included
	Tau      float64 // integrated autocorrelation time, in measurements; 1/2 when uncorrelated
	TauError float64 // its statistical error (Wolff, eq. 42)
	Window   int     // lag at which the sum of the autocorrelations was cut
	N        int     // measurements, over all chains
	ESS      float64 // effective sample size N/2τ
}

// MinLength is the number of measurements below which a chain says nothing
// about its own autocorrelations.
const MinLength = 4

// Errors of series that nothing can be said about.
var (
	errNoChains = errors.New("stats: no measurements")
	errFinite   = errors.New("stats: a measurement is not finite")
)

// check returns the number of measurements of chains and the length of the
// shortest.
func check(chains [][]float64) (total, shortest int, err error) {
	if len(chains) == 0 {
		return 0, 0, errNoChains
	}
	shortest = len(chains[0])
	for i, c := range chains {
		if len(c) < MinLength {
			return 0, 0, fmt.Errorf("stats: chain %d has %d measurements, want at least %d", i, len(c), MinLength)
		}
		for _, v := range c {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return 0, 0, errFinite
			}
		}
		total += len(c)
		shortest = min(shortest, len(c))
	}
	return total, shortest, nil
}

// mean returns the mean over all measurements of all chains.
func mean(chains [][]float64) float64 {
	s, n := 0.0, 0
	for _, c := range chains {
		for _, v := range c {
			s += v
		}
		n += len(c)
	}
	return s / float64(n)
}

// autocovariance returns Γ(t) = Σ_chains Σ_i (x_i − x̄)(x_{i+t} − x̄) / Σ_chains (N_r − t),
// with the mean x̄ of all chains (Wolff, eq. 31).
func autocovariance(chains [][]float64, mean float64, t int) float64 {
	s, n := 0.0, 0
	for _, c := range chains {
		if t >= len(c) {
			continue
		}
		later := c[t:]
		for i, v := range c[:len(later)] {
			s += (v - mean) * (later[i] - mean)
		}
		n += max(0, len(c)-t)
	}
	return s / float64(n)
}

// stretch is Wolff's S, the assumed ratio of exponential to integrated
// autocorrelation time.
const stretch = 1.5

// Gamma estimates the mean of a stationary series from independent chains of
// it by the Γ-method: autocovariances about the common mean, summed up to the
// window at which the systematic error of the cut and the statistical error
// of the sum balance (Wolff, eqs 31–42 and 50–52). A series that never
// changes has error 0 and τ = 1/2.
//
// Chains shorter than MinLength and values that are not finite are errors.
func Gamma(chains ...[]float64) (Estimate, error) {
	total, shortest, err := check(chains)
	if err != nil {
		return Estimate{}, err
	}
	m := mean(chains)
	return gamma(chains, m, m, total, shortest), nil
}

// gamma runs the Γ-method on checked chains about centre and reports value as
// the mean.
func gamma(chains [][]float64, centre, value float64, total, shortest int) Estimate {
	n := float64(total)
	e := Estimate{Mean: value, Tau: 0.5, N: total, ESS: n}
	g0 := autocovariance(chains, centre, 0)
	// Rounding of a constant series leaves a variance of the order of ε².
	if scale := math.Abs(centre) * 1e-14; g0 <= scale*scale {
		return e
	}
	sum := g0 // Γ(0) + 2 Σ Γ(t)
	w := 0
	for t := 1; t < shortest/2; t++ {
		sum += 2 * autocovariance(chains, centre, t)
		w = t
		tau := sum / (2 * g0)
		// Anticorrelations (τ < 1/2) are summed as far as correlations as strong.
		decay := math.SmallestNonzeroFloat64
		if a := 0.5 + math.Abs(tau-0.5); a > 0.5 {
			decay = stretch / math.Log((2*a+1)/(2*a-1))
		}
		if math.Exp(-float64(t)/decay)-decay/math.Sqrt(float64(t)*n) < 0 {
			break
		}
	}
	// The estimated mean stands in every Γ(t): each is low by the variance of
	// the mean (Wolff, eq. 49).
	tau := sum / (2 * g0) * (1 + float64(2*w+1)/n)
	// An anticorrelated series may have τ below 1/2; a negative sum is noise.
	tau = max(tau, 1/(2*n))
	e.Tau, e.Window = tau, w
	e.TauError = tau * 2 * math.Sqrt(math.Max(0, float64(w)+0.5-tau)/n)
	e.Error = math.Sqrt(2 * tau * g0 * n / (n - 1) / n)
	e.ESS = n / (2 * tau)
	return e
}

// Function estimates f of the means of several observables that were measured
// together: observables[a][r][i] is measurement i of observable a in chain r.
// The error is that of the projected series Σ_a (∂f/∂A_a)(a_i − ā)
// (Wolff, eqs 36–38), so correlations between the observables are included.
// The derivatives are taken by central differences over one standard
// deviation of the means.
func Function(f func(means []float64) float64, observables ...[][]float64) (Estimate, error) {
	if len(observables) == 0 {
		return Estimate{}, errNoChains
	}
	total, shortest, err := check(observables[0])
	if err != nil {
		return Estimate{}, err
	}
	means := make([]float64, len(observables))
	for a, chains := range observables {
		if len(chains) != len(observables[0]) {
			return Estimate{}, fmt.Errorf("stats: observable %d has %d chains, observable 0 has %d", a, len(chains), len(observables[0]))
		}
		for r, c := range chains {
			if len(c) != len(observables[0][r]) {
				return Estimate{}, fmt.Errorf("stats: observable %d has %d measurements in chain %d, observable 0 has %d", a, len(c), r, len(observables[0][r]))
			}
		}
		if _, _, err := check(chains); err != nil {
			return Estimate{}, err
		}
		means[a] = mean(chains)
	}
	value := f(means)
	gradient := make([]float64, len(means))
	at := make([]float64, len(means))
	for a, chains := range observables {
		h := math.Sqrt(autocovariance(chains, means[a], 0) / float64(total))
		if h == 0 {
			continue
		}
		copy(at, means)
		at[a] = means[a] + h
		up := f(at)
		at[a] = means[a] - h
		gradient[a] = (up - f(at)) / (2 * h)
	}
	projected := make([][]float64, len(observables[0]))
	for r := range projected {
		projected[r] = make([]float64, len(observables[0][r]))
		for i := range projected[r] {
			for a := range observables {
				projected[r][i] += gradient[a] * (observables[a][r][i] - means[a])
			}
			if v := projected[r][i]; math.IsNaN(v) || math.IsInf(v, 0) {
				return Estimate{}, errors.New("stats: the function of the means is not finite near them")
			}
		}
	}
	return gamma(projected, 0, value, total, shortest), nil
}

// IntegratedTime returns τ by Sokal's rule: the sum of the normalised
// autocorrelations is cut at the first window W with W ≥ c·τ(W). c = 6 suits
// correlations that decay like one exponential, up to 10 slower ones. It
// fails when the rule is not met within half the shortest chain. The rule is
// for positive correlations: it cuts alternating ones too early.
func IntegratedTime(c float64, chains ...[]float64) (tau float64, window int, err error) {
	_, shortest, err := check(chains)
	if err != nil {
		return 0, 0, err
	}
	m := mean(chains)
	g0 := autocovariance(chains, m, 0)
	if g0 == 0 {
		return 0.5, 0, nil
	}
	tau = 0.5
	for w := 1; w <= shortest/2; w++ {
		tau += autocovariance(chains, m, w) / g0
		if float64(w) >= c*tau {
			return tau, w, nil
		}
	}
	return tau, shortest / 2, fmt.Errorf("stats: %d measurements are too few for a window of %g autocorrelation times", shortest, c)
}
