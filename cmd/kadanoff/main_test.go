package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
)

// run runs the command line and returns its exit code and what it wrote.
func run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cli.Run(context.Background(), newRoot(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// runJSON runs a command that must succeed with --format json into v.
func runJSON(t *testing.T, v any, args ...string) {
	t.Helper()
	code, stdout, stderr := run(append(args, "--format", "json")...)
	if code != 0 {
		t.Fatalf("kadanoff %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), v); err != nil {
		t.Fatalf("kadanoff %s: %v in %q", strings.Join(args, " "), err, stdout)
	}
}

// badUse wants exit code 2, nothing on stdout and one line on stderr that
// contains each of the words.
func badUse(t *testing.T, line string, words ...string) {
	t.Helper()
	code, stdout, stderr := run(strings.Fields(line)...)
	if code != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
		t.Errorf("kadanoff %s: exit %d, stdout %q, stderr %q; want exit 2 and one line on stderr", line, code, stdout, stderr)
	}
	for _, w := range words {
		if !strings.Contains(stderr, w) {
			t.Errorf("kadanoff %s: %q does not say %q", line, stderr, w)
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() != "help" && c.Name() != "completion" {
			if c.Example == "" || c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("%s: want a short description and an example of its own", c.CommandPath())
			}
			for _, sub := range c.Commands() {
				walk(sub)
			}
		}
	}
	walk(newRoot())
}

func TestWrongUse(t *testing.T) {
	badUse(t, "nosuch", "nosuch")
	badUse(t, "--nosuch", "--nosuch")
	badUse(t, "--format xml", "--format", "xml")
}
