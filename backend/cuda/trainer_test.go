//go:build gpu && cgo

package cuda

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/spin"
)

// One weight decides how many digits all take, wherever it is in a warp, and
// whatever its sign.
func TestTrainingDigits(t *testing.T) {
	b := open(t)
	const visible, hidden = 37, 23
	data := backend.TrainingBatch{Data: spin.NewBatch(visible, 10)}
	for _, large := range []float32{3, -3} {
		for _, at := range []int{0, 1, 30, 31, 600, visible*hidden - 1} {
			spec := backend.TrainerSpec{Model: backendtest.RandomRBM(visible, hidden, 0.01, 1), Algorithm: backend.PCD, K: 2, Chains: 300}
			spec.Model.Blocks[0].W[at] = large
			step := func(b backend.Backend) (s backend.TrainerState) {
				tr, err := b.NewTrainer(spec)
				if err != nil {
					t.Fatal(err)
				}
				defer tr.Close()
				if err := errors.Join(tr.Gather(context.Background(), data), tr.Update(backend.Update{WeightRate: 0.01, BiasRate: 0.01}), tr.Save(&s)); err != nil {
					t.Fatal(err)
				}
				return s
			}
			if got, want := step(b), step(b.Backend); !reflect.DeepEqual(got, want) {
				t.Errorf("a step with weight %d at %g differs", at, large)
			}
		}
	}
}

// A context ends the setting up, the change, the saving and the loading of
// training, after every number of looks at it; nothing is left behind, and a
// trainer goes on from a state that is loaded whole.
func TestTrainingContexts(t *testing.T) {
	counter := simulated(t)
	everywhere(t, func(t *testing.T, b *Backend) {
		ctx := context.Background()
		start := func(ctx context.Context) (backend.Trainer, error) {
			return newTrainers(b.devices, backend.TrainerSpec{
				Model: backendtest.RandomRBM(13, 11, 1, 1), Algorithm: backend.PT, K: 1, Chains: 150, Temperatures: []float64{1, 2}, Context: ctx,
			}, 64)
		}
		batch := backend.TrainingBatch{Data: spin.NewBatch(13, 100)}
		update := backend.Update{WeightRate: 0.1, BiasRate: 0.1, Momentum: 0.5}
		allocations, objects := counter(simAllocations), counter(simObjects)
		tr, err := start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		step := func() error { return errors.Join(tr.Gather(ctx, batch), tr.Update(update)) }
		var state, after1 backend.TrainerState
		if err := errors.Join(step(), tr.Save(&state), step(), tr.Save(&after1)); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func(ctx context.Context) error{
			"starting": func(ctx context.Context) error {
				tr, err := start(ctx)
				if err != nil {
					return err
				}
				return tr.Close()
			},
			"changing": func(ctx context.Context) error {
				u := update
				u.Context = ctx
				return errors.Join(tr.Gather(context.Background(), batch), tr.Update(u))
			},
			"saving": func(ctx context.Context) error {
				s := backend.TrainerState{Context: ctx}
				err := tr.Save(&s)
				if s.Context != ctx {
					t.Error("a state that was saved has lost its context")
				}
				return err
			},
			"loading": func(ctx context.Context) error {
				s := state
				s.Context = ctx
				return tr.Load(&s)
			},
		} {
			looks := int64(0)
			for ; ; looks++ {
				err := f(after(looks))
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("%s, %d looks: %v", name, looks, err)
				}
				if err := tr.Load(&state); err != nil {
					t.Fatal(err)
				}
				var s backend.TrainerState
				if err := errors.Join(step(), tr.Save(&s)); err != nil {
					t.Fatalf("after %s, %d looks: %v", name, looks, err)
				}
				if !reflect.DeepEqual(s, after1) {
					t.Fatalf("after %s, %d looks, and loading: another state", name, looks)
				}
			}
			if looks == 0 {
				t.Errorf("%s looks at no context", name)
			}
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if a, o := counter(simAllocations), counter(simObjects); a != allocations || o != objects {
			t.Errorf("%d allocations and %d objects are left", a-allocations, o-objects)
		}
	})
}
