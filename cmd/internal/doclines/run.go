package doclines

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
)

// Suite says how the lines of one program are run.
type Suite struct {
	Program string
	Root    func() *cobra.Command // a new tree of commands
	Prepare func(dir string)      // puts the files that lines read into a folder
	Env     map[string]string     // the environment; what $NAME stands for
	// Shorter has, for the beginnings of lines that would run for long, flags
	// that are added to make them short. Each must be used.
	Shorter map[string]string
	// Parsed has the lines, by their beginnings, whose flags are only checked, and
	// why; a longer beginning without a reason is run all the same. Each must be
	// used.
	Parsed map[string]string
}

// Run runs every line of the pages and of the help texts of all commands. The
// lines of a page run one after another in one folder, so that a later one finds
// what an earlier one has written; a line that ends with another code than 0
// fails the test. Of lines in sentences command and flags must exist.
func (s *Suite) Run(t *testing.T, source string) {
	lines, err := Pages(source, s.Program)
	if err != nil {
		t.Fatal(err)
	}
	whole := slices.DeleteFunc(slices.Clone(lines), func(l Line) bool { return l.Inline })
	if len(whole) < 2 {
		t.Fatalf("%d command lines in the pages: are they found?", len(whole))
	}
	lines = append(lines, s.help(s.Root())...)
	for name, value := range s.Env {
		t.Setenv(name, value)
	}
	used := map[string]bool{}
	dirs := map[string]string{}
	for _, l := range lines {
		if l.Inline {
			s.names(t, l)
			continue
		}
		if dirs[l.Page] == "" {
			dirs[l.Page] = t.TempDir()
			s.Prepare(dirs[l.Page])
		}
		s.one(t, l, dirs[l.Page], used)
	}
	for _, list := range []map[string]string{s.Shorter, s.Parsed} {
		for begin := range maps.Keys(list) {
			if !used[begin] {
				t.Errorf("no line begins with %q any more", begin)
			}
		}
	}
}

// help returns the example lines of a command and those below it.
func (s *Suite) help(c *cobra.Command) []Line {
	text := "```\n" + c.Example + "\n```"
	lines := Find(c.CommandPath()+" --help", text)
	for _, sub := range c.Commands() {
		lines = append(lines, s.help(sub)...)
	}
	return lines
}

// patience is many times what a line may take: one that goes on is named.
const patience = 2 * time.Minute

// longest returns the longest beginning of a line that a list has.
func longest(list map[string]string, line string) string {
	best := ""
	for begin := range list {
		if strings.HasPrefix(line+" ", begin+" ") && len(begin) > len(best) {
			best = begin
		}
	}
	return best
}

func (s *Suite) one(t *testing.T, l Line, dir string, used map[string]bool) {
	t.Helper()
	words, output, err := Split(l.Text, s.Env)
	if err != nil {
		t.Errorf("%v: %v", l, err)
		return
	}
	var args []string
	for _, w := range words[1:] {
		w = strings.TrimPrefix(w, "/data/")              // a volume's
		files, _ := filepath.Glob(filepath.Join(dir, w)) // a word that is no pattern is itself
		if !strings.ContainsAny(w, "*?") || len(files) == 0 {
			args = append(args, w)
			continue
		}
		for _, f := range files {
			args = append(args, filepath.Base(f))
		}
	}
	if begin := longest(s.Parsed, l.Text); begin != "" {
		used[begin] = true
		if s.Parsed[begin] != "" {
			if err := parse(s.Root(), args); err != nil {
				t.Errorf("%v: %v", l, err)
			}
			return
		}
	}
	if begin := longest(s.Shorter, l.Text); begin != "" {
		used[begin] = true
		args = append(args, strings.Fields(s.Shorter[begin])...)
	}
	t.Chdir(dir)
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	code := cli.Run(ctx, s.Root(), args, &stdout, &stderr)
	if ctx.Err() != nil {
		t.Fatalf("%v: not done after %v: make it shorter, or say why its flags alone are checked", l, patience)
	}
	if code != cli.Done {
		t.Errorf("%v: exit %d: %s", l, code, strings.TrimSpace(stderr.String()))
	}
	if output != "" {
		if err := os.WriteFile(output, stdout.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// parse finds the command of a line and checks its flags and the number of its
// arguments.
func parse(root *cobra.Command, args []string) error {
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	return c.ValidateArgs(c.Flags().Args())
}

// names checks a line that stands in a sentence: the command and the flags that
// it names must exist. Words in capitals and dots stand for something.
func (s *Suite) names(t *testing.T, l Line) {
	t.Helper()
	c := s.Root()
	value := false // the next word is a flag's
	for _, w := range strings.Fields(l.Text)[1:] {
		if name, ok := strings.CutPrefix(w, "--"); ok {
			name, _, whole := strings.Cut(name, "=")
			f := c.Flags().Lookup(name)
			if f == nil { // of this command and those below it, or of one above
				f = cmp.Or(c.PersistentFlags().Lookup(name), c.InheritedFlags().Lookup(name))
			}
			switch {
			case f != nil:
				value = !whole && f.NoOptDefVal == ""
			case name != "help" && name != "version":
				t.Errorf("%v: %s has no flag --%s", l, c.CommandPath(), name)
			}
			continue
		}
		if value {
			value = false
			continue
		}
		sub := slices.IndexFunc(c.Commands(), func(sub *cobra.Command) bool { return sub.Name() == w })
		if sub >= 0 {
			c = c.Commands()[sub]
		} else if !c.HasParent() {
			t.Errorf("%v: there is no %s %s", l, c.Name(), w)
			return
		}
	}
}
