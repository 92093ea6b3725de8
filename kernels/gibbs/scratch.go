package gibbs

import "unsafe"

// Scratch is the working memory of one goroutine. It grows to the largest
// call and is not allocated again after that.
type Scratch struct {
	index  []byte   // indices of a chunk, in the path's layout
	held   indexed  // what index holds
	skip   int      // words of it before those of the step in progress
	parts  [2]part  // what it was made of
	plain  Step     // a step with an edit
	acc    []int32  // fields of a slab over a chunk
	words  []uint64 // sums of pairs, packed draws, or rows of words
	beta   [1]uint64
	philox philoxState

	// of SpinMeans
	transposed []uint64
	weights    Weights
	source     [1]Block
	step       Step

	vectorScratch
}

// indexed names the input rows and words whose indices a Scratch holds.
type indexed struct {
	kernel *Kernel
	epoch  uint64
	before int // words of another step before them
	w0, w1 int
}

// covers reports whether what is held has the words of another step of the same
// kernel and epoch.
func (x *indexed) covers(y *indexed) bool {
	return x.kernel == y.kernel && x.epoch == y.epoch && x.before == 0 && x.w0 <= y.w0 && y.w1 <= x.w1
}

// NewScratch returns an empty Scratch.
func NewScratch() *Scratch { return new(Scratch) }

// grow returns s with length n, on a 64-byte boundary, with any content.
func grow[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	size := int(unsafe.Sizeof(*new(T)))
	pad := 64 / size
	s = make([]T, n+pad)
	off := 0
	for uintptr(unsafe.Pointer(unsafe.SliceData(s[off:])))%64 != 0 {
		off++
	}
	return s[off : off+n : off+n]
}
