package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A small experiment of each kind from the command line: its files, its
// summary, and that a second call does nothing again.
func TestExperiments(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		files []string
	}{
		"iso": {
			strings.Fields("experiment iso --quick --lattice 4 --temperatures 5 --samples 20 --sweeps 20 --fresh 10 --hidden 6 --epochs 2 --machines 1 --thermometer 4 --thermometer-epochs 2 --flow-steps 3"),
			[]string{"tables/iso-ends.json", "tables/iso-flow.json", "tables/iso-uniform.json", "figures/iso-configurations.svg", "figures/iso-spectrum.png", "thermometer.safetensors", "machines/cold-binary-6-1/model.safetensors"},
		},
		"ring": {
			strings.Fields("experiment ring --quick --size 6 --hidden 3 --k 0.5 --samples 200 --fresh 20 --epochs 20 --machines 2 --flow-steps 2"),
			[]string{"tables/ring-weights.json", "tables/ring-flow.json", "figures/ring-flow.svg", "machines/K0.5-tied-2/model.safetensors"},
		},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		var first struct {
			Page            string
			Tables, Figures int
			Flows           []struct {
				Set, Units, Flow string
				Hidden           int
				End              float64
			}
			Couplings []struct{ K, W float64 }
		}
		runJSON(t, &first, append(c.args, "--out", dir)...)
		if first.Page != filepath.Join(dir, "index.html") || first.Tables < 4 || first.Figures < 1 {
			t.Errorf("%s: %+v", name, first)
		}
		if name == "iso" && (len(first.Flows) != 2*8 || first.Flows[0].Set != "all" || first.Flows[0].Flow != "sampled" || !(first.Flows[0].End > 0)) {
			t.Errorf("flows %+v", first.Flows)
		}
		if name == "ring" && (len(first.Couplings) != 1 || !(first.Couplings[0].W > 0)) {
			t.Errorf("couplings %+v", first.Couplings)
		}
		page := string(read(t, first.Page))
		for _, never := range []string{"src=", `href="http`, "<script", "<link"} {
			if strings.Contains(page, never) {
				t.Errorf("%s: the page refers to something else: %s", name, never)
			}
		}
		before := map[string]string{}
		for _, f := range c.files {
			before[f] = string(read(t, filepath.Join(dir, f)))
		}
		code, _, stderr := run(append(c.args, "--out", dir, "--threads", "1")...)
		for line := range strings.Lines(stderr) {
			if !strings.HasSuffix(line, ": finished before\n") {
				t.Errorf("%s again: %q", name, line)
			}
		}
		if code != 0 {
			t.Errorf("%s again: exit %d", name, code)
		}
		for f, text := range before {
			if string(read(t, filepath.Join(dir, f))) != text {
				t.Errorf("%s: a second call has changed %s", name, f)
			}
		}
		badUse(t, strings.Join(append(c.args, "--seed", "2", "--out", dir), " "), "--seed is 2, was 1", "another folder")
	}
}

func TestExperimentFlags(t *testing.T) {
	badUse(t, "experiment", "iso", "ring")
	badUse(t, "experiment iso", "--out")
	badUse(t, "experiment ring", "--out")
	badUse(t, "experiment iso --out /dev/null", "/dev/null")
	badUse(t, "experiment iso --out x --lattice 5", "--lattice 5", "even")
	badUse(t, "experiment iso --out x --hidden 1,0", "--hidden", "at least 1")
	badUse(t, "experiment iso --out x --thermometer 8,8,a", "--thermometer")
	badUse(t, "experiment iso --out x --t-max 1", "--t-max 1", "critical")
	badUse(t, "experiment iso --out x --samples 0", "--samples 0")
	badUse(t, "experiment iso --out x --epochs 0", "--epochs 0")
	badUse(t, "experiment iso --out x y", "y")
	badUse(t, "experiment ring --out x --size 7", "--size 7", "even")
	badUse(t, "experiment ring --out x --k 1,x", "--k", "finite numbers")
	badUse(t, "experiment ring --out x --machines 0", "--machines 0")
}
