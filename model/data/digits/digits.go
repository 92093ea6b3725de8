// Package digits holds the data set that the program carries: 1797 handwritten
// digits of 8×8 pixels, as ±1.
package digits

import (
	_ "embed"
	"encoding/binary"
	"fmt"

	"kadanoff/model/data"
)

// Side is the width and the height of an image in pixels.
const Side = 8

// Name is what the data set is called in what is said and written.
const Name = "digits"

//go:embed digits.bin
var packed []byte

// Load returns the images, of shape [8, 8], a pixel of 0 to 16 being +1 above
// 7. Where they come from, and their licence, is in README.md.
func Load() *data.Set {
	words := make([]uint64, len(packed)/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(packed[8*i:])
	}
	s, err := data.New(Name, words, Side, Side)
	if err != nil {
		panic(fmt.Sprintf("digits: embedded data are broken: %v", err))
	}
	above := 7.0
	s.Threshold, s.Low, s.High = &above, 0, 16
	return s
}
