//go:build gpu && cgo

package cuda

import (
	"context"
	"errors"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/spin"
)

// spreading cuts every training job among all devices, however small.
type spreading struct{ *Backend }

func (b spreading) NewTrainer(spec backend.TrainerSpec) (backend.Trainer, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	return newTrainers(b.devices, spec, 64)
}

func threeDevices(t *testing.T) *Backend {
	t.Helper()
	t.Setenv("CUSIM_DEVICES", "3")
	if _, why := count(); why != "" {
		t.Skip(why)
	}
	b, err := New(backend.Options{All: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if len(b.devices) < 2 {
		t.Skip("one device")
	}
	return b
}

// Training on several devices gives the digests of one, and its states go from
// one to the other.
func TestTrainingSpread(t *testing.T) {
	b := threeDevices(t)
	for _, c := range backendtest.TrainingCases() {
		if spec := c.Spec(); testing.Short() && len(spec.Model.Blocks[0].W) > 1000 {
			continue
		}
		for _, parts := range []int{1, 2} {
			if c.Spec().Algorithm == backend.CD && parts > c.Batch {
				continue
			}
			if err := c.CheckDigest(context.Background(), spreading{b}, parts); err != nil {
				t.Errorf("in %d parts: %v", parts, err)
			}
		}
	}
	spec := backend.TrainerSpec{Model: backendtest.RandomRBM(13, 11, 2, 1), Algorithm: backend.PT, K: 1, Chains: 150, Temperatures: []float64{1, 2}}
	data := backend.TrainingBatch{Data: spin.NewBatch(13, 100)}
	ctx := context.Background()
	step := func(tr backend.Trainer) (s backend.TrainerState) {
		t.Helper()
		if err := errors.Join(tr.Gather(ctx, data), tr.Update(backend.Update{WeightRate: 0.1, BiasRate: 0.1, Momentum: 0.5}), tr.Save(&s)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	open := func(b backend.Backend) backend.Trainer {
		t.Helper()
		tr, err := b.NewTrainer(spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	many, one := open(spreading{b}), open(b)
	if _, ok := one.(*trainer); !ok {
		t.Fatal("a short step is cut among devices")
	}
	for range 2 {
		same(t, step(many), step(one))
	}
	s := step(many)
	if err := one.Load(&s); err != nil {
		t.Fatal(err)
	}
	s = step(one)
	if err := many.Load(&s); err != nil {
		t.Fatal(err)
	}
	same(t, step(many), step(one))
}

func same(t *testing.T, got, want backend.TrainerState) {
	t.Helper()
	for i, w := range want.Model.Blocks[0].W {
		if got.Model.Blocks[0].W[i] != w {
			t.Fatalf("step %d: weight %d is %v, want %v", want.Step, i, got.Model.Blocks[0].W[i], w)
		}
	}
	for r := range want.Chains {
		for i, x := range want.Chains[r].Bits {
			if got.Chains[r].Bits[i] != x {
				t.Fatalf("step %d: chains at temperature %d differ from word %d on", want.Step, r, i)
			}
		}
	}
}

// A step that is stopped on the devices has to be loaded anew; long steps are cut
// without asking.
func TestTrainingSpreadBroken(t *testing.T) {
	b := threeDevices(t)
	spec := backend.TrainerSpec{Model: backendtest.RandomRBM(7, 5, 1, 1), Algorithm: backend.PCD, K: splitWork / 512, Chains: 512}
	tr, err := b.NewTrainer(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if x, ok := tr.(*trainers); !ok || len(x.parts) != 2 {
		t.Fatalf("512 chains are on %T, want two devices", tr)
	}
	var state backend.TrainerState
	if err := tr.Save(&state); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	batch := backend.TrainingBatch{Data: spin.NewBatch(7, 4)}
	if err := tr.Gather(stopped, batch); !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped step returns %v", err)
	}
	for _, err := range []error{tr.Update(backend.Update{}), tr.Statistics(&backend.Statistics{}), tr.Save(&state)} {
		if err == nil {
			t.Error("a step that was stopped can be finished")
		}
	}
	if err := tr.Load(&state); err != nil {
		t.Error(err)
	}
	if err := tr.Update(backend.Update{}); err == nil {
		t.Error("an update without statistics")
	}
}
