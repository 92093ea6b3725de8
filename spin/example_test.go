package spin_test

import (
	"fmt"

	"kadanoff/spin"
)

// A machine of two visible and one hidden unit in fixed point: the field of the
// hidden unit is an exact sum of integers, and a draw of 32 bits decides its spin.
func Example() {
	model := spin.RBM(2, 1, []float32{0.5, -0.25}, []float32{0, 0}, []float32{0.125})
	q, err := spin.Quantize(model)
	if err != nil {
		fmt.Println(err)
		return
	}
	w := q.Blocks[0].W
	field := q.Bias[2] + w[0] - w[1] // v = (+1, −1)
	beta, err := spin.Beta(1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("fraction bits:", q.Frac)
	fmt.Println("field:", float64(field)/float64(int32(1)<<q.Frac))
	fmt.Println("up:", spin.Up(field, beta, q.Frac, 1<<31))
	// Output:
	// fraction bits: 23
	// field: 0.875
	// up: true
}

// A batch has a row of bits for each unit: chains lie side by side.
func ExampleBatch() {
	b := spin.NewBatch(2, 3)
	b.Set(1, 2, true)
	fmt.Println(b.Spin(1, 2), b.Spin(0, 2))
	fmt.Printf("%03b\n", b.Row(1)[0])
	// Output:
	// 1 -1
	// 100
}
