package train

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock keeps other processes that lock the file out until it is closed. It
// does not wait. The byte that it locks lies far beyond the end, so that
// others may read the file.
func lock(f *os.File) error {
	at := windows.Overlapped{OffsetHigh: 1 << 30}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
}
