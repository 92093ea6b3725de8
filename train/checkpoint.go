package train

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kadanoff/backend"
	"kadanoff/model/safetensors"
	"kadanoff/spin"
)

// checkpointFormat is the version of checkpoints that are written and read.
const checkpointFormat = "1"

// checkpoint is what a checkpoint file holds.
type checkpoint struct {
	path  string
	meta  meta
	state backend.TrainerState
	best  best
}

// meta is the part of a checkpoint that is not tensors.
type meta struct {
	Config Config `json:"config"`
	Data   string `json:"data"` // digest
	// Validation is the digest of the held-out data, or noneHeld; "" in
	// checkpoints that do not say.
	Validation string  `json:"validation,omitempty"`
	Visible    int     `json:"visible"`
	Rows       int     `json:"rows,omitempty"` // of the data, with couplings inside layers
	Step       uint64  `json:"step"`
	Seconds    float64 `json:"seconds"`
	// Best is the epoch that early stopping returns to, 0 for none.
	Best      int     `json:"best"`
	BestScore float64 `json:"best_score"`
}

// noneHeld stands for the digest of held-out data where there are none.
const noneHeld = "none"

// checkpointPath returns the file of a checkpoint after a number of steps.
func checkpointPath(dir string, step uint64) string {
	return filepath.Join(dir, fmt.Sprintf("checkpoint-%012d.safetensors", step))
}

// checkpoints lists the checkpoints in dir, the latest first.
func checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "checkpoint-") && strings.HasSuffix(e.Name(), ".safetensors") {
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(b, a) })
	return list, nil
}

// LastCheckpoint returns the path of the latest checkpoint in a folder, or ""
// where there is none.
func LastCheckpoint(dir string) string {
	list, err := checkpoints(dir)
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[0]
}

// newerError reports a checkpoint of a version that this program cannot read.
type newerError struct{ path, format string }

func (e *newerError) Error() string {
	return fmt.Sprintf("%s: checkpoint of format %q, want %s: it was written by another version of the program", e.path, e.format, checkpointFormat)
}

// prepare makes the folder of a run, refuses one that holds a run unless that
// is to be resumed, and returns the latest checkpoint that is whole, or nil. A
// broken one is logged and the one before it used.
func prepare(dir string, resume bool, log func(string, ...any)) (*checkpoint, error) {
	if dir == "" {
		return nil, errors.New("--out: want a folder for the model, its metrics and checkpoints")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	list, err := checkpoints(dir)
	if err != nil {
		return nil, err
	}
	if !resume {
		for _, name := range []string{"metrics.jsonl", "model.safetensors"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				list = append(list, name)
			}
		}
		if len(list) > 0 {
			return nil, fmt.Errorf("--out %s: holds a run already (%s): want --resume or another folder", dir, filepath.Base(list[0]))
		}
		return nil, nil
	}
	if len(list) == 0 {
		if _, err := os.Stat(filepath.Join(dir, "model.safetensors")); err == nil {
			return nil, fmt.Errorf("--resume: %s holds a model but no checkpoint to go on from, want another folder", dir)
		}
	}
	for i, path := range list {
		c, err := readCheckpoint(path)
		if err == nil {
			return c, nil
		}
		if newer := (*newerError)(nil); errors.As(err, &newer) {
			return nil, err
		}
		if i == len(list)-1 {
			return nil, fmt.Errorf("%w: no checkpoint in %s is whole, want another folder", err, dir)
		}
		log("%v: trying the one before it", err)
	}
	return nil, nil
}

// tensors returns what a checkpoint stores beside its metadata.
func (c *checkpoint) tensors() []safetensors.Data {
	s := &c.state
	v, h := s.Model.Layers[0], s.Model.Layers[1]
	list := []safetensors.Data{
		safetensors.Of("offset.visible", s.VisibleOffset, v), safetensors.Of("offset.hidden", s.HiddenOffset, h),
	}
	list = append(list, parametersOf("", s.Model)...)
	if len(s.Velocity) > 0 {
		list = append(list, safetensors.Of("velocity", s.Velocity, len(s.Velocity)))
	}
	for r := range s.Chains {
		b := &s.Chains[r]
		list = append(list, safetensors.Of(fmt.Sprintf("chains.%d", r), b.Bits, b.Units, b.Words))
	}
	if c.best.model != nil {
		list = append(list, parametersOf("best.", c.best.model)...)
	}
	return list
}

