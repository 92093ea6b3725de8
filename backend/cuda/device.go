//go:build gpu && cgo

package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"gorgonia.org/cu"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
)

// device is one GPU with the kernels loaded. Everything that needs its context
// runs on one goroutine, which keeps an operating system thread for itself.
type device struct {
	info      backend.Info
	calls     chan func()
	ended     chan struct{}
	close     sync.Once
	closeErr  error
	functions map[string]cu.Function
	modules   []cu.Module
	table     cu.DevicePtr // spin.TailTable

	stream   cu.Stream // that launches go to: the default one, or
	captures cu.Stream // where they become a graph
	noted    *[]launch // if not nil, launches are noted here and nothing is queued
	nodes    int       // mostNodes, or fewer in tests
	units    int       // kernels.SweepUnits, or fewer in tests

	// lost is the error after which the driver refuses everything in the
	// device's context. The device's goroutine alone writes it.
	lost atomic.Pointer[Error]
}

// Error is a failure of a device while it worked. It is syscall.ENOMEM when
// the device's memory does not suffice, and syscall.EIO otherwise.
type Error struct {
	Device string // which device
	Doing  string // what it was doing
	Err    error  // what the driver says
	Lost   bool   // nothing can run there any more
}

func (e *Error) Error() string {
	if errors.Is(e.Err, cu.OutOfMemory) {
		return fmt.Sprintf("%s: out of memory %s: use %s", e.Device, e.Doing, e.less())
	}
	if e.Lost {
		return fmt.Sprintf("%s: lost while %s: %v", e.Device, e.Doing, e.Err)
	}
	return fmt.Sprintf("%s: failed %s: %v", e.Device, e.Doing, e.Err)
}

// less is what takes less of the device's memory.
func (e *Error) less() string {
	switch {
	case strings.Contains(e.Doing, "lattice"):
		return "fewer replicas or a smaller lattice"
	case strings.Contains(e.Doing, "enumerat"), strings.Contains(e.Doing, "root"):
		return "--backend cpu, or a device with more"
	}
	return "fewer chains or a smaller network"
}

func (e *Error) Unwrap() []error {
	if errors.Is(e.Err, cu.OutOfMemory) {
		return []error{e.Err, syscall.ENOMEM}
	}
	return []error{e.Err, syscall.EIO}
}

// lasting are the errors that stay: a context in which one occurred answers
// every further call with it.
var lasting = []error{
	cu.EccUncorrectable, cu.NvlinkUncorrectable, cu.IllegalAddress, cu.LaunchTimeout, cu.ContextIsDestroyed, cu.Assert, cu.HardwareStackError,
	cu.IllegalInstruction, cu.MisalignedAddress, cu.InvalidAddressSpace, cu.InvalidPc, cu.LaunchFailed,
}

func missing(number int, format string, args ...any) error {
	return &backend.MissingError{Name: fmt.Sprintf("cuda:%d", number), Reason: fmt.Sprintf(format, args...)}
}

// count returns the number of devices, or why there are none.
func count() (int, string) {
	if why := whyNoDriver(); why != "" {
		return 0, visible(why)
	}
	if v := cu.Version(); v < kernels.MinVersion {
		return 0, fmt.Sprintf("the NVIDIA driver is for CUDA %d.%d, want %d.0 or later", v/1000, v%1000/10, kernels.MinVersion/1000)
	}
	n, err := cu.NumDevices()
	if err != nil {
		return 0, fmt.Sprintf("the NVIDIA driver counts no devices: %v", err)
	}
	if n == 0 {
		return 0, visible("the NVIDIA driver finds no device")
	}
	return n, ""
}

// visible adds to why there is no device that devices may have been hidden.
func visible(why string) string {
	if v, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES"); ok && strings.HasSuffix(why, "finds no device") {
		return fmt.Sprintf("%s with CUDA_VISIBLE_DEVICES=%q", why, v)
	}
	return why
}

// mode says who may use a device, where that may be why it does not start.
func mode(dev cu.Device) string {
	m, err := dev.Attribute(cu.ComputeMode)
	switch {
	case err == nil && m == 2:
		return ": its compute mode is prohibited"
	case err == nil && m == 3:
		return ": its compute mode is exclusive, and another process may have it"
	}
	return ""
}

