package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// resumeCases are runs, a few seconds in all, of every kind of state that a
// checkpoint holds.
var resumeCases = map[string]string{
	"cd":        "--algorithm cd --k 2 --epochs 12",
	"pcd":       "--chains 70 --momentum 0.5 --weight-decay 0.001 --epochs 12",
	"centred":   "--center --units binary --schedule linear --l1 0.0001 --epochs 12",
	"pt":        "--algorithm pt --temperatures 4 --chains 40 --epochs 10",
	"early":     "--hidden 30 --rate 0.3 --patience 2 --epochs 60",
	"couplings": "--couplings all --momentum 0.5 --rate 0.01 --epochs 6",
	"exact":     "--exact-gradient --hidden 5 --rate 0.3 --momentum 0.8 --epochs 150",
	"tied":      "--tied --rate 0.001 --epochs 12",
}

// caseArgs is the command line of one of them, without folder.
func caseArgs(flags string) []string {
	args := []string{"train", "digits", "--hidden", "8", "--validation", "digits", "--threads", "1", "--backend", "cpu", "--seed", "3"}
	return append(args, strings.Fields(flags)...)
}

// ended is what a run has left: the model, and the metrics apart from times.
func ended(t *testing.T, dir string) (model, metrics []byte) {
	t.Helper()
	return read(t, filepath.Join(dir, "model.safetensors")), seconds.ReplaceAll(read(t, filepath.Join(dir, "metrics.jsonl")), nil)
}

// Runs are killed at random instants and resumed until they end, and end with
// the files of one that was left alone; nothing else is left in their folders.
// KADANOFF_SOAK_TRAIN_KILLS says how often each is killed.
func TestKilledRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	exe, kills := program(t), number(t, "KADANOFF_SOAK_TRAIN_KILLS", 1)
	chance := rand.New(rand.NewPCG(3, 4))
	for name, flags := range resumeCases {
		dir := filepath.Join(t.TempDir(), "alone")
		began := time.Now()
		if out, err := exec.Command(exe, append(caseArgs(flags), "--out", dir)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		whole := time.Since(began)
		model, metrics := ended(t, dir)
		resumed := 0
		for killed := 0; killed < kills; {
			dir = filepath.Join(t.TempDir(), "killed")
			args := append(caseArgs(flags), "--out", dir, "--resume", "--checkpoint-every", "3steps")
			for finished := false; !finished; {
				var errs bytes.Buffer
				cmd := exec.Command(exe, args...)
				cmd.Stderr = &errs
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				kill := func() {}
				if killed < kills { // then it may end
					timer := time.AfterFunc(time.Duration(chance.Int64N(int64(6*whole))), func() { _ = cmd.Process.Kill() })
					kill = func() { timer.Stop() }
				}
				err := cmd.Wait()
				kill()
				resumed += strings.Count(errs.String(), "resuming at step")
				switch status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); {
				case ok && status.Signaled():
					killed++
				case err != nil:
					t.Fatalf("%s after %d kills: %v\n%s", name, killed, err, errs.String())
				default:
					finished = true
				}
			}
			gotModel, gotMetrics := ended(t, dir)
			if !bytes.Equal(gotModel, model) {
				t.Errorf("%s: after %d kills another model", name, killed)
			}
			if !bytes.Equal(gotMetrics, metrics) {
				t.Errorf("%s: after %d kills other metrics", name, killed)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 5 { // model, metrics, page and two checkpoints
				t.Errorf("%s: after %d kills the folder holds %v, %v", name, killed, entries, err)
			}
		}
		t.Logf("%s: killed %d times, gone on %d times at a checkpoint; a run left alone takes %v", name, kills, resumed, whole.Round(time.Millisecond))
	}
}

