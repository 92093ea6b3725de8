//go:build (!amd64 && !arm64) || noasm

package gibbs

// vectorScratch is empty where there is no assembly.
type vectorScratch struct{}
