package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// magic begins every .npy file.
const magic = "\x93NUMPY"

// maxHeader is the longest header text that is read, in bytes. numpy's own
// limit is 10000.
const maxHeader = 1 << 16

// Header describes an array.
type Header struct {
	DType   DType
	Fortran bool  // the first index runs fastest
	Shape   []int // empty for a single value
}

// Len returns the number of elements.
func (h Header) Len() int {
	n := 1
	for _, d := range h.Shape {
		n *= d
	}
	return n
}

// Bytes returns the number of bytes that the elements take.
func (h Header) Bytes() int64 { return int64(h.Len()) * int64(h.DType.Size) }

// readHeader reads the magic, the version and the header, and returns how many
// bytes they take.
func readHeader(r io.Reader) (Header, int64, error) {
	var start [8]byte
	if _, err := io.ReadFull(r, start[:]); err != nil || string(start[:6]) != magic {
		return Header{}, 0, fmt.Errorf("not a .npy array: it does not begin with \\x93NUMPY")
	}
	var width int
	switch start[6] {
	case 1:
		width = 2
	case 2, 3:
		width = 4
	default:
		return Header{}, 0, fmt.Errorf("version %d of the .npy format, want 1, 2 or 3", start[6])
	}
	var length [4]byte
	if _, err := io.ReadFull(r, length[:width]); err != nil {
		return Header{}, 0, fmt.Errorf("header is cut short")
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxHeader {
		return Header{}, 0, fmt.Errorf("header of %d bytes, want at most %d", n, maxHeader)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return Header{}, 0, fmt.Errorf("header is cut short")
	}
	h, err := parseHeader(string(text))
	if err != nil {
		return Header{}, 0, fmt.Errorf("header: %w", err)
	}
	return h, int64(8+width) + int64(n), nil
}

// parser reads the Python dictionary of a header, such as
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
type parser struct{ rest string }

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take consumes s if it is next.
func (p *parser) take(s string) bool {
	p.space()
	if !strings.HasPrefix(p.rest, s) {
		return false
	}
	p.rest = p.rest[len(s):]
	return true
}

func (p *parser) wrong(want string) error {
	return fmt.Errorf("%s, want %s", quote(p.rest), want)
}

// text reads a quoted string without escapes.
func (p *parser) text() (string, error) {
	for _, q := range []string{"'", `"`} {
		if p.take(q) {
			s, rest, ok := strings.Cut(p.rest, q)
			if !ok || strings.Contains(s, `\`) {
				return "", p.wrong("a plain string")
			}
			p.rest = rest
			return s, nil
		}
	}
	return "", p.wrong("a string")
}

// integer reads digits; numpy of Python 2 wrote an L after them.
func (p *parser) integer() (int, error) {
	p.space()
	n := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
	x, err := strconv.Atoi(p.rest[:n])
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("length %s is too large", quote(p.rest[:n]))
	}
	if err != nil {
		return 0, p.wrong("a length")
	}
	p.rest = strings.TrimPrefix(p.rest[n:], "L")
	return x, nil
}

func (p *parser) shape() ([]int, error) {
	if !p.take("(") {
		return nil, p.wrong("a tuple of lengths")
	}
	shape := []int{}
	for !p.take(")") {
		d, err := p.integer()
		if err != nil {
			return nil, err
		}
		shape = append(shape, d)
		if !p.take(",") && !strings.HasPrefix(strings.TrimLeft(p.rest, " "), ")") {
			return nil, p.wrong("a comma")
		}
	}
	return shape, nil
}

func parseHeader(s string) (Header, error) {
	var h Header
	p := &parser{s}
	if !p.take("{") {
		return h, p.wrong("a dictionary")
	}
	seen := map[string]bool{}
	for !p.take("}") {
		key, err := p.text()
		if err != nil {
			return h, err
		}
		if seen[key] {
			return h, fmt.Errorf("%s is there twice", quote(key))
		}
		seen[key] = true
		if !p.take(":") {
			return h, p.wrong("a colon")
		}
		switch key {
		case "descr":
			if p.take("[") {
				return h, fmt.Errorf("records of several fields, want an array of plain numbers")
			}
			var descr string
			if descr, err = p.text(); err == nil {
				h.DType, err = parseDType(descr)
			}
		case "fortran_order":
			if h.Fortran = p.take("True"); !h.Fortran && !p.take("False") {
				err = p.wrong("True or False")
			}
		case "shape":
			h.Shape, err = p.shape()
		default:
			err = fmt.Errorf("unknown key %s", quote(key))
		}
		if err != nil {
			return h, err
		}
		if !p.take(",") && !strings.HasPrefix(strings.TrimLeft(p.rest, " "), "}") {
			return h, p.wrong("a comma")
		}
	}
	if p.space(); p.rest != "" {
		return h, fmt.Errorf("text after the dictionary: %s", quote(p.rest))
	}
	if len(seen) != 3 {
		return h, fmt.Errorf("want descr, fortran_order and shape")
	}
	if !fits(h.Shape, h.DType.Size) {
		return h, fmt.Errorf("shape %s is too large", brief(h.Shape))
	}
	return h, nil
}

// fits says whether size·Π shape can be counted.
func fits(shape []int, size int) bool {
	if slices.Contains(shape, 0) {
		return true
	}
	n := uint64(max(size, 1))
	for _, d := range shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > 1<<62 || int64(int(lo)) != int64(lo) {
			return false
		}
		n = lo
	}
	return true
}

// quote makes text from a file safe for one line of an error.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "…"
	}
	return strconv.Quote(s)
}

// brief shortens a shape for one line of an error.
func brief(shape []int) string {
	const limit = 8
	if len(shape) > limit {
		return fmt.Sprintf("%v… (%d lengths)", shape[:limit], len(shape))
	}
	return fmt.Sprint(shape)
}
