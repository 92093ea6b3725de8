package bench

import (
	"context"
	"slices"
)

// Area is the checks and benchmarks of one part of the engine. Its name is the
// name of its command and the first part of its records' names.
type Area struct {
	Name       string
	Short      string // what it measures, one line for --help
	Checks     []Check
	Benchmarks []Benchmark
	// Sized, if not nil, makes a benchmark of another size from the value of
	// --case; its error says what a size looks like.
	Sized func(size string) (Benchmark, error)
	// Sweeps are benchmarks of growing sizes, for Plan.Sizes.
	Sweeps []Sweep
}

// Sweep is a series of benchmarks that differ in one size alone. Its cases are
// values of Area.Sized.
type Sweep struct {
	Name  string // what grows, as "n × n × 256 chains"
	Axis  string // what the sizes count
	Sizes []int
	Case  func(size int) string
}

// Areas returns all areas, in the order in which they run. A new area is one
// line here and a file that builds it.
func Areas() []Area {
	return []Area{
		gibbs(),
		enumerate(),
		lattices(),
		roots(),
		training(),
	}
}

// FindArea returns the area of a name.
func FindArea(name string) (Area, bool) {
	areas := Areas()
	i := slices.IndexFunc(areas, func(a Area) bool { return a.Name == name })
	if i < 0 {
		return Area{}, false
	}
	return areas[i], true
}

// Check compares what a target computes with exact values.
type Check struct {
	Name string // area/case, a prefix of the names of its results
	// Run makes the comparisons. A check that has nothing to say about a
	// target returns no results. Its work must not depend on time, so that one
	// seed gives the same results again.
	Run func(ctx context.Context, t *Target) ([]Result, error)
}

// Result is the outcome of one comparison; see Record for its fields.
type Result struct {
	Name                          string
	Exact, Measured, Error, Limit float64
	Unit                          string
	Threads                       int // 0 for those of the target
}

// Pass reports whether the measured value is within the limit; NaN is not.
func (r *Result) Pass() bool {
	d := r.Measured - r.Exact
	return d <= r.Limit && -d <= r.Limit
}

// Benchmark times one kind of work.
type Benchmark struct {
	Name string // area/case
	Unit string // of rates, as connections/s
	// Goal returns the rate that a target should reach, 0 if none is set.
	Goal func(t *Target) float64
	// Sweep and Size say which series the benchmark belongs to, if any.
	Sweep *Sweep
	Size  int
	// Slow marks work that is left out of a quick run.
	Slow bool
	// Prepare sets the work up for a target. It returns nil if the target
	// cannot do this work.
	Prepare func(ctx context.Context, t *Target) (*Work, error)
}

// Work is something that can be timed.
type Work struct {
	// Do does the work n times. It ends early with the context's error.
	Do func(ctx context.Context, n int) error
	// Measure, if not nil, stands in for Do where another process does the
	// work: it returns the seconds that n times took there.
	Measure func(ctx context.Context, n int) (float64, error)
	// Optional work that fails is left out, and the rest goes on.
	Optional bool

	// Bytes are the least that one time reads from memory and writes to it, if
	// no cache holds the operands; 0 if they are next to nothing.
	Bytes float64
	Units float64 // what one time is worth in the benchmark's unit × seconds
	Limit float64 // highest rate that the limiting instruction allows, 0 if unknown
	Close func() error
}
