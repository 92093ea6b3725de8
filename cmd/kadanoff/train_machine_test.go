package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kadanoff/model/npy"
)

// threeUnits writes 36 rows of three units, P(v) = (s+1)/36 with s = Σ 2^i [v_i =
// +1], and returns the file and the entropy of the rows: the 3+2 machine's data
// of the thesis's appendix.
func threeUnits(t *testing.T) (path string, entropy float64) {
	t.Helper()
	var rows []int8
	for s := range 8 {
		p := float64(s+1) / 36
		entropy -= p * math.Log(p)
		for range s + 1 {
			for i := range 3 {
				rows = append(rows, int8(s>>i&1)*2-1)
			}
		}
	}
	path = filepath.Join(t.TempDir(), "rows.npy")
	if err := npy.WriteFile(path, rows, 36, 3); err != nil {
		t.Fatal(err)
	}
	return path, entropy
}

// A machine of three visible and two hidden units, all coupled, is trained,
// exactly and by chains, until it is as good as the data: KL, which is exact
// here, goes from 0.1 to nothing. sample and info read what comes out.
func TestTrainMachine(t *testing.T) {
	rows, entropy := threeUnits(t)
	var e struct {
		Method     string
		LogZ       float64 `json:"log_z"`
		Likelihood float64 `json:"log_likelihood"`
		Reverse    float64 `json:"log_likelihood_reverse"`
		Error      float64 `json:"standard_error"`
		Back       float64 `json:"standard_error_reverse"`
	}
	kl := func(model string) float64 {
		t.Helper()
		runJSON(t, &e, "evaluate", model, "--data", rows)
		if e.Method != "exact" {
			t.Fatalf("evaluated by %s", e.Method)
		}
		return -entropy - e.Likelihood
	}
	for _, c := range []struct {
		flags string
		most  float64
	}{
		{"--couplings all --exact-gradient --rate 0.3 --momentum 0.9 --epochs 3000 --init-width 0.1", 1e-5},
		{"--couplings hidden --exact-gradient --rate 0.3 --epochs 1 --init-width 0", 0.1}, // one step, for comparison
		{"--couplings all --rate 0.05 --schedule linear --chains 1000 --epochs 1500 --init-width 0.1", 2e-3},
		{"--couplings visible --rate 0.05 --schedule linear --chains 1000 --epochs 1500 --temperature 2", 2e-3},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		runJSON(t, &struct{}{}, append([]string{"train", rows, "--hidden", "2", "--out", dir}, strings.Fields(c.flags)...)...)
		model := filepath.Join(dir, "model.safetensors")
		if strings.Contains(c.flags, "--temperature") {
			at := kl(model) // of another temperature
			runJSON(t, &e, "evaluate", model, "--data", rows, "--temperature", "2")
			if x := -entropy - e.Likelihood; x > c.most || x < -1e-6 || at < 10*c.most {
				t.Errorf("%s: KL is %v, and %v at T = 1", c.flags, x, at)
			}
			continue
		}
		if x := kl(model); x > c.most || x < -1e-6 {
			t.Errorf("%s: KL is %v, want at most %v", c.flags, x, c.most)
		}
		logZ := e.LogZ
		runJSON(t, &e, "evaluate", model, "--data", rows, "--method", "ais", "--chains", "300", "--temperatures", "100", "--burn-in", "100")
		if exact := e.Likelihood + e.LogZ - logZ; math.Abs(e.Likelihood-exact) > 5*e.Error+1e-9 || math.Abs(e.Reverse-exact) > 5*e.Back+1e-9 {
			t.Errorf("%s: log-likelihood %v ± %v and %v ± %v, exactly %v", c.flags, e.Likelihood, e.Error, e.Reverse, e.Back, exact)
		}
		out := filepath.Join(dir, "samples.npy")
		runJSON(t, &struct{}{}, "sample", model, "--chains", "10", "--sweeps", "5", "--out", out)
		if x, shape := array(t, out); len(x) != 30 || shape[1] != 3 {
			t.Errorf("samples of shape %v", shape)
		}
		if page := string(read(t, filepath.Join(dir, "index.html"))); !strings.Contains(page, "log-likelihood, exact") {
			t.Errorf("%s: the page has no exact likelihood", c.flags)
		}
		if code, stdout, stderr := run("info", model); code != 0 || !strings.Contains(stdout, "5") {
			t.Errorf("info: exit %d, %s%s", code, stdout, stderr)
		}
	}
}

