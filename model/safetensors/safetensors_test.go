package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func open(t testing.TB, b []byte) (*File, error) {
	t.Helper()
	return New(bytes.NewReader(b), int64(len(b)), "x.safetensors")
}

// wantTensor reads a tensor whole and compares it.
func wantTensor[T Element](t *testing.T, f *File, name string, want []T, shape ...int) {
	t.Helper()
	tensor, ok := f.Lookup(name)
	if !ok {
		t.Errorf("no tensor %s", name)
		return
	}
	if !slices.Equal(tensor.Shape, shape) || tensor.Len() != len(want) {
		t.Errorf("%s has shape %v, %d elements; want %v, %d", name, tensor.Shape, tensor.Len(), shape, len(want))
		return
	}
	got := make([]T, len(want))
	if err := Read(f, tensor, got); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s = %v, %v; want %v", name, got, err, want)
	}
}

func TestReferenceFile(t *testing.T) {
	f, err := Open("testdata/reference.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m := f.Metadata(); len(m) != 2 || m["units"] != "spin" || m["name"] != "σ\n\"quoted\"" {
		t.Errorf("metadata is %q", m)
	}
	if n := len(f.Tensors()); n != 13 {
		t.Errorf("%d tensors, want 13", n)
	}
	wantTensor(t, f, "f32", []float32{0, .25, .5, .75, 1, 1.25}, 2, 3)
	wantTensor(t, f, "f64", []float64{1. / 3, math.Inf(-1)}, 2)
	wantTensor(t, f, "i32", []int32{-5, 7, 11}, 3)
	wantTensor(t, f, "i64", []int64{-1 << 62}, 1)
	wantTensor(t, f, "u64", []uint64{math.MaxUint64}, 1, 1)
	wantTensor(t, f, "u8", []uint8{0, 255, 3}, 3)
	wantTensor(t, f, "i8", []int8{-128, 127}, 2)
	wantTensor(t, f, "u16", []uint16{65535}, 1)
	wantTensor(t, f, "i16", []int16{-32768}, 1)
	wantTensor(t, f, "u32", []uint32{math.MaxUint32}, 1)
	wantTensor(t, f, "bool", []bool{true, false, true}, 3)
	wantTensor(t, f, "scalar", []float32{2.5})
	wantTensor(t, f, "empty", []float32{}, 0, 4)
}

func TestRoundTrip(t *testing.T) {
	// Longer than one chunk, and no multiple of it.
	long := make([]float32, chunk/4+13)
	for i := range long {
		long[i] = float32(i) * .37
	}
	bits := make([]bool, 2*chunk+1)
	for i := range bits {
		bits[i] = i%3 == 0
	}
	meta := map[string]string{"units": "spin", "format": "1", "a<b": "\u2028"}
	data := []Data{Of("W", long, 1, len(long)), Of("flags", bits, len(bits)), Of("n", []uint64{7}), Of("d", []float64{math.Pi}, 1)}

	var one, two bytes.Buffer
	if err := Write(&one, meta, data...); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(data)
	if err := Write(&two, meta, data...); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the bytes depend on the order of the tensors")
	}
	f, err := open(t, one.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range f.Tensors() {
		if (f.data+x.begin)%int64(x.DType.Size()) != 0 || f.data%8 != 0 {
			t.Errorf("%s lies at byte %d + %d, not aligned to its elements", x.Name, f.data, x.begin)
		}
	}
	if fmt.Sprint(f.Metadata()) != fmt.Sprint(meta) {
		t.Errorf("metadata is %q", f.Metadata())
	}
	wantTensor(t, f, "W", long, 1, len(long))
	wantTensor(t, f, "flags", bits, len(bits))
	wantTensor(t, f, "n", []uint64{7})
	wantTensor(t, f, "d", []float64{math.Pi}, 1)
}

func TestEmptyFile(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, nil); err != nil {
		t.Fatal(err)
	}
	f, err := open(t, b.Bytes())
	if err != nil || len(f.Tensors()) != 0 || len(f.Metadata()) != 0 {
		t.Errorf("a file of nothing gives %v, %v", f, err)
	}
}

func TestReadWants(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, nil, Of("x", []float32{1, 2}, 2)); err != nil {
		t.Fatal(err)
	}
	f, err := open(t, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	x, _ := f.Lookup("x")
	if err := Read(f, x, make([]float64, 2)); err == nil || !strings.Contains(err.Error(), "F32") {
		t.Errorf("the wrong type gives %v", err)
	}
	if err := Read(f, x, make([]float32, 3)); err == nil {
		t.Error("the wrong length gives no error")
	}
	if _, ok := f.Lookup("y"); ok {
		t.Error("Lookup finds what is not there")
	}
}

