//go:build !amd64 || noasm

package isa

func compiled(Level) bool { return false }
