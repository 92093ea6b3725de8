package npy

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// DType is the element type of an array.
type DType struct {
	// Kind is numpy's letter: b boolean, i signed, u unsigned, f float, U and S
	// text.
	Kind byte
	// Size is the bytes of an element.
	Size int
	// Big says that the bytes are big-endian.
	Big bool
}

// String returns the type as numpy names it: uint8, float32, bool.
func (d DType) String() string {
	names := map[byte]string{'i': "int", 'u': "uint", 'f': "float"}
	switch {
	case d.Kind == 'b':
		return "bool"
	case names[d.Kind] != "":
		return fmt.Sprintf("%s%d", names[d.Kind], 8*d.Size)
	default:
		return "text"
	}
}

// parseDType reads a type like "<f4", "|u1" or "?".
func parseDType(s string) (DType, error) {
	full := s
	d := DType{}
	if s == "?" {
		s = "b1"
	}
	if s != "" {
		switch s[0] {
		case '<', '|', '=':
			s = s[1:]
		case '>':
			d.Big = true
			s = s[1:]
		}
	}
	if s == "" {
		return d, fmt.Errorf("dtype %s, want a number type", quote(full))
	}
	d.Kind = s[0]
	if d.Kind == 'O' {
		return d, fmt.Errorf("pickled Python objects (dtype object), which are never read; save an array of plain numbers")
	}
	size, err := strconv.Atoi(s[1:])
	if d.Kind == 'U' && err == nil && size < 1<<20 {
		size *= 4
	}
	d.Size = size
	ok := false
	switch d.Kind {
	case 'b':
		ok = size == 1
	case 'i', 'u':
		ok = size == 1 || size == 2 || size == 4 || size == 8
	case 'f':
		ok = size == 2 || size == 4 || size == 8
	case 'U', 'S':
		ok = size >= 0 && size < 1<<22
	}
	if err != nil || !ok {
		return d, fmt.Errorf("dtype %s, want bool, int8 to int64, uint8 to uint64, float16, float32 or float64", quote(full))
	}
	return d, nil
}

// Number says whether elements are numbers or booleans rather than text.
func (d DType) Number() bool { return d.Kind != 'U' && d.Kind != 'S' }

// decode fills dst from src, which holds len(dst) elements of type d. Integers
// beyond 2⁵³ are rounded; a boolean is 0 or 1.
func (d DType) decode(dst []float64, src []byte) {
	var order binary.ByteOrder = binary.LittleEndian
	if d.Big {
		order = binary.BigEndian
	}
	switch kind := string(d.Kind) + strconv.Itoa(d.Size); kind {
	case "b1":
		for i := range dst {
			dst[i] = 0
			if src[i] != 0 {
				dst[i] = 1
			}
		}
	case "u1":
		for i := range dst {
			dst[i] = float64(src[i])
		}
	case "i1":
		for i := range dst {
			dst[i] = float64(int8(src[i]))
		}
	case "u2":
		for i := range dst {
			dst[i] = float64(order.Uint16(src[2*i:]))
		}
	case "i2":
		for i := range dst {
			dst[i] = float64(int16(order.Uint16(src[2*i:])))
		}
	case "u4":
		for i := range dst {
			dst[i] = float64(order.Uint32(src[4*i:]))
		}
	case "i4":
		for i := range dst {
			dst[i] = float64(int32(order.Uint32(src[4*i:])))
		}
	case "u8":
		for i := range dst {
			dst[i] = float64(order.Uint64(src[8*i:]))
		}
	case "i8":
		for i := range dst {
			dst[i] = float64(int64(order.Uint64(src[8*i:])))
		}
	case "f2":
		for i := range dst {
			dst[i] = half(order.Uint16(src[2*i:]))
		}
	case "f4":
		for i := range dst {
			dst[i] = float64(math.Float32frombits(order.Uint32(src[4*i:])))
		}
	case "f8":
		for i := range dst {
			dst[i] = math.Float64frombits(order.Uint64(src[8*i:]))
		}
	default:
		panic("npy: no numbers in " + kind)
	}
}

// half widens an IEEE 754 binary16: 1 sign bit, 5 of exponent, 10 of fraction.
func half(h uint16) float64 {
	sign := 1.
	if h>>15 != 0 {
		sign = -1
	}
	exponent, fraction := int(h>>10&31), float64(h&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	default:
		return sign * math.Ldexp(1024+fraction, exponent-25)
	}
}
