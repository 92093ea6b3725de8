package data

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Load reads the data set at path, FILE or FILE.npz:ARRAY.
func Load(path string, o Options) (*Set, error) {
	src, err := open(path)
	if err != nil {
		return nil, err
	}
	defer src.close()
	s, err := pack(src, o)
	if err != nil {
		return nil, src.named(err)
	}
	return s, nil
}

func pack(src *source, o Options) (*Set, error) {
	if o.Threshold != nil && math.IsNaN(*o.Threshold) {
		return nil, fmt.Errorf("--threshold NaN: want a number")
	}
	s := &Set{Name: src.name, Shape: src.shape, Threshold: o.Threshold, width: src.width}
	s.store = newStore(8*words64(src.width), o.limit(), o.TempDir)
	two := &twoValues{threshold: o.Threshold, width: src.width, bytes: src.bytes, low: math.Inf(1), high: math.Inf(-1)}
	at, row := -1, []byte(nil)
	err := src.fill(o.context(), s.store, func(r, c int, v float64) error {
		up, err := two.classify(r, c, v)
		if err != nil {
			return err
		}
		if r != at {
			if row, err = s.store.at(r); err != nil {
				return err
			}
			at = r
		}
		if up {
			row[c>>3] |= 1 << (c & 7)
			s.Ups++
		}
		return nil
	})
	if err == nil {
		s.invert, err = two.decide()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.Low, s.High = two.low, two.high
	if s.invert {
		s.Ups = int64(s.Rows())*int64(s.width) - s.Ups
	}
	return s, nil
}

// twoValues tells −1 from +1 while values are still coming: by the threshold,
// or by whether a value is the first one seen, which decide sets right.
type twoValues struct {
	threshold     *float64
	width         int
	bytes         bool
	first, second float64
	seen          int
	low, high     float64
}

func (t *twoValues) classify(row, column int, v float64) (bool, error) {
	if t.threshold != nil {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false, t.notFinite(row, column, v)
		}
		t.low, t.high = min(t.low, v), max(t.high, v)
		return v > *t.threshold, nil
	}
	switch {
	case t.seen > 0 && v == t.first:
		return false, nil
	case t.seen > 1 && v == t.second:
		return true, nil
	case math.IsNaN(v) || math.IsInf(v, 0):
		return false, t.notFinite(row, column, v)
	case t.seen == 0:
		t.first, t.seen = v, 1
		return false, nil
	case t.seen == 1:
		t.second, t.seen = v, 2
		return true, nil
	}
	if t.width == 1 {
		return false, fmt.Errorf("one column of more than two values: these look like labels, not configurations")
	}
	hint := ""
	if t.bytes {
		hint = ", 127 for images of 0 to 255"
	}
	return false, fmt.Errorf("row %d, column %d holds %v, a third value after %v and %v; want --threshold T%s", row, column, v, t.first, t.second, hint)
}

func (t *twoValues) notFinite(row, column int, v float64) error {
	return fmt.Errorf("row %d, column %d holds %v, want a finite number", row, column, v)
}

// decide says, after the last value, whether those unlike the first are the −1.
func (t *twoValues) decide() (invert bool, err error) {
	switch {
	case t.threshold != nil && (t.high <= *t.threshold || t.low > *t.threshold):
		return false, fmt.Errorf("--threshold %v makes all values the same: they run from %v to %v", *t.threshold, t.low, t.high)
	case t.threshold != nil:
		return false, nil
	case t.seen == 1:
		t.low, t.high = t.first, t.first
		if t.first != 0 && t.first != 1 && t.first != -1 {
			return false, fmt.Errorf("all values are %v; want two, or --threshold T", t.first)
		}
		return t.first == 1, nil
	}
	t.low, t.high = min(t.first, t.second), max(t.first, t.second)
	return t.first > t.second, nil
}

