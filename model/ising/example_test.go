package ising_test

import (
	"context"
	"fmt"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/model/ising"
)

// A cold torus is close to its ground state, −2 a spin.
func ExampleRun() {
	r, err := ising.Run(context.Background(), ref.New(), ising.Job{
		Lattice: backend.LatticeSpec{Width: 8, Height: 8, Replicas: 8, Temperatures: []float64{1.5}, Seed: 1},
		BurnIn:  50, Sweeps: 200,
	}, 0, nil)
	if err != nil {
		panic(err)
	}
	fmt.Printf("energy %.2f, |m| %.2f\n", r.Energy.Mean, r.AbsMagnetization.Mean)
	// Output:
	// energy -1.95, |m| 0.99
}

// Every configuration of a ring is an exact sample by itself: no chain has to
// come to equilibrium.
func ExampleSampleRing() {
	const size, count = 24, 3
	spins := make([]int8, count*size)
	if err := ising.SampleRing(spins, size, 0.8, 1, 0); err != nil {
		panic(err)
	}
	for r := range count {
		for _, s := range spins[r*size : (r+1)*size] {
			fmt.Print(map[int8]string{1: "+", -1: "-"}[s])
		}
		fmt.Println()
	}
	// Output:
	// ------------------------
	// -++++-----------++++++++
	// --------+++-------++++++
}
