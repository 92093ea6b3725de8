//go:build !amd64 || noasm

package gibbs

import "kadanoff/kernels/isa"

func probe(isa.Level) Rates { return Rates{} }
