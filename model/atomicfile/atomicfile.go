// Package atomicfile writes files that are there whole or not at all: a
// temporary file in the same folder, synced, then renamed over the target.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// File is a file being written. Nothing of it is seen at its path before
// Commit; Abort, or a crash, leaves what was there before.
//
// A path that is there and is no regular file (a pipe, a terminal, /dev/null)
// cannot be replaced by renaming and is written straight through.
type File struct {
	path    string
	pending pending // nil for what is written straight through
	direct  *os.File
	buf     *bufio.Writer
	done    bool
}

// pending is a temporary file beside its target.
type pending interface {
	io.Writer
	CloseAtomicallyReplace() error // syncs, closes and renames it over the target
	Cleanup() error                // closes and removes it
}

// Create starts the file that Commit will put at path. A link is followed, so
// that its target is replaced and not the link.
func Create(path string) (*File, error) {
	f := &File{path: path}
	target := path
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s: is a folder, want a file to write", path)
	case err == nil && !info.Mode().IsRegular():
		if f.direct, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
			return nil, f.fail(err)
		}
		f.buf = bufio.NewWriterSize(f.direct, 1<<16)
		return f, nil
	case err == nil:
		if target, err = filepath.EvalSymlinks(path); err != nil {
			return nil, f.fail(err)
		}
	}
	var err error
	if f.pending, err = newPending(target); err != nil {
		return nil, f.fail(err)
	}
	f.buf = bufio.NewWriterSize(f.pending, 1<<16)
	return f, nil
}

// Write appends p.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.buf.Write(p)
	if err != nil {
		err = f.fail(err)
	}
	return n, err
}

// Commit syncs what was written and gives it its name. After an error nothing
// is left behind.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("%s: already closed", f.path)
	}
	err := f.buf.Flush()
	if err != nil {
		f.Abort()
		return f.fail(err)
	}
	f.done = true
	if f.direct != nil {
		if err := f.direct.Close(); err != nil {
			return f.fail(err)
		}
		return nil
	}
	if err := f.pending.CloseAtomicallyReplace(); err != nil {
		f.pending.Cleanup()
		return f.fail(err)
	}
	// The rename itself lasts only once the folder is on disk. Not every file
	// system can sync a folder, and the file is whole either way.
	if dir, err := os.Open(filepath.Dir(f.path)); err == nil {
		dir.Sync()
		dir.Close()
	}
	return nil
}

// Abort drops what was written. After Commit it does nothing, so that it can
// be deferred.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	if f.direct != nil {
		f.direct.Close()
		return
	}
	f.pending.Cleanup()
}

// fail names the path asked for instead of the temporary one.
func (f *File) fail(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		err = l.Err
	}
	return fmt.Errorf("writing %s: %w", f.path, err)
}

// Write writes path with what fill writes, or leaves path as it was when fill
// returns an error.
func Write(path string, fill func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := fill(f); err != nil {
		return err
	}
	return f.Commit()
}

// Sweep removes from dir the temporary files that a process which was killed
// has left of files whose names begin with one of the prefixes. Nobody may be
// writing such files meanwhile.
func Sweep(dir string, prefixes ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		for _, p := range prefixes {
			if e.Type().IsRegular() && strings.HasPrefix(e.Name(), "."+p) {
				if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}
