package modelfile_test

import (
	"fmt"

	"kadanoff/model/modelfile"
)

// One {0,1} unit beside another, as ±1 units: every configuration keeps its
// probability, and ln Z changes by a constant that is named.
func ExampleRBM_Convert() {
	m := &modelfile.RBM{Units: modelfile.Binary, Visible: 1, Hidden: 1, W: []float32{4}, B: []float32{-2}, C: []float32{2}}
	s, c, err := m.Convert(modelfile.Spin)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.W, s.B, s.C, c.Constant)
	// Output:
	// [1] [0] [2] 1
}
