//go:build (amd64 || arm64) && !noasm

package ascent

import (
	"testing"
	"unsafe"
)

func TestLayout(t *testing.T) {
	var r Row
	for name, x := range map[string][2]uintptr{
		"Centred": {unsafe.Offsetof(r.Centred), 60}, "Shrink": {unsafe.Offsetof(r.Shrink), 61},
		"lanes": {unsafe.Offsetof(r.lanes), 64}, "magnitudes": {unsafe.Offsetof(r.magnitudes), 128},
		"n": {unsafe.Offsetof(r.n), 160}, "columnWeight": {unsafe.Offsetof(r.columnWeight), 232},
	} {
		if x[0] != x[1] {
			t.Errorf("%s lies at %d, the assembly takes it from %d", name, x[0], x[1])
		}
	}
}
