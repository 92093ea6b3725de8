package rg_test

import (
	"fmt"

	"kadanoff/model/rg"
)

// Every other spin of a chain is summed over: the coupling falls, and the
// correlation length, in spins that are left, is halved.
func ExampleDecimate() {
	k := rg.Decimate(1)
	fmt.Printf("K' = %.6f, length %.4f → %.4f\n", k, rg.CorrelationLength(1), rg.CorrelationLength(k))
	// Output:
	// K' = 0.662501, length 3.6719 → 1.8359
}
