// Package safetensors reads and writes the safetensors format: eight bytes
// with the length of a JSON header, the header, and the tensors' bytes.
//
// A file from outside is hostile until parsed. Its header may not overlap
// tensors, leave holes between them, name one twice or claim a shape that its
// bytes do not have, and nothing is allocated that the file does not pay for
// with bytes of its own. Every error is one line that names the file.
//
// Format: https://github.com/huggingface/safetensors, README "Format".
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MaxHeader is the longest header that is read, in bytes: the limit of the
// format's own implementation.
const MaxHeader = 100_000_000

// metadataKey is the header's one entry that is no tensor.
const metadataKey = "__metadata__"

// chunk is the bytes converted at a time. It is a multiple of every element's
// size.
const chunk = 1 << 16

// Tensor describes a tensor of a file.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // empty for a single value

	begin, end int64 // within the data part
}

// Len returns the number of elements.
func (t Tensor) Len() int { return int(t.Bytes() / int64(t.DType.Size())) }

// Bytes returns the number of bytes in the file.
func (t Tensor) Bytes() int64 { return t.end - t.begin }

// File is an open safetensors file. Only its header is in memory; tensors are
// read one at a time, straight into the caller's slice.
type File struct {
	name     string
	r        io.ReaderAt
	data     int64 // where the data part begins
	metadata map[string]string
	tensors  []Tensor
	close    func() error
}

// Open opens the file at path and checks its header.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	var st *File
	if err == nil {
		st, err = New(f, info.Size(), path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	st.close = f.Close
	return st, nil
}

// New reads the header of the size bytes of r. Errors name name. r must stay
// readable as long as tensors are read.
func New(r io.ReaderAt, size int64, name string) (*File, error) {
	f := &File{name: name, r: r, metadata: map[string]string{}, close: func() error { return nil }}
	if err := f.readHeader(size); err != nil {
		return nil, fmt.Errorf("%s: not a safetensors file: %w", name, err)
	}
	return f, nil
}

// Close closes what Open opened.
func (f *File) Close() error { return f.close() }

// Name returns the name that errors give the file.
func (f *File) Name() string { return f.name }

// Metadata returns the strings of the header's __metadata__, never nil.
func (f *File) Metadata() map[string]string { return f.metadata }

// Tensors lists the tensors by name.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

// Lookup returns the tensor of that name.
func (f *File) Lookup(name string) (Tensor, bool) {
	i, ok := slices.BinarySearchFunc(f.tensors, name, func(t Tensor, s string) int { return cmp.Compare(t.Name, s) })
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Reader returns the bytes of tensor t of this file, little-endian and
// row-major.
func (f *File) Reader(t Tensor) io.Reader {
	return io.NewSectionReader(f.r, f.data+t.begin, t.Bytes())
}

// Read fills dst with the elements of tensor t of file f, row-major. T must be
// the tensor's element type and dst as long as the tensor. Beyond dst it needs
// one small buffer.
func Read[T Element](f *File, t Tensor, dst []T) error {
	if want := TypeOf[T](); t.DType != want {
		return fmt.Errorf("%s: tensor %s has type %s, want %s", f.name, quote(t.Name), t.DType, want)
	}
	if len(dst) != t.Len() {
		return fmt.Errorf("%s: tensor %s has %d elements, want %d", f.name, quote(t.Name), t.Len(), len(dst))
	}
	size := t.DType.Size()
	buf := make([]byte, min(chunk, len(dst)*size))
	r := f.Reader(t)
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/size)
		if _, err := io.ReadFull(r, buf[:n*size]); err != nil {
			return fmt.Errorf("%s: tensor %s: %w", f.name, quote(t.Name), err)
		}
		if err := decode(dst[:n], buf[:n*size]); err != nil {
			return fmt.Errorf("%s: tensor %s: %w", f.name, quote(t.Name), err)
		}
		dst = dst[n:]
	}
	return nil
}

