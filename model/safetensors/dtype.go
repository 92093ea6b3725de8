package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DType is the element type of a tensor, by its name in the format.
type DType string

// The element types that Read and Of convert.
const (
	Bool DType = "BOOL"
	U8   DType = "U8"
	I8   DType = "I8"
	U16  DType = "U16"
	I16  DType = "I16"
	U32  DType = "U32"
	I32  DType = "I32"
	F32  DType = "F32"
	U64  DType = "U64"
	I64  DType = "I64"
	F64  DType = "F64"
)

// sizes are the bytes of an element. Types of the format that no Go type
// stands for are sized too, so that a file that holds some can be listed.
var sizes = map[DType]int{
	Bool: 1, U8: 1, I8: 1, U16: 2, I16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8,
	"F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8,
}

// Size returns the bytes of one element, 0 for a type that is not known.
func (d DType) Size() int { return sizes[d] }

// Element is a Go type that tensors can hold.
type Element interface {
	bool | uint8 | int8 | uint16 | int16 | uint32 | int32 | float32 | uint64 | int64 | float64
}

// TypeOf returns the element type that T is stored as.
func TypeOf[T Element]() DType {
	var z T
	switch any(z).(type) {
	case bool:
		return Bool
	case uint8:
		return U8
	case int8:
		return I8
	case uint16:
		return U16
	case int16:
		return I16
	case uint32:
		return U32
	case int32:
		return I32
	case float32:
		return F32
	case uint64:
		return U64
	case int64:
		return I64
	default:
		return F64
	}
}

// decode fills dst from the little-endian bytes of src, which holds exactly
// len(dst) elements. A boolean that is neither 0 nor 1 is an error.
func decode[T Element](dst []T, src []byte) error {
	switch d := any(dst).(type) {
	case []bool:
		for i := range d {
			if src[i] > 1 {
				return fmt.Errorf("byte %d as a boolean, want 0 or 1", src[i])
			}
			d[i] = src[i] == 1
		}
	case []float32:
		for i := range d {
			d[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case []float64:
		for i := range d {
			d[i] = math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:]))
		}
	default:
		_, err := binary.Decode(src, binary.LittleEndian, dst)
		return err
	}
	return nil
}

// encode appends the little-endian bytes of src to dst.
func encode[T Element](dst []byte, src []T) []byte {
	switch s := any(src).(type) {
	case []float32:
		for _, x := range s {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
		}
	case []float64:
		for _, x := range s {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
		}
	default:
		// Append fails only for types of no fixed size, which Element has none of.
		dst, _ = binary.Append(dst, binary.LittleEndian, src)
	}
	return dst
}
