package ref_test

import (
	"testing"

	"kadanoff/backend/backendtest"
	"kadanoff/backend/ref"
)

func TestConformance(t *testing.T) {
	backendtest.Run(t, ref.New())
}
