// Package backend defines the jobs of the engine and the interface of what
// carries them out.
//
// The interface is at the height of whole jobs: a sampler that keeps its
// chains, a batch of energies, an enumeration. Host slices go in and come out,
// inputs are copied before a call returns, and shapes that do not fit are
// errors. Every backend gives the same bits for the same job: package
// backendtest holds them to it.
package backend

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// Backend carries out jobs on one device. Its methods may be called from
// several goroutines at once, those of one Sampler or
// Lattice may not.
type Backend interface {
	// Info describes the device.
	Info() Info
	// NewSampler starts chains of block Gibbs sampling.
	NewSampler(spec SamplerSpec) (Sampler, error)
	// NewTrainer starts training an RBM.
	NewTrainer(spec TrainerSpec) (Trainer, error)
	// Energy writes the exact energy of each chain of the job to dst.
	Energy(ctx context.Context, job EnergyJob, dst []int64) error
	// FreeEnergy writes the free energy of each chain of the job, at each of
	// its points of interpolation, to dst.
	FreeEnergy(ctx context.Context, job FreeEnergyJob, dst []float64) error
	// Means iterates real-valued configurations through an RBM.
	Means(ctx context.Context, job MeansJob) error
	// Enumerate visits the states of the job's shard. Enumerate (the function)
	// does a whole job.
	Enumerate(ctx context.Context, job *EnumerateJob) (*EnumeratePart, error)
	// NewLattice starts replicas of the two-dimensional Ising model.
	NewLattice(spec LatticeSpec) (Lattice, error)
	// EnumerateRBM visits the states of an RBM's smaller layer.
	EnumerateRBM(ctx context.Context, job *EnumerateRBMJob) (*RBMEnumeration, error)
	// Roots writes the weight W that fits each problem of the job best to dst.
	Roots(ctx context.Context, job RootsJob, dst RootsResult) error
	// Close frees what the backend holds. Its samplers must be closed first.
	Close() error
}

// Info describes a backend's device.
type Info struct {
	Backend string `json:"backend"`           // ref, cpu, cuda
	Device  string `json:"device"`            // CPU or GPU model
	ISA     string `json:"isa"`               // instruction set or compute capability
	Threads int    `json:"threads,omitempty"` // CPU threads in use
	Memory  int64  `json:"memory,omitempty"`  // bytes, 0 if unknown
	Note    string `json:"note,omitempty"`    // which jobs it leaves to another device
	Missing string `json:"missing,omitempty"` // why it cannot be used; empty if it can
}

// Options choose how a backend runs. The zero value means the best there is.
type Options struct {
	ISA     string // instruction set as isa.Parse takes it
	Threads int    // CPU threads, 0 for all cores
	Device  int    // which of several GPUs
	All     bool   // all GPUs, for want of a number (set by Open)
	Auto    bool   // the backend was not asked for by name: small jobs may go elsewhere (set by Open)
}

// CheckedThreads returns the number of threads asked for, or an error.
func (o Options) CheckedThreads() (int, error) {
	if o.Threads < 0 || o.Threads > 4096 {
		return 0, fmt.Errorf("--threads %d: want 1 to 4096, or 0 for all cores", o.Threads)
	}
	if o.Threads == 0 {
		return runtime.GOMAXPROCS(0), nil
	}
	return o.Threads, nil
}

// A Driver opens a backend and says what it would be.
type Driver struct {
	Name string
	// Priority orders automatic choice: the highest that opens wins, and one
	// below zero is never chosen automatically.
	Priority int
	Open     func(Options) (Backend, error)
	// Devices lists what the driver would run on, including what is missing.
	Devices func() []Info
}

// MissingError reports a backend or device that was asked for by name and
// cannot be had.
type MissingError struct {
	Name, Reason string
}

func (e *MissingError) Error() string { return fmt.Sprintf("--backend %s: %s", e.Name, e.Reason) }

var registry struct {
	sync.Mutex
	drivers []Driver
}

// Register makes a driver known; backends call it when they are imported.
func Register(d Driver) {
	registry.Lock()
	defer registry.Unlock()
	for _, have := range registry.drivers {
		if have.Name == d.Name {
			panic("backend: " + d.Name + " registered twice")
		}
	}
	registry.drivers = append(registry.drivers, d)
	sort.Slice(registry.drivers, func(i, j int) bool {
		a, b := registry.drivers[i], registry.drivers[j]
		return a.Priority > b.Priority || a.Priority == b.Priority && a.Name < b.Name
	})
}

// Drivers returns the registered drivers, best first.
func Drivers() []Driver {
	registry.Lock()
	defer registry.Unlock()
	return append([]Driver(nil), registry.drivers...)
}

// Open opens a backend by the name that --backend takes: auto for the best
// that works, or a driver's name with an optional device number (cuda:1). One
// that was named either works or is a *MissingError; an unknown name is a plain
// error.
func Open(name string, o Options) (Backend, error) {
	drivers := Drivers()
	if name == "" || name == "auto" {
		o.Auto, o.All = true, true
		var errs []error
		for _, d := range drivers {
			if d.Priority < 0 {
				continue
			}
			b, err := d.Open(o)
			if err == nil {
				return b, nil
			}
			var missing *MissingError
			if !errors.As(err, &missing) {
				return nil, err
			}
			errs = append(errs, err)
		}
		return nil, errors.Join(append(errs, &MissingError{Name: "auto", Reason: "no backend can run here"})...)
	}
	base, device, numbered := strings.Cut(name, ":")
	if numbered {
		n, err := strconv.Atoi(device)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("--backend %s: want a device number of 0 or more after the colon", name)
		}
		o.Device = n
	}
	o.All = !numbered
	for _, d := range drivers {
		if d.Name == base {
			return d.Open(o)
		}
	}
	if base == "cuda" {
		return nil, &MissingError{Name: name, Reason: "this build has no CUDA"}
	}
	return nil, fmt.Errorf("--backend %q: want auto, ref, cpu or cuda[:n]", name)
}
