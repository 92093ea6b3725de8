package couplings

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"kadanoff/model/npy"
)

// Open reads the file at path. An error names the file and, in text, the line,
// and says what would be right.
func Open(path string, o Options) (*Couplings, error) {
	if o.Format == Auto {
		o.Format = Coo
		if strings.HasSuffix(path, ".npy") {
			o.Format = NPY
		}
	}
	if o.Format == NPY {
		r, err := npy.Open(path)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return readMatrix(r, o)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f, path, o)
}

// Read reads couplings as text, Coo unless Gset is asked for; errors name name.
func Read(r io.Reader, name string, o Options) (*Couplings, error) {
	b := newBuilder(name, o.Dwave)
	lines := &lineReader{scan: bufio.NewScanner(r), name: name}
	lines.scan.Buffer(nil, maxLine)
	var err error
	if o.Format == Gset {
		err = b.readGset(lines)
	} else {
		err = b.readCoo(lines)
	}
	if err == nil {
		err = lines.err()
	}
	if err != nil {
		return nil, err
	}
	return b.done()
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 1 << 16

// lineReader yields the words of the lines that are not empty or comments.
type lineReader struct {
	scan  *bufio.Scanner
	name  string
	line  int
	words []string
}

func (l *lineReader) next() bool {
	for l.scan.Scan() {
		l.line++
		text, _, _ := strings.Cut(l.scan.Text(), "#")
		if l.words = strings.Fields(text); len(l.words) > 0 {
			return true
		}
	}
	return false
}

func (l *lineReader) err() error {
	switch err := l.scan.Err(); err {
	case nil:
		return nil
	case bufio.ErrTooLong:
		l.line++
		return l.wrong("a line of more than %d bytes, want \"i j J\"", maxLine)
	default:
		return fmt.Errorf("%s: %w", l.name, err)
	}
}

func (l *lineReader) wrong(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", l.name, l.line, fmt.Sprintf(format, args...))
}

// spin reads the index of a spin from first to last.
func (l *lineReader) spin(s string, first, last int) (int, error) {
	i, err := strconv.Atoi(s)
	if err != nil || i < first || i > last {
		return 0, l.wrong("%s is not a spin, want an integer from %d to %d", short(s), first, last)
	}
	return i - first, nil
}

func (b *builder) readCoo(l *lineReader) error {
	for l.next() {
		if len(l.words) != 3 {
			return l.wrong("%d values, want three: \"i j J\" for a bond or \"i i h\" for a field", len(l.words))
		}
		i, err := l.spin(l.words[0], 0, MaxSpins-1)
		if err != nil {
			return err
		}
		j, err := l.spin(l.words[1], 0, MaxSpins-1)
		if err != nil {
			return err
		}
		v, err := ParseDecimal(l.words[2])
		if err != nil {
			return l.wrong("coupling %v", err)
		}
		b.add(i, j, v, l.line)
	}
	return nil
}

func (b *builder) readGset(l *lineReader) error {
	if !l.next() {
		return nil
	}
	if len(l.words) != 2 {
		return l.wrong("%d values, want the first line of a MaxCut graph: \"vertices edges\"", len(l.words))
	}
	n, err := strconv.Atoi(l.words[0])
	if err != nil || n < 1 || n > MaxSpins {
		return l.wrong("%s vertices, want an integer from 1 to %d", short(l.words[0]), MaxSpins)
	}
	m, err := strconv.Atoi(l.words[1])
	if err != nil || m < 0 {
		return l.wrong("%s edges, want an integer of 0 or more", short(l.words[1]))
	}
	edges := 0
	for ; l.next(); edges++ {
		if len(l.words) != 3 {
			return l.wrong("%d values, want an edge: \"i j w\"", len(l.words))
		}
		i, err := l.spin(l.words[0], 1, n)
		if err != nil {
			return err
		}
		j, err := l.spin(l.words[1], 1, n)
		if err != nil {
			return err
		}
		if i == j {
			return l.wrong("vertex %d is joined to itself, want two different ones", i+1)
		}
		w, err := ParseDecimal(l.words[2])
		if err != nil {
			return l.wrong("weight %v", err)
		}
		w.mantissa = -w.mantissa
		b.add(i, j, w, l.line)
	}
	if edges != m && l.scan.Err() == nil {
		return fmt.Errorf("%s: %d edges, but the first line promises %d", l.name, edges, m)
	}
	b.c.Spins = n
	return nil
}

// maxMatrix bounds the side of a matrix: beyond it, text says what is not zero.
const maxMatrix = 1 << 13

func readMatrix(r *npy.Reader, o Options) (*Couplings, error) {
	if len(r.Shape) != 2 || r.Shape[0] != r.Shape[1] || r.Shape[0] < 1 || r.Shape[0] > maxMatrix {
		return nil, fmt.Errorf("%s: shape %v, want a square matrix of couplings with up to %d rows", r.Name(), r.Shape, maxMatrix)
	}
	n := r.Shape[0]
	x, err := r.All()
	if err != nil {
		return nil, err
	}
	bits := 64
	if r.DType.Kind == 'f' && r.DType.Size < 8 {
		bits = 32 // the digits that a float32 was written with
	}
	at := func(i, j int) float64 {
		if r.Fortran {
			i, j = j, i
		}
		return x[i*n+j]
	}
	// which triangles hold anything
	var upper, lower bool
	for i := range n {
		for j := range i {
			upper = upper || at(j, i) != 0
			lower = lower || at(i, j) != 0
		}
	}
	b := newBuilder(r.Name(), o.Dwave)
	for i := range n {
		for j := i; j < n; j++ {
			v := at(i, j)
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("%s: J[%d,%d]: %q is not a finite number", r.Name(), i, j, fmt.Sprintf("%+g", v))
			}
			if i != j {
				if upper && lower && v != at(j, i) {
					return nil, fmt.Errorf("%s: J[%d,%d] = %v but J[%d,%d] = %v, want a symmetric matrix or one triangle", r.Name(), i, j, v, j, i, at(j, i))
				}
				if !upper {
					v = at(j, i)
				}
			}
			d, err := ParseDecimal(strconv.FormatFloat(v, 'e', -1, bits))
			if err != nil {
				return nil, fmt.Errorf("%s: J[%d,%d]: %w", r.Name(), i, j, err)
			}
			if d.mantissa != 0 {
				b.add(i, j, d, 0)
			}
		}
	}
	b.c.Spins = n
	return b.done()
}
