package thermometer

import (
	"fmt"
	"strconv"

	"kadanoff/model/safetensors"
)

// maxLayers bounds the layers of a file.
const maxLayers = 64

// Save writes the thermometer as safetensors: temperatures, float64, and for
// each layer k, from 0, layers.k.weight [In, Out] and layers.k.bias [Out],
// float32. The metadata say kind: thermometer, output: softmax or regression
// and format: 1.
func (th *Thermometer) Save(path string) error {
	list := []safetensors.Data{safetensors.Of("temperatures", th.Temperatures, len(th.Temperatures))}
	for k, l := range th.Layers {
		list = append(list, safetensors.Of(name(k, "weight"), l.W, l.In, l.Out), safetensors.Of(name(k, "bias"), l.B, l.Out))
	}
	output := "softmax"
	if th.Regression {
		output = "regression"
	}
	return safetensors.WriteFile(path, map[string]string{"kind": "thermometer", "output": output, "format": "1"}, list...)
}

func name(layer int, part string) string { return "layers." + strconv.Itoa(layer) + "." + part }

// Load reads a file that Save has written.
func Load(path string) (*Thermometer, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	th, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return th, nil
}

func read(f *safetensors.File) (*Thermometer, error) {
	m := f.Metadata()
	if m["kind"] != "thermometer" || m["format"] != "1" {
		return nil, fmt.Errorf("kind %q, format %q: want a thermometer of format 1", m["kind"], m["format"])
	}
	th := &Thermometer{Regression: m["output"] == "regression"}
	if !th.Regression && m["output"] != "softmax" {
		return nil, fmt.Errorf("output %q: want softmax or regression", m["output"])
	}
	var err error
	if th.Temperatures, _, err = readTensor[float64](f, "temperatures", 1); err != nil {
		return nil, err
	}
	for k := range maxLayers {
		if _, ok := f.Lookup(name(k, "weight")); !ok {
			break
		}
		w, shape, err := readTensor[float32](f, name(k, "weight"), 2)
		if err != nil {
			return nil, err
		}
		b, _, err := readTensor[float32](f, name(k, "bias"), 1)
		if err != nil {
			return nil, err
		}
		th.Layers = append(th.Layers, Layer{In: shape[0], Out: shape[1], W: w, B: b})
	}
	if len(th.Layers) == 0 {
		return nil, fmt.Errorf("no tensor %s", name(0, "weight"))
	}
	return th, th.validate()
}

// readTensor reads a tensor of a number of axes.
func readTensor[T safetensors.Element](f *safetensors.File, name string, axes int) ([]T, []int, error) {
	t, ok := f.Lookup(name)
	if !ok {
		return nil, nil, fmt.Errorf("no tensor %s", name)
	}
	if t.DType != safetensors.TypeOf[T]() || len(t.Shape) != axes {
		return nil, nil, fmt.Errorf("tensor %s is %s of shape %v, want %s with %d axes", name, t.DType, t.Shape, safetensors.TypeOf[T](), axes)
	}
	list := make([]T, t.Len())
	return list, t.Shape, safetensors.Read(f, t, list)
}
