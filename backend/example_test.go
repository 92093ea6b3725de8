package backend_test

import (
	"context"
	"fmt"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/spin"
)

// Four chains of a small machine: any backend gives these spins.
func ExampleBackend_sampler() {
	q, err := spin.Quantize(spin.RBM(3, 2, []float32{1, -1, 1, 1, -1, 1}, []float32{0, 0, 0.5}, []float32{0, 0}))
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := ref.New().NewSampler(backend.SamplerSpec{Network: q, Chains: 4, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if err := s.Sweep(context.Background(), 10); err != nil {
		fmt.Println(err)
		return
	}
	state := spin.NewBatch(q.Units(), 4)
	if err := s.State(state); err != nil {
		fmt.Println(err)
		return
	}
	for chain := range 4 {
		row := make([]int8, q.Units())
		state.PutInt8(row, chain)
		fmt.Println(row)
	}
	// Output:
	// [1 1 -1 1 -1]
	// [-1 -1 -1 -1 1]
	// [-1 -1 1 -1 1]
	// [1 -1 1 -1 -1]
}

// All 2³ states of a frustrated triangle: six of them have the lowest energy.
func ExampleEnumerate() {
	job := backend.EnumerateJob{
		Coupling: []int32{0, -1, -1, -1, 0, -1, -1, -1, 0}, Field: make([]int32, 3),
		Betas: []float64{1}, Histogram: true,
	}
	e, err := backend.Enumerate(context.Background(), ref.New(), &job)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ground energy", float64(e.Ground)*job.Step(), "states", e.GroundStates)
	fmt.Printf("log Z %.6f\n", e.Thermal[0].LogZ)
	// Output:
	// ground energy -1 states 6
	// log Z 2.797846
}
