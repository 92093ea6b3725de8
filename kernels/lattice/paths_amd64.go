//go:build amd64 && !noasm

package lattice

import (
	"unsafe"

	"kadanoff/kernels/isa"
)

// kernels lists the paths, weakest first.
var kernels = []Kernel{
	generic,
	{
		Level:  isa.AVX2,
		Lanes:  4,
		update: [2]func(*Update) int{Metropolis: halves(metropolisAVX2), HeatBath: halves(heatBathAVX2)},
		count: func(c *Count) {
			for half := 0; half < Lanes; half += 4 {
				countAVX2(c.frame(half))
			}
		},
	},
	{
		Level:  isa.AVX512,
		Lanes:  8,
		update: [2]func(*Update) int{Metropolis: whole(metropolisAVX512), HeatBath: whole(heatBathAVX512)},
		count:  func(c *Count) { countAVX512(c.frame(0)) },
	},
}

// whole runs a path of eight lanes. The log's byte offsets become indices.
func whole(run func(*byte)) func(*Update) int {
	return func(u *Update) int {
		var room [(2*GroupWords + 1) * Lanes]uint64
		f := u.frame(0, aligned(room[:]), &u.Log[0])
		run((*byte)(unsafe.Pointer(&f)))
		for i := range f.entries {
			e := &u.Log[i*(Lanes+1)]
			*e = index(*e, u.Start)
		}
		return f.entries
	}
}
