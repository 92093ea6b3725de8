package ising

import (
	"fmt"
	"slices"

	"kadanoff/model/stats"
)

// Correlations collects ⟨s(x) s(x + r)⟩ at distances r along the axes of a
// torus, averaged over all sites and over both axes where the distance is at
// most half of either side.
type Correlations struct {
	width, height int
	Bins          [][]*stats.Bins `json:"bins"` // distance, chain
}

// Distances returns the number of distances on a torus: 0 to half the longer
// side.
func Distances(width, height int) int { return max(width, height)/2 + 1 }

// NewCorrelations starts collecting from chains of configurations [height][width],
// at distances 0 to half the longer side. A side of one site has no direction.
func NewCorrelations(width, height, chains int) (*Correlations, error) {
	if width < 1 || height < 1 || chains < 1 {
		return nil, fmt.Errorf("correlations of %d chains on a lattice %dx%d: want at least one of each", chains, width, height)
	}
	c := &Correlations{width: width, height: height}
	for range Distances(width, height) {
		var one []*stats.Bins
		for range chains {
			one = append(one, stats.NewBins(64))
		}
		c.Bins = append(c.Bins, one)
	}
	return c, nil
}

// Add adds a configuration of ±1 to a chain. Different chains may be added to
// at the same time.
func (c *Correlations) Add(chain int, spins []int8) error {
	if len(spins) != c.width*c.height {
		return fmt.Errorf("%d spins for a lattice of %dx%d", len(spins), c.width, c.height)
	}
	for r, bins := range c.Bins {
		sum, pairs := int64(0), 0
		if r <= c.width/2 && c.width > 1 {
			for y := range c.height {
				row := spins[y*c.width : (y+1)*c.width]
				sum += overlap(row[:c.width-r], row[r:]) + overlap(row[c.width-r:], row[:r])
			}
			pairs += len(spins)
		}
		if r <= c.height/2 && c.height > 1 {
			at := r * c.width
			sum += overlap(spins[:len(spins)-at], spins[at:]) + overlap(spins[len(spins)-at:], spins[:at])
			pairs += len(spins)
		}
		if pairs == 0 { // a single site
			sum, pairs = 1, 1
		}
		bins[chain].Add(float64(sum) / float64(pairs))
	}
	return nil
}

func overlap(a, b []int8) int64 {
	n := int64(0)
	for i, x := range a {
		n += int64(x * b[i])
	}
	return n
}

// Append adds the chains of more, which follow those of c.
func (c *Correlations) Append(more *Correlations) {
	for r := range c.Bins {
		c.Bins[r] = append(c.Bins[r], more.Bins[r]...)
	}
}

// Check reports correlations that are not those of so many distances and
// chains.
func (c *Correlations) Check(distances, chains int) error {
	if len(c.Bins) != distances {
		return fmt.Errorf("correlations at %d distances, want %d", len(c.Bins), distances)
	}
	for _, bins := range c.Bins {
		if len(bins) != chains || slices.Contains(bins, nil) {
			return fmt.Errorf("correlations of %d chains, want %d", len(bins), chains)
		}
	}
	return nil
}

// Estimates returns the correlation at each distance with its error. Every
// chain must have been given as many configurations, at least MinSweeps.
func (c *Correlations) Estimates() ([]stats.Estimate, error) {
	var list []stats.Estimate
	for _, bins := range c.Bins {
		e, err := stats.GammaBins(bins...)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}
