// Package doclines finds the command lines in the documentation and runs them:
// what a page says can be typed is typed by a test.
package doclines

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Line is one command line of a page or of a help text.
type Line struct {
	Page   string // file, from the root of the source, or the command whose help it is
	Number int    // of its first line in the page
	Text   string // from the program's name on, continued lines joined
	// Inline lines stand in a sentence, between backquotes: they name a command
	// and flags, but need not be whole.
	Inline bool
}

func (l Line) String() string { return fmt.Sprintf("%s:%d: %s", l.Page, l.Number, l.Text) }

// start matches what may stand before a program: a shell's sign, a launcher, a
// folder, or go run.
var start = regexp.MustCompile(`^(?:- |\$ )?(?:(?:mpirun|mpiexec|srun) .*?)?(?:bin/|go run \./cmd/)?((?:kadanoff|rbmbench)(?:\s.*)?)$`)

var quoted = regexp.MustCompile("`(?:go run \\./cmd/|bin/)?((?:kadanoff|rbmbench)(?: [^`]+)?)`")

// Find returns the lines in a page's blocks of code and between its backquotes,
// in their order.
func Find(page, text string) []Line {
	var lines []Line
	all := strings.Split(text, "\n")
	fenced := false
	for i := 0; i < len(all); i++ {
		line := all[i]
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced && !strings.HasPrefix(line, "    ") {
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				lines = append(lines, Line{page, i + 1, m[1], true})
			}
			continue
		}
		first := i
		line = strings.TrimSpace(line)
		for strings.HasSuffix(line, `\`) && i+1 < len(all) {
			i++
			line = strings.TrimSuffix(line, `\`) + strings.TrimSpace(all[i])
		}
		if m := start.FindStringSubmatch(line); m != nil {
			lines = append(lines, Line{page, first + 1, m[1], false})
		}
	}
	return lines
}

// Pages returns the lines of the README and all pages below docs that are of a
// program.
func Pages(root, program string) ([]Line, error) {
	pages := []string{filepath.Join(root, "README.md")}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		pages = append(pages, more...)
	}
	var lines []Line
	for _, p := range pages {
		text, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return nil, err
		}
		lines = append(lines, Find(name, string(text))...)
	}
	return slices.DeleteFunc(lines, func(l Line) bool { return l.Text != program && !strings.HasPrefix(l.Text, program+" ") }), nil
}

// Split cuts a line into words as a shell does: quotes, $NAME from env, and
// comments. Output is the file that stdout goes to, if any. Patterns of file
// names are left to the caller.
func Split(text string, env map[string]string) (words []string, output string, err error) {
	var word strings.Builder
	in, quote := false, byte(0)
	end := func() {
		if in {
			words = append(words, word.String())
		}
		word.Reset()
		in = false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != '\'' && c == '$':
			j := i + 1
			for j < len(text) && (text[j] == '_' || text[j] >= 'A' && text[j] <= 'Z') {
				j++
			}
			value, ok := env[text[i+1:j]]
			if !ok {
				return nil, "", fmt.Errorf("$%s has no value here", text[i+1:j])
			}
			word.WriteString(value)
			in, i = true, j-1
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, in = c, true
		case c == ' ' || c == '\t':
			end()
		case c == '#' && !in:
			i = len(text)
		case strings.IndexByte("|&;<`()", c) >= 0:
			return nil, "", fmt.Errorf("%q is more of a shell than can be run here", c)
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, "", fmt.Errorf("a quote is not closed")
	}
	end()
	if i := slices.Index(words, ">"); i >= 0 {
		if i+2 != len(words) {
			return nil, "", fmt.Errorf("want one file after >")
		}
		words, output = words[:i], words[i+1]
	}
	return words, output, nil
}
