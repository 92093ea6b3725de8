package data

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// maxLine is the longest line of text that is read, in bytes.
const maxLine = 1 << 26

// text reads rows of text, one a line: numbers with spaces, tabs, commas or
// semicolons between them, or one word of 0 and 1 or of - and + with a
// character for each unit. # begins a comment.
type text struct {
	r      *bufio.Reader
	line   int // number of the line last read, from 1
	first  int // number of the line of the first row
	width  int
	word   bool
	row    []float64 // what is left of the row last read
	values []float64
	buf    []byte
}

func openText(r *bufio.Reader, name string) (*source, error) {
	t := &text{r: r}
	err := t.read()
	if err == io.EOF {
		err = fmt.Errorf("no rows")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &source{name: name, format: "text", typ: "float64", rows: -1, width: t.width, shape: []int{t.width}, next: t.next}, nil
}

func (t *text) next(dst []float64) (int, error) {
	if len(t.row) == 0 {
		if err := t.read(); err != nil {
			return 0, err
		}
	}
	n := copy(dst, t.row)
	t.row = t.row[n:]
	return n, nil
}

// read reads the next row, or returns io.EOF.
func (t *text) read() error {
	for {
		line, err := t.nextLine()
		if err != nil {
			return err
		}
		if i := bytes.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if t.width == 0 {
			if line = bytes.TrimPrefix(line, []byte("\ufeff")); len(line) == 0 {
				continue // a byte order mark alone
			}
			t.first = t.line
			t.word = len(line) > 1 && (len(bytes.Trim(line, "01")) == 0 || len(bytes.Trim(line, "+-")) == 0)
		}
		if err := t.parse(line); err != nil {
			return fmt.Errorf("line %d: %w", t.line, err)
		}
		return nil
	}
}

// nextLine reads a line of bounded length.
func (t *text) nextLine() ([]byte, error) {
	t.line++
	t.buf = t.buf[:0]
	for {
		part, err := t.r.ReadSlice('\n')
		t.buf = append(t.buf, part...)
		switch {
		case len(t.buf) > maxLine:
			return nil, fmt.Errorf("line %d is longer than %d bytes", t.line, maxLine)
		case err == nil:
			return t.buf, nil
		case err == bufio.ErrBufferFull:
		case err == io.EOF && len(t.buf) > 0:
			return t.buf, nil
		default:
			return nil, err
		}
	}
}

// missing returns which value, from 1, is an empty field: nothing but blanks
// before a comma or semicolon; 0 for none. One comma at the end of a line
// separates nothing.
func missing(line []byte) int {
	field, empty := 1, true
	for _, c := range line {
		switch c {
		case ' ', '\t', '\r':
		case ',', ';':
			if empty {
				return field
			}
			empty = true
			field++
		default:
			empty = false
		}
	}
	return 0
}

func (t *text) parse(line []byte) error {
	t.values = t.values[:0]
	if t.word {
		for _, c := range line {
			switch c {
			case '0', '-':
				t.values = append(t.values, float64(0))
			case '1', '+':
				t.values = append(t.values, 1)
			default:
				return fmt.Errorf("%s in a word of 0 and 1 or - and +", strconv.QuoteRune(rune(c)))
			}
		}
	} else {
		between := func(c rune) bool { return c == ' ' || c == '\t' || c == ',' || c == ';' || c == '\r' }
		for field := range bytes.FieldsFuncSeq(line, between) {
			x, err := strconv.ParseFloat(string(field), 64)
			if err != nil {
				if len(field) > 40 {
					field = field[:40]
				}
				return fmt.Errorf("%s is no number", strconv.Quote(string(field)))
			}
			t.values = append(t.values, x)
		}
	}
	switch n := len(t.values); {
	case n == 0:
		return fmt.Errorf("no values")
	case !t.word && missing(line) > 0:
		return fmt.Errorf("value %d is missing: nothing stands before its comma", missing(line))
	case n > MaxWidth:
		return fmt.Errorf("%d values, want at most %d", n, MaxWidth)
	case t.width != 0 && n != t.width:
		return fmt.Errorf("%d values, want %d as in line %d", n, t.width, t.first)
	default:
		t.width = n
	}
	t.row = t.values
	return nil
}
