package backend

import (
	"os"
	"path/filepath"
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
	groups, _ := os.ReadFile("/proc/self/cgroup") // without it, that of the root
	for _, bytes := range groupLimits("/sys/fs/cgroup", string(groups)) {
		limit(bytes)
	}
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &r) == nil && uint64(r.Cur) < 1<<62 {
		limit(float64(r.Cur))
	}
	return have
}

// groupLimits returns the memory limits of the control groups that a process is
// in, as /proc/self/cgroup lists them, and of all groups around those: a batch
// system sets its limit on a group of its own, not on the root. Both versions
// of control groups are read; mounted is where they are.
func groupLimits(mounted, groups string) []float64 {
	var limits []float64
	look := func(dir, path, name string) {
		for path = filepath.Join("/", path); ; path = filepath.Dir(path) {
			if text, err := os.ReadFile(filepath.Join(dir, path, name)); err == nil {
				if bytes, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err == nil {
					limits = append(limits, bytes)
				}
			}
			if path == "/" {
				return
			}
		}
	}
	two, one := "/", "/"
	for line := range strings.Lines(groups) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) < 3:
		case f[0] == "0" && f[1] == "":
			two = f[2]
		case strings.Contains(","+f[1]+",", ",memory,"):
			one = f[2]
		}
	}
	look(mounted, two, "memory.max")
	look(filepath.Join(mounted, "memory"), one, "memory.limit_in_bytes")
	return limits
}
