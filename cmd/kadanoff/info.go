package main

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/model/data"
	"kadanoff/model/modelfile"
	"kadanoff/model/npy"
	"kadanoff/model/safetensors"
)

func init() { register(newInfo) }

// info is what is in a file.
type info struct {
	File   string `json:"file"`
	Kind   string `json:"kind"` // rbm, network, data, or tensors for any others
	Format string `json:"format"`

	// Of a model.
	Units         modelfile.Units   `json:"units,omitempty"`
	Visible       int               `json:"visible,omitempty"`
	Hidden        int               `json:"hidden,omitempty"`
	LargestWeight *cli.Float        `json:"largest_weight,omitempty"`
	LargestBias   *cli.Float        `json:"largest_bias,omitempty"`
	OtherUnits    modelfile.Units   `json:"other_units,omitempty"`
	Constant      *cli.Float        `json:"log_z_constant,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`

	// Of data.
	Type  string `json:"type,omitempty"`
	Rows  *int   `json:"rows,omitempty"`
	Shape []int  `json:"shape,omitempty"`

	Tensors []tensor `json:"tensors,omitempty"`
}

type tensor struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
}

func newInfo(o *cli.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "info FILE",
		Short: "What is in a model, checkpoint or data file",
		Long: "What is in a model, checkpoint or data file. For a model, log_z_constant is ln Z in the\n" +
			"file's units less ln Z in the other ones.",
		Example: "  kadanoff info model.safetensors\n  kadanoff info train-images-idx3-ubyte.gz",
		Args:    oneFile("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			about, err := inspect(cmd, args[0])
			if err != nil {
				return err
			}
			return o.Print(cmd, about)
		},
	}
}

func inspect(cmd *cobra.Command, path string) (*info, error) {
	format, err := container(path)
	if err != nil {
		return nil, err
	}
	about := &info{File: path, Format: format}
	switch format {
	case "safetensors":
		err = about.addSafetensors(path)
	case "npz":
		err = about.addArrays(path)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case about.has("W") || about.has("components_") || about.has("J") || about.has("value"):
		return about, about.addModel(cmd, path)
	case format == "safetensors":
		about.Kind = "tensors"
		return about, nil
	}
	d, err := data.Stat(cmd.Context(), path)
	if err != nil {
		// Arrays that are no data set are still worth listing.
		if len(about.Tensors) > 0 {
			about.Kind = "tensors"
			return about, nil
		}
		return nil, err
	}
	about.Kind, about.Format, about.Type, about.Shape, about.Rows = "data", d.Format, d.Type, d.Shape, &d.Rows
	return about, nil
}

// container tells a safetensors file and a zip archive from other files, for
// which it returns "".
func container(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		// The data reader takes FILE.npz:ARRAY apart.
		if strings.Contains(path, ".npz:") {
			return "", nil
		}
		return "", err
	}
	defer f.Close()
	start := make([]byte, 9)
	n, _ := io.ReadFull(f, start)
	switch s := string(start[:n]); {
	case strings.HasPrefix(s, "PK"):
		return "npz", nil
	// A header shorter than 2⁴⁰ bytes, and its first character.
	case strings.HasSuffix(s, "\x00\x00\x00{"), filepath.Ext(path) == ".safetensors":
		return "safetensors", nil
	}
	return "", nil
}

func (a *info) has(name string) bool {
	for _, t := range a.Tensors {
		if t.Name == name {
			return true
		}
	}
	return false
}

func (a *info) addSafetensors(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	a.Metadata = f.Metadata()
	for _, t := range f.Tensors() {
		a.Tensors = append(a.Tensors, tensor{t.Name, string(t.DType), append([]int{}, t.Shape...)})
	}
	return nil
}

func (a *info) addArrays(path string) error {
	z, err := npy.OpenArchive(path)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, name := range z.Names() {
		r, err := z.Open(name)
		if err != nil {
			return err
		}
		a.Tensors = append(a.Tensors, tensor{name, r.DType.String(), append([]int{}, r.Shape...)})
		r.Close()
	}
	return nil
}

func (a *info) addModel(cmd *cobra.Command, path string) error {
	m, err := modelfile.LoadContext(cmd.Context(), path)
	if err != nil {
		return err
	}
	noteUnits(cmd, path, m)
	a.Units, a.OtherUnits = m.Units(), modelfile.Binary
	if a.Units == modelfile.Binary {
		a.OtherUnits = modelfile.Spin
	}
	// Weights near the end of float32 can fail to convert; the file is good
	// all the same.
	if _, conv, err := m.Convert(a.OtherUnits); err == nil {
		a.Constant = float(conv.Constant)
	}
	if r := m.RBM; r != nil {
		a.Kind, a.Visible, a.Hidden = "rbm", r.Visible, r.Hidden
		a.LargestWeight, a.LargestBias = largest(r.W), largest(r.B, r.C)
		return nil
	}
	n := m.Network
	a.Kind, a.Visible, a.Hidden = "network", len(n.Visible), n.N-len(n.Visible)
	a.LargestWeight, a.LargestBias = largest(n.J, n.Value), largest(n.H)
	return nil
}

func float(x float64) *cli.Float {
	f := cli.Float(x)
	return &f
}

// largest returns the largest magnitude.
func largest(lists ...[]float32) *cli.Float {
	top := 0.
	for _, list := range lists {
		for _, x := range list {
			top = max(top, math.Abs(float64(x)))
		}
	}
	return float(top)
}
