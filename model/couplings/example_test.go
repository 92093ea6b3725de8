package couplings_test

import (
	"fmt"
	"strings"

	"kadanoff/model/couplings"
)

// Decimals are exact: in tenths, these are the integers 5 and −2.
func ExampleRead() {
	c, err := couplings.Read(strings.NewReader("0 1 0.5\n1 1 -0.2 # a field\n"), "two.txt", couplings.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	job, scale, err := c.Job()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.Coupling, job.Field, scale.Energy(7))
	// Output:
	// [0 5 5 0] [0 -2] 0.7
}
