package lattice

import "unsafe"

// aligned returns the first element of s at a multiple of 64 bytes. s must
// have seven elements to spare.
func aligned(s []uint64) *uint64 {
	skip := -uintptr(unsafe.Pointer(&s[0])) % 64 / 8
	return &s[skip]
}

// Aligned returns a zeroed slice of n words that starts at a multiple of 64
// bytes, so that no vector crosses a cache line.
func Aligned(n int) []uint64 {
	s := make([]uint64, n+Lanes-1)
	skip := -uintptr(unsafe.Pointer(&s[0])) % 64 / 8
	return s[skip : int(skip)+n : int(skip)+n]
}
