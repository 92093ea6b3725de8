package train_test

import (
	"context"
	"fmt"
	"os"

	"kadanoff/backend/ref"
	"kadanoff/spin"
	"kadanoff/train"
)

// pairs is data of two units that always agree.
type pairs struct{}

func (pairs) Rows() int   { return 64 }
func (pairs) Width() int  { return 2 }
func (pairs) Stride() int { return 1 }
func (pairs) Fill(dst []uint64, i int, _ uint64) error {
	dst[0] = uint64(i&1) * 3
	return nil
}

// A machine of one hidden unit learns that two visible ones agree. The folder then
// holds model.safetensors, metrics and a page.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "train")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	c := train.Default()
	c.Hidden, c.Batch, c.Epochs, c.Rate = 1, 64, 400, 0.3
	r, err := train.Run(context.Background(), ref.New(), c, pairs{}, train.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Steps, "steps, finished:", r.Finished)
	// Output:
	// 400 steps, finished: true
}

// ln Z of a machine whose units know nothing of each other: 5 ln 2.
func ExampleExactLogZ() {
	q, err := spin.Quantize(spin.RBM(3, 2, make([]float32, 6), make([]float32, 3), make([]float32, 2)))
	if err != nil {
		fmt.Println(err)
		return
	}
	z, err := train.ExactLogZ(context.Background(), ref.New(), q)
	fmt.Printf("%.6f %v\n", z, err)
	// Output:
	// 3.465736 <nil>
}
