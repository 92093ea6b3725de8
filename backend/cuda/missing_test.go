//go:build !gpu || !cgo

package cuda

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kadanoff/backend"
)

// A build without CUDA says so, and says what to do where that helps.
func TestMissing(t *testing.T) {
	var missing *backend.MissingError
	for _, name := range []string{"cuda", "cuda:1"} {
		if _, err := backend.Open(name, backend.Options{}); !errors.As(err, &missing) {
			t.Errorf("Open(%q): %v, want a MissingError", name, err)
		}
	}
	sign := filepath.Join(t.TempDir(), "version")
	if got := whyMissing([]string{sign}); got != "built without CUDA, and no NVIDIA driver here" {
		t.Errorf("without a driver: %q", got)
	}
	if err := os.WriteFile(sign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := whyMissing([]string{sign}); got != "built without CUDA: make gpu" {
		t.Errorf("with a driver: %q", got)
	}
}