var seconds = regexp.MustCompile(`"seconds":[^}]*`)

// A run of a machine that is killed leaves a checkpoint, and metrics that may go
// on behind it and end within a line. Resumed from any of its checkpoints it
// ends with the same files, whatever threads and instruction set.
func TestMachineResumes(t *testing.T) {
	args := []string{"train", "digits", "--hidden", "9", "--couplings", "all", "--batch", "700", "--chains", "70", "--momentum", "0.5", "--rate", "0.01",
		"--epochs", "3", "--validation", "digits", "--k", "2", "--checkpoint-every", "2steps", "--keep", "100"}
	whole := filepath.Join(t.TempDir(), "run")
	runJSON(t, &struct{}{}, append(args, "--out", whole)...)
	model, metrics := read(t, filepath.Join(whole, "model.safetensors")), read(t, filepath.Join(whole, "metrics.jsonl"))
	list, err := filepath.Glob(filepath.Join(whole, "checkpoint-*"))
	if err != nil || len(list) < 5 {
		t.Fatalf("%d checkpoints, %v", len(list), err)
	}
	for i, path := range list {
		dir := t.TempDir()
		known := metrics
		if i < len(list)-1 {
			known = metrics[:len(metrics)-10*(i+1)]
		}
		for name, text := range map[string][]byte{filepath.Base(path): read(t, path), "metrics.jsonl": known} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		flags := [][]string{{"--threads", "1"}, {"--threads", "3", "--isa", "generic"}, {"--backend", "ref"}}[i%3]
		runJSON(t, &struct{}{}, append(append(args, "--resume", "--out", dir), flags...)...)
		if !bytes.Equal(read(t, filepath.Join(dir, "model.safetensors")), model) {
			t.Errorf("%s resumed with %v: another model", filepath.Base(path), flags)
		}
		got := read(t, filepath.Join(dir, "metrics.jsonl"))
		if !bytes.Equal(seconds.ReplaceAll(got, nil), seconds.ReplaceAll(metrics, nil)) {
			t.Errorf("%s resumed with %v: other metrics\n%s\n%s", filepath.Base(path), flags, got, metrics)
		}
	}
	if code, _, stderr := run(append(args[:4:4], "--couplings", "hidden", "--resume", "--out", whole)...); code == 0 || !strings.Contains(stderr, "--couplings is hidden, was all") {
		t.Errorf("resumed with other couplings: exit %d, %s", code, stderr)
	}
}

func TestMachineBadUse(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for flags, word := range map[string]string{
		"--couplings everything":                       "between, visible, hidden or all",
		"--couplings all --algorithm cd":               "--algorithm cd: want pcd with --couplings all",
		"--couplings all --algorithm pt":               "--algorithm pt",
		"--couplings visible --units binary":           "--units binary",
		"--couplings visible --center":                 "--center",
		"--couplings hidden --tied":                    "--tied",
		"--couplings hidden --exact-gradient":          "at most 17",
		"--couplings hidden --patience 3 --hidden 100": "--patience 3",
	} {
		if strings.Contains(flags, "--patience") {
			flags += " --validation digits"
		}
		badUse(t, "train digits --out "+out+" "+flags, word)
	}
	dir := filepath.Join(t.TempDir(), "run")
	runJSON(t, &struct{}{}, "train", "digits", "--hidden", "20", "--couplings", "hidden", "--epochs", "1", "--out", dir)
	model := filepath.Join(dir, "model.safetensors")
	badUse(t, "evaluate "+model+" --data digits", "20 hidden units")
	badUse(t, "transform "+model+" --data digits --out x.npy", "inside one layer")
	// Where hidden units cannot be summed out there is no likelihood to watch.
	if text := string(read(t, filepath.Join(dir, "metrics.jsonl"))); strings.Contains(text, "likelihood") || !strings.Contains(text, "weight_rms") {
		t.Errorf("metrics of 20 coupled hidden units: %s", text)
	}
	if err := os.Remove(model); err != nil {
		t.Fatal(err)
	}
}
