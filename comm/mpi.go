//go:build linux && (amd64 || arm64) && !nompi

package comm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// abi holds the values of one MPI binary interface.
type abi struct {
	name                                  string
	world, byte_, int32_, int64_, sum     uintptr
	errorsReturn, inPlace, threadFunneled uintptr
}

var (
	// MPICH and what is built from it: handles are integers, unchanged since
	// its common ABI of 2013.
	mpich = abi{
		name: "MPICH", world: 0x44000000, byte_: 0x4c00010d, int32_: 0x4c000439, int64_: 0x4c00083a,
		sum: 0x58000003, errorsReturn: 0x54000001, inPlace: ^uintptr(0), threadFunneled: 1,
	}
	// The standard ABI of MPI 5.
	standard = abi{
		name: "MPI ABI", world: 0x101, byte_: 0x247, int32_: 0x250, int64_: 0x258,
		sum: 0x21, errorsReturn: 0x143, inPlace: 1, threadFunneled: 1024,
	}
)

// openMPIABI is Open MPI's, whose handles are addresses of its symbols.
func openMPIABI(lib uintptr) (abi, error) {
	a := abi{name: "Open MPI", inPlace: 1, threadFunneled: 1}
	for _, s := range []struct {
		name string
		dst  *uintptr
	}{
		{"ompi_mpi_comm_world", &a.world},
		{"ompi_mpi_byte", &a.byte_},
		{"ompi_mpi_int32_t", &a.int32_},
		{"ompi_mpi_int64_t", &a.int64_},
		{"ompi_mpi_op_sum", &a.sum},
		{"ompi_mpi_errors_return", &a.errorsReturn},
	} {
		var err error
		if *s.dst, err = purego.Dlsym(lib, s.name); err != nil {
			return a, err
		}
	}
	return a, nil
}

// candidates lists library names, those of the launcher's own kind first.
func candidates(from string) []string {
	if name := os.Getenv(LibraryVar); name != "" {
		return []string{name}
	}
	ompi := []string{"libmpi.so.40"}
	pmi := []string{"libmpi_abi.so.1", "libmpi.so.12", "libmpich.so.12"}
	// Slurm with PMIx speaks to Open MPI; MPICH from Debian does not know PMIx.
	if from == openMPILauncher || from == slurm && os.Getenv("PMIX_RANK") != "" {
		return append(ompi, pmi...)
	}
	return append(pmi, ompi...)
}

// world is MPI_COMM_WORLD. All its calls are made by one goroutine, which keeps
// the thread that initialised MPI.
type world struct {
	options    Options
	abi        abi
	file       string
	rank, size int
	calls      chan func() int32
	results    chan int32

	initThread, commRank, commSize, setErrhandler    uintptr
	bcast, allreduce, allgather, barrier             uintptr
	abort, finalize, getLibraryVersion, errorMessage uintptr
}

func openMPI(o Options, n int, from string) (Group, error) {
	w := &world{options: o, calls: make(chan func() int32), results: make(chan int32)}
	var lib uintptr
	var tried []string
	for _, name := range candidates(from) {
		h, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err == nil {
			lib, w.file = h, name
			break
		}
		tried = append(tried, err.Error())
	}
	if lib == 0 {
		if os.Getenv(LibraryVar) != "" {
			return nil, fmt.Errorf("%s: %s", LibraryVar, strings.Join(tried, "; "))
		}
		return nil, &MismatchError{Launched: n, From: from, Found: 1}
	}
	if err := w.bind(lib); err != nil {
		return nil, fmt.Errorf("%s is no MPI library: %w", w.file, err)
	}
	// Initialisation waits for all processes of the launcher.
	watchdog := time.AfterFunc(o.Timeout, func() {
		o.Lost(fmt.Errorf("MPI_Init has waited %v for %d processes: one of them is lost", o.Timeout, n))
	})
	started := make(chan error)
	go w.serve(started)
	err := <-started
	watchdog.Stop()
	if err != nil {
		return nil, err
	}
	if w.size != n {
		return nil, &MismatchError{Launched: n, From: from, Found: w.size, Library: w.abi.name + " (" + w.file + ")"}
	}
	return w, nil
}

// bind finds out which ABI the library has and looks up its functions.
func (w *world) bind(lib uintptr) (err error) {
	w.abi = mpich
	if _, e := purego.Dlsym(lib, "ompi_mpi_comm_world"); e == nil {
		if w.abi, err = openMPIABI(lib); err != nil {
			return err
		}
	} else if strings.Contains(w.file, "libmpi_abi") {
		w.abi = standard
	}
	for _, f := range []struct {
		name string
		dst  *uintptr
	}{
		{"MPI_Init_thread", &w.initThread},
		{"MPI_Comm_rank", &w.commRank},
		{"MPI_Comm_size", &w.commSize},
		{"MPI_Comm_set_errhandler", &w.setErrhandler},
		{"MPI_Bcast", &w.bcast},
		{"MPI_Allreduce", &w.allreduce},
		{"MPI_Allgather", &w.allgather},
		{"MPI_Barrier", &w.barrier},
		{"MPI_Abort", &w.abort},
		{"MPI_Finalize", &w.finalize},
		{"MPI_Get_library_version", &w.getLibraryVersion},
		{"MPI_Error_string", &w.errorMessage},
	} {
		if *f.dst, err = purego.Dlsym(lib, f.name); err != nil {
			return err
		}
	}
	return nil
}

