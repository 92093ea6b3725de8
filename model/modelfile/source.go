package modelfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"kadanoff/model/npy"
	"kadanoff/model/safetensors"
)

// source is a file of named arrays. Its errors need not name the file.
type source interface {
	names() []string
	has(name string) bool
	// text returns a string, and whether it is there.
	text(name string) (string, bool, error)
	// floats returns an array of the given number of axes, row-major, every
	// number finite. If transposed is true the array is one of two axes, and
	// they come exchanged.
	floats(name string, axes int, transposed bool) ([]float32, []int, error)
	// integers returns an array of integers, with booleans as 0 and 1; boolean
	// says that they were.
	integers(name string) (list []int64, shape []int, boolean bool, err error)
}

// notFinite names the element of a tensor at a position in the order in which
// the file has it.
func notFinite(name string, shape []int, fortran bool, position int, x float64) error {
	index := make([]int, len(shape))
	for n := range shape {
		k := len(shape) - 1 - n
		if fortran {
			k = n
		}
		index[k] = position % shape[k]
		position /= shape[k]
	}
	at := strings.Trim(strings.ReplaceAll(fmt.Sprint(index), " ", ", "), "[]")
	want := "a finite number"
	if !math.IsNaN(x) && !math.IsInf(x, 0) {
		want = "a number that float32 can hold"
	}
	return fmt.Errorf("%s[%s] is %v, want %s", name, at, x, want)
}

// narrow returns x in float32, and whether it is finite there.
func narrow(x float64) (float32, bool) {
	y := float32(x)
	return y, !math.IsNaN(float64(y)) && !math.IsInf(float64(y), 0)
}

func wrongAxes(name string, shape []int, axes int) error {
	return fmt.Errorf("%s has shape %s, want %d axes", name, shapeText(shape), axes)
}

func shapeText(shape []int) string {
	if len(shape) > 8 {
		return fmt.Sprintf("%v… (%d axes)", shape[:8], len(shape))
	}
	return fmt.Sprint(shape)
}

// transpose exchanges the axes of a row-major [rows, columns] array.
func transpose(list []float32, rows, columns int) []float32 {
	out := make([]float32, len(list))
	for i := range rows {
		for j := range columns {
			out[j*rows+i] = list[i*columns+j]
		}
	}
	return out
}

type safetensorsSource struct{ f *safetensors.File }

func (s safetensorsSource) names() []string {
	var names []string
	for _, t := range s.f.Tensors() {
		names = append(names, t.Name)
	}
	return names
}

func (s safetensorsSource) has(name string) bool {
	_, ok := s.f.Lookup(name)
	return ok
}

func (s safetensorsSource) text(name string) (string, bool, error) {
	v, ok := s.f.Metadata()[name]
	return v, ok, nil
}

func (s safetensorsSource) floats(name string, axes int, transposed bool) ([]float32, []int, error) {
	t, ok := s.f.Lookup(name)
	if !ok {
		return nil, nil, fmt.Errorf("no tensor %s; found %s", name, list(s.names()))
	}
	if len(t.Shape) != axes {
		return nil, nil, wrongAxes(name, t.Shape, axes)
	}
	out := make([]float32, t.Len())
	var err error
	switch t.DType {
	case safetensors.F32:
		err = s.read(t, 4, func(i int, b []byte) (float64, bool) {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
			return float64(out[i]), out[i]-out[i] == 0
		})
	case safetensors.F64:
		err = s.read(t, 8, func(i int, b []byte) (x float64, ok bool) {
			x = math.Float64frombits(binary.LittleEndian.Uint64(b))
			out[i], ok = narrow(x)
			return x, ok
		})
	default:
		return nil, nil, fmt.Errorf("%s has type %s, want F32 (F64 is rounded to it)", name, t.DType)
	}
	if err != nil {
		return nil, nil, err
	}
	shape := t.Shape
	if transposed {
		out, shape = transpose(out, shape[0], shape[1]), []int{shape[1], shape[0]}
	}
	return out, shape, nil
}

// read gives the bytes of every element of a tensor to put, which returns the
// number and whether it will do.
func (s safetensorsSource) read(t safetensors.Tensor, size int, put func(i int, b []byte) (float64, bool)) error {
	r, buf := s.f.Reader(t), make([]byte, min(1<<16, t.Bytes()))
	for i := 0; i < t.Len(); {
		part := buf[:min(len(buf), (t.Len()-i)*size)]
		if _, err := io.ReadFull(r, part); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		for ; len(part) > 0; part = part[size:] {
			if x, ok := put(i, part); !ok {
				return notFinite(t.Name, t.Shape, false, i, x)
			}
			i++
		}
	}
	return nil
}

