package rbm_test

import (
	"fmt"

	"kadanoff/model/rbm"
)

// Two visible units and one hidden one that couples both: summed over, it makes
// equal visible units likelier than different ones.
func Example() {
	m := rbm.New(2, 1)
	m.W[0], m.W[1] = 1, 1
	fmt.Printf("hidden mean %.4f\n", m.HiddenMean([]int8{1, 1}, 0))
	fmt.Printf("F(++) − F(+−) = %.4f\n", m.FreeEnergy([]int8{1, 1})-m.FreeEnergy([]int8{1, -1}))
	// Output:
	// hidden mean 0.9640
	// F(++) − F(+−) = -1.3250
}
