// Command latticestream writes the random words of a lattice job to standard
// output, without end, in the order in which the sweep consumes them, for
// batteries of statistical tests. docs/kernels/lattice.md says how to run them
// and what they found.
//
//	latticestream --order words | RNG_test stdin64
package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"os"

	"kadanoff/backend"
	"kadanoff/kernels/lattice"
	"kadanoff/spin/philox"
)

func main() {
	side := flag.Int("side", 1024, "side of the lattice, even")
	replicas := flag.Int("replicas", 1, "replicas")
	seed := flag.Uint64("seed", 1, "seed of the job")
	order := flag.String("order", "words", "words: bit planes as they are drawn; spins: the eight planes' bits of each spin as a byte")
	flag.Parse()
	spec := backend.LatticeSpec{Width: *side, Height: *side, Replicas: *replicas, Temperatures: []float64{1}}
	if err := spec.Check(); err != nil || flag.NArg() > 0 || *order != "words" && *order != "spins" {
		fmt.Fprintln(os.Stderr, "latticestream: want an even side, replicas, and --order words or spins:", err)
		os.Exit(2)
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for sweep := uint64(0); ; sweep++ {
		if !write(out, &spec, philox.NewKey(*seed), sweep, *order == "spins") {
			return // the reader has had enough
		}
	}
}

// write writes the words of one sweep of all replicas: both colours, word of
// replicas by word, block by block.
func write(out *bufio.Writer, spec *backend.LatticeSpec, key philox.Key, sweep uint64, spins bool) bool {
	g := backend.LatticeTiles(spec.Width, spec.Height, spec.Replicas)
	groups := (g.Width/2 + lattice.GroupWords - 1) / lattice.GroupWords
	row := g.Width/2*lattice.OwnPlanes + groups*lattice.SharedPlanes // words drawn for a row of a colour
	for word := range (spec.Replicas + g.Replicas - 1) / g.Replicas {
		states := make([][4 * lattice.Lanes]uint64, g.Blocks)
		for color := range 2 {
			for k := range states {
				if color == 0 {
					lattice.Seed(states[k][:], key, uint32(word), uint32(k), sweep)
				}
				rows := (k+1)*g.Height/g.Blocks - k*g.Height/g.Blocks
				planes := make([]uint64, rows*row*lattice.Lanes)
				lattice.Words(planes, states[k][:])
				if spins {
					transpose(planes)
				}
				if binary.Write(out, binary.LittleEndian, planes) != nil {
					return false
				}
			}
		}
	}
	return true
}

// transpose turns every eight planes into the bytes of their bit positions.
func transpose(planes []uint64) {
	const n = 8 * lattice.Lanes
	for ; len(planes) >= n; planes = planes[n:] {
		var out [n]uint64
		for bit := range lattice.Bits {
			var u uint64
			for k := range 8 {
				u |= planes[k*lattice.Lanes+bit/64] >> (bit % 64) & 1 << k
			}
			out[bit/8] |= u << (bit % 8 * 8)
		}
		copy(planes, out[:])
	}
}
