// Package data reads data sets of ±1 configurations: .npy, .npz, IDX and text
// files, the last two and .npy gzipped too.
//
// A file is read once, in bounded memory, and kept packed with a bit for each
// unit; what is larger than a limit lies in a temporary file. Anything but two
// values needs a threshold, or is kept as probabilities for random
// binarisation. Files from outside are hostile until parsed, and every error is
// one line that names the file.
package data

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"kadanoff/backend"
)

// MaxWidth is the most units that a configuration may have.
const MaxWidth = 1 << 24

// Options say how a file is read.
type Options struct {
	// Threshold makes every value above it +1 and every other −1. Without one
	// a file must hold two values, of which the larger is +1.
	Threshold *float64

	// MemoryLimit is the most bytes of rows that are kept in memory, 0 for
	// DefaultMemoryLimit. Beyond it they lie in a temporary file.
	MemoryLimit int64

	// TempDir is where that file is, "" for the system's folder.
	TempDir string

	// Context, if not nil, ends the reading when it ends.
	Context context.Context
}

func (o Options) context() context.Context {
	if o.Context == nil {
		return context.Background()
	}
	return o.Context
}

// DefaultMemoryLimit is the most bytes of rows kept in memory by default: ten
// million images of 28×28, packed; a quarter of what memory there is, if that
// is less.
const DefaultMemoryLimit = 1 << 30

func (o Options) limit() int64 {
	if o.MemoryLimit > 0 {
		return o.MemoryLimit
	}
	limit := int64(DefaultMemoryLimit)
	if have := backend.AvailableMemory(); have > 0 {
		limit = min(limit, int64(have/4))
	}
	return limit
}

// Set is a data set of ±1 configurations, packed. Unit u of a row is bit u%64
// of its word u/64, 1 for +1; the bits beyond the last unit are 0. It may be
// read by several goroutines at once.
type Set struct {
	// Name is the file's.
	Name string
	// Shape is that of one configuration, [28, 28] for images of 28×28 and
	// [width] where the file does not say.
	Shape []int
	// Low and High are the values that stand for −1 and +1, where the file
	// holds just two; both are the same where it holds one. With a threshold
	// they are the smallest and the largest value.
	Low, High float64
	// Threshold is the one that was used, nil for none.
	Threshold *float64
	// Ups counts the values +1.
	Ups int64

	width  int
	store  *store
	invert bool
}

// New returns the set of the rows in words, Stride words for each, which must
// have no bits beyond the last unit. words is copied.
func New(name string, words []uint64, shape ...int) (*Set, error) {
	width := 1
	for _, d := range shape {
		width *= d
	}
	stride := words64(width)
	if width < 1 || len(words) == 0 || len(words)%stride != 0 {
		return nil, fmt.Errorf("%s: %d words for rows of shape %v, want a multiple of %d above 0", name, len(words), shape, stride)
	}
	s := &Set{Name: name, Shape: slices.Clone(shape), Low: -1, High: 1, width: width}
	s.store = newStore(8*stride, math.MaxInt64, "")
	if err := s.store.reserve(len(words) / stride); err != nil {
		return nil, err
	}
	for i, w := range words {
		if i%stride == stride-1 && w&^tailMask(width) != 0 {
			return nil, fmt.Errorf("%s: row %d has bits beyond its %d units", name, i/stride, width)
		}
		s.Ups += int64(bits.OnesCount64(w))
		binary.LittleEndian.PutUint64(s.store.row(i / stride)[i%stride*8:], w)
	}
	return s, nil
}

func words64(width int) int { return (width + 63) / 64 }

// tailMask has the bits that the last word of a row uses.
func tailMask(width int) uint64 {
	if width%64 == 0 {
		return ^uint64(0)
	}
	return 1<<(width%64) - 1
}

// Rows returns the number of configurations.
func (s *Set) Rows() int { return s.store.rows }

// Width returns the units of a configuration.
func (s *Set) Width() int { return s.width }

// Stride returns the words of a packed configuration, ⌈Width/64⌉.
func (s *Set) Stride() int { return words64(s.width) }

// Close releases the memory or the temporary file.
func (s *Set) Close() error { return s.store.close() }

// Read fills dst, whose length is a multiple of Stride, with consecutive rows
// from the first.
func (s *Set) Read(first int, dst []uint64) error {
	stride := s.Stride()
	if len(dst)%stride != 0 {
		return fmt.Errorf("%s: %d words, want a multiple of %d", s.Name, len(dst), stride)
	}
	n := len(dst) / stride
	raw, err := s.store.read(first, n)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	for i := range dst {
		dst[i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	if s.invert {
		for i := range dst {
			dst[i] = ^dst[i]
			if i%stride == stride-1 {
				dst[i] &= tailMask(s.width)
			}
		}
	}
	return nil
}

// Spins fills dst, of Width spins, with row i as ±1.
func (s *Set) Spins(i int, dst []int8) error {
	if len(dst) != s.width {
		return fmt.Errorf("%s: %d spins, want %d", s.Name, len(dst), s.width)
	}
	row := make([]uint64, s.Stride())
	if err := s.Read(i, row); err != nil {
		return err
	}
	for u := range dst {
		dst[u] = int8(2*(row[u/64]>>(u%64)&1)) - 1
	}
	return nil
}

// String says in one line what was read and how.
func (s *Set) String() string {
	how := ""
	switch {
	case s.Threshold != nil:
		how = fmt.Sprintf("values above %v are +1", *s.Threshold)
	case s.Low == s.High:
		how = fmt.Sprintf("all values are %v", s.Low)
	default:
		how = fmt.Sprintf("values %v and %v, %v is +1", s.Low, s.High, s.High)
	}
	part := float64(s.Ups) / (float64(s.Rows()) * float64(s.width))
	return fmt.Sprintf("%s: %d rows of %s, %s (%.1f %%)", s.Name, s.Rows(), shapeText(s.Shape), how, 100*part)
}

// shapeText writes a shape as 28×28.
func shapeText(shape []int) string {
	var b strings.Builder
	for i, d := range shape {
		switch {
		case i == 8:
			return b.String() + "…"
		case i > 0:
			b.WriteString("×")
		}
		fmt.Fprint(&b, d)
	}
	return b.String()
}
