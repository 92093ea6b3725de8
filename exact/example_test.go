package exact_test

import (
	"fmt"

	"kadanoff/exact"
)

func ExampleRing() {
	r, err := exact.NewRing(8, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("log Z %.6f, energy %.6f a spin\n", r.LogZ(), r.Energy())
	// Output:
	// log Z 9.122649, energy -0.817663 a spin
}

// The weight of the uniform machine of 8 visible and 4 hidden units that fits a
// ring at K = 1 best.
func ExampleMarginal_Solve() {
	d, err := exact.RingDensity(8)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := d.At(1)
	if err != nil {
		fmt.Println(err)
		return
	}
	root, err := m.Solve(4)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("W = %.6f\n", root.W)
	// Output:
	// W = 0.306308
}

func ExampleNewTorus() {
	t, err := exact.NewTorus(16, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("energy %.6f, specific heat %.6f a spin\n", t.Energy(), t.SpecificHeat())
	// Output:
	// energy -1.745531, specific heat 0.725509 a spin
}
