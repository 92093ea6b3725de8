package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// launcher is an mpirun that is installed.
type launcher struct {
	name string
	args []string
}

// launchers lists those that are here. Tests under MPI are asked for by
// KADANOFF_TEST_RANKS, as make mpi-check does: how soon many processes on few
// cores answer each other is not for every test run to wait for.
func launchers(t *testing.T) []launcher {
	t.Helper()
	if os.Getenv("KADANOFF_TEST_RANKS") == "" {
		t.Skip("make mpi-check runs it")
	}
	var list []launcher
	for _, l := range []launcher{
		{"mpirun.openmpi", []string{"--oversubscribe", "--bind-to", "none"}},
		{"mpiexec.hydra", nil},
	} {
		if _, err := exec.LookPath(l.name); err == nil {
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		t.Skip("neither mpirun.openmpi nor mpiexec.hydra is installed: not tried under MPI")
	}
	return list
}

// number returns a number from the environment, for longer tests.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a number above 0", name, text)
	}
	return n
}

// program builds the command once.
func program(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "kadanoff")
	cmd := exec.Command("go", "build", "-o", exe, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return exe
}

var trainArgs = []string{"train", "--hidden", "8", "--chains", "70", "--threads", "1", "--backend", "cpu", "--seed", "3"}

// mpi is one run under mpirun.
type mpi struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
	done           chan error
}

// start runs the program on a number of ranks; it is killed after a minute.
func start(t *testing.T, l launcher, exe string, ranks int, args ...string) *mpi {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	line := append(append([]string{}, l.args...), "-n", strconv.Itoa(ranks), exe)
	m := &mpi{Cmd: exec.CommandContext(ctx, l.name, append(line, args...)...), done: make(chan error, 1)}
	m.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_mpi_yield_when_idle=1")
	m.Stdout, m.Stderr = &m.stdout, &m.stderr
	m.WaitDelay = 5 * time.Second // a proxy may hold the pipes of a killed launcher
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := m.Wait()
		if ctx.Err() != nil {
			err = fmt.Errorf("did not end within a minute: %w", err)
		}
		m.done <- err
	}()
	return m
}

// code waits for the end of a run.
func (m *mpi) code(t *testing.T) int {
	t.Helper()
	err := <-m.done
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && !strings.Contains(err.Error(), "within a minute"):
		return exit.ExitCode()
	}
	t.Fatalf("%v\n%s", err, m.stderr.String())
	return 0
}

// codeWithout is code for a run of which a rank was killed. mpirun may hang when a
// rank dies while it connects to it (Open MPI 4.1.4: PMIX ERROR: UNREACHABLE); a
// launcher that has no rank of the program left for ten seconds is killed, which
// counts as exit -1. Ranks that stay fail the test after a minute as ever.
func (m *mpi) codeWithout(t *testing.T, exe string) int {
	t.Helper()
	for empty := 0; empty < 100 && len(m.done) == 0; {
		time.Sleep(100 * time.Millisecond)
		if empty++; len(ranksOf(exe)) > 0 {
			empty = 0
		}
	}
	if len(m.done) == 0 {
		t.Logf("the launcher hung without ranks and was killed\n%s", m.stderr.String())
		_ = m.Process.Kill() // it may have ended just now
	}
	return m.code(t)
}

// ranksOf lists the processes that run a program.
func ranksOf(exe string) []int {
	var list []int
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == exe {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(l))); err == nil {
				list = append(list, pid)
			}
		}
	}
	return list
}

func digestOf(t *testing.T, dir string) [32]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

// alone is the model of a run of one process.
func alone(t *testing.T, exe string, args ...string) [32]byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "alone")
	if out, err := exec.Command(exe, append(args, "--out", dir)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return digestOf(t, dir)
}

