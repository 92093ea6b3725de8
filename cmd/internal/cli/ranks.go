package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/comm"
)

// OnRanks runs a job on every process that mpirun or srun has started, or on
// this one alone. Only rank 0 writes to stdout and stderr, unless a process
// fails alone: then it says so and ends all. Advice follows the words on a lost
// process, as "; do this".
func OnRanks(cmd *cobra.Command, timeout time.Duration, advice string, job func(comm.Group) error) error {
	if timeout <= 0 {
		if comm.LaunchRank() > 0 {
			return Silent(BadUse)
		}
		return Usage("--peer-timeout %v: want more than 0", timeout)
	}
	stderr := cmd.ErrOrStderr()
	g, err := comm.Open(comm.Options{Timeout: timeout, Lost: func(err error) {
		fmt.Fprintf(stderr, "%s: %v%s\n", cmd.Root().Name(), err, advice)
		os.Exit(LostPeer)
	}})
	if err != nil {
		return err
	}
	if g.Size() == 1 {
		return job(g)
	}
	if g.Rank() > 0 {
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
	} else if comm.OneCore() {
		fmt.Fprintln(stderr, "this process may use one core only, of a machine that has more: mpirun --bind-to none, or srun --cpu-bind=none, frees it")
	}
	err = job(g)
	peer := (*comm.PeerError)(nil)
	if err == nil || errors.As(err, &peer) {
		if e := g.Close(); e != nil && err == nil {
			return PeerLost("%w", e)
		}
	}
	switch {
	case err == nil:
		return nil
	case peer == nil:
		fmt.Fprintf(stderr, "%s: rank %d: %v\n", cmd.Root().Name(), g.Rank(), err)
		g.Abort(ExitCode(cmd.Context(), err))
	case g.Rank() > 0:
		return Silent(peer.Code)
	}
	return &Error{Code: peer.Code, Err: err}
}

// Settle gives a process its share of its machine: threads, where the user has
// not said how many, and a GPU of its own.
func (o *Options) Settle(cmd *cobra.Command, g comm.Group) error {
	p, err := comm.Locate(g)
	if err != nil {
		return err
	}
	if !cmd.Flags().Changed("threads") {
		o.Threads = max(1, o.Threads/p.Sharing)
	}
	if p.Size > 1 && (o.Backend == "cuda" || o.Backend == "auto") {
		if n := gpus(); n > 0 {
			o.Backend = fmt.Sprintf("cuda:%d", p.Rank%n)
		}
	}
	return nil
}

// gpus counts the CUDA devices that can be used.
func gpus() int {
	n := 0
	for _, d := range backend.Drivers() {
		if d.Name != "cuda" {
			continue
		}
		for _, i := range d.Devices() {
			if i.Missing == "" {
				n++
			}
		}
	}
	return n
}
