package main

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/npy"
	"kadanoff/model/stats"
	"kadanoff/spin"
	"kadanoff/train"
)

func init() { register(newSample) }

// observable is the mean of a quantity over chains and sweeps.
type observable struct {
	Mean  cli.Float `json:"mean"`
	Error cli.Float `json:"error"`
	Tau   cli.Float `json:"tau"` // integrated autocorrelation time in sweeps
}

// Measurements for the summary: as many sweeps, and chains, at most.
const (
	observedSweeps = 200
	observedChains = 64
)

func newSample(o *cli.Options) *cobra.Command {
	var (
		in                            dataFlags
		chains, sweeps, burnIn, every int
		temperature                   float64
		out, start, clamp             string
	)
	cmd := &cobra.Command{
		Use:   "sample MODEL",
		Short: "Samples of a restricted or general Boltzmann machine",
		Long: "Draws samples of MODEL (W, b and c, or any couplings J) by block Gibbs sampling and writes them as int8 ±1, [chains, visible] after the last sweep,\n" +
			"or [draws, chains, visible] with --every. Chains start from fair coins, or from the rows of --start, over\n" +
			"and over. --clamp is an array of visible units: −1 and +1 keep the unit there, 0 leaves it free.\n" +
			"The summary has mean, standard error and autocorrelation time (in sweeps) of energy and magnetisation\n" +
			"after the burn-in.",
		Example: "  kadanoff sample model.safetensors --chains 100 --sweeps 1000 --out samples.npy",
		Args:    oneFile("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case chains < 1:
				return cli.Usage("--chains %d: want at least 1", chains)
			case sweeps < 0:
				return cli.Usage("--sweeps %d: want 0 or more", sweeps)
			case burnIn < 0:
				return cli.Usage("--burn-in %d: want 0 or more", burnIn)
			case every < 0 || every > max(sweeps, 0):
				return cli.Usage("--every %d: want 1 to the number of sweeps", every)
			case out == "":
				return cli.Usage("--out: want the name of the .npy file to write")
			}
			net, err := loadNetwork(cmd, args[0])
			if err != nil {
				return err
			}
			visible := net.Layers[0]
			// The sampler's chains and the copy of them that is written.
			if err := backend.CheckFit(chains, "chains", float64(net.Units())*3/8, fmt.Sprintf(" of %d units", net.Units()), 0); err != nil {
				return err
			}
			spec := backend.SamplerSpec{
				Network: net, Chains: chains, Seed: o.Seed, Temperatures: []float64{temperature}, Context: cmd.Context(),
			}
			if _, err := spin.Beta(temperature); err != nil {
				return cli.Usage("--temperature %v: want 0 or at least 1/256", temperature)
			}
			var fixed []float64
			if clamp != "" {
				if fixed, err = loadClamp(clamp, visible); err != nil {
					return err
				}
				spec.Clamped = make([]bool, net.Units())
				for i, x := range fixed {
					spec.Clamped[i] = x != 0
				}
			}
			be, err := openBackend(o)
			if err != nil {
				return err
			}
			defer be.Close()
			s, err := be.NewSampler(spec)
			if err != nil {
				return err
			}
			defer s.Close()
			watch, err := newWatch(cmd.Context(), be, s, net, sweeps, min(chains, observedChains))
			if err != nil {
				return err
			}
			if watch.meter != nil {
				// The sampler has the weights.
				large := net.Stored(0) >= largeModel
				net, spec.Network = net.Shape(), nil
				if large {
					debug.FreeOSMemory()
				}
			}
			state := spin.NewBatch(net.Units(), chains)
			if err := s.State(state); err != nil {
				return err
			}
			if start != "" {
				source, _, err := in.load(cmd, start, o.Seed)
				if err == nil {
					err = fits(start, source, net)
				}
				if err != nil {
					return err
				}
				rows, err := train.Load(source, 0, min(chains, source.Rows()), 0)
				if err != nil {
					return err
				}
				for i := range visible {
					if err := cmd.Context().Err(); err != nil {
						return err
					}
					for c := range chains {
						state.Set(i, c, rows.Up(i, c%rows.Chains))
					}
				}
			}
			for i, x := range fixed {
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				for c := range chains {
					if x != 0 {
						state.Set(i, c, x > 0)
					}
				}
			}
			if err := s.SetState(state); err != nil {
				return err
			}
			if err := s.Sweep(cmd.Context(), burnIn); err != nil {
				return err
			}
			in.say(cmd)
			w, err := newSampleWriter(out, every, sweeps, chains, visible)
			if err != nil {
				return err
			}
			defer w.file.Abort()
			for done := 0; done < sweeps; {
				n := sweeps - done
				if every > 0 {
					n = min(n, every-done%every)
				}
				n = min(n, watch.every-done%watch.every)
				if err := s.Sweep(cmd.Context(), n); err != nil {
					return err
				}
				done += n
				draw := every > 0 && done%every == 0
				if !draw && done%watch.every != 0 {
					continue
				}
				if err := s.State(state); err != nil {
					return err
				}
				if draw {
					if err := w.add(cmd.Context(), state); err != nil {
						return err
					}
				}
				if done%watch.every == 0 {
					if err := watch.add(cmd.Context(), state); err != nil {
						return err
					}
				}
			}
			if every == 0 {
				if err := s.State(state); err != nil {
					return err
				}
				if err := w.add(cmd.Context(), state); err != nil {
					return err
				}
			}
			if err := w.file.Commit(); err != nil {
				return err
			}
			energy, magnetization := watch.observables()
			return o.Print(cmd, struct {
				Out           string      `json:"out"`
				Chains        int         `json:"chains"`
				Visible       int         `json:"visible"`
				Sweeps        int         `json:"sweeps"`
				Draws         int         `json:"draws"`
				Energy        *observable `json:"energy,omitempty"`
				Magnetization *observable `json:"magnetization,omitempty"`
			}{out, chains, visible, sweeps, w.draws, energy, magnetization})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&chains, "chains", 100, "independent chains")
	f.IntVar(&sweeps, "sweeps", 1000, "sweeps after the burn-in")
	f.IntVar(&burnIn, "burn-in", 0, "sweeps before")
	f.IntVar(&every, "every", 0, "write all chains every so many sweeps; 0: after the last only")
	f.Float64Var(&temperature, "temperature", 1, "temperature")
	f.StringVar(&start, "start", "", "data whose rows the chains start from")
	in.add(cmd)
	f.StringVar(&clamp, "clamp", "", "array of visible units: −1 or +1 clamps, 0 leaves free")
	f.StringVar(&out, "out", "", "file to write (.npy)")
	return cmd
}

