//go:build unix

package train

import (
	"os"
	"syscall"
)

// lock keeps other processes that lock the file out until it is closed. It
// does not wait.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
