package npy_test

import (
	"fmt"
	"os"
	"path/filepath"

	"kadanoff/model/npy"
)

func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "npy")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "spins.npy")
	if err := npy.WriteFile(path, []int8{1, -1, -1, 1, 1, 1}, 2, 3); err != nil {
		fmt.Println(err)
		return
	}
	r, err := npy.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	values, err := r.All()
	fmt.Println(r.Shape, r.DType, values, err)
	// Output:
	// [2 3] int8 [1 -1 -1 1 1 1] <nil>
}
