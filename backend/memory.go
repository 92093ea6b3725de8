package backend

import (
	"fmt"
	"syscall"
)

// CheckMemory returns an error, which wraps ENOMEM, if what would take the
// given number of bytes and this process cannot have as many: a clear word
// beforehand, since a Go program that runs out of memory just ends. Where the
// limit is not known there is no error.
func CheckMemory(what string, bytes float64) error {
	if have := availableMemory(); have > 0 && bytes > have {
		return fmt.Errorf("%s would take %.3g GB of memory, and %.3g GB can be had: %w", what, bytes/1e9, have/1e9, syscall.ENOMEM)
	}
	return nil
}
