package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kadanoff/model/modelfile"
	"kadanoff/model/npy"
)

const sklearnModel = "../../bench/digits/digits_rbm16.npz"

func TestInfoModel(t *testing.T) {
	var got info
	runJSON(t, &got, "info", sklearnModel)
	if got.Kind != "rbm" || got.Format != "npz" || got.Units != "binary" || got.OtherUnits != "spin" || got.Visible != 64 || got.Hidden != 16 ||
		len(got.Tensors) != 3 || got.LargestWeight == nil || math.Abs(float64(*got.LargestWeight)-4.875) > 1e-3 || got.Constant == nil {
		t.Errorf("%+v", got)
	}
	code, stdout, stderr := run("info", sklearnModel)
	if code != 0 || !strings.Contains(stdout, "components_") || !strings.Contains(stderr, "taken as binary") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestInfoData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	if err := npy.WriteFile(path, make([]int8, 7*5*3), 7, 5, 3); err != nil {
		t.Fatal(err)
	}
	var got info
	runJSON(t, &got, "info", path)
	if got.Kind != "data" || got.Format != "npy" || got.Type != "int8" || got.Rows == nil || *got.Rows != 7 || len(got.Shape) != 2 || got.Shape[0] != 5 || got.Shape[1] != 3 {
		t.Errorf("%+v", got)
	}
}

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	spin, binary := filepath.Join(dir, "spin.safetensors"), filepath.Join(dir, "binary.safetensors")
	type result struct {
		File, From, To string
		Constant       float64 `json:"log_z_constant"`
		Rounding       float64
	}
	var there, back result
	runJSON(t, &there, "convert", sklearnModel, "--units", "spin", "--out", spin)
	runJSON(t, &back, "convert", spin, "--units", "binary", "--out", binary)
	if there.From != "binary" || there.To != "spin" || there.File != spin || back.From != "spin" || back.To != "binary" {
		t.Errorf("there %+v, back %+v", there, back)
	}
	if d := math.Abs(there.Constant + back.Constant); there.Constant == 0 || d > there.Rounding+back.Rounding+1e-12 {
		t.Errorf("constants %v and %v do not cancel", there.Constant, back.Constant)
	}
	first, err := modelfile.Load(sklearnModel)
	if err != nil {
		t.Fatal(err)
	}
	last, err := modelfile.Load(binary)
	if err != nil {
		t.Fatal(err)
	}
	// A quarter and four times are exact; biases are rounded twice.
	for i, w := range first.RBM.W {
		if last.RBM.W[i] != w {
			t.Fatalf("W[%d] comes back as %v, was %v", i, last.RBM.W[i], w)
		}
	}
	for i, b := range first.RBM.B {
		if math.Abs(float64(last.RBM.B[i]-b)) > 1e-5 {
			t.Fatalf("b[%d] comes back as %v, was %v", i, last.RBM.B[i], b)
		}
	}
	var about info
	runJSON(t, &about, "info", spin)
	if about.Units != "spin" || about.Format != "safetensors" || about.Metadata["format"] != "1" || math.Abs(float64(*about.Constant)-back.Constant) != 0 {
		t.Errorf("%+v", about)
	}
	if code, _, stderr := run("convert", spin, "--out", binary); code != 0 || stderr != "" {
		t.Errorf("units kept: exit %d, %q", code, stderr)
	}
}

func TestFilesBadUse(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.safetensors")
	if err := os.WriteFile(bad, []byte{5}, 0o600); err != nil {
		t.Fatal(err)
	}
	badUse(t, "info", "FILE")
	badUse(t, "info a b", "b")
	badUse(t, "info "+filepath.Join(dir, "none"), "none")
	badUse(t, "info "+dir, dir)
	badUse(t, "info "+bad, "bad.safetensors", "too short")
	badUse(t, "convert "+bad+" --units spin --out "+filepath.Join(dir, "o"), "bad.safetensors")
	badUse(t, "convert "+bad, "--out")
	badUse(t, "convert "+sklearnModel+" --units volt --out "+filepath.Join(dir, "o"), "volt")
	badUse(t, "convert "+sklearnModel+" --out "+filepath.Join(dir, "o.npz"), "o.npz")
	badUse(t, "convert ../../bench/digits/README.md --out "+filepath.Join(dir, "o"), "README.md")
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("a refused conversion leaves %v", list)
	}
}
