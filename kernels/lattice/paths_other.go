//go:build (!amd64 && !arm64) || noasm

package lattice

// kernels lists the paths, weakest first.
var kernels = []Kernel{generic}
