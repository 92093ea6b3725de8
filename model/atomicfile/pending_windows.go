package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// replacing is a temporary file for a system that renameio leaves out: there
// os.Rename replaces the target, but nothing promises that a crash in between
// leaves one of the two.
type replacing struct {
	*os.File
	target string
}

func newPending(target string) (pending, error) {
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+"*")
	if err != nil {
		return nil, err
	}
	return &replacing{f, target}, nil
}

// CloseAtomicallyReplace syncs, closes and renames the file over its target.
func (r *replacing) CloseAtomicallyReplace() error {
	if err := errors.Join(r.Sync(), r.Close()); err != nil {
		return err
	}
	return os.Rename(r.Name(), r.target)
}

// Cleanup closes and removes the file.
func (r *replacing) Cleanup() error {
	_ = r.Close() // closed already where replacing failed
	return os.Remove(r.Name())
}
