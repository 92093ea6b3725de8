package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// Shard is one part of a job that is split over machines, the value of
// --shard i/n: part Index of Count, counted from 0. n/n is the same as 0/n, so
// that parts may be numbered from 1 as well.
type Shard struct{ Index, Count int }

// String returns the shard as --shard takes it, or nothing for the whole job.
func (s *Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Type names the value in help.
func (s *Shard) Type() string { return "i/n" }

// Set reads i/n.
func (s *Shard) Set(text string) error {
	i, n, ok := strings.Cut(text, "/")
	index, err := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	if !ok || err != nil || err2 != nil || count < 1 || index < 0 || index > count {
		return fmt.Errorf("want part i of n as i/n, i from 0 to n-1")
	}
	s.Index, s.Count = index%count, count
	return nil
}
