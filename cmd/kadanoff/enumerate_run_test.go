package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/couplings"
)

// cutShort is a backend that is interrupted in its n-th enumeration, and asked
// for a checkpoint after each.
type cutShort struct {
	backend.Backend
	left   int
	cancel context.CancelCauseFunc
	now    chan os.Signal
	seen   func(done int) // what the checkpoint file says when a piece begins
}

var errCut = errors.New("cut short")

func (b *cutShort) Info() backend.Info {
	i := b.Backend.Info()
	i.Backend, i.Threads = "ref", 1 // small pieces
	return i
}

func (b *cutShort) Enumerate(ctx context.Context, job *backend.EnumerateJob) (*backend.EnumeratePart, error) {
	b.seen(job.From)
	if b.left--; b.left < 0 {
		b.cancel(errCut)
	}
	select {
	case b.now <- syscall.SIGTERM: // which signal does not matter here
	default:
	}
	return b.Backend.Enumerate(ctx, job)
}

// A run that is cut short leaves its finished leaves, also when it is asked for
// them, and goes on from there to the bytes of an undisturbed one.
func TestEnumerateResume(t *testing.T) {
	var text strings.Builder
	for i := range 20 {
		for j := range i {
			fmt.Fprintf(&text, "%d %d %d\n", i, j, (i*j*7+i)%5-2)
		}
	}
	file := writeFile(t, "c.txt", text.String()+"3 3 1\n")
	for _, flags := range [][]string{
		{"--lowest", "20", "--beta", "0.3,1"}, {"--beta", "0.3", "--moments", "--joint"}, {"--histogram", "--shard", "1/3"},
	} {
		dir := t.TempDir()
		whole, out := filepath.Join(dir, "whole.json"), filepath.Join(dir, "out.json")
		args := append([]string{"enumerate", file}, flags...)
		if code, _, stderr := run(append(args, "--out", whole)...); code != 0 {
			t.Fatal(stderr)
		}
		want, err := os.ReadFile(whole)
		if err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(whole + "*"); !slices.Equal(left, []string{whole}) {
			t.Errorf("files %v after a whole run", left)
		}

		e := parsedJob(t, file, flags)
		b, err := openBackend(&cli.Options{Backend: "cpu", Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		checkpoint := out + ".checkpoint"
		ctx, cancel := context.WithCancelCause(context.Background())
		now := make(chan os.Signal, 1)
		seen := 0
		r := &enumerateRun{backend: &cutShort{b, 2, cancel, now, func(done int) {
			text, err := os.ReadFile(checkpoint)
			if err != nil {
				return
			}
			p, _, err := parseEnumeratePart(text)
			if err != nil || p.Part.Last != done {
				t.Errorf("checkpoint to leaf %d, want %d: %v", p.Part.Last, done, err)
			}
			seen++
		}}, job: e.job, scale: e.scale, path: checkpoint, now: now}
		if err := r.start(false); err != nil {
			t.Fatal(err)
		}
		err = r.run(ctx)
		if !errors.Is(err, errCut) || !strings.Contains(err.Error(), "out.json.checkpoint has") || seen != 2 {
			t.Fatalf("%v: %v, %d checkpoints", flags, err, seen)
		}

		badUse(t, strings.Join(append(args, "--out", out), " "), "out.json.checkpoint", "unfinished run", "--resume")
		badUse(t, strings.Join(append(args, "--out", out, "--resume", "--convention", "dwave"), " "), "another job")
		badUse(t, "merge "+checkpoint, "shard is missing")
		code, _, stderr := run(append(args, "--out", out, "--resume", "--isa", "generic", "--threads", "2")...)
		if got, err := os.ReadFile(out); code != 0 || err != nil || string(got) != string(want) {
			t.Errorf("%v resumed: exit %d %s, %.300s\nwant %.300s", flags, code, stderr, got, want)
		}
		if _, err := os.Stat(checkpoint); err == nil {
			t.Error("the checkpoint is still there")
		}
		// Without a checkpoint --resume begins anew.
		if code, _, stderr := run(append(args, "--out", out, "--resume")...); code != 0 {
			t.Error(stderr)
		}
		for _, bad := range []string{"", "{", `{"kind":"ising"}`, `{"kind":"enumerate"}`, `{"kind":"enumerate","part":{"first":0,"last":99}}`} {
			if err := os.WriteFile(checkpoint, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			badUse(t, strings.Join(append(args, "--out", out, "--resume"), " "), "out.json.checkpoint")
		}
	}
	badUse(t, "enumerate "+file+" --resume", "--resume", "--out")
}

// parsedJob is the job of a command line.
func parsedJob(t *testing.T, file string, flags []string) (parsed struct {
	job   *backend.EnumerateJob
	scale couplings.Scale
}) {
	t.Helper()
	o := &cli.Options{Backend: "auto"}
	cmd := newEnumerate(o)
	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	var e enumerateFlags
	for _, f := range []struct {
		to   any
		name string
	}{{&e.beta, "beta"}, {&e.lowest, "lowest"}, {&e.histogram, "histogram"}, {&e.joint, "joint"}, {&e.moments, "moments"}} {
		if _, err := fmt.Sscan(cmd.Flag(f.name).Value.String(), f.to); err != nil && f.name != "beta" {
			t.Fatal(err)
		}
	}
	e.input, e.convention = "auto", "ising"
	if shard := cmd.Flag("shard").Value.String(); shard != "" {
		if err := e.shard.Set(shard); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if parsed.job, parsed.scale, err = e.job(cmd, o, file); err != nil {
		t.Fatal(err)
	}
	return parsed
}
