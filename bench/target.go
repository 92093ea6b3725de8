package bench

import (
	"cmp"
	"fmt"
	"runtime"

	"kadanoff/backend"
	"kadanoff/kernels/isa"
)

// Target is what checks and benchmarks run on: a backend on one instruction
// set with some number of threads.
type Target struct {
	Backend backend.Backend
	Name    string    // of the backend: ref, cpu, cuda
	ISA     string    // as records have it
	Level   isa.Level // instruction set of kernels called directly; Generic for ref
	Threads int
	Device  int
	Seed    uint64
	Size    Size
}

// Size says how much work checks do.
type Size int

// The sizes. A quick run takes a part of the samples of a full one.
const (
	Quick Size = iota
	Full
)

// scalar reports whether the target takes one chain at a time.
func (t *Target) scalar() bool { return t.Name == "ref" }

// device reports whether the target is another device than the CPU.
func (t *Target) device() bool { return t.Name == "cuda" }

// sample returns how many times a check on the target observes something: few
// times in scalar or plain Go, four times as many on vector units, and four
// times as many in a full run.
func (t *Target) sample(n int) int {
	if t.Size == Full {
		n *= 4
	}
	if !t.scalar() && t.Level != isa.Generic {
		n *= 4
	}
	return n
}

// chains returns the number of chains of a check.
func (t *Target) chains() int {
	if t.scalar() {
		return 1024
	}
	return 2048
}

// String names the target as tables do: "ref" or "cpu/avx512".
func (t *Target) String() string {
	if t.Name == "ref" {
		return t.Name
	}
	return t.Name + "/" + t.ISA
}

// With opens the same backend and path with another number of threads. The
// caller closes it.
func (t *Target) With(threads int) (*Target, error) {
	o := Selection{Backend: t.Name, Threads: threads, Seed: t.Seed, Size: t.Size}
	return o.open(t.Name, t.Level, t.Device)
}

// eachThreads calls f for the same path with each number of threads; they say
// nothing of another device, which is called as it is.
func (t *Target) eachThreads(counts []int, f func(i int, with *Target) error) error {
	for i, threads := range counts {
		if t.device() {
			if err := f(i, t); err != nil {
				return err
			}
			continue
		}
		with, err := t.With(threads)
		if err != nil {
			return err
		}
		if err := cmp.Or(f(i, with), with.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the target's backend.
func (t *Target) Close() error { return t.Backend.Close() }

// check makes a result of the target into a record.
func (t *Target) check(r Result) Record {
	threads := t.Threads
	if r.Threads > 0 {
		threads = r.Threads
	}
	return Record{
		Kind: KindCheck, Name: r.Name, Backend: t.Name, ISA: t.ISA, Threads: threads, Seed: t.Seed,
		Exact: r.Exact, Measured: r.Measured, Error: r.Error, Limit: r.Limit, Unit: r.Unit, Pass: r.Pass(),
	}
}

// Selection says which targets are wanted.
type Selection struct {
	Backend string     // auto for all, or as backend.Open takes it
	Level   *isa.Level // nil for every one available
	Threads int        // 0 for all cores
	Seed    uint64
	Size    Size
}

// Open opens the selected targets: the reference backend and every instruction
// set of the CPU, weakest first, then every other device that works. A backend
// or instruction set that was named and cannot be had is an error.
func (s Selection) Open() (targets []*Target, err error) {
	defer func() {
		if err != nil {
			for _, t := range targets {
				_ = t.Close()
			}
			targets = nil
		}
	}()
	add := func(name string, level isa.Level, device int) error {
		t, err := s.open(name, level, device)
		if err == nil {
			targets = append(targets, t)
		}
		return err
	}
	levels := isa.Available()
	if s.Level != nil {
		levels = []isa.Level{*s.Level}
	}
	switch s.Backend {
	case "ref":
		return targets, add("ref", isa.Generic, 0)
	case "cpu":
	case "", "auto":
		if s.Level == nil {
			if err := add("ref", isa.Generic, 0); err != nil {
				return targets, err
			}
		}
	default:
		name, device, err := deviceOf(s.Backend)
		if err != nil {
			return targets, err
		}
		return targets, add(name, isa.Best(), device)
	}
	for _, l := range levels {
		if err := add("cpu", l, 0); err != nil {
			return targets, err
		}
	}
	if s.Backend == "cpu" || s.Level != nil {
		return targets, nil
	}
	for _, d := range backend.Drivers() {
		if d.Name == "ref" || d.Name == "cpu" {
			continue
		}
		for n, info := range d.Devices() {
			if info.Missing == "" {
				if err := add(d.Name, isa.Best(), n); err != nil {
					return targets, err
				}
			}
		}
	}
	return targets, nil
}

// deviceOf splits the value of --backend into name and device number.
func deviceOf(s string) (name string, device int, err error) {
	if n, err := fmt.Sscanf(s, "cuda:%d", &device); n == 1 && err == nil && device >= 0 {
		return "cuda", device, nil
	}
	if s == "cuda" {
		return s, 0, nil
	}
	return "", 0, fmt.Errorf("--backend %q: want auto, ref, cpu or cuda[:n]", s)
}

func (s Selection) open(name string, level isa.Level, device int) (*Target, error) {
	arg := name
	if name == "cuda" {
		arg = fmt.Sprintf("cuda:%d", device)
	}
	threads := s.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	b, err := backend.Open(arg, backend.Options{ISA: level.String(), Threads: threads})
	if err != nil {
		return nil, err
	}
	info := b.Info()
	t := &Target{Backend: b, Name: name, ISA: info.ISA, Level: level, Threads: max(info.Threads, 1), Device: device, Seed: s.Seed, Size: s.Size}
	return t, nil
}
