//go:build gpu && cgo

package cuda

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	_ "kadanoff/backend/cpu" // does what the device leaves to it
	"kadanoff/spin"
)

var recordsFile = flag.String("records", "", "write what the benchmarks measure to this file, as JSON")

// With KADANOFF_NEED_GPU the tests fail with code 3 where there is no device;
// without it they are skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	if _, why := count(); why != "" && os.Getenv("KADANOFF_NEED_GPU") != "" {
		fmt.Fprintf(os.Stderr, "no CUDA device: %s\n", why)
		os.Exit(3)
	}
	code := m.Run()
	if *recordsFile != "" {
		if err := writeRecords(*recordsFile); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 4
		}
	}
	os.Exit(code)
}

func open(t testing.TB) *Backend {
	t.Helper()
	if _, why := count(); why != "" {
		t.Skip(why)
	}
	b, err := New(backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, open(t))
}

func quantized(t testing.TB, n *spin.Net[float32]) *spin.Network {
	t.Helper()
	q, err := spin.Quantize(n)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
