package philox_test

import (
	"fmt"

	"kadanoff/spin/philox"
)

// A draw is addressed, not taken from a sequence: whoever asks for that of chain 3,
// unit 9 in sweep 100 gets the same.
func ExampleDraw() {
	key := philox.NewKey(1)
	u := philox.Draw(key, philox.Gibbs, 3, 9, 100)
	fmt.Println(u == philox.Draw(key, philox.Gibbs, 3, 9, 100))
	fmt.Println(uint16(u>>16) == philox.High16(key, philox.Gibbs, 3, 9, 100))
	// Output:
	// true
	// true
}