// insideNames are the tensors of the couplings inside layers.
var insideNames = [2]string{"W.visible", "W.hidden"}

// parametersOf returns the tensors of a model.
func parametersOf(prefix string, m *spin.Net[float32]) []safetensors.Data {
	v, h := m.Layers[0], m.Layers[1]
	list := []safetensors.Data{
		safetensors.Of(prefix+"W", m.Blocks[0].W, v, h),
		safetensors.Of(prefix+"b", m.Bias[:v], v), safetensors.Of(prefix+"c", m.Bias[v:], h),
	}
	for k := range m.Blocks[1:] {
		b := &m.Blocks[1+k]
		list = append(list, safetensors.Of(prefix+insideNames[b.A], b.W, m.Layers[b.A], m.Layers[b.A]))
	}
	return list
}

// write writes the checkpoint to its path: the file is whole or not there, and
// its SHA-256 is in the metadata.
func (c *checkpoint) write() error {
	text, err := json.Marshal(c.meta)
	if err != nil {
		return err
	}
	// The sum covers what a reader sees: the metadata and every tensor by name.
	// A first writing into the hash alone gives it.
	sum, err := sumOf(string(text), func(w io.Writer) error {
		return safetensors.Write(w, nil, c.tensors()...)
	})
	if err != nil {
		return err
	}
	return safetensors.WriteFile(c.path, map[string]string{
		"kind": "checkpoint", "format": checkpointFormat, "run": string(text), "sha256": sum,
	}, c.tensors()...)
}

