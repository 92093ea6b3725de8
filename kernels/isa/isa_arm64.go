//go:build arm64 && !noasm

package isa

func compiled(l Level) bool { return l == NEON }
