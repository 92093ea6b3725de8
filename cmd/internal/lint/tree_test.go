package lint

import (
	"os"
	"strings"
	"testing"
)

// The top level stays readable at one glance.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir("../../..")
	if err != nil {
		t.Fatal(err)
	}
	free := map[string]bool{"README.md": true, "LICENSE": true, "CHANGELOG.md": true, "bin": true, "dist": true, "out": true}
	var counted []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !free[e.Name()] {
			counted = append(counted, e.Name())
		}
	}
	if len(counted) > 14 {
		t.Errorf("%d entries at the top level, want at most 14: %v", len(counted), counted)
	}
}
