package backend

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// AvailableMemory returns how many bytes this process may still take: what the
// machine has free, within the limits set on the process and its control
// group; 0 if unknown.
func AvailableMemory() float64 {
	have := 0.0
	limit := func(bytes float64) {
		if bytes > 0 && (have == 0 || bytes < have) {
			have = bytes
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "MemAvailable:" {
				if kb, err := strconv.ParseFloat(f[1], 64); err == nil {
					limit(1024 * kb)
				}
			}
		}
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if bytes, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err == nil {
			limit(bytes)
		}
	}
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &r) == nil && uint64(r.Cur) < 1<<62 {
		limit(float64(r.Cur))
	}
	return have
}
