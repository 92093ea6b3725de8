//go:build !gpu || !cgo

package cuda

import (
	"os"

	"kadanoff/backend"
)

// Where the NVIDIA kernel driver and that of WSL show themselves.
var driverSigns = []string{"/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1"}

func init() {
	backend.Register(backend.Driver{
		Name:     "cuda",
		Priority: 20,
		Open: func(backend.Options) (backend.Backend, error) {
			return nil, &backend.MissingError{Name: "cuda", Reason: rebuild}
		},
		Devices: func() []backend.Info {
			return []backend.Info{{Backend: "cuda", Missing: whyMissing(driverSigns)}}
		},
	})
}

// Advice is what a user of this machine should know who did not name a
// backend; empty if nothing.
func Advice() string {
	if why := whyMissing(driverSigns); why == rebuild {
		return why
	}
	return ""
}

const rebuild = "built without CUDA: make gpu"

// whyMissing tells those to build again for whom it would help.
func whyMissing(signs []string) string {
	for _, path := range signs {
		if _, err := os.Stat(path); err == nil {
			return rebuild
		}
	}
	return "built without CUDA, and no NVIDIA driver here"
}
