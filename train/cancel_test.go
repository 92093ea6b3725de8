package train_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"kadanoff/train"
)

// limited is a context that ends when it has been looked at so many times.
type limited struct {
	context.Context
	left atomic.Int64
}

func (c *limited) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// A run is left wherever its setting up is: in reading the data, more than
// once, in making the model, in making the trainer.
func TestCancelSettingUp(t *testing.T) {
	const rows, width, hidden = 1500, 97, 53
	data := set(t, rows, width)
	c := train.Default()
	c.Hidden, c.Epochs, c.Batch, c.Chains = hidden, 1, 100, 30000
	be := open(t)
	for _, looks := range []int64{0, 1, rows / 2, rows + rows/2, 2*rows + width/2, 2*rows + width + 20} {
		dir := t.TempDir()
		ctx := &limited{Context: context.Background()}
		ctx.left.Store(looks)
		_, err := train.Run(ctx, be, c, data, train.Options{Dir: dir})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%d looks: %v", looks, err)
		}
		if more := -ctx.left.Load(); more > 12 {
			t.Errorf("looked %d times at a context that ended after %d", more, looks)
		}
		if _, err := os.Stat(filepath.Join(dir, "model.safetensors")); err == nil {
			t.Error("a cancelled run has left a model")
		}
	}
}
