package npy

import (
	"archive/zip"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Archive is an open .npz file: a zip archive of .npy files.
type Archive struct {
	name    string
	size    int64
	entries map[string]*zip.File
	names   []string
	close   func() error
}

// OpenArchive opens the .npz file at path.
func OpenArchive(path string) (*Archive, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	a, err := NewArchive(f, size, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	a.close = f.Close
	return a, nil
}

// NewArchive reads the directory of the zip archive in the size bytes of r.
// Errors name name.
func NewArchive(r io.ReaderAt, size int64, name string) (*Archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%s: not a .npz archive: %w", name, err)
	}
	a := &Archive{name: name, size: size, entries: map[string]*zip.File{}, close: func() error { return nil }}
	for _, f := range z.File {
		key, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		if a.entries[key] != nil {
			return nil, fmt.Errorf("%s: array %s is there twice", name, quote(key))
		}
		a.entries[key] = f
		a.names = append(a.names, key)
	}
	slices.Sort(a.names)
	return a, nil
}

// Close closes what OpenArchive opened.
func (a *Archive) Close() error { return a.close() }

// Names lists the arrays in order.
func (a *Archive) Names() []string { return slices.Clone(a.names) }

// Has says whether there is an array of that name.
func (a *Archive) Has(name string) bool { return a.entries[name] != nil }

// deflateRatio is the most bytes that deflate makes of one.
const deflateRatio = 1032

// Open opens an array of the archive. One that unpacks to more than deflate
// can hold is refused.
func (a *Archive) Open(name string) (*Reader, error) {
	f := a.entries[name]
	full := a.name + ":" + shorten(name)
	if f == nil {
		return nil, fmt.Errorf("%s: no such array", full)
	}
	if f.UncompressedSize64 > deflateRatio*uint64(a.size) {
		return nil, fmt.Errorf("%s: claims to unpack to %d bytes, more than the %d bytes of the file can hold", full, f.UncompressedSize64, a.size)
	}
	body, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", full, err)
	}
	r, err := NewReader(body, int64(f.UncompressedSize64), full)
	if err != nil {
		body.Close()
		return nil, err
	}
	r.close = []io.Closer{body}
	return r, nil
}

// Size returns the bytes of the archive as it is stored.
func (a *Archive) Size() int64 { return a.size }

// shorten makes the name of an array safe for one line of an error.
func shorten(name string) string {
	q := quote(name)
	if q == `"`+name+`"` {
		return name
	}
	return q
}
