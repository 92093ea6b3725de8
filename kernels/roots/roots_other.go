//go:build (!amd64 && !arm64) || noasm

package roots

// vectorScratch is what vector kernels need; there are none here.
type vectorScratch struct{}
