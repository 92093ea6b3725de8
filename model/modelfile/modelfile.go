// Package modelfile loads and saves models.
//
// A model file is a safetensors file. A restricted Boltzmann machine is W
// [visible, hidden], b [visible] and c [hidden]; a Boltzmann machine or
// Hopfield net is J [n, n], or row, col and value, with h [n] and the indices
// visible. All are float32 but the indices. The metadata has units, spin for
// ±1 or binary for {0,1}, and format, 1. A .npz archive with the same names, or
// with those of scikit-learn's BernoulliRBM, is read too.
//
// The bytes of a file depend on the model alone, and a file is there whole or
// not at all.
package modelfile

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"kadanoff/model/npy"
	"kadanoff/model/safetensors"
)

// Format is the version of model files that Save writes and Load reads.
const Format = "1"

// Units are the values that a model's units take.
type Units string

// The two conventions. A model's parameters belong to one of them.
const (
	Spin   Units = "spin"   // ±1
	Binary Units = "binary" // {0,1}
)

// ParseUnits reads the value of --units or of a file.
func ParseUnits(s string) (Units, error) {
	if u := Units(s); u == Spin || u == Binary {
		return u, nil
	}
	return "", fmt.Errorf("units %s, want spin or binary", strconv.Quote(s))
}

// Model is what a model file holds: one of RBM and Network is not nil.
type Model struct {
	RBM     *RBM
	Network *Network

	// UnitsAssumed says that the file did not name its units, so that those of
	// its kind were taken: binary for scikit-learn's names, spin for others.
	UnitsAssumed bool
}

// Units returns the units that the parameters belong to.
func (m *Model) Units() Units {
	if m.RBM != nil {
		return m.RBM.Units
	}
	return m.Network.Units
}

// Convert returns the same model with its parameters in units to.
func (m *Model) Convert(to Units) (*Model, Conversion, error) {
	var conv Conversion
	var err error
	out := &Model{}
	if m.RBM != nil {
		out.RBM, conv, err = m.RBM.Convert(to)
	} else {
		out.Network, conv, err = m.Network.Convert(to)
	}
	if err != nil {
		return nil, Conversion{}, err
	}
	return out, conv, nil
}

// Load reads the model file at path. Errors are one line that names the file,
// and the tensor and index where it is one that is wrong.
func Load(path string) (*Model, error) { return LoadContext(context.Background(), path) }

// LoadContext is Load that returns the context's error soon after ctx ends.
func LoadContext(ctx context.Context, path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	m, err := Read(reader{ctx, f}, info.Size(), path)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return m, err
}

// reader is a file that cannot be read any more when its context has ended.
type reader struct {
	ctx context.Context
	f   *os.File
}

func (r reader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.f.ReadAt(p, off)
}

// Read reads a model from the size bytes of r, for which errors say name.
func Read(r io.ReaderAt, size int64, name string) (*Model, error) {
	start := make([]byte, min(size, 6))
	if n, err := r.ReadAt(start, 0); n < len(start) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var src source
	switch {
	case string(start) == "\x93NUMPY":
		return nil, fmt.Errorf("%s: a single array; want a .safetensors or .npz file with W, b and c", name)
	case strings.HasPrefix(string(start), "PK"):
		a, err := npy.NewArchive(r, size, name)
		if err != nil {
			return nil, err
		}
		src = npzSource{a, name}
	default:
		f, err := safetensors.New(r, size, name)
		if err != nil {
			return nil, err
		}
		src = safetensorsSource{f}
	}
	m, err := read(src)
	if err != nil {
		// Errors of single arrays already name the file.
		if !strings.HasPrefix(err.Error(), name+":") {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return nil, err
	}
	return m, nil
}

func read(src source) (*Model, error) {
	format, ok, err := src.text("format")
	if err != nil {
		return nil, err
	}
	if ok && format != Format {
		return nil, fmt.Errorf("model format %s, want %s", strconv.Quote(format), Format)
	}
	m := &Model{}
	units := Spin
	sklearn := src.has("components_")
	if sklearn {
		units = Binary
	}
	named, ok, err := src.text("units")
	if err != nil {
		return nil, err
	}
	if m.UnitsAssumed = !ok; ok {
		if units, err = ParseUnits(named); err != nil {
			return nil, err
		}
	}
	isRBM, isNetwork := src.has("W"), src.has("J") || src.has("value")
	switch {
	case isRBM && (isNetwork || sklearn) || sklearn && isNetwork || src.has("J") && src.has("value"):
		return nil, fmt.Errorf("more than one model: want W, b and c, or J and h, or row, col, value and h")
	case isRBM:
		m.RBM, err = readRBM(src, units, [3]string{"W", "b", "c"}, false)
	case sklearn:
		m.RBM, err = readRBM(src, units, [3]string{"components_", "intercept_visible_", "intercept_hidden_"}, true)
	case isNetwork:
		m.Network, err = readNetwork(src, units)
	default:
		err = fmt.Errorf("no model: want W, b and c (or components_, intercept_visible_ and intercept_hidden_, or J and h, or row, col, value and h), found %s", list(src.names()))
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Save writes m to path as a safetensors file.
func Save(path string, m *Model) error {
	if ext := filepath.Ext(path); ext == ".npz" || ext == ".npy" {
		return fmt.Errorf("%s: models are written as safetensors, want another name than %s", path, ext)
	}
	tensors, err := m.tensors()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return safetensors.WriteFile(path, m.metadata(), tensors...)
}

// Write writes m to w as a safetensors file.
func Write(w io.Writer, m *Model) error {
	tensors, err := m.tensors()
	if err != nil {
		return err
	}
	return safetensors.Write(w, m.metadata(), tensors...)
}

func (m *Model) metadata() map[string]string {
	return map[string]string{"units": string(m.Units()), "format": Format}
}

// tensors checks the model: a file that Load refuses is not written.
func (m *Model) tensors() ([]safetensors.Data, error) {
	if (m.RBM == nil) == (m.Network == nil) {
		return nil, fmt.Errorf("want one model, an RBM or a network")
	}
	if _, err := ParseUnits(string(m.Units())); err != nil {
		return nil, err
	}
	if m.RBM != nil {
		return m.RBM.tensors()
	}
	return m.Network.tensors()
}

// list shortens names from a file for one line of an error.
func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for i, n := range names {
		if i == 8 {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if q := strconv.Quote(n); len(n) > 40 {
			n = strconv.Quote(n[:40]) + "…"
		} else if q != `"`+n+`"` {
			n = q
		}
		b.WriteString(n)
	}
	return b.String()
}
