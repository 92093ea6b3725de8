package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"kadanoff/model/atomicfile"
)

// Data is a tensor to be written. Of makes one.
type Data struct {
	name  string
	dtype DType
	shape []int
	len   int
	write func(w io.Writer) error
}

// Of returns the tensor name with the elements of data, row-major in shape
// (none for a single value). data is not copied and must not change before it
// is written.
func Of[T Element](name string, data []T, shape ...int) Data {
	d := Data{name: name, dtype: TypeOf[T](), shape: shape, len: len(data)}
	d.write = func(w io.Writer) error {
		per := chunk / d.dtype.Size()
		buf := make([]byte, 0, min(chunk, len(data)*d.dtype.Size()))
		for rest := data; len(rest) > 0; {
			n := min(per, len(rest))
			buf = encode(buf[:0], rest[:n])
			if _, err := w.Write(buf); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
	return d
}

// entry is a tensor of the header; its fields are in the order of the format's
// own writer.
type entry struct {
	DType   DType   `json:"dtype"`
	Shape   []int   `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// Write writes a file with metadata and tensors. The bytes depend on nothing
// but its arguments, and not on the order of the tensors: wider elements come
// first and then names in order, so that each tensor is aligned to its
// elements in a data part that begins at a multiple of eight.
func Write(w io.Writer, metadata map[string]string, tensors ...Data) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Data) int {
		return cmp.Or(cmp.Compare(b.dtype.Size(), a.dtype.Size()), cmp.Compare(a.name, b.name))
	})
	header, err := encodeHeader(metadata, tensors)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := t.write(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile writes a file at path as Write does, whole or not at all.
func WriteFile(path string, metadata map[string]string, tensors ...Data) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, metadata, tensors...) })
}

// encodeHeader returns the length and the header, padded with spaces.
func encodeHeader(metadata map[string]string, tensors []Data) ([]byte, error) {
	b := append(make([]byte, 8), '{')
	add := func(key string, value any) error {
		if len(b) > 9 {
			b = append(b, ',')
		}
		for i, v := range []any{key, value} {
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			if i == 1 {
				b = append(b, ':')
			}
			b = append(b, text...)
		}
		return nil
	}
	if len(metadata) > 0 {
		if err := add(metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{metadataKey: true}
	var at int64
	for _, t := range tensors {
		if seen[t.name] {
			return nil, fmt.Errorf("safetensors: tensor %s cannot be written twice", quote(t.name))
		}
		seen[t.name] = true
		n := 1
		for _, d := range t.shape {
			n *= d
		}
		if n != t.len {
			return nil, fmt.Errorf("safetensors: tensor %s has %d elements for shape %v", quote(t.name), t.len, t.shape)
		}
		end := at + int64(n)*int64(t.dtype.Size())
		// A nil shape would become null.
		if err := add(t.name, entry{t.dtype, append([]int{}, t.shape...), []int64{at, end}}); err != nil {
			return nil, err
		}
		at = end
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b, nil
}
