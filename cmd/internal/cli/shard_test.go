package cli

import (
	"os"
	"strings"
	"testing"
)

func TestShard(t *testing.T) {
	slurm := func(id, first, last, step, count string) map[string]string {
		return map[string]string{
			"SLURM_ARRAY_TASK_ID": id, "SLURM_ARRAY_TASK_MIN": first, "SLURM_ARRAY_TASK_MAX": last,
			"SLURM_ARRAY_TASK_STEP": step, "SLURM_ARRAY_TASK_COUNT": count,
		}
	}
	pod := map[string]string{"JOB_COMPLETION_INDEX": "3"}
	for _, c := range []struct {
		text string
		env  map[string]string
		want string // the shard, or words of the error
	}{
		{"0/4", nil, "0/4"}, {"3/4", nil, "3/4"}, {"4/4", nil, "0/4"}, {"1/1", nil, "0/1"},
		{"5/4", nil, "as i/n"}, {"-1/4", nil, "as i/n"}, {"0/0", nil, "as i/n"}, {"3", nil, "as i/n"},
		{"", nil, "as i/n"}, {"a/4", nil, "as i/n"}, {"1/4/2", nil, "as i/n"}, {"1/99999999999999999999", nil, "as i/n"},
		{"auto", slurm("0", "0", "9", "1", "10"), "0/10"},
		{"auto", slurm("9", "0", "9", "1", "10"), "9/10"},
		{"auto", slurm("7", "1", "10", "3", "4"), "2/4"},
		{"auto", slurm("5", "5", "5", "1", "1"), "0/1"},
		{"auto", slurm("3", "1", "7", "1", "3"), "evenly spaced"}, // --array=1,3,7
		{"auto", slurm("2", "1", "7", "3", "3"), "evenly spaced"},
		{"auto", slurm("3", "1", "7", "0", "3"), "evenly spaced"},
		{"auto", slurm("x", "1", "7", "1", "3"), "SLURM_ARRAY_TASK_ID"},
		{"auto", map[string]string{"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_MIN"},
		// A task that is run again alone keeps its part.
		{"auto/10", slurm("5", "5", "5", "1", "1"), "5/10"},
		{"auto/10", slurm("10", "1", "10", "1", "10"), "0/10"},
		{"auto/10", slurm("11", "1", "11", "1", "11"), "part 11 of 10"},
		{"auto/10", pod, "3/10"}, {"auto/3", pod, "0/3"}, {"auto/2", pod, "part 3 of 2"},
		{"auto/0", pod, "part 3 of 0"}, {"auto/x", pod, "part 3 of x"}, {"auto/", pod, "part 3 of"},
		{"auto", pod, "want auto/n"},
		{"auto", nil, "neither"}, {"auto/4", nil, "neither"},
		{"auto/4", map[string]string{"JOB_COMPLETION_INDEX": "one"}, "part one of 4"},
	} {
		for _, name := range []string{"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT", "JOB_COMPLETION_INDEX"} {
			t.Setenv(name, "") // is put back at the end
			os.Unsetenv(name)
			if value, ok := c.env[name]; ok {
				t.Setenv(name, value)
			}
		}
		var s Shard
		if err := s.Set(c.text); err != nil {
			if !strings.Contains(err.Error(), c.want) || s.String() != "" {
				t.Errorf("%q with %v: %v and %q, want %q", c.text, c.env, err, s.String(), c.want)
			}
		} else if s.String() != c.want {
			t.Errorf("%q with %v: part %s, want %s", c.text, c.env, s.String(), c.want)
		}
	}
}