func sumOf(text string, write func(io.Writer) error) (string, error) {
	h := sha256.New()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(text)))
	h.Write(n[:])
	io.WriteString(h, text)
	if err := write(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readCheckpoint reads a checkpoint and holds it against its SHA-256.
func readCheckpoint(path string) (*checkpoint, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	broken := func(format string, args ...any) error {
		return fmt.Errorf("%s: broken checkpoint: %s", path, fmt.Sprintf(format, args...))
	}
	m := f.Metadata()
	if m["kind"] != "checkpoint" {
		return nil, broken("not a checkpoint of training")
	}
	if m["format"] != checkpointFormat {
		return nil, &newerError{path, m["format"]}
	}
	c := &checkpoint{path: path}
	c.meta.Config.Temperature, c.meta.Config.Couplings = 1, "between" // of checkpoints that do not say
	if err := json.Unmarshal([]byte(m["run"]), &c.meta); err != nil {
		return nil, broken("%v", err)
	}
	if err := c.meta.Config.Check(); err != nil {
		return nil, broken("%v", err)
	}
	v, h := c.meta.Visible, c.meta.Config.Hidden
	read := reader{f: f}
	c.state = backend.TrainerState{
		Step:          c.meta.Step,
		Model:         read.model("", v, &c.meta.Config),
		VisibleOffset: read64(&read, "offset.visible", v), HiddenOffset: read64(&read, "offset.hidden", h),
	}
	if _, ok := f.Lookup("velocity"); ok {
		if c.state.Model == nil {
			return nil, broken("%v", read.err)
		}
		c.state.Velocity = read32(&read, "velocity", parameters(c.state.Model))
	}
	temperatures := 1
	if c.meta.Config.Algorithm == "pt" {
		temperatures = c.meta.Config.Temperatures
	}
	if c.meta.Config.Algorithm != "cd" {
		for r := range temperatures {
			c.state.Chains = append(c.state.Chains, read.chains(fmt.Sprintf("chains.%d", r), v+h, c.meta.Config.Chains))
		}
		if c.meta.Config.general() {
			c.state.Chains = append(c.state.Chains, read.chains("chains.1", h, c.meta.Rows))
		}
	}
	c.best = best{epoch: c.meta.Best, score: c.meta.BestScore}
	if c.meta.Best > 0 {
		c.best.model = read.model("best.", v, &c.meta.Config)
	}
	if read.err != nil {
		return nil, broken("%v", read.err)
	}
	sum, err := sumOf(m["run"], func(w io.Writer) error { return safetensors.Write(w, nil, c.tensors()...) })
	if err != nil {
		return nil, broken("%v", err)
	}
	if sum != m["sha256"] {
		return nil, broken("its SHA-256 is not the one it was written with")
	}
	return c, nil
}

// reader reads tensors of known shapes and keeps the first error.
type reader struct {
	f   *safetensors.File
	err error
}

func readTensor[T safetensors.Element](r *reader, name string, n int) []T {
	if r.err != nil {
		return nil
	}
	t, ok := r.f.Lookup(name)
	switch {
	case !ok:
		r.err = fmt.Errorf("tensor %s is missing", name)
	case n < 0 || t.DType != safetensors.TypeOf[T]() || t.Len() != n:
		r.err = fmt.Errorf("tensor %s has %d numbers of type %s, want %d of type %s", name, t.Len(), t.DType, n, safetensors.TypeOf[T]())
	default:
		x := make([]T, n) // no more than the file holds
		r.err = safetensors.Read(r.f, t, x)
		return x
	}
	return nil
}

func read32(r *reader, name string, n int) []float32 { return readTensor[float32](r, name, n) }
func read64(r *reader, name string, n int) []float64 { return readTensor[float64](r, name, n) }

func (r *reader) model(prefix string, v int, c *Config) *spin.Net[float32] {
	h := c.Hidden
	if v < 1 || h < 1 || v > math.MaxInt32 || h > math.MaxInt32 {
		r.err = fmt.Errorf("a model of %d and %d units", v, h)
	}
	w, bv, bh := read32(r, prefix+"W", v*h), read32(r, prefix+"b", v), read32(r, prefix+"c", h)
	m := spin.RBM(v, h, w, bv, bh)
	for _, l := range c.inside(v) {
		m.Blocks = append(m.Blocks, spin.Block[float32]{A: l[0], B: l[0], W: read32(r, prefix+insideNames[l[0]], l[1]*l[1])})
	}
	return m
}

func (r *reader) chains(name string, units, chains int) spin.Batch {
	words := (chains + 63) / 64
	return spin.Batch{Units: units, Chains: chains, Words: words, Bits: readTensor[uint64](r, name, units*words)}
}

// save writes a checkpoint after a number of steps and removes those that are
// not to be kept.
func (r *run) save(step uint64) error {
	if err := r.trainer.Save(&r.state); err != nil {
		return err
	}
	if err := r.sameModel(); err != nil {
		return err
	}
	state := r.state
	var err error
	if state.Chains, err = r.whole(r.state.Chains); err != nil {
		return err
	}
	if r.ranks.root() {
		// One from before would go for a state that has diverged.
		if err = r.monitor.sound(step); err == nil {
			err = r.writeCheckpoint(step, state)
		}
	}
	state = backend.TrainerState{}
	r.forget()
	r.saved, r.savedStep = time.Now(), step
	return r.ranks.agree(err)
}

// writeCheckpoint writes a state with the chains of all ranks.
func (r *run) writeCheckpoint(step uint64, state backend.TrainerState) error {
	if err := r.monitor.sync(); err != nil {
		return err
	}
	c := &checkpoint{
		path: checkpointPath(r.o.Dir, step),
		meta: meta{
			Config: r.Config, Data: r.digest, Validation: r.held, Visible: r.data.Width(), Step: step,
			Seconds: r.seconds + time.Since(r.started).Seconds(), Best: r.best.epoch, BestScore: r.best.score,
		},
		state: state, best: r.best,
	}
	if r.machine != nil {
		c.meta.Rows = len(r.machine.hidden) / ((r.Hidden + 63) / 64)
	}
	if err := c.write(); err != nil {
		return err
	}
	return r.prune(c.path)
}

// prune removes the checkpoints that are not to be kept when path is the last.
func (r *run) prune(last string) error {
	list, err := checkpoints(r.o.Dir)
	if err != nil {
		return err
	}
	kept := 0
	for _, path := range list {
		if path > last {
			// Left by a run that went further than this one has come: it was
			// broken, or it would have been resumed.
			err = os.Remove(path)
		} else if kept++; kept > r.o.Keep {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
