// Package couplings reads the couplings and fields of an Ising model,
//
//	E(s) = −Σ_{i<j} J_ij s_i s_j − Σ_i h_i s_i
//
// from text or .npy files, as exact decimals, and turns them into the fixed
// point of exact enumeration.
package couplings

import (
	"fmt"
	"strings"
)

// Format is the layout of a couplings file.
type Format uint8

// The formats. Auto is NPY for a name that ends in .npy and Coo otherwise.
const (
	Auto Format = iota
	// Coo is text: a line "i j J" for each bond and "i i h" for each field,
	// spins counted from 0, # for comments.
	Coo
	// Gset is the text of the MaxCut benchmark graphs: "n m", then m lines
	// "i j w", vertices counted from 1. J = −w, so that the ground states are the
	// largest cuts.
	Gset
	// NPY is an n×n matrix: J symmetric, or one of its triangles with zeros in
	// the other; the diagonal holds the fields.
	NPY
)

// ParseFormat turns the value of --input into a format.
func ParseFormat(s string) (Format, error) {
	switch s {
	case "", "auto":
		return Auto, nil
	case "coo":
		return Coo, nil
	case "gset":
		return Gset, nil
	case "npy":
		return NPY, nil
	}
	return 0, fmt.Errorf("--input %q: want coo, gset or npy", s)
}

// Options say how a file is to be read.
type Options struct {
	Format Format
	// Dwave flips the signs of all couplings and fields: the file means
	// E = +Σ J s s + Σ h s.
	Dwave bool
}

// ParseConvention turns the value of --convention into Options.Dwave.
func ParseConvention(s string) (dwave bool, err error) {
	switch s {
	case "", "ising":
		return false, nil
	case "dwave":
		return true, nil
	}
	return false, fmt.Errorf("--convention %q: want ising (E = -sum Jss - sum hs) or dwave (E = +sum Jss + sum hs)", s)
}

// MaxSpins bounds the spins of a file.
const MaxSpins = 1 << 24

// Term is a coupling of two spins I < J, or the field of one, I = J.
type Term struct {
	I, J  int
	Value Decimal
}

// Couplings is what a file says. A pair that the file repeats has several
// terms, which add up.
type Couplings struct {
	Name  string
	Spins int
	Terms []Term   // in the order of the file
	Notes []string // what a user should be told, one line each
}

// Sums calls f once for each pair or field that the file names, in the order of
// its first naming, with the sum of its terms in float64.
func (c *Couplings) Sums(f func(i, j int, value float64)) {
	at := map[[2]int]int{}
	var sums []float64
	var keys [][2]int
	for _, t := range c.Terms {
		k := [2]int{t.I, t.J}
		if i, ok := at[k]; ok {
			sums[i] += t.Value.Float64()
			continue
		}
		at[k] = len(keys)
		keys = append(keys, k)
		sums = append(sums, t.Value.Float64())
	}
	for i, k := range keys {
		f(k[0], k[1], sums[i])
	}
}

// builder collects terms and notices repetitions.
type builder struct {
	c       *Couplings
	dwave   bool
	line    map[[2]int]int // where a pair was first
	repeats int
	first   string // about the first repetition
}

func newBuilder(name string, dwave bool) *builder {
	return &builder{c: &Couplings{Name: name}, dwave: dwave, line: map[[2]int]int{}}
}

func (b *builder) add(i, j int, v Decimal, line int) {
	if i > j {
		i, j = j, i
	}
	if b.dwave {
		v.mantissa = -v.mantissa
	}
	b.c.Spins = max(b.c.Spins, j+1)
	b.c.Terms = append(b.c.Terms, Term{i, j, v})
	k := [2]int{i, j}
	if before, ok := b.line[k]; ok {
		if b.repeats++; b.repeats == 1 {
			what := fmt.Sprintf("pair %d %d", i, j)
			if i == j {
				what = fmt.Sprintf("field of spin %d", i)
			}
			b.first = fmt.Sprintf("%s:%d: %s was on line %d already: the values are added up", b.c.Name, line, what, before)
		}
		return
	}
	b.line[k] = line
}

func (b *builder) done() (*Couplings, error) {
	if b.c.Spins == 0 {
		return nil, fmt.Errorf("%s: no couplings, want lines \"i j J\" and \"i i h\"", b.c.Name)
	}
	if b.repeats > 1 {
		b.first += fmt.Sprintf(" (and %d more such lines)", b.repeats-1)
	}
	if b.repeats > 0 {
		b.c.Notes = append(b.c.Notes, b.first)
	}
	return b.c, nil
}

// short quotes text from a file for an error.
func short(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