// probe describes a device without using it.
func probe(number int) (backend.Info, cu.Device, error) {
	info := backend.Info{Backend: "cuda"}
	dev, err := cu.GetDevice(number)
	if err != nil {
		return info, dev, err
	}
	if info.Device, err = dev.Name(); err != nil {
		return info, dev, err
	}
	info.Device = strings.TrimRight(info.Device, "\x00 ")
	major, err := dev.Attribute(cu.ComputeCapabilityMajor)
	if err != nil {
		return info, dev, err
	}
	minor, err := dev.Attribute(cu.ComputeCapabilityMinor)
	if err != nil {
		return info, dev, err
	}
	info.ISA = fmt.Sprintf("sm_%d%d", major, minor)
	if major < kernels.MinMajor {
		info.Missing = fmt.Sprintf("compute capability %d.%d, want %d.0 or later", major, minor, kernels.MinMajor)
	}
	info.Memory, err = dev.TotalMem()
	return info, dev, err
}

// openDevice starts device number n.
func openDevice(n int) (*device, error) {
	devices, why := count()
	if why != "" {
		return nil, missing(n, "%s", why)
	}
	if n >= devices {
		return nil, missing(n, "this machine has %d CUDA device(s), numbered from 0", devices)
	}
	info, dev, err := probe(n)
	if err != nil {
		return nil, missing(n, "the device cannot be asked what it is: %v", err)
	}
	if info.Missing != "" {
		return nil, missing(n, "%s", info.Missing)
	}
	d := &device{info: info, calls: make(chan func()), ended: make(chan struct{}), functions: map[string]cu.Function{}, nodes: mostNodes, units: kernels.SweepUnits}
	started := make(chan error)
	go d.run(n, dev, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return d, nil
}

// run is the device's goroutine.
func (d *device) run(n int, dev cu.Device, started chan<- error) {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	defer close(d.ended)
	ctx, err := dev.RetainPrimaryCtx()
	if err != nil {
		started <- missing(n, "%s does not start: %v%s", d.info.Device, err, mode(dev))
		return
	}
	err = cu.SetCurrentContext(ctx)
	if err == nil {
		err = d.load()
	}
	if err != nil {
		_ = d.unload()
		_ = dev.ReleasePrimaryCtx()
		started <- missing(n, "%s does not take the kernels: %v", d.info.Device, err)
		return
	}
	started <- nil
	for f := range d.calls {
		f()
	}
	if d.lost.Load() != nil {
		// What the context holds goes with it; the error has been reported.
		_ = dev.ReleasePrimaryCtx()
		return
	}
	d.closeErr = cmp.Or(d.unload(), dev.ReleasePrimaryCtx())
}

func (d *device) load() error {
	entries := kernels.Kernels()
	modules := kernels.Modules()
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		m, err := compile(modules[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		d.modules = append(d.modules, m)
		for _, entry := range entries[name] {
			if d.functions[entry], err = m.Function(entry); err != nil {
				return err
			}
		}
	}
	var err error
	if d.table, err = upload(spin.TailTable()); err != nil {
		return err
	}
	// One that does not wait for the default stream: its captures leave other
	// users of the device alone.
	d.captures, err = cu.MakeStream(cu.NonBlocking)
	return err
}

// compile has the driver compile PTX. If its compiler fails it is asked once
// more, and for its reason.
func compile(ptx string) (cu.Module, error) {
	m, err := cu.LoadData(ptx)
	switch err {
	case cu.InvalidPtx, cu.InvalidImage, cu.NoBinaryForGpu, cu.InvalidSource, cu.JitCompilerNotFound, cu.OperatingSystem, cu.FileNotFound:
	default:
		return m, err
	}
	text := make([]byte, 4096)
	m, err = cu.LoadDataEx(ptx, &cu.JITErrorLogBuffer{Buffer: text})
	if said, _, _ := strings.Cut(string(text), "\x00"); err != nil && said != "" {
		err = fmt.Errorf("%w: %s", err, strings.Join(strings.Fields(said), " "))
	}
	return m, err
}

func (d *device) unload() error {
	var errs []error
	if d.captures != cu.NoStream {
		errs = append(errs, d.captures.Destroy())
	}
	if d.table != 0 {
		errs = append(errs, cu.MemFree(d.table))
	}
	for _, m := range d.modules {
		errs = append(errs, m.Unload())
	}
	return cmp.Or(errs...)
}

// do runs f on the device's thread. An error of the driver comes back as an
// *Error that says what was being done; once the device is lost, all jobs end
// with the error that said so.
func (d *device) do(doing string, f func() error) error {
	done := make(chan error, 1)
	job := func() {
		if lost := d.lost.Load(); lost != nil {
			done <- lost
			return
		}
		done <- d.failed(doing, f())
	}
	select {
	case d.calls <- job:
		return <-done
	case <-d.ended:
		return errors.New("backend is closed")
	}
}

func (d *device) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Device: "CUDA device " + d.info.Device, Doing: doing, Err: err}
	if e.Lost = slices.ContainsFunc(lasting, func(x error) bool { return errors.Is(err, x) }); e.Lost {
		d.lost.Store(e)
	}
	return e
}

