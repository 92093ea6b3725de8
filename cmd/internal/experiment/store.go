package experiment

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"sync"

	"kadanoff/model/atomicfile"
)

// storeFormat is the version of what a folder holds.
const storeFormat = 1

// store is the folder of an experiment. It holds the settings and, for each
// finished step, a record of the files that the step has left; a step whose
// record and files are whole is not done again.
type store struct {
	dir      string
	settings string // digest
	mu       sync.Mutex
	print    func(format string, args ...any)
}

// log says how the experiment goes on.
func (s *store) log(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print(format, args...)
}

// header is what experiment.json holds.
type header struct {
	Experiment string          `json:"experiment"`
	Format     int             `json:"format"`
	Settings   json.RawMessage `json:"settings"`
}

// record is what steps/NAME.json holds.
type record struct {
	Settings string            `json:"settings"` // digest of experiment.json
	Files    map[string]string `json:"files"`    // SHA-256 of each
}

// openStore makes the folder of an experiment, or opens one that has the same
// settings. settings is a pointer to a struct whose fields have the names of
// flags as JSON tags.
func openStore[T any](dir, name string, settings *T, log func(string, ...any)) (*store, error) {
	own, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	h := header{name, storeFormat, own}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "experiment.json")
	found, err := os.ReadFile(path)
	switch {
	case err == nil:
		var was header
		old := new(T)
		if json.Unmarshal(found, &was) != nil || was.Experiment == "" {
			return nil, fmt.Errorf("%s: not the settings of an experiment: want another --out", path)
		}
		if was.Experiment != name || was.Format != storeFormat {
			return nil, fmt.Errorf("--out %s: holds experiment %s of format %d, want %s of format %d, or another folder", dir, was.Experiment, was.Format, name, storeFormat)
		}
		if err := json.Unmarshal(was.Settings, old); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if d := differs(settings, old); d != "" {
			return nil, fmt.Errorf("--out %s: holds an experiment with other settings: %s: want the same, or another folder", dir, d)
		}
	case errors.Is(err, fs.ErrNotExist):
		if err := write(path, append(text, '\n')); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	sum := sha256.Sum256(text)
	return &store{dir: dir, settings: hex.EncodeToString(sum[:]), print: log}, nil
}

// differs names the first field in which two settings differ, by its flag.
func differs[T any](now, was *T) string {
	x, y := reflect.ValueOf(*now), reflect.ValueOf(*was)
	for i := range x.NumField() {
		a, b := x.Field(i).Interface(), y.Field(i).Interface()
		if !reflect.DeepEqual(a, b) {
			return fmt.Sprintf("--%s is %v, was %v", x.Type().Field(i).Tag.Get("json"), a, b)
		}
	}
	return ""
}

// write puts a file in its place, and makes its folder.
func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// path returns the path of a file of the folder.
func (s *store) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// step does a step, which must leave the files named, unless it was finished
// before.
func (s *store) step(name string, files []string, do func() error) error {
	at := s.path("steps/" + name + ".json")
	if s.finished(at, files) {
		s.log("%s: finished before", name)
		return nil
	}
	if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	r := record{s.settings, map[string]string{}}
	for _, f := range files {
		sum, err := digest(s.path(f))
		if err != nil {
			return err
		}
		r.Files[f] = sum
	}
	return s.put("steps/"+name+".json", r)
}

// finished reports whether a step's record is there and its files are as it has
// left them.
func (s *store) finished(at string, files []string) bool {
	text, err := os.ReadFile(at)
	if err != nil {
		return false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Settings != s.settings || len(r.Files) != len(files) {
		return false
	}
	for _, f := range files {
		if sum, err := digest(s.path(f)); err != nil || sum != r.Files[f] {
			return false
		}
	}
	return true
}

// digest returns the SHA-256 of a file.
func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// put writes a value as JSON.
func (s *store) put(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return write(s.path(name), append(text, '\n'))
}

// get reads what put has written.
func (s *store) get(name string, v any) error {
	text, err := os.ReadFile(s.path(name))
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(name), err)
	}
	return nil
}

// seedOf derives the seed of a part of an experiment.
func seedOf(seed uint64, part string) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, part))
	return binary.LittleEndian.Uint64(sum[:])
}

// number is a float64 that is null in JSON when it is not finite.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if x := float64(n); math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON implements json.Unmarshaler: null is NaN.
func (n *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = number(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}