// Under every MPI that is here the model has the bits of one process, rank 0
// alone speaks, and a signal to one rank ends all with its code, a checkpoint
// and no loss.
func TestMPI(t *testing.T) {
	list, exe := launchers(t), program(t)
	args := append(append([]string{}, trainArgs...), "--epochs", "3", "--checkpoint-every", "7steps")
	want := alone(t, exe, args...)
	most := number(t, "KADANOFF_TEST_RANKS", 2)
	for _, l := range list {
		for ranks := 2; ranks <= most; ranks += 2 {
			dir := filepath.Join(t.TempDir(), "run")
			m := start(t, l, exe, ranks, append(args, "--out", dir)...)
			if code := m.code(t); code != 0 {
				t.Fatalf("%s, %d ranks: exit %d\n%s", l.name, ranks, code, m.stderr.String())
			}
			if digestOf(t, dir) != want {
				t.Errorf("%s: %d ranks give another model than one process", l.name, ranks)
			}
			if n := strings.Count(m.stdout.String(), "finished"); n != 1 {
				t.Errorf("%s: the result is printed %d times:\n%s", l.name, n, m.stdout.String())
			}
			m = start(t, l, exe, ranks, append(args, "--out", dir)...)
			if code := m.code(t); code != 2 || strings.Count(m.stderr.String(), "holds a run already") != 1 {
				t.Errorf("%s: a folder in use gives exit %d\n%s", l.name, code, m.stderr.String())
			}
		}
		model := filepath.Join(t.TempDir(), "model")
		alone := exec.Command(exe, append(append([]string{}, trainArgs...), "--epochs", "1", "--out", model)...)
		if out, err := alone.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, method := range []string{"ais", "exact", "raise"} {
			line := []string{"evaluate", filepath.Join(model, "model.safetensors"), "--data", "digits", "--method", method, "--temperatures", "50", "--burn-in", "5", "--chains", "130", "--threads", "1", "--backend", "cpu"}
			one, err := exec.Command(exe, line...).Output()
			if err != nil {
				t.Fatal(err)
			}
			two := start(t, l, exe, 2, line...)
			if code := two.code(t); code != 0 || two.stdout.String() != string(one) {
				t.Errorf("%s: evaluate --method %s on two ranks: exit %d\n%s\nwant\n%s", l.name, method, code, two.stdout.String(), one)
			}
		}
		for _, wrong := range []string{"--nosuch", "--hidden=x", "--peer-timeout=-1s"} {
			m := start(t, l, exe, 2, "train", wrong)
			if code := m.code(t); code != 2 || strings.Count(m.stderr.String(), "kadanoff: ") != 1 {
				t.Errorf("%s: train %s on two ranks: exit %d, want 2 and one line\n%s", l.name, wrong, code, m.stderr.String())
			}
		}
		long := append(append([]string{}, trainArgs...), "--epochs", "100000", "--checkpoint-every", "5steps")
		dir := filepath.Join(t.TempDir(), "run")
		m := start(t, l, exe, 2, append(long, "--out", dir)...)
		waitForStep(t, m, dir, 5)
		if err := syscall.Kill(ranksOf(exe)[1], syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := m.code(t); code != 143 || strings.Count(m.stderr.String(), "terminated") < 1 {
			t.Errorf("%s: SIGTERM to a rank gives exit %d\n%s", l.name, code, m.stderr.String())
		}
	}
}

// step returns the latest checkpoint's.
func step(dir string) int {
	list, _ := filepath.Glob(filepath.Join(dir, "checkpoint-*.safetensors"))
	if len(list) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(list[len(list)-1]), "checkpoint-"), ".safetensors"))
	return n
}

// waitForStep waits until a run has come to a checkpoint and reports false if it
// ends before.
func waitForStep(t *testing.T, m *mpi, dir string, want int) bool {
	t.Helper()
	for step(dir) < want {
		select {
		case err := <-m.done:
			m.done <- err
			return false
		case <-time.After(2 * time.Millisecond):
		}
	}
	return true
}

// Ranks are killed, or stopped so that they hang, again and again, at a
// checkpoint or while they start, and each time the run goes on with another
// number of ranks: no run ends without saying so, none hangs, and the model is
// that of one undisturbed process. KADANOFF_TEST_KILLS says how often.
func TestKilledRanks(t *testing.T) {
	list, exe := launchers(t), program(t)
	args := append(append([]string{}, trainArgs...), "--epochs", "8")
	want := alone(t, exe, args...)
	args = append(args, "--checkpoint-every", "5steps", "--peer-timeout", "10s", "--resume")
	chance := rand.New(rand.NewPCG(1, 2))
	dir := filepath.Join(t.TempDir(), "run")
	kills := number(t, "KADANOFF_TEST_KILLS", 3)
	for killed, try := 0, 0; killed < kills; try++ {
		l, ranks := list[try%len(list)], 2+chance.IntN(2)
		m := start(t, l, exe, ranks, append(args, "--out", dir)...)
		running := true
		if chance.IntN(4) > 0 {
			running = waitForStep(t, m, dir, step(dir)+5+5*chance.IntN(3))
		} else {
			for running && len(ranksOf(exe)) < ranks {
				running = waitForStep(t, m, dir, step(dir)) && len(m.done) == 0
			}
		}
		sig := syscall.SIGKILL
		if chance.IntN(4) == 0 {
			sig = syscall.SIGSTOP
		}
		victim := 0
		if pids := ranksOf(exe); running && len(pids) > 0 {
			victim = pids[chance.IntN(len(pids))]
			if syscall.Kill(victim, sig) == nil {
				killed++
			}
		}
		code := m.codeWithout(t, exe)
		if sig == syscall.SIGSTOP && victim > 0 {
			_ = syscall.Kill(victim, syscall.SIGKILL) // it may be gone already
		}
		_, err := os.Stat(filepath.Join(dir, "model.safetensors"))
		if finished := err == nil; finished {
			if digestOf(t, dir) != want {
				t.Fatalf("after %d kills the model is not that of an undisturbed run", killed)
			}
			dir = filepath.Join(t.TempDir(), "run")
		} else if code == 0 {
			t.Fatalf("%s: exit 0 after signal %v, without a model\n%s", l.name, sig, m.stderr.String())
		}
	}
	m := start(t, list[0], exe, 2, append(args, "--out", dir)...)
	if code := m.code(t); code != 0 || digestOf(t, dir) != want {
		t.Errorf("in the end: exit %d, and is the model that of an undisturbed run? %v\n%s", code, digestOf(t, dir) == want, m.stderr.String())
	}
}

// A disk that is full on rank 0 ends all ranks with exit 4 and one line, and the
// checkpoint before is kept.
func TestFullDiskOnRanks(t *testing.T) {
	list := launchers(t)
	dir := filepath.Join(t.TempDir(), "full")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	args := append(append([]string{}, trainArgs...), "--epochs", "50", "--keep", "50", "--checkpoint-every", "5steps", "--out", dir)
	m := start(t, list[0], program(t), 2, args...)
	if code := m.code(t); code != 4 || strings.Count(m.stderr.String(), "no space left on device") != 1 {
		t.Errorf("exit %d\n%s", code, m.stderr.String())
	}
	if step(dir) < 5 {
		t.Error("no checkpoint is left")
	}
}
