//go:build gpu && cgo

package cuda

// link holds an empty libcuda.a: the linker finds the driver's functions in
// trampoline.c.

// #cgo CFLAGS: -Wall -Wextra
// #cgo linux LDFLAGS: -L${SRCDIR}/link -ldl -lpthread
// const char *kadanoff_why_no_driver(void);
import "C"

// whyNoDriver says why there is no CUDA driver; it is empty if there is one.
func whyNoDriver() string { return C.GoString(C.kadanoff_why_no_driver()) }
