package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kadanoff/backend"
	"kadanoff/kernels/isa"
)

// Exit codes of the commands.
const (
	Done           = 0   // everything asked for was done
	CheckFailed    = 1   // a check against an exact value failed
	BadUse         = 2   // wrong use or bad input
	NotAvailable   = 3   // the asked-for backend or instruction set is missing
	CannotFinish   = 4   // disk full, out of memory, device lost, diverged
	LostPeer       = 75  // a peer process was lost: resume from the checkpoint
	SignalExitBase = 128 // 130 interrupted (SIGINT), 143 terminated (SIGTERM)
)

// Error is an error that names its exit code.
type Error struct {
	Code int
	Err  error
}

// Error returns the message.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error that e gives a code to.
func (e *Error) Unwrap() error { return e.Err }

func coded(code int, format string, args []any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// Usage reports wrong use or bad input (exit 2): name the flag, file or value
// and what would be right. %w works as in fmt.Errorf.
func Usage(format string, args ...any) error { return coded(BadUse, format, args) }

// Failed reports that a check failed (exit 1).
func Failed(format string, args ...any) error { return coded(CheckFailed, format, args) }

// Missing reports a backend or instruction set that was asked for and is not
// there (exit 3).
func Missing(format string, args ...any) error { return coded(NotAvailable, format, args) }

// Unfinished reports work that could not be finished (exit 4).
func Unfinished(format string, args ...any) error { return coded(CannotFinish, format, args) }

// PeerLost reports that another process of the job was lost (exit 75).
func PeerLost(format string, args ...any) error { return coded(LostPeer, format, args) }

// Silent is an error without a message, for a process of several: another one
// has said what is wrong.
func Silent(code int) error { return &Error{Code: code, Err: errors.New("")} }

// flagError says of a flag that could not be parsed what would be right.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		want := ""
		switch kind := value.GetFlag().Value.Type(); kind {
		case "int":
			want = "a whole number"
		case "uint", "uint64":
			want = "a whole number of at least 0"
		case "float64":
			want = "a number"
		case "bool":
			want = "true or false"
		case "duration":
			want = "a time, as 90s or 1h30m"
		default:
			return Usage("--%s %q: %w", value.GetFlag().Name, value.GetValue(), value.Unwrap())
		}
		return Usage("--%s %q: want %s", value.GetFlag().Name, value.GetValue(), want)
	case errors.As(err, &unknown):
		return Usage("%w: %s --help lists those that there are", err, cmd.CommandPath())
	}
	return Usage("%w", err)
}

// signalError is the cause of a context that a signal cancelled.
type signalError struct{ sig syscall.Signal }

func (e signalError) Error() string {
	if e.sig == syscall.SIGINT {
		return "interrupted"
	}
	return "terminated"
}

// ExitCode returns the exit code of a command that ended with err under ctx.
//
// A cancelled context whose cause is a signal decides when err is the
// cancellation itself; then the code inside err does; then what the error is
// known to be: a missing backend or instruction set is 3, a device or file system that
// fails is 4. All other errors are about what came from outside: 2.
func ExitCode(ctx context.Context, err error) int {
	if err == nil {
		return Done
	}
	if errors.Is(err, context.Canceled) {
		if s, ok := context.Cause(ctx).(signalError); ok {
			return SignalExitBase + int(s.sig)
		}
		return CannotFinish
	}
	if s := (signalError{}); errors.As(err, &s) {
		return SignalExitBase + int(s.sig)
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	if e := (*isa.MissingError)(nil); errors.As(err, &e) {
		return NotAvailable
	}
	if e := (*backend.MissingError)(nil); errors.As(err, &e) {
		return NotAvailable
	}
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.ENOMEM, syscall.EFBIG, os.ErrDeadlineExceeded, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			return CannotFinish
		}
	}
	return BadUse
}

// oneLine joins the lines of a message, so that an error is one line whatever
// a library put into it.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, " ")
}
