package bench

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func affinity(t *testing.T) (set unix.CPUSet) {
	t.Helper()
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// A pinned process and its children use so many cores, and all of them again
// afterwards.
func TestPin(t *testing.T) {
	before := affinity(t)
	if before.Count() < 2 {
		t.Skip("one core is all there is")
	}
	cores, restore, err := pin(1)
	if err != nil {
		t.Skip("the system does not let us choose cores: ", err)
	}
	if during := affinity(t); during.Count() != 1 || len(cores) != 1 || !during.IsSet(cores[0]) {
		t.Errorf("pinned to %v: %d cores", cores, during.Count())
	}
	out, err := exec.Command("grep", "Cpus_allowed_list", "/proc/self/status").Output()
	if err == nil && strings.ContainsAny(strings.TrimSpace(strings.TrimPrefix(string(out), "Cpus_allowed_list:")), ",-") {
		t.Errorf("a child may use %s", out)
	}
	restore()
	if after := affinity(t); after != before {
		t.Errorf("%d cores afterwards, were %d", after.Count(), before.Count())
	}
	if cores, restore, err := pin(1 << 10); err != nil || cores != nil {
		t.Errorf("more cores than there are: %v, %v", cores, err)
	} else {
		restore()
	}
}

// The time of processes that work for this one is told from that of others.
func TestSecondsOf(t *testing.T) {
	x := 1.0
	for ownSeconds() < 0.2 {
		for range 1_000_000 {
			x = x*1.0000001 + 1e-9
		}
	}
	own, both := ownSeconds(), secondsOf([]int{os.Getpid(), -1})
	if both < 1.8*own-0.05 || both > 2.2*own+0.1 || x == 0 {
		t.Errorf("own %v s, with a process that used as many %v s", own, both)
	}
}
