// Package cuda is the backend of NVIDIA GPUs, through gorgonia.org/cu.
//
// It is built with the tag gpu and cgo (make gpu). The driver, libcuda.so.1, is
// looked for when the program runs, so that one program starts on machines
// with and without a GPU; KADANOFF_LIBCUDA names another library, or none.
// Without the tag the package registers a driver that says what is missing.
//
// Every job runs on the device: chains and lattices stay there, a sweep copies
// nothing, a sampler's weights go there once for each network and a trainer's
// never leave it; energies, free energies, annealing, mean-field iteration, sums,
// minima and histograms over all states, and roots. What is left to the CPU
// backend, which must be part of the program, is in docs/gpu.md. Every result has
// the bits of every other backend.
package cuda
