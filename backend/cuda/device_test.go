//go:build gpu && cgo

package cuda

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gorgonia.org/cu"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
)

// The program finds the driver when it runs and does not need it to start.
func TestNotLinked(t *testing.T) {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range libraries {
		if strings.HasPrefix(l, "libcuda") {
			t.Errorf("the program needs %s to start", l)
		}
	}
}

// Attributes of the simulated driver that count from the start of the process.
const (
	simCalls cu.DeviceAttribute = 1<<20 + iota
	simLaunches
	simToDevice
	simFromDevice
	simAllocations
	simObjects
	simGraphs
	simNodes
	simSpins
	simUnfailed
	simUnused
)

// simulated skips a test that only the simulated driver allows, and returns a
// way to ask for its counters.
func simulated(t *testing.T) func(cu.DeviceAttribute) int {
	t.Helper()
	if _, why := count(); why != "" {
		t.Skip(why)
	}
	dev, err := cu.GetDevice(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dev.Attribute(simCalls); err != nil {
		t.Skip("not a simulated device")
	}
	return func(a cu.DeviceAttribute) int {
		n, err := dev.Attribute(a)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

func TestMissing(t *testing.T) {
	simulated(t)
	refused := func(name, want string) {
		t.Helper()
		b, err := backend.Open(name, backend.Options{})
		var missing *backend.MissingError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): %v, %v, want a MissingError with %q", name, b, err, want)
		}
	}
	refused("cuda:1", "this machine has 1 CUDA device(s)")
	t.Setenv("CUSIM_VERSION", "10020")
	refused("cuda", "the NVIDIA driver is for CUDA 10.2, want 11.0 or later")
	t.Setenv("CUSIM_VERSION", "11000")
	t.Setenv("CUSIM_CAPABILITY", "75")
	refused("cuda", "compute capability 7.5, want 8.0 or later")
	if list := devices(); len(list) != 1 || list[0].Missing == "" || list[0].ISA != "sm_75" {
		t.Errorf("devices are %+v", list)
	}
	t.Setenv("CUSIM_CAPABILITY", "90")
	t.Setenv("CUSIM_DEVICES", "2")
	b, err := backend.Open("cuda:1", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if i := b.Info(); i.ISA != "sm_90" || i.Backend != "cuda" || i.Memory == 0 || !strings.Contains(i.Note, "CPU") {
		t.Errorf("the device is %+v", i)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if list := devices(); len(list) != 2 || list[1].Note == "" || list[1].Missing != "" {
		t.Errorf("devices are %+v", list)
	}
	t.Setenv("CUSIM_DEVICES", "0")
	refused("cuda", "finds no device")
}

// A driver whose compiler fails is asked once more; if it stays with that, its
// words come out.
func TestCompiler(t *testing.T) {
	counter := simulated(t)
	start := func() (int, error) {
		calls := counter(simCalls)
		b, err := New(backend.Options{Threads: 1})
		if err == nil {
			err = b.Close()
		}
		return counter(simCalls) - calls, err
	}
	calls, err := start()
	if err != nil {
		t.Fatal(err)
	}
	mended := 0
	for i := 1; i <= calls; i++ {
		t.Setenv("CUSIM_FAIL", fmt.Sprintf("%d:218", counter(simCalls)+i))
		if _, err := start(); err == nil {
			mended++
		}
	}
	t.Setenv("CUSIM_FAIL", "")
	if want := len(kernels.Modules()); mended != want {
		t.Errorf("%d calls can fail once without harm, want those for %d modules", mended, want)
	}
	objects := counter(simObjects)
	t.Setenv("CUSIM_REFUSE", "ptxas application ptx input, line 9\nfatal: no such instruction")
	_, err = start()
	var missing *backend.MissingError
	if !errors.As(err, &missing) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "InvalidPtx: ptxas application ptx input, line 9 fatal: no such instruction") {
		t.Errorf("a driver that refuses the kernels: %v", err)
	}
	if n := counter(simObjects); n != objects {
		t.Errorf("%d objects are left", n-objects)
	}
}

// A device that nobody may use is missing, and says why; the others are used.
func TestModeAndVisible(t *testing.T) {
	simulated(t)
	t.Setenv("CUSIM_MODE", "2")
	_, err := backend.Open("cuda:0", backend.Options{})
	var missing *backend.MissingError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "does not start") || !strings.Contains(err.Error(), "its compute mode is prohibited") {
		t.Errorf("a device that nobody may use: %v", err)
	}
	b, err := backend.Open("auto", backend.Options{})
	if err != nil || b.Info().Backend != "cpu" {
		t.Errorf("auto beside it is %v, %v", b, err)
	}
	t.Setenv("CUSIM_MODE", "0")
	t.Setenv("CUDA_VISIBLE_DEVICES", "")
	t.Setenv("CUSIM_DEVICES", "0")
	if _, why := count(); !strings.HasSuffix(why, `finds no device with CUDA_VISIBLE_DEVICES=""`) {
		t.Errorf("hidden devices: %s", why)
	}
}

// The first device is of no use, the second is: --backend cuda takes that.
func TestFirstDeviceUnusable(t *testing.T) {
	counter := simulated(t)
	t.Setenv("CUSIM_DEVICES", "2")
	start := func() (*Backend, int, error) {
		calls := counter(simCalls)
		b, err := New(backend.Options{All: true})
		return b, counter(simCalls) - calls, err
	}
	b, calls, err := start()
	if err != nil || len(b.devices) != 2 {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	alone := 0
	for i := 1; i <= calls; i++ {
		t.Setenv("CUSIM_FAIL", fmt.Sprint(counter(simCalls)+i))
		b, _, err := start()
		t.Setenv("CUSIM_FAIL", "")
		if err != nil {
			continue // devices cannot even be counted
		}
		if len(b.devices) == 1 {
			alone++
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if alone < calls/2 {
		t.Errorf("one of two devices is used after %d of %d calls that fail", alone, calls)
	}
}

// A device that is lost says so once and for all, lets go of everything, and
// can be opened again.
func TestDeviceLost(t *testing.T) {
	counter := simulated(t)
	allocations, objects := counter(simAllocations), counter(simObjects)
	b, err := New(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	spec := backend.SamplerSpec{Network: quantized(t, backendtest.RandomRBM(5, 3, 1, 1)), Chains: 3}
	s, err := b.NewSampler(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CUSIM_FAIL", fmt.Sprintf("%d:700", counter(simCalls)+1))
	first := s.Sweep(context.Background(), 1)
	t.Setenv("CUSIM_FAIL", "")
	if !errors.Is(first, syscall.EIO) || !strings.Contains(first.Error(), "lost while sweeping: IllegalAddress") {
		t.Fatalf("the device is lost: %v", first)
	}
	calls := counter(simCalls)
	_, err = b.NewSampler(spec)
	if !errors.Is(err, first) {
		t.Errorf("another job on it: %v, want %v", err, first)
	}
	if err := s.Close(); !errors.Is(err, first) {
		t.Errorf("closing chains on it: %v, want %v", err, first)
	}
	if n := counter(simCalls); n != calls {
		t.Errorf("%d calls of a driver that refuses them", n-calls)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if a, o := counter(simAllocations), counter(simObjects); a != allocations || o != objects {
		t.Errorf("%d allocations and %d objects are left", a-allocations, o-objects)
	}
	if s, err = open(t).NewSampler(spec); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Sweep(context.Background(), 1), s.Close()); err != nil {
		t.Error(err)
	}
}

// Jobs that the device does not win are left to the CPU, but only if it was
// not asked for by name.
func TestAuto(t *testing.T) {
	simulated(t)
	b, err := backend.Open("auto", backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Info().Backend != "cuda" {
		t.Fatalf("auto is %s", b.Info().Backend)
	}
	n := quantized(t, backendtest.RandomRBM(128, 64, 1, 1))
	for chains, onDevice := range map[int]bool{511: false, 512: true} {
		s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: chains})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := s.(*spread); ok != onDevice {
			t.Errorf("%d chains: on the device %v, want %v", chains, ok, onDevice)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	model := backendtest.RandomRBM(128, 64, 1, 1)
	for chains, onDevice := range map[int]bool{511: false, 512: true} {
		tr, err := b.NewTrainer(backend.TrainerSpec{Model: model, Algorithm: backend.PCD, K: 1, Chains: chains})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := tr.(*trainer); ok != onDevice {
			t.Errorf("training with %d chains: on the device %v, want %v", chains, ok, onDevice)
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
}

// So are all other jobs, at the sizes that docs/gpu.md names for one thread.
func TestAutoJobs(t *testing.T) {
	counter := simulated(t)
	b, err := New(backend.Options{Threads: 1, Auto: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx := context.Background()
	n := quantized(t, backendtest.RandomRBM(128, 64, 1, 1))
	small := quantized(t, backendtest.RandomRBM(128, 19, 1, 1))
	for name, c := range map[string]struct {
		kept, taken int // sizes for the CPU and for the device; never if 0
		do          func(size int) error
	}{
		"energies": {511, 512, func(chains int) error {
			return b.Energy(ctx, backend.EnergyJob{Network: n, States: spin.NewBatch(192, chains)}, make([]int64, chains))
		}},
		"free energies": {511, 512, func(chains int) error {
			return b.FreeEnergy(ctx, backend.FreeEnergyJob{Network: n, Summed: 1, States: spin.NewBatch(128, chains)}, make([]float64, chains))
		}},
		"means": {127, 128, func(chains int) error {
			return b.Means(ctx, backend.MeansJob{Network: n, Chains: chains, Steps: 4, Visible: make([]float64, 128*chains)})
		}},
		"enumeration": {27, 28, func(spins int) error {
			_, err := b.Enumerate(ctx, backendtest.RandomIsing(spins, 1, 1, 1))
			return err
		}},
		"enumeration of an RBM": {18, 19, func(hidden int) error {
			net := small
			if hidden < 19 {
				net = quantized(t, backendtest.RandomRBM(128, hidden, 1, 1))
			}
			_, err := b.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: net})
			return err
		}},
		"lattices": {12, 16, func(replicas int) error {
			l, err := b.NewLattice(backend.LatticeSpec{Width: 1024, Height: 1024, Replicas: replicas, Temperatures: []float64{2}})
			if err != nil {
				return err
			}
			return errors.Join(l.Sweep(ctx, 1), l.Close())
		}},
		"roots": {1<<15 - 1, 1 << 15, func(count int) error {
			job := backend.RootsJob{Visible: 2, Hidden: 2, Count: count, Weight: make([]float64, 2*count)}
			for i := range job.Weight {
				job.Weight[i] = 3 - 2*float64(i/count)
			}
			return b.Roots(ctx, job, backend.RootsResult{W: make([]float64, count)})
		}},
		"roots of couplings": {1 << 17, 0, func(count int) error {
			return b.Roots(ctx, backend.RootsJob{Visible: 4, Hidden: 2, K: make([]float64, count)}, backend.RootsResult{W: make([]float64, count)})
		}},
	} {
		launches := func(size int) int {
			before := counter(simLaunches)
			if err := c.do(size); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return counter(simLaunches) - before
		}
		if n := launches(c.kept); n != 0 {
			t.Errorf("%s of size %d take %d launches, want none", name, c.kept, n)
		}
		if c.taken > 0 && launches(c.taken) == 0 {
			t.Errorf("%s of size %d are left to the CPU", name, c.taken)
		}
	}
}

// job does some of everything.
func job(b backend.Backend, spec backend.SamplerSpec, other *spin.Network) error {
	s, err := b.NewSampler(spec)
	if err != nil {
		return err
	}
	state := spin.NewBatch(spec.Network.Units(), spec.Chains)
	var m backend.Moments
	for _, step := range []func() error{
		func() error { return sweep(s, 2) },
		func() error { return sweep(s, 2) },
		func() error { return s.SetNetwork(other) },
		func() error { return s.SetTemperatures([]float64{2}) },
		func() error { return sweep(s, 1) },
		func() error { return s.State(state) },
		func() error { return s.SetState(state) },
		func() error { return s.Moments(&m) },
		s.ResetMoments,
	} {
		if err = step(); err != nil {
			break
		}
	}
	return errors.Join(err, s.Close())
}

// learn trains a little.
func learn(b backend.Backend, spec backend.TrainerSpec) error {
	t, err := b.NewTrainer(spec)
	if err != nil {
		return err
	}
	var stats backend.Statistics
	var state backend.TrainerState
	data := backend.TrainingBatch{Data: spin.NewBatch(spec.Model.Layers[0], 3)}
	for _, step := range []func() error{
		func() error { return t.Gather(context.Background(), data) },
		func() error { return t.Gather(context.Background(), data) },
		func() error { return t.Statistics(&stats) },
		func() error { return t.SetStatistics(&stats) },
		func() error { return t.Update(backend.Update{WeightRate: 0.1, Momentum: 0.5}) },
		func() error { return t.Save(&state) },
		func() error { return t.Load(&state) },
	} {
		if err = step(); err != nil {
			break
		}
	}
	return errors.Join(err, t.Close())
}

// jobs are one of each kind, small.
func jobs(t *testing.T) map[string]func(b *Backend) error {
	t.Helper()
	ctx := context.Background()
	net := func(seed uint64) *spin.Network {
		n := backendtest.RandomRBM(5, 3, 1, seed)
		sparse := backendtest.Torus(3, 1, 0)
		n.Layers = append(n.Layers, 9)
		n.Bias = append(n.Bias, sparse.Bias...)
		torus := sparse.Blocks[0]
		torus.A, torus.B = 2, 2
		n.Blocks = append(n.Blocks, torus)
		return quantized(t, n)
	}
	spec := backend.SamplerSpec{
		Network: net(1), Chains: 3, Base: make([]int32, 17), Mix: 1 << 20,
		Moments: backend.MomentSpec{Means: true, Edges: true},
	}
	other := net(2)
	training := backend.TrainerSpec{
		Model: backendtest.RandomRBM(5, 3, 1, 1), Algorithm: backend.PT, K: 2, Chains: 2, Temperatures: []float64{1, 2},
	}
	tied := backend.TrainerSpec{Model: backendtest.RandomRBM(5, 1, 0, 1), Algorithm: backend.CD, K: 1, Tied: true}
	alone := backend.SamplerSpec{Network: quantized(t, backendtest.RandomRBM(5, 3, 1, 3)), Chains: 3}
	long := backend.SamplerSpec{Network: alone.Network, Chains: kernels.BlockChains + 1}
	rbm, torus := quantized(t, backendtest.RandomRBM(5, 3, 1, 3)), quantized(t, backendtest.Torus(3, 1, 0))
	f, way := make([]float64, 12), []uint32{0, 1, 2, 3, 1 << 12, 1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 24}
	energies := make([]int64, 4)
	ising := backendtest.RandomIsing(5, 3, 3, 1)
	ising.Histogram, ising.Betas = true, []float64{0.5}
	return map[string]func(b *Backend) error{
		"sampler":  func(b *Backend) error { return job(b, spec, other) },
		"small":    func(b *Backend) error { return job(b, alone, rbm) },
		"trainer":  func(b *Backend) error { return learn(b, training) },
		"tied":     func(b *Backend) error { return learn(b, tied) },
		"trainers": func(b *Backend) error { return learn(spreading{b}, training) },
		"energy": func(b *Backend) error {
			return b.Energy(ctx, backend.EnergyJob{Network: rbm, States: spin.NewBatch(8, 3)}, energies[:3])
		},
		"energy of lists": func(b *Backend) error {
			return b.Energy(ctx, backend.EnergyJob{Network: torus, States: spin.NewBatch(9, 3)}, energies[:3])
		},
		"free energy": func(b *Backend) error {
			return b.FreeEnergy(ctx, backend.FreeEnergyJob{Network: rbm, Summed: 1, States: spin.NewBatch(5, 3), Base: make([]int32, 8), Mix: way[:2]}, f[:6])
		},
		"means": func(b *Backend) error {
			return b.Means(ctx, backend.MeansJob{Network: rbm, Chains: 2, Steps: 1, Visible: make([]float64, 10)})
		},
		"enumeration": func(b *Backend) error {
			_, err := b.Enumerate(ctx, ising)
			return err
		},
		"enumeration of an RBM": func(b *Backend) error {
			_, err := b.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: rbm})
			return err
		},
		"table of roots": func(b *Backend) error {
			return b.Roots(ctx, backend.RootsJob{Visible: 4, Hidden: 2, K: []float64{0.5}}, backend.RootsResult{W: f[:1]})
		},
		"roots": func(b *Backend) error {
			return b.Roots(ctx, backend.RootsJob{Visible: 2, Hidden: 2, Count: 1, Weight: []float64{3, 1}, Low: make([]float64, 2)}, backend.RootsResult{W: f[:1]})
		},
		"annealing": func(b *Backend) error {
			s, err := b.NewSampler(backend.SamplerSpec{Network: rbm, Chains: 3, Base: make([]int32, 8)})
			if err != nil {
				return err
			}
			s.(*spread).walk.part = 64
			done, err := s.(backend.Annealer).Anneal(ctx, rbm.Bias, way, f[:3], f[3:])
			if !done && err == nil {
				err = errors.New("not annealed")
			}
			return errors.Join(err, s.Close())
		},
		"long sweeps": func(b *Backend) error {
			s, err := b.NewSampler(long)
			if err != nil {
				return err
			}
			s.(*spread).parts[0].size = kernels.BlockChains
			return errors.Join(s.Sweep(ctx, 1), s.Close())
		},
		"long training": func(b *Backend) error {
			tr, err := b.NewTrainer(backend.TrainerSpec{Model: backendtest.RandomRBM(5, 3, 1, 1), Algorithm: backend.PCD, K: 1, Chains: long.Chains})
			if err != nil {
				return err
			}
			tr.(*trainer).size = kernels.BlockChains
			return errors.Join(tr.Gather(ctx, backend.TrainingBatch{Data: spin.NewBatch(5, 3)}), tr.Close())
		},
		"lattice": func(b *Backend) error {
			l, err := b.NewLattice(backend.LatticeSpec{Width: 4, Height: 4, Replicas: 2, Temperatures: []float64{1, 2}, Exchange: 1})
			if err != nil {
				return err
			}
			spins := make([]int8, 16)
			return errors.Join(l.Record(ctx, 2, 2, energies[:2], nil), l.SetState(0, spins), l.State(1, spins), l.SetTemperatures([]float64{2, 3}),
				l.SetLevels([]int{1, 0}), l.Close())
		},
		"lattice alone": func(b *Backend) error {
			l, err := b.NewLattice(backend.LatticeSpec{Width: 4, Height: 4, Replicas: 2, Temperatures: []float64{2}})
			if err != nil {
				return err
			}
			var errs []error
			for range 2 {
				errs = append(errs, sweep(l, 2))
				inOnePiece(l, 4)
				errs = append(errs, l.Record(ctx, 4, 2, energies[:4], nil))
			}
			return errors.Join(append(errs, l.Close())...)
		},
	}
}

// graphed are jobs that launch graphs.
var graphed = []string{"sampler", "trainer", "annealing", "lattice alone"}

// Every call of the driver fails once: the error comes out, names the device,
// and leaves nothing behind.
func TestEveryCallFails(t *testing.T) {
	counter := simulated(t)
	fails := func(t *testing.T, run func() error) {
		t.Helper()
		if err := run(); err != nil {
			t.Fatal(err)
		}
		start, allocations, objects := counter(simCalls), counter(simAllocations), counter(simObjects)
		if err := run(); err != nil {
			t.Fatal(err)
		}
		calls := counter(simCalls) - start
		if calls < 8 {
			t.Fatalf("%d calls in all", calls)
		}
		stride := 1
		if testing.Short() {
			stride = 7
		}
		for i := 1; i <= calls; i += stride {
			t.Setenv("CUSIM_FAIL", fmt.Sprint(counter(simCalls)+i))
			err := run()
			t.Setenv("CUSIM_FAIL", "")
			if err == nil {
				t.Fatalf("call %d of %d fails and nobody says so", i, calls)
			}
			var missing *backend.MissingError
			if !errors.As(err, &missing) && !(errors.Is(err, syscall.EIO) && strings.Contains(err.Error(), "CUDA device")) {
				t.Errorf("call %d of %d: %v", i, calls, err)
			}
			if a, o := counter(simAllocations), counter(simObjects); a != allocations || o != objects {
				t.Fatalf("call %d of %d fails and leaves %d allocations and %d other objects: %v", i, calls, a-allocations, o-objects, err)
			}
		}
	}
	t.Run("opening", func(t *testing.T) {
		fails(t, func() error {
			b, err := New(backend.Options{Threads: 1})
			if err != nil {
				return err
			}
			return b.Close()
		})
	})
	for name, job := range jobs(t) {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			b.devices[0].nodes = 32 // so that few sweeps are graphs
			if slices.Contains(graphed, name) {
				b.devices[0].units = 0
			}
			graphs := counter(simGraphs)
			fails(t, func() error { return job(b) })
			if slices.Contains(graphed, name) && counter(simGraphs) == graphs {
				t.Error("no graph")
			}
		})
	}
	if testing.Short() {
		return
	}
	if n := counter(simUnfailed); n > 0 {
		t.Errorf("%d functions of the driver never failed", n)
	}
}

// Chains that were lost with the device stay lost.
func TestFailureStays(t *testing.T) {
	counter := simulated(t)
	b := open(t)
	s, err := b.NewSampler(backend.SamplerSpec{Network: quantized(t, backendtest.RandomRBM(5, 3, 1, 1)), Chains: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	t.Setenv("CUSIM_FAIL", fmt.Sprint(counter(simCalls)+1))
	ctx := context.Background()
	first := s.Sweep(ctx, 1)
	if first == nil {
		t.Fatal("no error")
	}
	state := spin.NewBatch(8, 3)
	for _, err := range []error{s.Sweep(ctx, 1), s.State(state), s.SetState(state), s.ResetMoments(), s.SetMix(0)} {
		if err == nil || err.Error() != first.Error() {
			t.Errorf("after %q: %v", first, err)
		}
	}
}

// A job that is too large for the device is one line that says so, and leaves
// nothing.
func TestJobsOutOfMemory(t *testing.T) {
	counter := simulated(t)
	for name, job := range jobs(t) {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			before := counter(simAllocations)
			t.Setenv("CUSIM_MEMORY", fmt.Sprint(4*(12<<11+2))) // of the table alone
			err := job(b)
			if !errors.Is(err, syscall.ENOMEM) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "out of memory") {
				t.Errorf("%v", err)
			}
			if after := counter(simAllocations); after != before {
				t.Errorf("%d allocations before, %d after", before, after)
			}
		})
	}
}

func TestOutOfMemory(t *testing.T) {
	counter := simulated(t)
	b := open(t)
	before := counter(simAllocations)
	t.Setenv("CUSIM_MEMORY", "2000000")
	n := quantized(t, backendtest.RandomRBM(300, 200, 1, 1))
	_, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: 100000})
	if !errors.Is(err, syscall.ENOMEM) || !strings.Contains(err.Error(), "out of memory starting chains: use fewer chains") {
		t.Errorf("too many chains: %v", err)
	}
	if after := counter(simAllocations); after != before {
		t.Errorf("%d allocations before, %d after", before, after)
	}
	s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: 10})
	if err != nil {
		t.Fatalf("fewer chains: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Weights go to the device once for each network.
func TestTraffic(t *testing.T) {
	counter := simulated(t)
	b := open(t)
	n := quantized(t, backendtest.RandomRBM(67, 43, 1, 1))
	s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: 70})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	to, from := counter(simToDevice), counter(simFromDevice)
	if err := s.SetNetwork(n); err != nil {
		t.Fatal(err)
	}
	to, from = counter(simToDevice)-to, counter(simFromDevice)-from
	if most := 4 * (67*43 + 96 + 64); to > most || from != 0 {
		t.Errorf("new weights are %d bytes to the device and %d from it; want at most %d and 0", to, from, most)
	}
}

// A half step writes the spins of each group of 16 units once; many sweeps in a
// launch write each word once, at their end.
func TestSpinsWrittenOnce(t *testing.T) {
	counter := simulated(t)
	for digits, limit := range map[int]float32{2: 0.001, 3: 0.5, 4: 3} {
		n := backendtest.RandomRBM(67, 43, 1, 1)
		for i := range n.Blocks[0].W {
			n.Blocks[0].W[i] = limit * float32(i%3-1)
		}
		q := quantized(t, n)
		if d := kernels.Digits(q.Blocks[0].W); d != digits {
			t.Fatalf("weights of %d digits, want %d", d, digits)
		}
		const chains, groups, words = 70, 5 + 3, 3 + 2
		written := func(units, sweeps int) int {
			b := open(t)
			b.devices[0].units = min(units, b.devices[0].units)
			s, err := b.NewSampler(backend.SamplerSpec{Network: q, Chains: chains})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			before := counter(simSpins)
			if err := sweep(s, sweeps); err != nil {
				t.Fatal(err)
			}
			return counter(simSpins) - before
		}
		tiles := groups
		if digits == 2 {
			tiles = 6 + 4 // of 32 units
		}
		for _, sweeps := range []int{1, 8} {
			if got, want := written(0, sweeps), 2*tiles*chains*sweeps; got != want {
				t.Errorf("%d digits: %d sweeps write %d bytes of spins, want %d", digits, sweeps, got, want)
			}
			if got, want := written(kernels.SweepUnits, sweeps), 4*words*2*kernels.SweepChains; got != want {
				t.Errorf("%d digits: %d sweeps in a launch write %d bytes of spins, want %d", digits, sweeps, got, want)
			}
		}
	}
}

// A step of training brings the batch to the device and the number of fraction
// bits back: no weights and no chains.
func TestTrainingTraffic(t *testing.T) {
	counter := simulated(t)
	tr, err := open(t).NewTrainer(backend.TrainerSpec{Model: backendtest.RandomRBM(67, 43, 1, 1), Algorithm: backend.PCD, K: 3, Chains: 70})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	batch := backend.TrainingBatch{Data: spin.NewBatch(67, 90)}
	for step := range 3 {
		to, from := counter(simToDevice), counter(simFromDevice)
		for _, err := range []error{tr.Gather(context.Background(), batch), tr.Update(backend.Update{WeightRate: 0.1, BiasRate: 0.1})} {
			if err != nil {
				t.Fatal(err)
			}
		}
		to, from = counter(simToDevice)-to, counter(simFromDevice)-from
		spins := 96 * 256 / 8 // 67 units in three words, 90 chains in a block
		if step == 0 {
			spins += 8 * 256 // their temperature, once
		}
		if to != spins+12 || from != 12 {
			t.Errorf("step %d: %d bytes to the device and %d from it, want %d and 12", step, to, from, spins+12)
		}
	}
}

// A step that was stopped, or whose device failed, says so until a state is
// loaded, or for good.
func TestBrokenTraining(t *testing.T) {
	counter := simulated(t)
	tr, err := open(t).NewTrainer(backend.TrainerSpec{Model: backendtest.RandomRBM(7, 5, 1, 1), Algorithm: backend.PCD, K: 1, Chains: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	var state backend.TrainerState
	if err := tr.Save(&state); err != nil {
		t.Fatal(err)
	}
	batch := backend.TrainingBatch{Data: spin.NewBatch(7, 4)}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if err := tr.Gather(stopped, batch); !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped step returns %v", err)
	}
	if err := tr.Update(backend.Update{}); err == nil {
		t.Error("a step that was stopped can be finished")
	}
	if err := errors.Join(tr.Load(&state), tr.Gather(context.Background(), batch)); err != nil {
		t.Errorf("after loading: %v", err)
	}
	t.Setenv("CUSIM_FAIL", fmt.Sprint(counter(simCalls)+1))
	first := tr.Gather(context.Background(), batch)
	if !errors.Is(first, syscall.EIO) {
		t.Errorf("a failing device: %v", first)
	}
	if err := tr.Load(&state); !errors.Is(err, syscall.EIO) {
		t.Errorf("loading after the device failed: %v", err)
	}
}

// The temperatures of annealing copy nothing between the first and the last.
func TestTrafficOfAnnealing(t *testing.T) {
	counter := simulated(t)
	b := open(t)
	ctx := context.Background()
	n := quantized(t, backendtest.RandomRBM(33, 31, 1, 1))
	s, err := b.NewSampler(backend.SamplerSpec{Network: n, Chains: 10, Base: make([]int32, 64)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	anneal := func(points int) (launches, nodes, to, from int) {
		launches, nodes, to, from = counter(simLaunches), counter(simNodes), counter(simToDevice), counter(simFromDevice)
		s.(*spread).walk.part = points
		if _, err := s.(backend.Annealer).Anneal(ctx, n.Bias, make([]uint32, points), make([]float64, 10), nil); err != nil {
			t.Fatal(err)
		}
		return counter(simLaunches) - launches, counter(simNodes) - nodes, counter(simToDevice) - to, counter(simFromDevice) - from
	}
	if l, n, _, _ := anneal(3); l != 9 || n != 0 { // the last has no sweep
		t.Errorf("2 temperatures of annealing are %d launches and %d nodes of graphs, want 9 and 0", l, n)
	}
	l1, n1, to1, from1 := anneal(2 + 2*32)
	l2, n2, to2, from2 := anneal(2 + 6*32)
	if l2 != l1 || n2-n1 != 4*(5*32+1) || to2-to1 != 4*32*4 || from2 != from1 {
		t.Errorf("128 temperatures of annealing are %d launches, %d nodes of graphs, %d bytes to the device and %d from it; want 0, %d, 512 and 0",
			l2-l1, n2-n1, to2-to1, from2-from1, 4*(5*32+1))
	}
}
