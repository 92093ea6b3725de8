//go:build !amd64 || noasm

package pause

// pause has no hint to give: the call itself takes a moment.
//
//go:noinline
func pause(n uint32) {
	for range n {
	}
}