// loadClamp reads −1, 0 or +1 for each visible unit.
func loadClamp(path string, visible int) ([]float64, error) {
	x, err := loadVector(path, visible)
	if err != nil {
		return nil, err
	}
	for i, v := range x {
		if v != -1 && v != 0 && v != 1 {
			return nil, cli.Usage("%s: unit %d is %v, want −1, 0 (free) or +1", path, i, v)
		}
	}
	return x, nil
}

// loadVector reads an array of n numbers of any shape.
func loadVector(path string, n int) ([]float64, error) {
	r, err := npy.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Len() != n {
		return nil, cli.Usage("%s: %d numbers, want one for each of %d visible units", path, r.Len(), n)
	}
	x, err := r.All()
	if err == nil && r.Fortran {
		x = npy.RowMajor(x, r.Shape)
	}
	return x, err
}

// sampleWriter writes draws of all chains.
type sampleWriter struct {
	file    *npy.Writer[int8]
	visible int
	row     []int8
	draws   int
}

func newSampleWriter(path string, every, sweeps, chains, visible int) (*sampleWriter, error) {
	shape := []int{chains, visible}
	if every > 0 {
		shape = []int{sweeps / every, chains, visible}
	}
	f, err := npy.Create[int8](path, shape...)
	return &sampleWriter{file: f, visible: visible, row: make([]int8, visible)}, err
}

func (w *sampleWriter) add(ctx context.Context, state *spin.Batch) error {
	w.draws++
	v := state.Rows(0, w.visible)
	for c := range v.Chains {
		if err := ctx.Err(); err != nil {
			return err
		}
		v.PutInt8(w.row, c)
		if err := w.file.Write(w.row); err != nil {
			return err
		}
	}
	return nil
}

// watch follows energy and magnetisation of some chains.
type watch struct {
	be                    backend.Backend
	meter                 backend.EnergyMeter // nil if the backend must be asked
	net                   *spin.Network       // its shape only if there is a meter
	every                 int
	energy, magnetization [][]float64 // of each chain
}

func newWatch(ctx context.Context, be backend.Backend, s backend.Sampler, n *spin.Network, sweeps, chains int) (*watch, error) {
	w := &watch{
		be: be, net: n, every: max(1, (sweeps+observedSweeps-1)/observedSweeps),
		energy: make([][]float64, chains), magnetization: make([][]float64, chains),
	}
	if m, ok := s.(backend.EnergyMeter); ok {
		does, err := m.Energies(ctx, nil)
		if err != nil {
			return nil, err
		}
		if does {
			w.meter, w.net = m, n.Shape()
		}
	}
	return w, nil
}

// add measures the chains of the sampler, whose state is given.
func (w *watch) add(ctx context.Context, state *spin.Batch) error {
	n := len(w.energy)
	e := make([]int64, n)
	if w.meter != nil {
		if _, err := w.meter.Energies(ctx, e); err != nil {
			return err
		}
	} else {
		part := spin.NewBatch(state.Units, n)
		for u := range part.Units {
			copy(part.Row(u), state.Row(u))
			part.Row(u)[part.Words-1] &= part.TailMask()
		}
		if err := w.be.Energy(ctx, backend.EnergyJob{Network: w.net, States: part}, e); err != nil {
			return err
		}
	}
	visible := w.net.Layers[0]
	for c := range e {
		w.energy[c] = append(w.energy[c], math.Ldexp(float64(e[c]), -int(w.net.Frac)))
		sum := 0
		for i := range visible {
			sum += state.Spin(i, c)
		}
		w.magnetization[c] = append(w.magnetization[c], float64(sum)/float64(visible))
	}
	return nil
}

// observables returns what too short a run leaves nil.
func (w *watch) observables() (energy, magnetization *observable) {
	make := func(x [][]float64) *observable {
		e, err := stats.Gamma(x...)
		if err != nil {
			return nil
		}
		return &observable{cli.Float(e.Mean), cli.Float(e.Error), cli.Float(e.Tau * float64(w.every))}
	}
	return make(w.energy), make(w.magnetization)
}
