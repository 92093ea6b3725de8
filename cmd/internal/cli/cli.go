// Package cli is what the commands share: flags that every command takes,
// exit codes, one-line errors, signals, and the writers of results.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"kadanoff/comm"
	"kadanoff/kernels/isa"
)

// Options holds the flags that every command takes. They are parsed and
// checked before a command's RunE is called.
type Options struct {
	Seed    uint64    // --seed, default 1
	Backend string    // --backend: auto, ref, cpu, cuda or cuda:n; only the spelling is checked here
	ISA     isa.Level // --isa, resolved: the level of the CPU's kernels
	Forced  bool      // --isa (or the environment variable) named a level, rather than auto
	Threads int       // --threads, at least 1; all cores when not given
	Format  Format    // --format

	isaName, formatName string
}

// NewRoot returns a root command with the flags of Options, whose values are
// in the Options when a command runs. Commands below it must not set a
// PersistentPreRun of their own: the root's checks the shared flags.
func NewRoot(name, short, example string) (*cobra.Command, *Options) {
	o := new(Options)
	root := &cobra.Command{
		Use:                name,
		Short:              short,
		Example:            example,
		Version:            Version(),
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true,
		DisableAutoGenTag:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			err := o.check()
			if began, ok := cmd.Context().Value(beganKey{}).(*bool); ok && ExitCode(cmd.Context(), err) != BadUse {
				*began = true
			}
			return err
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newManual(root))
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	f.SortFlags = false
	f.Uint64Var(&o.Seed, "seed", 1, "seed of everything that involves chance")
	f.StringVar(&o.Backend, "backend", "auto", "auto, ref, cpu, or cuda[:n]")
	f.StringVar(&o.isaName, "isa", "auto", "instruction set of the CPU's kernels: auto, generic, avx2, avx512, or neon")
	f.IntVar(&o.Threads, "threads", 0, "CPU threads; 0 means all cores")
	f.StringVar(&o.formatName, "format", "table", "table, json, or csv")
	return root, o
}

func (o *Options) check() (err error) {
	if o.Format, err = parseFormat(o.formatName); err != nil {
		return err
	}
	if o.Threads < 0 {
		return Usage("--threads %d: want 0 (all cores) or more", o.Threads)
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if err := checkBackend(o.Backend); err != nil {
		return err
	}
	o.Forced = o.isaName != "" && o.isaName != "auto" || os.Getenv(isa.EnvVar) != ""
	o.ISA, err = isa.Parse(o.isaName)
	return err
}

func checkBackend(name string) error {
	switch name {
	case "auto", "ref", "cpu", "cuda":
		return nil
	}
	if n, ok := strings.CutPrefix(name, "cuda:"); ok {
		if _, err := strconv.ParseUint(n, 10, 16); err == nil {
			return nil
		}
	}
	return Usage("--backend %q: want auto, ref, cpu, or cuda[:n]", name)
}

// Main runs the command line of the process and returns its exit code, for
// os.Exit.
//
// The first SIGINT or SIGTERM cancels the context that the commands see, and
// the exit code becomes 130 or 143 when the command ends with that
// cancellation; a second one ends the process at once.
func Main(root *cobra.Command) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		s := (<-signals).(syscall.Signal)
		cancel(signalError{s})
		s = (<-signals).(syscall.Signal)
		os.Exit(SignalExitBase + int(s))
	}()
	return Run(ctx, root, os.Args[1:], os.Stdout, os.Stderr)
}

// beganKey leads to whether a command has begun: until then nothing can be
// wrong but the command line, which is the same on all ranks.
type beganKey struct{}

// Run runs root with the given arguments and streams and returns the exit
// code. An error is written to stderr as one line that begins with the
// command's name. A wrong command line is one line of rank 0 where a launcher
// has started many processes; all of them end with the same code.
func Run(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	began := false
	err := root.ExecuteContext(context.WithValue(ctx, beganKey{}, &began))
	if err != nil && (began || comm.LaunchRank() == 0) {
		if text := message(ctx, err); text != "" {
			fmt.Fprintf(stderr, "%s: %s\n", root.Name(), oneLine(text))
		}
	}
	return ExitCode(ctx, err)
}

func message(ctx context.Context, err error) string {
	if err == context.Canceled && context.Cause(ctx) != nil {
		return context.Cause(ctx).Error()
	}
	return err.Error()
}

// NoArgs refuses positional arguments and, for a command that only groups
// others, names what it could not find.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasAvailableSubCommands() {
		return Usage("unknown command %q: want %s", args[0], strings.Join(subcommands(cmd), ", "))
	}
	return Usage("unexpected argument %q: %s takes flags only", args[0], cmd.CommandPath())
}

// Group returns the RunE of a command that only groups others: it says which
// ones there are.
func Group(cmd *cobra.Command, _ []string) error {
	return Usage("%s needs a command: want %s", cmd.CommandPath(), strings.Join(subcommands(cmd), ", "))
}

func subcommands(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			names = append(names, c.Name())
		}
	}
	return names
}
