package bench

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pin keeps this process, and those that it starts from now on, on the last n of
// the cores that it may use. It returns the numbers of those cores, none if it
// may use no more than n anyhow, and what undoes it.
func pin(n int) (cores []int, restore func(), err error) {
	var before, after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, nil, err
	}
	if before.Count() <= n {
		return nil, func() {}, nil
	}
	for c := 64*len(before) - 1; c >= 0 && after.Count() < n; c-- {
		if before.IsSet(c) {
			after.Set(c)
			cores = append([]int{c}, cores...)
		}
	}
	if err := pinThreads(&after); err != nil {
		return nil, nil, err
	}
	return cores, func() { _ = pinThreads(&before) }, nil
}

// pinThreads sets the cores of all threads. A thread that another one starts
// meanwhile has that one's cores, so a second look finds those of the first.
func pinThreads(set *unix.CPUSet) error {
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH {
				return err
			}
		}
	}
	return nil
}