func (s safetensorsSource) integers(name string) ([]int64, []int, bool, error) {
	t, ok := s.f.Lookup(name)
	if !ok {
		return nil, nil, false, fmt.Errorf("no tensor %s; found %s", name, list(s.names()))
	}
	var out []int64
	var err error
	switch t.DType {
	case safetensors.I32:
		out, err = widen[int32](s.f, t)
	case safetensors.U32:
		out, err = widen[uint32](s.f, t)
	case safetensors.I64:
		out = make([]int64, t.Len())
		err = safetensors.Read(s.f, t, out)
	case safetensors.Bool:
		mask := make([]bool, t.Len())
		err = safetensors.Read(s.f, t, mask)
		out = make([]int64, len(mask))
		for i, b := range mask {
			if b {
				out[i] = 1
			}
		}
	default:
		err = fmt.Errorf("%s has type %s, want I32 or I64", name, t.DType)
	}
	return out, t.Shape, t.DType == safetensors.Bool, err
}

func widen[T int32 | uint32](f *safetensors.File, t safetensors.Tensor) ([]int64, error) {
	narrow := make([]T, t.Len())
	err := safetensors.Read(f, t, narrow)
	out := make([]int64, len(narrow))
	for i, x := range narrow {
		out[i] = int64(x)
	}
	return out, err
}

type npzSource struct {
	a    *npy.Archive
	name string
}

// maxUnpacked bounds the bytes that an array takes in memory: deflate makes a
// thousand bytes of one, which no trained weights do.
func maxUnpacked(stored int64) int64 { return 64<<20 + 128*stored }

func (s npzSource) names() []string      { return s.a.Names() }
func (s npzSource) has(name string) bool { return s.a.Has(name) }

func (s npzSource) open(name string) (*npy.Reader, error) {
	if !s.a.Has(name) {
		return nil, fmt.Errorf("no array %s; found %s", name, list(s.names()))
	}
	r, err := s.a.Open(name)
	if err != nil {
		return nil, err
	}
	if limit := maxUnpacked(s.a.Size()); r.Bytes() > limit {
		r.Close()
		return nil, fmt.Errorf("%s unpacks to %d bytes, more than the %d that are believed of a file of %d", name, r.Bytes(), limit, s.a.Size())
	}
	return r, nil
}

func (s npzSource) text(name string) (string, bool, error) {
	if !s.a.Has(name) {
		return "", false, nil
	}
	r, err := s.open(name)
	if err != nil {
		return "", true, err
	}
	defer r.Close()
	v, err := r.Text()
	return v, true, err
}

func (s npzSource) floats(name string, axes int, transposed bool) ([]float32, []int, error) {
	r, err := s.open(name)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	if len(r.Shape) != axes {
		return nil, nil, wrongAxes(name, r.Shape, axes)
	}
	if r.DType.Kind != 'f' {
		return nil, nil, fmt.Errorf("%s has type %s, want float32 or float64", name, r.DType)
	}
	// Appending, so that what is allocated follows what was there to read.
	var out []float32
	part := make([]float64, min(1<<13, r.Len()))
	for {
		n, err := r.Read(part)
		for _, x := range part[:n] {
			y, ok := narrow(x)
			if !ok {
				return nil, nil, notFinite(name, r.Shape, r.Fortran, len(out), x)
			}
			out = append(out, y)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	shape := slices.Clone(r.Shape)
	if axes == 2 {
		// The bytes of an array in Fortran order are those of its transpose.
		if r.Fortran {
			slices.Reverse(shape)
		}
		if r.Fortran != transposed {
			out = transpose(out, shape[0], shape[1])
			slices.Reverse(shape)
		}
	}
	return out, shape, nil
}

func (s npzSource) integers(name string) ([]int64, []int, bool, error) {
	r, err := s.open(name)
	if err != nil {
		return nil, nil, false, err
	}
	defer r.Close()
	if k := r.DType.Kind; k != 'i' && k != 'u' && k != 'b' {
		return nil, nil, false, fmt.Errorf("%s has type %s, want int32 or int64", name, r.DType)
	}
	numbers, err := r.All()
	if err != nil {
		return nil, nil, false, err
	}
	out := make([]int64, len(numbers))
	for i, x := range numbers {
		// Beyond 2⁵³ the number is not the one of the file, and no index.
		if math.Abs(x) > 1<<53 {
			return nil, nil, false, fmt.Errorf("%s holds %s, want indices", name, strconv.FormatFloat(x, 'g', -1, 64))
		}
		out[i] = int64(x)
	}
	return out, r.Shape, r.DType.Kind == 'b', nil
}
