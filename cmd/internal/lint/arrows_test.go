package lint

import (
	"os/exec"
	"strings"
	"testing"
)

// arrows says what each part of the tree may import of the others. A part is
// the longest entry that is a prefix of a package's path; it may always import
// itself. "*" means anything.
var arrows = map[string][]string{
	"spin":                {},
	"kernels":             {"spin"},
	"backend":             {"spin", "kernels/isa"},
	"backend/ref":         {"spin", "backend"},
	"backend/cpu":         {"spin", "backend", "kernels"},
	"backend/cuda":        {"spin", "backend", "kernels"},
	"backend/backendtest": {"spin", "backend", "backend/ref"},
	"exact":               {"spin"},
	"model":               {"spin", "backend"},
	"comm":                {},
	"train":               {"spin", "backend", "model", "comm", "report"},
	"report":              {},
	"bench":               {"*"},
	"cmd":                 {"*"},
}

// gorgoniaUsers are the only places that may import gorgonia: it adds 20 MB to
// a binary. cmd/rbmbench must not even reach it through others.
var gorgoniaUsers = []string{"model/neuron", "model/thermometer", "cmd/kadanoff"}

func packages(t *testing.T, args ...string) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}"}, args...)...)
	cmd.Dir = "../../.."
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		imports[f[0]] = f[1:]
	}
	return imports
}

// within reports whether a package path is part of an entry of the tables.
func within(path, entry string) bool {
	return path == entry || strings.HasPrefix(path, entry+"/")
}

func partOf(path string) string {
	best := ""
	for entry := range arrows {
		if within(path, entry) && len(entry) > len(best) {
			best = entry
		}
	}
	return best
}

func TestImportArrows(t *testing.T) {
	for pkg, imports := range packages(t, "./...") {
		path, ok := strings.CutPrefix(pkg, "kadanoff/")
		if !ok {
			t.Errorf("%s: no package belongs at the top level", pkg)
			continue
		}
		part := partOf(path)
		if part == "" {
			t.Errorf("%s is in no part of the layout", pkg)
			continue
		}
		for _, imp := range imports {
			if strings.HasPrefix(imp, "gorgonia.org/gorgonia") || strings.HasPrefix(imp, "gorgonia.org/tensor") {
				allowed := false
				for _, user := range gorgoniaUsers {
					allowed = allowed || within(path, user)
				}
				if !allowed {
					t.Errorf("%s imports %s", pkg, imp)
				}
			}
			target, ours := strings.CutPrefix(imp, "kadanoff/")
			if !ours || partOf(target) == part {
				continue
			}
			allowed := false
			for _, a := range arrows[part] {
				allowed = allowed || a == "*" || a == partOf(target) || a == target
			}
			if !allowed {
				t.Errorf("%s imports %s: %s may import %v", pkg, imp, part, arrows[part])
			}
		}
	}
}

// rbmbench stays small: it reaches no gorgonia through anything.
func TestRbmbenchHasNoGorgonia(t *testing.T) {
	if _, ok := packages(t, "./cmd/...")["kadanoff/cmd/rbmbench"]; !ok {
		t.Skip("no cmd/rbmbench")
	}
	for pkg := range packages(t, "-deps", "./cmd/rbmbench") {
		if strings.HasPrefix(pkg, "gorgonia.org/gorgonia") {
			t.Errorf("cmd/rbmbench reaches %s", pkg)
		}
	}
}

// The default build is free of cgo.
func TestNoCgo(t *testing.T) {
	for pkg, imports := range packages(t, "./...") {
		for _, imp := range imports {
			if imp == "C" {
				t.Errorf("%s imports C in the default build", pkg)
			}
		}
	}
}
