//go:build amd64 && !noasm

package isa

func compiled(l Level) bool { return l == AVX2 || l == AVX512 }
