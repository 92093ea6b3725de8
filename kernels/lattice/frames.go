//go:build (amd64 || arm64) && !noasm

package lattice

import "unsafe"

// What the assembly is given, and paths of four lanes.

// updateFrame is what the assembly reads. Its layout is repeated in
// kernels/_gen/lattice and kernels/_gen/neon/lattice.
type updateFrame struct {
	spins, other, mask, planes, state, scratch, log *uint64

	stride  int // bytes
	rows    int // counted down
	groups  int
	base    int
	rem     int
	side    int // bytes
	entries int // counted up
}

// countFrame is what the counting assembly reads.
type countFrame struct {
	spins, other, mask, total *uint64

	stride int // bytes
	rows   int
	words  int
	side   int // bytes
}

// frame fills a frame for the lanes from half on. scratch has room for two
// words for each word of a group; log is where entries go.
func (u *Update) frame(half int, scratch, log *uint64) updateFrame {
	f := updateFrame{
		spins: &u.Spins[u.Start+half], other: &u.Other[u.Start+half],
		mask: &u.Mask[half], planes: &u.Planes[half], state: &u.State[half],
		scratch: scratch, log: log,
		stride: 8 * u.Stride, rows: u.Rows, side: 8 * sideOffset(u.Right),
	}
	f.groups, f.base, f.rem = groups(u.Words)
	return f
}

func (c *Count) frame(half int) *byte {
	f := &countFrame{
		spins: &c.Spins[c.Start+half], other: &c.Other[c.Start+half],
		mask: &c.Mask[half], total: &c.Total[half],
		stride: 8 * c.Stride, rows: c.Rows, words: c.Words, side: 8 * sideOffset(c.Right),
	}
	return (*byte)(unsafe.Pointer(f))
}

// index turns a byte offset and its flag into twice the index and the flag.
func index(entry uint64, start int) uint64 { return (entry>>3+uint64(start))<<1 | entry&1 }

// halves runs a path of four lanes twice.
func halves(run func(*byte)) func(*Update) int {
	return func(u *Update) int {
		var room [(2*GroupWords + 1) * Lanes]uint64
		entries := 0
		for half := 0; half < Lanes; half += 4 {
			f := u.frame(half, aligned(room[:]), &u.Log[entries*5])
			run((*byte)(unsafe.Pointer(&f)))
			for i := entries; i < entries+f.entries; i++ {
				u.Log[i*5] = index(u.Log[i*5], u.Start+half)
			}
			entries += f.entries
		}
		return entries
	}
}
