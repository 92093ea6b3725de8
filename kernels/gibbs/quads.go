package gibbs

import "unsafe"

// asQuads returns s as groups of four words.
func asQuads(s []uint64) [][4]uint64 {
	return unsafe.Slice((*[4]uint64)(unsafe.Pointer(unsafe.SliceData(s))), len(s)/4)
}
