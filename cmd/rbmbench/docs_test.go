package main

import (
	"os"
	"path/filepath"
	"testing"

	"kadanoff/bench"
	"kadanoff/cmd/internal/doclines"
)

// Every command line in the pages and help texts works. Those that measure take
// their time whatever they measure, so that their flags alone are checked here.
func TestCommandLinesOfTheDocs(t *testing.T) {
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	report := []byte(`{"machine":{"cpu":"x"},"version":"v0","records":[{"kind":"bench","name":"gibbs/5x3x64","value":1,"times_s":[1,1,1]}]}`)
	const measures = "it measures for seconds or more; TestMainJob and TestOneKernel run it on one path"
	s := doclines.Suite{
		Program: "rbmbench", Root: newRoot,
		Prepare: func(dir string) {
			for _, name := range []string{"old.json", "new.json", "before.json", "after.json"} {
				if err := os.WriteFile(filepath.Join(dir, name), report, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		},
		Parsed: map[string]string{"rbmbench": measures, "rbmbench peers": "it needs what make peers installs; TestPeersDiffer runs it on a stand-in", "rbmbench devices": "", "rbmbench compare": "", "rbmbench manual": ""},
	}
	for _, a := range bench.Areas() {
		s.Parsed["rbmbench "+a.Name] = measures
	}
	s.Run(t, source)
}
