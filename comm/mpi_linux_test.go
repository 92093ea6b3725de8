package comm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Sums, broadcasts, gathers and agreements of two ranks under every MPI that is
// here. make mpi-check does more.
func TestUnderMPI(t *testing.T) {
	if os.Getenv("KADANOFF_TEST_RANKS") == "" {
		t.Skip("make mpi-check runs it")
	}
	exe := filepath.Join(t.TempDir(), "commtest")
	found := false
	for _, launcher := range [][]string{
		{"mpirun.openmpi", "--oversubscribe", "--bind-to", "none"},
		{"mpiexec.hydra"},
	} {
		if _, err := exec.LookPath(launcher[0]); err != nil {
			continue
		}
		if !found {
			build := exec.Command("go", "build", "-o", exe, "./internal/commtest")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("go build: %v\n%s", err, out)
			}
		}
		found = true
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		run := exec.CommandContext(ctx, launcher[0], append(launcher[1:], "-n", "2", exe, "-n", "4001", "-repeats", "4")...)
		run.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_mpi_yield_when_idle=1")
		out, err := run.CombinedOutput()
		cancel()
		if err != nil || !strings.Contains(string(out), "commtest: 2 ranks") {
			t.Errorf("%s: %v\n%s", launcher[0], err, out)
		}
	}
	if !found {
		t.Skip("neither mpirun.openmpi nor mpiexec.hydra is installed: not tried under MPI")
	}
}
