package data

import (
	"bufio"
	"fmt"
	"math/bits"
	"os"
)

// store keeps rows of equal size, in memory up to a limit and in a temporary
// file beyond it. Rows are filled in order, then read in any.
type store struct {
	rowBytes int
	limit    int64
	dir      string
	rows     int

	// Pieces of as many rows, 2^shift, in memory; the last may be shorter. One
	// slice would have to be copied, and be there twice, to grow.
	mem   [][]byte
	shift int

	file    *os.File
	w       *bufio.Writer
	pending []byte // the last row, which is still being filled
}

// piece is the most bytes of rows that lie together, unless a row is larger.
const piece = 1 << 22

func newStore(rowBytes int, limit int64, dir string) *store {
	return &store{rowBytes: rowBytes, limit: limit, dir: dir, shift: max(0, bits.Len(uint(piece/max(1, rowBytes)))-1)}
}

// reserve makes all rows at once, zero, to be filled in any order.
func (s *store) reserve(rows int) error {
	if int64(rows) > s.limit/int64(s.rowBytes) {
		return fmt.Errorf("in Fortran order, whose %d rows of %d bytes packed do not fit into %d bytes of memory; save it with numpy.ascontiguousarray", rows, s.rowBytes, s.limit)
	}
	for at := 0; at < rows; at += 1 << s.shift {
		s.mem = append(s.mem, make([]byte, min(rows-at, 1<<s.shift)*s.rowBytes))
	}
	s.rows = rows
	return nil
}

// row returns the bytes of a row in memory, and of those that lie behind it.
func (s *store) row(i int) []byte {
	return s.mem[i>>s.shift][i&(1<<s.shift-1)*s.rowBytes:]
}

// at returns the bytes of a row to be filled: one that is there in memory, or
// the next, zero. They are good until the next call.
func (s *store) at(row int) ([]byte, error) {
	if row < s.rows {
		return s.row(row)[:s.rowBytes], nil
	}
	s.rows++
	if s.file == nil && int64(s.rows) > s.limit/int64(s.rowBytes) {
		if err := s.spill(); err != nil {
			return nil, s.fail(err)
		}
	}
	if s.file == nil {
		last := (s.rows - 1) >> s.shift
		if last == len(s.mem) {
			var m []byte
			if last > 0 { // there are many
				m = make([]byte, 0, s.rowBytes<<s.shift)
			}
			s.mem = append(s.mem, m)
		}
		s.mem[last] = append(s.mem[last], make([]byte, s.rowBytes)...)
		return s.row(s.rows - 1)[:s.rowBytes], nil
	}
	if s.pending == nil {
		s.pending = make([]byte, s.rowBytes)
		return s.pending, nil
	}
	if _, err := s.w.Write(s.pending); err != nil {
		return nil, s.fail(err)
	}
	clear(s.pending)
	return s.pending, nil
}

// spill moves the rows from memory to a file that has no name, so that nothing
// is left of it however the process ends.
func (s *store) spill() error {
	f, err := os.CreateTemp(s.dir, "kadanoff-data-*")
	if err != nil {
		return err
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	s.w = bufio.NewWriterSize(f, 1<<20)
	for _, m := range s.mem {
		if _, err := s.w.Write(m); err != nil {
			return err
		}
	}
	s.mem = nil
	return nil
}

// finish ends the filling.
func (s *store) finish() error {
	if s.file == nil {
		return nil
	}
	if _, err := s.w.Write(s.pending); err != nil {
		return s.fail(err)
	}
	if err := s.w.Flush(); err != nil {
		return s.fail(err)
	}
	s.pending, s.w = nil, nil
	return nil
}

// read returns n rows from the first, of the store's own memory or a copy; they
// must not be changed.
func (s *store) read(first, n int) ([]byte, error) {
	if first < 0 || n < 0 || first > s.rows-n {
		return nil, fmt.Errorf("rows %d to %d, want some of %d", first, first+n-1, s.rows)
	}
	if s.file == nil {
		if n == 0 {
			return nil, nil
		}
		if b := s.row(first); len(b) >= n*s.rowBytes {
			return b[:n*s.rowBytes], nil
		}
		b := make([]byte, 0, n*s.rowBytes)
		for len(b) < n*s.rowBytes {
			next := s.row(first + len(b)/s.rowBytes)
			b = append(b, next[:min(len(next), n*s.rowBytes-len(b))]...)
		}
		return b, nil
	}
	b := make([]byte, n*s.rowBytes)
	if _, err := s.file.ReadAt(b, int64(first)*int64(s.rowBytes)); err != nil {
		return nil, s.fail(err)
	}
	return b, nil
}

func (s *store) close() error {
	s.mem = nil
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

func (s *store) fail(err error) error {
	dir := s.dir
	if dir == "" {
		dir = os.TempDir()
	}
	return fmt.Errorf("keeping rows in a temporary file in %s (TMPDIR names another folder): %w", dir, err)
}
