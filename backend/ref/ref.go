// Package ref is the reference backend: plain scalar Go that restates every
// job from its definition, independently of the kernels. It is slow and
// obviously right, and the other backends must give its bits.
package ref

import (
	"runtime"

	"kadanoff/backend"
	"kadanoff/spin"
)

func init() {
	backend.Register(backend.Driver{
		Name:     "ref",
		Priority: -1,
		Open:     func(backend.Options) (backend.Backend, error) { return New(), nil },
		Devices:  func() []backend.Info { return []backend.Info{New().Info()} },
	})
}

// Backend is the reference backend. It has no state.
type Backend struct{}

// New returns the reference backend.
func New() Backend { return Backend{} }

// Info describes the backend.
func (Backend) Info() backend.Info {
	return backend.Info{Backend: "ref", Device: runtime.GOARCH + ", scalar Go", ISA: "scalar", Threads: 1}
}

// Close does nothing.
func (Backend) Close() error { return nil }

// spinOf returns ±1.
func spinOf(b *spin.Batch, unit, chain int) int64 { return int64(b.Spin(unit, chain)) }
