package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Packages that others build on show their use in an example that is run. That
// every exported name has a doc comment is staticcheck's to see (make lint).
func TestMainPackagesHaveExamples(t *testing.T) {
	for _, p := range []string{
		"spin", "spin/philox", "backend", "exact", "comm", "train", "report",
		"model/rbm", "model/rg", "model/neuron", "model/hopfield", "model/boltzmann", "model/ising", "model/thermometer",
		"model/couplings", "model/npy", "model/modelfile", "model/stats",
	} {
		files, err := filepath.Glob(filepath.Join("../../..", p, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			at := strings.Index(string(text), "\nfunc Example")
			found = found || at >= 0 && strings.Contains(string(text)[at:], "// Output:")
		}
		if !found {
			t.Errorf("%s has no example with its output", p)
		}
	}
}
