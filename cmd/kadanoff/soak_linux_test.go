package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/backend/cpu"
	"kadanoff/model/modelfile"
	"kadanoff/model/npy"
	"kadanoff/spin"
)

// soak skips tests that run for minutes, which make soak asks for.
func soak(t *testing.T) {
	t.Helper()
	if os.Getenv("KADANOFF_SOAK") == "" {
		t.Skip("make soak runs it")
	}
}

// resident returns a number of bytes from a process's status: VmRSS, or VmHWM
// for the most so far. It is 0 when the process has gone.
func resident(pid int, field string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == field+":" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// complete runs a program to its end and returns the most memory it had, in
// bytes, and what it wrote to stdout.
func complete(t *testing.T, exe string, args ...string) (peak int64, stdout string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("kadanoff %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	peak = int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10
	t.Logf("kadanoff %s: %.1f s, at most %d MB", args[0], time.Since(began).Seconds(), peak>>20)
	return peak, out.String()
}

// saveRBM writes a model of small weights, the same in every row, and returns
// its path and visible biases.
func saveRBM(t *testing.T, visible, hidden int) (path string, bias []float32) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(visible), uint64(hidden)))
	m := &modelfile.RBM{
		Units: modelfile.Spin, Visible: visible, Hidden: hidden,
		W: make([]float32, visible*hidden), B: make([]float32, visible), C: make([]float32, hidden),
	}
	for a := range hidden {
		m.W[a] = float32(0.05 * r.NormFloat64())
	}
	for i := 1; i < visible; i++ {
		copy(m.W[i*hidden:], m.W[:hidden])
	}
	for i := range m.B {
		m.B[i] = float32(r.NormFloat64())
	}
	path = filepath.Join(t.TempDir(), "m.safetensors")
	if err := modelfile.Save(path, &modelfile.Model{RBM: m}); err != nil {
		t.Fatal(err)
	}
	return path, m.B
}

// Sampling takes the packed weights in both directions and the chains, and 64 MB
// beyond the weights of the file: what was read goes when it is packed.
func TestSampleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 0.3 GB")
	}
	const units, chains = 4096, 256
	path, _ := saveRBM(t, units, units)
	peak, _ := complete(t, program(t), "sample", path, "--chains", strconv.Itoa(chains), "--sweeps", "1", "--out", filepath.Join(t.TempDir(), "s.npy"))
	const weights, most = 4 * units * units, 3*4*units*units + 2*units*chains/8 + 64<<20
	if peak > most {
		t.Errorf("%d MB for %d MB of weights, want at most %d MB", peak>>20, weights>>20, most>>20)
	}
}

// A day of sweeps of 784×500×1000, as many sweeps of a small machine: memory
// stays what it was after the first quarter.
func TestSoakSweeps(t *testing.T) {
	soak(t)
	exe := program(t)
	path, _ := saveRBM(t, 13, 11)
	sweeps := number(t, "KADANOFF_SOAK_SWEEPS", 41_000_000)
	for _, args := range [][]string{
		{"sample", path, "--chains", "64", "--sweeps", strconv.Itoa(sweeps), "--threads", "1", "--out", filepath.Join(t.TempDir(), "s.npy")},
		{"sample", path, "--chains", "1000", "--sweeps", strconv.Itoa(sweeps / 20), "--threads", "2", "--out", filepath.Join(t.TempDir(), "s.npy")},
		{"ising", "--lattice", "torus:128", "--t", "2.269", "--chains", "64", "--burn-in", strconv.Itoa(sweeps / 50), "--sweeps", "100", "--threads", "2"},
	} {
		var errs bytes.Buffer
		cmd := exec.Command(exe, args...)
		cmd.Stderr = &errs
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var sizes []int64
		var err error
		for running := true; running; {
			select {
			case err = <-ended:
				running = false
			case <-time.After(100 * time.Millisecond):
				if x := resident(cmd.Process.Pid, "VmRSS"); x > 0 {
					sizes = append(sizes, x)
				}
			}
		}
		if err != nil {
			t.Fatalf("kadanoff %s: %v\n%s", args[0], err, errs.String())
		}
		if len(sizes) < 20 {
			t.Errorf("kadanoff %s: %d looks at its memory, want at least 20: more KADANOFF_SOAK_SWEEPS", args[0], len(sizes))
			continue
		}
		early, late := slices.Max(sizes[:len(sizes)/4]), slices.Max(sizes[len(sizes)/4:])
		t.Logf("kadanoff %s: %.1f s; memory %.1f MB in the first quarter, %.1f MB after", strings.Join(args, " "),
			time.Since(began).Seconds(), float64(early)/(1<<20), float64(late)/(1<<20))
		if late > early+8<<20 {
			t.Errorf("kadanoff %s: memory grew from %d to %d MB", args[0], early>>20, late>>20)
		}
	}
}

