package backend

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
)

func TestCheckMemory(t *testing.T) {
	if err := CheckMemory("a little", 1<<20); err != nil {
		t.Error(err)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if err := CheckMemory("too much", 1e18); !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("an exabyte: %v, want ENOMEM", err)
	}
	spec := SamplerSpec{Network: quantizedRBM(t), Chains: 1 << 30}
	spec.FirstChain = 0
	if AvailableMemory() > 0 && AvailableMemory() < 1e11 {
		if err := spec.Check(); !errors.Is(err, syscall.ENOMEM) {
			t.Errorf("2³⁰ chains of 2000 units: %v, want ENOMEM", err)
		}
	}
}