// Close frees what the device holds.
func (d *device) Close() error {
	d.close.Do(func() {
		close(d.calls)
		<-d.ended
	})
	return d.failed("closing", d.closeErr)
}

// What follows runs on the device's thread.

// launch queues a kernel with grid x×y×z of blocks of the given number of
// threads. Arguments are kernel parameters in 64-bit cells.
func (d *device) launch(kernel string, x, y, z, threads int, arguments ...uint64) error {
	if d.noted != nil {
		*d.noted = append(*d.noted, launch{kernel, x, y, z, threads, arguments})
		return nil
	}
	cells := make([]unsafe.Pointer, len(arguments))
	for i := range arguments {
		cells[i] = unsafe.Pointer(&arguments[i])
	}
	return d.functions[kernel].Launch(x, y, z, threads, 1, 1, 0, d.stream, cells)
}

// memory is a piece of the device's memory that grows when it must.
type memory struct {
	at    cu.DevicePtr
	bytes int64
}

// hold makes room for n values of T, whose contents are undefined.
func hold[T any](m *memory, n int64) error {
	var x T
	bytes := max(n, 1) * int64(unsafe.Sizeof(x))
	if bytes <= m.bytes {
		return nil
	}
	if err := m.free(); err != nil {
		return err
	}
	at, err := cu.MemAlloc(bytes)
	if err == nil {
		m.at, m.bytes = at, bytes
	}
	return err
}

// free gives the memory back when nothing that is queued can use it any more.
func (m *memory) free() error {
	at := m.at
	m.at, m.bytes = 0, 0
	if at == 0 {
		return nil
	}
	return cmp.Or(cu.Synchronize(), cu.MemFree(at))
}

// fill makes room for s and copies it there.
func fill[T any](m *memory, s []T) error {
	if err := hold[T](m, int64(len(s))); err != nil || len(s) == 0 {
		return err
	}
	return cu.MemcpyHtoD(m.at, unsafe.Pointer(unsafe.SliceData(s)), bytesOf(s))
}

// fetch copies the first values of m to s.
func fetch[T any](s []T, m *memory) error {
	if len(s) == 0 {
		return nil
	}
	return cu.MemcpyDtoH(unsafe.Pointer(unsafe.SliceData(s)), m.at, bytesOf(s))
}

func (m *memory) zero() error {
	if m.bytes == 0 {
		return nil
	}
	return cu.MemsetD8(m.at, 0, m.bytes)
}

// u is the memory's place as a kernel's argument, off bytes in.
func (m *memory) u(off int64) uint64 { return uint64(m.at) + uint64(off) }

func bytesOf[T any](s []T) int64 { return int64(len(s)) * int64(unsafe.Sizeof(s[0])) }

// upload copies a slice to memory of its own.
func upload[T any](s []T) (cu.DevicePtr, error) {
	var m memory
	err := fill(&m, s)
	if err != nil {
		_ = m.free()
	}
	return m.at, err
}
