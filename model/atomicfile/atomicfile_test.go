package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func fill(s string, err error) func(io.Writer) error {
	return func(w io.Writer) error {
		if _, err := io.WriteString(w, s); err != nil {
			return err
		}
		return err
	}
}

func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want) {
		t.Errorf("%d files in the folder, want %d: %v", len(entries), len(want), entries)
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, text)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Write(path, fill("one", nil)); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"a": "one"})

	boom := errors.New("boom")
	if err := Write(path, fill("half", boom)); !errors.Is(err, boom) {
		t.Errorf("Write = %v, want the error of fill", err)
	}
	wantFiles(t, dir, map[string]string{"a": "one"})

	if err := Write(path, fill("two", nil)); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"a": "two"})
}

func TestNothingBeforeCommit(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is seen before Commit: %v", err)
	}
	f.Abort()
	wantFiles(t, dir, map[string]string{})
	if err := f.Commit(); err == nil {
		t.Error("Commit after Abort has no error")
	}
}

func TestLinkKept(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	real := filepath.Join(elsewhere, "real")
	if err := os.WriteFile(real, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	if err := Write(link, fill("new", nil)); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, elsewhere, map[string]string{"real": "new"})
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("permissions are %v, want those of the file replaced", info.Mode())
	}
}

func TestDeviceIsNotReplaced(t *testing.T) {
	if err := Write(os.DevNull, fill("x", nil)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s was replaced by a regular file", os.DevNull)
	}
}

func TestErrorsNameThePath(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing", "a")} {
		err := Write(path, fill("x", nil))
		if err == nil {
			t.Errorf("Write(%s) has no error", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("error %q does not name %s", err, path)
		}
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		if err := Write("/dev/full", fill("x", nil)); err == nil || !strings.Contains(err.Error(), "no space") {
			t.Errorf("a full disk gives %v", err)
		}
	}
}

// What is swept are the temporary files of those names, as a process that was
// killed leaves them, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "model-1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half")); err != nil { // and is killed
		t.Fatal(err)
	}
	defer f.Abort()
	for name, text := range map[string]string{"model-1": "old", ".other-1234": "x", "model-1234": "y"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".model-folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 5 {
		t.Fatalf("before: %v, %v", entries, err)
	}
	if err := Sweep(dir, "model-", "index.html"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, ".model-folder")); err != nil {
		t.Errorf("a folder was swept: %v", err)
	}
	wantFiles(t, dir, map[string]string{"model-1": "old", ".other-1234": "x", "model-1234": "y"})
}
