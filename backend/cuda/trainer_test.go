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
