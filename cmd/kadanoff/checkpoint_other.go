//go:build !unix

package main

import "os"

// notifyCheckpoint has no signal to send: SIGUSR1 is of Unix.
func notifyCheckpoint(chan<- os.Signal) {}
