package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/comm"
	"kadanoff/kernels/isa"
)

func tree(run func(*Options, *cobra.Command) error) *cobra.Command {
	root, o := NewRoot("tool", "A tool", "  tool do")
	root.Args = NoArgs
	root.RunE = Group
	root.AddCommand(&cobra.Command{Use: "do", Short: "Do", Args: NoArgs, RunE: func(c *cobra.Command, _ []string) error { return run(o, c) }})
	group := &cobra.Command{Use: "both", Short: "Group", Args: NoArgs, RunE: Group}
	group.AddCommand(&cobra.Command{Use: "left", Short: "Left", Args: NoArgs, RunE: func(*cobra.Command, []string) error { return nil }})
	root.AddCommand(group)
	return root
}

func try(run func(*Options, *cobra.Command) error, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Run(context.Background(), tree(run), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, 0},
		{Failed("energy off by %g", 0.5), 1},
		{Usage("--k %q: want a number", "x"), 2},
		{Missing("no cuda"), 3},
		{fmt.Errorf("opening: %w", &isa.MissingError{Level: isa.NEON, From: "--isa"}), 3},
		{&backend.MissingError{Name: "cuda", Reason: "no driver"}, 3},
		{Unfinished("diverged"), 4},
		{fmt.Errorf("model.safetensors: %w", syscall.ENOSPC), 4},
		{PeerLost("rank 3"), 75},
		{errors.New("plain\nsecond line"), 2},
		{fmt.Errorf("x.npy: %w", os.ErrNotExist), 2},
	} {
		code, stdout, stderr := try(func(*Options, *cobra.Command) error { return c.err }, "do")
		if code != c.code || stdout != "" {
			t.Errorf("%v: exit %d, stdout %q; want %d and nothing", c.err, code, stdout, c.code)
		}
		if lines := strings.Count(stderr, "\n"); (c.err != nil) != (lines == 1) || lines > 1 {
			t.Errorf("%v: stderr %q is not one line", c.err, stderr)
		}
	}
}

// What another process has said is not said again.
func TestSilent(t *testing.T) {
	code, stdout, stderr := try(func(*Options, *cobra.Command) error { return Silent(CannotFinish) }, "do")
	if code != CannotFinish || stdout+stderr != "" {
		t.Errorf("exit %d, %q", code, stdout+stderr)
	}
}

func TestWrongUseIsOneLine(t *testing.T) {
	t.Setenv(isa.EnvVar, "")
	for _, line := range []string{
		"nosuch", "do --nosuch", "do extra", "both", "both nosuch", "", "do --seed -1", "do --seed x",
		"do --threads -2", "do --format xml", "do --backend gpu", "do --backend cuda:x", "do --isa sse", "do --seed",
	} {
		code, stdout, stderr := try(func(*Options, *cobra.Command) error { return nil }, strings.Fields(line)...)
		if code != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "tool: ") {
			t.Errorf("tool %s: exit %d, stdout %q, stderr %q", line, code, stdout, stderr)
		}
	}
}

// Of many processes that a launcher started, one says what is wrong with their
// command line, and all end with the same code. What is wrong with one machine is
// said there.
func TestWrongUseOnRanks(t *testing.T) {
	t.Setenv(isa.EnvVar, "")
	t.Setenv("OMPI_COMM_WORLD_SIZE", "3")
	said := func(rank, line string, err error) bool {
		t.Setenv("OMPI_COMM_WORLD_RANK", rank)
		code, _, stderr := try(func(*Options, *cobra.Command) error { return err }, strings.Fields(line)...)
		if code == Done {
			t.Errorf("rank %s: tool %s is right", rank, line)
		}
		return stderr != ""
	}
	for _, line := range []string{"do --nosuch", "do --threads x", "do extra", "nosuch", "do --format xml", "do --threads -1", "do --isa sse"} {
		if !said("0", line, nil) || said("1", line, nil) || said("2", line, nil) {
			t.Errorf("tool %s: want one line, of rank 0", line)
		}
	}
	missing := "neon"
	if isa.Best() == isa.NEON {
		missing = "avx512"
	}
	if !said("1", "do --isa "+missing, nil) {
		t.Error("an instruction set that is missing on one machine is not said there")
	}
	if !said("2", "do", Usage("data: not on this machine")) {
		t.Error("what a command finds wrong on one rank is not said there")
	}
	t.Setenv(comm.LibraryVar, "none")
	if !said("1", "do --nosuch", nil) {
		t.Error("a process that works alone says nothing")
	}
}

func TestWrongFlagSaysWhatIsRight(t *testing.T) {
	for line, want := range map[string]string{
		"do --threads x": `tool: --threads "x": want a whole number` + "\n",
		"do --seed -1":   `tool: --seed "-1": want a whole number of at least 0` + "\n",
		"do --nosuch":    "tool: unknown flag: --nosuch: tool do --help lists those that there are\n",
	} {
		if code, _, stderr := try(nil, strings.Fields(line)...); code != BadUse || stderr != want {
			t.Errorf("tool %s: exit %d, %q; want %d, %q", line, code, stderr, BadUse, want)
		}
	}
}

