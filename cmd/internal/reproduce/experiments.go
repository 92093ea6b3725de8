package reproduce

import (
	"os"

	"kadanoff/cmd/internal/document"
	"kadanoff/cmd/internal/experiment"
)

// carryOut adds an experiment, which works in a folder that is removed.
func (b *builder) carryOut(run func(o experiment.Options) (*document.Document, error)) error {
	dir, err := os.MkdirTemp("", "kadanoff-experiment-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := run(experiment.Options{Dir: dir, Threads: b.Threads, Open: b.Open, Log: func(string, ...any) {}})
	if err != nil {
		return err
	}
	b.Append(d)
	return nil
}

// rings is the experiment in one dimension.
func rings(b *builder) error {
	return b.carryOut(func(o experiment.Options) (*document.Document, error) {
		s := experiment.NewRing(b.Quick)
		s.Seed = b.Seed
		if b.Quick {
			s.Samples, s.Epochs, s.Fresh = 2000, 300, 200
		}
		d, _, err := experiment.RunRing(b.ctx, s, o)
		return d, err
	})
}

// lattices is the experiment in two dimensions, smaller than the command of its
// own would have it.
func lattices(b *builder) error {
	return b.carryOut(func(o experiment.Options) (*document.Document, error) {
		s := experiment.NewIso(b.pick(8, 6), true)
		s.Seed = b.Seed
		if b.Quick {
			s.Temperatures, s.Samples, s.Fresh, s.Epochs, s.Machines = 13, 200, 30, 30, 2
			s.Hidden, s.Thermometer, s.ThermometerEpochs, s.FlowSteps = []int{18, 36}, []int{32, 16}, 20, 30
		}
		d, _, err := experiment.RunIso(b.ctx, s, o)
		return d, err
	})
}