// 65536×4096 weights are sampled within 4 GB and trained within 8.
// KADANOFF_SOAK_VISIBLE makes them fewer, the limits in proportion.
func TestSoakLarge(t *testing.T) {
	soak(t)
	visible, hidden := number(t, "KADANOFF_SOAK_VISIBLE", 65536), 4096
	limit := func(bytes float64) int64 { return 64<<20 + int64(bytes*float64(visible)/65536) }
	if err := backend.CheckMemory("a large model", float64(limit(9e9))); err != nil {
		t.Skip(err)
	}
	exe, dir := program(t), t.TempDir()
	model, _ := saveRBM(t, visible, hidden)
	if peak, _ := complete(t, exe, "sample", model, "--chains", "64", "--sweeps", "2", "--out", filepath.Join(dir, "s.npy")); peak > limit(4e9) {
		t.Errorf("sampling took %.2f GB, want at most %.2f", float64(peak)/1e9, float64(limit(4e9))/1e9)
	}
	if err := os.Remove(model); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data.npy")
	x := make([]int8, 100*visible)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = int8(r.IntN(2))
	}
	if err := npy.WriteFile(data, x, 100, visible); err != nil {
		t.Fatal(err)
	}
	peak, _ := complete(t, exe, "train", data, "--hidden", strconv.Itoa(hidden), "--epochs", "1", "--batch", "100", "--chains", "100", "--out", filepath.Join(dir, "run"))
	if peak > limit(8e9) {
		t.Errorf("training took %.2f GB, want at most %.2f", float64(peak)/1e9, float64(limit(8e9))/1e9)
	}
}

// A million chains: each unit's mean over them is that of the model, whose
// hidden units hear nothing.
func TestSoakChains(t *testing.T) {
	soak(t)
	chains := number(t, "KADANOFF_SOAK_CHAINS", 1_000_000)
	const visible, hidden = 61, 53
	r := rand.New(rand.NewPCG(5, 6))
	m := &modelfile.RBM{Units: modelfile.Spin, Visible: visible, Hidden: hidden, W: make([]float32, visible*hidden), B: make([]float32, visible), C: make([]float32, hidden)}
	for i := range m.B {
		m.B[i] = float32(r.NormFloat64())
	}
	dir := t.TempDir()
	model, out := filepath.Join(dir, "m.safetensors"), filepath.Join(dir, "s.npy")
	if err := modelfile.Save(model, &modelfile.Model{RBM: m}); err != nil {
		t.Fatal(err)
	}
	complete(t, program(t), "sample", model, "--chains", strconv.Itoa(chains), "--sweeps", "20", "--out", out)
	samples, err := npy.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer samples.Close()
	sums, row := make([]float64, visible), make([]float64, visible)
	for range chains {
		if _, err := samples.Read(row); err != nil {
			t.Fatal(err)
		}
		for i, s := range row {
			sums[i] += s
		}
	}
	for i, b := range m.B {
		want := math.Tanh(float64(b))
		if got, err := sums[i]/float64(chains), math.Sqrt((1-want*want)/float64(chains)); math.Abs(got-want) > 6*err {
			t.Errorf("unit %d: mean %v, want %v ± %v", i, got, want, err)
		}
	}
}

