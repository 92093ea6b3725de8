//go:build arm64 && !noasm

package lattice

import "kadanoff/kernels/isa"

// kernels lists the paths, weakest first.
var kernels = []Kernel{
	generic,
	{
		Level:  isa.NEON,
		Lanes:  4,
		update: [2]func(*Update) int{Metropolis: halves(metropolisNEON), HeatBath: halves(heatBathNEON)},
		count: func(c *Count) {
			for quarter := 0; quarter < Lanes; quarter += 2 {
				countNEON(c.frame(quarter))
			}
		},
	},
}
