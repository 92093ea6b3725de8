//go:build !linux || !(amd64 || arm64) || nompi

package comm

// openMPI says that this build cannot connect processes.
func openMPI(_ Options, n int, from string) (Group, error) {
	return nil, &MismatchError{Launched: n, From: from, Found: 1, Library: "this build, which has no MPI,"}
}