// serve initialises MPI and makes all later calls.
func (w *world) serve(started chan<- error) {
	runtime.LockOSThread()
	var provided, rank, size int32
	if rc := call(w.initThread, 0, 0, w.abi.threadFunneled, uintptr(unsafe.Pointer(&provided))); rc != 0 {
		started <- fmt.Errorf("%s: MPI_Init_thread failed with code %d", w.file, rc)
		return
	}
	call(w.setErrhandler, w.abi.world, w.abi.errorsReturn)
	call(w.commRank, w.abi.world, uintptr(unsafe.Pointer(&rank)))
	call(w.commSize, w.abi.world, uintptr(unsafe.Pointer(&size)))
	w.rank, w.size = int(rank), int(size)
	started <- nil
	for f := range w.calls {
		w.results <- f()
	}
}

// call calls a C function. Arguments that are pointers must be converted in the
// call's own argument list: what they point to is then on the heap and stays
// alive while the function runs.
//
//go:uintptrescapes
func call(f uintptr, args ...uintptr) int32 {
	r, _, _ := purego.SyscallN(f, args...)
	return int32(r)
}

// collective has the MPI thread make a call and watches it.
func (w *world) collective(name string, f func() int32) error {
	watchdog := time.AfterFunc(w.options.Timeout, func() {
		w.options.Lost(fmt.Errorf("rank %d: %s has waited %v for the other ranks: one of %d is lost", w.rank, name, w.options.Timeout, w.size))
	})
	w.calls <- f
	rc := <-w.results
	watchdog.Stop()
	if rc == 0 {
		return nil
	}
	text := make([]byte, 1024)
	var n int32
	w.calls <- func() int32 {
		return call(w.errorMessage, uintptr(rc), uintptr(unsafe.Pointer(&text[0])), uintptr(unsafe.Pointer(&n)))
	}
	<-w.results
	return fmt.Errorf("rank %d: %s: %s", w.rank, name, text[:max(0, min(int(n), len(text)))])
}

func (w *world) Rank() int { return w.rank }
func (w *world) Size() int { return w.size }

func (w *world) Library() string {
	text := make([]byte, 8192) // MPI_MAX_LIBRARY_VERSION_STRING of every library
	var n int32
	if err := w.collective("MPI_Get_library_version", func() int32 {
		return call(w.getLibraryVersion, uintptr(unsafe.Pointer(&text[0])), uintptr(unsafe.Pointer(&n)))
	}); err != nil {
		return w.abi.name
	}
	version, _, _ := strings.Cut(string(text[:max(0, min(int(n), len(text)))]), "\n")
	return fmt.Sprintf("%s: %s", w.file, strings.TrimRight(version, "\x00 "))
}

// pieces calls f for parts of n elements that MPI's int counts can hold.
func pieces(n int, f func(from, to int) error) error {
	const most = 1 << 28
	for from := 0; from < n; from += most {
		if err := f(from, min(n, from+most)); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Bcast(buf []byte, root int) error {
	if root < 0 || root >= w.size {
		return fmt.Errorf("broadcast from rank %d of %d", root, w.size)
	}
	return pieces(len(buf), func(from, to int) error {
		return w.collective("MPI_Bcast", func() int32 {
			return call(w.bcast, uintptr(unsafe.Pointer(&buf[from])), uintptr(to-from), w.abi.byte_, uintptr(root), w.abi.world)
		})
	})
}

// sum is MPI_Allreduce in place.
func sum[T int32 | int64](w *world, buf []T, datatype uintptr) error {
	return pieces(len(buf), func(from, to int) error {
		return w.collective("MPI_Allreduce", func() int32 {
			return call(w.allreduce, w.abi.inPlace, uintptr(unsafe.Pointer(&buf[from])), uintptr(to-from), datatype, w.abi.sum, w.abi.world)
		})
	})
}

func (w *world) SumInt64(buf []int64) error { return sum(w, buf, w.abi.int64_) }
func (w *world) SumInt32(buf []int32) error { return sum(w, buf, w.abi.int32_) }

func (w *world) SumFloat64(buf []float64) error {
	own := make([]byte, 0, 8*len(buf))
	for _, x := range buf {
		own = binary.NativeEndian.AppendUint64(own, math.Float64bits(x))
	}
	all, err := w.Gather(own)
	if err != nil {
		return err
	}
	for i := range buf {
		s := 0.0
		for r := range w.size {
			s += math.Float64frombits(binary.NativeEndian.Uint64(all[r*len(own)+8*i:]))
		}
		buf[i] = s
	}
	return nil
}

func (w *world) Gather(buf []byte) ([]byte, error) {
	if len(buf) > math.MaxInt32/w.size {
		return nil, errors.New("gather of more than 2 GiB")
	}
	if len(buf) == 0 {
		return nil, nil
	}
	all := make([]byte, w.size*len(buf))
	err := w.collective("MPI_Allgather", func() int32 {
		return call(w.allgather, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), w.abi.byte_, uintptr(unsafe.Pointer(&all[0])), uintptr(len(buf)), w.abi.byte_, w.abi.world)
	})
	return all, err
}

func (w *world) Barrier() error {
	return w.collective("MPI_Barrier", func() int32 { return call(w.barrier, w.abi.world) })
}

// Abort may be called while another call waits in MPI, so it does not ask the
// MPI thread.
func (w *world) Abort(code int) {
	call(w.abort, w.abi.world, uintptr(code))
	os.Exit(code)
}

func (w *world) Close() error {
	err := w.collective("MPI_Finalize", func() int32 { return call(w.finalize) })
	close(w.calls)
	return err
}
