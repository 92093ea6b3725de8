package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Shard is one part of a job that is split over machines, the value of
// --shard i/n: part Index of Count, counted from 0. n/n is the same as 0/n, so
// that parts may be numbered from 1 as well.
type Shard struct{ Index, Count int }

// ShardHelp says in help what --shard takes, of parts of what.
func ShardHelp(what string) string {
	return "do part i of n of " + what + ", i from 0 to n-1 (n/n is 0/n, for parts numbered from 1); auto/n, auto: from the array job"
}

// String returns the shard as --shard takes it, or nothing for the whole job.
func (s *Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Type names the value in help.
func (s *Shard) Type() string { return "i/n" }

// Set reads i/n, or takes i from the task of an array job: auto/n has
// SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX (a Kubernetes Indexed Job) for i,
// whichever tasks of the array are running, and auto counts the tasks of the
// Slurm array.
func (s *Shard) Set(text string) error {
	i, n, ok := strings.Cut(text, "/")
	auto := i == "auto"
	if auto {
		var err error
		if i, n, err = arrayTask(n, ok); err != nil {
			return err
		}
		ok = true
	}
	index, err := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	if !ok || err != nil || err2 != nil || count < 1 || index < 0 || index > count {
		if auto {
			return fmt.Errorf("part %s of %s, want i from 0 to n-1, as in an array 0-%d", i, n, max(count, 1)-1)
		}
		return errors.New("want part i of n as i/n, i from 0 to n-1, or auto/n or auto in an array job")
	}
	s.Index, s.Count = index%count, count
	return nil
}

// arrayTask returns the part that the environment names, of n if counted says
// so and else of as many as the array has.
func arrayTask(n string, counted bool) (i, of string, err error) {
	task, slurm := os.LookupEnv("SLURM_ARRAY_TASK_ID")
	pod, kubernetes := os.LookupEnv("JOB_COMPLETION_INDEX")
	switch {
	case counted && slurm:
		return task, n, nil
	case counted && kubernetes:
		return pod, n, nil
	case kubernetes && !slurm:
		return "", "", errors.New("JOB_COMPLETION_INDEX says which part this is, not of how many: want auto/n")
	case !slurm:
		return "", "", errors.New("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set: want i/n, or an array job")
	}
	var x [5]int
	for k, name := range []string{"ID", "MIN", "MAX", "STEP", "COUNT"} {
		if x[k], err = strconv.Atoi(os.Getenv("SLURM_ARRAY_TASK_" + name)); err != nil {
			return "", "", fmt.Errorf("SLURM_ARRAY_TASK_%s is %q, want a number, or auto/n", name, os.Getenv("SLURM_ARRAY_TASK_"+name))
		}
	}
	id, first, last, step, count := x[0], x[1], x[2], x[3], x[4]
	if step < 1 || id < first || id > last || (id-first)%step != 0 || (last-first)/step+1 != count {
		return "", "", fmt.Errorf("task %d of an array of %d from %d to %d in steps of %d, want evenly spaced tasks, or auto/n", id, count, first, last, step)
	}
	return strconv.Itoa((id - first) / step), strconv.Itoa(count), nil
}
