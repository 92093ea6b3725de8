//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyCheckpoint sends SIGUSR1, which asks for a checkpoint, to a channel.
func notifyCheckpoint(now chan<- os.Signal) { signal.Notify(now, syscall.SIGUSR1) }
