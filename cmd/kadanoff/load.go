package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/data"
	"kadanoff/model/data/digits"
	"kadanoff/model/modelfile"
	"kadanoff/spin"
	"kadanoff/spin/philox"
	"kadanoff/train"
)

// dataFlags say how data files are read.
type dataFlags struct {
	threshold float64
	binarize  string
	notes     []string // what was read, not said yet
}

// say writes what was read to stderr. It is called when nothing can be wrong
// with the command line any more: an error is one line.
func (d *dataFlags) say(cmd *cobra.Command) {
	for _, n := range d.notes {
		fmt.Fprintln(cmd.ErrOrStderr(), n)
	}
	d.notes = nil
}

func (d *dataFlags) add(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&d.threshold, "threshold", 0, "values above it are +1; without it data must hold two values")
}

// load reads a data set for training or measuring; path digits, or none, is
// the one that the program carries. What was read, and how, is noted for say.
func (d *dataFlags) load(cmd *cobra.Command, path string, seed uint64) (train.Source, []int, error) {
	switch d.binarize {
	case "", "random":
	default:
		return nil, nil, cli.Usage("--binarize %q: want random", d.binarize)
	}
	if d.binarize == "random" {
		if path == "" || path == digits.Name {
			return nil, nil, cli.Usage("--binarize random: the digits that the program carries are binary")
		}
		p, err := data.LoadProbabilities(path, data.Options{Context: cmd.Context()})
		if err != nil {
			return nil, nil, err
		}
		d.notes = append(d.notes, fmt.Sprintf("%s: %d rows of %d probabilities, drawn anew in each epoch", path, p.Rows(), p.Width()))
		return train.Drawn{Probabilities: p, Key: philox.NewKey(seed)}, p.Shape, nil
	}
	o := data.Options{Context: cmd.Context()}
	if cmd.Flags().Changed("threshold") {
		o.Threshold = &d.threshold
	}
	var set *data.Set
	if path == "" || path == digits.Name {
		if o.Threshold != nil {
			return nil, nil, cli.Usage("--threshold %v: the digits that the program carries are binary", d.threshold)
		}
		set = digits.Load()
	} else {
		var err error
		if set, err = data.Load(path, o); err != nil {
			return nil, nil, err
		}
	}
	d.notes = append(d.notes, set.String())
	return train.Fixed{Set: set}, set.Shape, nil
}

// machineTemperature is what --temperature says where it is the machine's own.
const machineTemperature = "temperature T of the machine, P ∝ e^(−E/T)"

// spinRBM is a model file turned into a job for ±1 units.
type spinRBM struct {
	units modelfile.Units // of the file
	net   *spin.Network
	// constant is ln Z in the units of the file less that of net.
	constant float64
}

// loadRBM reads an RBM.
func loadRBM(cmd *cobra.Command, path string, temperature float64) (*spinRBM, error) {
	m, err := loadAny(cmd, path, temperature)
	if err == nil && backend.CheckRBM(m.net) != nil {
		return nil, cli.Usage("%s: holds a network with couplings inside one layer, want an RBM with W, b and c", path)
	}
	return m, err
}

// loadAny reads a model of any kind at a temperature, with dense couplings.
func loadAny(cmd *cobra.Command, path string, temperature float64) (*spinRBM, error) {
	if !(temperature >= 1e-3 && temperature <= 1e3) {
		return nil, cli.Usage("--temperature %v: want 0.001 to 1000", temperature)
	}
	m, err := modelfile.LoadContext(cmd.Context(), path)
	if err != nil {
		return nil, err
	}
	if m.RBM != nil {
		if temperature != 1 {
			if m.RBM, err = m.RBM.Scaled(1 / temperature); err != nil {
				return nil, fmt.Errorf("--temperature %v: %s: %w", temperature, path, err)
			}
		}
		return newSpinRBM(cmd, path, m)
	}
	if temperature != 1 {
		if m.Network, err = m.Network.Scaled(1 / temperature); err != nil {
			return nil, fmt.Errorf("--temperature %v: %s: %w", temperature, path, err)
		}
	}
	noteUnits(cmd, path, m)
	machine, conv, err := m.Network.Machine()
	if err != nil {
		return nil, of(path, err)
	}
	q, err := spin.QuantizeContext(cmd.Context(), train.DenseNet(machine))
	if err != nil {
		return nil, of(path, err)
	}
	return &spinRBM{m.Network.Units, q, conv.Constant}, nil
}

// newSpinRBM turns an RBM into a job. Its weights in floating point are gone
// from m afterwards.
func newSpinRBM(cmd *cobra.Command, path string, m *modelfile.Model) (*spinRBM, error) {
	noteUnits(cmd, path, m)
	units := m.RBM.Units
	s, conv, err := m.RBM.SpinContext(cmd.Context())
	if err != nil {
		return nil, of(path, err)
	}
	m.RBM = nil
	q, err := spin.QuantizeContext(cmd.Context(), spin.RBM(s.Visible, s.Hidden, s.W, s.B, s.C))
	if err != nil {
		return nil, of(path, err)
	}
	large := len(s.W) >= largeModel
	s = nil
	if large {
		debug.FreeOSMemory()
	}
	return &spinRBM{units, q, conv.Constant}, nil
}

// of names the file that an error is about, unless the error is that the work
// was cancelled.
func of(path string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// largeModel is the number of weights from which on memory that is not needed
// any more is given back at once: the collector would wait until as much again
// had been asked for.
const largeModel = 1 << 22

// loadNetwork reads a model of any kind as a job for ±1 units, the visible ones
// in its first layer.
func loadNetwork(cmd *cobra.Command, path string) (*spin.Network, error) {
	m, err := modelfile.LoadContext(cmd.Context(), path)
	if err != nil {
		return nil, err
	}
	if m.RBM != nil {
		r, err := newSpinRBM(cmd, path, m)
		if err != nil {
			return nil, err
		}
		return r.net, nil
	}
	noteUnits(cmd, path, m)
	machine, _, err := m.Network.Machine()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	n, err := machine.Network()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// fits reports data that are not those of the model.
func fits(path string, s train.Source, n *spin.Network) error {
	if s.Width() != n.Layers[0] {
		return cli.Usage("%s: rows of %d values, want the model's %d visible units", path, s.Width(), n.Layers[0])
	}
	return nil
}
