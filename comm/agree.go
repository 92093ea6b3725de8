package comm

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// PeerError is an error of one process that all processes of its group know of:
// none of them waits for another, and each may leave.
type PeerError struct {
	Rank int    // the process that failed
	Code int    // exit code that it asks for
	Text string // what it says, cut at maxText bytes
	Err  error  // the error itself; nil on the other ranks
}

const maxText = 1024

func (e *PeerError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return fmt.Sprintf("rank %d: %s", e.Rank, e.Text)
}

// Unwrap returns the error that e tells of, on the rank that had it.
func (e *PeerError) Unwrap() error { return e.Err }

// Agree is collective: it returns nil on every rank if err is nil on every rank,
// and else a *PeerError of the lowest rank that has an error. Code is the exit
// code, 1 to 255, that the caller's error asks for. A group of one gets err.
func Agree(g Group, err error, code func(error) int) error {
	if g.Size() == 1 {
		return err
	}
	own := [1]byte{}
	if err != nil {
		own[0] = byte(max(1, min(255, code(err))))
	}
	all, e := g.Gather(own[:])
	if e != nil {
		return e
	}
	for rank, c := range all {
		if c == 0 {
			continue
		}
		text := make([]byte, 4+maxText)
		p := &PeerError{Rank: rank, Code: int(c)}
		if rank == g.Rank() {
			p.Err = err
			n := copy(text[4:], err.Error())
			binary.NativeEndian.PutUint32(text, uint32(n))
		}
		if e := g.Bcast(text, rank); e != nil {
			return e
		}
		p.Text = string(text[4:][:min(maxText, binary.NativeEndian.Uint32(text))])
		return p
	}
	return nil
}

// Bytes returns the memory of numbers, for Bcast: all processes of a group have
// one byte order.
func Bytes[T int32 | int64 | uint64 | float32 | float64](x []T) []byte {
	var t T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(t)))
}
