package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewer(t *testing.T) {
	for symbol, want := range map[string]bool{
		"GLIBC_2.2.5": false, "GLIBC_2.3": false, "GLIBC_2.17": false, "GLIBC_2.28": false,
		"GLIBC_2.28.1": true, "GLIBC_2.29": true, "GLIBC_2.34": true, "GLIBC_3.0": true, "GLIBC_PRIVATE": true, "GLIBCXX_3.4": true,
	} {
		if newer(symbol, "2.28") != want {
			t.Errorf("newer(%s, 2.28) is not %v", symbol, want)
		}
	}
}

// A test binary without cgo is static; it is told from others.
func TestCheckFile(t *testing.T) {
	if runtime.GOOS != "linux" || targets[runtime.GOARCH] == "" {
		t.Skip("binaries of this system are no releases")
	}
	exe := filepath.Join(t.TempDir(), "static")
	cmd := exec.Command("go", "build", "-o", exe, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := (build{arch: runtime.GOARCH, static: true}).checkFile(exe); err != nil {
		t.Error(err)
	}
	if (build{arch: runtime.GOARCH}).checkFile(exe) == nil {
		t.Error("a static binary passes for one with cgo")
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	if (build{arch: other, static: true}).checkFile(exe) == nil {
		t.Errorf("a binary for %s passes for one for %s", runtime.GOARCH, other)
	}
}

// Bytes do not depend on when and in which order files were made.
func TestPack(t *testing.T) {
	at := time.Unix(1e9, 0).UTC()
	long := strings.Repeat("long/", 30) + "name"
	write := func(names ...string) []byte {
		dir := t.TempDir()
		for _, n := range names {
			f := filepath.Join(dir, n)
			if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f, []byte(n), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(t.TempDir(), "a.tar.gz")
		if err := pack(file, dir, "top", at); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	one, two := write("b", "bin/a", long), write(long, "bin/a", "b")
	if !bytes.Equal(one, two) {
		t.Error("the order in which files are made changes the archive")
	}
	files := unpack(t, one)
	if len(files) != 3 || string(files["top/"+long].text) != long {
		t.Errorf("%d files, want 3 with their text", len(files))
	}
	for name, mode := range map[string]int64{"top/b": 0o644, "top/bin/a": 0o755} {
		if h := files[name].header; h.Mode != mode || !h.ModTime.Equal(at) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

type member struct {
	header *tar.Header
	text   []byte
}

// unpack returns the members of an archive, which must be in the order of their
// names.
func unpack(t *testing.T, raw []byte) map[string]member {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" {
		t.Errorf("the archive knows when it was made, or its name: %v, %q", z.ModTime, z.Name)
	}
	files := map[string]member{}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = member{h, text}
		names = append(names, h.Name)
	}
	if !slices.IsSorted(names) {
		t.Error("the archive is not in the order of its names")
	}
	return files
}

func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := checksums(dir, []string{"b", "a"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if want := fmt.Sprintf("%x  a\n%x  b\n", sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))); err != nil || string(got) != want {
		t.Errorf("%v, %q, want %q", err, got, want)
	}
}

const testVersion = "v0.0.0-test"

// makeRelease writes a release of the source in a folder and returns its files.
func makeRelease(t *testing.T, source, tools string) map[string][]byte {
	t.Helper()
	out := t.TempDir()
	cmd := exec.Command("go", "run", "./cmd/internal/release", "-arch", runtime.GOARCH, "-version", testVersion, "-tools", tools, "-out", out)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1000000000", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	files := map[string][]byte{}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(out, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// copySource copies what git knows of the source, or would add, elsewhere.
func copySource(t *testing.T, root string) string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	list, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "elsewhere")
	for name := range strings.Lines(string(list)) {
		name = strings.TrimSuffix(name, "\n")
		info, err := os.Stat(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // removed, and not yet committed
		}
		if err == nil {
			err = copyTree(filepath.Join(to, name), filepath.Join(root, name))
		}
		if err == nil {
			err = os.Chmod(filepath.Join(to, name), info.Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A release of this machine's architecture, made twice in different folders: the
// same bytes, and in them what belongs there. It takes a minute or two, needs a
// network once, and is run by make release-check.
func TestRelease(t *testing.T) {
	if os.Getenv("KADANOFF_TEST_RELEASE") == "" {
		t.Skip("make release-check runs it")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	tools := filepath.Join(root, ".tools")
	files := makeRelease(t, root, tools)
	again := makeRelease(t, copySource(t, root), tools)
	if len(files) != 5 {
		t.Fatalf("%d files, want two archives, what is in them, and checksums", len(files))
	}
	for name, text := range files {
		if !bytes.Equal(again[name], text) {
			t.Errorf("%s differs when it is made again in another folder", name)
		}
		if sum := fmt.Sprintf("%x  %s\n", sha256.Sum256(text), name); name != "SHA256SUMS" && !strings.Contains(string(files["SHA256SUMS"]), sum) {
			t.Errorf("SHA256SUMS does not say %s", sum)
		}
	}
	for _, static := range []bool{false, true} {
		b := build{arch: runtime.GOARCH, static: static}
		name := b.name(testVersion)
		t.Run(name, func(t *testing.T) {
			in := unpack(t, files[name+".tar.gz"])
			for _, f := range []string{
				"README.md", "LICENSE", "CHANGELOG.md", "docs/files.md", "docs/kernels/gibbs.md", "licenses/go/LICENSE",
				"licenses/github.com/spf13/cobra/LICENSE.txt", "share/man/man1/kadanoff.1", "share/man/man1/rbmbench-check.1",
				"share/bash-completion/completions/kadanoff", "share/zsh/site-functions/_rbmbench", "share/fish/vendor_completions.d/kadanoff.fish",
			} {
				if len(in[name+"/"+f].text) == 0 {
					t.Errorf("%s is not in the archive", f)
				}
			}
			if !bytes.Equal(in[name+"/sbom.cdx.json"].text, files[name+".cdx.json"]) {
				t.Error("the list of what is in it is another one than that beside it")
			}
			checkBill(t, files[name+".cdx.json"], in[name+"/bin/kadanoff"].text, static)
			for _, c := range commands {
				checkBinary(t, in[name+"/bin/"+c].text, static, root)
			}
		})
	}
}

// checkBinary looks at a binary with no help of build.check, and starts it.
func checkBinary(t *testing.T, text []byte, static bool, paths ...string) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := f.ImportedLibraries()
	if static != (f.Section(".interp") == nil) || static != (len(libraries) == 0) {
		t.Errorf("static: %v, but it has .interp or needs %v, %v", static, libraries, err)
	}
	symbols, _ := f.ImportedSymbols() // a static binary has no table of them
	versions := 0
	for _, s := range symbols {
		var major, minor int
		if n, _ := fmt.Sscanf(s.Version, "GLIBC_%d.%d", &major, &minor); n == 2 {
			versions++
			if major > 2 || minor > 28 {
				t.Errorf("%s@%s: want glibc 2.28 to have it", s.Name, s.Version)
			}
		}
		if static {
			t.Errorf("a static binary wants %s", s.Name)
		}
	}
	if !static && versions == 0 {
		t.Error("no symbol of glibc has a version")
	}
	cache, err := output(exec.Command("go", "env", "GOMODCACHE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(paths, cache) {
		if bytes.Contains(text, []byte(p+"/")) {
			t.Errorf("the binary knows the folder %s", p)
		}
	}
	exe := filepath.Join(t.TempDir(), "exe")
	if err := os.WriteFile(exe, text, 0o755); err != nil {
		t.Fatal(err)
	}
	if version, err := output(exec.Command(exe, "--version")); err != nil || !strings.HasSuffix(version, " version "+testVersion) {
		t.Errorf("--version: %q, %v", version, err)
	}
}

func checkBill(t *testing.T, text, binary []byte, static bool) {
	t.Helper()
	var bill struct {
		Format   string `json:"bomFormat"`
		Spec     string `json:"specVersion"`
		Serial   string `json:"serialNumber"`
		Metadata struct {
			Timestamp string
			Component component
		}
		Components []component
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		t.Fatal(err)
	}
	if bill.Format != "CycloneDX" || bill.Spec != "1.5" || len(bill.Serial) != len("urn:uuid:")+36 || bill.Metadata.Timestamp != "2001-09-09T01:46:40Z" ||
		bill.Metadata.Component.Version != testVersion || bill.Metadata.Component.Components[0].Hashes[0].Content != fmt.Sprintf("%x", sha256.Sum256(binary)) {
		t.Errorf("head of the list: %+v", bill.Metadata)
	}
	have := map[string]component{}
	for _, c := range bill.Components {
		if have[c.Ref].Ref != "" {
			t.Errorf("%s is listed twice", c.Ref)
		}
		have[c.Ref] = c
	}
	std := strings.TrimPrefix(runtime.Version(), "go")
	cobra := have["pkg:golang/github.com/spf13/cobra@v1.10.2"]
	if have["pkg:golang/std@"+std].Version != std || len(cobra.Hashes) != 1 || len(cobra.Hashes[0].Content) != 64 {
		t.Errorf("Go %s and cobra with its SHA-256 are not among %d components", std, len(have))
	}
	for module, dynamic := range map[string]bool{"github.com/ebitengine/purego": true, "gorgonia.org/cu": true, "gorgonia.org/gorgonia": false} {
		found := slices.ContainsFunc(bill.Components, func(c component) bool { return c.Name == module })
		if found != (!static || !dynamic) {
			t.Errorf("%s listed: %v", module, found)
		}
	}
}
