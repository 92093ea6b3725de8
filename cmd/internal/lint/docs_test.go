package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages returns the README, the changelog and all pages below docs, with their
// text.
func pages(t *testing.T) map[string]string {
	t.Helper()
	text := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		list, err := filepath.Glob(filepath.Join("../../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text[f] = string(raw)
		}
	}
	if len(text) < 10 {
		t.Fatalf("%d pages: are they found?", len(text))
	}
	return text
}

var (
	link      = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	namedFile = regexp.MustCompile("`((?:[a-z-]+/)?[a-z-]+\\.md)`")
	target    = regexp.MustCompile("(?:`|^(?:    )?)make ([a-z-]+)")
)

// Links of the pages, and pages that they name, are there.
func TestLinksOfTheDocs(t *testing.T) {
	for page, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, m[1])
			}
		}
		for _, m := range namedFile.FindAllStringSubmatch(text, -1) {
			_, here := os.Stat(filepath.Join(filepath.Dir(page), m[1]))
			_, top := os.Stat(filepath.Join("../../..", m[1]))
			if here != nil && top != nil {
				t.Errorf("%s: there is no page %s", page, m[1])
			}
		}
	}
}

// Every page can be found from the README, by itself or its folder.
func TestReadmeLeadsToAllPages(t *testing.T) {
	all := pages(t)
	readme := all["../../../README.md"]
	for page := range all {
		name := strings.TrimPrefix(page, "../../../")
		if strings.HasPrefix(name, "docs/") && !strings.Contains(readme, "("+name+")") && !strings.Contains(readme, "("+filepath.Dir(name)+"/)") {
			t.Errorf("README.md has no link to %s", name)
		}
	}
}

// What the pages tell to make can be made.
func TestTargetsOfTheDocs(t *testing.T) {
	makefile, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for page, text := range pages(t) {
		for line := range strings.Lines(text) {
			for _, m := range target.FindAllStringSubmatch(line, -1) {
				n++
				if !strings.Contains(string(makefile), "\n"+m[1]+":") {
					t.Errorf("%s: there is no make %s", page, m[1])
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("%d targets in the pages: are they found?", n)
	}
}
