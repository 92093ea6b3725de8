package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that help shows has a page with its flags, and the same source
// gives the same bytes.
func TestManual(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	write := func() map[string]string {
		dir := filepath.Join(t.TempDir(), "share")
		if code := Run(context.Background(), tree(nil), []string{"manual", dir}, io.Discard, os.Stderr); code != Done {
			t.Fatalf("exit %d", code)
		}
		files := map[string]string{}
		for _, pattern := range []string{"man/man1/*", "*/*completions*/*", "zsh/site-functions/*"} {
			list, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range list {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				files[filepath.Base(f)] = string(text)
			}
		}
		return files
	}
	files := write()
	for name, words := range map[string][]string{
		"tool.1":           {"Sep 2001", "Kadanoff " + Version(), "tool-both(1)"},
		"tool-do.1":        {"--seed"},
		"tool-both.1":      {"tool-both-left(1)"},
		"tool-both-left.1": {"Left"},
		"tool":             {"__complete"}, "_tool": {"#compdef tool"}, "tool.fish": {"complete -c tool"},
	} {
		for _, w := range words {
			if !strings.Contains(files[name], w) {
				t.Errorf("%s does not say %q", name, w)
			}
		}
	}
	if _, ok := files["tool-manual.1"]; ok || len(files) != 7 {
		t.Errorf("%d files: want a page for each command that help shows, and three completions", len(files))
	}
	for name, text := range write() {
		if files[name] != text {
			t.Errorf("%s differs when it is written again", name)
		}
	}
}

func TestManualCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"manual"}, {"manual", "a", "b"}, {"manual", file}} {
		if code, _, stderr := try(nil, args...); code != BadUse || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d, stderr %q", args, code, stderr)
		}
	}
}

// The completion script asks the program itself: words and flags are offered.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{"__complete b": "both", "__complete do --for": "--format"} {
		code, stdout, _ := try(func(*Options, *cobra.Command) error { return nil }, strings.Fields(line)...)
		if code != Done || !strings.Contains(stdout, want) {
			t.Errorf("tool %s: exit %d, %q; want %s", line, code, stdout, want)
		}
	}
}