// fill gives every value with its row and column to put, which puts it into st.
func (s *source) fill(ctx context.Context, st *store, put func(row, column int, v float64) error) error {
	if s.fortran {
		if err := st.reserve(s.rows); err != nil {
			return err
		}
	}
	buf := make([]float64, 1<<12)
	row, column := 0, 0
	step := newFortranStep(s.shape)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.next(buf)
		for _, v := range buf[:n] {
			if err := put(row, column, v); err != nil {
				return err
			}
			if s.fortran {
				if row++; row == s.rows {
					row, column = 0, step.next()
				}
			} else if column++; column == s.width {
				row, column = row+1, 0
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if column != 0 || row == 0 && !s.fortran {
		return fmt.Errorf("%d rows and %d values, want whole rows of %d", row, column, s.width)
	}
	return st.finish()
}

// fortranStep walks the columns of an array whose first index runs fastest.
type fortranStep struct{ shape, index, stride []int }

func newFortranStep(shape []int) *fortranStep {
	f := &fortranStep{shape: shape, index: make([]int, len(shape)), stride: make([]int, len(shape))}
	n := 1
	for k := len(shape) - 1; k >= 0; k-- {
		f.stride[k] = n
		n *= shape[k]
	}
	return f
}

// next returns the next column as a row-major array counts it, and 0 after the
// last.
func (f *fortranStep) next() int {
	for k := range f.shape {
		if f.index[k]++; f.index[k] < f.shape[k] {
			break
		}
		f.index[k] = 0
	}
	column := 0
	for k, i := range f.index {
		column += i * f.stride[k]
	}
	return column
}

// Probabilities is a data set whose values are probabilities of +1, for random
// binarisation anew in each epoch. It may be read by several goroutines at
// once.
type Probabilities struct {
	Name  string
	Shape []int // of one configuration

	width int
	bytes bool    // a byte for each value, else a float32
	scale float32 // what a byte is divided by
	store *store
}

// LoadProbabilities reads the file at path, FILE or FILE.npz:ARRAY, with the
// values as probabilities: bytes are divided by 255 (unless all are 0 or 1),
// other numbers must lie from 0 to 1 and are kept as float32. The threshold of
// o is not used.
func LoadProbabilities(path string, o Options) (*Probabilities, error) {
	src, err := open(path)
	if err != nil {
		return nil, err
	}
	defer src.close()
	p := &Probabilities{Name: src.name, Shape: src.shape, width: src.width, bytes: src.bytes, scale: 1}
	size := 4
	if p.bytes {
		size = 1
	}
	p.store = newStore(size*src.width, o.limit(), o.TempDir)
	at, row := -1, []byte(nil)
	err = src.fill(o.context(), p.store, func(r, c int, v float64) (err error) {
		if r != at {
			if row, err = p.store.at(r); err != nil {
				return err
			}
			at = r
		}
		if p.bytes {
			if row[c] = byte(v); v > 1 {
				p.scale = 255
			}
			return nil
		}
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("row %d, column %d holds %v, want a probability from 0 to 1", r, c, v)
		}
		binary.LittleEndian.PutUint32(row[4*c:], math.Float32bits(float32(v)))
		return nil
	})
	if err != nil {
		p.Close()
		return nil, src.named(err)
	}
	return p, nil
}

// Rows returns the number of rows.
func (p *Probabilities) Rows() int { return p.store.rows }

// Width returns the values of a row.
func (p *Probabilities) Width() int { return p.width }

// Stride returns the words of a packed configuration, ⌈Width/64⌉.
func (p *Probabilities) Stride() int { return words64(p.width) }

// Close releases the memory or the temporary file.
func (p *Probabilities) Close() error { return p.store.close() }

// Row fills dst, of Width values, with the probabilities of row i.
func (p *Probabilities) Row(i int, dst []float32) error {
	if len(dst) != p.width {
		return fmt.Errorf("%s: %d values, want %d", p.Name, len(dst), p.width)
	}
	raw, err := p.store.read(i, 1)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	for c := range dst {
		dst[c] = p.value(raw, c)
	}
	return nil
}

func (p *Probabilities) value(raw []byte, c int) float32 {
	if p.bytes {
		return float32(raw[c]) / p.scale
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(raw[4*c:]))
}

// up is the rule of random binarisation.
func (p *Probabilities) up(raw []byte, u int, draw uint32) bool {
	return float64(draw) < float64(p.value(raw, u))*(1<<32)
}

// Binarize draws row i into dst, packed as in Set, of Stride words: unit u is
// +1 when draw(u) < 2³²·p. draw is called once for each unit, in order.
func (p *Probabilities) Binarize(i int, dst []uint64, draw func(u int) uint32) error {
	if len(dst) != p.Stride() {
		return fmt.Errorf("%s: %d words, want %d", p.Name, len(dst), p.Stride())
	}
	raw, err := p.store.read(i, 1)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	clear(dst)
	for u := range p.width {
		if p.up(raw, u, draw(u)) {
			dst[u/64] |= 1 << (u % 64)
		}
	}
	return nil
}