func (f *File) readHeader(size int64) error {
	if size < 8 {
		return fmt.Errorf("%d bytes, too short for the length of a header", size)
	}
	var prefix [8]byte
	if err := readAt(f.r, prefix[:], 0); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > MaxHeader {
		return fmt.Errorf("header of %d bytes, more than the %d that the format allows", n, MaxHeader)
	}
	if int64(n) > size-8 {
		return fmt.Errorf("header of %d bytes, but only %d follow", n, size-8)
	}
	header := make([]byte, n)
	if err := readAt(f.r, header, 8); err != nil {
		return err
	}
	f.data = 8 + int64(n)
	if err := f.parse(header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	return f.layOut(size - f.data)
}

func readAt(r io.ReaderAt, p []byte, off int64) error {
	if n, err := r.ReadAt(p, off); n < len(p) {
		return err
	}
	return nil
}

// layOut checks that the tensors fill the data part, each byte once.
func (f *File) layOut(size int64) error {
	slices.SortFunc(f.tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var at int64
	for _, t := range f.tensors {
		switch {
		case t.begin < at:
			return fmt.Errorf("tensor %s begins at byte %d, inside the one before it, which ends at %d", quote(t.Name), t.begin, at)
		case t.begin > at:
			return fmt.Errorf("tensor %s begins at byte %d, %d bytes after the one before it", quote(t.Name), t.begin, t.begin-at)
		}
		at = t.end
	}
	if at != size {
		return fmt.Errorf("tensors take %d bytes, but %d follow the header", at, size)
	}
	slices.SortFunc(f.tensors, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// header reads the JSON text a token at a time: encoding/json into a map would
// let a second tensor of the same name silently replace the first.
type header struct{ dec *json.Decoder }

func (f *File) parse(text []byte) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("not UTF-8")
	}
	h := header{json.NewDecoder(bytes.NewReader(text))}
	h.dec.UseNumber()
	seen := map[string]bool{}
	err := h.object(func(key string) error {
		if seen[key] {
			return fmt.Errorf("%s is there twice", quote(key))
		}
		seen[key] = true
		if key == metadataKey {
			return h.metadata(f.metadata)
		}
		t, err := h.tensor()
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(key), err)
		}
		t.Name = key
		f.tensors = append(f.tensors, t)
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := h.dec.Token(); err != io.EOF {
		return fmt.Errorf("text after the end of the JSON object")
	}
	return nil
}

func (h header) token() (json.Token, error) {
	t, err := h.dec.Token()
	if err == io.EOF {
		return nil, fmt.Errorf("JSON ends too early")
	}
	return t, err
}

func (h header) delim(want json.Delim) error {
	t, err := h.token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%s, want %q", describe(t), want.String())
	}
	return nil
}

// object calls each for every key, which must consume the key's value.
func (h header) object(each func(key string) error) error {
	if err := h.delim('{'); err != nil {
		return err
	}
	for h.dec.More() {
		t, err := h.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%s, want a name", describe(t))
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return h.delim('}')
}

func (h header) text() (string, error) {
	t, err := h.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%s, want a string", describe(t))
	}
	return s, nil
}

// counts reads a list of integers ≥ 0.
func (h header) counts() ([]int64, error) {
	if err := h.delim('['); err != nil {
		return nil, err
	}
	list := []int64{}
	for h.dec.More() {
		t, err := h.token()
		if err != nil {
			return nil, err
		}
		num, ok := t.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s, want an integer", describe(t))
		}
		x, err := strconv.ParseInt(num.String(), 10, 64)
		if err != nil || x < 0 {
			return nil, fmt.Errorf("%s, want an integer of at least 0", quote(num.String()))
		}
		list = append(list, x)
	}
	return list, h.delim(']')
}

func (h header) metadata(into map[string]string) error {
	err := h.object(func(key string) error {
		if _, ok := into[key]; ok {
			return fmt.Errorf("%s is there twice", quote(key))
		}
		s, err := h.text()
		if err != nil {
			return fmt.Errorf("%s: %w", quote(key), err)
		}
		into[key] = s
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", metadataKey, err)
	}
	return nil
}

func (h header) tensor() (Tensor, error) {
	var t Tensor
	var shape, offsets []int64
	var haveType, haveShape, haveOffsets bool
	err := h.object(func(key string) (err error) {
		have := map[string]*bool{"dtype": &haveType, "shape": &haveShape, "data_offsets": &haveOffsets}[key]
		if have == nil {
			return fmt.Errorf("unknown key %s, want dtype, shape, data_offsets", quote(key))
		}
		if *have {
			return fmt.Errorf("%s is there twice", key)
		}
		*have = true
		switch key {
		case "dtype":
			var s string
			s, err = h.text()
			t.DType = DType(s)
		case "shape":
			shape, err = h.counts()
		case "data_offsets":
			offsets, err = h.counts()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	switch {
	case err != nil:
		return t, err
	case !haveType || !haveShape || !haveOffsets:
		return t, fmt.Errorf("want dtype, shape and data_offsets")
	case t.DType.Size() == 0:
		return t, fmt.Errorf("unknown dtype %s", quote(string(t.DType)))
	case len(offsets) != 2 || offsets[0] > offsets[1]:
		return t, fmt.Errorf("data_offsets %v, want a begin and an end", brief(offsets))
	}
	t.begin, t.end = offsets[0], offsets[1]
	n, ok := product(shape, int64(t.DType.Size()))
	if !ok || n != t.end-t.begin {
		return t, fmt.Errorf("shape %v of %s does not fit its %d bytes", brief(shape), t.DType, t.end-t.begin)
	}
	t.Shape = make([]int, len(shape))
	for i, d := range shape {
		// With another length 0 the product does not bound this one.
		if t.Shape[i] = int(d); int64(t.Shape[i]) != d {
			return t, fmt.Errorf("shape %v is too large", brief(shape))
		}
	}
	return t, nil
}

// product returns size·Π shape, and whether it fits; a length 0 makes it 0
// whatever the others are.
func product(shape []int64, size int64) (int64, bool) {
	if slices.Contains(shape, 0) {
		return 0, true
	}
	n := uint64(size)
	for _, d := range shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > 1<<62 {
			return 0, false
		}
		n = lo
	}
	return int64(n), true
}

func describe(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		return strconv.Quote(t.String())
	case string:
		return "string " + quote(t)
	case json.Number:
		return "number " + quote(t.String())
	case nil:
		return "null"
	default:
		return fmt.Sprint(t)
	}
}

// quote makes a name from a file safe for one line of an error.
func quote(s string) string {
	const limit = 80
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "…"
	}
	return strconv.Quote(s)
}

// brief shortens a list from a file for one line of an error.
func brief(list []int64) string {
	const limit = 8
	if len(list) > limit {
		return fmt.Sprintf("%v… (%d numbers)", list[:limit], len(list))
	}
	return fmt.Sprint(list)
}
