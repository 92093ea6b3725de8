package comm

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOne(t *testing.T) {
	for _, v := range launchers {
		t.Setenv(v, "")
	}
	g, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := []float64{1, 2}
	if g.Rank() != 0 || g.Size() != 1 || g.Library() != "" || g.SumFloat64(x) != nil || x[1] != 2 || g.Barrier() != nil || g.Close() != nil {
		t.Error("one process is not a group of one")
	}
	if all, err := g.Gather([]byte("ab")); err != nil || string(all) != "ab" {
		t.Errorf("Gather: %q, %v", all, err)
	}
}

func TestLaunched(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		n    int
		from string
	}{
		{nil, 0, ""},
		{map[string]string{"PMI_SIZE": "4"}, 4, "PMI_SIZE"},
		{map[string]string{"OMPI_COMM_WORLD_SIZE": "2", "SLURM_STEP_NUM_TASKS": "2"}, 2, "OMPI_COMM_WORLD_SIZE"},
		{map[string]string{"PMI_SIZE": "x", "SLURM_STEP_NUM_TASKS": "3"}, 3, "SLURM_STEP_NUM_TASKS"},
		{map[string]string{"PMI_SIZE": "-1"}, 0, ""},
	} {
		n, from := launched(func(v string) string { return c.env[v] })
		if n != c.n || from != c.from {
			t.Errorf("%v: %d from %q, want %d from %q", c.env, n, from, c.n, c.from)
		}
	}
}

func TestLaunchRank(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		rank int
	}{
		{nil, 0},
		{map[string]string{"PMI_SIZE": "4", "PMI_RANK": "3"}, 3},
		{map[string]string{"PMI_SIZE": "4", "PMI_RANK": "3", LibraryVar: "none"}, 0},
		{map[string]string{"PMI_SIZE": "4", "PMI_RANK": "x"}, 0},
		{map[string]string{"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "7"}, 0},
		{map[string]string{"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}, 1},
	} {
		if rank := launchRank(func(v string) string { return c.env[v] }); rank != c.rank {
			t.Errorf("%v: rank %d, want %d", c.env, rank, c.rank)
		}
	}
}

// Processes that a launcher started but no library connects are refused: they
// would all do the whole job.
func TestUnconnected(t *testing.T) {
	t.Setenv("OMPI_COMM_WORLD_SIZE", "3")
	t.Setenv(LibraryVar, filepath.Join(t.TempDir(), "libnone.so"))
	if g, err := Open(Options{}); err == nil {
		t.Errorf("a group of %d without a library", g.Size())
	}
	t.Setenv(LibraryVar, "none")
	if g, err := Open(Options{}); err != nil || g.Size() != 1 {
		t.Errorf("%s=none: %v", LibraryVar, err)
	}
}

func TestMismatchError(t *testing.T) {
	var m *MismatchError
	err := error(&MismatchError{Launched: 4, From: "PMI_SIZE", Found: 1, Library: "Open MPI"})
	if !errors.As(err, &m) || err.Error() == (&MismatchError{Launched: 4, From: "PMI_SIZE"}).Error() {
		t.Error("a missing library and a wrong one read alike")
	}
	if err := (&MismatchError{Launched: 4, From: slurm, Found: 1, Library: "MPICH"}).Error(); !strings.Contains(err, "--mpi=pmix") {
		t.Errorf("%s: no word on what srun wants", err)
	}
}

func TestCountCPUs(t *testing.T) {
	f := filepath.Join(t.TempDir(), "online")
	for text, want := range map[string]int{"0\n": 1, "0-3\n": 4, "0-1,4,6-7\n": 5, "": 0, "x": 0, "3-1": 0} {
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := countCPUs(f); got != want {
			t.Errorf("countCPUs(%q) = %d, want %d", text, got, want)
		}
	}
	if countCPUs(f+".none") != 0 {
		t.Error("a missing list has processors")
	}
}

// Agree tells every rank what the lowest failing one has to say; a group of one
// keeps its error.
func TestAgreeAlone(t *testing.T) {
	want := errors.New("x")
	if err := Agree(One(), want, nil); err != want {
		t.Errorf("%v, want the error itself", err)
	}
	if err := Agree(One(), nil, nil); err != nil {
		t.Error(err)
	}
	if p, err := Locate(One()); err != nil || p != (Place{Size: 1, Sharing: 1}) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestAllowedCPUs(t *testing.T) {
	if got := allowedCPUs("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,7\nMems_allowed_list:\t0\n"); got != "0-3,7" {
		t.Errorf("%q", got)
	}
	if got := allowedCPUs("Name:\tx\n"); got != "" {
		t.Errorf("%q of a status without a list", got)
	}
}

func TestBytes(t *testing.T) {
	x := []int32{1, -1}
	b := Bytes(x)
	if len(b) != 8 || !slices.Equal(b[4:], []byte{255, 255, 255, 255}) {
		t.Errorf("% x", b)
	}
	copy(b[:4], b[4:])
	if x[0] != -1 {
		t.Error("the bytes are not the memory of the numbers")
	}
	if len(Bytes([]float64(nil))) != 0 {
		t.Error("no numbers have bytes")
	}
}
