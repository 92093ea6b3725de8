// Package comm is a group of processes that work on one job: one process by
// default, or the ranks that mpirun or srun has started.
//
// MPI is found at run time, without cgo and without a build tag, on Linux with
// glibc (amd64, arm64); elsewhere, and with the build tag nompi, a group is
// always one process. Sums of integers are MPI's; sums of floating-point
// numbers run in the order of the ranks, so that no result depends on how an
// MPI library reduces.
package comm

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// Group is a fixed set of processes. Its methods are collective: every rank
// calls them in the same order, from one goroutine at a time.
type Group interface {
	// Rank is this process's number, 0 … Size()−1.
	Rank() int
	// Size is the number of processes.
	Size() int
	// Library names the MPI library; it is empty for one process.
	Library() string
	// Bcast copies rank root's bytes to every rank.
	Bcast(buf []byte, root int) error
	// SumInt64 replaces buf on every rank by the sum over all ranks.
	SumInt64(buf []int64) error
	// SumInt32 is SumInt64 for sums that fit 32 bits: half the traffic.
	SumInt32(buf []int32) error
	// SumFloat64 replaces buf by the sum over all ranks, added from rank 0 up.
	SumFloat64(buf []float64) error
	// Gather returns every rank's bytes, all of one length, on every rank, in
	// the order of the ranks.
	Gather(buf []byte) ([]byte, error)
	// Barrier returns when every rank has called it.
	Barrier() error
	// Abort ends all processes of the group with the exit code.
	Abort(code int)
	// Close leaves the group. A process that ends without it may be taken for
	// a lost one.
	Close() error
}

// LibraryVar names the environment variable that says which MPI library to
// load (a path or a name), or none for one process.
const LibraryVar = "KADANOFF_MPI"

// Options say how a group is opened.
type Options struct {
	// Timeout is how long one collective may take; 0 means DefaultTimeout.
	Timeout time.Duration
	// Lost is called when a collective takes longer. It must not return: the
	// thread that waits in MPI cannot be brought back. The default writes one
	// line to stderr and exits with code 75.
	Lost func(err error)
}

// DefaultTimeout is long enough for any sum of training on a slow network.
const DefaultTimeout = 5 * time.Minute

// LostPeer is the exit code for a peer that does not answer.
const LostPeer = 75

// A MismatchError reports a launcher that started several processes which the
// MPI library that was found does not connect.
type MismatchError struct {
	Launched int    // processes by the launcher's account
	From     string // the variable that says so
	Found    int    // processes that the library sees
	Library  string
}

func (e *MismatchError) Error() string {
	if e.Library == "" {
		return fmt.Sprintf("the launcher started %d processes (%s), but no MPI library was found: install the launcher's own, or name it in %s", e.Launched, e.From, LibraryVar)
	}
	hint := ""
	if e.From == slurm {
		hint = ", or give srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)"
	}
	return fmt.Sprintf("the launcher started %d processes (%s), but %s connects %d: launcher and library do not belong together; name the right one in %s%s",
		e.Launched, e.From, e.Library, e.Found, LibraryVar, hint)
}

// launchers lists the variables in which launchers say how many processes they
// started: Open MPI, MPICH and those like it, Slurm.
var launchers = []string{openMPILauncher, pmi, slurm}

const (
	openMPILauncher = "OMPI_COMM_WORLD_SIZE"
	pmi             = "PMI_SIZE"
	slurm           = "SLURM_STEP_NUM_TASKS"
)

// launched returns how many processes a launcher says it started, 0 without a
// launcher.
func launched(env func(string) string) (n int, from string) {
	for _, v := range launchers {
		if n, err := strconv.Atoi(env(v)); err == nil && n > 0 {
			return n, v
		}
	}
	return 0, ""
}

// LaunchRank returns the number that a launcher gave this process, before any
// group is open: 0 without a launcher, and for a process that works alone.
func LaunchRank() int { return launchRank(os.Getenv) }

func launchRank(env func(string) string) int {
	n, from := launched(env)
	if n < 2 || env(LibraryVar) == "none" {
		return 0
	}
	rank, err := strconv.Atoi(env(map[string]string{openMPILauncher: "OMPI_COMM_WORLD_RANK", pmi: "PMI_RANK", slurm: "SLURM_PROCID"}[from]))
	if err != nil {
		return 0
	}
	return rank
}

// Open joins the group that this process was started in: one process unless a
// launcher started several. Several processes that cannot be connected are a
// *MismatchError.
func Open(o Options) (Group, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Lost == nil {
		o.Lost = func(err error) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(LostPeer)
		}
	}
	n, from := launched(os.Getenv)
	if n < 2 || os.Getenv(LibraryVar) == "none" {
		return one{}, nil
	}
	return openMPI(o, n, from)
}

// One returns the group of this process alone.
func One() Group { return one{} }

// one is a group of one process.
type one struct{}

func (one) Rank() int                         { return 0 }
func (one) Size() int                         { return 1 }
func (one) Library() string                   { return "" }
func (one) Bcast([]byte, int) error           { return nil }
func (one) SumInt64([]int64) error            { return nil }
func (one) SumInt32([]int32) error            { return nil }
func (one) SumFloat64([]float64) error        { return nil }
func (one) Gather(buf []byte) ([]byte, error) { return append([]byte(nil), buf...), nil }
func (one) Barrier() error                    { return nil }
func (one) Abort(code int)                    { os.Exit(code) }
func (one) Close() error                      { return nil }
