package main

import (
	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/cmd/internal/cli"
	"kadanoff/model/modelfile"
	"kadanoff/model/npy"
	"kadanoff/spin"
	"kadanoff/train"
)

func init() {
	register(newTransform)
	register(newReconstruct)
}

// written is what is said about an array that was written.
type written struct {
	Out   string          `json:"out"`
	Units modelfile.Units `json:"units"` // of the means: spin −1 to 1, binary 0 to 1
	Shape []int           `json:"shape"`
}

// batchRows is how many rows are treated at a time.
const batchRows = 4096

func newTransform(o *cli.Options) *cobra.Command {
	var in dataFlags
	var path, out string
	var temperature float64
	cmd := &cobra.Command{
		Use:   "transform MODEL",
		Short: "Hidden means of data",
		Long: "Writes the means of the hidden units given each row of the data, float32 [rows, hidden]: from −1 to 1, or\n" +
			"from 0 to 1 for a model of {0,1} units.",
		Example: "  kadanoff transform model.safetensors --data digits --out hidden.npy",
		Args:    oneFile("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := openArrays(cmd, o, &in, args[0], temperature, path, out)
			if err != nil {
				return err
			}
			defer job.be.Close()
			return job.run(cmd, o, job.m.net.Layers[1], func(v *spin.Batch, dst []float64) error {
				return job.be.Means(cmd.Context(), backend.MeansJob{
					Network: job.m.net, Chains: v.Chains, Steps: 1, Visible: asFloats(v), Hidden: dst,
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&path, "data", "", "data set")
	in.add(cmd)
	f.Float64Var(&temperature, "temperature", 1, machineTemperature)
	f.StringVar(&out, "out", "", "file to write (.npy)")
	return cmd
}

func newReconstruct(o *cli.Options) *cobra.Command {
	var in dataFlags
	var path, out, clamp string
	var temperature float64
	var sweeps int
	cmd := &cobra.Command{
		Use:   "reconstruct MODEL",
		Short: "Reconstructions of data, in-painting",
		Long: "Writes visible means, float32 [rows, visible]: from −1 to 1, or from 0 to 1 for a model of {0,1} units.\n" +
			"Without --clamp they are those given the hidden means of each row. --clamp MASK.npy, one number for each\n" +
			"visible unit, keeps the units where it is not 0 as the row has them and samples the others: their means\n" +
			"over the second half of --sweeps sweeps are written.",
		Example: "  kadanoff reconstruct model.safetensors --data digits --out again.npy\n" +
			"  kadanoff reconstruct model.safetensors --data digits --clamp known.npy --out painted.npy",
		Args: oneFile("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if sweeps < 2 {
				return cli.Usage("--sweeps %d: want at least 2", sweeps)
			}
			job, err := openArrays(cmd, o, &in, args[0], temperature, path, out)
			if err != nil {
				return err
			}
			defer job.be.Close()
			visible := job.m.net.Layers[0]
			if clamp == "" {
				return job.run(cmd, o, visible, func(v *spin.Batch, dst []float64) error {
					copy(dst, asFloats(v))
					return job.be.Means(cmd.Context(), backend.MeansJob{Network: job.m.net, Chains: v.Chains, Steps: 1, Visible: dst})
				})
			}
			mask, err := loadVector(clamp, visible)
			if err != nil {
				return err
			}
			return job.run(cmd, o, visible, func(v *spin.Batch, dst []float64) error {
				return job.paint(cmd, o.Seed, v, mask, sweeps, dst)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&path, "data", "", "data set")
	in.add(cmd)
	f.StringVar(&clamp, "clamp", "", "mask of the visible units that are known (.npy)")
	f.Float64Var(&temperature, "temperature", 1, machineTemperature)
	f.IntVar(&sweeps, "sweeps", 200, "sweeps of in-painting")
	f.StringVar(&out, "out", "", "file to write (.npy)")
	return cmd
}

// arrays is a job that makes a row of numbers of each configuration.
type arrays struct {
	m      *spinRBM
	be     backend.Backend
	source train.Source
	out    string
	first  int // row that the batch at hand begins with
}

func openArrays(cmd *cobra.Command, o *cli.Options, in *dataFlags, model string, temperature float64, path, out string) (*arrays, error) {
	if path == "" {
		return nil, cli.Usage("--data: want a data set")
	}
	if out == "" {
		return nil, cli.Usage("--out: want the name of the .npy file to write")
	}
	m, err := loadRBM(cmd, model, temperature)
	if err != nil {
		return nil, err
	}
	source, _, err := in.load(cmd, path, o.Seed)
	if err != nil {
		return nil, err
	}
	if err := fits(path, source, m.net); err != nil {
		return nil, err
	}
	be, err := openBackend(o)
	if err == nil {
		in.say(cmd)
	}
	return &arrays{m: m, be: be, source: source, out: out}, err
}

// run writes what fill makes of each batch, width numbers a row.
func (a *arrays) run(cmd *cobra.Command, o *cli.Options, width int, fill func(v *spin.Batch, dst []float64) error) error {
	rows := a.source.Rows()
	file, err := npy.Create[float32](a.out, rows, width)
	if err != nil {
		return err
	}
	defer file.Abort()
	for a.first = 0; a.first < rows; a.first += batchRows {
		v, err := train.Load(a.source, a.first, min(rows, a.first+batchRows), 0)
		if err != nil {
			return err
		}
		x := make([]float64, v.Chains*width)
		if err := fill(v, x); err != nil {
			return err
		}
		list := make([]float32, len(x))
		for i, y := range x {
			if a.m.units == modelfile.Binary {
				y = (1 + y) / 2
			}
			list[i] = float32(y)
		}
		if err := file.Write(list); err != nil {
			return err
		}
	}
	if err := file.Commit(); err != nil {
		return err
	}
	return o.Print(cmd, written{a.out, a.m.units, []int{rows, width}})
}

// asFloats returns ±1 as [chains][units].
func asFloats(v *spin.Batch) []float64 {
	x := make([]float64, v.Chains*v.Units)
	for c := range v.Chains {
		for i := range v.Units {
			x[c*v.Units+i] = float64(v.Spin(i, c))
		}
	}
	return x
}

// paint samples the visible units that the mask leaves free.
func (a *arrays) paint(cmd *cobra.Command, seed uint64, v *spin.Batch, mask []float64, sweeps int, dst []float64) error {
	clamped := make([]bool, a.m.net.Units())
	for i, x := range mask {
		clamped[i] = x != 0
	}
	s, err := a.be.NewSampler(backend.SamplerSpec{
		Network: a.m.net, Chains: v.Chains, Seed: seed, FirstChain: uint32(a.first), Clamped: clamped,
	})
	if err != nil {
		return err
	}
	defer s.Close()
	state := spin.NewBatch(a.m.net.Units(), v.Chains)
	if err := s.State(state); err != nil {
		return err
	}
	for i, x := range mask {
		if x != 0 {
			copy(state.Row(i), v.Row(i))
		}
	}
	if err := s.SetState(state); err != nil {
		return err
	}
	if err := s.Sweep(cmd.Context(), sweeps/2); err != nil {
		return err
	}
	n := sweeps - sweeps/2
	sums := make([]int32, len(dst))
	for range n {
		if err := s.Sweep(cmd.Context(), 1); err != nil {
			return err
		}
		if err := s.State(state); err != nil {
			return err
		}
		for c := range v.Chains {
			row := sums[c*v.Units : (c+1)*v.Units]
			for i := range row {
				row[i] += int32(state.Spin(i, c))
			}
		}
	}
	for k, x := range sums {
		dst[k] = float64(x) / float64(n)
	}
	return nil
}
