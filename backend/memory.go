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
	if have := AvailableMemory(); have > 0 && bytes > have {
		return fmt.Errorf("%s would take %.3g GB of memory, and %.3g GB can be had: %w", what, bytes/1e9, have/1e9, syscall.ENOMEM)
	}
	return nil
}

// CheckFit is CheckMemory for n things that take some bytes each beside a fixed
// number of bytes. The error says how many would fit.
func CheckFit(n int, things string, each float64, of string, fixed float64) error {
	have := AvailableMemory()
	if have <= 0 || fixed+float64(n)*each <= have {
		return nil
	}
	fit := fmt.Sprintf("at most %d fit", int64((have-fixed)/each))
	if have-fixed < each {
		fit = "not even one fits"
	}
	return fmt.Errorf("%d %s%s would take %.3g GB of memory, and %.3g GB can be had: %s: %w",
		n, things, of, (fixed+float64(n)*each)/1e9, have/1e9, fit, syscall.ENOMEM)
}
