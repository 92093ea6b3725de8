// Package digits holds a small model that was trained elsewhere: scikit-learn's
// BernoulliRBM on 8×8 digits.
package digits

import (
	"bytes"
	_ "embed"
	"fmt"

	"kadanoff/model/modelfile"
)

// Name is what the model is called in what is said and written.
const Name = "digits_rbm16"

//go:embed digits_rbm16.npz
var npz []byte

// Model returns the machine of 64 visible and 16 hidden {0,1} units. How it was
// made is in README.md.
func Model() *modelfile.RBM {
	m, err := modelfile.Read(bytes.NewReader(npz), int64(len(npz)), Name)
	if err != nil {
		panic(fmt.Sprintf("digits: embedded model is broken: %v", err))
	}
	return m.RBM
}
