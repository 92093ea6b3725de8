package data

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// npyBytes is a .npy file of data, a slice of numbers.
func npyBytes(t testing.TB, descr string, fortran bool, data any, shape ...int) []byte {
	t.Helper()
	var b bytes.Buffer
	tuple := strings.NewReplacer("[", "(", "]", ",)", " ", ", ").Replace(fmt.Sprint(shape))
	if len(shape) == 0 {
		tuple = "()"
	}
	order := map[bool]string{false: "False", true: "True"}[fortran]
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, order, tuple)
	fmt.Fprintf(&b, "\x93NUMPY\x01\x00%s%s", binary.LittleEndian.AppendUint16(nil, uint16(len(head))), head)
	if err := binary.Write(&b, binary.LittleEndian, data); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func npzBytes(t testing.TB, arrays map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, a := range arrays {
		w, err := z.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func idxBytes(t testing.TB, code byte, data any, shape ...uint32) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{0, 0, code, byte(len(shape))})
	for _, x := range []any{shape, data} {
		if err := binary.Write(b, binary.BigEndian, x); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// spinsOf returns all rows as a string of + and -, a space between rows.
func spinsOf(t testing.TB, s *Set) string {
	t.Helper()
	var rows []string
	for i := range s.Rows() {
		v := make([]int8, s.Width())
		if err := s.Spins(i, v); err != nil {
			t.Fatal(err)
		}
		row := ""
		for _, x := range v {
			row += map[int8]string{1: "+", -1: "-"}[x]
		}
		rows = append(rows, row)
	}
	return strings.Join(rows, " ")
}

func ptr(x float64) *float64 { return &x }

func TestFormats(t *testing.T) {
	// Three rows of five units, prime to everything.
	const want = "+--+- --+-+ ++++-"
	var up []bool
	for _, c := range strings.ReplaceAll(want, " ", "") {
		up = append(up, c == '+')
	}
	bytesOf := func(low, high uint8) []uint8 {
		out := make([]uint8, len(up))
		for i := range out {
			out[i] = low
			if up[i] {
				out[i] = high
			}
		}
		return out
	}
	floats := func(low, high float64) []float64 {
		out := make([]float64, len(up))
		for i := range out {
			out[i] = low
			if up[i] {
				out[i] = high
			}
		}
		return out
	}
	int8s, floats32 := make([]int8, len(up)), make([]float32, len(up))
	columns := make([]uint8, len(up))
	for i, x := range floats(-1, 1) {
		int8s[i], floats32[i] = int8(x), float32(x)/2
		columns[i%5*3+i/5] = bytesOf(0, 1)[i]
	}
	labels := npyBytes(t, "|u1", false, []uint8{7, 1, 2}, 3)
	gray := []uint8{200, 3, 127, 128, 0, 0, 9, 255, 127, 128, 130, 140, 150, 160, 1}
	for name, c := range map[string]struct {
		file      []byte
		suffix    string
		threshold *float64
		low, high float64
		shape     []int
	}{
		"bool":      {file: npyBytes(t, "|b1", false, up, 3, 5), high: 1},
		"uint8":     {file: npyBytes(t, "|u1", false, bytesOf(0, 255), 3, 5), high: 255},
		"int8":      {file: npyBytes(t, "|i1", false, int8s, 3, 5), low: -1, high: 1},
		"float32":   {file: npyBytes(t, "<f4", false, floats32, 3, 5), low: -.5, high: .5},
		"float64":   {file: npyBytes(t, "<f8", false, floats(0, 1), 3, 5), high: 1},
		"Fortran":   {file: npyBytes(t, "|u1", true, columns, 3, 5), high: 1},
		"image":     {file: npyBytes(t, "|u1", false, bytesOf(3, 4), 3, 1, 5), low: 3, high: 4, shape: []int{1, 5}},
		"threshold": {file: npyBytes(t, "|u1", false, gray, 3, 5), threshold: ptr(127), low: 0, high: 255},
		"npz":       {file: npzBytes(t, map[string][]byte{"labels": labels, "x": npyBytes(t, "|b1", false, up, 3, 5)}), high: 1},
		"npz named": {file: npzBytes(t, map[string][]byte{
			"y": npyBytes(t, "|u1", false, bytesOf(1, 0), 3, 5), "x": npyBytes(t, "|b1", false, up, 3, 5),
		}), suffix: ":x", high: 1},
		"npy.gz":     {file: gz(t, npyBytes(t, "|b1", false, up, 3, 5)), high: 1},
		"idx":        {file: idxBytes(t, 8, bytesOf(0, 255), 3, 5), high: 255},
		"idx.gz":     {file: gz(t, idxBytes(t, 8, gray, 3, 5, 1)), threshold: ptr(127), high: 255, shape: []int{5, 1}},
		"idx int8":   {file: idxBytes(t, 9, int8s, 3, 5), low: -1, high: 1},
		"idx int16":  {file: idxBytes(t, 0x0B, []int16{300, -300, -300, 300, -300, -300, -300, 300, -300, 300, 300, 300, 300, 300, -300}, 3, 5), low: -300, high: 300},
		"idx float":  {file: idxBytes(t, 0x0D, floats32, 3, 5), low: -.5, high: .5},
		"idx double": {file: idxBytes(t, 0x0E, floats(0, 1), 3, 5), high: 1},
		"words":      {file: []byte("# two\n10010\n\n 00101 # second\r\n11110"), high: 1},
		"commas":     {file: []byte("1,0,0,1,0,\r\n0,0,1,0,1,\r\n1,1,1,1,0,\r\n"), high: 1}, // one behind the last value
		"byte order": {file: []byte("\ufeff1,0,0,1,0\r\n0,0,1,0,1\r\n1,1,1,1,0\r\n"), high: 1},
		"signs":      {file: []byte("+--+-\n--+-+\n++++-\n"), high: 1},
		"numbers":    {file: []byte("1 -1 -1 1 -1\n-1,-1,1,-1,1\n1;1 ; 1\t1 -1.0\n"), low: -1, high: 1},
		"text.gz":    {file: gz(t, []byte("10010\n00101\n11110\n")), high: 1},
	} {
		path := write(t, "data.npz", c.file) + c.suffix
		for _, limit := range []int64{0, 8} {
			s, err := Load(path, Options{Threshold: c.threshold, MemoryLimit: limit, TempDir: t.TempDir()})
			if err != nil {
				if limit == 8 && name == "Fortran" && strings.Contains(err.Error(), "ascontiguousarray") {
					continue
				}
				t.Errorf("%s: %v", name, err)
				continue
			}
			if (s.store.file != nil) != (limit == 8) {
				t.Errorf("%s: with a limit of %d, a temporary file is %v", name, limit, s.store.file != nil)
			}
			if got := spinsOf(t, s); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
			if c.shape == nil {
				c.shape = []int{5}
			}
			if s.Rows() != 3 || s.Width() != 5 || s.Ups != 8 || s.Low != c.low || s.High != c.high || !slices.Equal(s.Shape, c.shape) {
				t.Errorf("%s: %v, shape %v, %d up, want low %v, high %v", name, s, s.Shape, s.Ups, c.low, c.high)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if info, err := Stat(t.Context(), path); err != nil || !slices.Equal(info.Shape, c.shape) || info.Rows != 3 {
			t.Errorf("%s: Stat = %+v, %v", name, info, err)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	s, err := Load(write(t, "x", []byte("01\n10\n")), Options{MemoryLimit: 1, TempDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 || s.store.file == nil {
		t.Errorf("the temporary file has the name %v", list)
	}
	s.Close()
	_, err = Load(write(t, "x", []byte("01\n10\n")), Options{MemoryLimit: 1, TempDir: filepath.Join(dir, "none")})
	if err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("without a folder for temporary files: %v", err)
	}
}

// Rows longer than a word, read several at a time, from memory and from disk,
// against the spins they were made of; the first value is the higher one.
func TestManyRows(t *testing.T) {
	const rows, width = 1009, 131
	r := rand.New(rand.NewPCG(3, 7))
	want := make([]uint8, rows*width)
	for i := range want {
		want[i] = uint8(r.Uint32() & 1)
	}
	want[0] = 1
	column := make([]uint8, rows*width)
	for i := range rows {
		for u := range width {
			column[u*rows+i] = want[i*width+u]
		}
	}
	for name, c := range map[string]struct {
		file  []byte
		limit int64
	}{
		"memory":  {npyBytes(t, "|u1", false, want, rows, width), 0},
		"disk":    {npyBytes(t, "|u1", false, want, rows, width), 1 << 12},
		"Fortran": {npyBytes(t, "|u1", true, column, rows, width), 0},
	} {
		s, err := Load(write(t, "x.npy", c.file), Options{MemoryLimit: c.limit, TempDir: t.TempDir()})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer s.Close()
		if s.Stride() != 3 {
			t.Fatalf("stride %d, want 3", s.Stride())
		}
		for _, first := range []int{0, 1, rows - 7} {
			dst := make([]uint64, 7*s.Stride())
			if err := s.Read(first, dst); err != nil {
				t.Fatal(err)
			}
			for i := range 7 {
				for u := range 192 {
					bit := uint8(dst[i*3+u/64] >> (u % 64) & 1)
					if u < width && bit != want[(first+i)*width+u] || u >= width && bit != 0 {
						t.Fatalf("%s: row %d, unit %d is %d", name, first+i, u, bit)
					}
				}
			}
		}
		for _, first := range []int{-1, rows - 6, math.MaxInt} {
			if err := s.Read(first, make([]uint64, 7*3)); err == nil {
				t.Errorf("%s: 7 rows from %d are read", name, first)
			}
		}
		if err := s.Read(0, make([]uint64, 4)); err == nil {
			t.Errorf("%s: a part of a row is read", name)
		}
	}
}

// Rows lie in pieces, which a read may cross.
func TestPieces(t *testing.T) {
	const rowBytes, rows = 8 << 10, 1300 // 512 rows a piece
	for _, reserved := range []bool{false, true} {
		s := newStore(rowBytes, 1<<40, "")
		if reserved {
			if err := s.reserve(rows); err != nil {
				t.Fatal(err)
			}
		}
		for i := range rows {
			b, err := s.at(i)
			if err != nil || len(b) != rowBytes {
				t.Fatalf("row %d: %d bytes, %v", i, len(b), err)
			}
			binary.LittleEndian.PutUint32(b[rowBytes-4:], uint32(i))
		}
		if err := s.finish(); err != nil || s.rows != rows || len(s.mem) != 3 {
			t.Fatalf("%d rows in %d pieces, %v", s.rows, len(s.mem), err)
		}
		for _, r := range [][2]int{{0, 1}, {511, 2}, {500, 700}, {1299, 1}, {0, 1300}, {512, 512}, {7, 0}} {
			b, err := s.read(r[0], r[1])
			if err != nil || len(b) != r[1]*rowBytes {
				t.Fatalf("%d rows from %d: %d bytes, %v", r[1], r[0], len(b), err)
			}
			for i := range r[1] {
				if got := binary.LittleEndian.Uint32(b[(i+1)*rowBytes-4:]); got != uint32(r[0]+i) {
					t.Fatalf("row %d is %d", r[0]+i, got)
				}
			}
		}
	}
}

func TestFortranAxes(t *testing.T) {
	// x[r, i, j] = r + 2i + 10j, two rows of 3×5, the first index fastest.
	var list []int32
	for j := range 5 {
		for i := range 3 {
			for r := range 2 {
				list = append(list, int32(r+2*i+10*j))
			}
		}
	}
	s, err := Load(write(t, "x.npy", npyBytes(t, "<i4", true, list, 2, 3, 5)), Options{Threshold: ptr(13.5)})
	if err != nil {
		t.Fatal(err)
	}
	v := make([]int8, 15)
	for r := range 2 {
		if err := s.Spins(r, v); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			for j := range 5 {
				if (v[5*i+j] == 1) != (r+2*i+10*j > 13) {
					t.Errorf("x[%d, %d, %d] = %d is %d", r, i, j, r+2*i+10*j, v[5*i+j])
				}
			}
		}
	}
}

func TestOneValue(t *testing.T) {
	for text, want := range map[string]string{"0 0\n0 0\n": "-- --", "1 1\n": "++", "-1 -1\n": "--"} {
		s, err := Load(write(t, "x", []byte(text)), Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if got := spinsOf(t, s); got != want || s.Ups != int64(strings.Count(want, "+")) {
			t.Errorf("%q is %s, %d up; want %s", text, got, s.Ups, want)
		}
	}
}

// watched is a context that looks at the memory in use as often as it is asked
// whether it has ended, every 4096 values.
type watched struct {
	context.Context
	looks int
	most  uint64
}

func (w *watched) Err() error {
	if w.looks++; w.looks%128 == 0 {
		w.most = max(w.most, heap())
	}
	return nil
}

// heap returns the bytes of what is reachable.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Data larger than what they may take of memory are read, kept and gone through
// in any order without ever taking much more, whatever their format; without a
// limit they would take it all.
func TestBoundedMemory(t *testing.T) {
	const rows, width, limit = 1 << 14, 1024, 1 << 16 // 2 MiB packed
	line := make([]byte, width)
	for i := range line {
		line[i] = byte(i * i % 3 % 2)
	}
	raw := bytes.Repeat(line, rows)
	idx := write(t, "x.idx", append([]byte{0, 0, 8, 2, 0, 0, 64, 0, 0, 0, 4, 0}, raw...))
	array := write(t, "x.npy", append(npyBytes(t, "|u1", false, []uint8{}, rows, width), raw...))
	for i := range line {
		line[i] += '0'
	}
	text := write(t, "x.txt", bytes.Repeat(append(line, '\n'), rows))
	raw = nil
	for _, path := range []string{idx, array, text} {
		w := &watched{Context: t.Context()}
		before := heap()
		s, err := Load(path, Options{MemoryLimit: limit, TempDir: t.TempDir(), Context: w})
		if err != nil {
			t.Fatal(err)
		}
		row := make([]uint64, s.Stride())
		for i := range 2000 {
			if err := s.Read(i*7919%rows, row); err != nil {
				t.Fatal(err)
			}
		}
		w.most = max(w.most, heap())
		// Beside the rows there are the buffers of the files.
		if more := w.most - min(w.most, before); more > limit+3<<19 || w.looks < 1000 {
			t.Errorf("%s: %d bytes more of memory in %d looks, want at most %d and buffers", filepath.Base(path), more, w.looks, limit)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	before := heap()
	s, err := Load(array, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if more := heap() - before; more < rows*width/8 {
		t.Errorf("without a limit %d bytes: the test has no power", more)
	}
	s.Close()
}

func TestString(t *testing.T) {
	path := write(t, "x", []byte("0 5\n5 5\n"))
	s, err := Load(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), path+": 2 rows of 2, values 0 and 5, 5 is +1 (75.0 %)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if s, err = Load(path, Options{Threshold: ptr(2)}); err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), path+": 2 rows of 2, values above 2 are +1 (75.0 %)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// bad are files that are refused, by a part of the reason.
func bad(t testing.TB) map[string][]byte {
	u8 := func(shape ...int) []byte {
		n := 1
		for _, d := range shape {
			n *= d
		}
		list := make([]uint8, n)
		for i := range list {
			list[i] = uint8(i)
		}
		return npyBytes(t, "|u1", false, list, shape...)
	}
	two := npyBytes(t, "|b1", false, make([]bool, 4), 2, 2)
	idx := idxBytes(t, 8, make([]uint8, 6), 2, 3)
	flipped := gz(t, idxBytes(t, 8, []uint8{0, 1, 1, 0, 1, 0}, 2, 3))
	flipped[len(flipped)-8] ^= 1 // in the checksum
	return map[string][]byte{
		"empty": nil,
		"row 0, column 2 holds 2, a third value after 0 and 1; want --threshold T, 127": u8(2, 5),
		"these look like labels, not":           u8(10),
		"labels, not configurations":            idxBytes(t, 8, []uint8{7, 2, 1}, 3),
		"one column of more than two":           u8(10, 1),
		"column of more than two values":        []byte("3\n1\n4\n"),
		"a single number":                       npyBytes(t, "<f4", false, []float32{1}),
		"no rows":                               npyBytes(t, "<f4", false, []float32{}, 0, 5),
		"rows of no values":                     npyBytes(t, "<f4", false, []float32{}, 5, 0),
		"line 3: 2 values, want 3 as in line 1": []byte("0 1 1\n\n0 1\n"),
		"line 2: 4 values, want 3":              []byte("011\n0110\n"),
		`line 1: "pixel" is no number`:          []byte("pixel,label\n0,1\n"),
		"'2' in a word":                         []byte("0110\n0120\n"),
		"line 1: no values":                     []byte(",,,\n"),
		"line 2: value 2 is missing":            []byte("0,1,1\n1, ,0,1\n"),
		"line 1: value 1 is missing":            []byte(",1,0\n"),
		"line 1: value 3 is missing":            []byte("1;0;;\n"),
		"no rows\n"[:7]:                         []byte("# nothing\n\n"),
		"row 0, column 1 holds NaN":             []byte("0 nan\n"),
		"row 1, column 0 holds +Inf":            npyBytes(t, "<f4", false, []float32{0, 1, float32(math.Inf(1)), 0}, 2, 2),
		"all values are 7; want two":            []byte("7 7\n7 7\n"),
		"\"\\x00\" is no number":                []byte("\x01\x00\n")[1:],
		"pickled":                               npyBytes(t, "|O", false, []uint64{0, 0}, 1, 2),
		"4 follow the header":                   npyBytes(t, "|u1", false, []uint8{1, 2, 3, 4}, 2, 3),
		"at most 16777216":                      npyBytes(t, "|u1", false, []uint8{}, 0, 1<<25),
		"at most 16\n"[:10]:                     npyBytes(t, "|u1", false, []uint8{1}, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
		"text, want numbers":                    npyBytes(t, "|S1", false, []uint8{1, 2}, 1, 2),
		"IDX header is cut short":               idx[:7],
		"take 6 bytes, but the file has 5":      idx[:len(idx)-1],
		"but the file has 7":                    append(slices.Clone(idx), 0),
		"code 0x07":                             append([]byte{0, 0, 7}, idx[3:]...),
		"IDX axes are too large":                idxBytes(t, 8, []uint8{0}, 1<<31, 1<<31, 1<<31),
		"cut short: the last 6":                 gz(t, idx[:len(idx)-1]),
		"bytes follow the last value":           gz(t, append(slices.Clone(idx), 0)),
		"gzip: invalid checksum":                flipped,
		"unexpected EOF":                        gz(t, []byte("01\n10\n"))[:24],
		"gzip: invalid header":                  []byte("\x1f\x8b\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		"more than the file can hold":           gz(t, npyBytes(t, "|u1", false, []uint8{1}, 100000, 1000)),
		"not a .npz archive":                    []byte("PK\x03\x04"),
		"several arrays could be meant":         npzBytes(t, map[string][]byte{"a": two, "b": two}),
		"no array [rows, width]":                npzBytes(t, map[string][]byte{"a": u8(3)}),
		"no arrays":                             npzBytes(t, nil),
		"x:a: header: pickled":                  npzBytes(t, map[string][]byte{"a": npyBytes(t, "|O", false, []uint64{0, 0}, 1, 2)}),
	}
}

func TestBadFiles(t *testing.T) {
	for want, file := range bad(t) {
		path := write(t, "x", file)
		s, err := Load(path, Options{})
		if err == nil {
			t.Errorf("%q: no error, but %v", want, s)
			continue
		}
		if m := err.Error(); !strings.HasPrefix(m, path+":") || strings.Count(m, path) > 1 || !strings.Contains(m, want) || strings.ContainsAny(m, "\n\r") {
			t.Errorf("%q, want one line with the file once and %q", m, want)
		}
	}
	path := write(t, "x", []byte("0 16\n"))
	if _, err := Load(path, Options{Threshold: ptr(math.NaN())}); err == nil || !strings.Contains(err.Error(), "--threshold NaN") {
		t.Errorf("a threshold that is no number: %v", err)
	}
	for _, x := range []float64{127, -1} {
		if _, err := Load(path, Options{Threshold: ptr(x)}); err == nil || !strings.Contains(err.Error(), "from 0 to 16") {
			t.Errorf("threshold %v: %v", x, err)
		}
	}
	if _, err := Load(write(t, "x", []byte("0 inf\n")), Options{Threshold: ptr(1)}); err == nil {
		t.Error("infinity passes a threshold")
	}
	for _, path := range []string{t.TempDir(), "none", write(t, "x.npz", []byte("01\n")) + ":x"} {
		if _, err := Load(path, Options{}); err == nil {
			t.Errorf("%s has no error", path)
		}
	}
}

func TestLongLine(t *testing.T) {
	// A line that never ends costs no more than the limit.
	r := io.MultiReader(strings.NewReader("0 1\n"), io.LimitReader(zeros{}, 1<<30))
	src, err := openFile(struct {
		io.Reader
		io.ReaderAt
	}{r, nil}, 1<<30, "x", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pack(src, Options{}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("an endless line gives %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestNew(t *testing.T) {
	s, err := New("x", []uint64{1, 1 << 5, 1<<63 | 2, 0}, 10, 7)
	if err != nil {
		t.Fatal(err)
	}
	if s.Rows() != 2 || s.Width() != 70 || s.Ups != 4 {
		t.Errorf("%v", s)
	}
	row := make([]uint64, 2)
	if err := s.Read(1, row); err != nil || row[0] != 1<<63|2 || row[1] != 0 {
		t.Errorf("row 1 is %x, %v", row, err)
	}
	for _, c := range []struct {
		words []uint64
		shape []int
	}{{nil, []int{3}}, {[]uint64{1, 2, 3}, []int{70}}, {[]uint64{8}, []int{3}}, {[]uint64{1}, []int{0}}} {
		if _, err := New("x", c.words, c.shape...); err == nil {
			t.Errorf("%x of shape %v is a set", c.words, c.shape)
		}
	}
}

func TestProbabilities(t *testing.T) {
	grays := []uint8{0, 51, 255, 102, 204, 153}
	for name, c := range map[string]struct {
		file []byte
		want []float32
	}{
		"bytes":    {npyBytes(t, "|u1", false, grays, 2, 3), []float32{0, .2, 1, .4, .8, .6}},
		"bits":     {npyBytes(t, "|u1", false, []uint8{0, 1, 1, 0, 0, 1}, 2, 3), []float32{0, 1, 1, 0, 0, 1}},
		"idx":      {gz(t, idxBytes(t, 8, grays, 2, 3)), []float32{0, .2, 1, .4, .8, .6}},
		"floats":   {[]byte("0 0.2 1\n0.4 0.8 0.6\n"), []float32{0, .2, 1, .4, .8, .6}},
		"booleans": {npyBytes(t, "|b1", true, []bool{false, true, true, false, false, true}, 2, 3), []float32{0, 1, 0, 1, 0, 1}},
	} {
		p, err := LoadProbabilities(write(t, "x", c.file), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Rows() != 2 || p.Width() != 3 || p.Stride() != 1 {
			t.Errorf("%s: %d rows of %d", name, p.Rows(), p.Width())
		}
		for i := range 2 {
			row := make([]float32, 3)
			if err := p.Row(i, row); err != nil || !slices.Equal(row, c.want[3*i:][:3]) {
				t.Errorf("%s: row %d is %v, %v; want %v", name, i, row, err, c.want[3*i:][:3])
			}
		}
	}
	for want, text := range map[string]string{"row 1, column 0 holds 1.5": "0 1\n1.5 0\n", "holds -0.1": "-0.1 0\n", "holds NaN": "nan 0\n"} {
		if _, err := LoadProbabilities(write(t, "x", []byte(text)), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestBinarize(t *testing.T) {
	p, err := LoadProbabilities(write(t, "x", []byte("0 1 0.5 0.5 0.25\n")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	draws := []uint32{0, math.MaxUint32, 1<<31 - 1, 1 << 31, 1<<30 - 1}
	dst := []uint64{math.MaxUint64}
	if err := p.Binarize(0, dst, func(u int) uint32 { return draws[u] }); err != nil || dst[0] != 0b10110 {
		t.Errorf("drawn %b, %v; want 10110", dst, err)
	}
	// The fraction of +1 is p within five standard errors.
	const n = 20000
	r := rand.New(rand.NewPCG(1, 1))
	ups := [5]int{}
	for range n {
		if err := p.Binarize(0, dst, func(int) uint32 { return r.Uint32() }); err != nil {
			t.Fatal(err)
		}
		for u := range ups {
			ups[u] += int(dst[0] >> u & 1)
		}
	}
	for u, want := range []float64{0, 1, .5, .5, .25} {
		if d := math.Abs(float64(ups[u])/n - want); d > 5*math.Sqrt(want*(1-want)/n) {
			t.Errorf("unit %d: %d of %d up, want %v", u, ups[u], n, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, file := range bad(f) {
		f.Add(file, true)
	}
	f.Add([]byte("+-\n-+\n"), false)
	f.Add(idxBytes(f, 8, make([]uint8, 6), 2, 3), true)
	f.Add(npyBytes(f, "<f4", true, make([]float32, 6), 2, 3), false)
	f.Fuzz(func(t *testing.T, file []byte, threshold bool) {
		src, err := openFile(bytes.NewReader(file), int64(len(file)), "x", "")
		var s *Set
		if err == nil {
			o := Options{MemoryLimit: 1 << 20}
			if threshold {
				o.Threshold = ptr(0.5)
			}
			s, err = pack(src, o)
			src.close()
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		defer s.Close()
		// What is read is whole, and the count of +1 is that of the bits.
		ups := int64(0)
		v := make([]int8, s.Width())
		for i := range s.Rows() {
			if err := s.Spins(i, v); err != nil {
				t.Fatal(err)
			}
			for _, x := range v {
				ups += int64(x+1) / 2
			}
		}
		if ups != s.Ups || s.Rows() < 1 || s.Width() < 1 {
			t.Errorf("%v: %d +1, counted as %d", s, ups, s.Ups)
		}
	})
}
