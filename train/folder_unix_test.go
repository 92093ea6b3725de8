//go:build unix

package train_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kadanoff/train"
)

// Two runs in one folder would write over each other.
func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	f, err := os.OpenFile(filepath.Join(dir, "metrics.jsonl"), os.O_CREATE|os.O_RDWR, 0o666)
	check(t, err)
	defer f.Close()
	check(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	o := train.Options{Dir: dir, Resume: true}
	if _, err := train.Run(context.Background(), open(t), config(), set(t, 20, 11), o); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a folder in use is %v", err)
	}
}
