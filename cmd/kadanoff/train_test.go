package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kadanoff/model/modelfile"
	"kadanoff/model/npy"
)

// trained trains a small model on the embedded digits and returns its folder.
func trained(t *testing.T, flags ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	var result struct {
		Steps    int
		Finished bool
		Model    string
	}
	runJSON(t, &result, append([]string{"train", "digits", "--hidden", "6", "--epochs", "3", "--out", dir}, flags...)...)
	if !result.Finished || result.Steps != 54 || result.Model != filepath.Join(dir, "model.safetensors") {
		t.Fatalf("training: %+v", result)
	}
	return dir
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTrainWritesItsFiles(t *testing.T) {
	dir := trained(t, "--validation", "digits")
	if n := bytes.Count(read(t, filepath.Join(dir, "metrics.jsonl")), []byte("\n")); n != 3 {
		t.Errorf("%d lines of metrics, want 3", n)
	}
	page := string(read(t, filepath.Join(dir, "index.html")))
	for _, want := range []string{"pseudo-log-likelihood", "<svg", "data:image/png", "finished", "free-energy gap"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, never := range []string{"http://", "https://", "refresh"} {
		if strings.Contains(page, never) {
			t.Errorf("the page of a finished run has %q", never)
		}
	}
	// The same run again is the same, and a finished one resumes to nothing.
	model := read(t, filepath.Join(dir, "model.safetensors"))
	if other := trained(t, "--validation", "digits", "--threads", "3", "--isa", "generic"); !bytes.Equal(read(t, filepath.Join(other, "model.safetensors")), model) {
		t.Error("threads or instruction set change the model")
	}
	code, _, stderr := run("train", "digits", "--hidden", "6", "--epochs", "3", "--validation", "digits", "--out", dir, "--resume")
	if code != 0 || !bytes.Equal(read(t, filepath.Join(dir, "model.safetensors")), model) {
		t.Errorf("a finished run resumed: exit %d, %s", code, stderr)
	}
}

func TestEvaluate(t *testing.T) {
	for _, units := range []string{"spin", "binary"} {
		model := filepath.Join(trained(t, "--units", units, "--rate", "0.2"), "model.safetensors")
		var exact, ais struct {
			Method        string
			LogZ          float64 `json:"log_z"`
			Reverse       float64 `json:"log_z_reverse"`
			Likelihood    float64 `json:"log_likelihood"`
			StandardError float64 `json:"standard_error"`
			ReverseError  float64 `json:"standard_error_reverse"`
			Warning       string
		}
		runJSON(t, &exact, "evaluate", model, "--data", "digits")
		runJSON(t, &ais, "evaluate", model, "--data", "digits", "--method", "ais", "--chains", "500", "--temperatures", "200", "--burn-in", "100")
		if exact.Method != "exact" || ais.Method != "ais" || !(exact.Likelihood < -10 && exact.Likelihood > -44) {
			t.Fatalf("exact %+v, ais %+v", exact, ais)
		}
		if math.Abs(ais.LogZ-exact.LogZ) > 5*ais.StandardError || math.Abs(ais.Reverse-exact.LogZ) > 5*ais.ReverseError {
			t.Errorf("%s: log Z %v exactly, %v ± %v and %v ± %v from the ends", units, exact.LogZ, ais.LogZ, ais.StandardError, ais.Reverse, ais.ReverseError)
		}
		if exact.Warning != "" || ais.Warning != "" {
			t.Errorf("%s: warnings %q and %q of good estimates", units, exact.Warning, ais.Warning)
		}
		if units == "binary" {
			continue
		}
		// Too few temperatures and chains, ends that agree and are both wrong:
		// whoever reads the number is warned.
		args := []string{"evaluate", model, "--data", "digits", "--method", "ais", "--chains", "12", "--temperatures", "2", "--burn-in", "100"}
		runJSON(t, &ais, args...)
		if !strings.Contains(ais.Warning, "the effective sample size is 1.0") {
			t.Errorf("%s: the warning is %q, ends %v and %v, exactly %v", units, ais.Warning, ais.LogZ, ais.Reverse, exact.LogZ)
		}
		if _, stdout, stderr := run(args...); !strings.Contains(stderr, "warning: "+ais.Warning+"\n") || !strings.Contains(stdout, ais.Warning) {
			t.Errorf("%s: stderr %q, stdout %q", units, stderr, stdout)
		}
	}
}

// A machine of another temperature is evaluated, and has hidden means, at that.
func TestTemperature(t *testing.T) {
	dir := trained(t, "--temperature", "2.5")
	model, out := filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "out.npy")
	var last struct {
		Likelihood float64 `json:"log_likelihood"`
	}
	lines := strings.Split(strings.TrimSpace(string(read(t, filepath.Join(dir, "metrics.jsonl")))), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	var e struct {
		Likelihood float64 `json:"log_likelihood"`
	}
	// The metrics are measured on a part of the data: the training log's part
	// and all 1797 rows differ by their standard errors.
	runJSON(t, &e, "evaluate", model, "--data", "digits", "--temperature", "2.5")
	if math.Abs(e.Likelihood-last.Likelihood) > 1 {
		t.Errorf("log-likelihood %v, in the last epoch %v", e.Likelihood, last.Likelihood)
	}
	at := e.Likelihood
	if runJSON(t, &e, "evaluate", model, "--data", "digits"); e.Likelihood > at-1 {
		t.Errorf("log-likelihood %v at T = 1, %v at 2.5", e.Likelihood, at)
	}
	var means [2][]float64
	for i, temperature := range []string{"1", "1000"} {
		runJSON(t, &struct{}{}, "transform", model, "--data", "digits", "--temperature", temperature, "--out", out)
		means[i], _ = array(t, out)
	}
	for i, x := range means[1] {
		if math.Abs(x) > 0.05 || math.Abs(x) > math.Abs(means[0][i]) {
			t.Fatalf("hidden mean %v at T = 1000, %v at 1", x, means[0][i])
		}
	}
	for _, bad := range []string{"0", "-1", "NaN", "Inf", "1e9"} {
		if code, _, stderr := run("evaluate", model, "--data", "digits", "--temperature", bad); code != 2 || !strings.Contains(stderr, "--temperature") {
			t.Errorf("--temperature %s: exit %d, %s", bad, code, stderr)
		}
	}
}

func array(t *testing.T, path string) ([]float64, []int) {
	t.Helper()
	r, err := npy.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x, err := r.All()
	if err != nil {
		t.Fatal(err)
	}
	return x, r.Shape
}

func TestSampleTransformReconstruct(t *testing.T) {
	dir := trained(t, "--units", "binary")
	model, out := filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "out.npy")
	clamp := make([]int8, 64)
	clamp[3], clamp[10] = 1, -1
	mask := filepath.Join(dir, "mask.npy")
	if err := npy.WriteFile(mask, clamp, 8, 8); err != nil {
		t.Fatal(err)
	}
	var summary struct {
		Draws  int
		Energy struct{ Mean, Error, Tau float64 }
	}
	runJSON(t, &summary, "sample", model, "--chains", "70", "--sweeps", "60", "--burn-in", "5", "--every", "20", "--clamp", mask, "--start", "digits", "--out", out)
	x, shape := array(t, out)
	if len(shape) != 3 || shape[0] != 3 || shape[1] != 70 || shape[2] != 64 || summary.Draws != 3 || summary.Energy.Error <= 0 {
		t.Fatalf("samples of shape %v, %+v", shape, summary)
	}
	for i := 0; i < len(x); i += 64 {
		if x[i+3] != 1 || x[i+10] != -1 || x[i]*x[i] != 1 {
			t.Fatalf("configuration %d: clamped units are %v and %v", i/64, x[i+3], x[i+10])
		}
	}
	var w struct{ Shape []int }
	runJSON(t, &w, "transform", model, "--data", "digits", "--out", out)
	x, _ = array(t, out)
	if w.Shape[0] != 1797 || w.Shape[1] != 6 {
		t.Errorf("hidden means of shape %v", w.Shape)
	}
	for _, v := range x {
		if v < 0 || v > 1 {
			t.Fatalf("a hidden mean of {0,1} units is %v", v)
		}
	}
	for _, flags := range [][]string{nil, {"--clamp", mask, "--sweeps", "10"}} {
		runJSON(t, &w, append([]string{"reconstruct", model, "--data", "digits", "--out", out}, flags...)...)
		x, _ = array(t, out)
		if len(x) != 1797*64 {
			t.Fatalf("%d reconstructed values", len(x))
		}
		if flags != nil {
			for i := 0; i < len(x); i += 64 {
				if v := x[i+3]; v != 0 && v != 1 {
					t.Fatalf("a known unit is painted as %v", v)
				}
			}
		}
	}
}

// The observers of sample are right: energy and magnetisation of a small machine
// are those of a sum over all states, and two coupled units forget where they
// were as exactly as they must, v → h → v with correlation tanh²w in a sweep.
func TestSampleObservers(t *testing.T) {
	type mean struct{ Mean, Error, Tau float64 }
	var s struct{ Energy, Magnetization mean }
	sample := func(m *modelfile.RBM, flags ...string) {
		t.Helper()
		dir := t.TempDir()
		model := filepath.Join(dir, "m.safetensors")
		if err := modelfile.Save(model, &modelfile.Model{RBM: m}); err != nil {
			t.Fatal(err)
		}
		runJSON(t, &s, append([]string{"sample", model, "--chains", "64", "--sweeps", "200", "--burn-in", "100", "--out", filepath.Join(dir, "s.npy")}, flags...)...)
	}
	const v, h = 6, 3
	m := &modelfile.RBM{Units: modelfile.Spin, Visible: v, Hidden: h, W: make([]float32, v*h), B: make([]float32, v), C: make([]float32, h)}
	for i := range m.W {
		m.W[i] = float32(i%5-1) / 8
	}
	for i := range m.B {
		m.B[i] = float32(i) / 8
	}
	for _, temperature := range []float64{1, 2} {
		energy, magnetization, z := 0.0, 0.0, 0.0
		for state := range 1 << (v + h) {
			spin := func(u int) float64 { return float64(state>>u&1)*2 - 1 }
			e, sum := 0.0, 0.0
			for i := range v {
				sum += spin(i) / v
				e -= float64(m.B[i]) * spin(i)
				for a := range h {
					e -= float64(m.W[i*h+a]) * spin(i) * spin(v+a)
				}
			}
			p := math.Exp(-e / temperature)
			z, energy, magnetization = z+p, energy+p*e, magnetization+p*sum
		}
		sample(m, "--temperature", fmt.Sprint(temperature))
		for name, x := range map[string]struct {
			got  mean
			want float64
		}{"energy": {s.Energy, energy / z}, "magnetisation": {s.Magnetization, magnetization / z}} {
			if math.Abs(x.got.Mean-x.want) > 5*x.got.Error || x.got.Error > 0.05 || x.got.Error <= 0 {
				t.Errorf("T = %v: %s %v ± %v, exactly %v", temperature, name, x.got.Mean, x.got.Error, x.want)
			}
		}
	}
	for _, w := range []float64{0, 0.7, 1} {
		sample(&modelfile.RBM{Units: modelfile.Spin, Visible: 1, Hidden: 1, W: []float32{float32(w)}, B: []float32{0}, C: []float32{0}})
		rho := math.Tanh(w) * math.Tanh(w)
		if want := 0.5 + rho/(1-rho); math.Abs(s.Magnetization.Tau-want) > 0.25*want {
			t.Errorf("w = %v: autocorrelation time %v sweeps, exactly %v", w, s.Magnetization.Tau, want)
		}
	}
}

func TestTrainBadUse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	many := write("many.txt", "0 1 2\n1 0 1\n")
	nan := write("nan.txt", "0 NaN 1\n1 0 1\n")
	ragged := write("ragged.txt", "0 1 1\n1 0\n")
	empty := write("empty.txt", "")
	narrow := write("narrow.txt", "0 1 1\n1 0 0\n")
	labels := write("labels.idx", "\x00\x00\x08\x01\x00\x00\x00\x03\x07\x02\x01")
	lone := write("labels.csv", "7\n2\n1\n")
	gap := write("gap.csv", "1,0,1\n1,,1\n")
	var whole bytes.Buffer
	z := gzip.NewWriter(&whole)
	for i := range 2000 {
		fmt.Fprintf(z, "%011b\n", i)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	cut := write("digits.gz", whole.String()[:whole.Len()/2])
	out := filepath.Join(dir, "out")
	for line, word := range map[string]string{
		"train " + many + " --out " + out:            "--threshold",
		"train " + nan + " --out " + out:             "nan.txt",
		"train " + ragged + " --out " + out:          "ragged.txt",
		"train " + empty + " --out " + out:           "empty.txt",
		"train " + dir + "/missing.npy --out " + out: "missing.npy",
		"train digits":                                                  "--out",
		"train digits extra --out " + out:                               "extra",
		"train digits --hidden 0 --out " + out:                          "--hidden 0",
		"train digits --algorithm sgd --out " + out:                     "--algorithm sgd",
		"train digits --rate -1 --out " + out:                           "--rate -1",
		"train digits --rate NaN --out " + out:                          "--rate NaN",
		"train digits --units ising --out " + out:                       "--units",
		"train digits --schedule cosine --out " + out:                   "--schedule",
		"train digits --checkpoint-every 5 --out " + out:                "--checkpoint-every",
		"train digits --keep 0 --out " + out:                            "--keep",
		"train digits --patience 2 --out " + out:                        "--validation",
		"train digits --algorithm cd --chains 5 --out " + out:           "--chains 5",
		"train digits --validation " + narrow + " --out " + out:         "3 units",
		"train digits --binarize random --out " + out:                   "--binarize",
		"train digits --threshold 3 --out " + out:                       "--threshold 3",
		"train " + many + " --threshold NaN --out " + out:               "--threshold NaN",
		"train " + labels + " --threshold 5 --out " + out:               "these look like labels",
		"train " + lone + " --out " + out:                               "look like labels",
		"train " + cut + " --out " + out:                                "digits.gz",
		"train " + gap + " --out " + out:                                "line 2: value 2 is missing",
		"train digits --hidden 500 --exact-gradient --out " + out + "e": "--exact-gradient",
	} {
		badUse(t, line)
		if _, _, stderr := run(strings.Fields(line)...); !strings.Contains(stderr, word) {
			t.Errorf("kadanoff %s: %q does not say %q", line, stderr, word)
		}
	}
	model := filepath.Join(trained(t), "model.safetensors")
	for line, word := range map[string]string{
		"evaluate " + model:                                                     "--data",
		"evaluate " + model + " --data " + narrow:                               "64 visible units",
		"evaluate " + model + " --data digits --method guess":                   "--method",
		"evaluate " + model + " --data digits --method ais --temperatures 1":    "--temperatures 1",
		"evaluate " + narrow + " --data digits":                                 "narrow.txt",
		"sample " + model + " --chains 0 --out x.npy":                           "--chains 0",
		"sample " + model:                                                       "--out",
		"sample " + model + " --temperature -1 --out x.npy":                     "--temperature -1",
		"sample " + model + " --every 7 --sweeps 3 --out x.npy":                 "--every 7",
		"sample " + model + " --clamp " + model + " --out x.npy":                "model.safetensors",
		"transform " + model + " --out x.npy":                                   "--data",
		"reconstruct " + model + " --data digits":                               "--out",
		"reconstruct " + model + " --data digits --out x.npy --sweeps 1":        "--sweeps 1",
		"reconstruct " + model + " --data " + narrow + " --out " + out + ".npy": "64 visible units",
	} {
		code, stdout, stderr := run(strings.Fields(line)...)
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		if code != 2 || stdout != "" || !strings.Contains(lines[len(lines)-1], word) {
			t.Errorf("kadanoff %s: exit %d, stderr %q; want exit 2 and %q", line, code, stderr, word)
		}
	}
}
