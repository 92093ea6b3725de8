// Package cpu is the backend of vector kernels over all cores.
//
// A backend keeps one team of goroutines; every job is cut into items of units
// and chains that the members claim as they come free. Which member does what
// never shows in the result: draws are addressed by counter and sums are
// integers.
package cpu

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/cpuid/v2"

	"kadanoff/backend"
	"kadanoff/kernels/elem"
	"kadanoff/kernels/gibbs"
	"kadanoff/kernels/isa"
	"kadanoff/kernels/roots"
)

func init() {
	backend.Register(backend.Driver{
		Name:     "cpu",
		Priority: 10,
		Open:     func(o backend.Options) (backend.Backend, error) { return New(o) },
		Devices:  devices,
	})
}

// Backend runs jobs on the cores of this machine.
type Backend struct {
	level   isa.Level
	gibbs   *gibbs.Kernel
	elem    *elem.Kernel
	team    *team
	members []*member // one for each member of the team
	tables  roots.Tables
	closed  sync.Once
}

// member is the working memory of one member of the team.
type member struct {
	scratch *gibbs.Scratch
	step    gibbs.Step
	in      [1]gibbs.Rows // of a trainer's step
	other   gibbs.Step    // beside it
	otherIn [1]gibbs.Rows
	list    gibbs.ListStep
}

// New returns a backend with the instruction set and threads of o. An
// instruction set that this machine lacks is an *isa.MissingError.
func New(o backend.Options) (*Backend, error) {
	level, err := isa.Parse(o.ISA)
	if err != nil {
		return nil, err
	}
	threads, err := o.CheckedThreads()
	if err != nil {
		return nil, err
	}
	b := &Backend{level: level, gibbs: gibbs.For(level), elem: elem.For(level), team: newTeam(threads)}
	for range threads {
		b.members = append(b.members, &member{scratch: gibbs.NewScratch()})
	}
	// The members know the team alone, so that a backend which is forgotten
	// rather than closed ends them all the same.
	runtime.AddCleanup(b, (*team).end, b.team)
	return b, nil
}

// Info describes the CPU and the path taken.
func (b *Backend) Info() backend.Info {
	i := info(b.level)
	i.Threads = b.team.size
	return i
}

// Close ends the backend's goroutines.
func (b *Backend) Close() error {
	b.closed.Do(b.team.close)
	return nil
}

func info(l isa.Level) backend.Info {
	name := cpuid.CPU.BrandName
	if name == "" {
		name = runtime.GOARCH
	}
	return backend.Info{Backend: "cpu", Device: name, ISA: l.String(), Threads: runtime.GOMAXPROCS(0), Missing: isa.Missing(l)}
}

// devices lists the instruction sets of this architecture, best first, those
// that are missing with the reason.
func devices() []backend.Info {
	levels := map[string][]isa.Level{"amd64": {isa.AVX512, isa.AVX2}, "arm64": {isa.NEON}}[runtime.GOARCH]
	var list []backend.Info
	for _, l := range append(levels, isa.Generic) {
		list = append(list, info(l))
	}
	return list
}

// errClosed is what jobs return when a backend or sampler is used after Close.
func errClosed(what string) error { return fmt.Errorf("%s is closed", what) }
