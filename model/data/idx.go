package data

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// idxType is an element type of the IDX format.
type idxType struct {
	name   string
	size   int
	decode func(b []byte) float64
}

// idxTypes are the types by their code, the third byte of a file.
var idxTypes = map[byte]idxType{
	0x08: {"uint8", 1, func(b []byte) float64 { return float64(b[0]) }},
	0x09: {"int8", 1, func(b []byte) float64 { return float64(int8(b[0])) }},
	0x0B: {"int16", 2, func(b []byte) float64 { return float64(int16(binary.BigEndian.Uint16(b))) }},
	0x0C: {"int32", 4, func(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) }},
	0x0D: {"float32", 4, func(b []byte) float64 { return float64(math.Float32frombits(binary.BigEndian.Uint32(b))) }},
	0x0E: {"float64", 8, func(b []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b)) }},
}

// openIDX reads the header of an IDX file, the format of MNIST: two zero bytes,
// the type, the number of axes, the axes as big-endian uint32, the elements.
//
// Format: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
func openIDX(r *bufio.Reader, size, most int64, name string) (*source, error) {
	s := &source{name: name, format: "idx"}
	wrong := func(format string, args ...any) (*source, error) {
		return nil, fmt.Errorf("%s: %w", name, fmt.Errorf(format, args...))
	}
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return wrong("IDX header is cut short")
	}
	typ, ok := idxTypes[magic[2]]
	if !ok {
		return wrong("neither .npy, .npz, text nor IDX: no IDX type has the code 0x%02X", magic[2])
	}
	axes := int(magic[3])
	raw := make([]byte, 4*axes)
	if _, err := io.ReadFull(r, raw); err != nil {
		return wrong("IDX header is cut short")
	}
	shape := make([]int, axes)
	left := int64(typ.size)
	for k := range shape {
		d := binary.BigEndian.Uint32(raw[4*k:])
		if shape[k] = int(d); shape[k] < 0 || d != 0 && left > (1<<62)/int64(d) {
			return wrong("IDX axes are too large")
		}
		left *= int64(d)
	}
	if err := s.setShape(shape); err != nil {
		return wrong("%w", err)
	}
	if n := int64(4 + 4*axes); size >= 0 && n+left != size || left > most {
		return wrong("%d rows of %s %s values take %d bytes, but the file has %d", s.rows, shapeText(s.shape), typ.name, left, most-n)
	}
	s.typ, s.bytes = typ.name, magic[2] == 0x08
	buf := make([]byte, 1<<15)
	s.next = func(dst []float64) (int, error) {
		if left == 0 {
			if _, err := r.ReadByte(); err == nil {
				return 0, fmt.Errorf("bytes follow the last value")
			} else if err != io.EOF {
				return 0, err
			}
			return 0, io.EOF
		}
		n := min(len(dst), len(buf)/typ.size, int(min(left, int64(len(buf))))/typ.size)
		if _, err := io.ReadFull(r, buf[:n*typ.size]); err == io.EOF || err == io.ErrUnexpectedEOF {
			return 0, fmt.Errorf("cut short: the last %d bytes are not all there", left)
		} else if err != nil {
			return 0, err
		}
		left -= int64(n * typ.size)
		for i := range dst[:n] {
			dst[i] = typ.decode(buf[i*typ.size:])
		}
		return n, nil
	}
	return s, nil
}
