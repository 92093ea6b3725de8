// Package pause lets a loop that looks for another thread's word wait a moment
// between looks: the core's other hardware thread, and whoever else wants the
// core's power, get on faster meanwhile.
package pause

// Times does nothing n times:
//
//	for range n {
//	}
//
// with the CPU's hint for waiting loops where it has one that is known here:
// PAUSE on amd64, some ten to a hundred and fifty cycles each.
func Times(n uint32) {
	if n > 0 {
		pause(n)
	}
}