func TestBooleanBytes(t *testing.T) {
	f, err := open(t, append(raw(`{"x":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}`, 0), 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	x, _ := f.Lookup("x")
	if err := Read(f, x, make([]bool, 2)); err == nil {
		t.Error("a boolean of 2 is read")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, data := range map[string][]Data{
		"twice":    {Of("x", []int8{1}), Of("x", []int8{2})},
		"shape":    {Of("x", []int8{1, 2}, 3)},
		"reserved": {Of(metadataKey, []int8{1})},
	} {
		if err := Write(io.Discard, nil, data...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	if err := WriteFile(path, nil, Of("x", []int8{1, 2}, 3)); err == nil {
		t.Error("WriteFile has no error")
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("a refused file leaves %v", list)
	}
}

// raw is a file with that header and n bytes of data.
func raw(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

// hostile are files that must be refused, with a part of the reason.
var hostile = []struct {
	name string
	file []byte
	want string
}{
	{"empty", nil, "too short"},
	{"truncated length", []byte{5}, "too short"},
	{"huge header", append(binary.LittleEndian.AppendUint64(nil, 1<<60), '{', '}'), "more than"},
	{"header past the end", append(binary.LittleEndian.AppendUint64(nil, 50), '{', '}'), "only 2 follow"},
	{"no header", raw("", 0), "ends too early"},
	{"not JSON", raw("{{{{", 0), "header"},
	{"a list", raw("[]", 0), `want "{"`},
	{"a list\nof lines", raw("[\n\n", 0), `want "{"`},
	{"unfinished", raw(`{"a":`, 0), "header"},
	{"text after", raw(`{} {}`, 0), "after the end"},
	{"not UTF-8", raw("{\"\xff\":1}", 0), "UTF-8"},
	{"tensor is a number", raw(`{"W":7}`, 0), `number "7"`},
	{"tensor is null", raw(`{"W":null}`, 0), "null"},
	{"lying shape", raw(`{"W":{"dtype":"F32","shape":[99999,99999],"data_offsets":[0,8]}}`, 8), "does not fit"},
	{"overflowing shape", raw(`{"W":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}`, 0), "does not fit"},
	{"overflowing to the right size", raw(`{"W":{"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]}}`, 8), "does not fit"},
	{"negative shape", raw(`{"W":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}`, 8), "at least 0"},
	{"fraction", raw(`{"W":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8), `"2.0"`},
	{"too long a number", raw(`{"W":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, 8), "want an integer"},
	{"shape of strings", raw(`{"W":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}`, 8), "want an integer"},
	{"unknown dtype", raw(`{"W":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}`, 8), `unknown dtype "F99"`},
	{"no dtype", raw(`{"W":{"shape":[2],"data_offsets":[0,8]}}`, 8), "want dtype"},
	{"unknown key", raw(`{"W":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1]}}`, 8), `"strides"`},
	{"key twice", raw(`{"W":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}`, 8), "twice"},
	{"offsets backwards", raw(`{"W":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8), "begin and an end"},
	{"one offset", raw(`{"W":{"dtype":"F32","shape":[2],"data_offsets":[8]}}`, 8), "begin and an end"},
	{"past the end", raw(`{"W":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 4), "4 follow"},
	{"bytes left over", raw(`{"W":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 9), "9 follow"},
	{"hole", raw(`{"W":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}`, 4), "1 bytes after"},
	{"overlap", raw(`{"W":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "inside"},
	{"tensor twice", raw(`{"W":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"W":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "twice"},
	{"escaped twice", raw(`{"W":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0057":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "twice"},
	{"metadata twice", raw(`{"__metadata__":{"a":"1","a":"2"}}`, 0), "twice"},
	{"metadata of numbers", raw(`{"__metadata__":{"a":1}}`, 0), "want a string"},
	{"long name", raw(`{"`+strings.Repeat("x", 1<<16)+`":1}`, 0), "…"},
	{"long shape", raw(`{"W":{"dtype":"F32","shape":[1`+strings.Repeat(",1", 1<<16)+`],"data_offsets":[0,8]}}`, 8), "numbers"},
}

func TestHostileFiles(t *testing.T) {
	for _, c := range hostile {
		_, err := open(t, c.file)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		s := err.Error()
		if !strings.HasPrefix(s, "x.safetensors: ") || !strings.Contains(s, c.want) || strings.ContainsAny(s, "\n\r") || len(s) > 400 {
			t.Errorf("%s: %q, want one short line with the file and %q", c.name, s, c.want)
		}
	}
}

func TestOpenRefusesFolders(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open(folder) = %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); err == nil {
		t.Error("Open of nothing has no error")
	}
}

// A header that claims much costs nothing: the claim is held against the size
// of the file before anything is allocated for it.
func TestBoundedAllocation(t *testing.T) {
	file := append(binary.LittleEndian.AppendUint64(nil, MaxHeader), '{', '}')
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := open(t, file); err == nil {
		t.Fatal("no error")
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated > 1<<16 {
		t.Errorf("a file of %d bytes made the reader allocate %d", len(file), allocated)
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range hostile {
		f.Add(c.file)
	}
	reference, err := os.ReadFile("testdata/reference.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reference)
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := open(t, b)
		if err != nil {
			if s := err.Error(); strings.ContainsAny(s, "\n\r") {
				t.Errorf("more than one line: %q", s)
			}
			return
		}
		// What is accepted accounts for every byte after the header.
		var sum int64
		for _, x := range st.Tensors() {
			got, err := io.ReadAll(st.Reader(x))
			if err != nil || int64(len(got)) != x.Bytes() {
				t.Errorf("tensor %q has %d bytes, %v; want %d", x.Name, len(got), err, x.Bytes())
			}
			sum += x.Bytes()
		}
		if st.data+sum != int64(len(b)) {
			t.Errorf("tensors and header take %d of %d bytes", st.data+sum, len(b))
		}
	})
}
