// Command kadanoff does science with networks of ±1 units: it solves, samples,
// enumerates and trains, and holds each result against an exact value.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
)

// commands holds what each command's file registers.
var commands []func(*cli.Options) *cobra.Command

// register adds a command to the tree; each command's file calls it from init.
func register(newCommand func(*cli.Options) *cobra.Command) {
	commands = append(commands, newCommand)
}

// newRoot builds the whole tree of commands.
func newRoot() *cobra.Command {
	root, options := cli.NewRoot("kadanoff",
		"Science with networks of ±1 units: exact values, samplers, solvers and training",
		"  kadanoff solve --visible 8 --hidden 4 --k 0.5,1\n  kadanoff exact torus --size 16 --t 2 --format json")
	root.Args = cli.NoArgs
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	for _, newCommand := range commands {
		root.AddCommand(newCommand(options))
	}
	return root
}

func main() { os.Exit(cli.Main(newRoot())) }
