// Package npy reads and writes numpy's array files, .npy and .npz.
//
// Arrays are read as a stream of numbers in bounded memory, and a file from
// outside is hostile until parsed: a header is held against the bytes that
// follow it, pickled objects are never opened, and no array is read of which
// the zip archive says more than deflate can hold. Every error is one line
// that names the file.
//
// Format: numpy.lib.format, versions 1.0 to 3.0
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
// The package npyio, which reads the same files, slices a header before it has
// checked it; here it is what tests compare with.
package npy

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// chunk is the bytes read at a time, a multiple of every number's size.
const chunk = 1 << 16

// Reader reads the numbers of one array, in the order of the file.
type Reader struct {
	Header
	name  string
	r     io.Reader
	left  int64 // bytes not read yet
	buf   []byte
	close []io.Closer
}

// NewReader reads the header of the array in r. size is the bytes of the whole
// file, -1 where it is not known. Errors name name.
func NewReader(r io.Reader, size int64, name string) (*Reader, error) {
	h, n, err := readHeader(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if size >= 0 && n+h.Bytes() != size {
		return nil, fmt.Errorf("%s: shape %s of %s takes %d bytes, but %d follow the header", name, brief(h.Shape), h.DType, h.Bytes(), size-n)
	}
	return &Reader{Header: h, name: name, r: r, left: h.Bytes()}, nil
}

// openRegular opens the file at path, which must be a regular one, and returns
// its size.
func openRegular(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Open opens the .npy file at path.
func Open(path string) (*Reader, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(f, size, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.close = []io.Closer{f}
	return r, nil
}

// Close closes what was opened for the array.
func (r *Reader) Close() error {
	var first error
	for _, c := range r.close {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Name returns the name that errors give the array.
func (r *Reader) Name() string { return r.name }

// Read fills dst with the next numbers and returns how many there were; after
// the last it returns 0 and io.EOF. An array that ends early is an error.
func (r *Reader) Read(dst []float64) (int, error) {
	if !r.DType.Number() {
		return 0, fmt.Errorf("%s: text, want numbers", r.name)
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	size := r.DType.Size
	done := 0
	for done < len(dst) && r.left > 0 {
		n := min(len(dst)-done, chunk/size, int(min(r.left, chunk))/size)
		b, err := r.bytes(n * size)
		if err != nil {
			return done, err
		}
		r.DType.decode(dst[done:done+n], b)
		done += n
	}
	return done, nil
}

// bytes reads the next n ≤ chunk bytes; they are good until the next call.
func (r *Reader) bytes(n int) ([]byte, error) {
	if r.buf == nil {
		r.buf = make([]byte, min(chunk, r.left))
	}
	if _, err := io.ReadFull(r.r, r.buf[:n]); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("cut short: the last %d bytes are not all there", r.left)
		}
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	r.left -= int64(n)
	if r.left == 0 {
		// What a zip archive says about sizes and sums is known at its end.
		var one [1]byte
		if k, err := r.r.Read(one[:]); k > 0 {
			return nil, fmt.Errorf("%s: bytes follow the last element", r.name)
		} else if err != nil && err != io.EOF {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return r.buf[:n], nil
}

// All returns all numbers, row-major whatever the order of the file. It grows
// with what the file really holds.
func (r *Reader) All() ([]float64, error) {
	var list []float64
	part := make([]float64, min(chunk/8, r.Len()))
	for {
		n, err := r.Read(part)
		list = append(list, part[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if r.Fortran && len(r.Shape) > 1 {
		list = RowMajor(list, r.Shape)
	}
	return list, nil
}

// Text returns the one string of an array without axes, or with a single
// element.
func (r *Reader) Text() (string, error) {
	if r.DType.Number() || r.Len() != 1 || r.DType.Size > chunk {
		return "", fmt.Errorf("%s: %s of shape %s, want one string", r.name, r.DType, brief(r.Shape))
	}
	b, err := r.bytes(r.DType.Size)
	if err != nil {
		return "", err
	}
	if r.DType.Kind == 'S' {
		return strings.TrimRight(string(b), "\x00"), nil
	}
	var s []rune
	for ; len(b) >= 4; b = b[4:] {
		c := rune(b[0]) | rune(b[1])<<8 | rune(b[2])<<16 | rune(b[3])<<24
		if r.DType.Big {
			c = rune(b[3]) | rune(b[2])<<8 | rune(b[1])<<16 | rune(b[0])<<24
		}
		s = append(s, c)
	}
	return strings.TrimRight(string(s), "\x00"), nil
}

// RowMajor reorders the elements of an array stored with its first index
// fastest so that its last index is.
func RowMajor[T any](list []T, shape []int) []T {
	out := make([]T, len(list))
	index := make([]int, len(shape))
	stride := Strides(shape)
	from := 0
	for i := range out {
		out[i] = list[from]
		for k := len(shape) - 1; k >= 0; k-- {
			index[k]++
			from += stride[k]
			if index[k] < shape[k] {
				break
			}
			from -= stride[k] * shape[k]
			index[k] = 0
		}
	}
	return out
}

// Strides returns how far apart neighbours along each axis lie in an array
// stored with its first index fastest.
func Strides(shape []int) []int {
	stride := slices.Clone(shape)
	n := 1
	for k, d := range shape {
		stride[k] = n
		n *= d
	}
	return stride
}
