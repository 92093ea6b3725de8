//go:build !amd64 || noasm

package gibbs

// vectorScratch is empty where there is no assembly.
type vectorScratch struct{}