// SIGUSR1 writes a checkpoint and goes on; SIGINT and SIGTERM leave one and end
// with their codes; the run then goes on to the model of one left alone.
func TestTrainSignals(t *testing.T) {
	exe := program(t)
	args := append(caseArgs("--epochs 40"), "--checkpoint-every", "1h", "--resume")
	alone := filepath.Join(t.TempDir(), "alone")
	if out, err := exec.Command(exe, append(args, "--out", alone)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := filepath.Join(t.TempDir(), "run")
	long := append(append([]string{}, caseArgs("--epochs 1000000")...), "--checkpoint-every", "1h")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		out := filepath.Join(t.TempDir(), "run")
		cmd := exec.Command(exe, append(long, "--out", out)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill() }()
		// until is what the run comes to, however long it takes.
		until := func(what string, is func() bool) {
			t.Helper()
			for range 6000 {
				if is() {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Fatalf("%s does not come", what)
		}
		lines := func() int {
			text, _ := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
			return bytes.Count(text, []byte("\n"))
		}
		until("the first epoch", func() bool { return lines() > 0 })
		if step(out) != 0 {
			t.Error("there is a checkpoint already")
		}
		if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		until("a checkpoint", func() bool { return step(out) > 0 })
		at, first := lines(), step(out)
		until("another epoch", func() bool { return lines() > at })
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		exit := (*exec.ExitError)(nil)
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 128+int(sig) {
			t.Errorf("after %v: %v", sig, err)
		}
		if last := step(out); last <= first {
			t.Errorf("after %v the last checkpoint is of step %d, SIGUSR1's of step %d", sig, last, first)
		}
		word := map[syscall.Signal]string{syscall.SIGINT: "interrupted", syscall.SIGTERM: "terminated"}[sig]
		if got := errs.String(); !strings.HasSuffix(got, "kadanoff: "+word+"\n") || !strings.Contains(got, "ms a step, about") {
			t.Errorf("after %v: %q", sig, got)
		}
		if page := string(read(t, filepath.Join(out, "index.html"))); !strings.Contains(page, "stopped: "+word) {
			t.Error("the page does not say that the run was " + word)
		}
	}
	// A shorter run that is interrupted at its beginning.
	for range 50 {
		cmd := exec.Command(exe, append(args, "--out", dir)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop := time.AfterFunc(30*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
		err := cmd.Wait()
		stop.Stop()
		if err == nil {
			break
		}
	}
	if out, err := exec.Command(exe, append(args, "--out", dir)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wantModel, wantMetrics := ended(t, alone)
	if model, metrics := ended(t, dir); !bytes.Equal(model, wantModel) || !bytes.Equal(metrics, wantMetrics) {
		t.Error("a run that was interrupted has other files than one left alone")
	}
}

// A disk that fills up ends a run with exit 4 and one line, and nothing that was
// there is lost: with room again it goes on to the model of one left alone.
func TestTrainFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "full")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=96k"); err != nil {
		t.Skipf("a small disk cannot be mounted: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	exe := program(t)
	args := append(caseArgs("--epochs 9"), "--keep", "40", "--checkpoint-every", "5steps")
	alone, out := filepath.Join(t.TempDir(), "alone"), filepath.Join(dir, "run")
	if text, err := exec.Command(exe, append(args, "--out", alone)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for size, grow := range []string{"size=96k", "size=160k", "size=4m"} {
		if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, grow); err != nil {
			t.Fatal(err)
		}
		before := step(out)
		var errs bytes.Buffer
		cmd := exec.Command(exe, append(args, "--resume", "--out", out)...)
		cmd.Stderr = &errs
		err := cmd.Run()
		if size < 2 {
			exit := (*exec.ExitError)(nil)
			if !errors.As(err, &exit) || exit.ExitCode() != 4 || strings.Count(errs.String(), "no space left on device") != 1 {
				t.Errorf("%s: %v\n%s", grow, err, errs.String())
			}
			if now := step(out); now <= before {
				t.Errorf("%s: the last checkpoint is of step %d, before it was %d", grow, now, before)
			}
			continue
		}
		if err != nil || !strings.Contains(errs.String(), "resuming at step") {
			t.Fatalf("%v\n%s", err, errs.String())
		}
	}
	wantModel, wantMetrics := ended(t, alone)
	if model, metrics := ended(t, out); !bytes.Equal(model, wantModel) || !bytes.Equal(metrics, wantMetrics) {
		t.Error("after full disks the files are not those of an undisturbed run")
	}
	// What cannot be written to is said before anything is done.
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{out, filepath.Join(dir, "other")} {
		text, err := exec.Command(exe, append(args, "--resume", "--out", to)...).CombinedOutput()
		if err == nil || strings.Count(string(text), "kadanoff: ") != 1 || !strings.Contains(string(text), "read-only file system") || !strings.Contains(string(text), to) {
			t.Errorf("a read-only folder %s: %v\n%s", to, err, text)
		}
	}
}

// Two runs side by side do not disturb each other; two in one folder do not
// come about.
func TestRunsSideBySide(t *testing.T) {
	exe := program(t)
	args := append(caseArgs("--epochs 30"), "--resume")
	var cmds [3]*exec.Cmd
	var errs [3]bytes.Buffer
	dirs := [3]string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	dirs[2] = dirs[1]
	for i, dir := range dirs {
		cmds[i] = exec.Command(exe, append(args, "--out", dir)...)
		cmds[i].Stderr = &errs[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	failed := 0
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			if failed++; i == 0 || !strings.Contains(errs[i].String(), "another process is training there") {
				t.Errorf("run %d: %v\n%s", i, err, errs[i].String())
			}
		}
	}
	if failed > 1 {
		t.Errorf("%d runs of two in one folder have failed", failed)
	}
	m0, l0 := ended(t, dirs[0])
	if m1, l1 := ended(t, dirs[1]); !bytes.Equal(m0, m1) || !bytes.Equal(l0, l1) {
		t.Error("runs side by side have other files")
	}
}