// Calls are cancelled at random moments and taken up again: nothing is lost,
// and none takes long to end. KADANOFF_SOAK_CANCELS says how often.
func TestSoakCancel(t *testing.T) {
	soak(t)
	cancels := number(t, "KADANOFF_SOAK_CANCELS", 500)
	const sweeps = 4000
	q, err := spin.Quantize(backendtest.RandomRBM(301, 257, 0.1, 3))
	if err != nil {
		t.Fatal(err)
	}
	chance := rand.New(rand.NewPCG(1, 2))
	slowest := time.Duration(0)
	// interrupted calls do until it has not been cancelled.
	interrupted := func(do func(ctx context.Context) error) (times int) {
		for {
			ctx, cancel := context.WithCancel(context.Background())
			var at time.Time
			timer := time.AfterFunc(time.Duration(chance.Int64N(int64(20*time.Millisecond))), func() {
				at = time.Now()
				cancel()
			})
			err := do(ctx)
			if !timer.Stop() {
				<-ctx.Done()
			}
			if err == nil {
				cancel()
				return times
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			slowest = max(slowest, time.Since(at))
			times++
		}
	}
	done := 0
	for _, threads := range []int{1, 2, 7} {
		b, err := cpu.New(backend.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		spec := backend.SamplerSpec{Network: q, Chains: 200, Seed: 9, Moments: backend.MomentSpec{Means: true}}
		grid := backend.LatticeSpec{Width: 1000, Height: 998, Replicas: 1, Temperatures: []float64{2.3}, Random: true, Seed: 4}
		states := [2]*spin.Batch{spin.NewBatch(q.Units(), spec.Chains), spin.NewBatch(q.Units(), spec.Chains)}
		spins := [2][]int8{make([]int8, 1000*998), make([]int8, 1000*998)}
		for round := 0; done < cancels*(1+slices.Index([]int{1, 2, 7}, threads))/3; round++ {
			for k := range states {
				s, err := b.NewSampler(spec)
				if err != nil {
					t.Fatal(err)
				}
				l, err := b.NewLattice(grid)
				if err != nil {
					t.Fatal(err)
				}
				sample := func(ctx context.Context) error { return s.Sweep(ctx, sweeps/20-int(s.Sweeps())) }
				flip := func(ctx context.Context) error { return l.Sweep(ctx, sweeps/10-int(l.Sweeps())) }
				if k == 0 {
					err = errors.Join(sample(context.Background()), flip(context.Background()))
				} else {
					done += interrupted(sample) + interrupted(flip)
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(s.State(states[k]), l.State(0, spins[k]), s.Close(), l.Close()); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(states[0].Bits, states[1].Bits) || !slices.Equal(spins[0], spins[1]) {
				t.Fatalf("%d threads: the states are not those of calls that were not cancelled", threads)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d calls were cancelled, the slowest ended after %v", done, slowest.Round(time.Microsecond))
	if slowest > time.Second {
		t.Errorf("a cancelled call took %v to end", slowest)
	}
}

// A training run is killed at random instants and resumed, again and again: the
// model is that of a run that was left alone. KADANOFF_SOAK_KILLS says how
// often.
func TestSoakKills(t *testing.T) {
	soak(t)
	kills := number(t, "KADANOFF_SOAK_KILLS", 1000)
	exe := program(t)
	args := append(append([]string{}, trainArgs...), "--epochs", "6")
	want := alone(t, exe, args...)
	began := time.Now()
	if err := exec.Command(exe, append(args, "--out", filepath.Join(t.TempDir(), "timed"))...).Run(); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(began)
	args = append(args, "--checkpoint-every", "1steps", "--resume")
	chance := rand.New(rand.NewPCG(7, 8))
	dir, finished, killed := filepath.Join(t.TempDir(), "run"), 0, 0
	for began = time.Now(); killed < kills; {
		cmd := exec.Command(exe, append(args, "--out", dir)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(chance.Int64N(int64(2*whole))), func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		switch status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); {
		case ok && status.Signaled():
			killed++
		case err != nil:
			t.Fatalf("after %d kills: %v\n%s", killed, err, errs.String())
		default:
			if digestOf(t, dir) != want {
				t.Fatalf("after %d kills the model is not that of an undisturbed run", killed)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			finished++
		}
	}
	if err := exec.Command(exe, append(args, "--out", dir)...).Run(); err != nil || digestOf(t, dir) != want {
		t.Errorf("in the end: %v, and is the model that of an undisturbed run? %v", err, digestOf(t, dir) == want)
	}
	t.Logf("%d kills, %d runs finished, %.0f s; a run left alone takes %v", killed, finished, time.Since(began).Seconds(), whole.Round(time.Millisecond))
}
