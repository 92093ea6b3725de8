package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Bins keeps a series of any length in bounded memory: the means of equal
// bins whose length doubles whenever there are too many of them, and the
// moments of the single measurements.
type Bins struct {
	limit  int
	length int       // measurements a bin
	bins   []float64 // means of complete bins
	open   float64   // sum of the bin that is being filled
	filled int
	n      int
	mean   float64 // running mean and sum of squared deviations of all measurements
	m2     float64
}

// NewBins returns an empty series that keeps between limit/2 and limit bins
// once it has that many measurements. It panics if limit is odd or below 8.
func NewBins(limit int) *Bins {
	if limit < 8 || limit%2 != 0 {
		panic("stats: the limit of bins must be even and at least 8")
	}
	return &Bins{limit: limit, length: 1}
}

// Add appends one measurement.
func (b *Bins) Add(v float64) {
	b.n++
	d := v - b.mean
	b.mean += d / float64(b.n)
	b.m2 += d * (v - b.mean)
	b.open += v
	b.filled++
	if b.filled < b.length {
		return
	}
	b.bins = append(b.bins, b.open/float64(b.length))
	b.open, b.filled = 0, 0
	if len(b.bins) == b.limit {
		for i := range b.limit / 2 {
			b.bins[i] = (b.bins[2*i] + b.bins[2*i+1]) / 2
		}
		b.bins = b.bins[:b.limit/2]
		b.length *= 2
	}
}

// N returns the number of measurements, Length how many of them a bin holds.
func (b *Bins) N() int { return b.n }

// Length returns the number of measurements in a bin.
func (b *Bins) Length() int { return b.length }

// Means returns the means of the complete bins, oldest first. The slice
// belongs to b.
func (b *Bins) Means() []float64 { return b.bins }

// binsJSON is the form of Bins in files.
type binsJSON struct {
	Limit    int       `json:"limit"`
	Length   int       `json:"length"`
	N        int       `json:"n"`
	Mean     float64   `json:"mean"`
	Variance float64   `json:"squares"` // Σ (x − mean)²
	Open     float64   `json:"open"`
	Means    []float64 `json:"bins"`
}

// MarshalJSON writes the series with all digits: UnmarshalJSON gives the same
// bits.
func (b *Bins) MarshalJSON() ([]byte, error) {
	return json.Marshal(binsJSON{b.limit, b.length, b.n, b.mean, b.m2, b.open, b.bins})
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses what no series can
// be.
func (b *Bins) UnmarshalJSON(text []byte) error {
	var j binsJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	if j.Limit < 8 || j.Limit%2 != 0 || len(j.Means) >= j.Limit || j.Length < 1 || j.Length&(j.Length-1) != 0 ||
		j.N < 0 || j.N/j.Length != len(j.Means) || j.Variance < 0 {
		return fmt.Errorf("%d bins of %d for %d measurements: not a series", len(j.Means), j.Length, j.N)
	}
	*b = Bins{limit: j.Limit, length: j.Length, bins: j.Means, open: j.Open, filled: j.N % j.Length, n: j.N, mean: j.Mean, m2: j.Variance}
	return nil
}

// GammaBins is Gamma for chains kept as Bins of equal length. The error comes
// from the bins, τ from the error and the variance of the single
// measurements, so it is counted in measurements as Gamma counts it.
func GammaBins(chains ...*Bins) (Estimate, error) {
	if len(chains) == 0 {
		return Estimate{}, errNoChains
	}
	series := make([][]float64, len(chains))
	n, total := 0, 0.0
	for r, c := range chains {
		if c.length != chains[0].length {
			return Estimate{}, errors.New("stats: chains of bins of different lengths")
		}
		series[r] = c.bins
		n += c.n
		total += float64(c.n) * c.mean
	}
	e, err := Gamma(series...)
	if err != nil {
		return Estimate{}, err
	}
	length := chains[0].length
	if length == 1 {
		return e, nil
	}
	m := total / float64(n)
	variance := 0.0
	for _, c := range chains {
		variance += c.m2 + float64(c.n)*(c.mean-m)*(c.mean-m)
	}
	variance /= float64(n - 1)
	relative := 0.0
	if e.Tau > 0 {
		relative = e.TauError / e.Tau
	}
	e.Mean, e.N, e.Window = m, n, e.Window*length
	e.Tau = 0.5
	if variance > 0 {
		e.Tau = e.Error * e.Error * float64(n) / (2 * variance)
	}
	e.TauError = relative * e.Tau
	e.ESS = float64(n) / math.Max(2*e.Tau, 1/float64(n))
	return e, nil
}
