package backend

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The limits of a job's own group and of those around it are found, in both
// versions of control groups.
func TestGroupLimits(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		"memory.max":                               "max\n",
		"slurm/job_7/memory.max":                   "5000000\n",
		"slurm/job_7/step_0/memory.max":            "max\n",
		"slurm/memory.max":                         "9000000\n",
		"other/memory.max":                         "1\n",
		"memory/a/b/memory.limit_in_bytes":         "3000000\n",
		"memory/memory.limit_in_bytes":             "9223372036854771712\n",
		"memory/slurm/job_7/memory.limit_in_bytes": "2\n",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const all = 9223372036854771712
	for groups, want := range map[string][]float64{
		"0::/slurm/job_7/step_0\n":            {5e6, 9e6, all},
		"4:memory:/a/b\n1:cpu:/other\n0::/\n": {3e6, all},
		"4:cpu,memory:/a/b/gone\n":            {3e6, all},
		"":                                    {all},
		"0::/../../slurm\n":                   {9e6, all},
		"5:pids:/slurm\n0::/slurm/job_7\nnonsense\n\n": {5e6, 9e6, all},
	} {
		if got := groupLimits(dir, groups); !slices.Equal(got, want) {
			t.Errorf("%q: limits %v, want %v", groups, got, want)
		}
	}
}
