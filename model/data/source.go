package data

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"kadanoff/model/npy"
)

// source is an open file of rows of numbers.
type source struct {
	name    string
	format  string
	typ     string // of the numbers
	rows    int    // -1 when only the end of the file tells
	width   int
	shape   []int // of a row
	fortran bool  // the row runs fastest, and then the axes of shape in order
	bytes   bool  // the numbers are uint8

	// next reads numbers in the order of the file, as npy.Reader.Read does. Its
	// errors need not name the file.
	next   func(dst []float64) (int, error)
	closer []io.Closer
}

func (s *source) close() {
	for _, c := range s.closer {
		c.Close()
	}
}

// named puts the file's name before an error that does not have it.
func (s *source) named(err error) error {
	if errors.Is(err, context.Canceled) || strings.HasPrefix(err.Error(), s.name+":") {
		return err
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// deflateRatio is the most bytes that deflate makes of one.
const deflateRatio = 1032

// Info says what a data file holds.
type Info struct {
	Format string // npy, npz, idx, text
	Type   string // of the numbers, as numpy names it
	Rows   int
	Shape  []int // of a row
}

// Stat reads the beginning of the data file at path, FILE or FILE.npz:ARRAY,
// and all of a file of text, whose end alone tells how many rows it has.
func Stat(ctx context.Context, path string) (Info, error) {
	src, err := open(path)
	if err != nil {
		return Info{}, err
	}
	defer src.close()
	if src.rows < 0 {
		src.rows = 0
		err := src.fill(ctx, newStore(0, 0, ""), func(row, _ int, _ float64) error {
			src.rows = row + 1
			return nil
		})
		if err != nil {
			return Info{}, src.named(err)
		}
	}
	return Info{src.format, src.typ, src.rows, src.shape}, nil
}

// open finds out what kind of file path is by its first bytes.
func open(path string) (*source, error) {
	file, array := path, ""
	if i := strings.LastIndex(path, ".npz:"); i >= 0 {
		file, array = path[:i+4], path[i+5:]
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	src, err := func() (*source, error) {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: not a regular file", file)
		}
		return openFile(f, info.Size(), file, array)
	}()
	if err != nil {
		f.Close()
		return nil, err
	}
	src.closer = append(src.closer, f)
	return src, nil
}

// seekable is what a file offers.
type seekable interface {
	io.Reader
	io.ReaderAt
}

func openFile(f seekable, size int64, name, array string) (*source, error) {
	var src *source
	var err error
	r := bufio.NewReaderSize(f, 1<<16)
	start, _ := r.Peek(4)
	switch {
	case strings.HasPrefix(string(start), "PK"):
		src, err = openArchive(f, size, name, array)
	case array != "":
		err = fmt.Errorf("%s: not a .npz archive, so it has no array %s", name, strconv.Quote(array))
	case strings.HasPrefix(string(start), "\x1f\x8b"):
		var z *gzip.Reader
		if z, err = gzip.NewReader(r); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
		src, err = openStream(bufio.NewReaderSize(z, 1<<16), -1, deflateRatio*size, name)
	default:
		src, err = openStream(r, size, size, name)
	}
	if err != nil {
		return nil, err
	}
	if err := src.check(); err != nil {
		src.close()
		return nil, fmt.Errorf("%s: %w", src.name, err)
	}
	return src, nil
}

// openStream opens what is no archive. size is -1 where it is not known, and
// most is what it can be.
func openStream(r *bufio.Reader, size, most int64, name string) (*source, error) {
	start, _ := r.Peek(6)
	switch {
	case len(start) == 0:
		return nil, fmt.Errorf("%s: empty", name)
	case string(start) == "\x93NUMPY":
		a, err := npy.NewReader(r, size, name)
		if err != nil {
			return nil, err
		}
		if a.Bytes() > most {
			return nil, fmt.Errorf("%s: claims %d bytes, more than the file can hold", name, a.Bytes())
		}
		return arraySource(a, "npy")
	case len(start) >= 4 && start[0] == 0 && start[1] == 0:
		return openIDX(r, size, most, name)
	default:
		return openText(r, name)
	}
}

func openArchive(f io.ReaderAt, size int64, name, array string) (*source, error) {
	a, err := npy.NewArchive(f, size, name)
	if err != nil {
		return nil, err
	}
	if array == "" {
		if array, err = choose(a); err != nil {
			return nil, (&source{name: name}).named(err)
		}
	}
	r, err := a.Open(array)
	if err != nil {
		return nil, err
	}
	return arraySource(r, "npz")
}

// choose finds the one array that can be configurations.
func choose(a *npy.Archive) (string, error) {
	var fit, all []string
	var unread error
	for _, name := range a.Names() {
		r, err := a.Open(name)
		if err != nil {
			unread = err
			continue
		}
		axes, number := len(r.Shape), r.DType.Number()
		r.Close()
		if len(all) < 8 {
			all = append(all, strconv.Quote(name))
		}
		if axes > 1 && number {
			fit = append(fit, name)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) == 0 && unread != nil:
		return "", unread
	case len(all) == 0:
		return "", fmt.Errorf("no arrays")
	case len(fit) == 0:
		return "", fmt.Errorf("no array [rows, width] of numbers among %s", strings.Join(all, ", "))
	}
	return "", fmt.Errorf("several arrays could be meant, name one as FILE.npz:ARRAY, of %s", strings.Join(all, ", "))
}

func arraySource(r *npy.Reader, format string) (*source, error) {
	s := &source{name: r.Name(), format: format, typ: r.DType.String(), fortran: r.Fortran, next: r.Read, closer: []io.Closer{r}}
	if !r.DType.Number() {
		r.Close()
		return nil, fmt.Errorf("%s: text, want numbers", s.name)
	}
	s.bytes = r.DType.Kind == 'u' && r.DType.Size == 1
	if err := s.setShape(r.Shape); err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return s, nil
}

// setShape takes an array's shape apart into rows and the shape of a row.
func (s *source) setShape(shape []int) error {
	switch len(shape) {
	case 0:
		return fmt.Errorf("a single number, want an array [rows, width]")
	case 1:
		return fmt.Errorf("one axis of %d numbers, want an array [rows, width]: these look like labels, not configurations", shape[0])
	}
	if len(shape) > 16 {
		return fmt.Errorf("%d axes, want at most 16", len(shape))
	}
	s.rows, s.shape, s.width = shape[0], append([]int{}, shape[1:]...), 1
	for _, d := range s.shape {
		if d > MaxWidth || s.width*d > MaxWidth {
			return fmt.Errorf("rows of %s values, want at most %d", shapeText(s.shape), MaxWidth)
		}
		s.width *= d
	}
	return nil
}

func (s *source) check() error {
	switch {
	case s.rows == 0:
		return fmt.Errorf("no rows")
	case s.width == 0:
		return fmt.Errorf("rows of no values")
	}
	return nil
}
