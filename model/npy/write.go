package npy

import (
	"encoding/binary"
	"fmt"
	"strings"

	"kadanoff/model/atomicfile"
)

// Number is a type of which arrays can be written.
type Number interface {
	uint8 | int8 | int32 | int64 | float32 | float64
}

// Writer writes an array to a file part by part.
type Writer[T Number] struct {
	file *atomicfile.File
	path string
	left int // elements not written yet
	buf  []byte
}

// Create starts an array of that shape at path, row-major and little-endian.
// The file is not seen before Commit.
func Create[T Number](path string, shape ...int) (*Writer[T], error) {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return nil, fmt.Errorf("%s: shape %v has a negative length", path, shape)
		}
		n *= d
	}
	if !fits(shape, binary.Size(*new(T))) {
		return nil, fmt.Errorf("%s: shape %v is too large", path, shape)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(encodeHeader(descr[T](), shape)); err != nil {
		f.Abort()
		return nil, err
	}
	return &Writer[T]{file: f, path: path, left: n}, nil
}

// Write appends elements.
func (w *Writer[T]) Write(list []T) error {
	if len(list) > w.left {
		return fmt.Errorf("%s: %d elements, but room for %d", w.path, len(list), w.left)
	}
	for len(list) > 0 {
		n := min(len(list), chunk/8)
		// Append fails only for types of no fixed size, which Number has none of.
		w.buf, _ = binary.Append(w.buf[:0], binary.LittleEndian, list[:n])
		if _, err := w.file.Write(w.buf); err != nil {
			return err
		}
		w.left -= n
		list = list[n:]
	}
	return nil
}

// Commit gives the file its name. An array with elements missing is an error,
// and leaves what was there.
func (w *Writer[T]) Commit() error {
	if w.left > 0 {
		w.file.Abort()
		return fmt.Errorf("%s: %d elements were never written", w.path, w.left)
	}
	return w.file.Commit()
}

// Abort drops the file. After Commit it does nothing.
func (w *Writer[T]) Abort() { w.file.Abort() }

// WriteFile writes a whole array.
func WriteFile[T Number](path string, list []T, shape ...int) error {
	w, err := Create[T](path, shape...)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := w.Write(list); err != nil {
		return err
	}
	return w.Commit()
}

// descr returns numpy's name of T in a file.
func descr[T Number]() string {
	var z T
	switch any(z).(type) {
	case uint8:
		return "|u1"
	case int8:
		return "|i1"
	case int32:
		return "<i4"
	case int64:
		return "<i8"
	case float32:
		return "<f4"
	default:
		return "<f8"
	}
}

// encodeHeader returns magic, version 1.0, length and dictionary, padded so
// that the elements begin at a multiple of 64, as numpy does.
func encodeHeader(descr string, shape []int) []byte {
	var tuple strings.Builder
	for i, d := range shape {
		if i > 0 {
			tuple.WriteString(", ")
		}
		fmt.Fprint(&tuple, d)
	}
	if len(shape) == 1 {
		tuple.WriteString(",")
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple.String())
	const before = len(magic) + 4
	pad := 63 - (before+len(dict))%64
	text := dict + strings.Repeat(" ", pad) + "\n"
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}
