package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (r *release) stamp() string { return strconv.FormatInt(r.time.Unix(), 10) }

// archive makes one archive and the list of what is in its binaries, and returns
// the names of both files.
func (r *release) archive(b build, manual string) ([]string, error) {
	stage, err := os.MkdirTemp("", "kadanoff-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	bin := filepath.Join(stage, "bin")
	if err := r.compile(b, bin); err != nil {
		return nil, err
	}
	if err := b.check(bin); err != nil {
		return nil, err
	}
	bill, err := r.bill(b, bin)
	if err != nil {
		return nil, err
	}
	if err := licenses(b, filepath.Join(stage, "licenses")); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(stage, "sbom.cdx.json"), bill, 0o644); err != nil {
		return nil, err
	}
	for from, to := range map[string]string{
		"README.md": "README.md", "LICENSE": "LICENSE", "CHANGELOG.md": "CHANGELOG.md", "docs": "docs", manual: "share",
	} {
		if err := copyTree(filepath.Join(stage, to), from); err != nil {
			return nil, err
		}
	}
	name := b.name(r.version)
	if err := pack(filepath.Join(r.out, name+".tar.gz"), stage, name, r.time); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(r.out, name+".cdx.json"), bill, 0o644); err != nil {
		return nil, err
	}
	return []string{name + ".tar.gz", name + ".cdx.json"}, nil
}

// copyTree copies a file or a folder.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(dst, 0o755)
		}
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(dst, text, 0o644)
	})
}

// pack writes the files below dir, as those of a folder called name, in the
// order of their names, with one time and no owner.
func pack(file, dir, name string, at time.Time) error {
	var names []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, p := range names {
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: path.Join(name, filepath.ToSlash(rel)), Size: int64(len(text)),
			Mode: 0o644, ModTime: at, Format: tar.FormatUSTAR,
		}
		if strings.HasPrefix(rel, "bin"+string(filepath.Separator)) {
			h.Mode = 0o755
		}
		if len(h.Name) > 100 { // USTAR splits longer names only at a slash
			h.Format = tar.FormatPAX
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(text); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}

// checksums writes SHA256SUMS, as sha256sum -c reads it.
func checksums(dir string, names []string) error {
	var text strings.Builder
	slices.Sort(names)
	for _, n := range names {
		f, err := os.Open(filepath.Join(dir, n))
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", h.Sum(nil), n)
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(text.String()), 0o644)
}
