package main

import (
	"errors"
	"fmt"

	"kadanoff/backend"
	_ "kadanoff/backend/cpu" // the backends that --backend names
	_ "kadanoff/backend/cuda"
	_ "kadanoff/backend/ref"
	"kadanoff/cmd/internal/cli"
)

// openBackend opens the backend that the shared flags ask for. One that was
// named and cannot be had is exit 3.
func openBackend(o *cli.Options) (backend.Backend, error) {
	b, err := backend.Open(o.Backend, backend.Options{ISA: o.ISA.String(), Threads: o.Threads})
	if missing := (*backend.MissingError)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("%w", cli.Missing("%v", missing))
	}
	return b, err
}
