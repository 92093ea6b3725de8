package main

import (
	"errors"
	"fmt"
	"os"

	"kadanoff/backend"
	_ "kadanoff/backend/cpu" // the backends that --backend names
	"kadanoff/backend/cuda"
	_ "kadanoff/backend/ref"
	"kadanoff/cmd/internal/cli"
)

// openBackend opens the backend that the shared flags ask for. One that was
// named and cannot be had is exit 3. Where none was named, a GPU that this build
// cannot use is mentioned.
func openBackend(o *cli.Options) (backend.Backend, error) {
	b, err := backend.Open(o.Backend, backend.Options{ISA: o.ISA.String(), Threads: o.Threads})
	if missing := (*backend.MissingError)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("%w", cli.Missing("%v", missing))
	}
	if why := cuda.Advice(); err == nil && why != "" && o.Backend == "auto" {
		fmt.Fprintf(os.Stderr, "kadanoff: %s\n", why)
	}
	return b, err
}
