package backendtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// TrainingCase is a training job whose result is known.
type TrainingCase struct {
	Name    string
	Batch   int // configurations in a step
	Steps   int
	Updates []backend.Update // used in turn
	Golden  string           // digest of the final state
	spec    func() backend.TrainerSpec
}

// Spec returns a fresh copy of the case's job.
func (c *TrainingCase) Spec() backend.TrainerSpec { return c.spec() }

// Data returns the batch of a step.
func (c *TrainingCase) Data(visible, step int) *spin.Batch {
	b := spin.NewBatch(visible, c.Batch)
	key := philox.NewKey(uint64(len(c.Name)))
	for i := range visible {
		for j := range c.Batch {
			// Neighbours in a configuration agree more often than not.
			x := philox.Block([4]uint32{uint32(j), uint32(i / 3), uint32(step), 1}, key)[0] >> 31
			noise := philox.Block([4]uint32{uint32(j), uint32(i), uint32(step), 2}, key)[0]>>30 == 0
			b.Set(i, j, (x != 0) != noise)
		}
	}
	return b
}

var plain = []backend.Update{{WeightRate: 0.1, BiasRate: 0.1}}

// TrainingCases returns the training jobs of the suite.
func TrainingCases() []TrainingCase {
	return []TrainingCase{
		{"one-unit-each", 1, 9, plain, "97e62d4e6de8c88a0c23af11aab58124243bc72a9d86a068a27ad2675f733b6a", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(1, 1, 1, 1), Algorithm: backend.CD, K: 1, Seed: 1}
		}},
		{"cd-7x5", 67, 6, plain, "5d86220c8c5fde9862863314d819685bd5cc5f040b3003b9c60656ef183f8f74", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(7, 5, 2, 2), Algorithm: backend.CD, K: 3, Seed: 2}
		}},
		{"cd-many", 523, 2, plain, "9568710549275d64d9d67c564e0a9effc223c43f872e24250d82009354f5ebe5", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(19, 23, 2, 3), Algorithm: backend.CD, K: 1, Seed: 3 << 40}
		}},
		{"pcd-31x29", 50, 5, plain, "ff294d335cffe168f3d02d1f43824857109e5b8d55bec5135282262c483ed81b", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(31, 29, 2, 4), Algorithm: backend.PCD, K: 1, Seed: 4, Chains: 50}
		}},
		{"pcd-more-chains", 30, 3, plain, "1d5ca2ccb261cffd32f2365ff13a28b156121189f3ed1c3d5df64629741c9558", func() backend.TrainerSpec {
			return backend.TrainerSpec{
				Model: RandomRBM(17, 13, 2, 5), Algorithm: backend.PCD, K: 2, Seed: 5, Chains: 307,
				FirstChain: 1 << 20, TotalChains: 1<<20 + 307,
			}
		}},
		{"pcd-few-data", 1, 3, plain, "57d648cc196aa7e3f838ed69fd1e12952088c9518616f33ae8b47b5df86703c4", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(17, 13, 2, 13), Algorithm: backend.PCD, K: 1, Seed: 13, Chains: 77}
		}},
		{"pcd-centred", 100, 4, []backend.Update{
			{WeightRate: 0.05, BiasRate: 0.2, Momentum: 0, WeightDecay: 0.001, OffsetRate: 0.25},
			{WeightRate: 0.05, BiasRate: 0.2, Momentum: 0.5, L1: 0.01, OffsetRate: 0.01},
		}, "161f90f7485dc0d56265445b00d9dd82784f4142a779b67503fdd383e9829449", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(131, 37, 3, 6), Algorithm: backend.PCD, K: 1, Seed: 6, Chains: 100}
		}},
		{"pcd-warm", 61, 3, plain, "3bcd9cd90131689f921c0a6027f95bbf6118e0ac4f97d93da85b4789ff0ab730", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(23, 11, 3, 7), Algorithm: backend.PCD, K: 1, Seed: 7, Chains: 61, Temperatures: []float64{2.5}}
		}},
		{"pcd-few-fraction-bits", 20, 2, []backend.Update{{WeightRate: 100, BiasRate: 50}}, "556d07cd18fd1d8934094a536b483c1a7db2484ba9da41840c666dc1f25fd5af", func() backend.TrainerSpec {
			return backend.TrainerSpec{
				Model: RandomRBM(23, 29, 100000, 8), Algorithm: backend.PCD, K: 1, Seed: 8, Chains: 65,
				Temperatures: []float64{40000},
			}
		}},
		{"pcd-growing", 40, 4, []backend.Update{{WeightRate: 300, BiasRate: 100}}, "62849d8c7164b0d5df272fdadf3c6bd3aebbcac01e61e13c69062d6f6a429ad0", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(13, 11, 1, 9), Algorithm: backend.PCD, K: 1, Seed: 9, Chains: 40}
		}},
		{"pt-11x7", 32, 6, plain, "70f9dc164b04598737983cb6583f44364fa570869777f5ec579f818c5e4434e9", func() backend.TrainerSpec {
			return backend.TrainerSpec{
				Model: RandomRBM(11, 7, 4, 10), Algorithm: backend.PT, K: 2, Seed: 10, Chains: 70,
				Temperatures: []float64{1, 1.5, 3, math.Inf(1)},
			}
		}},
		{"tied", 64, 5, []backend.Update{{WeightRate: 0.1, BiasRate: 1, Momentum: 0.5, WeightDecay: 0.01}}, "05bf1b03c5b870231e2b2f32727e33c8c1607cc051f2484c38e521de766df1f0", func() backend.TrainerSpec {
			m := RandomRBM(8, 4, 1, 11)
			for i := range m.Blocks[0].W {
				m.Blocks[0].W[i] = 0.25
			}
			clear(m.Bias)
			return backend.TrainerSpec{Model: m, Algorithm: backend.PCD, K: 1, Seed: 11, Chains: 128, Tied: true}
		}},
		{"pcd-203x101", 100, 2, plain, "bb0f67b80b7dcfd1fbcfd8ba0b0d4642b9217db8d788641c58c5b3ef8882094e", func() backend.TrainerSpec {
			return backend.TrainerSpec{Model: RandomRBM(203, 101, 3, 12), Algorithm: backend.PCD, K: 1, Seed: 12, Chains: 100}
		}},
	}
}

