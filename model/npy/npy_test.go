package npy

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio"
	"codeberg.org/sbinet/npyio/npz"
)

func archive(t testing.TB, path string) *Archive {
	t.Helper()
	a, err := OpenArchive(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func TestNumpyArrays(t *testing.T) {
	a := archive(t, "testdata/numbers.npz")
	eighths := func(i int) float64 { return float64(i)/8 - 1 }
	for name, want := range map[string]func(i int) float64{
		"bool": func(i int) float64 {
			if i%3 == 0 {
				return 1
			}
			return 0
		},
		"uint8":   func(i int) float64 { return float64(i * 11) },
		"int8":    func(i int) float64 { return float64(i - 12) },
		"uint16":  func(i int) float64 { return float64(i * 2731) },
		"int16":   func(i int) float64 { return float64(i*2731 - 32768) },
		"uint32":  func(i int) float64 { return float64(i) * 186737708 },
		"int32":   func(i int) float64 { return float64(i)*178956970 - 1<<31 },
		"uint64":  func(i int) float64 { return float64(i) * (1 << 48) },
		"int64":   func(i int) float64 { return float64(i-12) * (1 << 48) },
		"float16": eighths, "float32": eighths, "float64": eighths, "big": eighths, "fortran": eighths,
	} {
		r, err := a.Open(name)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := r.All()
		if err != nil || !slices.Equal(r.Shape, []int{2, 3, 4}) || len(got) != 24 {
			t.Errorf("%s: shape %v, %d numbers, %v", name, r.Shape, len(got), err)
			continue
		}
		for i, x := range got {
			if x != want(i) {
				t.Errorf("%s[%d] = %v, want %v", name, i, x, want(i))
			}
		}
		if typ := r.DType.String(); typ != name && name != "big" && name != "fortran" {
			t.Errorf("%s is named %s", name, typ)
		}
	}
	for name, want := range map[string][]float64{
		"flat": {3, 1}, "scalar": {2.5}, "empty": nil,
		// The smallest subnormal, one near the smallest normal, that, and the ends.
		"halves": {0, math.Ldexp(1, -24), -math.Ldexp(1007, -24), math.Ldexp(1023, -24), 65504, math.Inf(1), math.Inf(-1)},
	} {
		r, err := a.Open(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := r.All(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s = %v, %v; want %v", name, got, err, want)
		}
	}
	for name, want := range map[string]string{"units": "spin", "bytes": "binary"} {
		r, err := a.Open(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := r.Read(make([]float64, 1)); err == nil {
			t.Errorf("%s is read as numbers", name)
		}
		if got, err := r.Text(); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	if r, err := a.Open("flat"); err != nil {
		t.Error(err)
	} else if _, err := r.Text(); err == nil {
		t.Error("numbers are read as text")
	}
}

func TestObjectsAreRefused(t *testing.T) {
	a := archive(t, "testdata/objects.npz")
	if _, err := a.Open("W"); err == nil || !strings.Contains(err.Error(), "objects.npz:W: header: pickled") {
		t.Errorf("objects give %v", err)
	}
	if _, err := a.Open("pair"); err == nil || !strings.Contains(err.Error(), "several fields") {
		t.Errorf("records give %v", err)
	}
	if _, err := a.Open("none"); err == nil {
		t.Error("an array that is not there is opened")
	}
}

// What we write, another reader reads, and the other way round.
func TestAgainstNpyio(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.npy")
	spins := make([]int8, 7*5*3)
	for i := range spins {
		spins[i] = int8(2*(i*i%3%2) - 1)
	}
	w, err := Create[int8](path, 7, 5, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(spins); i += 15 {
		if err := w.Write(spins[i : i+15]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	their, err := npyio.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var got []int8
	if err := their.Read(&got); err != nil || !slices.Equal(got, spins) || !slices.Equal(their.Header.Descr.Shape, []int{7, 5, 3}) {
		t.Errorf("npyio reads shape %v, %v", their.Header.Descr.Shape, err)
	}
	if start, _ := os.ReadFile(path); (len(start)-len(spins))%64 != 0 {
		t.Errorf("the elements begin at byte %d, want a multiple of 64", len(start)-len(spins))
	}

	floats := []float32{1, -2.5, 1e-30}
	var b bytes.Buffer
	z := npz.NewWriter(&b)
	if err := z.Write("x", floats); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := NewArchive(bytes.NewReader(b.Bytes()), int64(b.Len()), "x.npz")
	if err != nil {
		t.Fatal(err)
	}
	// npyio puts no .npy behind names it is given without.
	if len(a.Names()) != 0 {
		t.Errorf("arrays %q in an archive of files that are no .npy", a.Names())
	}
	b.Reset()
	if err := npyio.Write(&b, floats); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&b, int64(b.Len()), "x.npy")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := r.All(); err != nil || !slices.Equal(all, []float64{1, -2.5, float64(floats[2])}) {
		t.Errorf("npyio's array is %v, %v", all, err)
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	// More than one chunk, and no multiple of it.
	list := make([]float64, chunk/8+7)
	for i := range list {
		list[i] = math.Sqrt(float64(i))
	}
	if err := WriteFile(path, list, len(list)); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := r.All(); err != nil || !slices.Equal(got, list) {
		t.Errorf("the array comes back changed, %v", err)
	}
	if n, err := r.Read(make([]float64, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

func TestWriterCounts(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.npy")
	w, err := Create[int8](path, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(make([]int8, 7)); err == nil {
		t.Error("7 elements fit into [2 3]")
	}
	if err := w.Write(make([]int8, 5)); err != nil {
		t.Error(err)
	}
	if err := w.Commit(); err == nil {
		t.Error("an array of [2 3] is whole with 5 elements")
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("a file that failed leaves %v", list)
	}
	for _, shape := range [][]int{{-1}, {math.MaxInt, math.MaxInt}} {
		if _, err := Create[int8](path, shape...); err == nil {
			t.Errorf("shape %v has no error", shape)
		}
	}
}

func TestRowMajor(t *testing.T) {
	shape := []int{2, 3, 5}
	stride := Strides(shape)
	list := make([]int, 30)
	want := make([]int, 30)
	n := 0
	for i := range 2 {
		for j := range 3 {
			for k := range 5 {
				list[i*stride[0]+j*stride[1]+k*stride[2]] = n
				want[n] = n
				n++
			}
		}
	}
	if got := RowMajor(list, shape); !slices.Equal(got, want) {
		t.Errorf("RowMajor = %v", got)
	}
}

// raw is a .npy file of version 1 with that header and n bytes after it.
func raw(header string, n int) []byte {
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

var hostile = []struct {
	name string
	file []byte
	want string
}{
	{"empty", nil, "begin with"},
	{"text", []byte("1 0 1 0 1\n"), "begin with"},
	{"version 9", []byte(magic + "\x09\x00\x00\x00"), "version 9"},
	{"no length", []byte(magic + "\x01\x00\x05"), "cut short"},
	{"cut header", []byte(magic + "\x01\x00\x05\x00{"), "cut short"},
	{"huge header", []byte(magic + "\x02\x00\xff\xff\xff\xff{"), "at most"},
	{"empty header", raw("", 0), "dictionary"},
	{"newline only", raw("\n", 0), "dictionary"},
	{"brace", raw("{", 0), "string"},
	{"empty dictionary", raw("{}\n", 0), "want descr"},
	{"no shape", raw("{'descr': '<f4', 'fortran_order': False, }\n", 0), "want descr"},
	{"open tuple", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (3", 12), "comma"},
	{"open string", raw("{'descr': '<f4", 12), "plain string"},
	{"twice", raw("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n", 12), "twice"},
	{"other key", raw("{'descr': '<f4', 'fortran_order': False, 'strides': (3,), }\n", 12), "unknown key"},
	{"negative", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }\n", 12), "length"},
	{"order", raw("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (3,), }\n", 12), "True or False"},
	{"no comma", raw("{'descr': '<f4' 'fortran_order': False, 'shape': (3,), }\n", 12), "comma"},
	{"code after", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }+exit()\n", 12), "after the dictionary"},
	{"objects", raw("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }\n", 24), "pickled"},
	{"records", raw("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }\n", 12), "fields"},
	{"complex", raw("{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }\n", 24), `"<c8"`},
	{"no type", raw("{'descr': '', 'fortran_order': False, 'shape': (3,), }\n", 24), "number type"},
	{"only an order", raw("{'descr': '<', 'fortran_order': False, 'shape': (3,), }\n", 24), "number type"},
	{"float24", raw("{'descr': '<f3', 'fortran_order': False, 'shape': (3,), }\n", 9), `"<f3"`},
	{"huge text", raw("{'descr': '<U999999999999', 'fortran_order': False, 'shape': (), }\n", 9), "want bool"},
	{"too large", raw("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }\n", 0), "too large"},
	{"overflow to the right size", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387907,), }\n", 12), "too large"},
	{"long number", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }\n", 12), "length"},
	{"lying", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (9999, 9999), }\n", 12), "12 follow"},
	{"bytes left over", raw("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", 13), "13 follow"},
	{"many axes", raw("{'descr': '<f4', 'fortran_order': False, 'shape': ("+strings.Repeat("1, ", 9000)+"), }\n", 12), "lengths"},
}

func TestHostileFiles(t *testing.T) {
	for _, c := range hostile {
		_, err := NewReader(bytes.NewReader(c.file), int64(len(c.file)), "x.npy")
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		s := err.Error()
		if !strings.HasPrefix(s, "x.npy: ") || !strings.Contains(s, c.want) || strings.ContainsAny(s, "\n\r") || len(s) > 300 {
			t.Errorf("%s: %q, want one short line with the file and %q", c.name, s, c.want)
		}
	}
}

func TestHeadersThatOthersWrite(t *testing.T) {
	for _, h := range []string{
		"{'shape': (3L,), 'fortran_order': False, 'descr': '<f4'}\n",
		"{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(3)}",
		"{'descr': '<f4', 'fortran_order': True, 'shape': ( 1 , 3 , ) , }   \n",
	} {
		file := raw(h, 12)
		r, err := NewReader(bytes.NewReader(file), int64(len(file)), "x.npy")
		if err != nil || r.Len() != 3 {
			t.Errorf("%q: %v", h, err)
		}
	}
}

func TestUnknownSize(t *testing.T) {
	head := "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n"
	for n, want := range map[int]string{11: "cut short", 12: "", 13: "follow"} {
		r, err := NewReader(bytes.NewReader(raw(head, n)), -1, "x.npy")
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.All()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes for 12: %v, want %q", n, err, want)
		}
	}
}

func TestLyingArchives(t *testing.T) {
	good, err := os.ReadFile("testdata/objects.npz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewArchive(bytes.NewReader(good[:len(good)/2]), int64(len(good)/2), "x.npz"); err == nil {
		t.Error("half an archive is opened")
	}
	// The directory at the end says how much an entry unpacks to.
	numbers, err := os.ReadFile("testdata/numbers.npz")
	if err != nil {
		t.Fatal(err)
	}
	entry := bytes.LastIndex(numbers, []byte("float64.npy")) - 46
	binary.LittleEndian.PutUint32(numbers[entry+24:], 1<<31)
	a, err := NewArchive(bytes.NewReader(numbers), int64(len(numbers)), "x.npz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Open("float64"); err == nil || !strings.Contains(err.Error(), "unpack") {
		t.Errorf("a small file that claims 2 GiB gives %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range hostile {
		f.Add(c.file)
	}
	for _, path := range []string{"testdata/numbers.npz", "testdata/objects.npz"} {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	oneLine := func(t *testing.T, err error) {
		if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("more than one line: %q", err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := NewReader(bytes.NewReader(b), int64(len(b)), "x"); err != nil {
			oneLine(t, err)
		} else if r.DType.Number() {
			list, err := r.All()
			if err != nil || len(list) != r.Len() || len(list) > len(b) {
				t.Errorf("%d numbers of %d from %d bytes, %v", len(list), r.Len(), len(b), err)
			}
		} else {
			_, err := r.Text()
			oneLine(t, err)
		}
		a, err := NewArchive(bytes.NewReader(b), int64(len(b)), "x")
		oneLine(t, err)
		if err != nil {
			return
		}
		for _, name := range a.Names() {
			r, err := a.Open(name)
			oneLine(t, err)
			if err == nil && r.DType.Number() {
				_, err = r.All()
				oneLine(t, err)
			}
		}
	})
}
