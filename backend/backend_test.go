package backend

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"kadanoff/spin"
)

type nothing struct{ Backend }

func TestOpen(t *testing.T) {
	saved := registry.drivers
	defer func() { registry.drivers = saved }()
	registry.drivers = nil
	gone := &MissingError{Name: "gpu", Reason: "no device"}
	Register(Driver{Name: "slow", Priority: -1, Open: func(Options) (Backend, error) { return nothing{}, nil }})
	Register(Driver{Name: "gpu", Priority: 9, Open: func(o Options) (Backend, error) {
		if o.Device == 3 {
			return nothing{}, nil
		}
		return nil, gone
	}})
	if _, err := Open("auto", Options{}); !errors.Is(err, gone) {
		t.Errorf("auto with nothing that works: %v", err)
	}
	Register(Driver{Name: "cpu", Priority: 5, Open: func(o Options) (Backend, error) {
		_, err := o.CheckedThreads()
		return nothing{}, err
	}})
	for _, name := range []string{"", "auto", "cpu", "slow", "gpu:3"} {
		if _, err := Open(name, Options{}); err != nil {
			t.Errorf("Open(%q): %v", name, err)
		}
	}
	var missing *MissingError
	for _, name := range []string{"gpu", "gpu:1", "cuda", "cuda:0"} {
		if _, err := Open(name, Options{}); !errors.As(err, &missing) {
			t.Errorf("Open(%q): %v, want a MissingError", name, err)
		}
	}
	for _, name := range []string{"gpu:x", "gpu:-1", "tpu"} {
		if _, err := Open(name, Options{}); err == nil || errors.As(err, &missing) {
			t.Errorf("Open(%q): %v, want a plain error", name, err)
		}
	}
	// Wrong options are an error, not a reason to take the next backend.
	if _, err := Open("auto", Options{Threads: -1}); err == nil || errors.As(err, &missing) {
		t.Errorf("auto with −1 threads: %v", err)
	}
}

func TestColoring(t *testing.T) {
	full := make([]float32, 9)
	for i := range full {
		if i%4 != 0 {
			full[i] = 1
		}
	}
	for name, c := range map[string]struct {
		net    spin.Net[float32]
		colors []int
		want   [][]int32
		err    string
	}{
		"rbm": {net: *spin.RBM(2, 3, make([]float32, 6), make([]float32, 2), make([]float32, 3)), want: [][]int32{{2, 3, 4}, {0, 1}}},
		"deep": {net: spin.Net[float32]{Layers: []int{1, 2, 1}, Bias: make([]float32, 4), Blocks: []spin.Block[float32]{
			{A: 0, B: 1, W: make([]float32, 2)}, {A: 1, B: 2, W: make([]float32, 2)},
		}}, want: [][]int32{{0, 3}, {1, 2}}},
		"triangle": {net: spin.Net[float32]{Layers: []int{3}, Bias: make([]float32, 3), Blocks: []spin.Block[float32]{{W: full}}},
			want: [][]int32{{0}, {1}, {2}}},
		"free": {net: spin.Net[float32]{Layers: []int{3}, Bias: make([]float32, 3)}, want: [][]int32{{0, 1, 2}}},
		"own": {net: spin.Net[float32]{Layers: []int{3}, Bias: make([]float32, 3), Blocks: []spin.Block[float32]{{W: full}}},
			colors: []int{2, 0, 1}, want: [][]int32{{1}, {2}, {0}}},
		"wrong": {net: spin.Net[float32]{Layers: []int{3}, Bias: make([]float32, 3), Blocks: []spin.Block[float32]{{W: full}}},
			colors: []int{0, 1, 0}, err: "units 0 and 2 are coupled and share colour 0"},
		"negative": {net: spin.Net[float32]{Layers: []int{3}, Bias: make([]float32, 3)}, colors: []int{0, -1, 0}, err: "colour -1"},
		"gap":      {net: spin.Net[float32]{Layers: []int{3}, Bias: make([]float32, 3)}, colors: []int{0, 2, 0}, err: "colour 1 has no units"},
		"short":    {net: spin.Net[float32]{Layers: []int{3}, Bias: make([]float32, 3)}, colors: []int{0}, err: "1 colours"},
	} {
		q, err := spin.Quantize(&c.net)
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := Coloring(q, c.colors)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
		} else if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
}

// quantizedRBM returns an RBM of 2000 units without weights.
func quantizedRBM(t *testing.T) *spin.Network {
	t.Helper()
	q, err := spin.Quantize(spin.RBM(1999, 1, make([]float32, 1999), make([]float32, 1999), make([]float32, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return q
}
