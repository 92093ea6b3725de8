package experiment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"kadanoff/backend"
	"kadanoff/model/ising"
	"kadanoff/model/npy"
	"kadanoff/model/thermometer"
	"kadanoff/train"
)

// draw makes the configurations that networks are trained on and those that
// flow.
func (e *iso) draw(ctx context.Context) error {
	for _, part := range []struct {
		name  string
		count int
		to    *[]int8
	}{{"configurations", e.Samples, &e.configurations}, {"fresh", e.Fresh, &e.fresh}} {
		file := part.name + ".npy"
		if err := e.step(part.name, []string{file}, func() error {
			began := time.Now()
			be, err := e.Open(e.Threads)
			if err != nil {
				return err
			}
			defer be.Close()
			spins, err := ising.Configurations(ctx, be, e.Lattice, e.Lattice, e.grid(), part.count, e.Sweeps, seedOf(e.Seed, part.name))
			if err != nil {
				return err
			}
			e.log("%s: %d of %d×%d spins (%v)", part.name, e.Temperatures*part.count, e.Lattice, e.Lattice, took(began))
			return npy.WriteFile(e.path(file), spins, e.Temperatures*part.count, e.Lattice, e.Lattice)
		}); err != nil {
			return err
		}
		var err error
		if *part.to, err = e.read(file, e.Temperatures*part.count*e.Lattice*e.Lattice); err != nil {
			return err
		}
	}
	return nil
}

// read reads n spins from a file of the folder.
func (e *iso) read(file string, n int) ([]int8, error) {
	r, err := npy.Open(e.path(file))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Len() != n {
		return nil, fmt.Errorf("%s: %d spins, want %d", e.path(file), r.Len(), n)
	}
	all, err := r.All()
	if err != nil {
		return nil, err
	}
	spins := make([]int8, n)
	for i, x := range all {
		spins[i] = int8(x)
	}
	return spins, nil
}

const thermometerFile = "thermometer.safetensors"

// chunk is the number of epochs between checkpoints of the thermometer.
const chunk = 5

// thermometer trains the thermometer on all configurations.
func (e *iso) thermometer(ctx context.Context) error {
	return e.step("thermometer", []string{thermometerFile}, func() error {
		began := time.Now()
		// gorgonia's matrix products take as many threads as the runtime has.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(e.Threads))
		set := e.readings(e.configurations, e.Samples)
		th, done, err := e.resumeThermometer()
		if err != nil {
			return err
		}
		loss := 0.
		for done < e.ThermometerEpochs {
			n := min(chunk, e.ThermometerEpochs-done)
			if err := th.Train(ctx, set, thermometer.Training{
				Rate: 0.1, Batch: min(100, len(set.Class)), Epochs: n, Seed: seedOf(e.Seed, "thermometer epoch "+strconv.Itoa(done)),
				Progress: func(_ int, l float64) { loss = l },
			}); err != nil {
				return fmt.Errorf("thermometer: %w", err)
			}
			before := e.checkpoint(done)
			done += n
			if err := os.MkdirAll(filepath.Dir(e.checkpoint(done)), 0o777); err != nil {
				return err
			}
			if err := th.Save(e.checkpoint(done)); err != nil {
				return err
			}
			if err := os.Remove(before); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			e.log("thermometer: epoch %d of %d, cross entropy %.4f (%v)", done, e.ThermometerEpochs, loss, took(began))
		}
		if err := th.Save(e.path(thermometerFile)); err != nil {
			return err
		}
		return os.RemoveAll(filepath.Dir(e.checkpoint(0)))
	})
}

// checkpoint returns the file of the thermometer after some epochs.
func (e *iso) checkpoint(epoch int) string {
	return e.path("thermometer/epoch-" + strconv.Itoa(epoch) + ".safetensors")
}

// resumeThermometer returns the thermometer of the last checkpoint that is
// whole, or a new one, and the epochs that it has behind it.
func (e *iso) resumeThermometer() (*thermometer.Thermometer, int, error) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(e.checkpoint(0)), "epoch-*.safetensors"))
	if err != nil {
		return nil, 0, err
	}
	var best *thermometer.Thermometer
	last := 0
	for _, f := range files {
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "epoch-"), ".safetensors"))
		if err != nil || n <= last || n > e.ThermometerEpochs {
			continue
		}
		if th, err := thermometer.Load(f); err == nil && th.Inputs() == e.Lattice*e.Lattice {
			best, last = th, n
		}
	}
	if best != nil {
		e.log("thermometer: resuming after epoch %d", last)
		return best, last, nil
	}
	th, err := thermometer.New(e.Lattice*e.Lattice, e.Thermometer, e.grid(), false, seedOf(e.Seed, "thermometer"))
	return th, 0, err
}

// readings returns configurations, the same number at each temperature, as the
// thermometer takes them.
func (e *iso) readings(spins []int8, each int) *thermometer.Set {
	set := &thermometer.Set{Inputs: e.Lattice * e.Lattice, X: spins, Class: make([]int, e.Temperatures*each)}
	for i := range set.Class {
		set.Class[i] = i / each
	}
	return set
}

func modelPath(m machine) string { return fmt.Sprintf("machines/%v/model.safetensors", m) }

// train trains the machines.
func (e *iso) train(ctx context.Context) error {
	sources := map[string]train.Source{}
	for _, set := range e.sets() {
		var spins []int8
		size := e.Samples * e.Lattice * e.Lattice
		for _, t := range set.index {
			spins = append(spins, e.configurations[t*size:(t+1)*size]...)
		}
		var err error
		if sources[set.name], err = pack(spins, e.Lattice*e.Lattice); err != nil {
			return err
		}
	}
	list := e.machines()
	return e.each(ctx, len(list), func(ctx context.Context, be backend.Backend, i int) error {
		m := list[i]
		return e.step("train-"+m.String(), []string{modelPath(m)}, func() error {
			began := time.Now()
			if _, err := train.Run(ctx, be, e.training(m.cell, m.number), sources[m.set.name], train.Options{
				Dir: filepath.Dir(e.path(modelPath(m))), Resume: true, Name: m.String(), Shape: []int{e.Lattice, e.Lattice},
				CheckpointTime: time.Minute, Keep: 1,
			}); err != nil {
				return fmt.Errorf("training %v: %w", m, err)
			}
			e.log("machine %v: trained (%v), %d of %d", m, took(began), i+1, len(list))
			return nil
		})
	})
}