// Digest runs the case on b, its data and chains cut among the given number of
// trainers whose statistics are added up, and returns the SHA-256 of the final
// state, in hex. The models of all trainers must be the same.
func (c *TrainingCase) Digest(ctx context.Context, b backend.Backend, parts int) (string, error) {
	spec := c.spec()
	visible, hidden := spec.Model.Layers[0], spec.Model.Layers[1]
	first, chains, total := spec.FirstChain, spec.Chains, spec.Total()
	var trainers []backend.Trainer
	for p := range parts {
		lo, hi := chains*p/parts, chains*(p+1)/parts
		if spec.Algorithm != backend.CD {
			if lo == hi {
				continue
			}
			spec.FirstChain, spec.Chains, spec.TotalChains = first+uint32(lo), hi-lo, total
		}
		t, err := b.NewTrainer(spec)
		if err != nil {
			return "", err
		}
		trainers = append(trainers, t)
	}
	for step := range c.Steps {
		data := c.Data(visible, step)
		var sum, part backend.Statistics
		for p, t := range trainers {
			lo, hi := c.Batch*p/len(trainers), c.Batch*(p+1)/len(trainers)
			piece := spin.NewBatch(visible, hi-lo)
			for i := range visible {
				for j := lo; j < hi; j++ {
					piece.Set(i, j-lo, data.Up(i, j))
				}
			}
			if err := t.Gather(ctx, backend.TrainingBatch{Data: piece, FirstSample: uint32(lo), Samples: c.Batch}); err != nil {
				return "", err
			}
			if err := t.Statistics(&part); err != nil {
				return "", err
			}
			if p == 0 {
				part.CopyTo(&sum)
				continue
			}
			add(sum.Pairs, part.Pairs)
			add(sum.VisibleData, part.VisibleData)
			add(sum.VisibleModel, part.VisibleModel)
			add(sum.HiddenData, part.HiddenData)
			add(sum.HiddenModel, part.HiddenModel)
		}
		for _, t := range trainers {
			if len(trainers) > 1 {
				if err := t.SetStatistics(&sum); err != nil {
					return "", err
				}
			}
			if err := t.Update(c.Updates[step%len(c.Updates)]); err != nil {
				return "", err
			}
		}
	}
	var models [][]byte
	var bits [][]byte
	for _, t := range trainers {
		var s backend.TrainerState
		if err := t.Save(&s); err != nil {
			return "", err
		}
		if err := t.Close(); err != nil {
			return "", err
		}
		var m bytes.Buffer
		for _, x := range []any{s.Step, s.Model.Blocks[0].W, s.Model.Bias, s.Velocity, s.VisibleOffset, s.HiddenOffset} {
			_ = binary.Write(&m, binary.LittleEndian, x)
		}
		models = append(models, m.Bytes())
		row := make([]int8, visible+hidden)
		for r := range s.Chains {
			if len(bits) <= r {
				bits = append(bits, nil)
			}
			for chain := range s.Chains[r].Chains {
				s.Chains[r].PutInt8(row, chain)
				for _, x := range row {
					bits[r] = append(bits[r], byte(x))
				}
			}
		}
	}
	hash := sha256.New()
	for _, m := range models {
		if !bytes.Equal(m, models[0]) {
			return "", fmt.Errorf("%s: the models of %d trainers differ", c.Name, len(models))
		}
	}
	hash.Write(models[0])
	for _, x := range bits {
		hash.Write(x)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// CheckDigest runs the case and returns an error if the digest is not the
// golden one.
func (c *TrainingCase) CheckDigest(ctx context.Context, b backend.Backend, parts int) error {
	got, err := c.Digest(ctx, b, parts)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	if got != c.Golden {
		return fmt.Errorf("%s: digest %s, want %s", c.Name, got, c.Golden)
	}
	return nil
}

func training(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	for _, c := range TrainingCases() {
		for _, parts := range []int{1, 2, 3} {
			if spec := c.Spec(); spec.Algorithm == backend.CD && parts > c.Batch {
				continue // the others may have chains where they have no data
			}
			if err := c.CheckDigest(ctx, b, parts); err != nil {
				t.Errorf("in %d parts: %v", parts, err)
			}
		}
	}
}

// trainingResumes checks that a state saved and loaded into another trainer
// goes on bit for bit.
func trainingResumes(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	for _, c := range TrainingCases() {
		spec := c.Spec()
		end := func(at int) *backend.TrainerState {
			tr, err := b.NewTrainer(spec)
			check(t, err)
			var s backend.TrainerState
			for step := range c.Steps {
				if step == at {
					check(t, tr.Save(&s))
					check(t, tr.Close())
					tr, err = b.NewTrainer(c.Spec())
					check(t, err)
					check(t, tr.Load(&s))
				}
				check(t, tr.Gather(ctx, backend.TrainingBatch{Data: c.Data(spec.Model.Layers[0], step)}))
				check(t, tr.Update(c.Updates[step%len(c.Updates)]))
			}
			check(t, tr.Save(&s))
			check(t, tr.Close())
			return &s
		}
		whole, resumed := end(-1), end(1)
		for i, w := range whole.Model.Blocks[0].W {
			if math.Float32bits(w) != math.Float32bits(resumed.Model.Blocks[0].W[i]) {
				t.Fatalf("%s: weight %d is %v after a resumption, want %v", c.Name, i, resumed.Model.Blocks[0].W[i], w)
			}
		}
		for r := range whole.Chains {
			same(t, c.Name+" resumed", &resumed.Chains[r], &whole.Chains[r])
		}
	}
}

// trainingStatistics holds the sums of one step against those of the reference
// backend.
func trainingStatistics(t *testing.T, b backend.Backend) {
	for _, c := range TrainingCases() {
		gather := func(b backend.Backend) *backend.Statistics {
			tr, err := b.NewTrainer(c.Spec())
			check(t, err)
			check(t, tr.Gather(context.Background(), backend.TrainingBatch{Data: c.Data(c.Spec().Model.Layers[0], 0)}))
			s := new(backend.Statistics)
			check(t, tr.Statistics(s))
			check(t, tr.Close())
			return s
		}
		got, want := gather(b), gather(ref.New())
		if got.Samples != want.Samples || got.Chains != want.Chains {
			t.Fatalf("%s: %d configurations and %d chains, want %d and %d", c.Name, got.Samples, got.Chains, want.Samples, want.Chains)
		}
		for _, x := range []struct {
			name      string
			got, want []int64
		}{
			{"visible, data", got.VisibleData, want.VisibleData}, {"hidden, data", got.HiddenData, want.HiddenData},
			{"visible, model", got.VisibleModel, want.VisibleModel}, {"hidden, model", got.HiddenModel, want.HiddenModel},
			{"pairs", got.Pairs, want.Pairs},
		} {
			for i, w := range x.want {
				if x.got[i] != w {
					t.Fatalf("%s: %s: sum %d is %d, want %d", c.Name, x.name, i, x.got[i], w)
				}
			}
		}
	}
}

func trainingRefuses(t *testing.T, b backend.Backend) {
	good := func() backend.TrainerSpec {
		return backend.TrainerSpec{Model: RandomRBM(5, 3, 1, 1), Algorithm: backend.PCD, K: 1, Chains: 10}
	}
	for want, edit := range map[string]func(*backend.TrainerSpec){
		"no model":           func(s *backend.TrainerSpec) { s.Model = nil },
		"k = 0":              func(s *backend.TrainerSpec) { s.K = 0 },
		"0 chains":           func(s *backend.TrainerSpec) { s.Chains = 0 },
		"chains 5 to 14":     func(s *backend.TrainerSpec) { s.FirstChain, s.TotalChains = 5, 12 },
		"no chains of its":   func(s *backend.TrainerSpec) { s.Algorithm = backend.CD },
		"at least 2":         func(s *backend.TrainerSpec) { s.Algorithm = backend.PT },
		"want one":           func(s *backend.TrainerSpec) { s.Temperatures = []float64{1, 2} },
		"temperature NaN":    func(s *backend.TrainerSpec) { s.Temperatures = []float64{math.NaN()} },
		"temperature 0":      func(s *backend.TrainerSpec) { s.Temperatures = []float64{0} },
		"want cd, pcd or pt": func(s *backend.TrainerSpec) { s.Algorithm = 7 },
		"not all equal":      func(s *backend.TrainerSpec) { s.Tied = true },
		"not an RBM":         func(s *backend.TrainerSpec) { s.Model = RandomBoltzmann(5, 3, 1, 1) },
	} {
		spec := good()
		edit(&spec)
		if tr, err := b.NewTrainer(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a trainer that must be refused with %q: %v, %v", want, tr, err)
		}
	}
	ctx := context.Background()
	tr, err := b.NewTrainer(good())
	check(t, err)
	data := backend.TrainingBatch{Data: randomStates(5, 7, 1)}
	var s backend.TrainerState
	check(t, tr.Gather(ctx, data))
	check(t, tr.Save(&s))
	short := s
	short.Chains = nil
	for name, err := range map[string]error{
		"data of another width":    tr.Gather(ctx, backend.TrainingBatch{Data: randomStates(6, 7, 1)}),
		"no data":                  tr.Gather(ctx, backend.TrainingBatch{}),
		"data beyond the batch":    tr.Gather(ctx, backend.TrainingBatch{Data: randomStates(5, 7, 1), FirstSample: 1, Samples: 7}),
		"a negative rate":          tr.Update(backend.Update{WeightRate: -1}),
		"a rate that is no number": tr.Update(backend.Update{WeightRate: math.NaN()}),
		"momentum above one":       tr.Update(backend.Update{Momentum: 1.5}),
		"statistics of no chains":  tr.SetStatistics(&backend.Statistics{}),
		"a state without chains":   tr.Load(&short),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// A rate that throws the weights out of range is a divergence, and a
	// saved state brings the trainer back.
	check(t, tr.Gather(ctx, data))
	var diverged *backend.DivergedError
	if err := tr.Update(backend.Update{WeightRate: 1e6, BiasRate: 1e6}); err != nil && !errors.As(err, &diverged) {
		t.Errorf("a huge rate is %v, want divergence", err)
	}
	for range 20 {
		if diverged != nil {
			break
		}
		check(t, tr.Gather(ctx, data))
		if err := tr.Update(backend.Update{WeightRate: 1e6, BiasRate: 1e6}); err != nil && !errors.As(err, &diverged) {
			t.Fatalf("a huge rate is %v, want divergence", err)
		}
	}
	if diverged == nil {
		t.Error("weights beyond fixed point are accepted")
	}
	check(t, tr.Load(&s))
	check(t, tr.Gather(ctx, data))
	check(t, tr.Update(backend.Update{WeightRate: 0.1}))
	gone, stop := context.WithCancel(ctx)
	stop()
	if err := tr.Gather(gone, data); !errors.Is(err, context.Canceled) {
		t.Errorf("a step with an ended context returns %v", err)
	}
	check(t, tr.Close())
}