func TestMissingInstructionSet(t *testing.T) {
	missing := isa.NEON
	if isa.Has(missing) {
		missing = isa.AVX2
	}
	code, _, stderr := try(func(*Options, *cobra.Command) error { return nil }, "do", "--isa", missing.String())
	if code != 3 || !strings.Contains(stderr, missing.String()) {
		t.Errorf("--isa %v: exit %d, stderr %q; want 3", missing, code, stderr)
	}
}

func TestSharedFlags(t *testing.T) {
	t.Setenv(isa.EnvVar, "")
	var got Options
	run := func(o *Options, _ *cobra.Command) error { got = *o; return nil }
	if code, _, stderr := try(run, "do"); code != 0 || got.Seed != 1 || got.Backend != "auto" || got.ISA != isa.Best() || got.Forced || got.Threads < 1 || got.Format != Table {
		t.Errorf("defaults: %+v, exit %d %s", got, code, stderr)
	}
	if code, _, stderr := try(run, "do", "--seed", "18446744073709551615", "--backend", "cuda:1", "--isa", "generic", "--threads", "3", "--format", "csv"); code != 0 ||
		got.Seed != math.MaxUint64 || got.Backend != "cuda:1" || got.ISA != isa.Generic || !got.Forced || got.Threads != 3 || got.Format != CSV {
		t.Errorf("flags: %+v, exit %d %s", got, code, stderr)
	}
}

func TestHelpIsNotAnError(t *testing.T) {
	for _, line := range []string{"--help", "do --help", "help do", "--version"} {
		if code, stdout, stderr := try(nil, strings.Fields(line)...); code != 0 || stdout == "" || stderr != "" {
			t.Errorf("tool %s: exit %d, %d bytes of help, stderr %q", line, code, len(stdout), stderr)
		}
	}
}

type row struct {
	Step int      `json:"step"`
	W    Float    `json:"w"`
	Name string   `json:"name,omitempty"`
	T    *float64 `json:"t,omitempty"`
}

func TestWrite(t *testing.T) {
	third := 1.0 / 3
	rows := []row{{Step: 0, W: Float(third)}, {Step: 10, W: Float(math.Inf(1)), Name: "a,b", T: &third}}
	nested := struct {
		F struct {
			Mean Float `json:"mean"`
		} `json:"f"`
		N    int   `json:"n"`
		Flow []row `json:"flow"`
	}{N: 2, Flow: rows[:1]}
	for _, c := range []struct {
		v      any
		format Format
		want   string
	}{
		{rows, JSON, "[{\"step\":0,\"w\":0.3333333333333333},\n {\"step\":10,\"w\":null,\"name\":\"a,b\",\"t\":0.3333333333333333}]\n"},
		{rows[:1], JSON, "[{\"step\":0,\"w\":0.3333333333333333}]\n"},
		{rows, CSV, "step,w,name,t\n0,0.3333333333333333,,\n10,,\"a,b\",0.3333333333333333\n"},
		{rows, Table, "step                   w  name                   t\n   0  0.3333333333333333\n  10                      a,b   0.3333333333333333\n"},
		{nested, JSON, "{\"f\":{\"mean\":0},\"n\":2,\"flow\":[{\"step\":0,\"w\":0.3333333333333333}]}\n"},
		{nested, CSV, "f.mean,n,step,w\n0,2,0,0.3333333333333333\n"},
		{nested, Table, "f.mean  0\nn       2\n\nstep                   w\n   0  0.3333333333333333\n"},
		{[]row{}, JSON, "[]\n"},
	} {
		var out bytes.Buffer
		if err := Write(&out, c.format, c.v); err != nil || out.String() != c.want {
			t.Errorf("format %d: %v, got\n%s\nwant\n%s", c.format, err, out.String(), c.want)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestFullDisk(t *testing.T) {
	if err := Write(full{}, JSON, 1); ExitCode(context.Background(), err) != CannotFinish {
		t.Errorf("%v: want exit %d", err, CannotFinish)
	}
}

// TestMain lets the test binary play a command that waits for signals.
func TestMain(m *testing.M) {
	if os.Getenv("CLI_TEST_COMMAND") == "" {
		os.Exit(m.Run())
	}
	os.Args = []string{"tool", "do"}
	os.Exit(Main(tree(func(_ *Options, c *cobra.Command) error {
		fmt.Println("ready")
		<-c.Context().Done()
		if os.Getenv("CLI_TEST_COMMAND") == "stubborn" {
			fmt.Println("cancelled")
			select {}
		}
		return c.Context().Err()
	})))
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		kind string
		sig  syscall.Signal
		code int
	}{{"polite", syscall.SIGINT, 130}, {"polite", syscall.SIGTERM, 143}, {"stubborn", syscall.SIGTERM, 143}} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CLI_TEST_COMMAND="+c.kind, isa.EnvVar+"=")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
		io.ReadFull(out, make([]byte, len("ready\n")))
		cmd.Process.Signal(c.sig)
		if c.kind == "stubborn" {
			io.ReadFull(out, make([]byte, len("cancelled\n")))
			cmd.Process.Signal(c.sig)
		}
		cmd.Wait()
		timer.Stop()
		if got := cmd.ProcessState.ExitCode(); got != c.code {
			t.Errorf("%s after %v: exit %d, want %d; stderr %q", c.kind, c.sig, got, c.code, errs.String())
		}
		if c.kind == "polite" && strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%s after %v: stderr %q, want one line", c.kind, c.sig, errs.String())
		}
	}
}
