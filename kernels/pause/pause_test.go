package pause

import "testing"

// Any number of pauses ends, none too.
func TestTimes(t *testing.T) {
	for _, n := range []uint32{0, 1, 2, 63, 1000} {
		Times(n)
	}
}

// BenchmarkTimes says how long a pause is here.
func BenchmarkTimes(b *testing.B) {
	for b.Loop() {
		Times(1)
	}
}
